import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { hash, verify } from '@node-rs/argon2';
import { AuthError, type PasswordHasher, type Verdict } from '../../application/index.ts';

export interface Argon2Options {
  /** KiB, 19,456 unless given. With `passes` and `parallelism`: OWASP's first choice. */
  readonly memoryKib?: number;
  /** 2 unless given. */
  readonly passes?: number;
  /** 1 unless given. */
  readonly parallelism?: number;
  /** Hashes computed at once; the number of cores unless given. */
  readonly concurrency?: number;
  /** Hashes that may wait for their turn; 64 unless given. Beyond it: `service_busy`, at once. */
  readonly queue?: number;
  /** Told when a stored hash cannot be read: somebody should look at that row. */
  readonly onUnreadableHash?: () => void;
}

/**
 * argon2id with a bound on the memory it takes: at most `concurrency` hashes run, each
 * with `memoryKib`, and at most `queue` wait.
 */
export class Argon2Hasher implements PasswordHasher {
  readonly #parameters: { memoryCost: number; timeCost: number; parallelism: number };
  readonly #gate: Gate;
  readonly #decoy: Promise<string>;
  readonly #onUnreadableHash: () => void;

  constructor(options: Argon2Options = {}) {
    this.#parameters = {
      memoryCost: options.memoryKib ?? 19_456,
      timeCost: options.passes ?? 2,
      parallelism: options.parallelism ?? 1,
    };
    this.#gate = new Gate(options.concurrency ?? availableParallelism(), options.queue ?? 64);
    this.#onUnreadableHash = options.onUnreadableHash ?? (() => {});
    // With the current parameters, so that a login without an account takes as long as one with.
    this.#decoy = this.#hash(randomBytes(32).toString('base64'));
    this.#decoy.catch(() => {}); // Whoever first needs it is told.
  }

  hash(password: string): Promise<string> {
    return this.#gate.run(() => this.#hash(password));
  }

  verify(passwordHash: string | undefined, password: string): Promise<Verdict> {
    return this.#gate.run(async () => {
      if (passwordHash !== undefined) {
        const stored = readParameters(passwordHash);
        try {
          if (await verify(passwordHash, password)) {
            return this.#isWeaker(stored) ? 'outdated' : 'right';
          }
          await this.#makeUpFor(stored, password);
          return 'wrong';
        } catch {
          this.#onUnreadableHash();
        }
      }
      await verify(await this.#decoy, password);
      return 'wrong';
    });
  }

  isBusy(): boolean {
    return this.#gate.isFull();
  }

  #hash(password: string): Promise<string> {
    return hash(password, this.#parameters); // argon2id, version 19: the package's default
  }

  /**
   * A wrong password costs the same, however little its hash does: else the time tells that there is
   * an account, and an old one. The cost of argon2 goes with memory times passes.
   */
  async #makeUpFor(stored: Cost | undefined, password: string): Promise<void> {
    if (!this.#isWeaker(stored)) return;
    const { memoryCost, timeCost, parallelism } = this.#parameters;
    const spent = stored ? stored.memoryCost * stored.timeCost : 0;
    const rest = Math.floor((memoryCost * timeCost - spent) / timeCost);
    if (rest < 8 * parallelism) return;
    await hash(password, { ...this.#parameters, memoryCost: rest });
  }

  #isWeaker(stored: Cost | undefined): boolean {
    if (stored === undefined) return true;
    const { memoryCost, timeCost } = this.#parameters;
    return stored.memoryCost < memoryCost || stored.timeCost < timeCost;
  }
}

interface Cost {
  /** KiB. */
  readonly memoryCost: number;
  readonly timeCost: number;
}

/** The cost of an argon2id hash of the current version; undefined for every other hash. */
function readParameters(phc: string): Cost | undefined {
  const [, memory, time] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/.exec(phc) ?? [];
  return memory && time ? { memoryCost: Number(memory), timeCost: Number(time) } : undefined;
}

/** Admits `concurrency` tasks at once and `queue` waiting, in order of arrival. */
class Gate {
  #free: number;
  readonly #queue: number;
  readonly #waiting: (() => void)[] = [];

  constructor(concurrency: number, queue: number) {
    this.#free = concurrency;
    this.#queue = queue;
  }

  isFull(): boolean {
    return this.#free === 0 && this.#waiting.length >= this.#queue;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.isFull()) throw new AuthError('service_busy');
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      // The place goes to the next in line, or is free again.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
