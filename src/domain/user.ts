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

/** A user together with the stored password hash: for the use cases that check a password. */
export interface Account {
  readonly user: User;
  /** PHC string, as the hasher made it. */
  readonly passwordHash: string;
  /** Changes with the password, but not when the hash of the same password is upgraded. */
  readonly passwordVersion: number;
}

/** An account that the store has not numbered yet. */
export type NewAccount = Omit<User, 'id'> & Pick<Account, 'passwordHash'>;
