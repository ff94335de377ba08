import type { Email } from './credentials.ts';

/** Made by the store, positive, never given twice; never assumed to follow on. */
export type UserId = number;

/** An account as anybody may see it. What proves its owner, the password hash, is not part of it. */
export interface User {
  readonly id: UserId;
  readonly username: string;
  readonly email: Email;
  readonly dateCreated: Date;
}

/** What a user may do: an `admin` all that a `user` may, and more. */
export type Role = 'user' | 'admin';

/** A user as whoever runs the service sees them. */
export interface UserRecord extends User {
  readonly role: Role;
  /** Whether they are shut out: no password, session or token of theirs is good for anything. */
  readonly disabled: boolean;
}

/** Of a record, what anybody may see. */
export function publicUser({ id, username, email, dateCreated }: User): User {
  return { id, username, email, dateCreated };
}

export function isRole(value: unknown): value is Role {
  return value === 'user' || value === 'admin';
}

/** Whether somebody of this role may do what `required` is needed for. */
export function includesRole(role: Role, required: Role): boolean {
  return role === 'admin' || role === required;
}

/** A user together with the stored password hash: for the use cases that check a password. */
export interface Account {
  readonly user: UserRecord;
  /** PHC string, as the hasher made it. */
  readonly passwordHash: string;
  /**
   * Changes with the password, but not when the hash of the same password is upgraded; and when the user
   * is disabled: what was proved before is void.
   */
  readonly passwordVersion: number;
}

/** An account that the store has not numbered yet: a `user`, and not disabled, unless it says so. */
export type NewAccount = Omit<User, 'id'> &
  Pick<Account, 'passwordHash'> &
  Partial<Pick<UserRecord, 'role' | 'disabled'>>;
