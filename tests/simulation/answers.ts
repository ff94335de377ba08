import type { AuthErrorCode, Refreshed, SignedIn } from '../../src/application/index.ts';
import { canonical, hold, SKEW } from './commits.ts';
import type { Answer, History, Operation, Timeline } from './history.ts';
import { attemptsAt } from './limits.ts';
import { LEEWAY, passwordOf, readToken, type TokenFacts } from './parts.ts';
import type { RequestKind } from './script.ts';
import type { AccountRow, SessionRow } from './store.ts';

/** Seconds for which a replaced token still gets its successor. */
const GRACE = 10;

/** Failures of these are nobody's business but the part's. */
const BEST_EFFORT: ReadonlySet<string> = new Set([
  'attempts.subtract',
  'attempts.clear',
  'sessions.touch',
  'users.replacePasswordHash',
]);

const BEARER = ['invalid_access_token', 'user_not_found'] as const;
const GUESSING = ['too_many_attempts', 'service_busy'] as const;

/** What each request may be refused with, given that all its fields are there. */
export const REFUSALS: Readonly<Record<RequestKind, readonly AuthErrorCode[]>> = {
  register: ['email_taken', 'service_busy'],
  login: ['invalid_credentials', ...GUESSING],
  guess: ['invalid_credentials', ...GUESSING],
  refresh: ['invalid_refresh_token', 'user_not_found'],
  authorize: BEARER,
  logout: [],
  logoutAll: BEARER,
  listSessions: BEARER,
  endSession: [...BEARER, 'session_not_found'],
  changePassword: [...BEARER, 'wrong_password', ...GUESSING],
  deleteAccount: [...BEARER, 'wrong_password', ...GUESSING],
  disableUser: ['user_not_found'],
  enableUser: ['user_not_found'],
  listUsers: [],
  prune: [],
};

/**
 * Holds what a client was told against what was in the store meanwhile: what it was told must have
 * been so at some moment between its question and the answer.
 * @throws Violation
 */
export function checkOutcome(history: History, operation: Operation, places: number): void {
  const { outcome, request, faults } = operation;
  if (outcome.kind === 'answered') new Told(history, operation).checkAnswer(outcome.answer);
  if (outcome.kind === 'refused') {
    const isKnown = REFUSALS[request.kind].includes(outcome.code);
    hold(isKnown, `a ${request.kind} was refused with ${outcome.code}`);
    new Told(history, operation).checkRefusal(outcome.code, places);
  }
  if (outcome.kind === 'failed') {
    const [sign] = faults.filter((label) => !BEST_EFFORT.has(label));
    hold(sign !== undefined, `a ${request.kind} failed for no reason: ${outcome.error}`);
  }
}

/** One operation, and all that can have been seen by it. */
class Told {
  readonly #history: History;
  readonly #operation: Operation;
  readonly #token: TokenFacts | undefined;
  /** Milliseconds: the earliest and the latest that its process's clock can have shown. */
  readonly #from: number;
  readonly #to: number;

  constructor(history: History, operation: Operation) {
    this.#history = history;
    this.#operation = operation;
    this.#token = readToken(operation.request.token);
    const [from, to] = history.times(operation);
    [this.#from, this.#to] = [from - SKEW, to + SKEW];
  }

  checkAnswer(answer: Answer): void {
    switch (this.#operation.request.kind) {
      case 'register':
        return this.#signedIn(answer.signedIn);
      case 'login':
      case 'guess':
        hold(this.#operation.verified === 1, 'a login without exactly one look at its password');
        return this.#signedIn(answer.signedIn);
      case 'refresh':
        return this.#refreshed(answer.refreshed);
      case 'authorize':
        return this.#authorized(answer.identity?.user.id, answer.identity?.sessionId);
      case 'logout':
        return this.#loggedOut();
      case 'logoutAll':
        this.#authorized();
        return this.#allEnded();
      case 'endSession':
        this.#authorized();
        return hold(this.#target?.now === undefined, 'a session that was ended is still there');
      case 'listSessions':
        this.#authorized();
        return this.#listed(answer.sessions ?? []);
      case 'changePassword':
        this.#authorized();
        return this.#changed();
      case 'deleteAccount':
        this.#authorized();
        return hold(this.#user?.now === undefined, 'an account that was erased is still there');
      case 'disableUser':
        return this.#switched(true);
      case 'enableUser':
        return this.#switched(false);
      case 'listUsers':
        return this.#users(answer.users ?? []);
      default:
        return this.#pruned();
    }
  }

  checkRefusal(code: AuthErrorCode, places: number): void {
    const { request, verified, hashed } = this.#operation;
    const cost = `a ${request.kind} refused with ${code} has cost ${verified} + ${hashed} hashes`;
    switch (code) {
      case 'email_taken':
        return hold(
          this.#withEmail().some((account) => account.during(this.#operation).some(this.#isOther)),
          'an email is said to be taken that no other registration has',
        );
      case 'invalid_credentials':
        hold(verified === 1 && hashed === 0, cost);
        return hold(!this.#withEmail().some(this.#isRight), 'a right password was refused');
      case 'wrong_password':
        hold(verified === 1, cost);
        return hold(!(this.#user && this.#isRight(this.#user)), 'a right password was refused');
      case 'too_many_attempts':
        hold(verified === 0 && hashed === 0, cost);
        return hold(
          attemptsAt(this.#history, this.#operation).length > 7,
          'there are said to have been too many attempts, and there were not',
        );
      case 'service_busy':
        hold(verified === 0 && hashed === 0, cost);
        return hold(this.#atOnce() >= places, 'a process that had places said it was busy');
      case 'user_not_found':
        return hold(
          !(request.kind.endsWith('User') ? this.#withEmail() : [this.#user]).some((user) =>
            this.#always(user),
          ),
          'a user was not found who was there',
        );
      case 'invalid_access_token':
        return hold(
          this.#mayBeInvalid('access') || this.#wasDisabled(),
          'an access token was refused that is good',
        );
      case 'session_not_found':
        return hold(!this.#isSurelyTarget(), 'a session was not found that was there');
      default:
        return this.#notRefreshed();
    }
  }

  #signedIn(signedIn: SignedIn | undefined): void {
    hold(signedIn !== undefined, 'there is no answer');
    const { id, began, ended, request } = this.#operation;
    const [access, refresh] = [readToken(signedIn.accessToken), readToken(signedIn.refreshToken)];
    const session = this.#history.sessions.get(refresh?.sessionId ?? '');
    const row = session?.rows[0];
    hold(
      session !== undefined && row !== undefined,
      'a session was acknowledged that is not stored',
    );
    const isNew = session.since > began && session.since <= ended && row.device === `op-${id}`;
    hold(isNew, "a sign-in has got another's session");
    hold(refresh?.kind === 'refresh' && refresh.tokenId === row.tokenId, 'not the token it names');
    hold(access?.kind === 'access' && access.sessionId === row.id, 'tokens of two sessions');
    const isWhose = [access.userId, refresh.userId, signedIn.user.id].every(
      (u) => u === row.userId,
    );
    hold(isWhose, 'tokens of another user');
    const account = this.#history.accounts.get(row.userId);
    hold(account !== undefined, 'an account was acknowledged that is not stored');
    hold(signedIn.user.email === canonical(request.email), 'another user has signed in');
    const isFirst = account.since === session.since;
    hold(request.kind !== 'register' || isFirst, 'the account is not of the session');
  }

  #refreshed(refreshed: Refreshed | undefined): void {
    const token = this.#token;
    hold(refreshed !== undefined && token?.kind === 'refresh', 'what is no refresh token yields');
    const access = readToken(refreshed.accessToken);
    const isSame = access?.sessionId === token.sessionId && access.userId === token.userId;
    hold(access?.kind === 'access' && isSame, 'a refresh token yields the access of another');
    const session = this.#history.sessions.get(token.sessionId);
    const seen = session?.during(this.#operation) ?? [];
    hold(seen.some(isRow), 'a session yields that had ended');
    const couldYield = seen.some((row) => row !== undefined && this.#yields(row) !== 'no');
    hold(couldYield, 'a refresh token yields that had expired or been replaced');
    const { rotation } = this.#operation;
    hold(rotation === (refreshed.refreshToken !== undefined), 'rotation is not as it was set');
    if (refreshed.refreshToken === undefined) return;
    const successor = readToken(refreshed.refreshToken);
    const isOfToken = (row: SessionRow) => row.previousTokenId === token.tokenId;
    const ids = new Set(session?.rows.filter(isOfToken).map(({ tokenId }) => tokenId));
    hold(ids.size === 1, `a refresh token has ${ids.size} successors`);
    hold(successor?.kind === 'refresh', 'the successor is no refresh token');
    hold(ids.has(successor.tokenId), 'a successor was given that is not good');
  }

  #notRefreshed(): void {
    if (this.#mayBeInvalid('refresh') || this.#wasDisabled()) return;
    const session = this.#history.sessions.get(this.#token?.sessionId ?? '');
    const seen = session?.during(this.#operation) ?? [];
    // When it resolves, a session of which an old token has come back is gone.
    const verdicts = seen.map((row) => (row === undefined ? 'no' : this.#yields(row)));
    hold(
      !verdicts.every((verdict) => verdict === 'yes'),
      'a refresh token was refused that is good',
    );
    const isKept = this.#operation.rotation && seen.every(isRow);
    const isReuse = isKept && verdicts.every((verdict) => verdict === 'no');
    const isExpired = seen.some((row) => row && row.expires.getTime() <= this.#to);
    hold(!isReuse || isExpired, 'an old refresh token came back, and its session goes on');
  }

  /** Whether the token of this operation is good while its session is like this. */
  #yields(row: SessionRow): 'yes' | 'no' | 'maybe' {
    const { tokenId } = this.#token ?? {};
    const expires = Math.min(row.expires.getTime(), (this.#token?.expires ?? 0) * 1000);
    if (expires <= this.#from) return 'no';
    const graceEnds = (row.tokenDate?.getTime() ?? 0) + GRACE * 1000;
    const isCurrent = row.tokenId === tokenId;
    const isPrevious = this.#operation.rotation && row.previousTokenId === tokenId;
    if (!isCurrent && !(isPrevious && this.#from <= graceEnds)) return 'no';
    const isSure = expires > this.#to && (isCurrent || this.#to <= graceEnds);
    return isSure ? 'yes' : 'maybe';
  }

  /** What an access token says is true, and it is good at the time. */
  #authorized(userId = this.#token?.userId, sessionId = this.#token?.sessionId): void {
    const token = this.#token;
    hold(token?.kind === 'access', 'what is no access token is taken for one');
    hold(token.userId === userId && token.sessionId === sessionId, 'a token lets another in');
    hold(token.expires * 1000 > this.#from, 'an access token that has expired lets in');
    hold(token.issued * 1000 <= this.#to + LEEWAY * 1000 + 1000, 'a token of the future lets in');
    const seen = this.#user?.during(this.#operation) ?? [];
    hold(seen.some(isRow), 'a user was found who had been erased');
    hold(
      seen.some((row) => row?.disabled === false),
      'a disabled user was let in',
    );
  }

  #mayBeInvalid(kind: TokenFacts['kind']): boolean {
    const token = this.#token;
    if (token?.kind !== kind) return true;
    const isOfFuture = token.issued * 1000 > this.#from + LEEWAY * 1000 - 1000;
    return token.expires * 1000 <= this.#to + 1000 || isOfFuture;
  }

  #wasDisabled(): boolean {
    return this.#user?.during(this.#operation).some((row) => row?.disabled) ?? false;
  }

  #switched(disabled: boolean): void {
    const isSo = this.#withEmail().some((account) =>
      account.during(this.#operation).some((row) => row?.disabled === disabled),
    );
    hold(isSo, 'a user is said to be disabled, or enabled, and was not');
  }

  #loggedOut(): void {
    if (this.#token?.kind !== 'refresh') return;
    const row = this.#history.sessions.get(this.#token.sessionId)?.now;
    hold(row === undefined, 'a session that was logged out is still there');
  }

  #allEnded(): void {
    const isOf = (row: SessionRow | undefined) => row?.userId === this.#token?.userId;
    const all = [...this.#history.sessions.values()];
    const kept = all.filter(({ now, since }) => isOf(now) && since <= this.#operation.began);
    hold(kept.length === 0, 'a session is still there after all were ended');
  }

  #listed(listed: NonNullable<Answer['sessions']>): void {
    const ids = new Set(listed.map(({ id }) => id));
    hold(ids.size === listed.length, 'a session is listed twice');
    for (const { id, current } of listed) {
      const seen = this.#history.sessions.get(id)?.during(this.#operation) ?? [];
      hold(
        seen.some((row) => row?.userId === this.#token?.userId),
        'a session is listed wrongly',
      );
      hold(current === (id === this.#token?.sessionId), 'the session that asks is another');
    }
    for (const [id, session] of this.#history.sessions) {
      const isOwn = session.now?.userId === this.#token?.userId && this.#isLasting(session);
      hold(!isOwn || ids.has(id), 'a session is missing in the list');
    }
  }

  #changed(): void {
    const rows = this.#user?.rows ?? [];
    const wanted = this.#operation.request.newPassword;
    const isStored = rows.some(({ passwordHash }) => passwordOf(passwordHash) === wanted);
    hold(isStored, 'a change of password was acknowledged that is not stored');
  }

  #users(users: NonNullable<Answer['users']>): void {
    const ids = users.map(({ id }) => id);
    hold(
      ids.every((id, i) => i === 0 || id > (ids[i - 1] ?? 0)),
      'users are not in order',
    );
    for (const [id, account] of this.#history.accounts) {
      const seen = account.during(this.#operation);
      hold(!seen.every(isRow) || ids.includes(id), 'a user is missing in the list');
      hold(seen.some(isRow) || !ids.includes(id), 'a user is listed who is not there');
    }
  }

  #pruned(): void {
    for (const [id, session] of this.#history.sessions) {
      const isOld = session
        .during(this.#operation)
        .every((row) => row !== undefined && row.expires.getTime() <= this.#from);
      hold(!isOld || session.now === undefined, `session ${id} has expired and was not removed`);
    }
  }

  get #user(): Timeline<AccountRow> | undefined {
    return this.#history.accounts.get(this.#token?.userId ?? 0);
  }

  get #target(): Timeline<SessionRow> | undefined {
    return this.#history.sessions.get(this.#operation.request.target);
  }

  #always(timeline: Timeline<unknown> | undefined): boolean {
    return timeline?.during(this.#operation).every(isRow) ?? false;
  }

  #isLasting(session: Timeline<SessionRow>): boolean {
    const seen = session.during(this.#operation);
    return seen.every((row) => row !== undefined && row.expires.getTime() > this.#to);
  }

  #isSurelyTarget(): boolean {
    const target = this.#target;
    return target?.now?.userId === this.#token?.userId && !!target && this.#isLasting(target);
  }

  #withEmail(): readonly Timeline<AccountRow>[] {
    const email = canonical(this.#operation.request.email);
    return [...this.#history.accounts.values()].filter(({ rows }) => rows[0]?.email === email);
  }

  /** Whether the password that was given was right all the time, and of some use. */
  readonly #isRight = (account: Timeline<AccountRow>): boolean =>
    account
      .during(this.#operation)
      .every(
        (row) =>
          row && !row.disabled && passwordOf(row.passwordHash) === this.#operation.request.password,
      );

  readonly #isOther = (row: AccountRow | undefined): boolean =>
    row !== undefined && passwordOf(row.passwordHash) !== this.#operation.request.password;

  /** How many were under way in the same process. */
  #atOnce(): number {
    const { process, began, ended } = this.#operation;
    return this.#history.operations.filter(
      (other) => other.process === process && other.began <= ended && other.ended >= began,
    ).length;
  }
}

function isRow(row: unknown): boolean {
  return row !== undefined;
}
