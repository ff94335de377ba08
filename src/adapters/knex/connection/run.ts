import { randomUUID } from 'node:crypto';
import { writing } from './retry.ts';

/**
 * Runs a statement on a connection of knex's pool, past the builder and runner of its queries: they cost
 * half as much as the rest of a small one. Its limits on time and its events are as ever. Resolves to
 * what the driver gives: rows, or a note of what was changed.
 */
export async function runDirectly<Result>(
  { client }: HasDirectClient<Result>,
  sql: string,
  bindings: readonly (string | number | null)[],
): Promise<Result> {
  const connection = await client.acquireConnection();
  try {
    const query = { sql, bindings, __knexQueryUid: randomUUID() };
    const result = await resultOf(client, connection, query);
    const { __knexUid, __knexTxId } = connection;
    client.emit('query-response', result, { __knexUid, __knexTxId, ...query });
    return result;
  } finally {
    void client.releaseConnection(connection);
  }
}

async function resultOf<Result>(
  client: HasDirectClient<Result>['client'],
  connection: Connection,
  query: Query,
): Promise<Result> {
  if (client.driverName !== 'mysql2') return (await client.query(connection, query)).response;
  const [result] = (await client.query(connection, query)).response;
  return result;
}

/** What knex has, and says nothing of in its types. */
export interface HasDirectClient<Result> {
  readonly isTransaction?: boolean | undefined;
  readonly client:
    | DirectClient<'mysql2', readonly [Result, unknown]>
    | DirectClient<'better-sqlite3', Result>;
}

interface DirectClient<Name, Response> {
  readonly driverName: Name;
  acquireConnection(): Promise<Connection>;
  releaseConnection(connection: Connection): Promise<void>;
  query(connection: Connection, query: Query): Promise<{ readonly response: Response }>;
  emit(event: 'query-response', result: unknown, query: Query & Connection): void;
}

/** The names that events tell a connection and its transaction by. */
interface Connection {
  readonly __knexUid?: string | undefined;
  readonly __knexTxId?: string | undefined;
}

interface Query {
  readonly sql: string;
  readonly bindings: readonly (string | number | null)[];
  /** Who listens tells by it which answer is to which query. */
  readonly __knexQueryUid: string;
}

/**
 * As many keys as a power of two, with the last one again and again: a few statements, which connections
 * keep prepared, do for every number.
 */
export function filled<Key>(keys: readonly Key[]): readonly Key[] {
  const missing = 2 ** Math.ceil(Math.log2(keys.length)) - keys.length;
  return [
    ...keys,
    ...keys.slice(-1).flatMap((last) => Array.from({ length: missing }, () => last)),
  ];
}

/** Which rows of some ids are to go, and how long that is tried. */
interface Deletion {
  /** Only those that had expired by this date: they can have begun anew. */
  readonly expiredBy?: string;
  /** Milliseconds. */
  readonly patience?: number;
}

/** Deletes the rows of these ids, again where that helps; resolves to how many there were. */
export async function deleteByIds(
  knex: HasDirectClient<Changed>,
  table: string,
  ids: readonly string[],
  { expiredBy, ...retries }: Deletion = {},
): Promise<number> {
  if (ids.length === 0) return 0;
  // In the same order wherever it is done, so that no two wait for each other.
  const keys = filled(ids.toSorted());
  const condition = expiredBy === undefined ? '' : ' AND `expires` <= ?';
  const sql = `DELETE FROM \`${table}\` WHERE \`id\` IN (${places(keys.length)})${condition}`;
  const values = expiredBy === undefined ? keys : [...keys, expiredBy];
  const remove = async () => changedRows(await runDirectly(knex, sql, values));
  return writing(knex, remove, { found: null, ...retries });
}

/** The places of so many values in a statement. */
export function places(count: number): string {
  return Array.from({ length: count }, () => '?').join(', ');
}

/** What the drivers give for a statement that changes rows. */
export type Changed = { readonly affectedRows: number } | { readonly changes: number };

export function changedRows(result: Changed): number {
  return 'changes' in result ? result.changes : result.affectedRows;
}

/** A driver can be told to give whole numbers as texts. */
export function toNumber(value: number | string): number {
  return Number(value);
}

/** A driver can be told to give these as texts, or as booleans. */
export function toBoolean(value: number | string | boolean): boolean {
  return Number(value) !== 0;
}

/** Somebody else may have written the row, which is `of` this user: better a fault now than in the middle of a reply. */
export function time(text: string, of: number | string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime()))
    throw new Error(`a row of user ${of} has a time that cannot be read`);
  return date;
}
