import { AssertionError } from 'node:assert/strict';
import { inspect } from 'node:util';
import { AuthError, type AuthErrorCode } from '../application/index.ts';

/** One promise of a port, and a test of it. */
export interface Case {
  /** The promise, with the adapter as its subject: 'finds nothing where there is nothing'. */
  readonly name: string;
  /**
   * Opens an adapter, tests it and closes it. Resolves if the promise is kept. Otherwise rejects
   * with an AssertionError that shows what was seen, or with what the adapter threw. Ignores the
   * arguments that a test runner may pass.
   */
  readonly run: () => Promise<void>;
}

/**
 * Opens a new adapter that nothing else uses. Called once for each case, unless a contract says
 * more.
 */
export type Open<Adapter> = () => Adapter | Promise<Adapter>;

/** Something to close after its case, whether that passed or failed. */
export interface Closable {
  /** Called once the case is over. */
  readonly close?: () => void | Promise<void>;
}

type WriteCase<Adapter> = (name: string, check: (adapter: Adapter) => Promise<void>) => Case;

/**
 * Returns the function that writes the cases of a contract. `use` opens an adapter and runs a check
 * on it.
 */
export function casesOn<Adapter>(
  use: (check: (adapter: Adapter) => Promise<void>) => Promise<void>,
): WriteCase<Adapter> {
  return (name, check) => ({
    name,
    run: async () => {
      try {
        await use(check);
      } catch (error) {
        if (error instanceof AssertionError) addPromise(error, name);
        throw error;
      }
    },
  });
}

/**
 * Opens, uses and closes. If the use and the closing both fail, rejects with the error of the use.
 */
export async function withOpened<Opened extends Closable>(
  open: Open<Opened>,
  use: (opened: Opened) => Promise<void>,
): Promise<void> {
  const opened = await open();
  try {
    await use(opened);
  } catch (error) {
    try {
      await opened.close?.();
    } catch {
      // The failed use most likely caused this error as well.
    }
    throw error;
  }
  await opened.close?.();
}

/** Adds the broken promise to an assertion's message, and the values if the message lacks them. */
function addPromise(error: AssertionError, promise: string): void {
  const { message, actual, expected, generatedMessage } = error;
  const seen = generatedMessage
    ? ''
    : `\nexpected: ${inspect(expected)}\n    seen: ${inspect(actual)}`;
  const fullMessage = `not kept: ${promise}\n${message}${seen}`;
  const stack = error.stack?.replace(message, () => fullMessage);
  Object.assign(error, { message: fullMessage, stack });
}

/**
 * The outcome of a call: its value, the code of an `AuthError`, or 'fault' for any other rejection.
 */
export async function outcome<T>(promise: Promise<T>): Promise<T | AuthErrorCode | 'fault'> {
  try {
    return await promise;
  } catch (error) {
    return error instanceof AuthError ? error.code : 'fault';
  }
}

/**
 * Starts `count` calls at the same time, alternately on two adapters, and waits for all of them.
 */
export function atOnce<Adapter, T>(
  count: number,
  [one, other]: readonly [Adapter, Adapter],
  call: (adapter: Adapter, index: number) => Promise<T>,
): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => call(i % 2 ? one : other, i)));
}
