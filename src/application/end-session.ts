import { AuthError } from '../domain/errors.ts';
import { type Bearer, identify, type IdentifyPorts } from './authorize.ts';
import type { Ports } from './ports.ts';

/** The input of `EndSession`. */
export interface EndSessionInput extends Bearer {
  readonly sessionId: string;
}

/** Ends one session of the bearer, this one or another. */
export class EndSession {
  readonly #ports: IdentifyPorts & Pick<Ports, 'sessions' | 'events'>;

  constructor(ports: IdentifyPorts & Pick<Ports, 'sessions' | 'events'>) {
    this.#ports = ports;
  }

  /** @throws AuthError `session_not_found` (also another user's); and as `identify` does */
  async execute({ accessToken, sessionId }: EndSessionInput): Promise<void> {
    const { sessions, clock, events } = this.#ports;
    const { user } = await identify(this.#ports, { accessToken });
    const isId = typeof sessionId === 'string';
    const ended = isId && (await sessions.remove(sessionId, user.id, clock.now()));
    if (!ended) throw new AuthError('session_not_found');
    events.publish('loggedOut', { userId: user.id, sessionId });
  }
}
