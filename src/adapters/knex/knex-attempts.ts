import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { AttemptCounter, Count } from '../../application/index.ts';
import { whileBusy } from './retry.ts';

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

  constructor(knex: Knex, table: string) {
    this.#knex = knex;
    this.#table = table;
  }

  async add(key: string, amount: 1 | -1, seconds: number): Promise<Count> {
    const id = idOf(key);
    const write = async (trx: Knex): Promise<Count> => {
      if (amount > 0) await this.#increase(trx, id, seconds * 1000);
      else await this.#live(trx).where({ id }).where('count', '>', 0).decrement('count');
      const row = await this.#live(trx).where({ id }).first();
      return row ? toCount(row) : { count: 0, secondsLeft: 0 };
    };
    return whileBusy(() => this.#knex.transaction(write), PATIENCE);
  }

  async #increase(trx: Knex, id: string, ms: number): Promise<void> {
    const now = Date.now();
    const latest = new Date(now + ms).toISOString();
    // Anew also where it would last longer than it can: then the clock has been set back.
    const counts = 'expires > ? AND expires < ?';
    const bindings = [now, now + ms + CLOCKS_APART].map((time) => new Date(time).toISOString());
    await trx(this.#table)
      .insert({ id, count: 1, expires: latest })
      .onConflict('id')
      .merge({
        // In this order: MySQL reads `expires` as it has been set before.
        count: trx.raw(`CASE WHEN ${counts} THEN count + 1 ELSE 1 END`, bindings),
        expires: trx.raw(`CASE WHEN ${counts} THEN expires ELSE ? END`, [...bindings, latest]),
      });
  }

  async read(keys: readonly string[]): Promise<readonly (Count | undefined)[]> {
    const ids = keys.map(idOf);
    const rows = await this.#live(this.#knex).whereIn('id', ids);
    const counts = new Map(rows.map((row) => [row.id, toCount(row)]));
    return ids.map((id) => counts.get(id));
  }

  async clear(keys: readonly string[]): Promise<void> {
    await this.#delete(keys.map(idOf), PATIENCE);
  }

  async removeExpired(limit: number): Promise<number> {
    const ids = await this.#knex(this.#table)
      .where('expires', '<=', new Date().toISOString())
      .limit(limit, { skipBinding: true })
      .pluck<string[]>('id');
    return this.#delete(ids);
  }

  async #delete(ids: readonly string[], patience?: number): Promise<number> {
    if (ids.length === 0) return 0;
    return whileBusy(async () => this.#knex(this.#table).whereIn('id', ids).delete(), patience);
  }

  #live(knex: Knex) {
    return knex<AttemptRow>(this.#table).where('expires', '>', new Date().toISOString());
  }
}

function idOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}

function toCount({ count, expires }: AttemptRow): Count {
  const left = Math.max(0, Date.parse(expires) - Date.now());
  return { count: Number(count), secondsLeft: left / 1000 };
}
