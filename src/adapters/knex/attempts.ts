import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { AttemptCounter, Count } from '../../application/index.ts';
import { batched } from './batch-loader.ts';
import { dialectOf } from './connection/dialects.ts';
import { isSyntaxError } from './connection/faults.ts';
import { reading, writing } from './connection/retry.ts';
import { padToPowerOfTwo, placeholders, runDirectly } from './connection/run.ts';
import { deleteByIds } from './delete-by-ids.ts';

interface AttemptRow {
  /** A SHA-256 of the key: people type passwords into email fields. */
  readonly id: string;
  /** A text where the driver is told so. */
  readonly count: number | string;
  /** ISO 8601. */
  readonly expires: string;
}

/** How long a locked table is waited for: less than other writes, to leave time for the request. */
const RETRY_FOR_MS = 1_500;

/** How much the clocks of processes on one database may differ. */
const MAX_CLOCK_SKEW_MS = 60_000;

/** Rows of one statement: connections keep a prepared statement for each number up to it. */
const MAX_ROWS = 16;

interface Addition {
  readonly id: string;
  /** Milliseconds. */
  readonly time: number;
}

/** Keys whose counts are to be less by one, or nothing. */
interface Reduction {
  readonly ids: readonly string[];
  readonly to: 'one less' | 'nothing';
}

/**
 * The counts of attempts in a table, for all processes on the database. What is counted, and what is
 * taken back, in one turn of the event loop is done by one statement each, and so one commit.
 */
export class KnexAttempts implements AttemptCounter {
  readonly #knex: Knex;
  readonly #table: string;
  /** The table's name, as in statements. */
  readonly #quoted: string;
  readonly #addTogether = batched((all: readonly Addition[]) => this.#addAll(all));
  readonly #reduceTogether = batched((all: readonly Reduction[]) => this.#reduceAll(all));
  /** Whether the database can give the rows that a statement has changed. */
  #returns = true;

  constructor(knex: Knex, table: string) {
    this.#knex = knex;
    this.#table = table;
    this.#quoted = dialectOf(knex).quote(table);
  }

  async add(key: string, seconds: number): Promise<Count> {
    return this.#addTogether({ id: idOf(key), time: seconds * 1000 });
  }

  async #addAll(all: readonly Addition[]): Promise<readonly Count[]> {
    const byId = new Map<string, Addition[]>();
    for (const each of all) byId.set(each.id, [...(byId.get(each.id) ?? []), each]);
    // In the same order wherever it is done, so that no two wait for each other.
    const ids = [...byId.keys()].toSorted();
    const rows = new Map<string, AttemptRow>();
    for (let i = 0; i < ids.length; i += MAX_ROWS) {
      const parts = ids.slice(i, i + MAX_ROWS).map((id) => ({ id, additions: byId.get(id) ?? [] }));
      // Counted twice, where an answer is lost, rather than not at all: what is counted are guesses.
      const add = () => this.#addRows(parts);
      const added = await writing(this.#knex, add, { found: null, retryForMs: RETRY_FOR_MS });
      for (const row of added) rows.set(row.id, row);
    }
    return all.map((addition) => {
      const row = rows.get(addition.id);
      if (row === undefined) throw new Error('the database lost a count');
      const same = byId.get(addition.id) ?? [];
      const { count, secondsLeft } = toCount(row);
      return { count: count - same.length + 1 + same.indexOf(addition), secondsLeft };
    });
  }

  async #addRows(
    parts: readonly { readonly id: string; readonly additions: readonly Addition[] }[],
  ): Promise<readonly AttemptRow[]> {
    const now = monotonicNow();
    const dateIn = (ms: number) => new Date(now + ms).toISOString();
    const rows = parts.map(({ id, additions: [{ time } = { time: 0 }, ...others] }) => ({
      id,
      count: 1 + others.length,
      expires: dateIn(time),
      // Where it would last longer than it can, the clock has been set back.
      latest: dateIn(time + MAX_CLOCK_SKEW_MS),
    }));
    const { onDuplicate, insertedValue } = dialectOf(this.#knex);
    const latest = `CASE id ${rows.map(() => 'WHEN ? THEN ?').join(' ')} END`;
    const counts = `expires > ? AND expires < ${latest}`;
    const bindings = [dateIn(0), ...rows.flatMap((row) => [row.id, row.latest])];
    // In this order: MySQL reads `expires` as it has been set before.
    const sql = `INSERT INTO ${this.#quoted} (id, count, expires)
      VALUES ${rows.map(() => '(?, ?, ?)').join(', ')}
      ${onDuplicate('id')}
      count = CASE WHEN ${counts} THEN count ELSE 0 END + ${insertedValue('count')},
      expires = CASE WHEN ${counts} THEN expires ELSE ${insertedValue('expires')} END`;
    const inserted = rows.flatMap(({ id, count, expires }) => [id, count, expires]);
    const values = [...inserted, ...bindings, ...bindings];
    const ids = rows.map(({ id }) => id);
    return (await this.#returned(sql, values)) ?? this.#written(sql, values, ids);
  }

  /** The rows as a statement has left them; undefined where the database gives none. */
  async #returned(
    sql: string,
    values: readonly (string | number)[],
  ): Promise<readonly AttemptRow[] | undefined> {
    if (!this.#returns) return undefined;
    try {
      const returning = `${sql} RETURNING id, count, expires`;
      return await runDirectly<readonly AttemptRow[]>(this.#knex, returning, values);
    } catch (error) {
      // MySQL, and MariaDB before 10.5, do not know RETURNING.
      if (!isSyntaxError(error)) throw error;
      this.#returns = false;
      return undefined;
    }
  }

  async #written(
    sql: string,
    values: readonly (string | number)[],
    ids: readonly string[],
  ): Promise<readonly AttemptRow[]> {
    return this.#knex.transaction(async (trx) => {
      await trx.raw(sql, [...values]);
      return trx<AttemptRow>(this.#table).whereIn('id', ids);
    });
  }

  async subtract(keys: readonly string[]): Promise<void> {
    if (keys.length > 0) await this.#reduceTogether({ ids: keys.map(idOf), to: 'one less' });
  }

  async clear(keys: readonly string[]): Promise<void> {
    if (keys.length > 0) await this.#reduceTogether({ ids: keys.map(idOf), to: 'nothing' });
  }

  async #reduceAll(all: readonly Reduction[]): Promise<readonly unknown[]> {
    const idsOf = (kind: Reduction['to']) =>
      all.filter(({ to }) => to === kind).flatMap(({ ids }) => ids);
    const cleared = new Set(idsOf('nothing'));
    let reduced = idsOf('one less').filter((id) => !cleared.has(id));
    let ended: readonly string[] = [...cleared];
    while (reduced.length > 0) {
      const once = new Set(reduced.slice(0, MAX_ROWS));
      await this.#reduce([...once].toSorted(), ended.slice(0, MAX_ROWS));
      ended = ended.slice(MAX_ROWS);
      // A key that is named twice is for the next statement.
      reduced = reduced.filter((id, i) => i >= MAX_ROWS || reduced.indexOf(id) !== i);
    }
    await deleteByIds(this.#knex, this.#table, ended, { retryForMs: RETRY_FOR_MS });
    return all;
  }

  /** Takes one from some, and all from others: these rows are left, as if their time were over. */
  async #reduce(reduced: readonly string[], cleared: readonly string[]): Promise<void> {
    const [less, none] = [padToPowerOfTwo(reduced), padToPowerOfTwo(cleared)];
    const isReduced = `id IN (${placeholders(less.length)})`;
    const sql =
      none.length === 0
        ? `UPDATE ${this.#quoted} SET count = count - 1
          WHERE ${isReduced} AND count > 0 AND expires > ?`
        : `UPDATE ${this.#quoted} SET
          count = CASE WHEN ${isReduced} THEN count - 1 ELSE 0 END,
          expires = CASE WHEN ${isReduced} THEN expires ELSE '' END
          WHERE ${isReduced} AND count > 0 AND expires > ?
          OR id IN (${placeholders(none.length)})`;
    const date = monotonicDate();
    const values = none.length === 0 ? [...less, date] : [...less, ...less, ...less, date, ...none];
    // Not twice: that would give a guess away.
    const found = async () => true;
    const reduce = () => runDirectly<unknown>(this.#knex, sql, values);
    await writing(this.#knex, reduce, { found, retryForMs: RETRY_FOR_MS });
  }

  async read(keys: readonly string[]): Promise<readonly (Count | undefined)[]> {
    if (keys.length === 0) return [];
    const ids = keys.map(idOf);
    const sql = `SELECT id, count, expires FROM ${this.#quoted}
      WHERE id IN (${placeholders(ids.length)}) AND expires > ?`;
    const rows = await reading(this.#knex, () =>
      runDirectly<readonly AttemptRow[]>(this.#knex, sql, [...ids, monotonicDate()]),
    );
    const counts = new Map(rows.map((row) => [row.id, toCount(row)]));
    return ids.map((id) => counts.get(id));
  }

  async removeExpired(limit: number): Promise<number> {
    const expiredBy = monotonicDate();
    const ids = await reading(this.#knex, async () =>
      this.#knex(this.#table)
        .where('expires', '<=', expiredBy)
        .limit(limit, { skipBinding: true })
        .pluck<string[]>('id'),
    );
    return deleteByIds(this.#knex, this.#table, ids, { expiredBy });
  }
}

/**
 * Milliseconds since 1970, as the clock had it when the process began, and from then on by the time that
 * it runs: a clock that is set forward frees nobody who has to wait, nor does one that is set back
 * keep anybody waiting.
 */
function monotonicNow(): number {
  return performance.timeOrigin + performance.now();
}

function monotonicDate(): string {
  return new Date(monotonicNow()).toISOString();
}

function idOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}

function toCount({ count, expires }: AttemptRow): Count {
  const left = Math.max(0, Date.parse(expires) - monotonicNow());
  return { count: Number(count), secondsLeft: left / 1000 };
}
