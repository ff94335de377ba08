import { canonicalEmail } from '../domain/credentials.ts';
import { AuthError, type AuthErrorCode } from '../domain/errors.ts';
import { networkOf } from '../domain/network.ts';
import type { AttemptCounter, Ports } from './ports.ts';

/** Seconds until the next attempt, once the free ones are spent. It doubles with each wait. */
const FIRST_WAIT = 30;
/** Seconds. No wait is longer: a lock without an end would let anybody shut anybody out. */
const LONGEST_WAIT = 15 * 60;

/** So many attempts at one account a process counts at once; more would only wait for the same row. */
const MANY = 10;

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
}

/** The refusals that count. Every other error, such as `service_busy`, tells a guesser nothing. */
const GUESSES: ReadonlySet<AuthErrorCode> = new Set([
  'invalid_credentials',
  'wrong_password',
  'email_taken',
]);

/**
 * The limits on guessing the password of an account: ten guesses, whatever their number at once and
 * their addresses. Seven of them from one address, so that nobody can shut an account's owner
 * out from a single one; and from one address so many on all accounts together.
 */
export function passwordLimits(email: string, address: string | undefined): readonly Limit[] {
  // What is no address of an account is counted all the same: it must not be told apart.
  const account = canonicalEmail(email) ?? email;
  const limits: Limit[] = [{ key: `account ${account}`, free: 10, window: DAY, right: 'clears' }];
  if (address === undefined) return limits;
  const network = networkOf(address);
  return [
    { key: `account ${account} from ${network}`, free: 7, window: DAY, right: 'clears' },
    ...limits,
    { key: `passwords from ${network}`, free: 300, window: HOUR, right: 'does not count' },
  ];
}

/** The limit on registrations from one address: of any outcome, since "already registered" tells. */
export function registrationLimits(address: string | undefined): readonly Limit[] {
  if (address === undefined) return [];
  const key = `registrations from ${networkOf(address)}`;
  return [{ key, free: 1_000, window: HOUR, right: 'counts' }];
}

/** The limit on refresh tokens from one address that are not valid. */
export function refreshLimits(address: string | undefined): readonly Limit[] {
  if (address === undefined) return [];
  const key = `refresh tokens from ${networkOf(address)}`;
  return [{ key, free: 1_000, window: HOUR, right: 'does not count' }];
}

/** An attempt that was let in under a limit; `waited` when it was the one that follows a wait. */
interface Admission {
  readonly limit: Limit;
  readonly waited: boolean;
}

/** Keeps attempts within their limits, by counts that all processes share. */
export class Attempts {
  readonly #counter: AttemptCounter;
  /** The attempts of this process at each account, until it is known whether one was checked. */
  readonly #underWay = new Map<string, Set<Promise<boolean>>>();

  constructor({ attempts }: Pick<Ports, 'attempts'>) {
    this.#counter = attempts;
  }

  /**
   * Runs a check within limits. An attempt is counted before its check begins, so that any number
   * at once stays within them, and taken back if it turns out to be none.
   * @throws AuthError `too_many_attempts`, with the seconds to wait, before the check begins; and
   * whatever the check throws
   */
  async within<T>(limits: readonly Limit[], check: () => Promise<T>): Promise<T> {
    for (;;) {
      const before = this.#others(limits);
      if (before.length >= MANY) {
        await Promise.all(before);
        continue;
      }
      const end = this.#begin(limits);
      let checked = false;
      let outcome: readonly Admission[] | number;
      try {
        outcome = await this.#admit(limits);
        if (typeof outcome !== 'number') {
          checked = true;
          return await this.#run(outcome, check);
        }
      } finally {
        end(checked);
      }
      // Others that are under way may turn out right and clear the counts: many sign-ins of one
      // user at once are no guesses. Wrong ones that wait here for each other gain nothing by it.
      const others = await Promise.all([...before, ...this.#others(limits)]);
      if (!others.includes(true)) throw tooMany(outcome);
    }
  }

  /**
   * Counts an attempt that has failed already; best effort.
   * @throws AuthError `too_many_attempts`, with the seconds to wait
   */
  async failed(limits: readonly Limit[]): Promise<void> {
    const outcome = await this.#admit(limits).catch(() => 0);
    if (typeof outcome === 'number' && outcome > 0) throw tooMany(outcome);
  }

  async #run<T>(admissions: readonly Admission[], check: () => Promise<T>): Promise<T> {
    try {
      const result = await check();
      await this.#settle(admissions, ({ right }) => right);
      return result;
    } catch (error) {
      const counts = error instanceof AuthError && GUESSES.has(error.code);
      if (!counts) await this.#settle(admissions, () => 'does not count');
      throw error;
    }
  }

  /** Lets an attempt in under all limits or none; then the seconds to wait. */
  async #admit(limits: readonly Limit[]): Promise<readonly Admission[] | number> {
    const gates = await this.#counter.read(limits.map(gateOf));
    // A wait that is longer than any can be is one of before the clock was set back.
    const waits = gates
      .map((gate) => gate?.secondsLeft ?? 0)
      .filter((wait) => wait < 2 * LONGEST_WAIT);
    const closed = Math.max(0, ...waits);
    if (closed > 0) return closed;

    const admissions: Admission[] = [];
    const takeBack = () => this.#settle(admissions, () => 'does not count');
    try {
      for (const limit of limits) {
        const outcome = await this.#admitUnder(limit);
        if (typeof outcome === 'number') {
          await takeBack();
          return outcome;
        }
        admissions.push(outcome);
      }
    } catch (fault) {
      await takeBack();
      throw fault;
    }
    return admissions;
  }

  async #admitUnder(limit: Limit): Promise<Admission | number> {
    const { key, free, window } = limit;
    const { count } = await this.#counter.add(key, 1, window);
    if (count < free) return { limit, waited: false };
    // Of those who find the gate open, the first closes it behind itself.
    const [waits] = await this.#counter.read([waitsOf(limit)]);
    const wait = Math.min(FIRST_WAIT * 2 ** (waits?.count ?? 0), LONGEST_WAIT);
    const gate = await this.#counter.add(gateOf(limit), 1, wait);
    if (gate.count > 1) return gate.secondsLeft;
    await this.#counter.add(waitsOf(limit), 1, window);
    return { limit, waited: true };
  }

  /** Does with each count what has to be done; best effort, since the answer is known by now. */
  async #settle(
    admissions: readonly Admission[],
    outcome: (limit: Limit) => Limit['right'],
  ): Promise<void> {
    const counter = this.#counter;
    const work = admissions.map(async ({ limit, waited }) => {
      if (outcome(limit) === 'counts') return;
      if (outcome(limit) === 'clears') {
        return counter.clear([limit.key, gateOf(limit), waitsOf(limit)]);
      }
      await counter.add(limit.key, -1, limit.window);
      if (!waited) return;
      await counter.add(waitsOf(limit), -1, limit.window);
      await counter.clear([gateOf(limit)]);
    });
    await Promise.allSettled(work);
  }

  #others(limits: readonly Limit[]): readonly Promise<boolean>[] {
    return [...(this.#underWay.get(accountOf(limits) ?? '') ?? [])];
  }

  /** Notes an attempt that begins; returns how to say that it is over, and whether it was checked. */
  #begin(limits: readonly Limit[]): (checked: boolean) => void {
    const account = accountOf(limits);
    if (account === undefined) return () => {};
    const underWay = this.#underWay.get(account) ?? new Set();
    this.#underWay.set(account, underWay);
    let end = (_checked: boolean) => {};
    const attempt = new Promise<boolean>((resolve) => {
      end = resolve;
    });
    underWay.add(attempt);
    return (checked) => {
      underWay.delete(attempt);
      if (underWay.size === 0) this.#underWay.delete(account);
      end(checked);
    };
  }
}

function accountOf(limits: readonly Limit[]): string | undefined {
  return limits.findLast(({ right }) => right === 'clears')?.key;
}

function tooMany(secondsLeft: number): AuthError {
  return new AuthError('too_many_attempts', Math.max(1, Math.ceil(secondsLeft)));
}

/** Counted while a wait lasts. */
function gateOf({ key }: Limit): string {
  return `${key}: gate`;
}

/** Counts the waits there have been. */
function waitsOf({ key }: Limit): string {
  return `${key}: waits`;
}
