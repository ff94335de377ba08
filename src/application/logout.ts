import { isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { Authorize, type Bearer } from './authorize.ts';
import type { Ports } from './ports.ts';
import type { Refreshing } from './refresh-token.ts';

/** Ends the session of a refresh token. */
export class Logout {
  readonly #ports: Pick<Ports, 'sessions' | 'tokens' | 'clock' | 'events'>;

  constructor(ports: Pick<Ports, 'sessions' | 'tokens' | 'clock' | 'events'>) {
    this.#ports = ports;
  }

  /**
   * Idempotent: a token that has ended, or never was, is logged out as well as it can be.
   * @throws AuthError `missing_refresh_token`
   */
  async execute(input: Pick<Refreshing, 'refreshToken'>): Promise<void> {
    const { sessions, tokens, clock, events } = this.#ports;
    if (isMissing(input.refreshToken)) throw new AuthError('missing_refresh_token');
    // Also of a token that a clock set back makes one of the future: it will be good again.
    const claims = await tokens.identifyRefreshToken(input.refreshToken);
    if (claims === undefined) return;
    const { userId, sessionId } = claims;
    const ended = await sessions.remove(sessionId, userId, clock.now());
    if (ended) events.publish('loggedOut', { userId, sessionId });
  }
}

/** Ends every session of the bearer, this one included. */
export class LogoutAll {
  readonly #ports: Pick<Ports, 'sessions' | 'events'>;
  readonly #authorize: Authorize;

  constructor(ports: Pick<Ports, 'users' | 'sessions' | 'tokens' | 'clock' | 'events'>) {
    this.#ports = ports;
    this.#authorize = new Authorize(ports);
  }

  /** @throws what `Authorize` throws */
  async execute(input: Bearer): Promise<void> {
    const { user } = await this.#authorize.execute(input);
    await this.#ports.sessions.removeAll(user.id);
    this.#ports.events.publish('loggedOutEverywhere', { user });
  }
}
