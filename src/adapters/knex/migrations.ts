import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import { refuseUnfinishedRestore } from './restore-mark.ts';
import { writing } from './retry.ts';
import { refuseUnsafeValues } from './safe-values.ts';
import {
  DEFAULT_TABLES,
  isSqlite,
  type KnexOptions,
  notesOf,
  type TableNames,
  tablesOf,
} from './tables.ts';

/**
 * The schema, step by step. Each step can be run again, wholly or in part, by any number of
 * processes: what is there already is left alone. Columns are named as on the wire. Times are ISO
 * 8601 UTC text as on the wire too: it sorts by time, and no driver or time zone can shift it.
 */
function stepsOf(tables: TableNames): Readonly<Record<string, Knex.Migration>> {
  const { users, sessions, attempts } = tables;
  return {
    '0001_users_and_sessions': {
      async up(knex) {
        for (const statement of isSqlite(knex)
          ? sqliteTables(tables)
          : mysqlTables(tables, await byteCollation(knex))) {
          await knex.raw(statement);
        }
      },
      async down(knex) {
        await knex.schema.dropTableIfExists(sessions);
        await knex.schema.dropTableIfExists(users);
      },
    },
    '0002_devices_rotation_password_versions': {
      async up(knex) {
        const text = isSqlite(knex) ? 'TEXT' : 'VARCHAR(255)';
        for (const column of SESSION_COLUMNS_2) {
          await addColumn(knex, sessions, column, `${text} NULL`);
        }
        await addColumn(knex, users, 'password_version', 'INTEGER NOT NULL DEFAULT 0');
      },
      async down(knex) {
        for (const column of SESSION_COLUMNS_2) await dropColumn(knex, sessions, column);
        await dropColumn(knex, users, 'password_version');
      },
    },
    '0003_attempts': {
      async up(knex) {
        for (const statement of isSqlite(knex) ? sqliteAttempts(tables) : mysqlAttempts(tables)) {
          await knex.raw(statement);
        }
      },
      async down(knex) {
        await knex.schema.dropTableIfExists(attempts);
      },
    },
    '0004_roles_disabled_users': {
      // With defaults: releases of before go on inserting users meanwhile. Both servers add such columns
      // at once, however many users there are.
      async up(knex) {
        const role = isSqlite(knex) ? 'TEXT' : 'VARCHAR(32)';
        await addColumn(knex, users, 'role', `${role} NOT NULL DEFAULT 'user'`);
        await addColumn(knex, users, 'disabled', 'SMALLINT NOT NULL DEFAULT 0');
      },
      async down(knex) {
        for (const column of ['role', 'disabled']) await dropColumn(knex, users, column);
      },
    },
  };
}

const SESSION_COLUMNS_2 = ['device', 'last_used', 'token_id', 'token_date', 'previous_token_id'];

/** Also where it has been added already: not every database has ADD COLUMN IF NOT EXISTS. */
async function addColumn(knex: Knex, table: string, column: string, type: string): Promise<void> {
  if (await knex.schema.hasColumn(table, column)) return;
  await knex.raw(`ALTER TABLE \`${table}\` ADD COLUMN ${column} ${type}`);
}

/** By hand: on SQLite knex would make the table anew, and so lose its triggers and the sessions. */
async function dropColumn(knex: Knex, table: string, column: string): Promise<void> {
  if (!(await knex.schema.hasColumn(table, column))) return;
  await knex.raw(`ALTER TABLE \`${table}\` DROP COLUMN ${column}`);
}

function sqliteTables({ users, sessions }: TableNames): readonly string[] {
  return [
    // AUTOINCREMENT: without it SQLite gives the id of a deleted last user, and with it the
    // deleted user's tokens, to the next one.
    `CREATE TABLE IF NOT EXISTS \`${users}\` (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      username TEXT NOT NULL,
      email TEXT NOT NULL,
      password_hash TEXT NOT NULL,
      date_created TEXT NOT NULL,
      CONSTRAINT ${users}_email UNIQUE (email)
    )`,
    `CREATE TABLE IF NOT EXISTS \`${sessions}\` (
      id TEXT NOT NULL PRIMARY KEY,
      user_id INTEGER NOT NULL REFERENCES \`${users}\` (id) ON DELETE CASCADE,
      date_created TEXT NOT NULL,
      expires TEXT NOT NULL
    )`,
    `CREATE INDEX IF NOT EXISTS ${sessions}_user_id ON \`${sessions}\` (user_id)`,
    `CREATE INDEX IF NOT EXISTS ${sessions}_expires ON \`${sessions}\` (expires)`,
    // SQLite heeds foreign keys only in connections that ask for it, as an operator's shell does not.
    `CREATE TRIGGER IF NOT EXISTS ${sessions}_follow_${users} AFTER DELETE ON \`${users}\`
      BEGIN DELETE FROM \`${sessions}\` WHERE user_id = OLD.id; END`,
  ];
}

// Whatever is typed into an email field is counted here: only as a hash (base64url).
function sqliteAttempts({ attempts }: TableNames): readonly string[] {
  return [
    `CREATE TABLE IF NOT EXISTS \`${attempts}\` (
      id TEXT NOT NULL PRIMARY KEY,
      count INTEGER NOT NULL,
      expires TEXT NOT NULL
    )`,
    `CREATE INDEX IF NOT EXISTS ${attempts}_expires ON \`${attempts}\` (expires)`,
  ];
}

function mysqlAttempts({ attempts }: TableNames): readonly string[] {
  return [
    `CREATE TABLE IF NOT EXISTS \`${attempts}\` (
      id VARCHAR(64) NOT NULL PRIMARY KEY,
      count INTEGER NOT NULL,
      expires CHAR(24) NOT NULL,
      INDEX ${attempts}_expires (expires)
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET ascii COLLATE ascii_bin`,
  ];
}

function mysqlTables({ users, sessions }: TableNames, collation: string): readonly string[] {
  const text = `CHARACTER SET utf8mb4 COLLATE ${collation}`;
  return [
    `CREATE TABLE IF NOT EXISTS \`${users}\` (
      id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
      username VARCHAR(255) NOT NULL,
      email VARCHAR(254) NOT NULL,
      password_hash VARCHAR(255) NOT NULL,
      date_created CHAR(24) NOT NULL,
      CONSTRAINT ${users}_email UNIQUE (email)
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT ${text}`,
    `CREATE TABLE IF NOT EXISTS \`${sessions}\` (
      id VARCHAR(64) NOT NULL PRIMARY KEY,
      user_id BIGINT UNSIGNED NOT NULL,
      date_created CHAR(24) NOT NULL,
      expires CHAR(24) NOT NULL,
      INDEX ${sessions}_expires (expires),
      CONSTRAINT ${sessions}_user_id FOREIGN KEY (user_id) REFERENCES \`${users}\` (id)
        ON DELETE CASCADE
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT ${text}`,
  ];
}

/**
 * A collation under which texts are equal exactly when their bytes are: MariaDB and MySQL name it
 * differently, and `utf8mb4_bin`, which both have, ignores trailing spaces.
 */
async function byteCollation(knex: Knex): Promise<string> {
  const found = await knex('information_schema.collations')
    .select({ name: 'collation_name' })
    .whereIn('collation_name', ['utf8mb4_nopad_bin', 'utf8mb4_0900_bin'])
    .first<{ name: string } | undefined>();
  if (found === undefined) {
    throw new Error('the database has no utf8mb4 collation that compares bytes; it is too old');
  }
  return found.name;
}

/**
 * How knex and its command line make the steps. Which have been made is noted in tables of our own, named
 * after the users': a database's other migrations have theirs, and settings of a host's for them would
 * hold for ours as well, but for those that are given here.
 */
export function migratorConfig(
  tables: TableNames = DEFAULT_TABLES,
): Knex.MigratorConfigWithLifecycleHooks {
  const steps = stepsOf(tables);
  const migrationSource: Knex.MigrationSource<{ readonly file: string }> = {
    getMigrations: async () => Object.keys(steps).map((file) => ({ file })),
    getMigrationName: ({ file }) => file,
    async getMigration({ file: name }) {
      const migration = steps[name];
      if (migration === undefined) throw new Error(`unknown migration ${name}`);
      return migration;
    },
  };
  return {
    migrationSource,
    tableName: notesOf(tables),
    schemaName: '', // That of the connection, where the tables are.
    disableTransactions: false,
    disableMigrationsListValidation: false,
    ...Object.fromEntries(HOOKS.map((hook) => [hook, async () => {}])),
  };
}

const HOOKS = ['beforeAll', 'beforeEach', 'afterEach', 'afterAll'];

/** Milliseconds: how long the dead keep others from migrating. */
const LEASE = 10_000;
/** Milliseconds for which a migration by others is waited for. */
const PATIENCE = 60_000;

/**
 * Makes the tables, or brings them up to date. Any number of processes may call it at once, and one
 * that dies on the way stops nobody for longer than its lease: knex's own lock would stay locked for
 * good. Of what else is in the database, migrations of its own included, nothing is touched.
 * A database that already has later steps, of a newer release, is left as it is.
 * @throws RangeError for what `knexRepositories` refuses; before anything has been changed, Error where its
 * methods would reject, where a table of one of these names is there that is somebody else's, and where
 * a restore was not finished
 */
export async function migrate(knex: Knex, options: KnexOptions = {}): Promise<void> {
  const tables = tablesOf(knex, options);
  await refuseUnsafeValues(knex);
  await refuseUnfinishedRestore(knex);
  if (await isUpToDate(knex, tables)) return;
  await refuseForeignTables(knex, tables);
  const lease = new Lease(knex, tables);
  await lease.take();
  try {
    if (await isUpToDate(knex, tables)) return;
    const config = migratorConfig(tables);
    // Whoever held knex's lock without the lease is dead.
    await knex.migrate.forceFreeMigrationsLock(config);
    await knex.migrate.latest(config);
  } finally {
    await lease.end();
  }
}

/**
 * A table of our name is ours where there are signs that we have made it: notes on its steps (an earlier
 * release had them where knex has its own), or the lease of a run that was not finished.
 */
async function refuseForeignTables(knex: Knex, tables: TableNames): Promise<void> {
  const names = [...Object.values<string>({ ...tables }), notesOf(tables)];
  const taken = await firstThere(knex, names);
  // In this order: another process may be making them, and the lease comes before any table.
  if (taken === undefined || (await isThere(knex, leaseOf(tables)))) return;
  const [first = ''] = Object.keys(stepsOf(tables));
  for (const notes of [notesOf(tables), 'knex_migrations']) {
    if (!(await isThere(knex, notes)) || !(await knex.schema.hasColumn(notes, 'name'))) continue;
    if (await knex(notes).where({ name: first }).first()) return;
  }
  throw new Error(
    `the table ${taken} is there already and is not Portcullis's: give ours other names` +
      ' ({ tables: { users: …, sessions: …, attempts: … } })',
  );
}

async function firstThere(knex: Knex, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) if (await isThere(knex, name)) return name;
  return undefined;
}

/** Whether a table or view has this name; SQLite tells no case apart, whatever knex says. */
async function isThere(knex: Knex, name: string): Promise<boolean> {
  if (!isSqlite(knex)) return knex.schema.hasTable(name);
  const found = knex('sqlite_master').whereRaw('lower(name) = ?', [name.toLowerCase()]);
  return (await found.first()) !== undefined;
}

function leaseOf(tables: TableNames): string {
  return `${notesOf(tables)}_lease`;
}

async function isUpToDate(knex: Knex, tables: TableNames): Promise<boolean> {
  return (await pendingSteps(knex, tables)).length === 0;
}

/** The steps that have not been made yet. */
export async function pendingSteps(
  knex: Knex,
  tables: TableNames = DEFAULT_TABLES,
): Promise<readonly string[]> {
  const steps = Object.keys(stepsOf(tables));
  if (!(await knex.schema.hasTable(notesOf(tables)))) return steps;
  const done = new Set(await knex(notesOf(tables)).pluck<string[]>('name'));
  return steps.filter((name) => !done.has(name));
}

/** The right to migrate, for as long as it is renewed. */
class Lease {
  readonly #knex: Knex;
  readonly #table: string;
  readonly #holder = randomUUID();
  #renewal: NodeJS.Timeout | undefined;

  constructor(knex: Knex, tables: TableNames) {
    this.#knex = knex;
    this.#table = leaseOf(tables);
  }

  async take(): Promise<void> {
    await this.#write(async () => {
      await this.#knex.raw(
        `CREATE TABLE IF NOT EXISTS ${this.#table}
          (id INTEGER NOT NULL PRIMARY KEY, holder VARCHAR(36) NOT NULL, expires BIGINT NOT NULL)`,
      );
    });
    const row = { id: 1, holder: '', expires: 0 };
    await this.#write(async () => this.#knex(this.#table).insert(row).onConflict('id').ignore());
    const end = performance.now() + PATIENCE;
    while ((await this.#renew()) === 0) {
      if (performance.now() > end)
        throw new Error('another process has been migrating for a minute');
      await sleep(50 + Math.random() * 100);
    }
    this.#renewal = setInterval(() => {
      this.#renew().catch(() => {}); // Steps can be run twice: a lost lease does no harm.
    }, LEASE / 3);
  }

  /**
   * Takes the lease if it is free or one's own; resolves to the number of leases held: 0 or 1. By the
   * database's clock: those of the processes may differ by more than a lease.
   */
  #renew(): Promise<number> {
    const seconds = isSqlite(this.#knex) ? "strftime('%s', 'now')" : 'UNIX_TIMESTAMP()';
    return this.#write(async () =>
      this.#knex(this.#table)
        .whereRaw(`expires < ${seconds} * 1000`)
        .orWhere({ holder: this.#holder })
        .update({ holder: this.#holder, expires: this.#knex.raw(`${seconds} * 1000 + ${LEASE}`) }),
    );
  }

  async end(): Promise<void> {
    clearInterval(this.#renewal);
    await this.#write(async () =>
      this.#knex(this.#table).where({ holder: this.#holder }).update({ expires: 0 }),
    );
  }

  async #write<T>(statement: () => Promise<T>): Promise<T> {
    return writing(this.#knex, statement, { found: null, patience: PATIENCE });
  }
}
