import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import { migratorConfig, stepsOf } from './migrations.ts';
import { refuseUnfinishedRestore } from './connection/restore-mark.ts';
import { writing } from './connection/retry.ts';
import { refuseUnsafeValues } from './connection/safe-values.ts';
import {
  DEFAULT_TABLES,
  isSqlite,
  type KnexOptions,
  notesOf,
  type TableNames,
  tablesOf,
} from './tables.ts';

/** Milliseconds: how long the dead keep others from migrating. */
const LEASE = 10_000;
/** Milliseconds for which a migration by others is waited for. */
const PATIENCE = 60_000;

/**
 * Makes the tables, or brings them up to date. Any number of processes may call it at once, and one
 * that dies on the way stops nobody for longer than its lease: knex's own lock would stay locked for
 * good. Of what else is in the database, migrations of its own included, nothing is touched.
 * A database that already has later steps, of a newer release, is left as it is.
 * @throws RangeError for what `knexRepositories` refuses; before anything has been changed, Error where its
 * methods would reject, where a table of one of these names is there that is somebody else's, and where
 * a restore was not finished
 */
export async function migrate(knex: Knex, options: KnexOptions = {}): Promise<void> {
  const tables = tablesOf(knex, options);
  await refuseUnsafeValues(knex);
  await refuseUnfinishedRestore(knex);
  if (await isUpToDate(knex, tables)) return;
  await refuseForeignTables(knex, tables);
  const lease = new Lease(knex, tables);
  await lease.take();
  try {
    if (await isUpToDate(knex, tables)) return;
    const config = migratorConfig(tables);
    // Whoever held knex's lock without the lease is dead.
    await knex.migrate.forceFreeMigrationsLock(config);
    await knex.migrate.latest(config);
  } finally {
    await lease.end();
  }
}

/**
 * A table of our name is ours where there are signs that we have made it: notes on its steps (an earlier
 * release had them where knex has its own), or the lease of a run that was not finished.
 */
async function refuseForeignTables(knex: Knex, tables: TableNames): Promise<void> {
  const names = [...Object.values<string>({ ...tables }), notesOf(tables)];
  const taken = await firstThere(knex, names);
  // In this order: another process may be making them, and the lease comes before any table.
  if (taken === undefined || (await isThere(knex, leaseOf(tables)))) return;
  const [first = ''] = Object.keys(stepsOf(tables));
  for (const notes of [notesOf(tables), 'knex_migrations']) {
    if (!(await isThere(knex, notes)) || !(await knex.schema.hasColumn(notes, 'name'))) continue;
    if (await knex(notes).where({ name: first }).first()) return;
  }
  throw new Error(
    `the table ${taken} is there already and is not Portcullis's: give ours other names` +
      ' ({ tables: { users: …, sessions: …, attempts: … } })',
  );
}

async function firstThere(knex: Knex, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) if (await isThere(knex, name)) return name;
  return undefined;
}

/** Whether a table or view has this name; SQLite tells no case apart, whatever knex says. */
async function isThere(knex: Knex, name: string): Promise<boolean> {
  if (!isSqlite(knex)) return knex.schema.hasTable(name);
  const found = knex('sqlite_master').whereRaw('lower(name) = ?', [name.toLowerCase()]);
  return (await found.first()) !== undefined;
}

function leaseOf(tables: TableNames): string {
  return `${notesOf(tables)}_lease`;
}

async function isUpToDate(knex: Knex, tables: TableNames): Promise<boolean> {
  return (await pendingSteps(knex, tables)).length === 0;
}

/** The steps that have not been made yet. */
export async function pendingSteps(
  knex: Knex,
  tables: TableNames = DEFAULT_TABLES,
): Promise<readonly string[]> {
  const steps = Object.keys(stepsOf(tables));
  if (!(await knex.schema.hasTable(notesOf(tables)))) return steps;
  const done = new Set(await knex(notesOf(tables)).pluck<string[]>('name'));
  return steps.filter((name) => !done.has(name));
}

/** The right to migrate, for as long as it is renewed. */
class Lease {
  readonly #knex: Knex;
  readonly #table: string;
  readonly #holder = randomUUID();
  #renewal: NodeJS.Timeout | undefined;

  constructor(knex: Knex, tables: TableNames) {
    this.#knex = knex;
    this.#table = leaseOf(tables);
  }

  async take(): Promise<void> {
    await this.#write(async () => {
      await this.#knex.raw(
        `CREATE TABLE IF NOT EXISTS ${this.#table}
          (id INTEGER NOT NULL PRIMARY KEY, holder VARCHAR(36) NOT NULL, expires BIGINT NOT NULL)`,
      );
    });
    const row = { id: 1, holder: '', expires: 0 };
    await this.#write(async () => this.#knex(this.#table).insert(row).onConflict('id').ignore());
    const end = performance.now() + PATIENCE;
    while ((await this.#renew()) === 0) {
      if (performance.now() > end)
        throw new Error('another process has been migrating for a minute');
      await sleep(50 + Math.random() * 100);
    }
    this.#renewal = setInterval(() => {
      this.#renew().catch(() => {}); // Steps can be run twice: a lost lease does no harm.
    }, LEASE / 3);
  }

  /**
   * Takes the lease if it is free or one's own; resolves to the number of leases held: 0 or 1. By the
   * database's clock: those of the processes may differ by more than a lease.
   */
  #renew(): Promise<number> {
    const seconds = isSqlite(this.#knex) ? "strftime('%s', 'now')" : 'UNIX_TIMESTAMP()';
    return this.#write(async () =>
      this.#knex(this.#table)
        .whereRaw(`expires < ${seconds} * 1000`)
        .orWhere({ holder: this.#holder })
        .update({ holder: this.#holder, expires: this.#knex.raw(`${seconds} * 1000 + ${LEASE}`) }),
    );
  }

  async end(): Promise<void> {
    clearInterval(this.#renewal);
    await this.#write(async () =>
      this.#knex(this.#table).where({ holder: this.#holder }).update({ expires: 0 }),
    );
  }

  async #write<T>(statement: () => Promise<T>): Promise<T> {
    return writing(this.#knex, statement, { found: null, patience: PATIENCE });
  }
}
