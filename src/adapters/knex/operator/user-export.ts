import type { Knex } from 'knex';
import { reading } from '../connection/retry.ts';
import { toBoolean, toNumber } from '../columns.ts';
import { DEFAULT_TABLES } from '../tables.ts';

/** A user, with the names of the HTTP interface. */
export interface ExportedUser {
  readonly id: number;
  readonly username: string;
  readonly email: string;
  readonly role: string;
  readonly disabled: boolean;
  readonly date_created: string;
  readonly password_hash?: string;
}

interface Row extends Omit<ExportedUser, 'id' | 'disabled'> {
  readonly id: number | string;
  readonly disabled: number | string | boolean;
}

const PAGE_ROWS = 1_024;

/** All users by ascending id, a page at a time; with their hashes only if asked for. */
export async function* exportedUsers(
  knex: Knex,
  withHashes: boolean,
): AsyncGenerator<readonly ExportedUser[]> {
  const columns = ['id', 'username', 'email', 'role', 'disabled', 'date_created'];
  if (withHashes) columns.push('password_hash');
  const pageAfter = (id: number) =>
    reading(knex, async () =>
      knex(DEFAULT_TABLES.users)
        .where('id', '>', id)
        .orderBy('id')
        .limit(PAGE_ROWS)
        .select<Row[]>(columns),
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
