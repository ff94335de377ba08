import { createHash, randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import {
  AuthError,
  type Clock,
  type IdGenerator,
  type PasswordHasher,
  type Verdict,
} from '../application/index.ts';

/** A clock that stands until a test moves it. */
export class FixedClock implements Clock {
  #now: number;

  /** `start`: 2026-01-02T03:04:05.678Z unless given. */
  constructor(start = new Date('2026-01-02T03:04:05.678Z')) {
    this.#now = start.getTime();
  }

  now(): Date {
    return new Date(this.#now);
  }

  /** Moves the time on by seconds, or back where they are negative. */
  advance(seconds: number): void {
    this.#now += seconds * 1000;
  }
}

/** Ids that a test can foretell: `id-1`, `id-2`, … Whoever could so guess them could be anybody. */
export class SequentialIds implements IdGenerator {
  #last = 0;

  /** @throws Error where NODE_ENV is production */
  constructor() {
    refuseProduction('SequentialIds');
  }

  next(): string {
    this.#last += 1;
    return `id-${this.#last}`;
  }
}

/**
 * A hasher that takes no time, but as truly another turn of the event loop as a real one: an `await`
 * that was forgotten shows. Its hashes are one SHA-256, which holds nobody up: for tests only.
 */
export class FastHasher implements PasswordHasher {
  /** Calls of `hash` so far. */
  hashed = 0;
  /** Calls of `verify` so far. */
  verified = 0;
  /** While true, `admit` turns all work away as `service_busy`. */
  busy = false;
  /** Goes into its hashes: those that were made under an older one are right, but outdated. */
  version = 1;

  /** @throws Error where NODE_ENV is production */
  constructor() {
    refuseProduction('FastHasher');
  }

  async hash(password: string): Promise<string> {
    this.hashed += 1;
    await turn();
    const salt = randomBytes(12).toString('base64url');
    return `$fast$v=${this.version}$${salt}$${digest(salt, password)}`;
  }

  async verify(passwordHash: string | undefined, password: string): Promise<Verdict> {
    this.verified += 1;
    await turn();
    const [, version, salt = '', stored] = FAST_HASH.exec(passwordHash ?? '') ?? [];
    if (digest(salt, password) !== stored) return 'wrong';
    return Number(version) < this.version ? 'outdated' : 'right';
  }

  async admit<T>(work: () => Promise<T>): Promise<T> {
    if (this.busy) throw new AuthError('service_busy');
    return work();
  }
}

const FAST_HASH = /^\$fast\$v=(\d+)\$([\w-]{16})\$([\w-]{43})$/;

function digest(salt: string, password: string): string {
  return createHash('sha256').update(salt).update(password).digest('base64url');
}

function refuseProduction(name: string): void {
  if (process.env['NODE_ENV'] === 'production') {
    throw new Error(`${name} is for tests, and refuses to run in production`);
  }
}
