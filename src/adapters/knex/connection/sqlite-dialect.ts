import type { Dialect } from './dialect.ts';

const quote = (name: string): string => `\`${name}\``;

/** SQLite, by libsql or better-sqlite3. */
export const sqliteDialect: Dialect = {
  kind: 'sqlite',
  driverName: 'better-sqlite3',

  sendsValuesApart: () => true,
  async refuseUnsafeSettings() {},

  quote,
  onDuplicate: (key) => `ON CONFLICT (${quote(key)}) DO UPDATE SET`,
  insertedValue: (column) => `excluded.${quote(column)}`,
  shareLock: '', // A write locks the whole file.
  epochSeconds: "strftime('%s', 'now')",
  clockQuery: undefined,
  // SQLite compares names of tables without regard to case.
  tableQuery: (name) => `SELECT 1 FROM sqlite_master WHERE lower(name) = '${name.toLowerCase()}'`,
  // The driver takes 1 µs to hand a row over, and a third of that for its part of a JSON text.
  jsonPage(columns, select) {
    const members = columns.map((column) => `'${column}', ${column}`).join(', ');
    return `SELECT json_group_array(json_object(${members})) AS page FROM (${select})`;
  },

  types: {
    // Without AUTOINCREMENT, SQLite gives the id of a deleted last user, and so the deleted user's
    // tokens, to the next one.
    id: 'INTEGER PRIMARY KEY AUTOINCREMENT',
    reference: 'INTEGER',
    text: () => 'TEXT',
    date: 'TEXT',
  },
  async createTable(knex, { name, columns, indexes = {}, owner }) {
    const table = quote(name);
    const parts = [...columns];
    const keys = { ...indexes };
    if (owner) {
      parts.push(`FOREIGN KEY (${owner.column}) REFERENCES ${quote(owner.table)} (id)
        ON DELETE CASCADE`);
      keys[owner.key] = owner.column;
    }
    await knex.raw(`CREATE TABLE IF NOT EXISTS ${table} (${parts.join(', ')})`);
    for (const [key, column] of Object.entries(keys)) {
      await knex.raw(`CREATE INDEX IF NOT EXISTS ${key} ON ${table} (${column})`);
    }
    // SQLite enforces foreign keys only on connections that ask for it; an operator's shell does
    // not.
    if (owner) {
      await knex.raw(`CREATE TRIGGER IF NOT EXISTS ${name}_follow_${owner.table}
        AFTER DELETE ON ${quote(owner.table)}
        BEGIN DELETE FROM ${table} WHERE ${owner.column} = OLD.id; END`);
    }
  },

  async insertForId(knex, table, row) {
    const [id] = await knex(table).insert(row);
    return id;
  },
  resultOf: (response) => response,
  changedRows: (result) => (isRunResult(result) ? result.changes : 0),

  faultOf({ code }) {
    if (typeof code !== 'string') return undefined;
    if (code.startsWith('SQLITE_BUSY')) return 'busy';
    if (code.startsWith('SQLITE_READONLY')) return 'readonly';
    if (code.startsWith('SQLITE_IOERR') || code === 'SQLITE_FULL') return 'full';
    return undefined;
  },
  uniqueViolation: 'SQLITE_CONSTRAINT_UNIQUE',
  syntaxError: undefined, // `SQLITE_ERROR` says it, among much else.

  marksRestores: false, // A file is replaced in one step.
};

function isRunResult(result: unknown): result is { readonly changes: number } {
  return typeof result === 'object' && result !== null && 'changes' in result;
}
