import { isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { type Bearer, identify, type IdentifyPorts } from './authorize.ts';
import type { Ports } from './ports.ts';

/** The input of `Logout`. */
export interface LogoutInput {
  readonly refreshToken: string;
}

/** Ends the session of a refresh token. */
export class Logout {
  readonly #ports: Pick<Ports, 'sessions' | 'tokens' | 'clock' | 'events'>;

  constructor(ports: Pick<Ports, 'sessions' | 'tokens' | 'clock' | 'events'>) {
    this.#ports = ports;
  }

  /**
   * Idempotent: a token that has expired, or was never valid, is no error.
   * @throws AuthError `missing_refresh_token`
   */
  async execute(input: LogoutInput): Promise<void> {
    const { sessions, tokens, clock, events } = this.#ports;
    if (isMissing(input.refreshToken)) throw new AuthError('missing_refresh_token');
    // Whatever its times: a token that a clock put back makes one of the future will be valid again.
    const claims = await tokens.identifyRefreshToken(input.refreshToken);
    if (claims === undefined) return;
    const { userId, sessionId } = claims;
    const ended = await sessions.remove(sessionId, userId, clock.now());
    if (ended) events.publish('loggedOut', { userId, sessionId });
  }
}

/** Ends every session of the bearer, this one included. */
export class LogoutAll {
  readonly #ports: IdentifyPorts & Pick<Ports, 'sessions' | 'events'>;

  constructor(ports: IdentifyPorts & Pick<Ports, 'sessions' | 'events'>) {
    this.#ports = ports;
  }

  /** @throws AuthError as `identify` does */
  async execute(input: Bearer): Promise<void> {
    const { user } = await identify(this.#ports, { accessToken: input.accessToken });
    await this.#ports.sessions.removeAll(user.id);
    this.#ports.events.publish('loggedOutEverywhere', { user });
  }
}
