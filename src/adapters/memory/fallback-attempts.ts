import { type AttemptCounter, type Count, StoreUnwritable } from '../../application/index.ts';
import { MemoryAttempts } from './memory-attempts.ts';

/**
 * A counter that goes on in this process while its store takes no writes: limits on guessing hold for
 * whoever fills the disk as well, although each process then counts for itself.
 */
export function withSpare(attempts: AttemptCounter): AttemptCounter {
  return new SparedAttempts(attempts);
}

/** What is counted of a key is the sum of what the store and this process have. */
class SparedAttempts implements AttemptCounter {
  readonly #store: AttemptCounter;
  readonly #spare = new MemoryAttempts();

  constructor(store: AttemptCounter) {
    this.#store = store;
  }

  async add(key: string, seconds: number): Promise<Count> {
    try {
      const count = await this.#store.add(key, seconds);
      const [spare] = await this.#spare.read([key]);
      return spare ? sum(count, spare) : count;
    } catch (error) {
      if (!(error instanceof StoreUnwritable)) throw error;
      const [stored] = await this.#store.read([key]);
      const count = await this.#spare.add(key, seconds);
      return stored ? sum(count, stored) : count;
    }
  }

  async subtract(keys: readonly string[]): Promise<void> {
    // From where it was added: from both it would give an attempt away.
    const spares = await this.#spare.read(keys);
    const isSpare = (_: string, i: number) => (spares[i]?.count ?? 0) > 0;
    await this.#spare.subtract(keys.filter(isSpare));
    await this.#store.subtract(keys.filter((key, i) => !isSpare(key, i)));
  }

  async read(keys: readonly string[]): Promise<readonly (Count | undefined)[]> {
    const stored = await this.#store.read(keys);
    const spares = await this.#spare.read(keys);
    return stored.map((count, i) => {
      const spare = spares[i];
      return count && spare ? sum(count, spare) : (count ?? spare);
    });
  }

  async clear(keys: readonly string[]): Promise<void> {
    await this.#spare.clear(keys);
    await this.#store.clear(keys);
  }

  async removeExpired(limit: number): Promise<number> {
    const removed = await this.#spare.removeExpired(limit);
    return removed + (await this.#store.removeExpired(limit - removed));
  }
}

function sum(one: Count, other: Count): Count {
  return {
    count: one.count + other.count,
    secondsLeft: Math.max(one.secondsLeft, other.secondsLeft),
  };
}
