import type { Email, NewAccount, UserRecord } from '../../application/index.ts';
import { isRole } from '../../domain/user.ts';
import { parseDate, toBoolean, toNumber } from './columns.ts';

/** A user as a database gives it. */
export interface UserRow {
  /** A text if a host told its driver so. */
  readonly id: number | string;
  readonly username: string;
  readonly email: Email;
  /** Whatever an operator wrote there. */
  readonly role: string;
  readonly disabled: number | string | boolean;
  readonly date_created: string;
}

export interface AccountRow extends UserRow {
  readonly password_hash: string;
  readonly password_version: number | string;
}

/** The columns of a `UserRecord`. Without the hash, so that no list can ever show one. */
export const USER_COLUMNS = [
  'id',
  'username',
  'email',
  'role',
  'disabled',
  'date_created',
] as const satisfies readonly (keyof UserRow)[];

/** The fields of a new account that need not be given. */
export const NEW_USER = { role: 'user', disabled: false } as const;

/** An unknown role counts as `user`, which may do least. */
export function toUser({ id, username, email, role, disabled, date_created }: UserRow): UserRecord {
  return {
    id: toNumber(id),
    username,
    email,
    dateCreated: parseDate(date_created, id),
    role: isRole(role) ? role : NEW_USER.role,
    disabled: toBoolean(disabled),
  };
}

/** The columns of a new account, by name: for `users` and for imports. */
export function toRow(account: NewAccount) {
  const { username, email, passwordHash, dateCreated, role, disabled } = {
    ...NEW_USER,
    ...account,
  };
  return {
    username,
    email,
    password_hash: passwordHash,
    date_created: dateCreated.toISOString(),
    role,
    disabled: Number(disabled),
  };
}
