import {
  type Account,
  AuthError,
  type Clock,
  type Email,
  type FirstSession,
  isExpired,
  isWithin,
  type NewAccount,
  type PageQuery,
  type PasswordChange,
  type Ports,
  type Role,
  type Rotation,
  type RotationOutcome,
  type Session,
  type SessionRepository,
  type User,
  type UserId,
  type UserRecord,
  type UserRepository,
} from '../../application/index.ts';
import { MemoryAttempts } from './memory-attempts.ts';

export { withFallback, withSpare } from './fallback-attempts.ts';
export { noAttempts } from './memory-attempts.ts';

interface SessionRow extends Session {
  /** When `tokenId` replaced `previousTokenId`. */
  readonly tokenDate?: Date;
  readonly previousTokenId?: string;
}

/** The data that both repositories share, like the tables of a database. */
interface Tables {
  readonly accounts: Map<UserId, Account>;
  readonly idsByEmail: Map<Email, UserId>;
  readonly sessions: Map<string, SessionRow>;
}

/** Options of `memoryRepositories`. */
export interface MemoryOptions {
  /** The clock by which counts of attempts expire. Default: the monotonic clock of the process. */
  readonly clock?: Clock;
}

/**
 * Repositories in memory, for tests and for programs that need no durable storage. Each method is
 * atomic because it never awaits between a read and the write that depends on it.
 */
export function memoryRepositories({
  clock,
}: MemoryOptions = {}): Pick<Ports, 'users' | 'sessions' | 'attempts'> {
  const tables: Tables = { accounts: new Map(), idsByEmail: new Map(), sessions: new Map() };
  return {
    users: new MemoryUsers(tables),
    sessions: new MemorySessions(tables),
    attempts: new MemoryAttempts(clock),
  };
}

class MemoryUsers implements UserRepository {
  readonly #tables: Tables;
  #lastId = 0;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  async insert(account: NewAccount, session?: FirstSession): Promise<UserRecord> {
    const { accounts, idsByEmail, sessions } = this.#tables;
    if (idsByEmail.has(account.email)) throw new AuthError('email_taken');
    if (session && sessions.has(session.id)) throw new Error('the session id is taken');
    const { passwordHash, ...fields } = account;
    this.#lastId += 1;
    const user = copy({ role: 'user' as const, disabled: false, ...fields, id: this.#lastId });
    accounts.set(user.id, { user, passwordHash, passwordVersion: 0 });
    idsByEmail.set(user.email, user.id);
    if (session) sessions.set(session.id, copy({ ...session, userId: user.id }));
    return copy(user);
  }

  async findById(id: UserId): Promise<UserRecord | undefined> {
    const account = this.#tables.accounts.get(id);
    return account && copy(account.user);
  }

  async findByEmail(email: Email): Promise<Account | undefined> {
    const id = this.#tables.idsByEmail.get(email);
    const account = id === undefined ? undefined : this.#tables.accounts.get(id);
    return account && { ...account, user: copy(account.user) };
  }

  async replacePasswordHash(id: UserId, current: string, replacement: string): Promise<boolean> {
    const account = this.#tables.accounts.get(id);
    if (account?.passwordHash !== current) return false;
    this.#tables.accounts.set(id, { ...account, passwordHash: replacement });
    return true;
  }

  async changePassword({ userId, version, passwordHash, keep }: PasswordChange): Promise<boolean> {
    const { accounts, sessions } = this.#tables;
    const account = this.#findByVersion(userId, version);
    if (account === undefined) return false;
    const passwordVersion = account.passwordVersion + 1;
    accounts.set(userId, { ...account, passwordHash, passwordVersion });
    removeWhere(sessions, (session) => session.userId === userId && session.id !== keep);
    return true;
  }

  async delete(id: UserId, passwordVersion?: number): Promise<boolean> {
    const { accounts, idsByEmail, sessions } = this.#tables;
    const account = this.#findByVersion(id, passwordVersion);
    if (account === undefined) return false;
    accounts.delete(id);
    idsByEmail.delete(account.user.email);
    removeWhere(sessions, ({ userId }) => userId === id);
    return true;
  }

  async setRole(id: UserId, role: Role): Promise<boolean> {
    const account = this.#tables.accounts.get(id);
    if (account === undefined) return false;
    this.#tables.accounts.set(id, { ...account, user: { ...account.user, role } });
    return true;
  }

  async setDisabled(id: UserId, disabled: boolean): Promise<boolean> {
    const { accounts, sessions } = this.#tables;
    const account = accounts.get(id);
    if (account === undefined) return false;
    const passwordVersion = account.passwordVersion + (disabled ? 1 : 0);
    accounts.set(id, { ...account, user: { ...account.user, disabled }, passwordVersion });
    removeWhere(sessions, ({ userId }) => userId === id);
    return true;
  }

  /** The account if its password has this version. Undefined matches any version. */
  #findByVersion(id: UserId, version: number | undefined): Account | undefined {
    const account = this.#tables.accounts.get(id);
    return version === undefined || account?.passwordVersion === version ? account : undefined;
  }

  async page({ after, limit, email }: PageQuery): Promise<readonly UserRecord[]> {
    const page: UserRecord[] = [];
    // A Map iterates in the order of insertion, which is that of the ids.
    for (const [id, { user }] of this.#tables.accounts) {
      if (page.length === limit) break;
      if (id > after && (email === undefined || user.email === email)) page.push(copy(user));
    }
    return page;
  }
}

class MemorySessions implements SessionRepository {
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  async insert(session: Session, passwordVersion: number): Promise<boolean> {
    const account = this.#tables.accounts.get(session.userId);
    if (account?.passwordVersion !== passwordVersion) return false;
    if (this.#tables.sessions.has(session.id)) throw new Error('the session id is taken');
    this.#tables.sessions.set(session.id, copy(session));
    return true;
  }

  async find(id: string): Promise<Session | undefined> {
    const session = this.#tables.sessions.get(id);
    return session && withoutHistory(session);
  }

  async touch(id: string, now: Date): Promise<void> {
    const session = this.#tables.sessions.get(id);
    if (session) this.#tables.sessions.set(id, copy({ ...session, lastUsed: now }));
  }

  async rotate(rotation: Rotation): Promise<RotationOutcome> {
    const { sessionId, presented, successor, now, grace } = rotation;
    const { sessions } = this.#tables;
    const session = sessions.get(sessionId);
    if (session === undefined) return { kind: 'unknown' };
    if (isExpired(session, now)) return { kind: 'expired' };
    const { tokenId, tokenDate, previousTokenId } = session;
    if (tokenId === null || tokenId === presented) {
      const replaced = { tokenId: successor, tokenDate: now, previousTokenId: presented };
      sessions.set(sessionId, copy({ ...session, ...replaced, lastUsed: now }));
      return { kind: 'rotated', tokenId: successor, date: now };
    }
    if (presented === previousTokenId && tokenDate && isWithin(grace, tokenDate, now)) {
      return { kind: 'repeated', tokenId, date: new Date(tokenDate) };
    }
    sessions.delete(sessionId);
    return { kind: 'reused' };
  }

  async list(userId: UserId, now: Date): Promise<readonly Session[]> {
    return [...this.#tables.sessions.values()]
      .filter((session) => session.userId === userId && !isExpired(session, now))
      .map(withoutHistory)
      .toSorted(byAge);
  }

  async remove(id: string, userId: UserId, now: Date): Promise<boolean> {
    const session = this.#tables.sessions.get(id);
    if (session?.userId !== userId) return false;
    this.#tables.sessions.delete(id);
    return !isExpired(session, now);
  }

  async removeAll(userId: UserId): Promise<void> {
    removeWhere(this.#tables.sessions, (session) => session.userId === userId);
  }

  async removeExpired(now: Date, limit: number): Promise<number> {
    let left = limit;
    removeWhere(this.#tables.sessions, (session) => {
      if (left === 0 || !isExpired(session, now)) return false;
      left -= 1;
      return true;
    });
    return limit - left;
  }
}

function removeWhere(
  sessions: Map<string, SessionRow>,
  isGone: (session: SessionRow) => boolean,
): void {
  for (const [id, session] of sessions) if (isGone(session)) sessions.delete(id);
}

/** The session without the columns that only `rotate` reads. */
function withoutHistory(row: SessionRow): Session {
  const { tokenDate: _date, previousTokenId: _previous, ...session } = row;
  return copy(session);
}

function byAge(one: Session, other: Session): number {
  const difference = one.dateCreated.getTime() - other.dateCreated.getTime();
  return difference || (one.id < other.id ? -1 : 1);
}

/** Callers may modify what they pass in or get back; the store must not change with it. */
function copy<Row extends User | Session>(row: Row): Row {
  return structuredClone(row);
}
