import { AssertionError } from 'node:assert/strict';
import { inspect } from 'node:util';
import { AuthError, type AuthErrorCode } from '../application/index.ts';

/** One promise of a port, and the check that it is kept. */
export interface Case {
  /** The promise, in words that follow the name of a part: 'finds nothing where there is nothing'. */
  readonly name: string;
  /**
   * Opens a part, checks it and closes it. Resolves where the promise is kept; rejects with an
   * AssertionError that tells what was seen, or with what the part threw out of turn. Heeds no
   * arguments, whatever a runner passes.
   */
  readonly run: () => Promise<void>;
}

/** Opens a fresh part, shared with nobody; unless a contract says otherwise, once for each case. */
export type Open<Part> = () => Part | Promise<Part>;

/** What is to be closed after its case, whatever became of that. */
export interface Closable {
  /** Called once the case is over. */
  readonly close?: () => void | Promise<void>;
}

type WriteCase<Part> = (name: string, check: (part: Part) => Promise<void>) => Case;

/** How the cases of a contract are written: `use` gets a part ready and runs a check on it. */
export function casesOn<Part>(
  use: (check: (part: Part) => Promise<void>) => Promise<void>,
): WriteCase<Part> {
  return (name, check) => ({
    name,
    run: async () => {
      try {
        await use(check);
      } catch (error) {
        if (error instanceof AssertionError) tellPromise(error, name);
        throw error;
      }
    },
  });
}

/** Opens, uses and closes. If both of the last fail it is the use that is told of. */
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
      // Most likely it follows from what went wrong before.
    }
    throw error;
  }
  await opened.close?.();
}

/** Adds the promise that was not kept to an assertion's message, and what was seen where it lacks. */
function tellPromise(error: AssertionError, promise: string): void {
  const { message, actual, expected, generatedMessage } = error;
  const seen = generatedMessage
    ? ''
    : `\nexpected: ${inspect(expected)}\n    seen: ${inspect(actual)}`;
  const told = `not kept: ${promise}\n${message}${seen}`;
  const stack = error.stack?.replace(message, () => told);
  Object.assign(error, { message: told, stack });
}

/** What became of a call: its value, the code of a refusal, or 'fault' for any other rejection. */
export async function outcome<T>(promise: Promise<T>): Promise<T | AuthErrorCode | 'fault'> {
  try {
    return await promise;
  } catch (error) {
    return error instanceof AuthError ? error.code : 'fault';
  }
}

/** Starts so many calls at once, by turns on one part and on the other, and waits for all. */
export function atOnce<Part, T>(
  count: number,
  [one, other]: readonly [Part, Part],
  call: (part: Part, index: number) => Promise<T>,
): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => call(i % 2 ? one : other, i)));
}
