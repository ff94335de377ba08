import type { Knex } from 'knex';
import type { DatabaseTarget } from './target.ts';

/** Everything in which one SQL engine differs from another, apart from how to connect to it. */
export interface Dialect {
  readonly kind: DatabaseTarget['kind'];
  /** The name of knex's driver for it. */
  readonly driverName: string;

  /** Whether a driver sends values apart from the SQL text, so that none can be read as SQL. */
  readonly sendsValuesApart: (client: unknown) => boolean;
  /**
   * Checks a connection of a host's pool. Asked only where values are written into the SQL text.
   * @throws Error if a value could be read as SQL, or change, on its way to the database or back,
   * or if statements are not committed at once
   */
  readonly refuseUnsafeSettings: (knex: Knex) => Promise<void>;

  /** An identifier as it stands in a statement. */
  readonly quote: (name: string) => string;
  /** Ends an INSERT: what follows is set in the row that has this key already. */
  readonly onDuplicate: (key: string) => string;
  /** After `onDuplicate`: the value that the INSERT gave for a column. */
  readonly insertedValue: (column: string) => string;
  /** Ends a SELECT: locks its rows against changes until the transaction ends. */
  readonly shareLock: string;
  /** The database's clock as an expression: whole seconds since 1970. */
  readonly epochSeconds: string;
  /** Gives `seconds` since 1970, with fractions. Undefined if the clock is this process's own. */
  readonly clockQuery: string | undefined;
  /** Gives a row if the database has a table or view of this name, which needs no quoting. */
  readonly tableQuery: (name: string) => string;
  /**
   * Wraps a SELECT so that it gives all its rows as one JSON text, `page`. Undefined if that is no
   * faster than to read the rows.
   */
  readonly jsonPage: ((columns: readonly string[], select: string) => string) | undefined;

  readonly types: ColumnTypes;
  /** Makes a table, with what belongs to it, unless it is there. */
  readonly createTable: (knex: Knex, table: TableDefinition) => Promise<void>;

  /** Inserts a row into a table that counts its ids; resolves to the id. */
  readonly insertForId: (
    knex: Knex,
    table: string,
    row: object,
  ) => Promise<number | string | undefined>;
  /** The rows, or the note on changed rows, out of what the driver answers. */
  readonly resultOf: (response: unknown) => unknown;
  /** How many rows a statement changed, by its result. */
  readonly changedRows: (result: unknown) => number;

  /** What an error of this engine means. Undefined if it is none that this engine gives. */
  readonly faultOf: (signs: ErrorSigns) => Fault | undefined;
  /** The code of the error by which a unique key refuses a value that is there already. */
  readonly uniqueViolation: string;
  /** The code of the error for a statement that the server cannot parse, if it has its own code. */
  readonly syntaxError: string | undefined;

  /** Whether a restore takes several steps, so that the database is marked until the last one. */
  readonly marksRestores: boolean;
}

/** Types of columns that must be named differently. All others are standard SQL. */
export interface ColumnTypes {
  /** A primary key that counts up and never gives the id of a deleted row again. */
  readonly id: string;
  /** A column that holds such an id. */
  readonly reference: string;
  readonly text: (maxLength: number) => string;
  /** ISO 8601 in UTC, with milliseconds. */
  readonly date: string;
}

export interface TableDefinition {
  readonly name: string;
  /** As they stand in CREATE TABLE, primary key and unique constraints included. */
  readonly columns: readonly string[];
  /** Names of columns by the names of their indexes. */
  readonly indexes?: Readonly<Record<string, string>>;
  /** A column whose rows are deleted with the row of another table that they refer to. */
  readonly owner?: { readonly key: string; readonly column: string; readonly table: string };
  /** Texts `as bytes` are equal only if all their bytes are, trailing spaces included. */
  readonly charset: 'utf8mb4 as bytes' | 'ascii as bytes' | 'utf8mb4' | 'ascii';
}

/** What an error says about the statement, or transaction, that it ended. */
export type Fault =
  /** SQLite: another connection holds the write lock. Nothing was done. */
  | 'busy'
  /** Rolled back because others changed the same rows: a deadlock, or a commit on another node. */
  | 'undone'
  /** Rolled back after waiting too long for rows that others had locked. */
  | 'locked'
  /** It reached no server that accepts statements. */
  | 'unsent'
  /** The connection is gone. The statement may have been executed. */
  | 'lost'
  /** The server has no such database, table or column, or does not show it to this account. */
  | 'unprepared'
  /** The server ended a statement that took too long. */
  | 'slow'
  /** The server, schema or file accepts no writes. */
  | 'readonly'
  /** The disk is full or fails, or another limit on storage is reached. */
  | 'full'
  /** Anything else. It would fail again. */
  | 'final';

/** What errors of drivers and of Node tell themselves apart by. */
export interface ErrorSigns {
  readonly code: unknown;
  readonly errno: unknown;
  readonly sqlState: unknown;
  readonly fatal: unknown;
}
