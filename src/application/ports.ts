import type { Email, PasswordPolicy } from '../domain/credentials.ts';
import type { FirstSession, Session } from '../domain/session.ts';
import type { Account, NewAccount, User, UserId } from '../domain/user.ts';

/**
 * What the use cases need of the world. Each promise below is proved on every adapter by the suite
 * of the same name in `tests/contracts/`. A port method that throws anything but the `AuthError`
 * named here reports a fault of its part; the use cases let it pass.
 */
export interface Ports {
  readonly users: UserRepository;
  readonly sessions: SessionRepository;
  readonly hasher: PasswordHasher;
  readonly tokens: TokenIssuer;
  readonly clock: Clock;
  readonly ids: IdGenerator;
}

/** What an operator decides. Times are in seconds. */
export interface Policy extends PasswordPolicy {
  readonly accessTokenTtl: number;
  /** How long a session lasts, and with it its refresh token. */
  readonly refreshTokenTtl: number;
}

export interface UserRepository {
  /**
   * Stores an account and its first session, both or neither, durably before it resolves.
   * The store's own unique key decides: of any number of concurrent inserts of one email, in any
   * number of processes, exactly one resolves.
   * @throws AuthError `email_taken`
   */
  insert(account: NewAccount, session: FirstSession): Promise<User>;

  findById(id: UserId): Promise<User | undefined>;

  /** Equality is that of the bytes: no case, accent, width or trailing space is folded. */
  findByEmail(email: Email): Promise<Account | undefined>;

  /**
   * Compare and set: replaces the hash only while it still is `current`, so that an upgrade never
   * undoes a change of password. Resolves to whether it did.
   */
  replacePasswordHash(id: UserId, current: string, replacement: string): Promise<boolean>;

  /**
   * Up to `limit` users whose id is greater than `after`, by ascending id. Holds nothing in the
   * store between two pages.
   */
  page(after: UserId, limit: number): Promise<readonly User[]>;
}

export interface SessionRepository {
  /** Stores a session of an existing user. Resolves to false, storing nothing, if there is none. */
  insert(session: Session): Promise<boolean>;

  /** Also finds sessions that have expired. A deleted user's sessions are gone with the user. */
  find(id: string): Promise<Session | undefined>;
}

/** What a password turned out to be. `outdated`: right, but its hash is weaker than today's. */
export type Verdict = 'right' | 'outdated' | 'wrong';

export interface PasswordHasher {
  /**
   * A salted PHC string of the whole text.
   * @throws AuthError `service_busy` when more work waits than the hasher admits
   */
  hash(password: string): Promise<string>;

  /**
   * Checks a password. Without a hash (no such account) or with one that it cannot read, it does
   * the work all the same, on a decoy, and says `wrong`: each call costs one hash, whoever asks.
   * @throws AuthError `service_busy` when more work waits than the hasher admits
   */
  verify(passwordHash: string | undefined, password: string): Promise<Verdict>;
}

/** What a token says, apart from its kind and its times. */
export interface TokenClaims {
  readonly userId: UserId;
  readonly sessionId: string;
  /** Unique to this token (`jti`). */
  readonly tokenId: string;
}

/**
 * Makes and reads the two kinds of token; neither is ever valid in the other's place. The
 * algorithm is a function of the key, never of the token, and no change to any byte of a token
 * verifies. `verify…` resolves to undefined for everything else than a token of its own that is
 * valid at `now`; it never rejects because of what the token holds. At `expires` a token is
 * expired; an issue time up to five seconds ahead of `now` is allowed for clocks that differ.
 */
export interface TokenIssuer {
  issueAccessToken(claims: TokenClaims, now: Date): Promise<string>;
  verifyAccessToken(token: string, now: Date): Promise<TokenClaims | undefined>;
  issueRefreshToken(claims: TokenClaims, now: Date, expires: Date): Promise<string>;
  verifyRefreshToken(token: string, now: Date): Promise<TokenClaims | undefined>;
}

export interface Clock {
  /** Wall-clock time: what expiry is held against. */
  now(): Date;
}

export interface IdGenerator {
  /** Unique and unguessable: at least 122 random bits, at most 64 characters of `[A-Za-z0-9_-]`. */
  next(): string;
}
