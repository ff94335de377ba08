import { AuthError, type AuthErrorCode } from '../../domain/errors.ts';
import type { Ports } from '../ports.ts';
import { type Admissions, LimitCounter, tooManyAttempts } from './counter.ts';
import type { Limit } from './policy.ts';
import { Semaphore } from './queue.ts';

/** The refusals that count. Every other error, such as `service_busy`, tells a guesser nothing. */
const GUESSES: ReadonlySet<AuthErrorCode> = new Set([
  'invalid_credentials',
  'wrong_password',
  'email_taken',
]);

/** Attempts at one account that run at once in this process, and that wait for their turn. */
const ACCOUNT_CONCURRENCY = 10;
const ACCOUNT_QUEUE = 100;

/** Use cases that are given one limiter count together. */
export interface LimiterPort {
  /** One of its own unless given. */
  readonly limiter?: AttemptLimiter;
}

/** The limiter of a use case: the shared one, if it was given one. */
export function limiterOf(ports: Pick<Ports, 'attempts' | 'hasher'> & LimiterPort): AttemptLimiter {
  return ports.limiter ?? new AttemptLimiter(ports);
}

/** Keeps attempts at passwords within their limits. */
export class AttemptLimiter {
  readonly #hasher: Ports['hasher'];
  readonly #counter: LimitCounter;
  readonly #queues = new Map<string, AccountQueue>();

  constructor({ attempts, hasher }: Pick<Ports, 'attempts' | 'hasher'>) {
    this.#counter = new LimitCounter(attempts);
    this.#hasher = hasher;
  }

  /**
   * Runs an attempt within limits. It is counted before it begins, so that any number at once stays
   * within them. It has a place at the hasher before it is counted, so that refusing it is cheap.
   * @throws AuthError `too_many_attempts` with the seconds to wait, or `service_busy`, before the
   * attempt begins; and whatever the attempt throws
   */
  async run<T>(limits: readonly Limit[], attempt: () => Promise<T>): Promise<T> {
    const account = limits.findLast(({ onSuccess }) => onSuccess === 'clear')?.key;
    if (account === undefined) return this.#try(limits, new AccountQueue(), attempt);
    const queue = this.#queues.get(account) ?? new AccountQueue();
    this.#queues.set(account, queue);
    try {
      // Who would wait while the hasher has no place is refused at once: otherwise those who wait for
      // the busiest accounts would get each place that becomes free.
      if (queue.isFull) await this.#hasher.admit(async () => {});
      return await queue.run(() => this.#try(limits, queue, attempt));
    } finally {
      if (queue.isIdle) this.#queues.delete(account);
    }
  }

  async #try<T>(limits: readonly Limit[], queue: AccountQueue, attempt: () => Promise<T>) {
    for (;;) {
      const { successes } = queue;
      const outcome = await queue.watch(
        this.#hasher.admit(async () => {
          const admissions = await this.#counter.admit(limits);
          if (typeof admissions === 'number') return { secondsLeft: admissions };
          return { value: await this.#judge(limits, admissions, attempt) };
        }),
      );
      if ('value' in outcome) return outcome.value;
      // Attempts under way may succeed and clear the counts: many sign-ins of one user at once are no
      // guesses. Wrong ones that wait for each other gain nothing by it.
      await queue.othersDone();
      if (queue.successes === successes) throw tooManyAttempts(outcome.secondsLeft);
    }
  }

  async #judge<T>(
    limits: readonly Limit[],
    admissions: Admissions,
    attempt: () => Promise<T>,
  ): Promise<T> {
    try {
      const value = await attempt();
      this.#counter.settleSuccess(limits, admissions);
      return value;
    } catch (error) {
      const isGuess = error instanceof AuthError && GUESSES.has(error.code);
      if (!isGuess) this.#counter.takeBack(admissions);
      throw error;
    }
  }
}

/** The attempts at one account in this process: more at once would only wait for the same counts. */
class AccountQueue {
  readonly #semaphore = new Semaphore(ACCOUNT_CONCURRENCY, ACCOUNT_QUEUE, () => tooManyAttempts(1));
  readonly #running = new Set<Promise<unknown>>();
  #successes = 0;

  /** Attempts that have succeeded so far. */
  get successes(): number {
    return this.#successes;
  }

  get isFull(): boolean {
    return this.#semaphore.isFull;
  }

  get isIdle(): boolean {
    return this.#semaphore.running === 0;
  }

  /** @throws AuthError `too_many_attempts` where too many wait already */
  run<T>(attempt: () => Promise<T>): Promise<T> {
    return this.#semaphore.run(attempt);
  }

  /** Counts an attempt as running until it is done, and as a success if it has a value then. */
  async watch<T extends object>(attempt: Promise<T>): Promise<T> {
    this.#running.add(attempt);
    try {
      const outcome = await attempt;
      if ('value' in outcome) this.#successes += 1;
      return outcome;
    } finally {
      this.#running.delete(attempt);
    }
  }

  /** Resolves when all attempts that are running now are done. */
  async othersDone(): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}
