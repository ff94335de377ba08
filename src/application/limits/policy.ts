import { networkOf } from './network.ts';

const HOUR = 60 * 60;
const DAY = 24 * HOUR;

/** The wait in seconds once the free attempts are used up. It doubles with each wait. */
export const FIRST_WAIT = 30;
/** Seconds. No wait is longer: a permanent lock would let anybody lock an owner out. */
export const LONGEST_WAIT = 15 * 60;

/** A limit on attempts: so many are free, then one is let in after each wait. */
export interface Limit {
  /** The key that attempts are counted under. No text a client sends for one key can produce another. */
  readonly key: string;
  /** The key that is present while a wait lasts. */
  readonly gateKey: string;
  /** The key that the waits so far are counted under. */
  readonly waitsKey: string;
  /** Attempts before the first wait. */
  readonly free: number;
  /** Seconds after which the count starts at zero again. */
  readonly window: number;
  /** What a successful attempt does: it clears the count, is not counted, or is counted. */
  readonly onSuccess: 'clear' | 'uncount' | 'count';
  /** True if this limit is skipped while the previous one is making the caller wait. */
  readonly isSkippedDuringWait?: boolean;
}

/**
 * The limits on guessing a password: ten guesses at an account from everywhere, seven of them from one
 * network, and 300 an hour from one network at all accounts. A network that is waiting does not count
 * for the account any more: otherwise one network could keep the owner out with a guess now and then.
 * @param email canonical; or what was typed, if that is no address: it must not be told apart
 * @param address IP address; without one only the account is counted
 */
export function passwordLimits(email: string, address: string | undefined): readonly Limit[] {
  const account = {
    ...keysOf('account', email),
    free: 10,
    window: DAY,
    onSuccess: 'clear',
  } as const;
  if (address === undefined) return [account];
  const network = networkOf(address);
  return [
    { ...account, ...keysOf('account', email, network), free: 7 },
    { ...account, isSkippedDuringWait: true },
    { ...keysOf('passwords', network), free: 300, window: HOUR, onSuccess: 'uncount' },
  ];
}

/** The limit on registrations from one network. All count: "already registered" tells something too. */
export function registrationLimits(address: string | undefined): readonly Limit[] {
  if (address === undefined) return [];
  const keys = keysOf('registrations', networkOf(address));
  return [{ ...keys, free: 1_000, window: HOUR, onSuccess: 'count' }];
}

/** The limit on invalid refresh tokens from one network. */
export function refreshLimits(address: string | undefined): readonly Limit[] {
  if (address === undefined) return [];
  const keys = keysOf('refresh tokens', networkOf(address));
  return [{ ...keys, free: 1_000, window: HOUR, onSuccess: 'uncount' }];
}

function keysOf(...parts: readonly string[]): Pick<Limit, 'key' | 'gateKey' | 'waitsKey'> {
  const text = JSON.stringify(parts);
  return { key: `count ${text}`, gateKey: `gate ${text}`, waitsKey: `waits ${text}` };
}
