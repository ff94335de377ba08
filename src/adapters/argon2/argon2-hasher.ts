import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { hash, verify } from '@node-rs/argon2';
import { AuthError, type PasswordHasher, type Verdict } from '../../application/index.ts';
import { makeUpMemory, MAX_KINDS, MOST, RecentTimes, SlowestKind } from './making-up.ts';

/** How dear a hash is, and how many there may be at once. */
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
  /** Told of each hash when it is done: the seconds that it waited for its turn, and took. */
  readonly onHash?: (waited: number, took: number) => void;
  /**
   * Hashes of other systems that passwords are checked against as well, such as `legacyHashes()`. Whoever
   * is right is `outdated`, so that the login makes one of argon2id of it.
   */
  readonly legacyHashes?: OtherHashes;
}

/** Hashes of other kinds than argon2's. */
export interface OtherHashes {
  /** The kind and cost of a stored hash; undefined where it cannot be read, or is beyond all measure. */
  kindOf(passwordHash: string): string | undefined;
  /** Whether a password has this hash, which has a kind. Runs within the bounds on argon2's work. */
  verify(passwordHash: string, password: string): Promise<boolean>;
}

/**
 * argon2id with a bound on the memory it takes: at most `concurrency` hashes run, each
 * with `memoryKib`, and at most `queue` wait.
 */
export class Argon2Hasher implements PasswordHasher {
  readonly #parameters: { memoryCost: number; timeCost: number; parallelism: number };
  readonly #gate: Gate;
  readonly #places: number;
  #admitted = 0;
  readonly #usual = new RecentTimes();
  readonly #decoy: Promise<string>;
  readonly #onUnreadableHash: () => void;
  readonly #others: OtherHashes | undefined;
  readonly #slowest = new SlowestKind();

  /** @throws RangeError for an option that is no number, or too small */
  constructor(options: Argon2Options = {}) {
    this.#parameters = {
      memoryCost: options.memoryKib ?? 19_456,
      timeCost: options.passes ?? 2,
      parallelism: options.parallelism ?? 1,
    };
    const { concurrency = availableParallelism(), queue = 64 } = options;
    const { memoryCost: memoryKib, timeCost: passes, parallelism } = this.#parameters;
    const least = { memoryKib: 1, passes: 1, parallelism: 1, concurrency: 1, queue: 0 };
    const chosen = { memoryKib, passes, parallelism, concurrency, queue };
    for (const [name, value] of Object.entries(chosen)) {
      const min = new Map(Object.entries(least)).get(name) ?? 0;
      if (Number.isSafeInteger(value) && value >= min) continue;
      throw new RangeError(`${name} must be a whole number from ${min} on, not ${String(value)}`);
    }
    this.#gate = new Gate(concurrency, queue, options.onHash);
    this.#places = concurrency + queue;
    this.#onUnreadableHash = options.onUnreadableHash ?? (() => {});
    this.#others = options.legacyHashes;
    // With the current parameters, so that a login without an account takes as long as one with.
    this.#decoy = this.#hash(randomBytes(32).toString('base64'));
    this.#decoy.catch(() => {}); // Whoever first needs it is told.
  }

  /** Hashes that are being computed, and that wait for their turn. */
  get load(): { readonly running: number; readonly waiting: number } {
    return this.#gate.load;
  }

  hash(password: string): Promise<string> {
    return this.#gate.run(() => this.#hash(password));
  }

  async verify(passwordHash: string | undefined, password: string): Promise<Verdict> {
    const { verdict, spent } = await this.#gate.run(async () => {
      const started = performance.now();
      const judged = await this.#judge(passwordHash, password);
      return { verdict: judged, spent: performance.now() - started };
    });
    // Else the time would tell that there is an account, of a dearer hash than today's.
    const missing = this.#slowest.most() - spent;
    if (verdict === 'wrong' && missing > 0) await sleep(missing);
    return verdict;
  }

  /**
   * Whether a password could be checked against a hash that somebody wants to store: it is of a known
   * kind, whole, and within the bound on the work of one check.
   */
  reads(passwordHash: string): boolean {
    if (this.#others?.kindOf(passwordHash) !== undefined) return true;
    return PHC.test(passwordHash) && !this.#isTooDear(passwordHash);
  }

  /**
   * Finds out what each kind among stored hashes of other systems takes, so that no refusal is the first of
   * its kind: that one would take longer than all before, and tell of an account. For before it is asked.
   */
  async measure(passwordHashes: readonly string[]): Promise<void> {
    const kinds = new Map<string, string>();
    for (const passwordHash of passwordHashes) {
      const kind = this.#others?.kindOf(passwordHash);
      if (kind !== undefined && !this.#slowest.has(kind)) kinds.set(kind, passwordHash);
    }
    const password = randomBytes(32).toString('base64');
    for (const [kind, passwordHash] of [...kinds].slice(0, MAX_KINDS)) {
      const end = performance.now() + MOST;
      for (let i = 0; i < SAMPLES && performance.now() < end; i += 1) {
        await this.#gate.run(() => this.#verifyByOther(kind, passwordHash, password));
      }
    }
  }

  async #judge(passwordHash: string | undefined, password: string): Promise<Verdict> {
    if (passwordHash !== undefined) {
      const kind = this.#others?.kindOf(passwordHash);
      if (kind !== undefined) return this.#judgeByOther(kind, passwordHash, password);
      const stored = readParameters(passwordHash);
      try {
        if (this.#isTooDear(passwordHash)) throw new Error('too dear');
        const started = performance.now();
        const isRight = await verify(passwordHash, password);
        const isWeaker = this.#isWeaker(stored);
        if (isRight) return isWeaker ? 'outdated' : 'right';
        if (isWeaker) await this.#makeUp(started, password);
        else this.#usual.add(performance.now() - started);
        return 'wrong';
      } catch {
        this.#onUnreadableHash();
      }
    }
    await this.#verifyDecoy(password);
    return 'wrong';
  }

  async #judgeByOther(kind: string, passwordHash: string, password: string): Promise<Verdict> {
    const started = performance.now();
    if (await this.#verifyByOther(kind, passwordHash, password)) return 'outdated';
    await this.#makeUp(started, password);
    return 'wrong';
  }

  async #verifyByOther(kind: string, passwordHash: string, password: string): Promise<boolean> {
    const started = performance.now();
    const isRight = (await this.#others?.verify(passwordHash, password)) ?? false;
    this.#slowest.add(kind, performance.now() - started);
    return isRight;
  }

  async admit<T>(work: () => Promise<T>): Promise<T> {
    if (this.#admitted >= this.#places) throw new AuthError('service_busy');
    this.#admitted += 1;
    try {
      return await work();
    } finally {
      this.#admitted -= 1;
    }
  }

  #hash(password: string): Promise<string> {
    return hash(password, this.#parameters); // argon2id, version 19: the package's default
  }

  async #verifyDecoy(password: string): Promise<void> {
    const decoy = await this.#decoy;
    const started = performance.now();
    await verify(decoy, password);
    this.#usual.add(performance.now() - started);
  }

  /**
   * A wrong password takes as long, however little its hash does: else the time tells that there is an
   * account, and an old one. It is measured what is missing, not computed: less memory takes
   * less than its share of the time, by as much as the caches hold of it. For the same reason
   * each step falls a little short, and the next one comes closer.
   */
  async #makeUp(started: number, password: string): Promise<void> {
    const usual = this.#usual.median();
    if (usual === undefined) return this.#verifyDecoy(password);
    for (;;) {
      const spent = performance.now() - started;
      const memoryCost = makeUpMemory(this.#parameters, spent, usual);
      if (memoryCost === undefined) return;
      await hash(password, { ...this.#parameters, memoryCost });
    }
  }

  /** Whoever wrote the row must not have this process do the work of minutes, or take all memory. */
  #isTooDear(phc: string): boolean {
    const [, memory, passes] = /^\$argon2\w+\$(?:v=\d+\$)?m=(\d+),t=(\d+),/.exec(phc) ?? [];
    const { memoryCost, timeCost } = this.#parameters;
    return Number(memory) * Number(passes) > TOO_DEAR * Math.max(memoryCost * timeCost, OWASP_COST);
  }

  #isWeaker(stored: Cost | undefined): boolean {
    if (stored === undefined) return true;
    const { memoryCost, timeCost } = this.#parameters;
    return stored.memoryCost < memoryCost || stored.timeCost < timeCost;
  }
}

/** How often a kind is tried before it is met: what is loaded for the first of them is not of the kind. */
const SAMPLES = 3;

/** A whole hash of any kind of argon2, of 16 bytes or more. */
const PHC =
  /^\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m=\d{1,10},t=\d{1,10},p=\d{1,8}\$[\w+/]{11,}\$[\w+/]{22,}$/;

/** KiB times passes, of OWASP's first choice. */
const OWASP_COST = 19_456 * 2;

/**
 * A stored hash of more than so many times that, or the cost in force, counts as one that cannot be read.
 * The dearest that others make by name, libsodium's "sensitive" (1 GiB, 4 passes), is within.
 */
const TOO_DEAR = 128;

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
  readonly #concurrency: number;
  readonly #queue: number;
  readonly #onTurn: Argon2Options['onHash'];
  readonly #waiting: (() => void)[] = [];

  constructor(concurrency: number, queue: number, onTurn: Argon2Options['onHash']) {
    this.#free = concurrency;
    this.#concurrency = concurrency;
    this.#queue = queue;
    this.#onTurn = onTurn;
  }

  get load(): { readonly running: number; readonly waiting: number } {
    return { running: this.#concurrency - this.#free, waiting: this.#waiting.length };
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    const asked = performance.now();
    if (this.#free > 0) this.#free -= 1;
    else if (this.#waiting.length >= this.#queue) throw new AuthError('service_busy');
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const began = performance.now();
    try {
      return await task();
    } finally {
      this.#onTurn?.((began - asked) / 1000, (performance.now() - began) / 1000);
      // The place goes to the next in line, or is free again.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
