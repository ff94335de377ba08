import type { Email, PasswordPolicy } from '../domain/credentials.ts';
import type { AuthEventName, AuthEvents } from '../domain/events.ts';
import type { FirstSession, Session } from '../domain/session.ts';
import type { Account, NewAccount, Role, UserId, UserRecord } from '../domain/user.ts';

/**
 * What the use cases need from adapters. A contract in `src/testing/` proves each promise of a
 * repository, hasher or issuer on every adapter. A port method that throws anything but the `AuthError`
 * named here reports a fault of its part; the use cases pass it on.
 */
export interface Ports {
  readonly users: UserRepository;
  readonly sessions: SessionRepository;
  readonly hasher: PasswordHasher;
  readonly tokens: TokenIssuer;
  readonly attempts: AttemptCounter;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly events: EventPublisher;
}

/** What an operator decides. The `TokenIssuer` knows how long tokens last. */
export interface Policy extends PasswordPolicy {
  /**
   * Whether each refresh replaces the refresh token, and the use of a replaced one ends its session
   * (RFC 9700 §2.2.2). Off unless given.
   */
  readonly refreshRotation?: boolean;
}

/** The accounts. Each method is atomic, in any number of processes. */
export interface UserRepository {
  /**
   * Stores an account and its first session, if it has one, both or neither, durably before it resolves.
   * The store's own unique key decides: of any number of concurrent inserts of one email, in any
   * number of processes, exactly one resolves.
   * @throws AuthError `email_taken`
   */
  insert(account: NewAccount, session?: FirstSession): Promise<UserRecord>;

  /** The user of an id; undefined where there is none. */
  findById(id: UserId): Promise<UserRecord | undefined>;

  /** Equality is that of the bytes: no case, accent, width or trailing space is folded. */
  findByEmail(email: Email): Promise<Account | undefined>;

  /**
   * Compare and set: replaces the hash only while it still is `current`, so that an upgrade never
   * undoes a change of password. Resolves to whether it did.
   */
  replacePasswordHash(id: UserId, current: string, replacement: string): Promise<boolean>;

  /**
   * Replaces the password while it still is of `version`, and ends every session of the user but
   * one, both or neither. Resolves to whether it did. The password gets another version.
   */
  changePassword(change: PasswordChange): Promise<boolean>;

  /**
   * Erases a user and their sessions while their password still is of `passwordVersion`, where one is
   * given. Resolves to whether it did.
   */
  delete(id: UserId, passwordVersion?: number): Promise<boolean>;

  /** Gives a user a role. Resolves to whether there is such a user. */
  setRole(id: UserId, role: Role): Promise<boolean>;

  /**
   * Disables or enables a user, and ends all their sessions; both or neither. Disabling changes the
   * password's version, so that a sign-in under way that has proved the password fails; enabling keeps
   * it. Resolves to whether there is such a user.
   */
  setDisabled(id: UserId, disabled: boolean): Promise<boolean>;

  /**
   * Up to `limit` users whose id is greater than `after`, by ascending id; with an `email`, only the
   * one that has it. Holds nothing in the store between two pages.
   */
  page(query: PageQuery): Promise<readonly UserRecord[]>;
}

/** A change of password, as the store makes it. */
export interface PasswordChange {
  readonly userId: UserId;
  /** The version of the password that was proved; absent where none was: then any. */
  readonly version?: number;
  readonly passwordHash: string;
  /** The session that stays; absent: none does. */
  readonly keep?: string;
}

/** Which users a page is to hold. */
export interface PageQuery {
  readonly after: UserId;
  readonly limit: number;
  readonly email?: Email;
}

/** The sessions. Each method is atomic, in any number of processes. */
export interface SessionRepository {
  /**
   * Stores a session of a user whose password is of `passwordVersion`. Resolves to false, storing
   * nothing, if there is none, or no longer: a sign-in with a password that is being changed either
   * is stored before the change, which then ends it, or not at all.
   */
  insert(session: Session, passwordVersion: number): Promise<boolean>;

  /** Also finds sessions that have expired. A deleted user's sessions are gone with the user. */
  find(id: string): Promise<Session | undefined>;

  /** Notes the use of a session, if it is there. */
  touch(id: string, now: Date): Promise<void>;

  /**
   * Exchanges a session's current refresh token for its successor, atomically: of any number of
   * concurrent calls, in any number of processes, one is `rotated`. For `grace` seconds the others, and
   * a client that repeats its request, are `repeated`: they get the same successor. Later, or with any
   * older token, it is `reused`: the session is gone when this resolves.
   */
  rotate(rotation: Rotation): Promise<RotationOutcome>;

  /** The sessions of a user that have not expired, the oldest first. */
  list(userId: UserId, now: Date): Promise<readonly Session[]>;

  /**
   * Removes a session of this user, expired or not. Resolves to whether there was one that had not
   * expired.
   */
  remove(id: string, userId: UserId, now: Date): Promise<boolean>;

  /** Ends every session of a user. */
  removeAll(userId: UserId): Promise<void>;

  /** Removes up to `limit` sessions that have expired; resolves to their number. */
  removeExpired(now: Date, limit: number): Promise<number>;
}

/** An exchange of a refresh token for its successor. */
export interface Rotation {
  readonly sessionId: string;
  /** The `jti` of the token that the client presents. */
  readonly presented: string;
  /** The `jti` of the token that takes its place. */
  readonly successor: string;
  readonly now: Date;
  /** Seconds. */
  readonly grace: number;
}

/** The result of a rotation. `rotated` and `repeated` have the current token, and when it was made. */
export type RotationOutcome =
  | { readonly kind: 'rotated' | 'repeated'; readonly tokenId: string; readonly date: Date }
  | { readonly kind: 'reused' | 'unknown' | 'expired' };

/** The result of a password check. `outdated`: right, but the hash is weaker than today's. */
export type Verdict = 'right' | 'outdated' | 'wrong';

/** Hashes and checks passwords, with a bound on the work it does at once. */
export interface PasswordHasher {
  /**
   * A salted PHC string of the whole text.
   * @throws AuthError `service_busy` when more work waits than the hasher admits
   */
  hash(password: string): Promise<string>;

  /**
   * Checks a password. Without a hash (no such account), or with one that cannot be read, it does the
   * same work on a decoy and says `wrong`: each call costs one hash, whether there is an account or not.
   * @throws AuthError `service_busy` when more work waits than the hasher admits
   */
  verify(passwordHash: string | undefined, password: string): Promise<Verdict>;

  /**
   * Runs work that is going to hash, and reserves a place for it first, so that work beyond the bound
   * is refused before anything has been done for it.
   * @throws AuthError `service_busy` when there is no place; and whatever the work throws
   */
  admit<T>(work: () => Promise<T>): Promise<T>;
}

/** The claims of a token, apart from its kind and its times. */
export interface TokenClaims {
  readonly userId: UserId;
  readonly sessionId: string;
  /** Unique to this token (`jti`). */
  readonly tokenId: string;
}

/** The claims of an access token. */
export interface AccessClaims extends TokenClaims {
  /** The role when the token was made, for other services; absent: `user`. Here the store decides. */
  readonly role?: Role;
}

/**
 * Makes and reads the two kinds of token; neither is ever valid in the other's place. The
 * algorithm is a function of the key, never of the token, and no change to any byte of a token
 * verifies. `verify…` resolves to undefined for everything else than a token of its own that is
 * valid at `now`; it never rejects because of what the token holds. At `expires` a token is
 * expired; an issue time up to five seconds ahead of `now` is allowed for clocks that differ.
 */
export interface TokenIssuer {
  /** How long a session lasts, and with it its refresh tokens, in seconds. */
  readonly refreshTokenTtl: number;
  /** Good from `now` on, for as long as access tokens last. */
  issueAccessToken(claims: AccessClaims, now: Date): Promise<string>;
  /** The claims of a valid access token; undefined for everything else. */
  verifyAccessToken(token: string, now: Date): Promise<AccessClaims | undefined>;
  /** Good until `expires`, but never for longer than refresh tokens last. */
  issueRefreshToken(claims: TokenClaims, now: Date, expires: Date): Promise<string>;
  /** The claims of a valid refresh token; undefined for everything else. */
  verifyRefreshToken(token: string, now: Date): Promise<TokenClaims | undefined>;
  /** Like `verifyRefreshToken`, whatever the token's times: for ending its session. */
  identifyRefreshToken(token: string): Promise<TokenClaims | undefined>;
}

/** The count of a key. */
export interface Count {
  readonly count: number;
  /** Seconds until the count expires. */
  readonly secondsLeft: number;
}

/**
 * Counts that expire, for the limits on attempts. All processes of a service share them. A key is any
 * text, such as an email that somebody typed: it must not be stored in a readable form.
 */
export interface AttemptCounter {
  /**
   * Adds one to the count of a key and resolves to the new one, atomically: of any number of
   * concurrent calls, in any number of processes, no two get the same. A key without a count starts
   * from zero, and loses it `seconds` later.
   */
  add(key: string, seconds: number): Promise<Count>;

  /** Takes one from the count of each key that has one and is above zero. */
  subtract(keys: readonly string[]): Promise<void>;

  /** The counts of keys, in their order; undefined for a key that has none. */
  read(keys: readonly string[]): Promise<readonly (Count | undefined)[]>;

  /** Removes the counts of these keys. */
  clear(keys: readonly string[]): Promise<void>;

  /** Removes up to `limit` counts that have expired; resolves to their number. */
  removeExpired(limit: number): Promise<number>;
}

/** Tells the time. */
export interface Clock {
  /** Wall-clock time. Expiry is checked against it. */
  now(): Date;
}

/** Makes the ids of sessions and tokens. */
export interface IdGenerator {
  /** Unique and unguessable: at least 122 random bits, at most 64 characters of `[A-Za-z0-9_-]`. */
  next(): string;
}

/** Publishes what has happened, once the store has committed it. */
export interface EventPublisher {
  /** Returns at once and never throws: no listener can delay or fail a request. */
  publish<Name extends AuthEventName>(name: Name, event: AuthEvents[Name]): void;
}
