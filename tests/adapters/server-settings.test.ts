import type { Knex } from 'knex';
import knex from 'knex';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/adapters/config/config.ts';
import { openForMigration } from '../../src/adapters/knex/connection/open.ts';
import { migrate } from '../../src/adapters/knex/migrate.ts';
import { knexRepositories } from '../../src/adapters/knex/repositories.ts';
import { canonicalEmail, type NewAccount } from '../../src/application/index.ts';
import { mariadbServer } from '../support/programs.ts';
import { openUrl } from '../support/stores.ts';

// A server may be set to anything, by its own settings or by init_connect. A connection sets what the
// product relies on, so that all of it works there, and what was acknowledged is there afterwards.

const daemon = process.env['TEST_MARIADBD'] ?? '';

const settings = suite('Settings of a server');

const SERVERS: Readonly<Record<string, readonly string[]>> = {
  'commits nothing by itself': ['--autocommit=0'],
  'begins a transaction after each': ['--completion-type=CHAIN'],
  'takes every client for one of latin1': [
    '--skip-character-set-client-handshake',
    '--character-set-server=latin1',
    '--collation-server=latin1_swedish_ci',
  ],
  'takes every client for one of utf8mb3': [
    '--skip-character-set-client-handshake',
    '--character-set-server=utf8mb3',
    '--collation-server=utf8mb3_general_ci',
  ],
  'takes every client for one of gbk': [
    '--skip-character-set-client-handshake',
    '--character-set-server=gbk',
    '--collation-server=gbk_chinese_ci',
  ],
  'changes the sessions of ordinary users': [
    `--init-connect=SET autocommit=0, completion_type='CHAIN', sql_select_limit=1,
      foreign_key_checks=0, unique_checks=0, sql_safe_updates=1, big_tables=1, sort_buffer_size=1024,
      character_set_results=latin1`,
  ],
};

/** Of all that the repositories store, what a wrong charset would damage. */
const PEOPLE = ['نص 😀', 'Zoë Ünger', '李雷', 'Ada'];

/** A server with these options, and its URL for a user who is not its administrator. */
async function withServer(
  options: readonly string[],
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = await mariadbServer(daemon, options);
  try {
    const administrator = openUrl(`${server.url}/mysql`);
    try {
      await administrator?.raw('CREATE DATABASE auth');
      await administrator?.raw("CREATE USER app@'%' IDENTIFIED BY 'app'");
      await administrator?.raw("GRANT ALL ON auth.* TO app@'%'");
    } finally {
      await administrator?.destroy();
    }
    await use(`mysql://app:app@127.0.0.1:${server.port}/auth`);
  } finally {
    await server.remove();
  }
}

/** Opens a pool, and closes it whatever comes of it. */
async function withPool<T>(pool: Knex | undefined, use: (pool: Knex) => Promise<T>): Promise<T> {
  if (pool === undefined) throw new Error('no database');
  try {
    return await use(pool);
  } finally {
    await pool.destroy();
  }
}

function migrationPool(url: string): Knex {
  const { store } = readConfig({ DATABASE_URL: url });
  if (store.kind === 'memory') throw new Error('no database');
  return openForMigration(store);
}

const now = new Date('2030-01-02T03:04:05.678Z');
const expires = new Date('2031-01-02T03:04:05.678Z');

function personOf(username: string, i: number): NewAccount {
  const email = canonicalEmail(`ü${i}@exämple.com`);
  if (email === undefined) throw new Error('no address');
  return { username, email, passwordHash: `hash ${i}`, dateCreated: now };
}

function sessionOf(id: string) {
  return { id, tokenId: `token ${id}`, device: 'Käfer', dateCreated: now, lastUsed: now, expires };
}

async function usesAll(url: string): Promise<void> {
  for (let start = 0; start < 2; start += 1)
    await withPool(migrationPool(url), (pool) => migrate(pool));
  await withPool(openUrl(url), async (pool) => {
    const { users, sessions, attempts } = knexRepositories(pool);
    for (const [i, name] of PEOPLE.entries()) {
      const user = await users.insert(personOf(name, i), sessionOf(`first ${i}`));
      assert.ok(await sessions.insert({ ...sessionOf(`second ${i}`), userId: user.id }, 0));
      await users.setRole(user.id, 'admin');
      await attempts.add(`key ${i}`, 3600);
    }
  });
  // Opened anew: nothing was committed that nobody had committed.
  await withPool(openUrl(url), async (pool) => {
    const { users, sessions, attempts } = knexRepositories(pool);
    const listed = await users.page({ after: 0, limit: 100 });
    assert.equal(
      listed.map(({ username, email, role }) => ({ username, email, role })),
      PEOPLE.map((username, i) => ({
        username,
        email: personOf(username, i).email,
        role: 'admin',
      })),
    );
    for (const [i, { id, email }] of listed.entries()) {
      assert.is((await users.findByEmail(email))?.user.id, id);
      const found = await sessions.list(id, now);
      assert.equal(new Set(found.map((each) => each.id)), new Set([`first ${i}`, `second ${i}`]));
      assert.is(found[0]?.device, 'Käfer');
      assert.is((await attempts.read([`key ${i}`]))[0]?.count, 1);
    }
    const [first] = listed;
    assert.ok(first && (await users.delete(first.id)));
    assert.is(await sessions.find('first 0'), undefined, 'its sessions go with a user');
    const second = listed[1]?.id ?? 0;
    assert.ok(await users.changePassword({ userId: second, version: 0, passwordHash: 'other' }));
    assert.equal(await sessions.list(second, now), []);
  });
}

for (const [what, options] of Object.entries(SERVERS)) {
  const test = () => withServer(options, usesAll);
  if (daemon) settings(`change nothing where it ${what}`, test);
  else settings.skip(`change nothing where it ${what}`, test);
}

const refused = () =>
  withServer(['--autocommit=0'], async (url) => {
    const { hostname: host, port, username: user, password, pathname } = new URL(url);
    const connection = { host, port: Number(port), user, password, database: pathname.slice(1) };
    const hosts = knex({ client: 'mysql2', connection: { ...connection, charset: 'utf8mb4' } });
    await withPool(hosts, async (pool) => {
      const message = await migrate(pool).catch(String);
      assert.match(String(message), 'set autocommit = 1');
    });
  });
if (daemon) settings('are refused by name on a pool of somebody else', refused);
else settings.skip('are refused by name on a pool of somebody else', refused);

settings.run();
