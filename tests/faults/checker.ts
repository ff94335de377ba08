/**
 * Judges what clients have seen of a service, and what its tables hold at the end, by what was promised
 * to them. It knows nothing of how the service works: it reads answers, and tables by plain SQL.
 */
import { type Answer, type Entry, isInDoubt, usernameOf } from './history.ts';
import { isKnownAnswer } from './known-answers.ts';
import type { Contents } from './contents.ts';

export type Rule =
  /** An account that was acknowledged, and that nobody tried to delete, is not in the table. */
  | 'lost account'
  /** A session that was acknowledged is not in the table, although its user is. */
  | 'lost session'
  /** An account in the table does not sign in by any password that was given for it. */
  | 'no login'
  /** Two rows for one canonical email. */
  | 'duplicate row'
  /** A user without a session, though none was ever ended; or a session without its user. */
  | 'half account'
  /** A row that nobody has asked for. */
  | 'stranger'
  /** A row of an account that was gone. */
  | 'back again'
  /** Two registrations of one email were acknowledged, with no deletion in between. */
  | 'two winners'
  /** "Already registered" for an email that nothing but that very request can have registered. */
  | 'false taken'
  /** A success that started after the account was known to be gone. */
  | 'stale success'
  /** A refusal of an account, or of its token, that was there all the time. */
  | 'stale refusal'
  /** An answer about somebody else. */
  | 'wrong user'
  /** A status or a message that the contract does not have for this request. */
  | 'unknown answer'
  /** A connection that ended without an answer. */
  | 'no answer';

export interface Violation {
  readonly rule: Rule;
  readonly what: string;
}

export interface Evidence {
  /** Every request, of the load and of others, but not the proofs. */
  readonly entries: readonly Entry[];
  /** The tables, when no request was under way any more. */
  readonly contents: Contents;
  /** Sign-ins to every account of the table, after all faults had ended. */
  readonly proofs: readonly Entry[];
  /** Whether the service was killed, so that connections to it may end without an answer. */
  readonly mayLoseConnections?: boolean;
}

/** What is broken, in any order; nothing where every promise was kept. */
export function check(evidence: Evidence): readonly Violation[] {
  const { entries, contents, proofs, mayLoseConnections = false } = evidence;
  const facts = new Facts([...entries, ...proofs]);
  return [
    ...entries.flatMap((entry) => checkAnswer(entry, mayLoseConnections)),
    ...proofs.flatMap((entry) => checkAnswer(entry, false)),
    ...facts.all.flatMap((entry) => checkAgainst(facts, entry)),
    ...twoWinners(facts),
    ...checkContents(facts, contents, proofs),
    ...lostSessions(entries, contents),
  ];
}

/** What is known of the accounts, by what was answered. */
class Facts {
  readonly all: readonly Entry[];
  /** By email: every try to register it. */
  readonly registrations = new Map<string, Entry[]>();
  /** By user: answers that show that there was such an account: it had been made before their ends. */
  readonly sightings = new Map<string, Entry[]>();
  /** By user: deletions that may have been done, at any time after their starts. */
  readonly deletions = new Map<string, Entry[]>();
  /** By user: the time by which the account was gone, as somebody was told. */
  readonly goneBy = new Map<string, number>();
  /** By email: its users. */
  readonly users = new Map<string, Set<string>>();

  constructor(all: readonly Entry[]) {
    this.all = all;
    for (const entry of all) this.#note(entry);
  }

  #note(entry: Entry): void {
    const { action, email, presented, outcome, end } = entry;
    const user = userOf(entry);
    if (action === 'register') add(this.registrations, email, entry);
    if (user === undefined) return;
    const status = 'status' in outcome ? outcome.status : 0;
    if (status >= 200 && status < 300) {
      add(this.sightings, user, entry);
      this.users.set(email, (this.users.get(email) ?? new Set<string>()).add(user));
    }
    if (action === 'delete' && (status === 204 || isInDoubt(outcome))) {
      add(this.deletions, user, entry);
    }
    if ((action === 'delete' && status === 204) || (presented && status === 404)) {
      this.goneBy.set(user, Math.min(this.goneBy.get(user) ?? end, end));
    }
  }

  /** Whether it may have been deleted before this time. */
  mayBeGone(user: string, time: number): boolean {
    return this.deletions.get(user)?.some(({ start }) => start < time) ?? false;
  }

  wasGone(user: string, time: number): boolean {
    return (this.goneBy.get(user) ?? Number.POSITIVE_INFINITY) < time;
  }
}

function userOf({ presented, outcome }: Entry): string | undefined {
  return presented?.userId ?? ('granted' in outcome ? outcome.granted?.userId : undefined);
}

function add(map: Map<string, Entry[]>, key: string, entry: Entry): void {
  const found = map.get(key);
  if (found) found.push(entry);
  else map.set(key, [entry]);
}

const LOST_CONNECTION: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

function checkAnswer(entry: Entry, mayLoseConnections: boolean): readonly Violation[] {
  const { action, email, outcome, presented } = entry;
  if ('fault' in outcome) {
    const isLost = LOST_CONNECTION.has(outcome.fault);
    if (mayLoseConnections && isLost) return [];
    return [violation('no answer', entry)];
  }
  const { status, message, granted } = outcome;
  if (!isKnownAnswer(action, status, message)) {
    // Another's name where the contract has the name of the user.
    const isGreeting = action === 'protected' && status === 200;
    return [violation(isGreeting ? 'wrong user' : 'unknown answer', entry)];
  }
  const mustGrant = status === 201 || (status === 200 && action !== 'protected');
  if (mustGrant !== (granted !== undefined)) return [violation('unknown answer', entry)];
  const isOfAnother = presented && granted && presented.userId !== granted.userId;
  const greeting = `Hello, ${usernameOf(email)}. This is a protected route.`;
  const greetsAnother = action === 'protected' && status === 200 && message !== greeting;
  return isOfAnother || greetsAnother ? [violation('wrong user', entry)] : [];
}

/** One answer, against all that is known. */
function checkAgainst(facts: Facts, entry: Entry): readonly Violation[] {
  const { action, email, owner, presented, outcome, start, end } = entry;
  if ('fault' in outcome) return [];
  const { status } = outcome;
  const user = userOf(entry);
  if (status === 400) {
    if (action !== 'register') return [];
    const others = facts.registrations.get(email) ?? [];
    const isExplained = others.some((other) => mayBeThere(facts, other, entry));
    return isExplained ? [] : [violation('false taken', entry)];
  }
  if (status < 300) {
    if (user === undefined) return [];
    const [first = entry] = facts.sightings.get(user) ?? [];
    if (first.email !== email || first.owner !== owner) return [violation('wrong user', entry)];
    return facts.wasGone(user, start) ? [violation('stale success', entry)] : [];
  }
  if (status !== 401 && status !== 404) return [];
  if (presented !== undefined) {
    // A token is proof that there was such an account.
    if (!facts.mayBeGone(presented.userId, end)) return [violation('stale refusal', entry)];
    // That the user is gone is to be said, and not that the token is bad.
    const isBad = status === 401 && facts.wasGone(presented.userId, start);
    return isBad ? [violation('stale refusal', entry)] : [];
  }
  const isThere = [...(facts.users.get(email) ?? [])].some((each) => {
    const sightings = facts.sightings.get(each) ?? [];
    const wasThere = sightings.some((other) => other.owner === owner && other.end < start);
    return wasThere && !facts.mayBeGone(each, end);
  });
  return isThere ? [violation('stale refusal', entry)] : [];
}

/** Whether an account that one registration made, or may have made, can have been in the way of another. */
function mayBeThere(facts: Facts, { outcome, start }: Entry, { start: from, end: to }: Entry) {
  if (start >= to) return false;
  if (isInDoubt(outcome)) return true;
  const user = 'granted' in outcome ? outcome.granted?.userId : undefined;
  return user !== undefined && !facts.wasGone(user, from);
}

function twoWinners(facts: Facts): readonly Violation[] {
  return [...facts.registrations.values()].flatMap((tries) => {
    const winners = tries.filter(({ outcome }) => 'status' in outcome && outcome.status === 201);
    return winners.flatMap((one, i) =>
      winners
        .slice(i + 1)
        .filter((other) => !mayFollow(facts, one, other) && !mayFollow(facts, other, one))
        .map((other) => violation('two winners', one, other)),
    );
  });
}

/** Whether the first account may have been deleted before the second was made. */
function mayFollow(facts: Facts, first: Entry, second: Entry): boolean {
  const [one, other] = [userOf(first), userOf(second)];
  return one !== undefined && one !== other && facts.mayBeGone(one, second.end);
}

function checkContents(
  facts: Facts,
  { users, sessions }: Contents,
  proofs: readonly Entry[],
): readonly Violation[] {
  const found: Violation[] = [];
  const note = (rule: Rule, what: object) => found.push({ rule, what: JSON.stringify(what) });
  const proofsOf = (email: string) => proofs.filter((proof) => proof.email === email);
  const emails = new Set<string>();
  const rows = new Map(users.map((row) => [row.id, row]));
  const inhabited = new Set(sessions.map(({ userId }) => userId));
  const proved = new Set(proofs.filter(({ outcome }) => 'granted' in outcome).map(userOf));
  for (const row of users) {
    const email = row.email.trim().normalize('NFC').toLowerCase();
    if (emails.has(email)) note('duplicate row', row);
    emails.add(email);
    const tries = facts.registrations.get(row.email) ?? [];
    const isAskedFor = tries.some(({ outcome }) => isInDoubt(outcome) || is(outcome, 201));
    if (!isAskedFor) note('stranger', row);
    if (!inhabited.has(row.id)) note('half account', row);
    if (!proved.has(row.id)) note('no login', { ...row, tries, tried: proofsOf(row.email) });
    if (facts.goneBy.has(row.id)) note('back again', row);
  }
  for (const session of sessions) if (!rows.has(session.userId)) note('half account', session);
  for (const [user, [sighting]] of facts.sightings) {
    const isLost = sighting !== undefined && rows.get(user)?.email !== sighting.email;
    if (isLost && !facts.deletions.has(user)) note('lost account', sighting);
  }
  return found;
}

function lostSessions(
  entries: readonly Entry[],
  { users, sessions }: Contents,
): readonly Violation[] {
  const there = new Set(users.map(({ id }) => id));
  const kept = new Set(sessions.map(({ id }) => id));
  return entries.flatMap((entry) => {
    const granted = 'granted' in entry.outcome ? entry.outcome.granted : undefined;
    const isLost = granted && there.has(granted.userId) && !kept.has(granted.sessionId);
    return isLost ? [violation('lost session', entry)] : [];
  });
}

function is(outcome: Entry['outcome'], status: Answer['status']): boolean {
  return 'status' in outcome && outcome.status === status;
}

function violation(rule: Rule, ...entries: readonly Entry[]): Violation {
  return { rule, what: entries.map((entry) => JSON.stringify(entry)).join(' and ') };
}
