import { setTimeout as sleep } from 'node:timers/promises';
import { newDatabase, withMariadb } from './databases.ts';
import { Client, type Entry, type Reply, type Tokens } from './history.ts';
import { startLoad } from './load.ts';
import { exactly, figure, type Figure, type Scenario } from './scenario.ts';
import { acknowledged, isSuccess, longestWithout, onTrial, slowest, type Trial } from './trial.ts';

const POOL = 2;
const CLIENTS = 500;
const SECONDS = 10;
/** Milliseconds, about. All begin at once. */
const PAUSE = 2_000;
const ENV = { DATABASE_POOL: String(POOL) };

/** Hashes that take a second or so, several at once: more than there are connections. */
const SLOW_HASHES = {
  ARGON2_MEMORY_KIB: '19456',
  ARGON2_PASSES: '40',
  HASH_CONCURRENCY: String(2 * POOL),
};

/** Two connections to the database, for five hundred clients. */
export const smallPool: Scenario = {
  number: 6,
  title: 'a pool of 2 and 500 clients',
  run: ({ isLong }) =>
    withMariadb([], async (database) => {
      const crowded = { name: 'crowd', databaseUrl: await newDatabase(database), env: ENV };
      const ofCrowd = await onTrial(crowded, async (trial) => {
        const { service, history } = trial;
        const load = startLoad(history, {
          url: () => service.url,
          clients: CLIENTS,
          pause: PAUSE,
        });
        let connections = 0;
        for (let i = 0; i < (isLong ? SECONDS * 10 : SECONDS) * 10; i += 1) {
          await sleep(100);
          connections = Math.max(connections, service.connectionsTo(database.port));
        }
        await load.stop();
        const failed = history.count((_, { status }) => status === 500);
        const stall = longestWithout(isSuccess, history.entries).seconds * 1000;
        const silent = history.count((_, { fault }) => fault !== undefined);
        return [
          acknowledged(trial, CLIENTS),
          figure('most connections at once', connections, '', { atMost: POOL }),
          exactly('requests without an answer', silent, 0),
          figure('longest without a success', stall, 'ms', {
            atMost: 1_500,
          }),
          figure('answers with 500', (100 * failed) / history.entries.length, '%', { atMost: 1 }),
          slowest(trial),
        ];
      });
      const hashing = {
        name: 'slow hashes',
        databaseUrl: await newDatabase(database),
        env: { ...ENV, ...SLOW_HASHES },
      };
      return [...ofCrowd, ...(await onTrial(hashing, whileHashing))];
    }),
};

/**
 * By more clients at once than there are connections, for each request that hashes. If a connection were
 * held meanwhile, /protected would wait for one, for as long as a hash takes.
 */
async function whileHashing(trial: Trial): Promise<readonly Figure[]> {
  const { service, history } = trial;
  const open = () => new Client(() => service.url, history);
  const reader = open();
  const account = { email: 'reader@example.com', owner: 0 };
  const { tokens } = await reader.register(account);
  if (tokens === undefined) throw new Error('no registration');
  const people = Array.from({ length: 4 * POOL }, (_, i) => {
    const held: Tokens[] = [];
    return { client: open(), account: { email: `${i}@example.com`, owner: i + 1 }, held };
  });
  type Person = (typeof people)[number];
  const actions: Readonly<Record<string, (person: Person) => Promise<Reply>>> = {
    register: ({ client, account: own }) => client.register(own),
    login: ({ client, account: own }) => client.login(own),
    delete: ({ client, account: own, held: [first = tokens] }) => client.delete(own, first),
  };
  const figures: Figure[] = [];
  for (const [action, act] of Object.entries(actions)) {
    const from = history.entries.length;
    let isOver = false;
    const queue = [...people];
    const one = async () => {
      for (let person = queue.pop(); person !== undefined; person = queue.pop()) {
        const { tokens: granted } = await act(person);
        if (granted) person.held.push(granted);
      }
    };
    const hashing = Promise.all(Array.from({ length: 2 * POOL }, one)).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      await reader.protected(account, tokens);
      await sleep(5);
    }
    await hashing;
    figures.push(...figuresOf(action, history.entries.slice(from)));
  }
  for (const { client } of [...people, { client: reader }]) client.close();
  return [...figures, slowest(trial)];
}

function figuresOf(action: string, entries: readonly Entry[]): readonly Figure[] {
  const times = (wanted: string) =>
    entries.filter((entry) => entry.action === wanted).map(({ start, end }) => end - start);
  const fastest = Math.min(...times(action));
  const reads = times('protected');
  // Not how many: while one waits, no other is sent. Where connections were held it was more than 80 %.
  const waited = sum(reads.filter((time) => time > fastest / 4));
  return [
    figure(`fastest ${action}`, fastest, 'ms', { atLeast: 100 }),
    figure('of the time, /protected waits', (100 * waited) / sum(reads), '%', { atMost: 50 }),
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
