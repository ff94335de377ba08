import { randomUUID } from 'node:crypto';
import { dialectOf } from './dialects.ts';

/**
 * Runs a statement on a connection of knex's pool without knex's query builder and runner, which
 * would add half to the cost of a small one. knex's time limits and events stay in force. Resolves
 * to rows, or to the driver's note on changed rows; the caller knows which, and what is in them.
 */
export async function runDirectly<Result>(
  knex: HasDirectClient,
  sql: string,
  bindings: readonly (string | number | null)[],
): Promise<Result> {
  const { client } = knex;
  const connection = await client.acquireConnection();
  try {
    const query = { sql, bindings, __knexQueryUid: randomUUID() };
    const { response } = await client.query(connection, query);
    const result = dialectOf(knex).resultOf(response);
    const { __knexUid, __knexTxId } = connection;
    client.emit('query-response', result, { __knexUid, __knexTxId, ...query });
    if (!isResult<Result>(result)) throw new Error('the driver gave no result');
    return result;
  } finally {
    void client.releaseConnection(connection);
  }
}

/** Runs a statement as `runDirectly` does; resolves to the number of rows that it changed. */
export async function runChange(
  knex: HasDirectClient,
  sql: string,
  bindings: readonly (string | number | null)[],
): Promise<number> {
  return dialectOf(knex).changedRows(await runDirectly(knex, sql, bindings));
}

function isResult<Result>(result: unknown): result is Result {
  return result !== undefined;
}

/** What knex has, and does not say in its types. */
export interface HasDirectClient {
  readonly isTransaction?: boolean | undefined;
  readonly client: {
    readonly driverName: string;
    acquireConnection(): Promise<Connection>;
    releaseConnection(connection: Connection): Promise<void>;
    query(connection: Connection, query: Query): Promise<{ readonly response: unknown }>;
    emit(event: 'query-response', result: unknown, query: Query & Connection): void;
  };
}

/** The names of a connection and its transaction in knex's events. */
interface Connection {
  readonly __knexUid?: string | undefined;
  readonly __knexTxId?: string | undefined;
}

interface Query {
  readonly sql: string;
  readonly bindings: readonly (string | number | null)[];
  /** By which a listener knows the query that a response belongs to. */
  readonly __knexQueryUid: string;
}

/**
 * Repeats the last key until their number is a power of two: so a few prepared statements, which
 * connections keep, serve every number of keys.
 */
export function padToPowerOfTwo<Key>(keys: readonly Key[]): readonly Key[] {
  const missing = 2 ** Math.ceil(Math.log2(keys.length)) - keys.length;
  return [
    ...keys,
    ...keys.slice(-1).flatMap((last) => Array.from({ length: missing }, () => last)),
  ];
}

/** `?, ?, ?` for three values. */
export function placeholders(count: number): string {
  return Array.from({ length: count }, () => '?').join(', ');
}
