import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import SqliteDialect from 'knex/lib/dialects/better-sqlite3/index.js';

/**
 * The schema, step by step. Each step can be run again, wholly or in part, by any number of
 * processes: what is there already is left alone. Columns are named as on the wire. Times are ISO
 * 8601 UTC text as on the wire too: it sorts by time, and no driver or time zone can shift it.
 */
const migrations: Readonly<Record<string, Knex.Migration>> = {
  '0001_users_and_sessions': {
    async up(knex) {
      for (const statement of isSqlite(knex) ? SQLITE_TABLES : await mysqlTables(knex)) {
        await knex.raw(statement);
      }
    },
    async down(knex) {
      await knex.schema.dropTableIfExists('sessions');
      await knex.schema.dropTableIfExists('users');
    },
  },
  '0002_devices_rotation_password_versions': {
    async up(knex) {
      const text = isSqlite(knex) ? 'TEXT' : 'VARCHAR(255)';
      for (const column of SESSION_COLUMNS_2) {
        await addColumn(knex, 'sessions', column, `${text} NULL`);
      }
      await addColumn(knex, 'users', 'password_version', 'INTEGER NOT NULL DEFAULT 0');
    },
    async down(knex) {
      for (const column of SESSION_COLUMNS_2) await dropColumn(knex, 'sessions', column);
      await dropColumn(knex, 'users', 'password_version');
    },
  },
  '0003_attempts': {
    async up(knex) {
      for (const statement of isSqlite(knex) ? SQLITE_ATTEMPTS : MYSQL_ATTEMPTS) {
        await knex.raw(statement);
      }
    },
    async down(knex) {
      await knex.schema.dropTableIfExists('attempts');
    },
  },
};

const SESSION_COLUMNS_2 = ['device', 'last_used', 'token_id', 'token_date', 'previous_token_id'];

/** Also where it has been added already: not every database has ADD COLUMN IF NOT EXISTS. */
async function addColumn(knex: Knex, table: string, column: string, type: string): Promise<void> {
  if (await knex.schema.hasColumn(table, column)) return;
  await knex.raw(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`);
}

/** By hand: on SQLite knex would make the table anew, and so lose its triggers and the sessions. */
async function dropColumn(knex: Knex, table: string, column: string): Promise<void> {
  if (!(await knex.schema.hasColumn(table, column))) return;
  await knex.raw(`ALTER TABLE ${table} DROP COLUMN ${column}`);
}

const SQLITE_TABLES = [
  // AUTOINCREMENT: without it SQLite gives the id of a deleted last user, and with it the
  // deleted user's tokens, to the next one.
  `CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username TEXT NOT NULL,
    email TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    date_created TEXT NOT NULL,
    CONSTRAINT users_email UNIQUE (email)
  )`,
  `CREATE TABLE IF NOT EXISTS sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    date_created TEXT NOT NULL,
    expires TEXT NOT NULL
  )`,
  'CREATE INDEX IF NOT EXISTS sessions_user_id ON sessions (user_id)',
  'CREATE INDEX IF NOT EXISTS sessions_expires ON sessions (expires)',
  // SQLite heeds foreign keys only in connections that ask for it, as an operator's shell does not.
  `CREATE TRIGGER IF NOT EXISTS sessions_follow_users AFTER DELETE ON users
    BEGIN DELETE FROM sessions WHERE user_id = OLD.id; END`,
];

// Whatever is typed into an email field is counted here: only as a hash (base64url).
const SQLITE_ATTEMPTS = [
  `CREATE TABLE IF NOT EXISTS attempts (
    id TEXT NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL,
    expires TEXT NOT NULL
  )`,
  'CREATE INDEX IF NOT EXISTS attempts_expires ON attempts (expires)',
];

const MYSQL_ATTEMPTS = [
  `CREATE TABLE IF NOT EXISTS attempts (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL,
    expires CHAR(24) NOT NULL,
    INDEX attempts_expires (expires)
  ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET ascii COLLATE ascii_bin`,
];

async function mysqlTables(knex: Knex): Promise<string[]> {
  const text = `CHARACTER SET utf8mb4 COLLATE ${await byteCollation(knex)}`;
  return [
    `CREATE TABLE IF NOT EXISTS users (
      id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
      username VARCHAR(255) NOT NULL,
      email VARCHAR(254) NOT NULL,
      password_hash VARCHAR(255) NOT NULL,
      date_created CHAR(24) NOT NULL,
      CONSTRAINT users_email UNIQUE (email)
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT ${text}`,
    `CREATE TABLE IF NOT EXISTS sessions (
      id VARCHAR(64) NOT NULL PRIMARY KEY,
      user_id BIGINT UNSIGNED NOT NULL,
      date_created CHAR(24) NOT NULL,
      expires CHAR(24) NOT NULL,
      INDEX sessions_expires (expires),
      CONSTRAINT sessions_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
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

/** The steps as knex and its command line take them. */
export const migrationSource: Knex.MigrationSource<{ readonly file: string }> = {
  getMigrations: async () => Object.keys(migrations).map((file) => ({ file })),
  getMigrationName: ({ file }) => file,
  async getMigration({ file: name }) {
    const migration = migrations[name];
    if (migration === undefined) throw new Error(`unknown migration ${name}`);
    return migration;
  },
};

const LEASE_TABLE = 'migration_lease';
const LEASE_MS = 30_000;
const PATIENCE_MS = 60_000;

/**
 * Brings the schema up to date. Any number of processes may call it at once, and one that dies on
 * the way stops nobody for longer than its lease: knex's own lock would stay locked for good. Wants
 * a pool that waits for other migrators (`openForMigration`).
 * A database that already has later steps, of a newer release, is left as it is.
 */
export async function migrate(knex: Knex): Promise<void> {
  if (await isUpToDate(knex)) return;
  const holder = randomUUID();
  await takeLease(knex, holder);
  const renewal = setInterval(() => {
    renewLease(knex, holder).catch(() => {}); // Steps can be run twice: a lost lease does no harm.
  }, LEASE_MS / 3);
  try {
    if (await isUpToDate(knex)) return;
    // Whoever held knex's lock without the lease is dead.
    await knex.migrate.forceFreeMigrationsLock();
    await knex.migrate.latest();
  } finally {
    clearInterval(renewal);
    await knex(LEASE_TABLE).where({ holder }).update({ expires: 0 });
  }
}

async function isUpToDate(knex: Knex): Promise<boolean> {
  return (await pendingSteps(knex)).length === 0;
}

/** The steps that have not been made yet. */
export async function pendingSteps(knex: Knex): Promise<readonly string[]> {
  const steps = Object.keys(migrations);
  if (!(await knex.schema.hasTable('knex_migrations'))) return steps;
  const done = new Set(await knex('knex_migrations').pluck<string[]>('name'));
  return steps.filter((name) => !done.has(name));
}

async function takeLease(knex: Knex, holder: string): Promise<void> {
  await knex.raw(
    `CREATE TABLE IF NOT EXISTS ${LEASE_TABLE}
      (id INTEGER NOT NULL PRIMARY KEY, holder VARCHAR(36) NOT NULL, expires BIGINT NOT NULL)`,
  );
  await knex(LEASE_TABLE).insert({ id: 1, holder: '', expires: 0 }).onConflict('id').ignore();
  const patience = Date.now() + PATIENCE_MS;
  while ((await renewLease(knex, holder)) === 0) {
    if (Date.now() > patience) throw new Error('another process has been migrating for a minute');
    await sleep(50 + Math.random() * 100);
  }
}

/** Takes the lease if it is free or one's own; resolves to the number of leases held: 0 or 1. */
function renewLease(knex: Knex, holder: string): Promise<number> {
  const now = Date.now();
  return knex(LEASE_TABLE)
    .where('expires', '<', now)
    .orWhere({ holder })
    .update({ holder, expires: now + LEASE_MS });
}

export function isSqlite(knex: Knex): boolean {
  return knex.client instanceof SqliteDialect;
}
