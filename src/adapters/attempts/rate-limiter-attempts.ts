import { createHash } from 'node:crypto';
import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  type RateLimiterRes,
} from 'rate-limiter-flexible';
import type { AttemptCounter, Count } from '../../application/index.ts';

/** What is needed of a limiter of rate-limiter-flexible: any of its stores will do. */
export type Limiter = Pick<RateLimiterAbstract, 'penalty' | 'get' | 'delete'>;

/** Counts in this process: for a service of one process, and for tests. */
export function memoryAttempts(): AttemptCounter {
  return new RateLimiterAttempts(new RateLimiterMemory({ points: 1, duration: 1, keyPrefix: '' }));
}

/**
 * The counts of attempts in a store of rate-limiter-flexible: its memory, our database, or Redis
 * and the like. Only its counting is used; what is too much is decided by the use cases. What
 * people type into an email field, passwords among it, is kept as a hash (SHA-256) only.
 */
export class RateLimiterAttempts implements AttemptCounter {
  readonly #limiter: Limiter;

  constructor(limiter: Limiter) {
    this.#limiter = limiter;
  }

  async add(key: string, amount: 1 | -1, seconds: number): Promise<Count> {
    const id = hash(key);
    // From nothing, as after `clear`, nothing can be taken back.
    if (amount < 0 && !(await this.#limiter.get(id))) return { count: 0, secondsLeft: 0 };
    return toCount(await this.#limiter.penalty(id, amount, { customDuration: seconds }));
  }

  async read(keys: readonly string[]): Promise<readonly (Count | undefined)[]> {
    const found = await Promise.all(keys.map((key) => this.#limiter.get(hash(key))));
    return found.map((result) => (result && result.msBeforeNext > 0 ? toCount(result) : undefined));
  }

  async clear(keys: readonly string[]): Promise<void> {
    await Promise.all(keys.map((key) => this.#limiter.delete(hash(key))));
  }
}

/** Counts nothing, and so limits nothing: for benchmarks, or where something in front does it. */
export const noAttempts: AttemptCounter = {
  add: async () => ({ count: 0, secondsLeft: 0 }),
  read: async (keys) => keys.map(() => undefined),
  clear: async () => {},
};

function hash(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}

function toCount({ consumedPoints, msBeforeNext }: RateLimiterRes): Count {
  return { count: consumedPoints, secondsLeft: msBeforeNext / 1000 };
}
