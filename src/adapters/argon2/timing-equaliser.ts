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

  /** All but one are no longer. Undefined before the first. */
  most(): number | undefined {
    return this.#times.toSorted((a, b) => b - a)[Math.min(1, this.#times.length - 1)];
  }
}

/** Milliseconds: a row with a hash that takes longer must not slow everybody's refusal down to it. */
export const MOST = 1_000;
export const MAX_KINDS = 32;

/**
 * What other kinds of hashes take, of which one can take far longer than today's. No work makes a refusal
 * shorter: so, once there has been one, every refusal waits until the slowest would be done. Of more kinds
 * than it remembers the slowest count.
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

  /** Milliseconds within which nearly all are done; none before the first. */
  most(): number {
    const times = [...this.#kinds.values()].map((each) => each.most() ?? 0);
    return Math.min(MOST, Math.max(0, ...times));
  }

  #quickest(): string {
    const times = [...this.#kinds].map(([kind, each]) => ({ kind, ms: each.most() ?? 0 }));
    return times.toSorted((a, b) => a.ms - b.ms)[0]?.kind ?? '';
  }
}
