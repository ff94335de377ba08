import {
  type Account,
  AuthError,
  type Email,
  type FirstSession,
  type NewAccount,
  type PasswordChange,
  type Ports,
  type Rotation,
  type RotationOutcome,
  type Role,
  type Session,
  type UserRecord,
} from '../../src/application/index.ts';

export interface AccountRow extends UserRecord {
  readonly passwordHash: string;
  readonly passwordVersion: number;
}

export interface SessionRow extends Session {
  readonly tokenDate?: Date;
  readonly previousTokenId?: string;
}

interface CountRow {
  readonly count: number;
  /** Milliseconds of the time that only passes. */
  readonly expires: number;
}

/**
 * What has been committed: all that outlives a process. Rows are replaced, never changed, so that
 * whoever watches sees by comparing what each step has done. Each method is one statement or one
 * transaction of a database.
 */
export class Store {
  readonly accounts = new Map<number, AccountRow>();
  readonly sessions = new Map<string, SessionRow>();
  readonly counts = new Map<string, CountRow>();
  lastId = 0;
  readonly #passed: () => number;

  /** `passed` gives the time that only passes, in milliseconds. */
  constructor(passed: () => number) {
    this.#passed = passed;
  }

  insertUser(account: NewAccount, session?: FirstSession): UserRecord {
    if (this.findByEmail(account.email)) throw new AuthError('email_taken');
    const user = this.addUser(account);
    if (session) this.sessions.set(session.id, { ...session, userId: user.id });
    return user;
  }

  addUser(account: NewAccount): UserRecord {
    this.lastId += 1;
    const standing = { role: 'user', disabled: false } as const;
    const row = { ...standing, ...account, id: this.lastId, passwordVersion: 0 };
    this.accounts.set(row.id, row);
    return toUser(row);
  }

  findById(id: number): UserRecord | undefined {
    const row = this.accounts.get(id);
    return row && toUser(row);
  }

  findByEmail(email: Email): Account | undefined {
    const row = [...this.accounts.values()].find((account) => account.email === email);
    if (row === undefined) return undefined;
    const { passwordHash, passwordVersion } = row;
    return { user: toUser(row), passwordHash, passwordVersion };
  }

  replacePasswordHash(id: number, current: string | undefined, replacement: string): boolean {
    const row = this.accounts.get(id);
    if (row === undefined || row.passwordHash !== (current ?? row.passwordHash)) return false;
    this.accounts.set(id, { ...row, passwordHash: replacement });
    return true;
  }

  changePassword(change: PasswordChange): boolean {
    if (!this.setPassword(change)) return false;
    this.removeSessions(({ id, userId }) => userId === change.userId && id !== change.keep);
    return true;
  }

  setPassword({ userId, version, passwordHash }: PasswordChange): boolean {
    const row = this.#proved(userId, version);
    if (row === undefined) return false;
    const passwordVersion = row.passwordVersion + 1;
    this.accounts.set(userId, { ...row, passwordHash, passwordVersion });
    return true;
  }

  setRole(id: number, role: Role): boolean {
    const row = this.accounts.get(id);
    if (row) this.accounts.set(id, { ...row, role });
    return row !== undefined;
  }

  setDisabled(id: number, disabled: boolean): boolean {
    const row = this.accounts.get(id);
    if (row === undefined) return false;
    const passwordVersion = row.passwordVersion + (disabled ? 1 : 0);
    this.accounts.set(id, { ...row, disabled, passwordVersion });
    this.removeSessions(({ userId }) => userId === id);
    return true;
  }

  #proved(id: number, version: number | undefined): AccountRow | undefined {
    const row = this.accounts.get(id);
    return version === undefined || row?.passwordVersion === version ? row : undefined;
  }

  deleteUser(id: number, passwordVersion?: number): boolean {
    if (this.#proved(id, passwordVersion) === undefined) return false;
    this.accounts.delete(id);
    this.removeSessions(({ userId }) => userId === id);
    return true;
  }

  insertSession(session: Session, passwordVersion: number): boolean {
    if (this.accounts.get(session.userId)?.passwordVersion !== passwordVersion) return false;
    this.sessions.set(session.id, session);
    return true;
  }

  /** The exchange alone: whether the token was the one that is good. */
  replaceToken({ sessionId, presented, successor, now }: Rotation): boolean {
    const row = this.sessions.get(sessionId);
    if (row === undefined || row.expires <= now || row.tokenId !== presented) return false;
    const token = { tokenId: successor, tokenDate: now, previousTokenId: presented };
    this.sessions.set(sessionId, { ...row, ...token, lastUsed: now });
    return true;
  }

  removeSessions(isGone: (session: SessionRow) => boolean): number {
    const gone = [...this.sessions.values()].filter(isGone);
    for (const { id } of gone) this.sessions.delete(id);
    return gone.length;
  }

  add(key: string, seconds: number) {
    const now = this.#passed();
    const { count, expires } = this.#count(key) ?? { count: 0, expires: now + seconds * 1000 };
    this.counts.set(key, { count: count + 1, expires });
    return { count: count + 1, secondsLeft: (expires - now) / 1000 };
  }

  subtract(keys: readonly string[]): void {
    for (const key of keys) {
      const row = this.#count(key);
      if (row && row.count > 0) this.counts.set(key, { ...row, count: row.count - 1 });
    }
  }

  read(keys: readonly string[]) {
    return keys.map((key) => {
      const row = this.#count(key);
      return row && { count: row.count, secondsLeft: (row.expires - this.#passed()) / 1000 };
    });
  }

  expiredCounts(limit: number): readonly string[] {
    return [...this.counts.keys()].filter((key) => !this.#count(key)).slice(0, limit);
  }

  #count(key: string): CountRow | undefined {
    const row = this.counts.get(key);
    return row && row.expires > this.#passed() ? row : undefined;
  }
}

function toUser(row: AccountRow): UserRecord {
  const { passwordHash: _hash, passwordVersion: _version, ...user } = row;
  return user;
}

/** Makes one step of a call: nothing else of the simulation comes in between its parts. */
export type Point = <T>(label: string, effect: () => T) => Promise<T>;

export type Repositories = Pick<Ports, 'users' | 'sessions' | 'attempts'>;

/** The repositories of one process: what a database does in several statements is several steps. */
export function repositories(store: Store, point: Point): Repositories {
  return {
    users: {
      insert: (account, session) => point('users.insert', () => store.insertUser(account, session)),
      findById: (id) => point('users.findById', () => store.findById(id)),
      findByEmail: (email) => point('users.findByEmail', () => store.findByEmail(email)),
      replacePasswordHash: (id, current, replacement) =>
        point('users.replacePasswordHash', () =>
          store.replacePasswordHash(id, current, replacement),
        ),
      changePassword: (change) => point('users.changePassword', () => store.changePassword(change)),
      delete: (id, version) => point('users.delete', () => store.deleteUser(id, version)),
      setRole: (id, role) => point('users.setRole', () => store.setRole(id, role)),
      setDisabled: (id, disabled) =>
        point('users.setDisabled', () => store.setDisabled(id, disabled)),
      page: ({ after, limit }) =>
        point('users.page', () => {
          const rows = [...store.accounts.values()].filter(({ id }) => id > after);
          return rows.slice(0, limit).map(toUser);
        }),
    },
    sessions: {
      insert: (session, version) =>
        point('sessions.insert', () => store.insertSession(session, version)),
      find: (id) => point('sessions.find', () => store.sessions.get(id)),
      touch: (id, now) =>
        point('sessions.touch', () => {
          const row = store.sessions.get(id);
          if (row) store.sessions.set(id, { ...row, lastUsed: now });
        }),
      rotate: (rotation) => rotate(store, point, rotation),
      list: (userId, now) =>
        point('sessions.list', () =>
          [...store.sessions.values()].filter(
            (session) => session.userId === userId && session.expires > now,
          ),
        ),
      remove: (id, userId, now) =>
        point('sessions.remove', () => {
          const isIt = (session: SessionRow) => session.id === id && session.userId === userId;
          const stood = [...store.sessions.values()].some(
            (session) => isIt(session) && session.expires > now,
          );
          store.removeSessions(isIt);
          return stood;
        }),
      removeAll: (id) =>
        point('sessions.removeAll', () => void store.removeSessions(({ userId }) => userId === id)),
      removeExpired: async (now, limit) => {
        const ids = await point('sessions.removeExpired: select', () =>
          [...store.sessions.values()].filter(({ expires }) => expires <= now).slice(0, limit),
        );
        const isGone = ({ id }: SessionRow) => ids.some((session) => session.id === id);
        return point('sessions.removeExpired: delete', () => store.removeSessions(isGone));
      },
    },
    attempts: {
      add: (key, seconds) => point('attempts.add', () => store.add(key, seconds)),
      subtract: (keys) => point('attempts.subtract', () => store.subtract(keys)),
      read: (keys) => point('attempts.read', () => store.read(keys)),
      clear: (keys) =>
        point('attempts.clear', () => {
          for (const key of keys) store.counts.delete(key);
        }),
      removeExpired: (limit) =>
        point('attempts.removeExpired', () => {
          const keys = store.expiredCounts(limit);
          for (const key of keys) store.counts.delete(key);
          return keys.length;
        }),
    },
  };
}

async function rotate(store: Store, point: Point, rotation: Rotation): Promise<RotationOutcome> {
  const { sessionId, presented, successor, now, grace } = rotation;
  if (await point('sessions.rotate: update', () => store.replaceToken(rotation))) {
    return { kind: 'rotated', tokenId: successor, date: now };
  }
  const row = await point('sessions.rotate: select', () => store.sessions.get(sessionId));
  if (row === undefined) return { kind: 'unknown' };
  if (row.expires <= now) return { kind: 'expired' };
  const { tokenId, tokenDate, previousTokenId } = row;
  if (previousTokenId === presented && tokenId !== null && tokenDate !== undefined) {
    const isInGrace = now.getTime() - tokenDate.getTime() <= grace * 1000;
    if (isInGrace) return { kind: 'repeated', tokenId, date: tokenDate };
  }
  await point('sessions.rotate: delete', () => store.removeSessions(({ id }) => id === sessionId));
  return { kind: 'reused' };
}
