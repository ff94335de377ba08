import type { Email } from './credentials.ts';

/** Positive, made by the store, never used twice. Ids need not be consecutive. */
export type UserId = number;

/** An account as anybody may see it, without the password hash. */
export interface User {
  readonly id: UserId;
  readonly username: string;
  readonly email: Email;
  readonly dateCreated: Date;
}

/** The rights of a user. An `admin` has those of a `user`, and more. */
export type Role = 'user' | 'admin';

/** A user as an operator sees them. */
export interface UserRecord extends User {
  readonly role: Role;
  /** A disabled user cannot sign in, and none of their sessions and tokens works. */
  readonly disabled: boolean;
}

/** The part of a record that anybody may see. */
export function publicUser({ id, username, email, dateCreated }: User): User {
  return { id, username, email, dateCreated };
}

export function isRole(value: unknown): value is Role {
  return value === 'user' || value === 'admin';
}

/** Whether `role` has the rights of `required`. */
export function includesRole(role: Role, required: Role): boolean {
  return role === 'admin' || role === required;
}

/** A user with the stored password hash, for the use cases that check a password. */
export interface Account {
  readonly user: UserRecord;
  /** PHC string, as the hasher made it. */
  readonly passwordHash: string;
  /**
   * Changes when the password is changed and when the user is disabled, but not when the hash of the same
   * password is upgraded. A proof of the password is valid for one version only.
   */
  readonly passwordVersion: number;
}

/** An account that has no id yet. It is a `user`, and not disabled, unless given. */
export type NewAccount = Omit<User, 'id'> &
  Pick<Account, 'passwordHash'> &
  Partial<Pick<UserRecord, 'role' | 'disabled'>>;
