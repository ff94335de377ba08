import type { Email } from '../domain/credentials.ts';
import type { User } from '../domain/user.ts';
import type { EventPublisher } from './ports.ts';

/** Whom and which of their sessions an event is about. */
export interface SessionEvent {
  readonly user: User;
  readonly sessionId: string;
}

/** Whom an event is about. */
export interface UserEvent {
  readonly user: User;
}

/** A session that has ended, and whose it was. */
export interface SessionEnd {
  readonly userId: User['id'];
  readonly sessionId: string;
}

/** A sign-in that was refused. Nothing of the password is in it. */
export interface LoginRejection {
  /** The canonical address; undefined where what was typed is none: it may be a password. */
  readonly email: Email | undefined;
  readonly code: 'invalid_credentials' | 'too_many_attempts';
  /** The IP address that it came from, where the caller said. */
  readonly address: string | undefined;
}

/** A listener that threw or rejected. */
export interface ListenerFailure {
  readonly event: AuthEventName;
  readonly error: unknown;
}

/** What can be listened to, by its name. Each is told after the store has committed it. */
export interface AuthEvents {
  readonly registered: SessionEvent;
  readonly loggedIn: SessionEvent;
  readonly loginRejected: LoginRejection;
  readonly refreshed: SessionEvent;
  /** A replaced refresh token came again: it may have been stolen, and its session has ended. */
  readonly refreshTokenReused: SessionEvent;
  /** One session was ended, by its refresh token or from the list of sessions. */
  readonly loggedOut: SessionEnd;
  /** Every session of the user was ended. */
  readonly loggedOutEverywhere: UserEvent;
  readonly passwordChanged: SessionEvent;
  readonly accountDeleted: UserEvent;
  readonly listenerFailed: ListenerFailure;
}

export type AuthEventName = keyof AuthEvents;

/** May be asynchronous: nobody waits for it. */
export type AuthListener<Name extends AuthEventName> = (event: AuthEvents[Name]) => unknown;

type Registry = { readonly [Name in AuthEventName]: Set<AuthListener<Name>> };

/**
 * Tells listeners what has happened: in order, each once, and after the call that published it has
 * gone on, so that none can delay, change or break the request. A notice, not a queue: what has not
 * been told when the process ends is not told.
 */
export class Listeners implements EventPublisher {
  readonly #registry: Registry = {
    registered: new Set(),
    loggedIn: new Set(),
    loginRejected: new Set(),
    refreshed: new Set(),
    refreshTokenReused: new Set(),
    loggedOut: new Set(),
    loggedOutEverywhere: new Set(),
    passwordChanged: new Set(),
    accountDeleted: new Set(),
    listenerFailed: new Set(),
  };

  /**
   * Adds a listener; returns how to take it away again.
   * @throws RangeError for a name of no event
   */
  on<Name extends AuthEventName>(name: Name, listener: AuthListener<Name>): () => void {
    if (!Object.hasOwn(this.#registry, name)) throw new RangeError(`no event is named ${name}`);
    const listeners: Set<AuthListener<Name>> = this.#registry[name];
    // One of its own for each call, so that the same function can listen twice, and end once.
    const added: AuthListener<Name> = (event) => listener(event);
    listeners.add(added);
    return () => void listeners.delete(added);
  }

  publish<Name extends AuthEventName>(name: Name, event: AuthEvents[Name]): void {
    const listeners: Set<AuthListener<Name>> = this.#registry[name];
    for (const listener of listeners) void this.#tell(name, event, listener);
  }

  async #tell<Name extends AuthEventName>(
    name: Name,
    event: AuthEvents[Name],
    listener: AuthListener<Name>,
  ): Promise<void> {
    try {
      // A copy each: what a listener does to it is nobody else's. An error cannot always be copied.
      const copy = name === 'listenerFailed' ? event : structuredClone(event);
      await Promise.resolve(); // From here on nobody waits.
      await listener(copy);
    } catch (error) {
      this.#report(name, error);
    }
  }

  #report(event: AuthEventName, error: unknown): void {
    if (event !== 'listenerFailed' && this.#registry.listenerFailed.size > 0) {
      this.publish('listenerFailed', { event, error });
    } else {
      // Its name alone: the text may hold what is private.
      const kind = error instanceof Error ? error.name : typeof error;
      console.error(`portcullis: a listener of ${event} failed: ${kind}`);
    }
  }
}
