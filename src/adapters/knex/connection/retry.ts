import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnwritable } from '../../../application/index.ts';
import type { Fault } from './dialect.ts';
import { faultOf } from './faults.ts';

/** No attempt begins later than this after the first one: a request has 5 s in all. */
const RETRY_FOR_MS = 2_500;

/** The longest pause before each new attempt; there are as many attempts as pauses. */
const MAX_PAUSES_MS = [10, 40, 120, 200];

/** The longest pause before the next attempt to take SQLite's write lock. */
const MAX_BUSY_PAUSE_MS = 10;

/** How often a read and a write are tried again. */
const RETRIES: Readonly<Record<Exclude<Fault, 'busy'>, readonly [read: number, write: number]>> = {
  undone: [MAX_PAUSES_MS.length, MAX_PAUSES_MS.length],
  locked: [1, 1],
  unsent: [MAX_PAUSES_MS.length, MAX_PAUSES_MS.length],
  lost: [MAX_PAUSES_MS.length, MAX_PAUSES_MS.length],
  unprepared: [1, 1],
  slow: [1, 0],
  readonly: [0, 0],
  full: [0, 0],
  final: [0, 0],
};

/** A knex. In a host's transaction nothing is retried: the statements before would be missing. */
interface Retried {
  readonly isTransaction?: boolean | undefined;
}

/** Reads, and retries where that helps. `attempt` releases its connection before it settles. */
export async function reading<T>(knex: Retried, attempt: () => Promise<T>): Promise<T> {
  return repeating(knex, attempt, RETRY_FOR_MS, undefined);
}

/** How to find out whether a write was made, and how long to retry it. */
export interface Write<T> {
  /**
   * Called when the answer to an attempt was lost. Looks for what only this write can have stored:
   * resolves to the write's result, or to undefined if the write was not made. Null if making the
   * write twice does no harm.
   */
  readonly found: (() => Promise<T | undefined>) | null;
  /** No attempt begins later than this after the first one. Default: 2,500. */
  readonly retryForMs?: number;
}

/**
 * Writes, and retries where that helps. `attempt` is one whole statement or transaction, and
 * releases its connection before it settles, so that reads do not wait for a write that waits.
 *
 * Once an answer was lost, `found` decides and not the error of a later attempt: "the email is
 * taken" or "no such row" can be what the first attempt itself did.
 * @throws StoreUnwritable, or the error of the database
 */
export async function writing<T>(
  knex: Retried,
  attempt: () => Promise<T>,
  { found, retryForMs = RETRY_FOR_MS }: Write<T>,
): Promise<T> {
  return repeating(knex, attempt, retryForMs, found);
}

async function repeating<T>(
  knex: Retried,
  attempt: () => Promise<T>,
  retryForMs: number,
  found: Write<T>['found'] | undefined,
): Promise<T> {
  if (knex.isTransaction) return attempt();
  const isRead = found === undefined;
  const end = performance.now() + retryForMs;
  let isInDoubt = false;
  const ours = async () => (isInDoubt && found ? reading(knex, found) : undefined);
  for (let tries = 0; ; ) {
    try {
      const result = await attempt();
      return (await ours()) ?? result;
    } catch (error) {
      const fault = faultOf(error);
      isInDoubt ||= fault === 'lost';
      const result = await ours();
      if (result !== undefined) return result;
      const isUnwritable = fault === 'readonly' || fault === 'full';
      if (isUnwritable && !isRead) throw new StoreUnwritable(error);
      if (performance.now() > end) throw error;
      if (fault === 'busy') {
        await sleep(1 + Math.random() * MAX_BUSY_PAUSE_MS);
        continue;
      }
      const [asRead, asWrite] = RETRIES[fault];
      if (tries >= (isRead ? asRead : asWrite)) throw error;
      await sleep(Math.random() * (MAX_PAUSES_MS[tries] ?? 0));
      tries += 1;
    }
  }
}
