import { errorName } from '../domain/errors.ts';
import type { AuthEventName, AuthEvents } from '../domain/events.ts';
import type { EventPublisher } from './ports.ts';

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
    passwordChangeRejected: new Set(),
    accountDeleted: new Set(),
    accountDeletionRejected: new Set(),
    userCreated: new Set(),
    roleChanged: new Set(),
    userDisabled: new Set(),
    userEnabled: new Set(),
    passwordSet: new Set(),
    listenerFailed: new Set(),
  };

  /**
   * Adds a listener; returns how to take it away again.
   * @throws RangeError for a name of no event, TypeError for a listener that is no function
   */
  on<Name extends AuthEventName>(name: Name, listener: AuthListener<Name>): () => void {
    if (!Object.hasOwn(this.#registry, name)) throw new RangeError(`no event is named ${name}`);
    if (typeof listener !== 'function') throw new TypeError('a listener is a function');
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
      console.error(`portcullis: a listener of ${event} failed: ${errorName(error)}`);
    }
  }
}
