import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalEmail } from '../../src/application/index.ts';
import { knexRepositories } from '../../src/adapters/knex/repositories.ts';
import { migrate } from '../../src/adapters/knex/migrate.ts';
import { freePort, type MariadbServer, mariadbServer } from '../support/programs.ts';
import { openUrl, type Repositories } from '../support/stores.ts';

const daemon = process.env['TEST_MARIADBD'] ?? '';

const hosts = suite('A pool on two hosts');

interface Server extends MariadbServer {
  /** As one who may do all that a server can. */
  readonly administer: (sql: string) => Promise<void>;
}

/** Two servers whose only user is named after the server. */
function it(
  title: string,
  run: (one: Server, two: Server, open: (hosts: string) => Opened) => Promise<void>,
): void {
  if (!daemon) return hosts.skip(title);
  hosts(title, async () => {
    const opened: Knex[] = [];
    const servers: MariadbServer[] = [];
    const start = async (name: string): Promise<Server> => {
      const server = await mariadbServer(daemon);
      servers.push(server);
      const root = pool(`${server.url}/mysql`);
      opened.push(root);
      await root.raw('CREATE DATABASE auth');
      // An application's user, whom --read-only holds for.
      await root.raw("CREATE USER app@'%' IDENTIFIED BY 'app'");
      await root.raw("GRANT SELECT, INSERT, UPDATE, DELETE ON auth.* TO app@'%'");
      const knex = pool(`${server.url}/auth`);
      opened.push(knex);
      await migrate(knex);
      const email = canonicalEmail('ada@example.com');
      if (email === undefined) throw new Error('no email');
      const now = new Date();
      const session = { dateCreated: now, lastUsed: now, expires: now, device: null };
      await knexRepositories(knex).users.insert(
        { username: name, email, passwordHash: 'x', dateCreated: now },
        { id: 'first', tokenId: null, ...session },
      );
      return {
        ...server,
        administer: async (sql) => {
          await root.raw(sql);
        },
      };
    };
    try {
      const [one, two] = [await start('one'), await start('two')];
      await run(one, two, (list) => {
        const knex = pool(`mysql://app:app@${list}/auth`);
        opened.push(knex);
        const { users, sessions } = knexRepositories(knex);
        const ask = async () => (await users.findById(1))?.username;
        return { users, sessions, ask };
      });
    } finally {
      await Promise.all(opened.map((knex) => knex.destroy()));
      await Promise.all(servers.map((server) => server.remove()));
    }
  });
}

interface Opened extends Repositories {
  /** The name of the server that answers. */
  readonly ask: () => Promise<string | undefined>;
}

function pool(url: string): Knex {
  const knex = openUrl(url);
  if (knex === undefined) throw new Error('no pool');
  return knex;
}

function addressOf(...servers: readonly Server[]): string {
  return servers.map(({ port }) => `127.0.0.1:${port}`).join(',');
}

/** So many connections in the pool, each to the server that is preferred. */
async function fill({ users }: Opened, count: number): Promise<void> {
  const page = { after: 0, limit: 1 };
  await Promise.all(Array.from({ length: count }, () => users.page(page)));
}

it('goes to the first, and to the next while there is none', async (one, two, open) => {
  const { ask } = open(addressOf(one, two));
  assert.is(await ask(), 'one');
  assert.is(await open(`127.0.0.1:${await freePort()},${addressOf(two)}`).ask(), 'two');
});

it('fails no read while its server dies', async (one, two, open) => {
  const opened = open(addressOf(one, two));
  await fill(opened, 8);
  const reads = Array.from({ length: 200 }, () => opened.ask());
  await one.kill();
  const answers = await Promise.all([...reads, opened.ask()]);
  assert.ok(answers.every((name) => name === 'one' || name === 'two'));
  assert.is(answers.at(-1), 'two');
});

/** Whether all threads of a process have stopped: a signal is on its way for a moment. */
function isStopped(pid: number): boolean {
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder).every((thread) =>
    / T \d+ /.test(readFileSync(`${folder}/${thread}/stat`, 'utf8')),
  );
}

it('waits for a frozen server once, not once for each of its connections', async (...given) => {
  const [one, two, open] = given;
  const opened = open(addressOf(one, two));
  await fill(opened, 8);
  assert.is(await opened.ask(), 'one');
  one.signal('SIGSTOP');
  while (!isStopped(one.pid())) await sleep(5);
  try {
    const first = await opened.ask().catch(({ code }: { code: string }) => code);
    assert.is(first, 'ETIMEDOUT');
    for (let i = 0; i < 20; i += 1) assert.is(await opened.ask(), 'two');
  } finally {
    one.signal('SIGCONT');
  }
});

it('leaves a server that has become read-only for one that is not', async (one, two, open) => {
  const opened = open(addressOf(one, two));
  await fill(opened, 8);
  await one.administer('SET GLOBAL read_only = 1');
  assert.is(await opened.ask(), 'one');
  const write = () => opened.users.replacePasswordHash(1, 'x', 'y');
  const refused = await write().catch(({ name }: Error) => name);
  assert.is(refused, 'StoreUnwritable');
  for (let i = 0; i < 10; i += 1) assert.is(await opened.ask(), 'two');
  assert.is(await write(), true);

  assert.is(await open(addressOf(one, two)).ask(), 'two', 'a new pool');
});

it('leaves a server without our tables for one that has them', async (one, two, open) => {
  const opened = open(addressOf(one, two));
  await fill(opened, 8);
  assert.is(await opened.ask(), 'one');
  await one.administer('DROP DATABASE auth');
  await one.administer('CREATE DATABASE auth');
  for (let i = 0; i < 10; i += 1) assert.is(await opened.ask(), 'two');
  assert.is(await opened.users.replacePasswordHash(1, 'x', 'y'), true);

  // Nor does it stay there once the other one, which was away, is back.
  const other = open(addressOf(two, one));
  await two.kill();
  assert.type(await other.ask().catch(() => 0), 'number');
  await two.start();
  await sleep(5_500);
  assert.is(await other.ask(), 'two');
});

it('reads from servers that are read-only where there are no others', async (one, two, open) => {
  await one.administer('SET GLOBAL read_only = 1');
  await two.administer('SET GLOBAL read_only = 1');
  const { users, sessions, ask } = open(addressOf(one, two));
  const refused = await users.replacePasswordHash(1, 'x', 'y').catch(({ name }: Error) => name);
  assert.is(refused, 'StoreUnwritable');
  assert.match((await ask()) ?? '', /^(?:one|two)$/);
  await two.administer('SET GLOBAL read_only = 0');
  await sessions.removeAll(1).catch(() => {});
  assert.is(await ask(), 'two');
  assert.is(await users.replacePasswordHash(1, 'x', 'y'), true);
});

hosts.run();
