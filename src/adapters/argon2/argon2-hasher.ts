import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { hash, verify } from '@node-rs/argon2';
import { AuthError, type PasswordHasher, type Verdict } from '../../application/index.ts';
import { HASH_COST, HASH_QUEUE } from '../../domain/defaults.ts';
import { checkOptions } from '../../domain/options.ts';
import { makeUpMemory, MAX_KINDS, MOST, RecentTimes, SlowestKind } from './timing-equaliser.ts';
import { type Cost, hashPrefix, PHC, readCost } from './phc.ts';

/** How dear a hash is, and how many there may be at once. */
export interface Argon2Options {
  /** KiB, 19,456 unless given. With `passes` and `parallelism`: OWASP's first choice. */
  readonly memoryKib?: number;
  /** 2 unless given. */
  readonly passes?: number;
  /** 1 unless given. */
  readonly parallelism?: number;
  /**
   * Hashes computed at once; the number of cores unless given. They run on the threads of libuv's pool, of which
   * there are four unless the environment of the process says otherwise by `UV_THREADPOOL_SIZE`.
   */
  readonly concurrency?: number;
  /** Hashes that may wait for their turn; 64 unless given. Beyond it: `service_busy`, at once. */
  readonly queue?: number;
  /** Told when a stored hash cannot be read: somebody should look at that row. */
  readonly onUnreadableHash?: () => void;
  /** Told of each hash when it is done: the seconds that it waited for its turn, and took. */
  readonly onHash?: (waited: number, took: number) => void;
  /**
   * Hashes of other systems that passwords are checked against as well, such as `legacyHashes()`. Where one is
   * `outdated`, the login makes one of argon2id of it.
   */
  readonly legacyHashes?: OtherHashes;
}

/** Hashes of other kinds than argon2's. */
export interface OtherHashes {
  /** The kind and cost of a stored hash; undefined where it cannot be read, or is beyond all measure. */
  kindOf(passwordHash: string): string | undefined;
  /**
   * What a password is for this hash, which has a kind: `right` where the hash is to be kept as it is. Runs
   * within the bounds on argon2's work.
   */
  verify(passwordHash: string, password: string): Promise<Verdict>;
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
  readonly #today: string;
  readonly #usual = new RecentTimes();
  readonly #decoy: Promise<string>;
  readonly #onUnreadableHash: () => void;
  readonly #others: OtherHashes | undefined;
  readonly #slowest = new SlowestKind();

  /** @throws RangeError for an option that is none, no number, or too small */
  constructor(options: Argon2Options = {}) {
    const { memoryKib = HASH_COST.memoryKib, passes = HASH_COST.passes } = options;
    const { parallelism = HASH_COST.parallelism } = options;
    const { concurrency = availableParallelism(), queue = HASH_QUEUE } = options;
    const numbers = { parallelism, memoryKib, passes, concurrency, queue };
    checkOptions(options, [...Object.keys(numbers), ...CALLBACKS]);
    checkNumbers(numbers);
    this.#parameters = { memoryCost: memoryKib, timeCost: passes, parallelism };
    this.#today = hashPrefix({ memoryKib, passes, parallelism });
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
    const stored = this.#read(passwordHash);
    return stored !== undefined && (stored.isOther || PHC.test(passwordHash));
  }

  /**
   * Finds out what each kind among stored hashes takes, so that no refusal is the first of its kind: that one
   * would take longer than all before, and tell of an account. For before it is asked. One kind that cannot be
   * checked keeps none of the others from it.
   * @throws AggregateError with what such kinds said, once all others are measured
   */
  async measure(passwordHashes: readonly string[]): Promise<void> {
    const kinds = new Map<string, StoredHash>();
    for (const passwordHash of passwordHashes) {
      const stored = this.#read(passwordHash);
      if (stored === undefined || stored.kind === this.#today) continue;
      if (!this.#slowest.has(stored.kind)) kinds.set(stored.kind, stored);
    }
    const password = randomBytes(32).toString('base64');
    const faults: unknown[] = [];
    for (const stored of [...kinds.values()].slice(0, MAX_KINDS)) {
      const end = performance.now() + MOST;
      try {
        for (let i = 0; i < SAMPLES && performance.now() < end; i += 1) {
          await this.#gate.run(() => this.#check(stored, password));
        }
      } catch (fault) {
        faults.push(fault);
      }
    }
    if (faults.length > 0) throw new AggregateError(faults, 'kinds of hashes cannot be checked');
  }

  async #judge(passwordHash: string | undefined, password: string): Promise<Verdict> {
    const stored = passwordHash === undefined ? undefined : this.#read(passwordHash);
    if (stored !== undefined) {
      try {
        const started = performance.now();
        const verdict = await this.#check(stored, password);
        if (verdict === 'wrong' && stored.kind !== this.#today) {
          await this.#makeUp(started, password);
        }
        return verdict;
      } catch (fault) {
        if (stored.isOther) throw fault; // Nothing of the row: what checks it is not installed.
      }
    }
    if (passwordHash !== undefined) this.#onUnreadableHash();
    await this.#verifyDecoy(password);
    return 'wrong';
  }

  async #check({ kind, check }: StoredHash, password: string): Promise<Verdict> {
    const started = performance.now();
    const verdict = await check(password);
    const spent = performance.now() - started;
    if (kind === this.#today) this.#usual.add(spent);
    else this.#slowest.add(kind, spent);
    return verdict;
  }

  /** Undefined for what is no hash, or one whose check would take too much. */
  #read(passwordHash: string): StoredHash | undefined {
    const others = this.#others;
    const other = others?.kindOf(passwordHash);
    if (others !== undefined && other !== undefined) {
      const check = (password: string) => others.verify(passwordHash, password);
      return { kind: other, isOther: true, check };
    }
    const cost = readCost(passwordHash);
    if (cost === undefined || this.#isTooDear(cost)) return undefined;
    const check = async (password: string): Promise<Verdict> => {
      if (!(await verify(passwordHash, password))) return 'wrong';
      return this.#isWeaker(cost) ? 'outdated' : 'right';
    };
    return { kind: cost.prefix, isOther: false, check };
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
  #isTooDear({ memoryKib, passes }: Cost): boolean {
    const { memoryCost, timeCost } = this.#parameters;
    if (memoryKib > Math.max(memoryCost, MAX_MEMORY_KIB)) return true;
    return memoryKib * passes > TOO_DEAR * Math.max(memoryCost * timeCost, OWASP_COST);
  }

  /** A dearer one is kept: of two processes with other settings, each would replace what the other made. */
  #isWeaker({ isCurrent, memoryKib, passes }: Cost): boolean {
    const { memoryCost, timeCost } = this.#parameters;
    return !isCurrent || memoryKib < memoryCost || passes < timeCost;
  }
}

/** How a stored hash is checked. */
interface StoredHash {
  /** The same for all whose check takes as long. */
  readonly kind: string;
  /** Of another system. */
  readonly isOther: boolean;
  readonly check: (password: string) => Promise<Verdict>;
}

/** How often a kind is tried before it is met: what is loaded for the first of them is not of the kind. */
const SAMPLES = 3;

/** 1 GiB: the most that others take by name, libsodium's "sensitive". */
const MAX_MEMORY_KIB = 2 ** 20;

/** KiB times passes, of OWASP's first choice. */
const OWASP_COST = 19_456 * 2;

/**
 * A stored hash of more than so many times that, or the cost in force, counts as one that cannot be read.
 * The dearest that others make by name, libsodium's "sensitive" (1 GiB, 4 passes), is within.
 */
const TOO_DEAR = 128;

const CALLBACKS = ['onUnreadableHash', 'onHash', 'legacyHashes'];

function checkNumbers(numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers)) {
    const least =
      name === 'queue' ? 0 : name === 'memoryKib' ? 8 * (numbers['parallelism'] ?? 1) : 1;
    if (Number.isSafeInteger(value) && value >= least) continue;
    throw new RangeError(`${name} must be a whole number from ${least} on, not ${String(value)}`);
  }
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
