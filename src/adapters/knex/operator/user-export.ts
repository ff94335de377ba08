import type { Knex } from 'knex';
import { reading } from '../connection/retry.ts';
import { toBoolean, toNumber } from '../columns.ts';
import { DEFAULT_TABLES } from '../tables.ts';
import { USER_COLUMNS, type UserRow } from '../user-row.ts';

/** A row of users, with the types of its columns whatever the driver gives. */
export interface ExportedUser extends Omit<UserRow, 'id' | 'disabled'> {
  readonly id: number;
  readonly disabled: boolean;
  readonly password_hash?: string;
}

const PAGE_ROWS = 1_024;

/** All users by ascending id, a page at a time; with their hashes only if asked for. */
export async function* exportedUsers(
  knex: Knex,
  withHashes: boolean,
): AsyncGenerator<readonly ExportedUser[]> {
  const columns = withHashes ? [...USER_COLUMNS, 'password_hash'] : [...USER_COLUMNS];
  const pageAfter = (id: number) =>
    reading(knex, async () =>
      knex(DEFAULT_TABLES.users)
        .where('id', '>', id)
        .orderBy('id')
        .limit(PAGE_ROWS)
        .select<(UserRow & Pick<ExportedUser, 'password_hash'>)[]>(columns),
    );
  for (let after = 0; ; ) {
    const rows = await pageAfter(after);
    const users = rows.map((row) => ({
      ...row,
      id: toNumber(row.id),
      disabled: toBoolean(row.disabled),
    }));
    const last = users.at(-1);
    if (last === undefined) return;
    yield users;
    after = last.id;
  }
}
