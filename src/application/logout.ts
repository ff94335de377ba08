import { isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { Authorize } from './authorize.ts';
import type { Ports } from './ports.ts';

/** Ends the session of a refresh token. */
export class Logout {
  readonly #ports: Pick<Ports, 'sessions' | 'tokens' | 'clock'>;

  constructor(ports: Pick<Ports, 'sessions' | 'tokens' | 'clock'>) {
    this.#ports = ports;
  }

  /**
   * Idempotent: a token that has ended, or never was, is logged out as well as it can be.
   * @throws AuthError `missing_refresh_token`
   */
  async execute(input: { readonly refreshToken: string }): Promise<void> {
    const { sessions, tokens, clock } = this.#ports;
    if (isMissing(input.refreshToken)) throw new AuthError('missing_refresh_token');
    // Also of a token that a clock set back makes one of the future: it will be good again.
    const claims = await tokens.identifyRefreshToken(input.refreshToken);
    if (claims !== undefined) await sessions.remove(claims.sessionId, claims.userId, clock.now());
  }
}

/** Ends every session of the bearer, this one included. */
export class LogoutAll {
  readonly #ports: Pick<Ports, 'sessions'>;
  readonly #authorize: Authorize;

  constructor(ports: Pick<Ports, 'users' | 'sessions' | 'tokens' | 'clock'>) {
    this.#ports = ports;
    this.#authorize = new Authorize(ports);
  }

  /** @throws what `Authorize` throws */
  async execute(input: { readonly accessToken: string }): Promise<void> {
    const { user } = await this.#authorize.execute(input);
    await this.#ports.sessions.removeAll(user.id);
  }
}
