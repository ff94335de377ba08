import { isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { isExpired, type Session } from '../domain/session.ts';
import type { UserRecord } from '../domain/user.ts';
import { countFailure, refreshLimits } from './attempts.ts';
import type { Policy, Ports, TokenClaims } from './ports.ts';

/** Seconds for which a replaced refresh token still gets its successor: time for a retry. */
const ROTATION_GRACE = 10;

/** Milliseconds between two notes of a session's last use: one write a minute, not one a refresh. */
const TOUCH_INTERVAL = 60_000;

/** What a refresh token was exchanged for. */
export interface Refreshed {
  readonly accessToken: string;
  /** Only under `refreshRotation`: the token to use from now on. */
  readonly refreshToken?: string;
}

/** A refresh token, and where it comes from. */
export interface Refreshing {
  readonly refreshToken: string;
  /** The IP address that it comes from. Without it attempts are not counted. */
  readonly address?: string | undefined;
}

/** What refreshing needs of the world. */
export type RefreshPorts = Pick<
  Ports,
  'users' | 'sessions' | 'tokens' | 'attempts' | 'clock' | 'ids' | 'events'
>;

/** Exchanges a refresh token, whose session still stands, for a new access token. */
export class RefreshToken {
  readonly #ports: RefreshPorts;
  readonly #policy: Policy;

  constructor(ports: RefreshPorts, policy: Policy) {
    this.#ports = ports;
    this.#policy = policy;
  }

  /**
   * Only tokens that are not valid are counted against the limit on attempts, and refused by it: a
   * valid one cannot be guessed, and must not suffer from what its neighbours send.
   * @throws AuthError `missing_refresh_token`, `invalid_refresh_token`, `user_not_found`,
   * `too_many_attempts`
   */
  async execute(input: Refreshing): Promise<Refreshed> {
    if (isMissing(input.refreshToken)) throw new AuthError('missing_refresh_token');
    try {
      return await this.#exchange(input.refreshToken);
    } catch (error) {
      if (error instanceof AuthError && error.code === 'invalid_refresh_token') {
        await countFailure(this.#ports, refreshLimits(input.address));
      }
      throw error;
    }
  }

  async #exchange(refreshToken: string): Promise<Refreshed> {
    const { users, sessions, tokens, clock, ids, events } = this.#ports;
    const now = clock.now();
    const claims = await tokens.verifyRefreshToken(refreshToken, now);
    if (claims === undefined) throw new AuthError('invalid_refresh_token');

    const [user, session] = await Promise.all([
      users.findById(claims.userId),
      sessions.find(claims.sessionId),
    ]);
    // The user first: a deleted user's sessions are gone too, and "User not found" says more.
    if (user === undefined) throw new AuthError('user_not_found');
    if (user.disabled) throw new AuthError('invalid_refresh_token');
    if (session === undefined || session.userId !== user.id || isExpired(session, now)) {
      throw new AuthError('invalid_refresh_token');
    }
    const refreshed = this.#policy.refreshRotation
      ? { refreshToken: await this.#rotate(user, claims, session, now) }
      : await this.#keep(claims, session, now);
    events.publish('refreshed', { user, sessionId: session.id });
    const { id: userId, role } = user;
    const subject = { userId, sessionId: session.id, tokenId: ids.next(), role };
    return { accessToken: await tokens.issueAccessToken(subject, now), ...refreshed };
  }

  async #rotate(
    user: UserRecord,
    claims: TokenClaims,
    session: Session,
    now: Date,
  ): Promise<string> {
    const { sessions, tokens, ids, events } = this.#ports;
    const outcome = await sessions.rotate({
      sessionId: session.id,
      presented: claims.tokenId,
      successor: ids.next(),
      now,
      grace: ROTATION_GRACE,
    });
    if (outcome.kind === 'reused') {
      events.publish('refreshTokenReused', { user, sessionId: session.id });
    }
    if (outcome.kind !== 'rotated' && outcome.kind !== 'repeated') {
      throw new AuthError('invalid_refresh_token');
    }
    // Dated by the store, so that a repeated answer says the same; signed with ES256, which is random,
    // in other words.
    const successor = { ...claims, tokenId: outcome.tokenId };
    return tokens.issueRefreshToken(successor, outcome.date, session.expires);
  }

  /** A token that was replaced while rotation was on stays replaced when it is turned off. */
  async #keep(claims: TokenClaims, session: Session, now: Date): Promise<object> {
    if (session.tokenId !== null && session.tokenId !== claims.tokenId) {
      throw new AuthError('invalid_refresh_token');
    }
    if (now.getTime() - session.lastUsed.getTime() >= TOUCH_INTERVAL) {
      // A note for the list of sessions, no reason to refuse: a store that only reads still serves.
      await this.#ports.sessions.touch(session.id, now).catch(() => {});
    }
    return {};
  }
}
