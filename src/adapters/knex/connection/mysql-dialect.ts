import type { Knex } from 'knex';
import type { Dialect, ErrorSigns, Fault, TableDefinition } from './dialect.ts';

const quote = (name: string): string => `\`${name}\``;

/** MySQL and MariaDB, by mysql2. */
export const mysqlDialect: Dialect = {
  kind: 'mysql',
  driverName: 'mysql2',

  sendsValuesApart: (client) => Reflect.get(Object(client), 'preparesValues') === true,
  refuseUnsafeSettings,

  quote,
  onDuplicate: () => 'ON DUPLICATE KEY UPDATE',
  insertedValue: (column) => `VALUES(${quote(column)})`,
  shareLock: 'LOCK IN SHARE MODE',
  epochSeconds: 'UNIX_TIMESTAMP()',
  clockQuery: 'SELECT UNIX_TIMESTAMP(NOW(6)) AS seconds',
  tableQuery: (name) => `SELECT 1 FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name = '${name}'`,
  jsonPage: undefined,

  types: {
    id: 'BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY',
    reference: 'BIGINT UNSIGNED',
    text: (maxLength) => `VARCHAR(${maxLength})`,
    date: 'CHAR(24)',
  },
  async createTable(knex, { name, columns, indexes = {}, owner, charset }) {
    const parts = [
      ...columns,
      ...Object.entries(indexes).map(([index, column]) => `INDEX ${index} (${column})`),
    ];
    // The server makes the index of a foreign key, under its name.
    if (owner) {
      parts.push(`CONSTRAINT ${owner.key} FOREIGN KEY (${owner.column})
        REFERENCES ${quote(owner.table)} (id) ON DELETE CASCADE`);
    }
    await knex.raw(`CREATE TABLE IF NOT EXISTS ${quote(name)} (${parts.join(', ')})
      ENGINE = InnoDB ROW_FORMAT = DYNAMIC
      DEFAULT CHARACTER SET ${await characterSet(knex, charset)}`);
  },

  async insertForId(knex, table, row) {
    const [id] = await knex(table).insert(row);
    return id;
  },
  /** Rows and the descriptions of their columns. */
  resultOf(response) {
    const parts: readonly unknown[] = Array.isArray(response) ? response : [];
    return parts[0];
  },
  changedRows: (result) => (isResultHeader(result) ? result.affectedRows : 0),

  faultOf({ code, errno, sqlState, fatal }) {
    // The driver gives no code to the error of a connection that had ended before.
    if (code === undefined && fatal === true) return 'unsent';
    const known = [errno, code, sqlState].find((sign) => FAULT_BY_SIGN.has(sign));
    return FAULT_BY_SIGN.get(known);
  },
  uniqueViolation: 'ER_DUP_ENTRY',
  syntaxError: 'ER_PARSE_ERROR',

  marksRestores: true,
};

/** By numbers of MySQL and MariaDB, the driver's codes, and SQLSTATE: some errors have only one. */
const FAULTS: readonly (readonly [Fault, readonly (number | string)[]])[] = [
  ['undone', [1213, 'ER_LOCK_DEADLOCK', 1020, 'ER_CHECKREAD', '40001']],
  // Group Replication and TiDB: another node changed the same rows first.
  ['undone', [3101, 'ER_TRANSACTION_ROLLBACK_DURING_COMMIT', 8002, 8005]],
  ['locked', [1205, 'ER_LOCK_WAIT_TIMEOUT']],
  // Too many connections, and a Galera node that is alone or not ready.
  ['unsent', [1040, 'ER_CON_COUNT_ERROR', 1203, 'ER_TOO_MANY_USER_CONNECTIONS', '08004']],
  ['unsent', [1047, 'ER_UNKNOWN_COM_ERROR']],
  ['lost', [2006, 2013, 'PROTOCOL_CONNECTION_LOST']],
  // A commit that failed in a cluster, a server that shuts down, a connection that was killed.
  ['lost', [1180, 'ER_ERROR_DURING_COMMIT', 1053, 'ER_SERVER_SHUTDOWN']],
  ['lost', [1927, 'ER_CONNECTION_KILLED', '08S01']],
  // --read-only, a read-only schema, a transaction that may not write.
  ['readonly', [1290, 1836, 1792]],
  // The disk, the file of a table, or a storage engine.
  ['full', [1021, 1114]],
  ['unprepared', [1049, 1146, 1054, 1044, 1142]],
  ['slow', [3024, 'ER_QUERY_TIMEOUT', 1969, 'ER_STATEMENT_TIMEOUT']],
];

const FAULT_BY_SIGN: ReadonlyMap<ErrorSigns[keyof ErrorSigns], Fault> = new Map(
  FAULTS.flatMap(([fault, signs]) => signs.map((sign) => [sign, fault] as const)),
);

async function characterSet(knex: Knex, charset: TableDefinition['charset']): Promise<string> {
  switch (charset) {
    case 'utf8mb4 as bytes':
      return `utf8mb4 COLLATE ${await byteCollation(knex)}`;
    case 'ascii as bytes':
      return 'ascii COLLATE ascii_bin';
    default:
      return charset;
  }
}

/**
 * MariaDB and MySQL name it differently; `utf8mb4_bin`, which both have, ignores trailing spaces.
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

// A stock mysql2 writes values into the text of a query, with `\` before each quote. SQL can be
// injected on a server that takes a backslash literally (NO_BACKSLASH_ESCAPES), or that converts to
// a charset in which another letter becomes a quote (`ħ` in latin1). This text shows both.
const SENT = '\\Ł';
const RECEIVED = Buffer.from(SENT).toString('hex').toUpperCase();

interface Receipt {
  readonly received: string;
  readonly returned: string;
  readonly charset: string;
  readonly autocommit: number | string;
}

async function refuseUnsafeSettings(knex: Knex): Promise<void> {
  const [[receipt]] = await knex.raw<readonly [readonly [Receipt]]>(
    `SELECT HEX(?) AS received, ? AS returned, @@character_set_client AS charset,
      @@autocommit AS autocommit`,
    [SENT, SENT],
  );
  const { received, returned, charset, autocommit } = receipt;
  if (received !== RECEIVED || returned !== SENT || charset !== 'utf8mb4') {
    throw new Error(
      "the knex's connections change texts, or could let one be read as SQL: they need the charset" +
        ' utf8mb4, and a sql_mode without NO_BACKSLASH_ESCAPES',
    );
  }
  if (Number(autocommit) !== 1) {
    throw new Error(
      "the knex's connections commit nothing by themselves: set autocommit = 1 in pool.afterCreate",
    );
  }
}

function isResultHeader(result: unknown): result is { readonly affectedRows: number } {
  return typeof result === 'object' && result !== null && 'affectedRows' in result;
}
