import { AuthError } from '../../domain/errors.ts';
import type { AttemptCounter } from '../ports.ts';
import { FIRST_WAIT, type Limit, LONGEST_WAIT } from './policy.ts';

/** An attempt that was let in under a limit. */
interface Admission {
  readonly limit: Limit;
  /** Whether it is the one attempt that follows a wait. */
  readonly followsWait: boolean;
}

/** An attempt that was let in, under all its limits. */
export type Admissions = readonly Admission[];

/** Changes of counts that a reply does not wait for. */
interface Settlement {
  readonly cleared: readonly string[];
  readonly subtracted: readonly string[];
  /** Cleared after the others: nobody may find a gate open while its wait is still counted. */
  readonly opened: readonly string[];
}

/** Settlements that may wait for the store. More are dropped: then too few attempts are let in. */
const MAX_UNSETTLED = 10_000;

/** Counts attempts against limits, in counts that all processes share. */
export class LimitCounter {
  readonly #counter: AttemptCounter;
  #unsettled: Settlement[] = [];
  /** The batches are written one after the other. */
  #lastBatch: Promise<unknown> = Promise.resolve();
  /** Resolves when what is in `#unsettled` is written; undefined while that is empty. */
  #nextBatch: Promise<void> | undefined;
  /** The batch that changes the counts of an account, by the key of its limit. */
  readonly #batchByKey = new Map<string, Promise<void>>();

  constructor(counter: AttemptCounter) {
    this.#counter = counter;
  }

  /** Lets an attempt in under all its limits; or under none, and resolves to the seconds to wait. */
  async admit(limits: readonly Limit[]): Promise<Admissions | number> {
    // What an earlier attempt is about to clear must not count against this one.
    for (const { key } of limits) await this.#batchByKey.get(key);
    const first = limits.filter((_, i) => limits[i + 1]?.isSkippedDuringWait);
    const found = await this.#counter.read([
      ...limits.map(gateOf),
      ...first.flatMap((limit) => [countOf(limit), waitsOf(limit)]),
    ]);
    // Refused attempts are counted too, and all free attempts may come at once. So the next limit is
    // skipped only if the first one is used up and has let in an attempt after a wait.
    const [count, waits] = found.slice(limits.length);
    const isWaiting = (count?.count ?? 0) >= (first[0]?.free ?? 0) && (waits?.count ?? 0) > 0;
    let wait = 0;
    const holding: Limit[] = [];
    for (const [i, limit] of limits.entries()) {
      if (limit.isSkippedDuringWait && isWaiting) continue;
      holding.push(limit);
      const secondsLeft = found[i]?.secondsLeft ?? 0;
      // A wait longer than any can be was set before the clock was put back.
      if (secondsLeft < 2 * LONGEST_WAIT) wait = Math.max(wait, secondsLeft);
    }
    return wait > 0 ? wait : this.#count(holding);
  }

  /**
   * Counts an attempt that has failed already. Best effort: a store that fails refuses nobody.
   * @throws AuthError `too_many_attempts`, with the seconds to wait
   */
  async countFailure(limits: readonly Limit[]): Promise<void> {
    const outcome = await this.admit(limits).catch(() => 0);
    if (typeof outcome === 'number' && outcome > 0) throw tooManyAttempts(outcome);
  }

  /** Counts under all limits in one statement, then checks each in turn; a refusal is taken back. */
  async #count(limits: readonly Limit[]): Promise<Admissions | number> {
    const added = await Promise.allSettled(
      limits.map((limit) => this.#counter.add(countOf(limit), limit.window)),
    );
    const counted = limits.filter((_, i) => added[i]?.status === 'fulfilled');
    const admissions = new Map(counted.map((limit) => [limit, { limit, followsWait: false }]));
    try {
      for (const [i, limit] of limits.entries()) {
        const outcome = added[i];
        if (outcome?.status !== 'fulfilled') throw outcome?.reason;
        if (outcome.value.count < limit.free) continue;
        const wait = await this.#closeGate(limit);
        if (wait > 0) {
          admissions.delete(limit);
          await this.#write(takenBack([...admissions.values()]));
          return wait;
        }
        admissions.set(limit, { limit, followsWait: true });
      }
    } catch (fault) {
      await this.#write(takenBack([...admissions.values()]));
      throw fault;
    }
    return [...admissions.values()];
  }

  /**
   * Of all who find the gate of a used-up limit open, lets the first in and starts the next wait.
   * @returns 0 for the first, the seconds to wait for the others
   */
  async #closeGate(limit: Limit): Promise<number> {
    const counter = this.#counter;
    const [waits] = await counter.read([waitsOf(limit)]);
    const seconds = Math.min(FIRST_WAIT * 2 ** (waits?.count ?? 0), LONGEST_WAIT);
    const gate = await counter.add(gateOf(limit), seconds);
    if (gate.count > 1) return gate.secondsLeft;
    await counter.add(waitsOf(limit), limit.window);
    return 0;
  }

  /** Takes an attempt back that was no guess, such as one that met a fault. Returns at once. */
  takeBack(admissions: Admissions): void {
    this.#settle(
      admissions.map(({ limit }) => limit),
      takenBack(admissions),
    );
  }

  /** Clears or takes back the counts of a successful attempt. Returns at once. */
  settleSuccess(limits: readonly Limit[], admissions: Admissions): void {
    const cleared = limits.filter(({ onSuccess }) => onSuccess === 'clear');
    const keys = cleared.flatMap((limit) => [countOf(limit), gateOf(limit), waitsOf(limit)]);
    const uncounted = admissions.filter(({ limit }) => limit.onSuccess === 'uncount');
    this.#settle(cleared, { ...takenBack(uncounted), cleared: keys });
  }

  /** Has a settlement written with all others that come until the batch before it is written. */
  #settle(limits: readonly Limit[], settlement: Settlement): void {
    if (limits.length === 0 || this.#unsettled.length >= MAX_UNSETTLED) return;
    this.#unsettled.push(settlement);
    if (this.#nextBatch === undefined) {
      this.#nextBatch = this.#lastBatch.then(() => this.#writeBatch());
      this.#lastBatch = this.#nextBatch;
    }
    for (const { key, onSuccess } of limits) {
      // Not for a network: its other accounts need not wait for the store.
      if (onSuccess === 'clear') this.#batchByKey.set(key, this.#nextBatch);
    }
  }

  async #writeBatch(): Promise<void> {
    const [all, batch] = [this.#unsettled, this.#nextBatch];
    [this.#unsettled, this.#nextBatch] = [[], undefined];
    await this.#write({
      cleared: all.flatMap(({ cleared }) => cleared),
      subtracted: all.flatMap(({ subtracted }) => subtracted),
      opened: all.flatMap(({ opened }) => opened),
    });
    for (const [key, of] of this.#batchByKey) if (of === batch) this.#batchByKey.delete(key);
  }

  /** Best effort: what is left expires by itself, and until then too few attempts are let in. */
  async #write({ cleared, subtracted, opened }: Settlement): Promise<void> {
    const counter = this.#counter;
    await Promise.allSettled([
      cleared.length > 0 && counter.clear(cleared),
      subtracted.length > 0 && counter.subtract(subtracted),
    ]);
    if (opened.length > 0) await counter.clear(opened).catch(() => {});
  }
}

function takenBack(admissions: Admissions): Settlement {
  const waited = admissions.filter(({ followsWait }) => followsWait).map(({ limit }) => limit);
  const counts = admissions.map(({ limit }) => countOf(limit));
  return {
    cleared: [],
    subtracted: [...counts, ...waited.map(waitsOf)],
    opened: waited.map(gateOf),
  };
}

/** The attempts. */
function countOf({ key }: Limit): string {
  return `count ${key}`;
}

/** Present while a wait lasts. */
function gateOf({ key }: Limit): string {
  return `gate ${key}`;
}

/** The waits there have been. */
function waitsOf({ key }: Limit): string {
  return `waits ${key}`;
}

export function tooManyAttempts(secondsLeft: number): AuthError {
  return new AuthError('too_many_attempts', Math.max(1, Math.ceil(secondsLeft)));
}
