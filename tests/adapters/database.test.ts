import { statSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../src/adapters/knex/connection/open.ts';
import { knexRepositories } from '../../src/adapters/knex/repositories.ts';
import { migrate } from '../../src/adapters/knex/migrate.ts';
import { canonicalEmail } from '../../src/application/index.ts';
import { freePort, temporaryFolder, visitSqlite } from '../support/programs.ts';
import { isAvailable, openUrl, withDatabases, withDatabaseUrl } from '../support/stores.ts';

const database = suite('A pool on MariaDB');

function it(title: string, run: (knex: Knex, url: string) => Promise<void>): void {
  const test = () =>
    withDatabaseUrl('MariaDB', async (url) => {
      const knex = openUrl(url);
      if (knex === undefined) throw new Error('no pool');
      try {
        await run(knex, url);
      } finally {
        await knex.destroy();
      }
    });
  if (isAvailable('MariaDB')) database(title, test);
  else database.skip(title, test);
}

/** The code, or else the message, of the error that a query ends with. */
async function failure(query: PromiseLike<unknown>): Promise<string> {
  try {
    await query;
    return 'none';
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return code ?? message;
  }
}

it('gives up a query that takes too long, with its connection, and goes on', async (knex) => {
  await knex.raw('SELECT 1');
  const began = performance.now();
  assert.is(await failure(knex.raw('SELECT SLEEP(20)')), 'ETIMEDOUT');
  const took = performance.now() - began;
  assert.ok(took < 4_000, `${took} ms`);
  await knex.raw('SELECT 1');
});

it('waits two seconds for a connection, and no longer', async (knex) => {
  const held = await Promise.all(Array.from({ length: 10 }, () => knex.transaction()));
  assert.match(await failure(knex.raw('SELECT 1')), /Timeout acquiring a connection/);
  await Promise.all(held.map((transaction) => transaction.rollback()));
  await knex.raw('SELECT 1');
});

it('stores no session on a password whose change is not committed yet', async (knex, url) => {
  await migrate(knex);
  const now = new Date();
  const at = { dateCreated: now, lastUsed: now, expires: new Date(now.getTime() + 60_000) };
  const session = { id: 'first', device: null, tokenId: null, ...at };
  const email = canonicalEmail('ada@example.com');
  if (email === undefined) throw new Error('no email');
  const account = { username: 'Ada', email, passwordHash: 'x', dateCreated: now };
  const { id: userId } = await knexRepositories(knex).users.insert(account, session);
  // Where a plain look at the user would wait for nobody, and see what was.
  await knex.raw('SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED');
  const fresh = openUrl(url);
  if (fresh === undefined) throw new Error('no pool');
  try {
    const change = await knex.transaction();
    await change('users').where({ id: userId }).update({ password_version: 1 });
    const late = { ...session, id: 'late', userId };
    const stored = knexRepositories(fresh).sessions.insert(late, 0);
    await sleep(200);
    await change.commit();
    assert.is(await stored, false);
  } finally {
    await knex.raw('SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await fresh.destroy();
  }
});

it('refuses what does not fit, on a server that would cut it', async (knex, url) => {
  await knex.raw("SET GLOBAL sql_mode = ''");
  try {
    await knex.raw('CREATE TABLE narrow (text VARCHAR(3))');
    const fresh = openUrl(url); // A session takes over the global modes when it begins.
    const inserted = fresh && (await failure(fresh('narrow').insert({ text: 'wide' })));
    await fresh?.destroy();
    assert.is(inserted, 'ER_DATA_TOO_LONG');
  } finally {
    await knex.raw('SET GLOBAL sql_mode = DEFAULT');
  }
});

it('reads no value as SQL, on a server that takes a backslash for what it is', async (knex) => {
  await knex.raw('CREATE TABLE texts (text VARCHAR(100))');
  await knex.raw("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'");
  for (const text of [
    "\\' OR 1=1 -- ",
    "'; DROP TABLE texts; -- ",
    '\\',
    '"',
    '`',
    '?',
    '\u0000',
  ]) {
    await knex('texts').insert({ text });
    assert.equal(await knex('texts').where({ text }).pluck('text'), [text]);
  }
});

it('leaves a host that does not answer for the next one', async (_, url) => {
  const { hostname, port, pathname, username: user, password } = new URL(url);
  const silent = createServer(); // Takes connections and says nothing, as a frozen server does.
  const silentPort = await freePort();
  await new Promise<void>((resolve) => silent.listen(silentPort, '127.0.0.1', resolve));
  const hosts = [
    { host: hostname, port: await freePort() },
    { host: '127.0.0.1', port: silentPort },
    { host: hostname, port: Number(port) },
  ];
  const target = { kind: 'mysql', user, password, database: pathname.slice(1) } as const;
  const two = openDatabase({ ...target, hosts });
  const frozen = openDatabase({
    ...target,
    hosts: [{ host: '127.0.0.1', port: silentPort }],
  });
  try {
    await two.raw('SELECT 1');
    assert.match(await failure(frozen.raw('SELECT 1')), /ETIMEDOUT|Timeout acquiring/);
  } finally {
    await Promise.all([two.destroy(), frozen.destroy()]);
    silent.close();
  }
});

const sqlite = suite('A pool on SQLite');

sqlite('keeps a log that survives a loss of power, and heeds foreign keys', () =>
  withDatabaseUrl('SQLite', async (url) => {
    const knex = openUrl(url);
    try {
      assert.equal(await knex?.raw('PRAGMA journal_mode'), [{ journal_mode: 'wal' }]);
      assert.equal(await knex?.raw('PRAGMA synchronous'), [{ synchronous: 2 }]);
      assert.equal(await knex?.raw('PRAGMA foreign_keys'), [{ foreign_keys: 1 }]);
    } finally {
      await knex?.destroy();
    }
  }),
);

sqlite('loses nothing, and stops nothing, when somebody else holds the lock now and then', () =>
  withDatabaseUrl('SQLite', async (url) => {
    const [knex, other] = [openUrl(url), openUrl(url)];
    if (knex === undefined || other === undefined) throw new Error('no pool');
    try {
      await migrate(knex);
      const one = knexRepositories(knex);
      const locker = new Database(url.replace('sqlite:', ''));
      const now = new Date();
      const at = { dateCreated: now, lastUsed: now, expires: new Date(now.getTime() + 60_000) };
      const session = (id: string) => ({ id, device: null, tokenId: null, ...at });
      const insert = (name: string) => {
        const email = canonicalEmail(`${name}@example.com`);
        if (email === undefined) throw new Error('no email');
        const account = { username: name, email, passwordHash: 'x', dateCreated: now };
        return one.users.insert(account, session(`first of ${name}`));
      };
      for (let round = 0; round < 5; round += 1) {
        locker.exec('BEGIN IMMEDIATE');
        const writes = [insert(`a${round}`), insert(`b${round}`)];
        await sleep(60);
        locker.exec('COMMIT');
        const [written] = await Promise.all(writes);
        const id = written?.id ?? 0;
        const name = `of round ${round}`;
        assert.is(await one.sessions.insert({ ...session(name), userId: id }, 0), true);
        // What was acknowledged is there for everybody else.
        assert.ok(await knexRepositories(other).sessions.find(name));
        assert.is(await knexRepositories(other).users.replacePasswordHash(id, 'x', 'y'), true);
      }
      locker.close();
    } finally {
      await Promise.all([knex.destroy(), other.destroy()]);
    }
  }),
);

sqlite('keeps its lock on a file that it opens again, and with it the log that it writes to', () =>
  withDatabases('SQLite', async (knex, _, url) => {
    const file = url.replace('sqlite:', '');
    const again = openUrl(url);
    try {
      // Whoever closes a file last takes its log away.
      assert.is(visitSqlite(file, 'SELECT * FROM users'), 'done');
      const row = { username: 'A', email: 'ada@example.com', password_hash: 'x', date_created: '' };
      await knex?.('users').insert(row);
      const same = `INSERT INTO users (username, email, password_hash, date_created)
        VALUES ('E', 'ada@example.com', 'y', '')`;
      assert.is(visitSqlite(file, same), 'SQLITE_CONSTRAINT_UNIQUE');
    } finally {
      await again?.destroy();
    }
  }),
);

sqlite('uses no connection again that comes back in the middle of a transaction', () =>
  withDatabases('SQLite', async (knex) => {
    if (knex === undefined) throw new Error('no pool');
    const client = clientOf(knex);
    const connection = await client.acquireConnection();
    connection.exec(`BEGIN IMMEDIATE;
      INSERT INTO users (username, email, password_hash, date_created) VALUES ('A', 'a@x.co', '', '')`);
    await client.releaseConnection(connection);
    assert.equal(await knex('users'), [], 'what is not committed is not seen');
  }),
);

/** What knex has, and says nothing of in its types. */
interface HasPool {
  readonly client: {
    acquireConnection(): Promise<Database.Database>;
    releaseConnection(connection: Database.Database): Promise<void>;
  };
}

function clientOf({ client }: HasPool): HasPool['client'] {
  return client;
}

sqlite('prepares a query once, however often it is made', () =>
  withDatabases('SQLite', async (knex) => {
    if (knex === undefined) throw new Error('no pool');
    const client = clientOf(knex);
    const connection = await client.acquireConnection();
    const [first, again] = [1, 2].map(() => connection.prepare('SELECT * FROM users WHERE id = ?'));
    await client.releaseConnection(connection);
    assert.ok(first);
    assert.is(again, first);
  }),
);

sqlite('makes a file that only its owner can read, where a link points to as well', () => {
  const folder = temporaryFolder();
  try {
    for (const name of ['plain', 'link']) {
      const file = join(folder.path, name);
      if (name === 'link') symlinkSync(join(folder.path, 'target'), file);
      openDatabase({ kind: 'sqlite', path: file });
      assert.is(statSync(file).mode & 0o777, 0o600, name);
    }
  } finally {
    folder.remove();
  }
});

database.run();
sqlite.run();
