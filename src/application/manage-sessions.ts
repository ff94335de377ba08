import { AuthError } from '../domain/errors.ts';
import type { Session } from '../domain/session.ts';
import { Authorize, type Bearer } from './authorize.ts';
import type { Ports } from './ports.ts';

/** A session as its owner sees it. */
export interface ListedSession
  extends Pick<Session, 'id' | 'device' | 'dateCreated' | 'lastUsed' | 'expires'> {
  /** Whether it is the one that asks. */
  readonly current: boolean;
}

/** Lists the sessions of the bearer. */
export class ListSessions {
  readonly #ports: Pick<Ports, 'sessions' | 'clock'>;
  readonly #authorize: Authorize;

  constructor(ports: Pick<Ports, 'users' | 'sessions' | 'tokens' | 'clock'>) {
    this.#ports = ports;
    this.#authorize = new Authorize(ports);
  }

  /** The oldest first. @throws what `Authorize` throws */
  async execute(input: Bearer): Promise<readonly ListedSession[]> {
    const { user, sessionId } = await this.#authorize.execute(input);
    const sessions = await this.#ports.sessions.list(user.id, this.#ports.clock.now());
    return sessions.map(({ id, device, dateCreated, lastUsed, expires }) => ({
      id,
      device,
      dateCreated,
      lastUsed,
      expires,
      current: id === sessionId,
    }));
  }
}

/** Which session is to end. */
export interface SessionEnding extends Bearer {
  readonly sessionId: string;
}

/** Ends one session of the bearer, be it this one or another. */
export class EndSession {
  readonly #ports: Pick<Ports, 'sessions' | 'clock' | 'events'>;
  readonly #authorize: Authorize;

  constructor(ports: Pick<Ports, 'users' | 'sessions' | 'tokens' | 'clock' | 'events'>) {
    this.#ports = ports;
    this.#authorize = new Authorize(ports);
  }

  /** @throws AuthError `session_not_found` (also another user's), and what `Authorize` throws */
  async execute(input: SessionEnding): Promise<void> {
    const { sessions, clock, events } = this.#ports;
    const { user } = await this.#authorize.execute(input);
    const ended =
      typeof input.sessionId === 'string' &&
      (await sessions.remove(input.sessionId, user.id, clock.now()));
    if (!ended) throw new AuthError('session_not_found');
    events.publish('loggedOut', { userId: user.id, sessionId: input.sessionId });
  }
}
