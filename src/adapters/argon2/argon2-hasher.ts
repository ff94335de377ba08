import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { hash, verify } from '@node-rs/argon2';
import { AuthError, type PasswordHasher, type Verdict } from '../../application/index.ts';
import { Semaphore } from '../../application/limits/queue.ts';
import { checkOptions } from '../../application/options.ts';
import {
  MAX_DELAY_MS,
  MAX_KINDS,
  memoryForMissingTime,
  RecentTimes,
  SlowestKind,
} from './timing-equaliser.ts';
import { type Cost, hashPrefix, PHC, readCost } from './phc.ts';

/** What a hash costs, and how many run at once. */
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
  /** Called when a stored hash cannot be read: somebody should look at that row. */
  readonly onUnreadableHash?: () => void;
  /** Called after each hash, with the seconds that it waited for its turn and that it took. */
  readonly onHash?: (waited: number, took: number) => void;
  /**
   * Checks hashes of other systems, such as `legacyHashes()`. A login with an `outdated` one replaces it by
   * one of argon2id.
   */
  readonly legacyHashes?: OtherHashes;
}

/** Checks hashes of other kinds than argon2's. */
export interface OtherHashes {
  /** The kind and cost of a stored hash; undefined if it cannot be read or costs too much. */
  kindOf(passwordHash: string): string | undefined;
  /**
   * Checks a password against a hash that has a kind; `right` if the hash is to be kept as it is. Runs
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
  readonly #semaphore: Semaphore;
  readonly #onHash: Argon2Options['onHash'];
  readonly #places: number;
  #admitted = 0;
  readonly #currentPrefix: string;
  readonly #currentTimes = new RecentTimes();
  readonly #decoy: Promise<string>;
  readonly #onUnreadableHash: () => void;
  readonly #otherHashes: OtherHashes | undefined;
  readonly #slowest = new SlowestKind();

  /** @throws RangeError for an option that is none, no number, or too small */
  constructor(options: Argon2Options = {}) {
    const { memoryKib = 19_456, passes = 2, parallelism = 1 } = options;
    const { concurrency = availableParallelism(), queue = 64 } = options;
    const numbers = { parallelism, memoryKib, passes, concurrency, queue };
    checkOptions(options, [...Object.keys(numbers), ...CALLBACKS]);
    checkNumbers(numbers);
    this.#parameters = { memoryCost: memoryKib, timeCost: passes, parallelism };
    this.#currentPrefix = hashPrefix({ memoryKib, passes, parallelism });
    this.#semaphore = new Semaphore(concurrency, queue, () => new AuthError('service_busy'));
    this.#onHash = options.onHash;
    this.#places = concurrency + queue;
    this.#onUnreadableHash = options.onUnreadableHash ?? (() => {});
    this.#otherHashes = options.legacyHashes;
    // With the current parameters, so that a login without an account takes as long as one with.
    this.#decoy = this.#hash(randomBytes(32).toString('base64'));
    this.#decoy.catch(() => {}); // The first caller that needs it gets the error.
  }

  /** Hashes that are being computed, and that wait for their turn. */
  get load(): { readonly running: number; readonly waiting: number } {
    const { running, waiting } = this.#semaphore;
    return { running, waiting };
  }

  hash(password: string): Promise<string> {
    return this.#inTurn(() => this.#hash(password));
  }

  async verify(passwordHash: string | undefined, password: string): Promise<Verdict> {
    const { verdict, spent } = await this.#inTurn(async () => {
      const started = performance.now();
      const judged = await this.#judge(passwordHash, password);
      return { verdict: judged, spent: performance.now() - started };
    });
    // Otherwise the time would tell that there is an account, with a hash that costs more than today's.
    const missingMs = this.#slowest.delayMs() - spent;
    if (verdict === 'wrong' && missingMs > 0) await sleep(missingMs);
    return verdict;
  }

  /** Runs a hash in its turn, and reports how long it waited and took. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const asked = performance.now();
    return this.#semaphore.run(async () => {
      const began = performance.now();
      try {
        return await task();
      } finally {
        this.#onHash?.((began - asked) / 1000, (performance.now() - began) / 1000);
      }
    });
  }

  /**
   * Whether a password can be checked against a hash that somebody wants to store: its kind is known, it
   * is whole, and checking it is within the bound on work.
   */
  reads(passwordHash: string): boolean {
    const stored = this.#read(passwordHash);
    return stored !== undefined && (stored.isOther || PHC.test(passwordHash));
  }

  /**
   * Measures how long a check of each kind of stored hash takes; call it before the first request.
   * Otherwise the first refusal of a slower kind would take longer than all before it, and tell that
   * there is an account.
   * @throws AggregateError with the errors of the kinds that cannot be checked, after measuring the others
   */
  async measure(passwordHashes: readonly string[]): Promise<void> {
    const kinds = new Map<string, StoredHash>();
    for (const passwordHash of passwordHashes) {
      const stored = this.#read(passwordHash);
      if (stored === undefined || stored.kind === this.#currentPrefix) continue;
      if (!this.#slowest.has(stored.kind)) kinds.set(stored.kind, stored);
    }
    const password = randomBytes(32).toString('base64');
    const faults: unknown[] = [];
    for (const stored of [...kinds.values()].slice(0, MAX_KINDS)) {
      const end = performance.now() + MAX_DELAY_MS;
      try {
        for (let i = 0; i < SAMPLES_PER_KIND && performance.now() < end; i += 1) {
          await this.#inTurn(() => this.#check(stored, password));
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
        if (verdict === 'wrong' && stored.kind !== this.#currentPrefix) {
          await this.#spendMissingTime(started, password);
        }
        return verdict;
      } catch (fault) {
        if (stored.isOther) throw fault; // Not the row's fault: the package that checks it is not installed.
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
    if (kind === this.#currentPrefix) this.#currentTimes.add(spent);
    else this.#slowest.add(kind, spent);
    return verdict;
  }

  /** Undefined for a text that is no hash, or whose check would cost too much. */
  #read(passwordHash: string): StoredHash | undefined {
    if (!passwordHash.startsWith('$argon2')) return this.#readOther(passwordHash);
    const cost = readCost(passwordHash);
    if (cost === undefined || this.#isTooCostly(cost)) return undefined;
    const check = async (password: string): Promise<Verdict> => {
      if (!(await verify(passwordHash, password))) return 'wrong';
      return this.#isWeaker(cost) ? 'outdated' : 'right';
    };
    return { kind: cost.prefix, isOther: false, check };
  }

  #readOther(passwordHash: string): StoredHash | undefined {
    const others = this.#otherHashes;
    const kind = others?.kindOf(passwordHash);
    if (others === undefined || kind === undefined) return undefined;
    return { kind, isOther: true, check: (password) => others.verify(passwordHash, password) };
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
    this.#currentTimes.add(performance.now() - started);
  }

  /**
   * Hashes on until a wrong password has taken as long as one of today's hashes, however little its own
   * hash takes: otherwise the time tells that there is an old account. The missing time is measured, not
   * computed: less memory takes less than its share of the time, by as much as fits into the caches. So
   * each step falls a little short, and the next one comes closer.
   */
  async #spendMissingTime(started: number, password: string): Promise<void> {
    const typicalMs = this.#currentTimes.median();
    if (typicalMs === undefined) return this.#verifyDecoy(password);
    for (;;) {
      const spentMs = performance.now() - started;
      const memoryCost = memoryForMissingTime(this.#parameters, spentMs, typicalMs);
      if (memoryCost === undefined) return;
      await hash(password, { ...this.#parameters, memoryCost });
    }
  }

  /** A row that somebody wrote must not cost minutes of work or all memory. */
  #isTooCostly({ memoryKib, passes }: Cost): boolean {
    const { memoryCost, timeCost } = this.#parameters;
    if (memoryKib > Math.max(memoryCost, MAX_MEMORY_KIB)) return true;
    return memoryKib * passes > MAX_COST_RATIO * Math.max(memoryCost * timeCost, OWASP_COST);
  }

  /** A costlier hash is kept: two processes with different settings would replace each other's for ever. */
  #isWeaker({ isCurrent, memoryKib, passes }: Cost): boolean {
    const { memoryCost, timeCost } = this.#parameters;
    return !isCurrent || memoryKib < memoryCost || passes < timeCost;
  }
}

/** How a stored hash is checked. */
interface StoredHash {
  /** The same for all hashes whose check takes as long. */
  readonly kind: string;
  /** Of another system. */
  readonly isOther: boolean;
  readonly check: (password: string) => Promise<Verdict>;
}

/** Checks per kind when measuring: the first one also loads code. */
const SAMPLES_PER_KIND = 3;

/** 1 GiB: the largest named setting of another library, libsodium's "sensitive". */
const MAX_MEMORY_KIB = 2 ** 20;

/** KiB times passes, of OWASP's first choice. */
const OWASP_COST = 19_456 * 2;

/**
 * A stored hash that costs more than so many times OWASP's, or the current cost, counts as unreadable.
 * libsodium's "sensitive" (1 GiB, 4 passes), the costliest named setting, is within.
 */
const MAX_COST_RATIO = 128;

const CALLBACKS = ['onUnreadableHash', 'onHash', 'legacyHashes'];

function checkNumbers(numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers)) {
    const least =
      name === 'queue' ? 0 : name === 'memoryKib' ? 8 * (numbers['parallelism'] ?? 1) : 1;
    if (Number.isSafeInteger(value) && value >= least) continue;
    throw new RangeError(`${name} must be a whole number from ${least} on, not ${String(value)}`);
  }
}
