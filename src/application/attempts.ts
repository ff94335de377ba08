import { AuthError, type AuthErrorCode } from '../domain/errors.ts';
import { networkOf } from './network.ts';
import type { AttemptCounter, Ports } from './ports.ts';

/** Seconds until the next attempt, once the free ones are spent. It doubles with each wait. */
const FIRST_WAIT = 30;
/** Seconds. No wait is longer: a lock without an end would let anybody shut anybody out. */
const LONGEST_WAIT = 15 * 60;

const HOUR = 60 * 60;
const DAY = 24 * HOUR;

/** What attempts are counted under, and how many of them are free of waiting. */
interface Limit {
  readonly key: string;
  /** So many attempts, then a wait, then one attempt after each wait. */
  readonly free: number;
  /** Seconds after which counting starts anew. */
  readonly window: number;
  /** What a right attempt does to the count. */
  readonly right: 'clears' | 'does not count' | 'counts';
  /** Whether it does not hold for those who have to wait under the limit before it. */
  readonly yields?: boolean;
}

/** The refusals that count. Every other error, such as `service_busy`, tells a guesser nothing. */
const GUESSES: ReadonlySet<AuthErrorCode> = new Set([
  'invalid_credentials',
  'wrong_password',
  'email_taken',
]);

/**
 * The limits on guessing the password of an account: ten guesses, whatever their number at once and
 * their addresses, seven of them from one address; and from one address so many on all accounts
 * together. Whoever waits for their own address's sake no longer counts for the account: else one
 * address alone could keep its owner out for ever, with a guess now and then.
 * @param email canonical, unless it is no address
 */
export function passwordLimits(email: string, address: string | undefined): readonly Limit[] {
  const account = ['account', email];
  const limit = { free: 10, window: DAY, right: 'clears' } as const;
  if (address === undefined) return [{ key: keyOf(account), ...limit }];
  const network = networkOf(address);
  return [
    { ...limit, key: keyOf([...account, network]), free: 7 },
    { ...limit, key: keyOf(account), yields: true },
    { key: keyOf(['passwords', network]), free: 300, window: HOUR, right: 'does not count' },
  ];
}

/** The limit on registrations from one address: of any outcome, since "already registered" tells. */
export function registrationLimits(address: string | undefined): readonly Limit[] {
  if (address === undefined) return [];
  const key = keyOf(['registrations', networkOf(address)]);
  return [{ key, free: 1_000, window: HOUR, right: 'counts' }];
}

/** The limit on refresh tokens from one address that are not valid. */
export function refreshLimits(address: string | undefined): readonly Limit[] {
  if (address === undefined) return [];
  const key = keyOf(['refresh tokens', networkOf(address)]);
  return [{ key, free: 1_000, window: HOUR, right: 'does not count' }];
}

/** A text that nothing else gives: parts of it are what anybody may type. */
function keyOf(parts: readonly string[]): string {
  return JSON.stringify(parts);
}

/** An attempt that was let in under a limit; `waited` when it was the one that follows a wait. */
interface Admission {
  readonly limit: Limit;
  readonly waited: boolean;
}

/** Counts attempts against their limits. */
class Counts {
  readonly #counter: AttemptCounter;

  constructor(counter: AttemptCounter) {
    this.#counter = counter;
  }

  /** Lets an attempt in under all limits that hold for it, or none; then the seconds to wait. */
  async admit(limits: readonly Limit[]): Promise<readonly Admission[] | number> {
    const own = limits.filter((_, i) => limits[i + 1]?.yields);
    const found = await this.#counter.read([
      ...limits.map(gateOf),
      ...own.flatMap((limit) => [countOf(limit), waitsOf(limit)]),
    ]);
    // Those that are turned away are counted as well, and all of a limit may pass at once: only where
    // one has had to wait, and was let in, does the limit before take the place of the next.
    const [count, waited] = found.slice(limits.length);
    const isSpent = (count?.count ?? 0) >= (own[0]?.free ?? 0) && (waited?.count ?? 0) > 0;
    const holding = limits.filter(({ yields }) => !(yields && isSpent));
    const waits = limits.map((limit, i) => {
      const left = holding.includes(limit) ? (found[i]?.secondsLeft ?? 0) : 0;
      // A wait that is longer than any can be is one of before the clock was set back.
      return left < 2 * LONGEST_WAIT ? left : 0;
    });
    const wait = Math.max(0, ...waits);
    return wait > 0 ? wait : this.#admitUnder(holding);
  }

  /**
   * Counts under all limits at once, which a counter can do together, and then looks at them in turn:
   * what a limit refuses is taken back from the others.
   */
  async #admitUnder(limits: readonly Limit[]): Promise<readonly Admission[] | number> {
    const added = await Promise.allSettled(
      limits.map((limit) => this.#counter.add(countOf(limit), limit.window)),
    );
    const counted = limits.filter((_, i) => added[i]?.status === 'fulfilled');
    const admissions = new Map(counted.map((limit) => [limit, { limit, waited: false }]));
    try {
      for (const [i, limit] of limits.entries()) {
        const outcome = added[i];
        if (outcome?.status !== 'fulfilled') throw outcome?.reason;
        const admission = await this.#admission(limit, outcome.value.count);
        if (typeof admission === 'number') {
          admissions.delete(limit);
          await this.takeBack([...admissions.values()]);
          return admission;
        }
        admissions.set(limit, admission);
      }
    } catch (fault) {
      await this.takeBack([...admissions.values()]);
      throw fault;
    }
    return [...admissions.values()];
  }

  async #admission(limit: Limit, count: number): Promise<Admission | number> {
    if (count < limit.free) return { limit, waited: false };
    const counter = this.#counter;
    // Of those who find the gate open, the first closes it behind itself.
    const [waits] = await counter.read([waitsOf(limit)]);
    const wait = Math.min(FIRST_WAIT * 2 ** (waits?.count ?? 0), LONGEST_WAIT);
    const gate = await counter.add(gateOf(limit), wait);
    if (gate.count > 1) return gate.secondsLeft;
    await counter.add(waitsOf(limit), limit.window);
    return { limit, waited: true };
  }

  /** Undoes admissions; best effort, since the answer is known by now. */
  async takeBack(admissions: readonly Admission[]): Promise<void> {
    if (admissions.length === 0) return;
    const waited = admissions.filter((admission) => admission.waited).map(({ limit }) => limit);
    const counts = admissions.map(({ limit }) => countOf(limit));
    try {
      await this.#counter.subtract([...counts, ...waited.map(waitsOf)]);
      // Afterwards: nobody must find a gate open that a wait still stands for.
      if (waited.length > 0) await this.#counter.clear(waited.map(gateOf));
    } catch {
      // What is left of it passes by itself, and errs towards too few guesses.
    }
  }

  /** Does what follows a right attempt; best effort, likewise. */
  async settleRight(limits: readonly Limit[], admissions: readonly Admission[]): Promise<void> {
    const cleared = limits.filter(({ right }) => right === 'clears');
    const keys = cleared.flatMap((limit) => [countOf(limit), gateOf(limit), waitsOf(limit)]);
    const undone = admissions.filter(({ limit }) => limit.right === 'does not count');
    await Promise.allSettled([this.#counter.clear(keys), this.takeBack(undone)]);
  }
}

function countOf({ key }: Limit): string {
  return `count ${key}`;
}

/** Counted while a wait lasts. */
function gateOf({ key }: Limit): string {
  return `gate ${key}`;
}

/** Counts the waits there have been. */
function waitsOf({ key }: Limit): string {
  return `waits ${key}`;
}

function tooMany(secondsLeft: number): AuthError {
  return new AuthError('too_many_attempts', Math.max(1, Math.ceil(secondsLeft)));
}

/**
 * Counts an attempt that has failed already; best effort.
 * @throws AuthError `too_many_attempts`, with the seconds to wait
 */
export async function countFailure(
  { attempts }: Pick<Ports, 'attempts'>,
  limits: readonly Limit[],
): Promise<void> {
  const outcome = await new Counts(attempts).admit(limits).catch(() => 0);
  if (typeof outcome === 'number' && outcome > 0) throw tooMany(outcome);
}

/** The use cases that hash, on one set of ports: they count together. */
const lanes = new WeakMap<AttemptCounter, Map<string, Lane>>();

/** Keeps attempts at passwords within their limits, by counts that all processes share. */
export class PasswordAttempts {
  readonly #ports: Pick<Ports, 'attempts' | 'hasher'>;
  readonly #counts: Counts;
  readonly #lanes: Map<string, Lane>;

  constructor(ports: Pick<Ports, 'attempts' | 'hasher'>) {
    this.#ports = ports;
    this.#counts = new Counts(ports.attempts);
    this.#lanes = lanes.get(ports.attempts) ?? new Map<string, Lane>();
    lanes.set(ports.attempts, this.#lanes);
  }

  /**
   * Runs a check within limits. An attempt is counted before its check begins, so that any number
   * at once stays within them, and taken back if it turns out to be none. Before it is counted it
   * has its place at the hasher, so that turning it away costs next to nothing.
   * @throws AuthError `too_many_attempts`, with the seconds to wait, and `service_busy`, before the
   * check begins; and whatever the check throws
   */
  async within<T>(limits: readonly Limit[], check: () => Promise<T>): Promise<T> {
    const account = limits.findLast(({ right }) => right === 'clears')?.key;
    if (account === undefined) return this.#attempt(limits, new Lane(), check);
    const lane = this.#lanes.get(account) ?? new Lane();
    this.#lanes.set(account, lane);
    try {
      // Where the hasher has no place left, nobody waits: else those who wait for the busiest accounts
      // would get each place that falls free, and be many.
      if (lane.isFull) await this.#ports.hasher.admit(async () => {});
      return await lane.run(() => this.#attempt(limits, lane, check));
    } finally {
      if (lane.isEmpty) this.#lanes.delete(account);
    }
  }

  async #attempt<T>(limits: readonly Limit[], lane: Lane, check: () => Promise<T>): Promise<T> {
    for (;;) {
      const { rights } = lane;
      const result = await lane.round(() =>
        this.#ports.hasher.admit(async () => {
          const outcome = await this.#counts.admit(limits);
          if (typeof outcome === 'number') return { wait: outcome };
          return { value: await this.#judge(limits, outcome, check) };
        }),
      );
      if ('value' in result) return result.value;
      // Others that are under way may turn out right and clear the counts: many sign-ins of one
      // user at once are no guesses. Wrong ones that wait for each other gain nothing by it.
      await lane.rounds();
      if (lane.rights === rights) throw tooMany(result.wait);
    }
  }

  async #judge<T>(
    limits: readonly Limit[],
    admissions: readonly Admission[],
    check: () => Promise<T>,
  ): Promise<T> {
    try {
      const value = await check();
      await this.#counts.settleRight(limits, admissions);
      return value;
    } catch (error) {
      const counts = error instanceof AuthError && GUESSES.has(error.code);
      if (!counts) await this.#counts.takeBack(admissions);
      throw error;
    }
  }
}

/** So many attempts at one account go on at once, and so many wait for their turn, in one process. */
const LANE_WIDTH = 10;
const LANE_LENGTH = 100;

/** The attempts at one account in this process: more at once would only wait for the same counts. */
class Lane {
  /** How many have come out right. */
  rights = 0;
  readonly #rounds = new Set<Promise<unknown>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  get isFull(): boolean {
    return this.#running >= LANE_WIDTH;
  }

  get isEmpty(): boolean {
    return this.#running === 0;
  }

  /** @throws AuthError `too_many_attempts` where too many wait already */
  async run<T>(attempt: () => Promise<T>): Promise<T> {
    if (!this.isFull) this.#running += 1;
    else if (this.#waiting.length >= LANE_LENGTH) throw tooMany(1);
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await attempt();
    } finally {
      // The place goes to the next in line, or is free again.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }

  /** Notes a try while it lasts, and whether it gave a value. */
  async round<T>(attempt: () => Promise<{ readonly value: T } | { readonly wait: number }>) {
    const round = attempt();
    this.#rounds.add(round);
    try {
      const result = await round;
      if ('value' in result) this.rights += 1;
      return result;
    } finally {
      this.#rounds.delete(round);
    }
  }

  /** Resolves when all that are under way now are over. */
  async rounds(): Promise<void> {
    await Promise.allSettled(this.#rounds);
  }
}
