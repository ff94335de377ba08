import type { Change, History, Operation } from './history.ts';
import { passwordOf, readToken } from './parts.ts';
import type { AccountRow, SessionRow } from './store.ts';

/** What must never be: it says what was, in a sentence. */
export class Violation extends Error {}

/** @throws Violation */
export function hold(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Violation(sentence);
}

/** One spelling of an address, by other means than the product's. */
export function canonical(email: string): string {
  return email.trim().toLowerCase();
}

/** Milliseconds by which the clock of a process may be off. */
export const SKEW = 2_000;

interface Changes {
  readonly accounts: readonly Change<AccountRow>[];
  readonly sessions: readonly Change<SessionRow>[];
}

/**
 * Holds what one step has committed against what its operation may do: so an account is there whole
 * or not at all, and nothing ever ends for which nobody asked, however many crash.
 * @throws Violation
 */
export function checkCommit(
  history: History,
  operation: Operation | undefined,
  { accounts, sessions }: Changes,
): void {
  if (accounts.length + sessions.length === 0) return;
  hold(operation !== undefined, 'the store has changed for nobody');
  for (const { before, after } of accounts) {
    if (before === undefined) appeared(history, operation, after, sessions);
    else if (after === undefined) erased(operation, before);
    else altered(history, operation, before, after);
  }
  for (const { before, after } of sessions) {
    const isFirst = accounts.some((change) => change.before === undefined);
    if (before === undefined) begun(history, operation, after, isFirst);
    else if (after === undefined) ended(history, operation, before);
    else used(history, operation, before, after);
  }
  for (const { now } of history.sessions.values()) {
    const user = now && history.accounts.get(now.userId)?.now;
    hold(now === undefined || user !== undefined, `session ${now?.id} is of no user`);
  }
}

function appeared(
  history: History,
  { id, request }: Operation,
  row: AccountRow | undefined,
  sessions: readonly Change<SessionRow>[],
): void {
  hold(row !== undefined && request.kind === 'register', 'an account that nobody registered');
  const { email, passwordHash } = row;
  hold(email === canonical(request.email), 'an account with the email of another registration');
  hold(passwordOf(passwordHash) === request.password, "an account with another's password");
  const timelines = [...history.accounts.values()];
  const twins = timelines.filter(({ now }) => now?.email === email).length;
  hold(twins === 1, `${twins} accounts have the email ${email}`);
  hold(history.accounts.get(row.id)?.rows.length === 1, `id ${row.id} was given twice`);
  const first = sessions.filter(({ after }) => after?.userId === row.id);
  hold(first.length === 1, 'an account was committed without its first session');
  hold(first[0]?.after?.device === `op-${id}`, "the first session is another's");
}

function erased({ request }: Operation, row: AccountRow): void {
  hold(request.kind === 'deleteAccount', `a ${request.kind} has erased an account`);
  hold(readToken(request.token)?.userId === row.id, 'the account of another was erased');
  const isProved = passwordOf(row.passwordHash) === request.password;
  hold(isProved, 'an account was erased by a password that was no longer right');
}

function altered(
  history: History,
  { request }: Operation,
  before: AccountRow,
  after: AccountRow,
): void {
  const [old, now] = [passwordOf(before.passwordHash), passwordOf(after.passwordHash)];
  const isSwitch = request.kind === 'disableUser' || request.kind === 'enableUser';
  if (isSwitch) {
    hold(now === old && before.email === canonical(request.email), 'another user was disabled');
    hold(after.disabled === (request.kind === 'disableUser'), 'a user is as nobody asked for');
    const kept = [...history.sessions.values()].some(({ now: row }) => row?.userId === before.id);
    return hold(!kept, `a ${request.kind} has kept a session`);
  }
  hold(after.disabled === before.disabled, `a ${request.kind} has disabled or enabled a user`);
  if (after.passwordVersion === before.passwordVersion) {
    hold(now === old, 'the upgrade of a hash has undone a change of password');
    return;
  }
  hold(request.kind === 'changePassword', `a ${request.kind} has changed a password`);
  const token = readToken(request.token);
  hold(token?.userId === before.id, 'the password of another was changed');
  hold(old === request.password, 'a password was changed by one that was no longer right');
  hold(now === request.newPassword, 'a password was changed to another than was asked for');
  const left = [...history.sessions.values()].filter(({ now: row }) => row?.userId === before.id);
  const others = left.filter(({ now: row }) => row?.id !== token.sessionId);
  hold(others.length === 0, 'a change of password has kept sessions of others');
}

function begun(
  history: History,
  { id, request }: Operation,
  row: SessionRow | undefined,
  isFirst: boolean,
): void {
  hold(row !== undefined && row.device === `op-${id}`, 'a session of another operation');
  hold(history.sessions.get(row.id)?.rows.length === 1, 'a session that had ended is back');
  if (isFirst) return;
  const account = history.accounts.get(row.userId)?.now;
  hold(request.kind === 'login' || request.kind === 'guess', `a ${request.kind} began a session`);
  hold(account?.email === canonical(request.email), 'a session of another user');
  const isRight = passwordOf(account.passwordHash) === request.password;
  hold(isRight, 'a session was begun with a password that was no longer right');
  hold(!account.disabled, 'a session of a disabled user was begun');
}

function ended(history: History, operation: Operation, row: SessionRow): void {
  const { request } = operation;
  const token = readToken(request.token);
  const isOfUser = token?.userId === row.userId;
  const account = history.accounts.get(row.userId)?.now;
  const isNamed = account?.email === canonical(request.email);
  const [, latest] = history.times(operation);
  const reasons: Partial<Record<typeof request.kind, boolean>> = {
    logout: token?.kind === 'refresh' && token.sessionId === row.id,
    logoutAll: isOfUser,
    endSession: isOfUser && request.target === row.id,
    changePassword: isOfUser && token.sessionId !== row.id,
    deleteAccount: isOfUser,
    disableUser: isNamed,
    enableUser: isNamed,
    prune: row.expires.getTime() <= latest + SKEW,
    refresh: operation.rotation && token?.sessionId === row.id && token.tokenId !== row.tokenId,
  };
  hold(reasons[request.kind] === true, `a ${request.kind} has ended a session that it must not`);
}

function used(history: History, operation: Operation, before: SessionRow, after: SessionRow): void {
  const { request, rotation } = operation;
  hold(request.kind === 'refresh', `a ${request.kind} has changed a session`);
  const token = readToken(request.token);
  hold(token?.sessionId === before.id, 'the session of another was changed');
  hold(before.userId === after.userId, 'a session has changed hands');
  hold(before.expires.getTime() === after.expires.getTime(), 'a session lasts longer than it may');
  if (before.tokenId === after.tokenId) return;
  hold(rotation, 'a refresh token was replaced although rotation is off');
  hold(token.tokenId === before.tokenId, 'a token that was replaced has got a successor again');
  const known = history.sessions
    .get(before.id)
    ?.rows.filter((row) => row.tokenId === after.tokenId);
  hold(known?.length === 1, 'a refresh token that was replaced is good again');
}
