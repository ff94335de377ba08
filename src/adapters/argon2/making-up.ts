/**
 * KiB with which to hash once more, `spent` milliseconds after the start of what should take `usual`:
 * in proportion to what is missing; undefined where that is next to nothing.
 */
export function makeUpMemory(
  { memoryCost, parallelism }: { readonly memoryCost: number; readonly parallelism: number },
  spent: number,
  usual: number,
): number | undefined {
  const memory = Math.floor(memoryCost * Math.min(1, 1 - spent / usual));
  return memory >= Math.max(8 * parallelism, memoryCost / 32) ? memory : undefined;
}

/** The last few of a series of times. */
export class RecentTimes {
  readonly #times: number[] = [];

  add(ms: number): void {
    this.#times.push(ms);
    if (this.#times.length > 15) this.#times.shift();
  }

  /** Undefined before the first. */
  median(): number | undefined {
    return this.#times.toSorted((a, b) => a - b)[this.#times.length >> 1];
  }
}
