import type { Knex } from 'knex';
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
import { whileBusy } from './retry.ts';

/** The repositories on the tables of `migrations.ts`, the same for MySQL, MariaDB and SQLite. */
export function knexRepositories(knex: Knex): Pick<Ports, 'users' | 'sessions'> {
  return { users: new KnexUsers(knex), sessions: new KnexSessions(knex) };
}

interface UserRow {
  readonly id: number;
  readonly username: string;
  readonly email: Email;
  readonly date_created: string;
}

interface SessionRow {
  readonly id: string;
  readonly user_id: number;
  readonly date_created: string;
  readonly expires: string;
}

/** What is read of a user. The hash is not among it: no list can ever show one. */
const USER_COLUMNS = ['id', 'username', 'email', 'date_created'] as const;

class KnexUsers implements UserRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  async insert(account: NewAccount, session: FirstSession): Promise<User> {
    const { passwordHash, ...fields } = account;
    const row = {
      username: fields.username,
      email: fields.email,
      password_hash: passwordHash,
      date_created: fields.dateCreated.toISOString(),
    };
    const store = async (trx: Knex): Promise<User> => {
      const [id] = await trx('users')
        .insert(row)
        .catch((error: unknown) => {
          throw isUniqueViolation(error) ? new AuthError('email_taken') : error;
        });
      if (id === undefined) throw new Error('the database gave no id');
      await trx('sessions').insert(sessionRow({ ...session, userId: id }));
      return { id, ...fields };
    };
    return whileBusy(() => this.#knex.transaction(store));
  }

  async findById(id: UserId): Promise<User | undefined> {
    const row = await this.#knex<UserRow>('users')
      .select(...USER_COLUMNS)
      .where({ id })
      .first();
    return row && user(row);
  }

  async findByEmail(email: Email): Promise<Account | undefined> {
    const row = await this.#knex<UserRow & { readonly password_hash: string }>('users')
      .select(...USER_COLUMNS, 'password_hash')
      .where({ email })
      .first();
    return row && { user: user(row), passwordHash: row.password_hash };
  }

  async replacePasswordHash(id: UserId, current: string, replacement: string): Promise<boolean> {
    const changed = await whileBusy(async () =>
      this.#knex('users')
        .where({ id, password_hash: current })
        .update({ password_hash: replacement }),
    );
    return changed > 0;
  }

  async page(after: UserId, limit: number): Promise<readonly User[]> {
    const rows = await this.#knex<UserRow>('users')
      .select(...USER_COLUMNS)
      .where('id', '>', after)
      .orderBy('id')
      // As text: MySQL takes no prepared LIMIT from a driver that sends numbers as doubles.
      .limit(limit, { skipBinding: true });
    return rows.map(user);
  }
}

class KnexSessions implements SessionRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  async insert(session: Session): Promise<boolean> {
    try {
      await whileBusy(async () => this.#knex('sessions').insert(sessionRow(session)));
      return true;
    } catch (error) {
      if (isForeignKeyViolation(error)) return false;
      throw error;
    }
  }

  async find(id: string): Promise<Session | undefined> {
    const row = await this.#knex<SessionRow>('sessions')
      .select('id', 'user_id', 'date_created', 'expires')
      .where({ id })
      .first();
    return (
      row && {
        id: row.id,
        userId: row.user_id,
        dateCreated: time(row.date_created),
        expires: time(row.expires),
      }
    );
  }
}

function user({ id, username, email, date_created }: UserRow): User {
  return { id, username, email, dateCreated: time(date_created) };
}

/** Somebody else may have written the row: better a fault now than in the middle of a reply. */
function time(text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw new Error('a row has a time that cannot be read');
  return date;
}

function sessionRow(session: Session): SessionRow {
  return {
    id: session.id,
    user_id: session.userId,
    date_created: session.dateCreated.toISOString(),
    expires: session.expires.toISOString(),
  };
}

function isUniqueViolation(error: unknown): boolean {
  return hasCode(error, 'ER_DUP_ENTRY', 'SQLITE_CONSTRAINT_UNIQUE');
}

function isForeignKeyViolation(error: unknown): boolean {
  return hasCode(error, 'ER_NO_REFERENCED_ROW_2', 'SQLITE_CONSTRAINT_FOREIGNKEY');
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
