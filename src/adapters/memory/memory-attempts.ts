import { createHash } from 'node:crypto';
import type { AttemptCounter, Clock, Count } from '../../application/index.ts';

interface Entry {
  readonly count: number;
  /** Milliseconds, on the same clock as `#now`. */
  readonly expires: number;
}

/** Below this many counts, none are swept. */
const MIN_SWEEP_SIZE = 1_000;

/** Counts attempts in this process. Sweeps expired counts whenever the map has doubled. */
export class MemoryAttempts implements AttemptCounter {
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;
  #sweepAt = MIN_SWEEP_SIZE;

  /** @param clock by which counts expire. Default: the monotonic clock of the process */
  constructor(clock?: Clock) {
    this.#now = clock ? () => clock.now().getTime() : () => performance.now();
  }

  /** True if there are no counts at all, not even expired ones. */
  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  async add(key: string, seconds: number): Promise<Count> {
    const id = idOf(key);
    const { count, expires } = this.#live(id) ?? {
      count: 0,
      expires: this.#now() + seconds * 1000,
    };
    const changed = { count: count + 1, expires };
    this.#entries.set(id, changed);
    if (this.#entries.size >= this.#sweepAt) await this.removeExpired(Infinity);
    return this.#toCount(changed);
  }

  async subtract(keys: readonly string[]): Promise<void> {
    for (const id of keys.map(idOf)) {
      const entry = this.#live(id);
      if (entry) this.#entries.set(id, { ...entry, count: Math.max(0, entry.count - 1) });
    }
  }

  async read(keys: readonly string[]): Promise<readonly (Count | undefined)[]> {
    return keys.map((key) => {
      const entry = this.#live(idOf(key));
      return entry && this.#toCount(entry);
    });
  }

  async clear(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#entries.delete(idOf(key));
  }

  async removeExpired(limit: number): Promise<number> {
    let removed = 0;
    for (const id of this.#entries.keys()) {
      if (removed === limit) break;
      if (this.#live(id)) continue;
      this.#entries.delete(id);
      removed += 1;
    }
    // The next sweep is at twice the size, so that its cost is spread over as many additions.
    this.#sweepAt = Math.max(MIN_SWEEP_SIZE, this.#entries.size * 2);
    return removed;
  }

  #live(id: string): Entry | undefined {
    const entry = this.#entries.get(id);
    return entry && entry.expires > this.#now() ? entry : undefined;
  }

  #toCount({ count, expires }: Entry): Count {
    return { count, secondsLeft: (expires - this.#now()) / 1000 };
  }
}

/** Hashes the key, so that long input from a client does not take memory. */
function idOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}

/** Limits nothing: for benchmarks, or behind a proxy that has its own rate limits. */
export const noAttempts: AttemptCounter = {
  add: async () => ({ count: 0, secondsLeft: 0 }),
  subtract: async () => {},
  read: async (keys) => keys.map(() => undefined),
  clear: async () => {},
  removeExpired: async () => 0,
};
