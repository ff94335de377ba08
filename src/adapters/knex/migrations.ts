import type { Knex } from 'knex';
import { DEFAULT_TABLES, isSqlite, notesOf, type TableNames } from './tables.ts';

/**
 * The schema, step by step. Each step can be run again, wholly or in part, by any number of
 * processes: what is there already is left alone. Columns are named as on the wire. Times are ISO
 * 8601 UTC text as on the wire too: it sorts by time, and no driver or time zone can shift it.
 */
export function stepsOf(tables: TableNames): Readonly<Record<string, Knex.Migration>> {
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
