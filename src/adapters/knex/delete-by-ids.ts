import { dialectOf } from './connection/dialects.ts';
import { writing } from './connection/retry.ts';
import {
  type HasDirectClient,
  padToPowerOfTwo,
  placeholders,
  runChange,
} from './connection/run.ts';

interface Deletion {
  /** Keeps rows that expire after this date: they were renewed after their ids were read. */
  readonly expiredBy?: string;
  /** As in `Write`. */
  readonly retryForMs?: number;
}

/** Deletes the rows with these ids, and retries where that helps; resolves to their number. */
export async function deleteByIds(
  knex: HasDirectClient,
  table: string,
  ids: readonly string[],
  { expiredBy, ...retries }: Deletion = {},
): Promise<number> {
  if (ids.length === 0) return 0;
  // Every caller locks rows in the same order, so that no two of them wait for each other.
  const keys = padToPowerOfTwo(ids.toSorted());
  const condition = expiredBy === undefined ? '' : ' AND expires <= ?';
  const from = dialectOf(knex).quote(table);
  const sql = `DELETE FROM ${from} WHERE id IN (${placeholders(keys.length)})${condition}`;
  const values = expiredBy === undefined ? keys : [...keys, expiredBy];
  return writing(knex, () => runChange(knex, sql, values), { found: null, ...retries });
}
