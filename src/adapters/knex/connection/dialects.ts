import type { Knex } from 'knex';
import type { Dialect } from './dialect.ts';
import { mysqlDialect } from './mysql-dialect.ts';
import { sqliteDialect } from './sqlite-dialect.ts';

/** Every SQL engine that there is a dialect for. */
export const DIALECTS: readonly Dialect[] = [mysqlDialect, sqliteDialect];

/** What knex knows about its client, and does not say in its types. */
export interface HasDriver {
  readonly client: { readonly driverName: string };
}

const BY_DRIVER: ReadonlyMap<string, Dialect> = new Map(
  DIALECTS.map((dialect) => [dialect.driverName, dialect]),
);

/**
 * The dialect of a knex. No other code asks which engine it works on.
 * @throws RangeError for a driver that there is no dialect for
 */
export function dialectOf({ client: { driverName } }: HasDriver): Dialect {
  const dialect = BY_DRIVER.get(driverName);
  if (dialect) return dialect;
  const known = [...BY_DRIVER.keys()].join(' or ');
  throw new RangeError(`knex must have ${known} as its client, not ${driverName}`);
}

/** The rows in what `knex.raw` resolves to. */
export function rowsOf(knex: HasDriver, response: unknown): readonly unknown[] {
  const rows = dialectOf(knex).resultOf(response);
  return Array.isArray(rows) ? rows : [];
}

/** Whether the database has a table or view of this name, which needs no quoting. */
export async function hasTable(knex: Knex, name: string): Promise<boolean> {
  const response: unknown = await knex.raw(dialectOf(knex).tableQuery(name));
  return rowsOf(knex, response).length > 0;
}
