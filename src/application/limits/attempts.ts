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

/** The limiter of a use case. Use cases that are given the same one count attempts together. */
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

  /** Accounts at which attempts are under way. */
  get accounts(): number {
    return this.#queues.size;
  }

  /**
   * Runs an attempt within limits. It is counted before it begins, so that any number at once stays
   * within them. It has a place at the hasher before it is counted, so that refusing it is cheap.
   * @throws AuthError `too_many_attempts` with the seconds to wait, or `service_busy`, before the
   * attempt begins; and whatever the attempt throws
   */
  async run<T>(limits: readonly Limit[], attempt: () => Promise<T>): Promise<T> {
    const account = limits.findLast(({ onSuccess }) => onSuccess === 'clear')?.key;
    if (account === undefined) return this.#try(limits, newQueue(), attempt);
    const queue = this.#queues.get(account) ?? newQueue();
    this.#queues.set(account, queue);
    const { semaphore } = queue;
    try {
      // Who would wait while the hasher has no place is refused at once: otherwise those who wait for
      // the busiest accounts would get each place that becomes free.
      if (semaphore.isFull) await this.#hasher.admit(async () => {});
      return await semaphore.run(() => this.#try(limits, queue, attempt));
    } finally {
      if (semaphore.running === 0) this.#queues.delete(account);
    }
  }

  async #try<T>(
    limits: readonly Limit[],
    queue: AccountQueue,
    attempt: () => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const successes = queue.successes;
      const running = this.#hasher.admit(async () => {
        const admissions = await this.#counter.admit(limits);
        if (typeof admissions === 'number') return { secondsLeft: admissions };
        const value = await this.#judge(limits, admissions, attempt);
        queue.successes += 1;
        return { value };
      });
      queue.running.add(running);
      const outcome = await running.finally(() => queue.running.delete(running));
      if ('value' in outcome) return outcome.value;
      // Attempts under way may succeed and clear the counts: many sign-ins of one user at once are no
      // guesses. Wrong ones that wait for each other gain nothing by it.
      await Promise.allSettled(queue.running);
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
      this.#counter.settle(limits, admissions, true);
      return value;
    } catch (error) {
      const isGuess = error instanceof AuthError && GUESSES.has(error.code);
      if (!isGuess) this.#counter.settle(limits, admissions, false);
      throw error;
    }
  }
}

/** The attempts at one account in this process: more at once would only wait for the same counts. */
interface AccountQueue {
  readonly semaphore: Semaphore;
  readonly running: Set<Promise<unknown>>;
  /** Attempts that have succeeded so far. */
  successes: number;
}

function newQueue(): AccountQueue {
  const refusal = () => tooManyAttempts(1);
  const semaphore = new Semaphore(ACCOUNT_CONCURRENCY, ACCOUNT_QUEUE, refusal);
  return { semaphore, running: new Set(), successes: 0 };
}
