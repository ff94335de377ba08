import { isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { isExpired, type Session } from '../domain/session.ts';
import type { UserRecord } from '../domain/user.ts';
import { LimitCounter } from './limits/counter.ts';
import { refreshLimits } from './limits/policy.ts';
import type { Policy, Ports, TokenClaims } from './ports.ts';

/** Seconds for which a replaced refresh token still gets its successor, for clients that retry. */
const ROTATION_GRACE = 10;

/** Milliseconds between two updates of a session's last use: one write a minute, not one a refresh. */
const TOUCH_INTERVAL_MS = 60_000;

/** The result of `RefreshToken`. */
export interface Refreshed {
  readonly accessToken: string;
  /** Only under `refreshRotation`: the token to use from now on. */
  readonly refreshToken?: string;
}

/** The input of `RefreshToken`. */
export interface RefreshTokenInput {
  readonly refreshToken: string;
  /** The IP address it comes from. Without one, attempts are not counted. */
  readonly address?: string | undefined;
}

/** The ports of `RefreshToken`. */
export type RefreshPorts = Pick<
  Ports,
  'users' | 'sessions' | 'tokens' | 'attempts' | 'clock' | 'ids' | 'events'
>;

/** Exchanges a refresh token, whose session still stands, for a new access token. */
export class RefreshToken {
  readonly #ports: RefreshPorts;
  readonly #policy: Policy;
  readonly #limits: LimitCounter;

  constructor(ports: RefreshPorts, policy: Policy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#limits = new LimitCounter(ports.attempts);
  }

  /**
   * Only invalid tokens are counted against the limit on attempts, and refused by it: a valid one
   * cannot be guessed, and must not suffer from what others on its network send.
   * @throws AuthError `missing_refresh_token`, `invalid_refresh_token`, `user_not_found`,
   * `too_many_attempts`
   */
  async execute(input: RefreshTokenInput): Promise<Refreshed> {
    if (isMissing(input.refreshToken)) throw new AuthError('missing_refresh_token');
    try {
      return await this.#exchange(input.refreshToken);
    } catch (error) {
      if (error instanceof AuthError && error.code === 'invalid_refresh_token') {
        await this.#limits.countFailure(refreshLimits(input.address));
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
    // The user first: a deleted user's sessions are gone too, and the document wants "User not found".
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
    // Uses the stored rotation time, so that a retry gets the same claims. (ES256 signatures differ each
    // time.)
    const successor = { ...claims, tokenId: outcome.tokenId };
    return tokens.issueRefreshToken(successor, outcome.date, session.expires);
  }

  /** A token that was replaced while rotation was on stays invalid when rotation is turned off. */
  async #keep(claims: TokenClaims, session: Session, now: Date): Promise<object> {
    if (session.tokenId !== null && session.tokenId !== claims.tokenId) {
      throw new AuthError('invalid_refresh_token');
    }
    if (now.getTime() - session.lastUsed.getTime() >= TOUCH_INTERVAL_MS) {
      // Only the list of sessions shows it: a store that takes no writes refuses nobody.
      await this.#ports.sessions.touch(session.id, now).catch(() => {});
    }
    return {};
  }
}
