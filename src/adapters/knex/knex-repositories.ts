import type { Knex } from 'knex';
import {
  type Account,
  AuthError,
  type Email,
  type FirstSession,
  isExpired,
  isWithin,
  type NewAccount,
  type PageQuery,
  type PasswordChange,
  type Ports,
  type Rotation,
  type RotationOutcome,
  type Session,
  type SessionRepository,
  type User,
  type UserId,
  type UserRepository,
} from '../../application/index.ts';
import { KnexAttempts } from './knex-attempts.ts';
import { LookUps, runDirectly } from './look-ups.ts';
import { whileBusy } from './retry.ts';
import { guarded, safeValues } from './safe-values.ts';
import {
  isSqlite,
  type KnexOptions,
  sendsValuesApart,
  type TableNames,
  tablesOf,
} from './tables.ts';

/**
 * The repositories on the tables that `migrate` makes, the same for MySQL, MariaDB and SQLite. A knex of
 * `openDatabase` has a limit on everything that can wait; any other waits as long as its own settings let it.
 * Every method rejects, having done nothing, where a connection to MySQL has another charset than utf8mb4
 * or the sql_mode NO_BACKSLASH_ESCAPES: what people type could be read as SQL there.
 * @throws RangeError for names that no table can have, or a knex of another client than mysql2 or
 * better-sqlite3, or one that renames columns
 */
export function knexRepositories(
  knex: Knex,
  options: KnexOptions = {},
): Pick<Ports, 'users' | 'sessions' | 'attempts'> {
  const tables = tablesOf(knex, options);
  const parts = {
    users: new KnexUsers(knex, tables),
    sessions: new KnexSessions(knex, tables),
    attempts: new KnexAttempts(knex, tables.attempts),
  };
  if (sendsValuesApart(knex)) return parts;
  const areSafe = safeValues(knex);
  return {
    users: guarded(parts.users, areSafe),
    sessions: guarded(parts.sessions, areSafe),
    attempts: guarded(parts.attempts, areSafe),
  };
}

interface UserRow {
  /** A text where the driver is told so. */
  readonly id: number | string;
  readonly username: string;
  readonly email: Email;
  readonly date_created: string;
}

interface AccountRow extends UserRow {
  readonly password_hash: string;
  readonly password_version: number | string;
}

interface SessionRow {
  readonly id: string;
  readonly user_id: number | string;
  readonly device: string | null;
  readonly date_created: string;
  readonly last_used: string | null;
  readonly expires: string;
  readonly token_id: string | null;
}

/** What rotation keeps of the token before, seen by `rotate` alone. */
interface RotatedRow extends SessionRow {
  readonly token_date: string | null;
  readonly previous_token_id: string | null;
}

/** What is read of a user. The hash is not among it: no list can ever show one. */
const USER_COLUMNS = ['id', 'username', 'email', 'date_created'] as const;

const SESSION_COLUMNS = [
  'id',
  'user_id',
  'device',
  'date_created',
  'last_used',
  'expires',
  'token_id',
] as const;

class KnexUsers implements UserRepository {
  readonly #knex: Knex;
  readonly #tables: TableNames;
  readonly #byId: LookUps<UserId, UserRow>;

  constructor(knex: Knex, tables: TableNames) {
    this.#knex = knex;
    this.#tables = tables;
    const select = `SELECT ${USER_COLUMNS.join(', ')} FROM \`${tables.users}\` WHERE id`;
    this.#byId = new LookUps(knex, select, ({ id }) => toNumber(id));
  }

  async insert(account: NewAccount, session: FirstSession): Promise<User> {
    const { passwordHash, ...fields } = account;
    const row = {
      username: fields.username,
      email: fields.email,
      password_hash: passwordHash,
      date_created: fields.dateCreated.toISOString(),
    };
    const { users, sessions } = this.#tables;
    const store = async (trx: Knex): Promise<User> => {
      const [made] = await trx(users)
        .insert(row)
        .catch((error: unknown) => {
          throw isUniqueViolation(error) ? new AuthError('email_taken') : error;
        });
      if (made === undefined) throw new Error('the database gave no id');
      const id = toNumber(made);
      await trx(sessions).insert(toSessionRow({ ...session, userId: id }));
      return { id, ...fields };
    };
    return whileBusy(() => this.#knex.transaction(store));
  }

  async findById(id: UserId): Promise<User | undefined> {
    const row = await this.#byId.find(id);
    return row && toUser(row);
  }

  async findByEmail(email: Email): Promise<Account | undefined> {
    const columns = [...USER_COLUMNS, 'password_hash', 'password_version'].join(', ');
    const select = `SELECT ${columns} FROM \`${this.#tables.users}\` WHERE email = ?`;
    const [row] = await runDirectly<readonly AccountRow[]>(this.#knex, select, [email]);
    if (row === undefined) return undefined;
    const { password_hash: passwordHash, password_version: passwordVersion } = row;
    return { user: toUser(row), passwordHash, passwordVersion: toNumber(passwordVersion) };
  }

  async replacePasswordHash(id: UserId, current: string, replacement: string): Promise<boolean> {
    const changed = await whileBusy(async () =>
      this.#knex(this.#tables.users)
        .where({ id, password_hash: current })
        .update({ password_hash: replacement }),
    );
    return changed > 0;
  }

  async changePassword(change: PasswordChange): Promise<boolean> {
    const { userId, version, passwordHash, keep } = change;
    const { users, sessions } = this.#tables;
    const replace = async (trx: Knex): Promise<boolean> => {
      const replaced = await trx(users)
        .where({ id: userId, password_version: version })
        .update({ password_hash: passwordHash, password_version: version + 1 });
      if (replaced === 0) return false;
      await trx(sessions).where({ user_id: userId }).whereNot({ id: keep }).delete();
      return true;
    };
    return whileBusy(() => this.#knex.transaction(replace));
  }

  async delete(id: UserId, passwordVersion: number): Promise<boolean> {
    const proved = { id, password_version: passwordVersion };
    // The sessions follow by foreign key, or by trigger.
    return (await whileBusy(async () => this.#knex(this.#tables.users).where(proved).delete())) > 0;
  }

  async page({ after, limit, email }: PageQuery): Promise<readonly User[]> {
    // A power of two: each other LIMIT would be a statement more that the server keeps prepared.
    const most = 2 ** Math.ceil(Math.log2(limit));
    const where = email === undefined ? 'id > ?' : 'id > ? AND email = ?';
    const select = `SELECT ${USER_COLUMNS.join(', ')} FROM \`${this.#tables.users}\`
      WHERE ${where} ORDER BY id LIMIT ${most}`;
    const values = email === undefined ? [after] : [after, email];
    const rows = await this.#rows(select, values);
    return rows.slice(0, limit).map(toUser);
  }

  async #rows(select: string, values: readonly (string | number)[]): Promise<readonly UserRow[]> {
    if (!isSqlite(this.#knex)) return runDirectly(this.#knex, select, values);
    // As one text: its drivers take 1 µs to hand a row over, and a third of that for its part of a text.
    const members = USER_COLUMNS.map((column) => `'${column}', ${column}`).join(', ');
    const [found] = await runDirectly<readonly { readonly page: string }[]>(
      this.#knex,
      `SELECT json_group_array(json_object(${members})) AS page FROM (${select})`,
      values,
    );
    return readPage(found?.page);
  }
}

class KnexSessions implements SessionRepository {
  readonly #knex: Knex;
  readonly #tables: TableNames;
  readonly #byId: LookUps<string, SessionRow>;
  readonly #insert: string;

  constructor(knex: Knex, tables: TableNames) {
    this.#knex = knex;
    this.#tables = tables;
    const select = `SELECT ${SESSION_COLUMNS.join(', ')} FROM \`${tables.sessions}\` WHERE id`;
    this.#byId = new LookUps(knex, select, ({ id }) => id);
    // One statement with the look at the user, whose row it locks against a change meanwhile.
    const { sql } = knex(tables.users)
      .select(SESSION_COLUMNS.map(() => knex.raw('?', [''])))
      .where({ id: 0, password_version: 0 })
      .forShare()
      .toSQL()
      .toNative();
    const columns = SESSION_COLUMNS.join(', ');
    this.#insert = `INSERT INTO \`${tables.sessions}\` (${columns}) ${sql}`;
  }

  async insert(session: Session, passwordVersion: number): Promise<boolean> {
    const row = toSessionRow(session);
    const values = [...SESSION_COLUMNS.map((column) => row[column]), row.user_id, passwordVersion];
    const result = await whileBusy(async () =>
      runDirectly<Changed>(this.#knex, this.#insert, values),
    );
    return changedRows(result) > 0;
  }

  async find(id: string): Promise<Session | undefined> {
    const row = await this.#byId.find(id);
    return row && toSession(row);
  }

  async touch(id: string, now: Date): Promise<void> {
    const last_used = now.toISOString();
    await whileBusy(async () => this.#session(id).update({ last_used }));
  }

  async rotate(rotation: Rotation): Promise<RotationOutcome> {
    const { sessionId: id, presented, successor, now, grace } = rotation;
    const date = now.toISOString();
    const replaced = { token_id: successor, token_date: date, previous_token_id: presented };
    // The condition and the change are one statement: it is what lets only one caller through.
    const rotated = await whileBusy(async () =>
      this.#session(id)
        .where('expires', '>', date)
        .whereRaw('(token_id = ? OR token_id IS NULL)', [presented])
        .update({ ...replaced, last_used: date }),
    );
    if (rotated > 0) return { kind: 'rotated', tokenId: successor, date: now };

    const row = await this.#session(id)
      .select(...SESSION_COLUMNS, 'token_date', 'previous_token_id')
      .first();
    if (row === undefined) return { kind: 'unknown' };
    if (isExpired(toSession(row), now)) return { kind: 'expired' };
    const { token_id: tokenId, token_date, previous_token_id } = row;
    if (previous_token_id === presented && tokenId !== null && token_date !== null) {
      const successorDate = time(token_date);
      if (isWithin(grace, successorDate, now)) {
        return { kind: 'repeated', tokenId, date: successorDate };
      }
    }
    await whileBusy(async () => this.#session(id).delete());
    return { kind: 'reused' };
  }

  async list(userId: UserId, now: Date): Promise<readonly Session[]> {
    const rows = await this.#knex<SessionRow>(this.#tables.sessions)
      .select(...SESSION_COLUMNS)
      .where({ user_id: userId })
      .where('expires', '>', now.toISOString())
      .orderBy(['date_created', 'id']);
    return rows.map(toSession);
  }

  async remove(id: string, userId: UserId, now: Date): Promise<boolean> {
    const removed = await whileBusy(async () =>
      this.#session(id)
        .where({ user_id: userId })
        .where('expires', '>', now.toISOString())
        .delete(),
    );
    return removed > 0;
  }

  async removeAll(userId: UserId): Promise<void> {
    await whileBusy(async () =>
      this.#knex(this.#tables.sessions).where({ user_id: userId }).delete(),
    );
  }

  async removeExpired(now: Date, limit: number): Promise<number> {
    const date = now.toISOString();
    const ids = await this.#knex(this.#tables.sessions)
      .where('expires', '<=', date)
      .limit(limit, { skipBinding: true })
      .pluck<string[]>('id');
    if (ids.length === 0) return 0;
    return whileBusy(async () => this.#knex(this.#tables.sessions).whereIn('id', ids).delete());
  }

  #session(id: string) {
    return this.#knex<RotatedRow>(this.#tables.sessions).where({ id });
  }
}

function readPage(page = '[]'): readonly UserRow[] {
  return JSON.parse(page); // Of our own SELECT: its members are those of the row.
}

function toUser({ id, username, email, date_created }: UserRow): User {
  return { id: toNumber(id), username, email, dateCreated: time(date_created) };
}

/** A driver can be told to give whole numbers as texts. */
function toNumber(value: number | string): number {
  return Number(value);
}

/** Somebody else may have written the row: better a fault now than in the middle of a reply. */
function time(text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw new Error('a row has a time that cannot be read');
  return date;
}

function toSession(row: SessionRow): Session {
  return {
    id: row.id,
    userId: toNumber(row.user_id),
    device: row.device,
    dateCreated: time(row.date_created),
    lastUsed: time(row.last_used ?? row.date_created),
    expires: time(row.expires),
    tokenId: row.token_id,
  };
}

function toSessionRow(session: Session): SessionRow {
  return {
    id: session.id,
    user_id: session.userId,
    device: session.device,
    date_created: session.dateCreated.toISOString(),
    last_used: session.lastUsed.toISOString(),
    expires: session.expires.toISOString(),
    token_id: session.tokenId,
  };
}

/** What the drivers give for a statement that changes rows. */
type Changed = { readonly affectedRows: number } | { readonly changes: number };

function changedRows(result: Changed): number {
  return 'changes' in result ? result.changes : result.affectedRows;
}

function isUniqueViolation(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error && error.code;
  return code === 'ER_DUP_ENTRY' || code === 'SQLITE_CONSTRAINT_UNIQUE';
}
