import type { Session } from '../domain/session.ts';
import { type Bearer, identify, type IdentifyPorts } from './authorize.ts';
import type { Ports } from './ports.ts';

/** A session as its owner sees it. */
export interface ListedSession
  extends Pick<Session, 'id' | 'device' | 'dateCreated' | 'lastUsed' | 'expires'> {
  /** Whether it is the session of the access token. */
  readonly current: boolean;
}

/** Lists the sessions of the bearer. */
export class ListSessions {
  readonly #ports: IdentifyPorts & Pick<Ports, 'sessions'>;

  constructor(ports: IdentifyPorts & Pick<Ports, 'sessions'>) {
    this.#ports = ports;
  }

  /** The oldest first. @throws AuthError as `identify` does */
  async execute(input: Bearer): Promise<readonly ListedSession[]> {
    const { sessions, clock } = this.#ports;
    const { user, sessionId } = await identify(this.#ports, { accessToken: input.accessToken });
    const found = await sessions.list(user.id, clock.now());
    return found.map(({ id, device, dateCreated, lastUsed, expires }) => ({
      id,
      device,
      dateCreated,
      lastUsed,
      expires,
      current: id === sessionId,
    }));
  }
}
