import type { Knex } from 'knex';
import { dialectOf, hasTable } from './dialects.ts';

/**
 * The table that marks a database on a server while a restore empties and fills it, and after one
 * that did not finish. Its row holds the id that the next user would have got before the restore.
 */
export const RESTORE_MARK = 'portcullis_restore';

/** A restore stopped halfway: nobody knows which rows are missing. */
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
  if (dialectOf(knex).marksRestores && (await hasTable(knex, RESTORE_MARK))) {
    throw new UnfinishedRestore();
  }
}
