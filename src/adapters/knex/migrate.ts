import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import { migratorConfig, stepsOf } from './migrations.ts';
import { dialectOf, hasTable } from './connection/dialects.ts';
import { refuseUnfinishedRestore } from './connection/restore-mark.ts';
import { writing } from './connection/retry.ts';
import { refuseUnsafeValues } from './connection/safe-values.ts';
import { DEFAULT_TABLES, type KnexOptions, notesOf, type TableNames, tablesOf } from './tables.ts';

/** How long a process that died keeps others from migrating. */
const LEASE_MS = 10_000;
/** How long to wait for the migration of another process. */
const LEASE_TIMEOUT_MS = 60_000;

/**
 * Makes the tables, or brings them up to date. Any number of processes may call it at once. If one
 * dies while it migrates, the others wait for its lease to expire; knex's own lock would stay for
 * good. Nothing else in the database is touched, not even its own migrations. A database that has
 * later steps, of a newer release, is left as it is.
 * @throws RangeError for what `knexRepositories` refuses. Error, before anything is changed, if
 * values would be unsafe, if another application has a table of one of these names, or if a restore
 * was not finished
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
    // A process that holds knex's lock, but not the lease, is dead.
    await knex.migrate.forceFreeMigrationsLock(config);
    await knex.migrate.latest(config);
  } finally {
    await lease.end();
  }
}

/**
 * Tells our tables from another application's of the same name, by the record of our migrations
 * (which an earlier release kept in knex's own table) or the lease of a run that was not finished.
 */
async function refuseForeignTables(knex: Knex, tables: TableNames): Promise<void> {
  const names = [...Object.values<string>({ ...tables }), notesOf(tables)];
  const taken = await firstExisting(knex, names);
  // Looks for the lease last: another process may be making the tables, and makes the lease first.
  if (taken === undefined || (await hasTable(knex, leaseOf(tables)))) return;
  const [first = ''] = Object.keys(stepsOf(tables));
  for (const notes of [notesOf(tables), 'knex_migrations']) {
    if (!(await hasTable(knex, notes)) || !(await knex.schema.hasColumn(notes, 'name'))) continue;
    if (await knex(notes).where({ name: first }).first()) return;
  }
  throw new Error(
    `the table ${taken} is there already and is not Portcullis's: give ours other names` +
      ' ({ tables: { users: …, sessions: …, attempts: … } })',
  );
}

async function firstExisting(knex: Knex, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) if (await hasTable(knex, name)) return name;
  return undefined;
}

function leaseOf(tables: TableNames): string {
  return `${notesOf(tables)}_lease`;
}

async function isUpToDate(knex: Knex, tables: TableNames): Promise<boolean> {
  return (await pendingSteps(knex, tables)).length === 0;
}

/** The migrations that have not been made yet. */
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
    const end = performance.now() + LEASE_TIMEOUT_MS;
    while ((await this.#renew()) === 0) {
      if (performance.now() > end)
        throw new Error('another process has been migrating for a minute');
      await sleep(50 + Math.random() * 100);
    }
    this.#renewal = setInterval(() => {
      this.#renew().catch(() => {}); // Steps can run twice: a lost lease does no harm.
    }, LEASE_MS / 3);
  }

  /**
   * Takes the lease if it is free or one's own; resolves to the number of leases held: 0 or 1. Uses
   * the database's clock: those of the processes may differ by more than a lease.
   */
  #renew(): Promise<number> {
    const { epochSeconds: seconds } = dialectOf(this.#knex);
    return this.#write(async () =>
      this.#knex(this.#table)
        .whereRaw(`expires < ${seconds} * 1000`)
        .orWhere({ holder: this.#holder })
        .update({
          holder: this.#holder,
          expires: this.#knex.raw(`${seconds} * 1000 + ${LEASE_MS}`),
        }),
    );
  }

  async end(): Promise<void> {
    clearInterval(this.#renewal);
    await this.#write(async () =>
      this.#knex(this.#table).where({ holder: this.#holder }).update({ expires: 0 }),
    );
  }

  async #write<T>(statement: () => Promise<T>): Promise<T> {
    return writing(this.#knex, statement, { found: null, retryForMs: LEASE_TIMEOUT_MS });
  }
}
