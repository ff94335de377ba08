import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { Knex } from 'knex';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { knexRepositories } from '../../src/adapters/knex/repositories.ts';
import {
  memoryRepositories,
  withFallback,
  withSpare,
} from '../../src/adapters/memory/memory-repositories.ts';
import { type AttemptCounter, createAuth, StoreUnwritable } from '../../src/application/index.ts';
import { attemptCounterContract, FixedClock, type OpenedCounter } from '../../src/testing/index.ts';
import { failedCases, runContract } from '../support/contracts.ts';
import { outcome } from '../support/expect.ts';
import { ADA, fakePorts, withMethods } from '../support/fakes.ts';
import {
  isAvailable,
  openDatabases,
  STORE_NAMES,
  type StoreName,
  withDatabases,
} from '../support/stores.ts';

for (const name of STORE_NAMES) {
  const open = async (): Promise<OpenedCounter> => {
    const { one, other, close } = await openDatabases(name);
    if (one === undefined || other === undefined) return { ...memoryRepositories(), close };
    return { ...knexRepositories(one), other: knexRepositories(other), close };
  };
  runContract(`AttemptCounter on ${name}`, attemptCounterContract(open), isAvailable(name));
}

/** As MySQL answers, which does not run here. */
function withoutReturning(knex: Knex): Knex {
  return breakQueries(knex, knex);
}

interface HasClient {
  readonly client: {
    query(connection: unknown, query: { readonly sql: string }): Promise<unknown>;
  };
}

function breakQueries(knex: Knex, { client }: HasClient): Knex {
  const query = client.query.bind(client);
  client.query = (connection, said) =>
    said.sql.includes('RETURNING')
      ? Promise.reject(Object.assign(new Error('syntax'), { code: 'ER_PARSE_ERROR' }))
      : query(connection, said);
  return knex;
}

/** The cases that an addition decides, which asks for the row in another way. */
const ADDING = [
  'gives no two of many at once the same count',
  'loses a count when its time is over',
  'gives a count no more time for what is added to it',
];

for (const name of ['SQLite', 'MariaDB'] as const) {
  const open = async (): Promise<OpenedCounter> => {
    const { one, other, close } = await openDatabases(name);
    if (one === undefined || other === undefined) throw new Error('no database');
    const [first, second] = [withoutReturning(one), withoutReturning(other)];
    return { ...knexRepositories(first), other: knexRepositories(second), close };
  };
  // The others do not look at what an addition returns.
  const cases = attemptCounterContract(open).filter((each) => ADDING.includes(each.name));
  if (cases.length !== ADDING.length) throw new Error('a case has another name');
  runContract(`AttemptCounter on ${name} that returns no rows`, cases, isAvailable(name));
}

/** A counter whose store takes writes or not, as it is told. */
function fallbackCounter() {
  const store = memoryRepositories().attempts;
  const state = { isWritable: true };
  const write =
    <Args extends unknown[], Result>(method: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      if (!state.isWritable) throw new StoreUnwritable(new Error('the disk is full'));
      return method.apply(store, args);
    };
  const attempts = withFallback(
    withMethods(store, {
      add: write((...args) => store.add(...args)),
      subtract: write((...args) => store.subtract(...args)),
      clear: write((...args) => store.clear(...args)),
    }),
  );
  return { attempts, store, state };
}

for (const isWritable of [true, false]) {
  const open = (): OpenedCounter => {
    const { attempts, state } = fallbackCounter();
    const tolerant = withMethods(attempts, {
      // Nothing was counted in the store: that it takes nothing off is no loss.
      subtract: (keys) => attempts.subtract(keys).catch(unlessUnwritable),
      clear: (keys) => attempts.clear(keys).catch(unlessUnwritable),
    });
    state.isWritable = isWritable;
    return { attempts: tolerant };
  };
  const title = `AttemptCounter whose store takes ${isWritable ? 'writes' : 'none'}`;
  runContract(title, attemptCounterContract(open), true);
}

function unlessUnwritable(error: unknown): void {
  if (!(error instanceof StoreUnwritable)) throw error;
}

const spare = suite('Counts while the store takes no writes');

spare('go on from what is stored, and count for it afterwards', async () => {
  const { attempts, store, state } = fallbackCounter();
  const countOf = async () => (await attempts.read(['key']))[0]?.count;
  await attempts.add('key', 60);
  await attempts.add('key', 60);
  state.isWritable = false;
  assert.is((await attempts.add('key', 60)).count, 3);
  assert.is((await attempts.add('key', 60)).count, 4);
  assert.is(await countOf(), 4);
  state.isWritable = true;
  assert.is((await attempts.add('key', 60)).count, 5);
  assert.is(await countOf(), 5);
  assert.is((await store.read(['key']))[0]?.count, 3);
});

spare('are taken back once, from where they are', async () => {
  const { attempts, store, state } = fallbackCounter();
  await attempts.add('key', 60);
  state.isWritable = false;
  await attempts.add('key', 60);
  state.isWritable = true;
  await attempts.subtract(['key']);
  const [both, stored] = [await attempts.read(['key']), await store.read(['key'])];
  assert.equal([both[0]?.count, stored[0]?.count], [1, 1]);
});

spare('fail as ever where the store fails otherwise', async () => {
  const broken = withMethods(memoryRepositories().attempts, {
    add: () => Promise.reject(new Error('the store is gone')),
  });
  assert.is(await outcome(withFallback(broken).add('key', 60)), 'fault');
});

spare('have the name of before for one release', () => assert.is(withSpare, withFallback));

spare.run();

const faults = suite('The contract of AttemptCounter');

type Break = (sound: AttemptCounter) => Partial<AttemptCounter>;

/** Faults of adapters, and the cases that each must fail. */
const FAULTS: readonly { name: string; fault: Break; fails: readonly string[] }[] = [
  {
    name: 'reads, and then writes',
    fault: (sound) => ({
      async add(key, seconds) {
        const [found] = await sound.read([key]);
        await turn();
        const [now] = await sound.read([key]);
        // Writes what it had read, and one more: what has been added meanwhile is lost.
        for (let i = found?.count ?? 0; i < (now?.count ?? 0); i += 1) await sound.subtract([key]);
        return sound.add(key, seconds);
      },
    }),
    fails: ['gives no two of many at once the same count'],
  },
  {
    name: 'lets each attempt extend the time',
    fault: (sound) => ({
      async add(key, seconds) {
        const [found] = await sound.read([key]);
        await sound.clear([key]);
        for (let i = 0; i < (found?.count ?? 0); i += 1) await sound.add(key, seconds);
        return sound.add(key, seconds);
      },
    }),
    fails: ['gives a count no more time for what is added to it'],
  },
  {
    name: 'folds case',
    fault: (sound) => ({
      add: (key, seconds) => sound.add(key.toLowerCase(), seconds),
      read: (keys) => sound.read(keys.map((key) => key.toLowerCase())),
    }),
    fails: ['takes any text for a key, and keeps all apart'],
  },
  {
    name: 'forgets to clear',
    fault: () => ({ async clear() {} }),
    fails: ['clears what it is told to, and nothing else'],
  },
  {
    name: 'never takes back',
    fault: () => ({ async subtract() {} }),
    fails: [
      'takes back, from all keys that are named',
      'loses none of many that are taken back at once',
      'takes nothing from a key that has no count',
    ],
  },
  {
    name: 'takes back from the first key alone',
    fault: (sound) => ({ subtract: (keys) => sound.subtract(keys.slice(0, 1)) }),
    fails: ['takes back, from all keys that are named'],
  },
  {
    name: 'takes back what it has read before',
    fault: (sound) => ({
      async subtract(keys) {
        const before = await sound.read(keys);
        await turn();
        const now = await sound.read(keys);
        const isStale = keys.some((_, i) => before[i]?.count !== now[i]?.count);
        if (!isStale) await sound.subtract(keys);
      },
    }),
    fails: ['loses none of many that are taken back at once'],
  },
  {
    name: 'takes seconds for milliseconds',
    fault: (sound) => ({
      add: async (key, seconds) => {
        const count = await sound.add(key, seconds);
        return { ...count, secondsLeft: count.secondsLeft * 1000 };
      },
    }),
    fails: [
      'loses a count when its time is over',
      'gives a count no more time for what is added to it',
    ],
  },
  {
    name: 'never forgets',
    fault: (sound) => ({
      add: async (key, seconds) => {
        const count = await sound.add(key, seconds * 1000);
        return { ...count, secondsLeft: count.secondsLeft / 1000 };
      },
      read: async (keys) =>
        (await sound.read(keys)).map(
          (found) => found && { ...found, secondsLeft: found.secondsLeft / 1000 },
        ),
    }),
    fails: [
      'loses a count when its time is over',
      'removes what has passed, up to a limit, and nothing else',
      'removes no count that has passed and begun anew',
    ],
  },
  {
    name: 'takes from what is not there',
    fault: (sound) => ({
      async subtract(keys) {
        const found = await sound.read(keys);
        await sound.subtract(keys);
        if (found.some((count) => count !== undefined && count.count > 0)) return;
        // A counter that goes below zero, as far as the next attempt shows: it counts for nothing.
        const add = sound.add.bind(sound);
        sound.add = async (...next) => {
          sound.add = add;
          return { ...(await add(...next)), count: 0 };
        };
      },
    }),
    fails: ['takes nothing from a key that has no count'],
  },
  {
    name: 'gives counts in an order of its own',
    fault: (sound) => ({ read: (keys) => sound.read(keys.toSorted()) }),
    fails: ['counts each key for itself, wherever it is asked'],
  },
  {
    name: 'removes without a limit',
    fault: (sound) => ({ removeExpired: () => sound.removeExpired(1_000) }),
    fails: ['removes what has passed, up to a limit, and nothing else'],
  },
  {
    name: 'counts per process',
    fault: () => {
      const own = memoryRepositories().attempts;
      return {
        add: own.add.bind(own),
        subtract: own.subtract.bind(own),
        read: own.read.bind(own),
        clear: own.clear.bind(own),
      };
    },
    fails: [
      'counts each key for itself, wherever it is asked',
      'gives no two of many at once the same count',
      'gives a count no more time for what is added to it',
      'takes back, from all keys that are named',
      'loses none of many that are taken back at once',
      'takes nothing from a key that has no count',
      'clears what it is told to, and nothing else',
      'removes what has passed, up to a limit, and nothing else',
      'removes no count that has passed and begun anew',
    ],
  },
];

// All at once, each on counters of its own: most of their time they wait for counts to pass.
const found = FAULTS.map(async ({ fault }) => {
  const cases = attemptCounterContract(() => {
    const sound = memoryRepositories().attempts;
    const broken = () => withMethods(sound, fault(sound));
    return { attempts: broken(), other: { attempts: broken() } };
  });
  const failed = await Promise.all(cases.map((each) => failedCases([each])));
  return failed.flat();
});

for (const [i, { name, fails }] of FAULTS.entries()) {
  faults(`catches an adapter that ${name}`, async () => assert.equal(await found[i], fails));
}

faults.run();

const memory = suite('Attempts in memory');

memory('take no room for long when they have passed, though nobody looks for them', async () => {
  const clock = new FixedClock();
  const { attempts } = memoryRepositories({ clock });
  for (let i = 0; i < 999; i += 1) await attempts.add(`passing ${i}`, 60);
  clock.advance(61);
  for (let i = 0; i < 2; i += 1) await attempts.add(`lasting ${i}`, 60);
  assert.is(await attempts.removeExpired(Infinity), 0, 'they are gone already');
  assert.is((await attempts.read(['lasting 0']))[0]?.count, 1);
});

memory('keep the time of a count that has been taken back to nothing, as in a table', () =>
  keepsTime(memoryRepositories().attempts),
);

memory.run();

async function keepsTime(attempts: AttemptCounter): Promise<void> {
  await attempts.add('a', 20);
  await attempts.subtract(['a']);
  assert.is((await attempts.read(['a']))[0]?.count, 0);
  const { count, secondsLeft } = await attempts.add('a', 60);
  assert.is(count, 1);
  assert.ok(secondsLeft <= 20);
}

const DATABASES: readonly StoreName[] = ['SQLite', 'MariaDB'];
for (const name of DATABASES) {
  const table = suite(`Attempts on ${name}`);
  const it = (title: string, use: (counter: AttemptCounter, knex: Knex) => Promise<void>) => {
    const test = () =>
      withDatabases(name, async (knex) => {
        if (knex) await use(knexRepositories(knex).attempts, knex);
      });
    if (isAvailable(name)) table(title, test);
    else table.skip(title, test);
  };

  it('keep nothing that can be read of a key', async (counter, knex) => {
    await counter.add('account ada@example.com', 60);
    const stored = JSON.stringify(await knex('attempts'));
    assert.match(stored, '"count":1');
    assert.not.match(stored, /ada|example|account/);
  });

  it('start anew when the clock has been set back', async (counter, knex) => {
    for (let i = 0; i < 3; i += 1) await counter.add('a', 60);
    await knex('attempts').update({ expires: new Date(Date.now() + 86_400_000).toISOString() });
    const { count, secondsLeft } = await counter.add('a', 60);
    assert.is(count, 1);
    assert.ok(secondsLeft <= 60);
  });

  it('keep the time of a count that has been taken back to nothing', keepsTime);

  it('are counted as ever once a failure is over', async (counter, knex) => {
    const statements: string[] = [];
    knex.on('query-response', (_, { sql }: { readonly sql: string }) => statements.push(sql));
    await counter.add('a', 60);
    const [statement] = statements.splice(0);
    assert.match(statement ?? '', 'INSERT INTO `attempts`');
    await knex.schema.renameTable('attempts', 'away');
    assert.is(await outcome(counter.add('a', 60)), 'fault');
    await knex.schema.renameTable('away', 'attempts');
    statements.length = 0;
    assert.is((await counter.add('a', 60)).count, 2);
    assert.equal(statements, [statement], 'by the same statement, and no other');
  });

  it('let nobody guess while they cannot be kept', async (attempts, knex) => {
    const ports = { ...fakePorts(), ...knexRepositories(knex), attempts };
    const auth = createAuth(ports);
    const { refreshToken } = await auth.registerUser(ADA);
    await knex.schema.renameTable('attempts', 'away');
    assert.is(await outcome(auth.login(ADA)), 'fault');
    assert.is(ports.hasher.verified, 0);
    const address = '192.0.2.1';
    const bad = auth.refreshToken({ refreshToken: 'none', address });
    assert.is(await outcome(bad), 'invalid_refresh_token', 'which cannot be guessed');
    assert.ok((await auth.refreshToken({ refreshToken, address })).accessToken);
    await knex.schema.renameTable('away', 'attempts');
    assert.ok((await auth.login(ADA)).accessToken);
  });

  it('are removed when they have passed, by the owner of what has expired', async (attempts, knex) => {
    const auth = createAuth({ ...fakePorts(), ...knexRepositories(knex) });
    for (const key of ['a', 'b', 'c', 'lasting']) await attempts.add(key, 60);
    const lasting = { id: createHash('sha256').update('lasting').digest('base64url') };
    const past = { expires: new Date().toISOString() };
    await knex('attempts').whereNot(lasting).update(past);
    assert.is(await auth.pruneExpired({ limit: 2 }), 2);
    assert.is(await auth.pruneExpired({ limit: 2 }), 1);
    assert.is(await auth.pruneExpired({ limit: 2 }), 0);
    assert.equal(await knex('attempts').pluck('id'), [lasting.id]);
  });

  table.run();
}
