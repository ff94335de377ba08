import type { AuthEventName, AuthEvents } from '../domain/events.ts';
import type { EventPublisher } from './ports.ts';

/** Called after an event. It may be asynchronous; nobody waits for it. */
export type AuthListener<Name extends AuthEventName> = (event: AuthEvents[Name]) => unknown;

type Registry = { readonly [Name in AuthEventName]: Set<AuthListener<Name>> };

/**
 * Calls listeners after events: in order, once each, and after the call that published the event has gone
 * on, so that no listener can delay, change or fail a request. This is no queue: a listener that has not
 * been called when the process ends is never called.
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
   * Calls `listener` after each event of this name has been committed; returns a function that ends it.
   * What a listener throws is published as `listenerFailed`.
   * @throws RangeError for an unknown event, TypeError for a listener that is no function
   */
  on<Name extends AuthEventName>(name: Name, listener: AuthListener<Name>): () => void {
    if (!Object.hasOwn(this.#registry, name)) throw new RangeError(`no event is named ${name}`);
    if (typeof listener !== 'function') throw new TypeError('a listener is a function');
    const listeners: Set<AuthListener<Name>> = this.#registry[name];
    // A new function per call, so that the same listener can be added twice and removed once.
    const added: AuthListener<Name> = (event) => listener(event);
    listeners.add(added);
    return () => void listeners.delete(added);
  }

  publish<Name extends AuthEventName>(name: Name, event: AuthEvents[Name]): void {
    const listeners: Set<AuthListener<Name>> = this.#registry[name];
    for (const listener of listeners) void this.#notify(name, event, listener);
  }

  async #notify<Name extends AuthEventName>(
    name: Name,
    event: AuthEvents[Name],
    listener: AuthListener<Name>,
  ): Promise<void> {
    try {
      // A copy each, so that no listener can change another's. Errors cannot always be copied.
      const copy = name === 'listenerFailed' ? event : structuredClone(event);
      await Promise.resolve(); // The request goes on here.
      await listener(copy);
    } catch (error) {
      this.#report(name, error);
    }
  }

  #report(event: AuthEventName, error: unknown): void {
    if (event !== 'listenerFailed' && this.#registry.listenerFailed.size > 0) {
      this.publish('listenerFailed', { event, error });
    } else {
      console.error(`portcullis: a listener of ${event} failed: ${kindOf(error)}`);
    }
  }
}

/** Its name alone, if that is one word: the text may hold what is private, or another line. */
function kindOf(error: unknown): string {
  try {
    const name: unknown = error instanceof Error ? error.name : typeof error;
    return typeof name === 'string' && /^\w{1,100}$/.test(name) ? name : 'Error';
  } catch {
    return 'Error'; // What was thrown throws when it is looked at.
  }
}
