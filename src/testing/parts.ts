import { createHash, randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  AuthError,
  type Clock,
  type IdGenerator,
  type PasswordHasher,
  type Verdict,
} from '../application/index.ts';

/** A clock that stands still until a test moves it. */
export class FixedClock implements Clock {
  #now: number;

  /** @param start default: 2026-01-02T03:04:05.678Z */
  constructor(start = new Date('2026-01-02T03:04:05.678Z')) {
    this.#now = start.getTime();
  }

  now(): Date {
    return new Date(this.#now);
  }

  /** Moves the time forward by this many seconds; back, if the number is negative. */
  advance(seconds: number): void {
    this.#now += seconds * 1000;
  }
}

/**
 * Ids that a test can predict: `id-1`, `id-2`, … In production, anybody could guess a session's id.
 */
export class SequentialIds implements IdGenerator {
  #last = 0;

  /** @throws Error if NODE_ENV is `production` */
  constructor() {
    refuseProduction('SequentialIds');
  }

  next(): string {
    this.#last += 1;
    return `id-${this.#last}`;
  }
}

/**
 * A fast hasher for tests only: one SHA-256 does not slow an attacker down. Each call takes a turn
 * of the event loop, as with a real hasher, so that a forgotten `await` fails the test.
 */
export class FastHasher implements PasswordHasher {
  /** Calls of `hash` so far. */
  hashed = 0;
  /** Calls of `verify` so far. */
  verified = 0;
  /** While true, `admit` throws `service_busy`. */
  busy = false;
  /** The version in new hashes. `verify` finds hashes of a lower version `outdated`. */
  version = 1;

  /** @throws Error if NODE_ENV is `production` */
  constructor() {
    refuseProduction('FastHasher');
  }

  async hash(password: string): Promise<string> {
    this.hashed += 1;
    await nextTurn();
    const salt = randomBytes(12).toString('base64url');
    return `$fast$v=${this.version}$${salt}$${digest(salt, password)}`;
  }

  async verify(passwordHash: string | undefined, password: string): Promise<Verdict> {
    this.verified += 1;
    await nextTurn();
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
