import type { Knex } from 'knex';
import type { ColumnTypes, TableDefinition } from './connection/dialect.ts';
import { dialectOf } from './connection/dialects.ts';
import { DEFAULT_TABLES, notesOf, type TableNames } from './tables.ts';

/**
 * The schema, step by step. Any number of processes can run a step again, also one that stopped
 * halfway: a step leaves alone what is there. Columns and times are as on the wire: ISO 8601 text
 * in UTC sorts by time, and no driver or time zone can shift it.
 */
export function stepsOf(tables: TableNames): Readonly<Record<string, Knex.Migration>> {
  const { users, sessions, attempts } = tables;
  return {
    '0001_users_and_sessions': {
      async up(knex) {
        const { types, createTable } = dialectOf(knex);
        await createTable(knex, usersTable(tables, types));
        await createTable(knex, sessionsTable(tables, types));
      },
      async down(knex) {
        await knex.schema.dropTableIfExists(sessions);
        await knex.schema.dropTableIfExists(users);
      },
    },
    '0002_devices_rotation_password_versions': {
      async up(knex) {
        const type = `${dialectOf(knex).types.text(255)} NULL`;
        for (const column of SESSION_COLUMNS_2) await addColumn(knex, sessions, column, type);
        await addColumn(knex, users, 'password_version', 'INTEGER NOT NULL DEFAULT 0');
      },
      async down(knex) {
        for (const column of SESSION_COLUMNS_2) await dropColumn(knex, sessions, column);
        await dropColumn(knex, users, 'password_version');
      },
    },
    '0003_attempts': {
      async up(knex) {
        const { types, createTable } = dialectOf(knex);
        await createTable(knex, attemptsTable(tables, types));
      },
      async down(knex) {
        await knex.schema.dropTableIfExists(attempts);
      },
    },
    '0004_roles_disabled_users': {
      // With defaults, because processes of the release before still insert users meanwhile. Every
      // engine adds such columns at once, however many users there are.
      async up(knex) {
        const role = dialectOf(knex).types.text(32);
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

/** Adds a column unless it is there: not every engine has ADD COLUMN IF NOT EXISTS. */
async function addColumn(knex: Knex, table: string, column: string, type: string): Promise<void> {
  if (await knex.schema.hasColumn(table, column)) return;
  await knex.raw(`ALTER TABLE ${dialectOf(knex).quote(table)} ADD COLUMN ${column} ${type}`);
}

/** By hand: knex copies a SQLite table to drop a column, which loses triggers and sessions. */
async function dropColumn(knex: Knex, table: string, column: string): Promise<void> {
  if (!(await knex.schema.hasColumn(table, column))) return;
  await knex.raw(`ALTER TABLE ${dialectOf(knex).quote(table)} DROP COLUMN ${column}`);
}

function usersTable({ users }: TableNames, types: ColumnTypes): TableDefinition {
  return {
    name: users,
    columns: [
      `id ${types.id}`,
      `username ${types.text(255)} NOT NULL`,
      `email ${types.text(254)} NOT NULL`,
      `password_hash ${types.text(255)} NOT NULL`,
      `date_created ${types.date} NOT NULL`,
      `CONSTRAINT ${users}_email UNIQUE (email)`,
    ],
    charset: 'utf8mb4 as bytes',
  };
}

function sessionsTable({ users, sessions }: TableNames, types: ColumnTypes): TableDefinition {
  return {
    name: sessions,
    columns: [
      `id ${types.text(64)} NOT NULL PRIMARY KEY`,
      `user_id ${types.reference} NOT NULL`,
      `date_created ${types.date} NOT NULL`,
      `expires ${types.date} NOT NULL`,
    ],
    indexes: { [`${sessions}_expires`]: 'expires' },
    owner: { key: `${sessions}_user_id`, column: 'user_id', table: users },
    charset: 'utf8mb4 as bytes',
  };
}

/** The id is a hash (base64url) of the key: people type passwords into email fields. */
function attemptsTable({ attempts }: TableNames, types: ColumnTypes): TableDefinition {
  return {
    name: attempts,
    columns: [
      `id ${types.text(64)} NOT NULL PRIMARY KEY`,
      'count INTEGER NOT NULL',
      `expires ${types.date} NOT NULL`,
    ],
    indexes: { [`${attempts}_expires`]: 'expires' },
    charset: 'ascii as bytes',
  };
}

/**
 * The settings by which knex and its command line make the steps. They record them in a table of
 * our own, apart from the host's migrations. Every setting is given, because knex would take the
 * others from the host's knex.
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
    schemaName: '', // The connection's own.
    disableTransactions: false,
    disableMigrationsListValidation: false,
    ...Object.fromEntries(HOOKS.map((hook) => [hook, async () => {}])),
  };
}

const HOOKS = ['beforeAll', 'beforeEach', 'afterEach', 'afterAll'];
