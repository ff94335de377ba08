import type { Knex } from 'knex';
import { isSqlite } from '../tables.ts';

/**
 * The table that a database on a server has while a restore empties and fills it, and after one that did not get to its end.
 * In it: the id that the next user would have got before. SQLite needs none: a file is replaced in one step.
 */
export const RESTORE_MARK = 'portcullis_restore';

/** Gives a row where there is that table. */
export const SELECT_MARK = `SELECT 1 FROM information_schema.tables
  WHERE table_schema = DATABASE() AND table_name = '${RESTORE_MARK}'`;

/** There is no telling what is missing in the database. */
export class UnfinishedRestore extends Error {
  override readonly name = 'UnfinishedRestore';

  constructor() {
    super(
      `a restore of the database was not finished (it has a table ${RESTORE_MARK}): restore again, with --replace`,
    );
  }
}

/** @throws UnfinishedRestore */
export async function refuseUnfinishedRestore(knex: Knex): Promise<void> {
  if (isSqlite(knex)) return;
  const [rows] = await knex.raw<readonly [readonly object[]]>(SELECT_MARK);
  if (rows.length > 0) throw new UnfinishedRestore();
}
