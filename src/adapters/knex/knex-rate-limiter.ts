import type { Knex } from 'knex';
import { RateLimiterRes } from 'rate-limiter-flexible';
import RateLimiterStore from 'rate-limiter-flexible/lib/RateLimiterStoreAbstract.js';
import { whileBusy } from './retry.ts';

interface AttemptRow {
  readonly id: string;
  readonly count: number;
  /** ISO 8601. */
  readonly expires: string;
}

/** Milliseconds for which a locked table is waited for: time must be left for what is counted. */
const PATIENCE = 1_500;

/** Milliseconds by which the clocks of processes on one database may differ. */
const CLOCKS_APART = 60_000;

/**
 * rate-limiter-flexible on the table `attempts`, for every database that the repositories run on: its
 * own SQL limiters write past the pool's time limits, and on SQLite past the lock that comes first.
 */
export class KnexRateLimiter extends RateLimiterStore<AttemptRow> {
  readonly #knex: Knex;
  readonly #read = together(async (ids) => {
    const now = new Date().toISOString();
    const rows = await this.#attempts().whereIn('id', ids).where('expires', '>', now);
    return new Map(rows.map((row) => [row.id, row]));
  });
  readonly #remove = together((ids) =>
    whileBusy(async () => this.#attempts().whereIn('id', ids).delete(), PATIENCE),
  );

  constructor(knex: Knex) {
    super({ points: 1, duration: 1, keyPrefix: '', storeClient: knex });
    this.#knex = knex;
  }

  /** Removes up to `limit` counts that have passed; resolves to their number. */
  async removeExpired(now: Date, limit: number): Promise<number> {
    const ids = await this.#attempts()
      .where('expires', '<=', now.toISOString())
      .limit(limit, { skipBinding: true })
      .pluck<string[]>('id');
    if (ids.length === 0) return 0;
    return whileBusy(async () => this.#attempts().whereIn('id', ids).delete());
  }

  override async _upsert(id: string, points: number, ms: number): Promise<AttemptRow> {
    const now = Date.now();
    const latest = new Date(now + ms).toISOString();
    // Anew also where it would last longer than it can: then the clock has been set back.
    const counts = 'expires > ? AND expires < ?';
    const bindings = [now, now + ms + CLOCKS_APART].map((time) => new Date(time).toISOString());
    const write = async (trx: Knex): Promise<AttemptRow> => {
      await trx('attempts')
        .insert({ id, count: Math.max(points, 0), expires: latest })
        .onConflict('id')
        .merge({
          // In this order: MySQL reads `expires` as it has been set before.
          count: trx.raw(`CASE WHEN ${counts} THEN count + ? ELSE ? END`, [
            ...bindings,
            points,
            points,
          ]),
          expires: trx.raw(`CASE WHEN ${counts} THEN expires ELSE ? END`, [...bindings, latest]),
        });
      const row = await trx<AttemptRow>('attempts').where({ id }).first();
      if (row === undefined) throw new Error('the count that was just written is not there');
      return row;
    };
    return whileBusy(() => this.#knex.transaction(write), PATIENCE);
  }

  override async _get(id: string): Promise<AttemptRow | null> {
    return (await this.#read(id)).get(id) ?? null;
  }

  override async _delete(id: string): Promise<boolean> {
    return (await this.#remove(id)) > 0;
  }

  override _getRateLimiterRes(_id: string, _points: number, row: AttemptRow): RateLimiterRes {
    const left = Math.max(0, Date.parse(row.expires) - Date.now());
    return new RateLimiterRes(0, left, row.count, false);
  }

  #attempts() {
    return this.#knex<AttemptRow>('attempts');
  }
}

/** Does at once what is asked for in one turn, as all the keys of a request are. */
function together<Result>(
  run: (ids: readonly string[]) => Promise<Result>,
): (id: string) => Promise<Result> {
  let ids: string[] = [];
  let result: Promise<Result> | undefined;
  const runAll = async () => {
    await Promise.resolve(); // Until all have asked.
    const asked = ids;
    ids = [];
    result = undefined;
    return run(asked);
  };
  return (id) => {
    ids.push(id);
    result ??= runAll();
    return result;
  };
}
