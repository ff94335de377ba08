/** Fault 11: many processes migrate one empty database at once, or are killed while they do. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { onEach, query, type Store } from './databases.ts';
import { exactly, type Figure, figure, type Scenario } from './scenario.ts';
import { ServiceUnderTest } from './service-under-test.ts';

const AT_ONCE = 8;
const ROUNDS = 50;
const KILLS = 4;
/** Seconds within which a start is through after the death of one that migrated: its lease and some. */
const HEALING = 12;

/** In the middle of 1,000 tries at least one is killed, or there is no middle. */
const TRIES = 1_000;

/** Migrates as the service does when it starts, but at a given moment. */
const MIGRATE_WHEN_TOLD = `
  import { once } from 'node:events';
  import { readConfig } from './dist/adapters/config/config.js';
  import { openForMigration } from './dist/adapters/knex/connection/open.js';
  import { migrate } from './dist/adapters/knex/migrate.js';
  const { store } = readConfig(process.env);
  const open = () => openForMigration(store);
  let knex;
  if (process.env.WARM) {
    knex = open();
    await knex.raw('SELECT 1');
  }
  console.log('ready');
  await once(process.stdin, 'data');
  knex ??= open();
  await migrate(knex);
  await knex.destroy();
`;

export const migrationRaces: Scenario = {
  number: 11,
  title: 'eight processes migrate an empty database at once',
  run: ({ isLong }) =>
    onEach(['SQLite', 'MariaDB'], async (store) => {
      const times = isLong ? 10 : 1;
      return raceOn(store, ROUNDS * times, KILLS * times);
    }),
};

/** So many races, each on a database of its own, and so many deaths in the middle. */
export async function raceOn(
  store: Store,
  rounds: number,
  kills: number,
): Promise<readonly Figure[]> {
  const whole = await migratedByOne(store);
  const races = await race(store, whole.schema, rounds);
  return [...races, ...(await kill(store, whole, kills))];
}

interface Whole {
  readonly schema: string;
  readonly steps: number;
  /** Milliseconds that it took. */
  readonly duration: number;
}

async function migratedByOne(store: Store): Promise<Whole> {
  const url = await store.next();
  const migrator = await Migrator.ready(url, false);
  const started = performance.now();
  const code = await migrator.go();
  if (code !== 0) throw new Error(`one alone ended with ${code}: ${migrator.output()}`);
  const duration = performance.now() - started;
  const { length: steps } = await query(url, 'SELECT name FROM users_migrations');
  return { schema: await schemaOf(url), steps, duration };
}

async function race(store: Store, schema: string, rounds: number): Promise<readonly Figure[]> {
  let [done, different] = [0, 0];
  const faults: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const url = await store.next();
    // In every other round they have connections already, so that they meet sooner.
    const ways = store.ways?.(url) ?? [url];
    const starts = Array.from({ length: AT_ONCE }, (_, i) =>
      Migrator.ready(ways[i % ways.length] ?? url, round % 2 === 1),
    );
    const migrators = await Promise.all(starts);
    const codes = await Promise.all(migrators.map((each) => each.go()));
    for (const [i, code] of codes.entries()) {
      if (code === 0) done += 1;
      else faults.push(`round ${round}: ${code} ${migrators[i]?.output()}`);
    }
    if (!(await isEverywhere(schema, ways))) different += 1;
  }
  for (const fault of faults) console.log(fault);
  const { name } = store;
  return [
    exactly(`${name}: of ${rounds} × ${AT_ONCE} processes, exits with 0`, done, rounds * AT_ONCE),
    exactly(`${name}: schemas unlike that of one migration`, different, 0),
  ];
}

async function kill(store: Store, whole: Whole, wanted: number): Promise<readonly Figure[]> {
  const killed: string[] = [];
  for (let tries = 0; killed.length < wanted; tries += 1) {
    if (tries === TRIES) throw new Error('none could be killed in the middle');
    const url = await store.next();
    const migrator = await Migrator.ready(url, tries % 2 === 1);
    const ended = migrator.go();
    await sleep(Math.random() * whole.duration);
    migrator.kill();
    await ended;
    if (await isHalfDone(url, whole)) killed.push(url);
  }
  // All at once: most of the time is waiting for leases.
  const healed = await Promise.all(killed.map((url) => heal(store, url, whole.schema)));
  const slowest = Math.max(...healed.map(({ seconds }) => seconds));
  const { name } = store;
  return [
    figure(`${name}: ${wanted} killed in the middle, the next start serves after`, slowest, 's', {
      atMost: HEALING,
    }),
    exactly(
      `${name}: schemas unlike that of one migration after it`,
      healed.filter(({ isWhole }) => !isWhole).length,
      0,
    ),
  ];
}

async function heal(store: Store, url: string, schema: string) {
  const started = performance.now();
  const service = await ServiceUnderTest.start(url);
  const seconds = (performance.now() - started) / 1000;
  await service.end();
  return { seconds, isWhole: await isEverywhere(schema, store.ways?.(url) ?? [url]) };
}

/** Whether every server has this schema; a node of a cluster may have it a moment after the others. */
async function isEverywhere(schema: string, ways: readonly string[]): Promise<boolean> {
  for (const way of ways) {
    const end = performance.now() + (ways.length > 1 ? 1_000 : 0);
    while ((await schemaOf(way)) !== schema) {
      if (performance.now() > end) return false;
      await sleep(50);
    }
  }
  return true;
}

/** Whether the lease is held, and not every step is made. */
async function isHalfDone(url: string, { steps: all }: Whole): Promise<boolean> {
  try {
    const held = await query(
      url,
      `SELECT id FROM users_migrations_lease WHERE expires > ${Date.now()}`,
    );
    if (held.length === 0) return false;
  } catch {
    return false; // It had not come so far.
  }
  const steps = await query(url, 'SELECT name FROM users_migrations').catch(() => []);
  return steps.length < all;
}

/** What the database says that is in it, and the notes on steps; as text. */
async function schemaOf(url: string): Promise<string> {
  const notes = [
    await query(url, 'SELECT name FROM users_migrations ORDER BY id'),
    await query(url, 'SELECT is_locked FROM users_migrations_lock'),
    await query(url, 'SELECT id, expires FROM users_migrations_lease'),
  ];
  return JSON.stringify([...(await tablesOf(url)), ...notes], null, 1);
}

async function tablesOf(url: string): Promise<readonly unknown[]> {
  if (url.startsWith('sqlite:')) {
    return query(url, 'SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name');
  }
  const found = await query(
    url,
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()
     UNION ALL SELECT trigger_name FROM information_schema.triggers
     WHERE trigger_schema = DATABASE() ORDER BY name`,
  );
  const tables: unknown[] = [];
  for (const { name } of found) {
    const [made] = await query(url, `SHOW CREATE TABLE \`${String(name)}\``);
    // Not part of the schema: the number that comes next.
    tables.push(JSON.stringify(made).replace(/ AUTO_INCREMENT=\d+/, ''));
  }
  return tables;
}

/** A process that waits to be told to migrate. */
class Migrator {
  readonly #process: ChildProcess;
  readonly #parts: string[] = [];
  readonly #ended: Promise<number | string>;

  private constructor(url: string, isWarm: boolean) {
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, DATABASE_URL: url, ...(isWarm && { WARM: 'yes' }) };
    const args = ['--input-type=module', '-e', MIGRATE_WHEN_TOLD];
    const child = spawn(process.execPath, args, { env, stdio: 'pipe', timeout: 90_000 });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => this.#parts.push(text));
    }
    child.stdin.on('error', () => {}); // Of one that has ended already.
    this.#ended = once(child, 'close')
      .then(([code, signal]) => String(code ?? signal))
      .then((how) => (how === '0' ? 0 : how));
    process.once('exit', this.kill);
    void this.#ended.then(() => process.off('exit', this.kill));
  }

  /** Rejects where it ends before. */
  static async ready(url: string, isWarm: boolean): Promise<Migrator> {
    const migrator = new Migrator(url, isWarm);
    const { stdout } = migrator.#process;
    if (stdout) await Promise.race([once(stdout, 'data'), migrator.#ended]);
    if (!migrator.output().includes('ready')) throw new Error(migrator.output());
    return migrator;
  }

  /** Has it begin; how it ended. */
  go(): Promise<number | string> {
    this.#process.stdin?.end('go\n');
    return this.#ended;
  }

  readonly kill = (): void => {
    this.#process.kill('SIGKILL');
  };

  output(): string {
    return this.#parts.join('');
  }
}
