import type { Knex } from 'knex';
import {
  type Account,
  AuthError,
  type Email,
  type FirstSession,
  type NewAccount,
  type PageQuery,
  type PasswordChange,
  type Role,
  type UserId,
  type UserRecord,
  type UserRepository,
} from '../../application/index.ts';
import { toSessionRow } from './sessions.ts';
import { BatchLoader } from './batch-loader.ts';
import { toNumber } from './columns.ts';
import type { Dialect } from './connection/dialect.ts';
import { dialectOf } from './connection/dialects.ts';
import { isUniqueViolation } from './connection/faults.ts';
import { reading, writing } from './connection/retry.ts';
import { runDirectly } from './connection/run.ts';
import type { TableNames } from './tables.ts';
import {
  type AccountRow,
  NEW_USER,
  toRow,
  toUser,
  USER_COLUMNS,
  type UserRow,
} from './user-row.ts';

export class KnexUsers implements UserRepository {
  readonly #knex: Knex;
  readonly #tables: TableNames;
  readonly #dialect: Dialect;
  /** The table of users, quoted. */
  readonly #users: string;
  readonly #byId: BatchLoader<UserId, UserRow>;

  constructor(knex: Knex, tables: TableNames) {
    this.#knex = knex;
    this.#tables = tables;
    this.#dialect = dialectOf(knex);
    this.#users = this.#dialect.quote(tables.users);
    const select = `SELECT ${USER_COLUMNS.join(', ')} FROM ${this.#users} WHERE id`;
    this.#byId = new BatchLoader(knex, select, ({ id }) => toNumber(id));
  }

  async insert(account: NewAccount, session?: FirstSession): Promise<UserRecord> {
    const { passwordHash, ...fields } = { ...NEW_USER, ...account };
    const row = toRow(account);
    const { users, sessions } = this.#tables;
    const store = async (trx: Knex): Promise<UserRecord> => {
      const stored = await this.#dialect.insertForId(trx, users, row).catch((error: unknown) => {
        throw isUniqueViolation(error) ? new AuthError('email_taken') : error;
      });
      if (stored === undefined) throw new Error('the database gave no id');
      const id = toNumber(stored);
      if (session) await trx(sessions).insert(toSessionRow({ ...session, userId: id }));
      return { id, ...fields };
    };
    // Only this registration has this id of a session, which is committed with the account, or this
    // hash, because every hash has its own salt.
    const found = async (): Promise<UserRecord | undefined> => {
      const [id] = await (session
        ? this.#knex(sessions).where({ id: session.id }).pluck<UserRow['id'][]>('user_id')
        : this.#knex(users)
            .where({ email: row.email, password_hash: passwordHash })
            .pluck<UserRow['id'][]>('id'));
      return id === undefined ? undefined : { id: toNumber(id), ...fields };
    };
    return writing(this.#knex, () => this.#knex.transaction(store), { found });
  }

  async findById(id: UserId): Promise<UserRecord | undefined> {
    const row = await this.#byId.find(id);
    return row && toUser(row);
  }

  async findByEmail(email: Email): Promise<Account | undefined> {
    const columns = [...USER_COLUMNS, 'password_hash', 'password_version'].join(', ');
    const select = `SELECT ${columns} FROM ${this.#users} WHERE email = ?`;
    const [row] = await reading(this.#knex, () =>
      runDirectly<readonly AccountRow[]>(this.#knex, select, [email]),
    );
    if (row === undefined) return undefined;
    const { password_hash: passwordHash, password_version: passwordVersion } = row;
    return { user: toUser(row), passwordHash, passwordVersion: toNumber(passwordVersion) };
  }

  async replacePasswordHash(id: UserId, current: string, replacement: string): Promise<boolean> {
    const users = () => this.#knex(this.#tables.users);
    const replace = async () =>
      (await users().where({ id, password_hash: current }).update({ password_hash: replacement })) >
      0;
    // No two hashes are equal: each has its own salt.
    const found = () => isAny(users().where({ id, password_hash: replacement }));
    return writing(this.#knex, replace, { found });
  }

  async changePassword(change: PasswordChange): Promise<boolean> {
    const { userId, version, passwordHash, keep } = change;
    const { users, sessions } = this.#tables;
    const replace = async (trx: Knex): Promise<boolean> => {
      const replaced = await trx(users)
        .where({ id: userId, ...hasVersion(version) })
        .update({ password_hash: passwordHash, password_version: trx.raw(NEXT_VERSION) });
      if (replaced === 0) return false;
      const ended = trx(sessions).where({ user_id: userId });
      await (keep === undefined ? ended : ended.whereNot({ id: keep })).delete();
      return true;
    };
    const changed = { id: userId, password_hash: passwordHash };
    const found = () => isAny(this.#knex(users).where(changed));
    return writing(this.#knex, () => this.#knex.transaction(replace), { found });
  }

  async delete(id: UserId, passwordVersion?: number): Promise<boolean> {
    const users = () => this.#knex(this.#tables.users);
    // A foreign key, or a trigger, deletes the sessions as well.
    const remove = async () =>
      (await users()
        .where({ id, ...hasVersion(passwordVersion) })
        .delete()) > 0;
    const found = async () => ((await isAny(users().where({ id }))) ? undefined : true);
    return writing(this.#knex, remove, { found });
  }

  async setRole(id: UserId, role: Role): Promise<boolean> {
    const users = () => this.#knex(this.#tables.users).where({ id });
    // Some servers do not count a row that had the role before.
    const set = async () =>
      (await users().update({ role })) > 0 || (await isAny(users())) !== undefined;
    return writing(this.#knex, set, { found: null });
  }

  async setDisabled(id: UserId, disabled: boolean): Promise<boolean> {
    const { users, sessions } = this.#tables;
    const set = async (trx: Knex): Promise<boolean> => {
      const row = { disabled: Number(disabled) };
      const version = { password_version: trx.raw(NEXT_VERSION) };
      const user = () => trx(users).where({ id });
      const changed = await user().update(disabled ? { ...row, ...version } : row);
      if (changed === 0 && (await isAny(user())) === undefined) return false;
      await trx(sessions).where({ user_id: id }).delete();
      return true;
    };
    return writing(this.#knex, () => this.#knex.transaction(set), { found: null });
  }

  async page({ after, limit, email }: PageQuery): Promise<readonly UserRecord[]> {
    // A power of two: the server keeps a prepared statement for each LIMIT.
    const maxRows = 2 ** Math.ceil(Math.log2(limit));
    const where = email === undefined ? 'id > ?' : 'id > ? AND email = ?';
    const select = `SELECT ${USER_COLUMNS.join(', ')} FROM ${this.#users}
      WHERE ${where} ORDER BY id LIMIT ${maxRows}`;
    const values = email === undefined ? [after] : [after, email];
    const rows = await reading(this.#knex, () => this.#rows(select, values));
    return rows.slice(0, limit).map(toUser);
  }

  async #rows(select: string, values: readonly (string | number)[]): Promise<readonly UserRow[]> {
    const { jsonPage } = this.#dialect;
    if (jsonPage === undefined) return runDirectly(this.#knex, select, values);
    const [found] = await runDirectly<readonly { readonly page: string }[]>(
      this.#knex,
      jsonPage(USER_COLUMNS, select),
      values,
    );
    return readPage(found?.page);
  }
}

function readPage(page = '[]'): readonly UserRow[] {
  const rows: unknown = JSON.parse(page);
  if (!isRows(rows)) throw new Error('the database gave no page of users');
  return rows;
}

/** Looks no further than the list: our own SELECT names the members. */
function isRows(rows: unknown): rows is readonly UserRow[] {
  return Array.isArray(rows);
}

const NEXT_VERSION = 'password_version + 1';

/** The condition that the password has this version, if one is given. */
function hasVersion(version: number | undefined): { readonly password_version?: number } {
  return version === undefined ? {} : { password_version: version };
}

/** True if a query finds a row, else undefined. */
async function isAny(query: Knex.QueryBuilder): Promise<true | undefined> {
  const row: unknown = await query.first('id');
  return row === undefined ? undefined : true;
}
