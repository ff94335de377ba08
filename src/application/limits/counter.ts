import { AuthError } from '../../domain/errors.ts';
import type { AttemptCounter } from '../ports.ts';
import { FIRST_WAIT, type Limit, LONGEST_WAIT } from './policy.ts';

/** An attempt that was let in, by its limits; and whether it is the one attempt that follows a wait. */
export type Admissions = ReadonlyMap<Limit, { readonly followsWait: boolean }>;

/** Changes of counts that a reply does not wait for. */
class Settlement {
  readonly cleared: string[] = [];
  readonly subtracted: string[] = [];
  /** Cleared after the others: nobody may find a gate open while its wait is still counted. */
  readonly opened: string[] = [];

  takeBack(limit: Limit, followsWait: boolean): void {
    this.subtracted.push(limit.key);
    if (!followsWait) return;
    this.subtracted.push(limit.waitsKey);
    this.opened.push(limit.gateKey);
  }
}

/** Keys in a settlement at most. More are dropped: then too few attempts are let in. */
const MAX_UNSETTLED_KEYS = 50_000;

/** Counts attempts against limits, in counts that all processes share. */
export class LimitCounter {
  readonly #counter: AttemptCounter;
  #unsettled = new Settlement();
  /** Resolves when `#unsettled` is written; undefined while that is empty. */
  #nextBatch: Promise<void> | undefined;
  /** Batches are written one after the other. */
  #lastBatch: Promise<void> = Promise.resolve();
  /** The batch that changes the counts of an account, by the key of its limit. */
  readonly #batchByKey = new Map<string, Promise<void>>();

  constructor(counter: AttemptCounter) {
    this.#counter = counter;
  }

  /** Lets an attempt in under all its limits; or under none, and resolves to the seconds to wait. */
  async admit(limits: readonly Limit[]): Promise<Admissions | number> {
    const keys: string[] = [];
    for (const [i, limit] of limits.entries()) {
      // What an earlier attempt is about to clear must not count against this one.
      await this.#batchByKey.get(limit.key);
      keys.push(limit.gateKey);
      if (limits[i + 1]?.isSkippedDuringWait) keys.unshift(limit.key, limit.waitsKey);
    }
    const found = await this.#counter.read(keys);
    const gates = found.slice(-limits.length);
    // Refused attempts are counted too, and all free attempts may come at once. So the second limit is
    // skipped only if the first one is used up and has let in an attempt after a wait.
    const [first, waits] = keys.length > limits.length ? found : [];
    const isWaiting = (first?.count ?? 0) >= (limits[0]?.free ?? 0) && (waits?.count ?? 0) > 0;
    const holding: Limit[] = [];
    let wait = 0;
    for (const [i, limit] of limits.entries()) {
      if (limit.isSkippedDuringWait && isWaiting) continue;
      holding.push(limit);
      const secondsLeft = gates[i]?.secondsLeft ?? 0;
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
    const adding = limits.map(({ key, window }) => this.#counter.add(key, window));
    const added = await Promise.allSettled(adding);
    const admissions = new Map<Limit, { readonly followsWait: boolean }>();
    const faults: unknown[] = [];
    let wait = 0;
    for (const [i, limit] of limits.entries()) {
      const outcome = added[i];
      if (outcome?.status !== 'fulfilled') {
        faults.push(outcome?.reason);
        continue;
      }
      admissions.set(limit, { followsWait: false });
      if (faults.length > 0 || wait > 0 || outcome.value.count < limit.free) continue;
      try {
        wait = await this.#closeGate(limit);
        if (wait > 0) admissions.delete(limit);
        else admissions.set(limit, { followsWait: true });
      } catch (fault) {
        faults.push(fault);
      }
    }
    if (wait === 0 && faults.length === 0) return admissions;
    const settlement = new Settlement();
    for (const [limit, { followsWait }] of admissions) settlement.takeBack(limit, followsWait);
    await this.#write(settlement);
    if (faults.length > 0) throw faults[0];
    return wait;
  }

  /**
   * Of all who find the gate of a used-up limit open, lets the first in and starts the next wait.
   * @returns 0 for the first, the seconds to wait for the others
   */
  async #closeGate({ gateKey, waitsKey, window }: Limit): Promise<number> {
    const counter = this.#counter;
    const [waits] = await counter.read([waitsKey]);
    const seconds = Math.min(FIRST_WAIT * 2 ** (waits?.count ?? 0), LONGEST_WAIT);
    const gate = await counter.add(gateKey, seconds);
    if (gate.count > 1) return gate.secondsLeft;
    await counter.add(waitsKey, window);
    return 0;
  }

  /**
   * Clears or takes back the counts of an attempt that was let in: one that succeeded, or one that was
   * no guess, such as one that met a fault. Returns at once: no reply waits until it is written.
   */
  settle(limits: readonly Limit[], admissions: Admissions, isSuccess: boolean): void {
    const { cleared, subtracted } = this.#unsettled;
    if (cleared.length + subtracted.length > MAX_UNSETTLED_KEYS) return;
    for (const limit of limits) {
      const { key, gateKey, waitsKey, onSuccess } = limit;
      const admission = admissions.get(limit);
      if (isSuccess && onSuccess === 'clear') cleared.push(key, gateKey, waitsKey);
      else if (admission === undefined || (isSuccess && onSuccess === 'count')) continue;
      else this.#unsettled.takeBack(limit, admission.followsWait);
      this.#nextBatch ??= this.#lastBatch = this.#writeAfter(this.#lastBatch);
      // Attempts at the same account wait for it; those from the same network need not.
      if (onSuccess === 'clear') this.#batchByKey.set(key, this.#nextBatch);
    }
  }

  /** Writes by one statement what has come by then. */
  async #writeAfter(lastBatch: Promise<void>): Promise<void> {
    await lastBatch;
    const [settlement, batch] = [this.#unsettled, this.#nextBatch];
    [this.#unsettled, this.#nextBatch] = [new Settlement(), undefined];
    await this.#write(settlement);
    for (const [key, of] of this.#batchByKey) if (of === batch) this.#batchByKey.delete(key);
  }

  /** Best effort: what is left expires by itself, and until then too few attempts are let in. */
  async #write({ cleared, subtracted, opened }: Settlement): Promise<void> {
    const counter = this.#counter;
    await Promise.allSettled([
      cleared.length > 0 && counter.clear(cleared),
      subtracted.length > 0 && counter.subtract(subtracted),
    ]);
    if (opened.length > 0) await Promise.allSettled([counter.clear(opened)]);
  }
}

export function tooManyAttempts(secondsLeft: number): AuthError {
  return new AuthError('too_many_attempts', Math.max(1, Math.ceil(secondsLeft)));
}
