import { canonical, hold } from './commits.ts';
import type { History, Operation } from './history.ts';
import { passwordOf } from './parts.ts';

/** What the README promises of passwords that are guessed. */
const FREE = 10;
const FREE_FROM_ONE_ADDRESS = 7;
/** Seconds. */
const FIRST_WAIT = 30;
const LONGEST_WAIT = 15 * 60;
const DAY = 24 * 60 * 60;

const KINDS: ReadonlySet<string> = new Set(['login', 'guess', 'changePassword', 'deleteAccount']);

/** The attempts at a password of one address, this one among them. */
export function attemptsAt(history: History, { request }: Operation): readonly Operation[] {
  const email = canonical(request.email);
  return history.operations.filter(
    (other) => KINDS.has(other.request.kind) && canonical(other.request.email) === email,
  );
}

/**
 * Counts the wrong passwords of which somebody has learnt that they are wrong, up to this one and
 * since the last attempt that may have been right, which forgives the others.
 * @throws Violation for more than may be let through
 */
export function checkGuess(history: History, guess: Operation): void {
  const attempts = attemptsAt(history, guess);
  if (!isGuess(history, guess) || history.passed(guess.ended) / 1000 >= DAY) return;
  const pardons = attempts.filter(
    (other) => !isGuess(history, other) && !isTurnedAway(other) && other.began < guess.ended,
  );
  const pardoned = Math.max(-1, ...pardons.map(lastOf));
  if (pardoned >= guess.began) return;
  // Those that were turned away at that time may have taken back from the new count what was of the old.
  const unclear = attempts.filter(
    (other) => isTurnedAway(other) && other.began <= pardoned && lastOf(other) >= pardoned,
  ).length;
  const counted = attempts.filter(
    (other) => isGuess(history, other) && other.began > pardoned && other.ended <= guess.ended,
  );
  const all = new Set(counted.map(({ request }) => request.address));
  const addresses = [...all].filter((address) => address !== undefined);
  for (const address of addresses) {
    const own = counted.filter(({ request }) => request.address === address);
    const limit = FREE_FROM_ONE_ADDRESS + waits(history, own) + unclear;
    hold(own.length <= limit, `${own.length} guesses from one address, at most ${limit} may be`);
  }
  const limit = FREE + waits(history, counted) * (1 + addresses.length) + unclear;
  hold(
    counted.length <= limit,
    `${counted.length} guesses at one account, at most ${limit} may be`,
  );
}

/** Whether somebody has learnt of a password that it is wrong, and it never was right meanwhile. */
function isGuess(history: History, operation: Operation): boolean {
  const { outcome, request } = operation;
  if (outcome.kind !== 'refused') return false;
  if (outcome.code !== 'invalid_credentials' && outcome.code !== 'wrong_password') return false;
  return ![...history.accounts.values()].some((account) =>
    account.during(operation).some((row) => {
      const isIt = row?.email === canonical(request.email);
      return isIt && passwordOf(row.passwordHash) === request.password;
    }),
  );
}

function isTurnedAway({ outcome }: Operation): boolean {
  if (outcome.kind !== 'refused') return false;
  return outcome.code === 'too_many_attempts' || outcome.code === 'service_busy';
}

/** The last step that can have done something for it: what a dead process sent may come late. */
function lastOf({ ended, touched }: Operation): number {
  return Math.max(ended, touched);
}

/** How many waits can be over in the time in which these were made. */
function waits(history: History, guesses: readonly Operation[]): number {
  const first = Math.min(...guesses.map(({ began }) => began));
  const last = Math.max(...guesses.map(({ ended }) => ended));
  let left = (history.passed(last) - history.passed(first)) / 1000;
  let count = 0;
  for (let wait = FIRST_WAIT; left >= wait; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    left -= wait;
    count += 1;
  }
  return count;
}
