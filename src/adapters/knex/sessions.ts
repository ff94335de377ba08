import type { Knex } from 'knex';
import {
  isExpired,
  isWithin,
  type Rotation,
  type RotationOutcome,
  type Session,
  type SessionRepository,
  type UserId,
} from '../../application/index.ts';
import { BatchLoader } from './batch-loader.ts';
import { parseDate, toNumber } from './columns.ts';
import { dialectOf } from './connection/dialects.ts';
import { reading, writing } from './connection/retry.ts';
import { placeholders, runChange } from './connection/run.ts';
import { deleteByIds } from './delete-by-ids.ts';
import type { TableNames } from './tables.ts';

interface SessionRow {
  readonly id: string;
  readonly user_id: number | string;
  readonly device: string | null;
  readonly date_created: string;
  readonly last_used: string | null;
  readonly expires: string;
  readonly token_id: string | null;
}

/** With what rotation stores about the previous token. Only `rotate` reads it. */
interface RotatedRow extends SessionRow {
  readonly token_date: string | null;
  readonly previous_token_id: string | null;
}

const SESSION_COLUMNS = [
  'id',
  'user_id',
  'device',
  'date_created',
  'last_used',
  'expires',
  'token_id',
] as const;

/**
 * Every login and refresh runs `insert`, `find`, `touch` or the update of `rotate`, so these are
 * raw statements; all others use knex's query builder, which costs more than it takes to run them.
 */
export class KnexSessions implements SessionRepository {
  readonly #knex: Knex;
  readonly #tables: TableNames;
  readonly #byId: BatchLoader<string, SessionRow>;
  readonly #statements: {
    readonly insert: string;
    readonly touch: string;
    readonly rotate: string;
  };

  constructor(knex: Knex, tables: TableNames) {
    this.#knex = knex;
    this.#tables = tables;
    const { quote, shareLock } = dialectOf(knex);
    const [users, sessions] = [quote(tables.users), quote(tables.sessions)];
    const columns = SESSION_COLUMNS.join(', ');
    this.#byId = new BatchLoader(
      knex,
      `SELECT ${columns} FROM ${sessions} WHERE id`,
      ({ id }) => id,
    );
    this.#statements = {
      // Looks at the user in the same statement, and locks the row against changes until it ends.
      insert: `INSERT INTO ${sessions} (${columns}) SELECT ${placeholders(SESSION_COLUMNS.length)}
        FROM ${users} WHERE id = ? AND password_version = ? ${shareLock}`,
      touch: `UPDATE ${sessions} SET last_used = ? WHERE id = ?`,
      rotate: `UPDATE ${sessions}
        SET token_id = ?, token_date = ?, previous_token_id = ?, last_used = ?
        WHERE id = ? AND expires > ? AND (token_id = ? OR token_id IS NULL)`,
    };
  }

  async insert(session: Session, passwordVersion: number): Promise<boolean> {
    const row = toSessionRow(session);
    const values = [...SESSION_COLUMNS.map((column) => row[column]), row.user_id, passwordVersion];
    const insert = async () => (await runChange(this.#knex, this.#statements.insert, values)) > 0;
    const found = async () => ((await this.#session(session.id).first('id')) ? true : undefined);
    return writing(this.#knex, insert, { found });
  }

  async find(id: string): Promise<Session | undefined> {
    const row = await this.#byId.find(id);
    return row && toSession(row);
  }

  async touch(id: string, now: Date): Promise<void> {
    const touch = () => runChange(this.#knex, this.#statements.touch, [now.toISOString(), id]);
    await writing(this.#knex, touch, { found: null });
  }

  async rotate(rotation: Rotation): Promise<RotationOutcome> {
    const { sessionId: id, presented, successor, now, grace } = rotation;
    const date = now.toISOString();
    const values = [successor, date, presented, date, id, date, presented];
    // The condition and the change are one statement, so that only one caller succeeds.
    const rotate = async () => (await runChange(this.#knex, this.#statements.rotate, values)) > 0;
    const found = async () =>
      (await this.#session(id).where({ token_id: successor }).first('id')) ? true : undefined;
    const isRotated = await writing(this.#knex, rotate, { found });
    if (isRotated) return { kind: 'rotated', tokenId: successor, date: now };

    const row = await reading(this.#knex, async () =>
      this.#session(id)
        .select(...SESSION_COLUMNS, 'token_date', 'previous_token_id')
        .first(),
    );
    if (row === undefined) return { kind: 'unknown' };
    if (isExpired(toSession(row), now)) return { kind: 'expired' };
    const { token_id: tokenId, token_date, previous_token_id } = row;
    if (previous_token_id === presented && tokenId !== null && token_date !== null) {
      const successorDate = parseDate(token_date, row.user_id);
      if (isWithin(grace, successorDate, now)) {
        return { kind: 'repeated', tokenId, date: successorDate };
      }
    }
    await writing(this.#knex, async () => this.#session(id).delete(), { found: null });
    return { kind: 'reused' };
  }

  async list(userId: UserId, now: Date): Promise<readonly Session[]> {
    const rows = await reading(this.#knex, async () =>
      this.#knex<SessionRow>(this.#tables.sessions)
        .select(...SESSION_COLUMNS)
        .where({ user_id: userId })
        .where('expires', '>', now.toISOString())
        .orderBy(['date_created', 'id']),
    );
    return rows.map(toSession);
  }

  async remove(id: string, userId: UserId, now: Date): Promise<boolean> {
    const remove = async () =>
      (await this.#session(id)
        .where({ user_id: userId })
        .where('expires', '>', now.toISOString())
        .delete()) > 0;
    const found = async () => ((await this.#session(id).first('id')) ? undefined : true);
    if (await writing(this.#knex, remove, { found })) return true;
    // An expired one goes as well: a clock that is set back would revive it.
    const removeExpired = async () => this.#session(id).where({ user_id: userId }).delete();
    await writing(this.#knex, removeExpired, { found: null });
    return false;
  }

  async removeAll(userId: UserId): Promise<void> {
    const remove = async () =>
      this.#knex(this.#tables.sessions).where({ user_id: userId }).delete();
    await writing(this.#knex, remove, { found: null });
  }

  async removeExpired(now: Date, limit: number): Promise<number> {
    const date = now.toISOString();
    const { sessions } = this.#tables;
    const ids = await reading(this.#knex, async () =>
      this.#knex(sessions)
        .where('expires', '<=', date)
        .limit(limit, { skipBinding: true })
        .pluck<string[]>('id'),
    );
    return deleteByIds(this.#knex, sessions, ids);
  }

  #session(id: string) {
    return this.#knex<RotatedRow>(this.#tables.sessions).where({ id });
  }
}

function toSession(row: SessionRow): Session {
  return {
    id: row.id,
    userId: toNumber(row.user_id),
    device: row.device,
    dateCreated: parseDate(row.date_created, row.user_id),
    lastUsed: parseDate(row.last_used ?? row.date_created, row.user_id),
    expires: parseDate(row.expires, row.user_id),
    tokenId: row.token_id,
  };
}

export function toSessionRow(session: Session): SessionRow {
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
