/**
 * The memory, in KiB, of one more hash that takes about the time that is missing: `spentMs` have passed of
 * the `typicalMs` that a check takes. Undefined if next to nothing is missing.
 */
export function memoryForMissingTime(
  { memoryCost, parallelism }: { readonly memoryCost: number; readonly parallelism: number },
  spentMs: number,
  typicalMs: number,
): number | undefined {
  const memory = Math.floor(memoryCost * Math.min(1, 1 - spentMs / typicalMs));
  return memory >= Math.max(8 * parallelism, memoryCost / 32) ? memory : undefined;
}

/** The last 15 of a series of times, in milliseconds. */
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

  /** The second longest: nearly all are at most that. Undefined before the first. */
  high(): number | undefined {
    return this.#times.toSorted((a, b) => b - a)[Math.min(1, this.#times.length - 1)];
  }
}

/** Refusals wait no longer than this for a slower kind of hash: one row must not slow everybody down. */
export const MAX_DELAY_MS = 1_000;
/** Kinds of hashes that are remembered. */
export const MAX_KINDS = 32;

/**
 * The times of other kinds of hashes, which can take far longer than today's. A refusal cannot be made
 * shorter, so every refusal waits as long as the slowest kind takes. If there are more than `MAX_KINDS`,
 * the slowest are remembered.
 */
export class SlowestKind {
  readonly #kinds = new Map<string, RecentTimes>();

  add(kind: string, ms: number): void {
    const times = this.#kinds.get(kind) ?? new RecentTimes();
    times.add(ms);
    this.#kinds.set(kind, times);
    if (this.#kinds.size > MAX_KINDS) this.#kinds.delete(this.#quickest());
  }

  has(kind: string): boolean {
    return this.#kinds.has(kind);
  }

  /** How long a refusal takes at least, in milliseconds; 0 before the first measurement. */
  delayMs(): number {
    const times = [...this.#kinds.values()].map((each) => each.high() ?? 0);
    return Math.min(MAX_DELAY_MS, Math.max(0, ...times));
  }

  #quickest(): string {
    const times = [...this.#kinds].map(([kind, each]) => ({ kind, ms: each.high() ?? 0 }));
    return times.toSorted((a, b) => a.ms - b.ms)[0]?.kind ?? '';
  }
}
