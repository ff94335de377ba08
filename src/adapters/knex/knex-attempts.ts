import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { AttemptCounter, Count } from '../../application/index.ts';
import { reading, writing } from './retry.ts';
import { deleteByIds, places, runDirectly } from './rows.ts';
import { isSqlite } from './tables.ts';

interface AttemptRow {
  /** A SHA-256 of the key: people type passwords into email fields. */
  readonly id: string;
  /** A text where the driver is told so. */
  readonly count: number | string;
  /** ISO 8601. */
  readonly expires: string;
}

/** Milliseconds for which a locked table is waited for: time must be left for what is counted. */
const PATIENCE = 1_500;

/** Milliseconds by which the clocks of processes on one database may differ. */
const CLOCKS_APART = 60_000;

/** The counts of attempts in a table, for all processes on the database. */
export class KnexAttempts implements AttemptCounter {
  readonly #knex: Knex;
  readonly #table: string;
  /** Whether the database can give the row that a statement has changed. */
  #returns = true;

  constructor(knex: Knex, table: string) {
    this.#knex = knex;
    this.#table = table;
  }

  async add(key: string, seconds: number): Promise<Count> {
    const id = idOf(key);
    // Counted twice, where an answer is lost, rather than not at all: what is counted are guesses.
    const add = () => this.#add(id, seconds * 1000);
    return writing(this.#knex, add, { found: null, patience: PATIENCE });
  }

  async #add(id: string, ms: number): Promise<Count> {
    const now = steadyNow();
    const latest = new Date(now + ms).toISOString();
    // Anew also where it would last longer than it can: then the clock has been set back.
    const counts = '`expires` > ? AND `expires` < ?';
    const bindings = [now, now + ms + CLOCKS_APART].map((time) => new Date(time).toISOString());
    const conflict = isSqlite(this.#knex)
      ? 'ON CONFLICT (`id`) DO UPDATE SET'
      : 'ON DUPLICATE KEY UPDATE';
    // In this order: MySQL reads `expires` as it has been set before.
    const sql = `INSERT INTO \`${this.#table}\` (\`id\`, \`count\`, \`expires\`) VALUES (?, 1, ?) ${conflict}
      \`count\` = CASE WHEN ${counts} THEN \`count\` + 1 ELSE 1 END,
      \`expires\` = CASE WHEN ${counts} THEN \`expires\` ELSE ? END`;
    const values = [id, latest, ...bindings, ...bindings, latest];
    const row = this.#returns ? await this.#returned(sql, values) : undefined;
    return toCount(row ?? (await this.#written(sql, values, id)));
  }

  /** The row as a statement has left it; undefined where the database gives none. */
  async #returned(sql: string, values: readonly string[]): Promise<AttemptRow | undefined> {
    try {
      const returning = `${sql} RETURNING \`id\`, \`count\`, \`expires\``;
      const [row] = await runDirectly<readonly AttemptRow[]>(this.#knex, returning, values);
      return row;
    } catch (error) {
      // MySQL, which does not know RETURNING, nor does MariaDB before 10.5.
      if (!isParseError(error)) throw error;
      this.#returns = false;
      return undefined;
    }
  }

  async #written(sql: string, values: readonly string[], id: string): Promise<AttemptRow> {
    return this.#knex.transaction(async (trx) => {
      await trx.raw(sql, [...values]);
      const row = await trx<AttemptRow>(this.#table).where({ id }).first();
      if (row === undefined) throw new Error('the database lost a count');
      return row;
    });
  }

  async subtract(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    // In the same order wherever it is done, so that no two wait for each other.
    const ids = keys.map(idOf).toSorted();
    const sql = `UPDATE \`${this.#table}\` SET \`count\` = \`count\` - 1
      WHERE \`id\` IN (${places(ids.length)}) AND \`count\` > 0 AND \`expires\` > ?`;
    const values = [...ids, steadyDate()];
    // Not twice: that would give a guess away.
    const found = async () => true;
    await writing(this.#knex, () => runDirectly<unknown>(this.#knex, sql, values), {
      found,
      patience: PATIENCE,
    });
  }

  async read(keys: readonly string[]): Promise<readonly (Count | undefined)[]> {
    if (keys.length === 0) return [];
    const ids = keys.map(idOf);
    const sql = `SELECT \`id\`, \`count\`, \`expires\` FROM \`${this.#table}\`
      WHERE \`id\` IN (${places(ids.length)}) AND \`expires\` > ?`;
    const rows = await reading(this.#knex, () =>
      runDirectly<readonly AttemptRow[]>(this.#knex, sql, [...ids, steadyDate()]),
    );
    const counts = new Map(rows.map((row) => [row.id, toCount(row)]));
    return ids.map((id) => counts.get(id));
  }

  async clear(keys: readonly string[]): Promise<void> {
    await deleteByIds(this.#knex, this.#table, keys.map(idOf), PATIENCE);
  }

  async removeExpired(limit: number): Promise<number> {
    const ids = await reading(this.#knex, async () =>
      this.#knex(this.#table)
        .where('expires', '<=', steadyDate())
        .limit(limit, { skipBinding: true })
        .pluck<string[]>('id'),
    );
    return deleteByIds(this.#knex, this.#table, ids);
  }
}

/**
 * Milliseconds since 1970, as the clock had it when the process began, and from then on by the time that
 * it runs: a clock that is set forward frees nobody who has to wait, nor does one that is set back
 * keep anybody waiting.
 */
function steadyNow(): number {
  return performance.timeOrigin + performance.now();
}

function steadyDate(): string {
  return new Date(steadyNow()).toISOString();
}

function idOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}

function toCount({ count, expires }: AttemptRow): Count {
  const left = Math.max(0, Date.parse(expires) - steadyNow());
  return { count: Number(count), secondsLeft: left / 1000 };
}

function isParseError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ER_PARSE_ERROR';
}
