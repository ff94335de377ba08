import { AsyncResource } from 'node:async_hooks';

/**
 * Calls `write` at the end of this turn of the event loop, after all other writes of the turn that are
 * ready. A write to a sleeping reader wakes it, which costs as much as the rest of a small request, and
 * writes in a batch wake it once. (0.54 of node:http without, 0.75 with it, on 32 connections; one
 * connection alone loses 1 µs.) Each write keeps the `AsyncLocalStorage` context of its own request, which
 * the application's middleware may use.
 */
export function writeTogether(write: () => void): void {
  if (ready.push(new Write(write)) === 1) setImmediate(writeAll);
}

class Write extends AsyncResource {
  readonly write: () => void;

  constructor(write: () => void) {
    super('Write');
    this.write = write;
  }
}

let ready: Write[] = [];

function writeAll(): void {
  const writes = ready;
  ready = [];
  for (const one of writes) one.runInAsyncScope(one.write);
}

let turn = 0;
let isCounted = false;

/**
 * A number for this turn of the event loop. A reply of a later turn than its request, such as one that
 * has waited for the database, is in a batch already: it gains nothing by waiting for `writeTogether`.
 */
export function thisTurn(): number {
  if (!isCounted) {
    isCounted = true;
    setImmediate(() => {
      turn += 1;
      isCounted = false;
    });
  }
  return turn;
}
