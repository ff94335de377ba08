import { type AttemptCounter, type Count, StoreUnwritable } from '../../application/index.ts';
import { MemoryAttempts } from './memory-attempts.ts';

/**
 * Wraps a counter: while its store cannot be written, attempts are counted in this process's
 * memory. The rate limits then still hold, even if an attacker fills the disk, but each process
 * counts alone.
 */
export function withFallback(attempts: AttemptCounter): AttemptCounter {
  return new FallbackAttempts(attempts);
}

/** @deprecated Use `withFallback`. */
export const withSpare = withFallback;

/** The count of a key is the sum of its counts in the store and in memory. */
class FallbackAttempts implements AttemptCounter {
  readonly #store: AttemptCounter;
  readonly #memory = new MemoryAttempts();

  constructor(store: AttemptCounter) {
    this.#store = store;
  }

  async add(key: string, seconds: number): Promise<Count> {
    let stored: Count | undefined;
    try {
      stored = await this.#store.add(key, seconds);
    } catch (error) {
      if (!(error instanceof StoreUnwritable)) throw error;
      const [before] = await this.#store.read([key]);
      const counted = await this.#memory.add(key, seconds);
      return before ? sum(counted, before) : counted;
    }
    if (this.#memory.isEmpty) return stored;
    const [counted] = await this.#memory.read([key]);
    return counted ? sum(stored, counted) : stored;
  }

  async subtract(keys: readonly string[]): Promise<void> {
    if (this.#memory.isEmpty) return this.#store.subtract(keys);
    // Each attempt is in one of the two counters. Subtracting from both would grant an extra
    // attempt.
    const counts = await this.#memory.read(keys);
    const isInMemory = (_: string, i: number) => (counts[i]?.count ?? 0) > 0;
    await this.#memory.subtract(keys.filter(isInMemory));
    return this.#store.subtract(keys.filter((key, i) => !isInMemory(key, i)));
  }

  async read(keys: readonly string[]): Promise<readonly (Count | undefined)[]> {
    const stored = await this.#store.read(keys);
    if (this.#memory.isEmpty) return stored;
    const counted = await this.#memory.read(keys);
    return stored.map((count, i) => {
      const inMemory = counted[i];
      return count && inMemory ? sum(count, inMemory) : (count ?? inMemory);
    });
  }

  async clear(keys: readonly string[]): Promise<void> {
    if (!this.#memory.isEmpty) await this.#memory.clear(keys);
    return this.#store.clear(keys);
  }

  async removeExpired(limit: number): Promise<number> {
    const removed = await this.#memory.removeExpired(limit);
    return removed + (await this.#store.removeExpired(limit - removed));
  }
}

function sum(one: Count, other: Count): Count {
  return {
    count: one.count + other.count,
    secondsLeft: Math.max(one.secondsLeft, other.secondsLeft),
  };
}
