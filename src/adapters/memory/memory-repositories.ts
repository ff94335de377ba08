import {
  type Account,
  AuthError,
  type Email,
  type FirstSession,
  type NewAccount,
  type Ports,
  type Session,
  type SessionRepository,
  type User,
  type UserId,
  type UserRepository,
} from '../../application/index.ts';

/** What both repositories share, as the two tables of a database would be. */
interface Tables {
  readonly accounts: Map<UserId, Account>;
  readonly idsByEmail: Map<Email, UserId>;
  readonly sessions: Map<string, Session>;
}

/**
 * The repositories on Maps: for tests, and for programs that need nothing to outlive them.
 * No method awaits between a look and the put that depends on it: that makes each one atomic.
 */
export function memoryRepositories(): Pick<Ports, 'users' | 'sessions'> {
  const tables: Tables = { accounts: new Map(), idsByEmail: new Map(), sessions: new Map() };
  return { users: new MemoryUsers(tables), sessions: new MemorySessions(tables) };
}

class MemoryUsers implements UserRepository {
  readonly #tables: Tables;
  #lastId = 0;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  async insert(account: NewAccount, session: FirstSession): Promise<User> {
    const { accounts, idsByEmail, sessions } = this.#tables;
    if (idsByEmail.has(account.email)) throw new AuthError('email_taken');
    if (sessions.has(session.id)) throw new Error('the session id is taken');
    const { passwordHash, ...fields } = account;
    this.#lastId += 1;
    const user = copy({ id: this.#lastId, ...fields });
    accounts.set(user.id, { user, passwordHash });
    idsByEmail.set(user.email, user.id);
    sessions.set(session.id, copy({ ...session, userId: user.id }));
    return copy(user);
  }

  async findById(id: UserId): Promise<User | undefined> {
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

  async page(after: UserId, limit: number): Promise<readonly User[]> {
    const page: User[] = [];
    // A Map keeps the order of insertion, which here is the order of ids.
    for (const [id, { user }] of this.#tables.accounts) {
      if (page.length === limit) break;
      if (id > after) page.push(copy(user));
    }
    return page;
  }
}

class MemorySessions implements SessionRepository {
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  async insert(session: Session): Promise<boolean> {
    if (!this.#tables.accounts.has(session.userId)) return false;
    if (this.#tables.sessions.has(session.id)) throw new Error('the session id is taken');
    this.#tables.sessions.set(session.id, copy(session));
    return true;
  }

  async find(id: string): Promise<Session | undefined> {
    const session = this.#tables.sessions.get(id);
    return session && copy(session);
  }
}

/** What enters or leaves the store can be changed by its owner without changing the store. */
function copy<Row extends User | Session>(row: Row): Row {
  return structuredClone(row);
}
