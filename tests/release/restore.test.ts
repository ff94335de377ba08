import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import knex from 'knex';
import { createConnection } from 'mysql2/promise';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/adapters/config/config.ts';
import { backUp, restore } from '../../src/adapters/knex/operator/backup.ts';
import { keepAlive } from '../../src/adapters/knex/connection/open.ts';
import { migrate } from '../../src/adapters/knex/migrate.ts';
import { mayFollow } from '../../src/adapters/knex/connection/private-file.ts';
import {
  ask,
  countOf,
  done,
  ENV,
  insertUser,
  lastIdOf,
  login,
  refused,
  withProgram,
} from '../support/backups.ts';
import { mariadbServer, temporaryFolder, visitSqlite } from '../support/programs.ts';
import { ADA, CLI, registered, startProgram } from '../support/service.ts';
import { isAvailable, openUrl, withDatabaseUrl } from '../support/stores.ts';

const MARK = 'CREATE TABLE portcullis_restore (next_id BIGINT UNSIGNED NOT NULL PRIMARY KEY)';
const UNFINISHED = 'a restore of the database was not finished';

const mariadb = suite('A restore to MariaDB');

/** With an empty database, and a folder for files. */
function it(title: string, use: (url: string, folder: string) => Promise<void>): void {
  if (!isAvailable('MariaDB')) return mariadb.skip(title);
  mariadb(title, async () => {
    const folder = temporaryFolder();
    try {
      await withDatabaseUrl('MariaDB', (url) => use(url, folder.path));
    } finally {
      folder.remove();
    }
  });
}

/** A backup of Ada alone, who is in the database still. */
async function backedUp(url: string, folder: string): Promise<string> {
  const file = join(folder, 'backup.gz');
  await withProgram(url, async (program) => {
    await registered(program.url);
  });
  await done(url, ['backup', file]);
  return file;
}

/** The same, for those who need not sign in. */
async function quicklyBackedUp(url: string, folder: string): Promise<string> {
  const file = join(folder, 'backup.gz');
  const { store } = readConfig({ DATABASE_URL: url });
  const pool = openUrl(url);
  if (!pool || store.kind === 'memory') throw new Error('no database');
  await migrate(pool);
  await pool.destroy();
  await ask(url, insertUser(ADA.email));
  await backUp(store, file);
  return file;
}

/** A restore that is killed when the server has done the first `bytes` of it. */
async function killedRestore(url: string, file: string, folder: string, bytes: number) {
  const programs = join(folder, `programs-${bytes}`);
  const stalled = join(programs, 'stalled');
  mkdirSync(programs);
  writeFileSync(
    join(programs, 'mariadb'),
    `#!/bin/sh
    PATH='${process.env['PATH']}'
    if [ "$1" = --version ]; then exec mariadb --version; fi
    head -c ${bytes} | mariadb "$@" 2>/dev/null
    echo $$ >${stalled}.part && mv ${stalled}.part ${stalled}
    exec sleep 60`,
  );
  chmodSync(join(programs, 'mariadb'), 0o755);
  const env = { PATH: `${programs}:${process.env['PATH']}`, DATABASE_URL: url };
  const args = [CLI, 'restore', file, '--replace'];
  const child = spawn(process.execPath, args, { env, stdio: 'ignore' });
  const ended = once(child, 'exit');
  while (child.exitCode === null && !existsSync(stalled)) await sleep(10);
  child.kill('SIGKILL');
  assert.equal(await ended, [null, 'SIGKILL']);
  process.kill(Number(readFileSync(stalled, 'utf8')));
}

async function refusesToStart(url: string, why: string) {
  const start = startProgram({ ...ENV, DATABASE_URL: url });
  const failure = await start.catch((fault: unknown) => fault);
  if (!(failure instanceof Error)) await (await start).end('SIGTERM');
  assert.instance(failure, Error, 'it serves');
  assert.match(String(failure), why);
}

it('that is killed leaves what nobody takes for the database', async (url, folder) => {
  const far = 50_000_000;
  const file = await backedUp(url, folder);
  await ask(url, insertUser('far@example.com', String(far)));
  await killedRestore(url, file, folder, 0);
  assert.equal(
    (await ask(url, 'SHOW TABLES')).flatMap((row) => Object.values(row)),
    ['portcullis_restore'],
  );
  await refusesToStart(url, UNFINISHED);
  const size = gunzipSync(readFileSync(file)).length;
  await killedRestore(url, file, folder, Math.trunc(size * 0.9));
  assert.is(await countOf(url, 'users'), 1);
  await refusesToStart(url, UNFINISHED);
  const doctor = await new Promise<string>((resolve) => {
    const env = { ...ENV, PATH: process.env['PATH'], DATABASE_URL: url };
    const args = [CLI, 'doctor'];
    execFile(process.execPath, args, { env }, (_, stdout) => resolve(stdout));
  });
  assert.match(doctor, `UNSAFE  DATABASE_URL cannot be used: UnfinishedRestore "${UNFINISHED}`);
  await refused(url, ['backup', join(folder, 'half.gz')], `Not done: ${UNFINISHED}`);
  await refused(url, ['restore', file], `Not done: ${UNFINISHED}`);
  await done(url, ['restore', file, '--replace']);
  await withProgram(url, async (program) => {
    assert.is(await login(program.url, ADA.email), 200);
    await registered(program.url, { email: 'next@example.com' });
  });
  // Also the ids of the database that the first of them had thrown away.
  assert.ok((await lastIdOf(url)) > far + 1_000_000);
});

it('that is not finished is seen by services that run, and by those that embed it', async (url) => {
  await withProgram(url, async (program) => {
    await registered(program.url);
    await ask(url, MARK);
    await endConnections(url);
    assert.is(await login(program.url, ADA.email), 500);
    // Whoever has been connected since before that, unseen, leaves when it next looks.
    await ask(url, 'DROP TABLE portcullis_restore');
    const pool = openUrl(url);
    const stock = knex({ client: 'mysql2', connection: url });
    try {
      assert.is(await login(program.url, ADA.email), 200);
      await pool?.raw('SELECT 1 FROM users');
      await ask(url, MARK);
      await pool?.raw('SELECT 1 FROM users');
      if (pool) keepAlive(pool)();
      for (let tries = 0; ; tries += 1) {
        const fault = await pool?.raw('SELECT 1 FROM users').then(() => '', String);
        if (fault?.includes(UNFINISHED)) break;
        assert.ok(tries < 100, 'it goes on');
        await sleep(20);
      }
      assert.match(await migrate(stock).then(() => '', String), UNFINISHED);
    } finally {
      await Promise.all([pool?.destroy(), stock.destroy()]);
    }
  });
});

it('is refused while a service is connected, which it is when nobody asks it anything', async (url, folder) => {
  const file = await quicklyBackedUp(url, folder);
  await withProgram(url, async () => {
    // Twice: at its start it has other things to ask, also once more.
    await sleep(1_000);
    await endConnections(url);
    await sleep(1_000);
    await endConnections(url);
    while ((await connections(url)).length > 0) await sleep(50);
    const end = performance.now() + 25_000;
    while ((await connections(url)).length === 0) {
      assert.ok(performance.now() < end, 'nobody is connected');
      await sleep(50);
    }
    await refused(url, ['restore', file, '--replace'], 'is in use: stop the service');
  });
  assert.equal(await ask(url, "SHOW TABLES LIKE 'portcullis_restore'"), []);
});

it('of statements without end is refused before anything is changed', async (url, folder) => {
  const file = await quicklyBackedUp(url, folder);
  const content = gunzipSync(readFileSync(file));
  const end = content.lastIndexOf('-- Portcullis backup: complete');
  const bomb = Buffer.alloc(70_000_000, ' ');
  writeFileSync(
    file,
    gzipSync(Buffer.concat([content.subarray(0, end), bomb, content.subarray(end)]), { level: 1 }),
  );
  await refused(url, ['restore', file, '--replace'], 'nothing has been changed');
  assert.is(await countOf(url, 'users'), 1);
});

mariadb('stops when it is told to, also while it reads', async () => {
  const folder = temporaryFolder();
  const file = join(folder.path, 'backup.gz');
  const about = { format: 1, taken: '2030-01-01T00:00:00.000Z', steps: [], users: 1, nextId: 2 };
  const head = gzipSync(`-- Portcullis backup ${JSON.stringify(about)}\n`);
  // Some 13 GB.
  const more = gzipSync(Buffer.alloc(64_000_000, ';\n'), { level: 1 });
  writeFileSync(file, Buffer.concat([head, ...Array.from({ length: 200 }, () => more)]));
  const controller = new AbortController();
  const hosts = [{ host: '127.0.0.1', port: 1 }];
  const target = { kind: 'mysql', hosts, user: 'a', password: 'a', database: 'a' } as const;
  const restoring = restore(target, file, { signal: controller.signal });
  const ended = restoring.catch((fault: unknown) => fault);
  await sleep(200);
  const told = performance.now();
  controller.abort();
  assert.match(String(await ended), 'AbortError');
  assert.ok(performance.now() - told < 3_000);
  folder.remove();
});

const daemon = process.env['TEST_MARIADBD'] ?? '';

const severalHosts = async () => {
  const folder = temporaryFolder();
  const servers = [await mariadbServer(daemon), await mariadbServer(daemon)];
  const [one, two] = servers;
  if (!one || !two) throw new Error('no servers');
  const address = (port: number, name = '127.0.0.1') => `${name}:${port}`;
  const url = (...hosts: readonly string[]) => `mysql://tester:tester@${hosts.join(',')}/auth`;
  const both = url(address(one.port), address(two.port));
  const file = join(folder.path, 'backup.gz');
  try {
    for (const server of servers) await ask(`${server.url}/mysql`, 'CREATE DATABASE auth');
    await withProgram(url(address(two.port)), async (program) => {
      await registered(program.url);
      await done(both, ['backup', file]); // The first has no tables.
      await refused(both, ['restore', file], 'is in use: stop the service');
      assert.equal(await ask(`${one.url}/auth`, 'SHOW TABLES'), []);
    });
    two.signal('SIGSTOP');
    await refused(both, ['restore', file], `${address(two.port)} does not tell who is connected`);
    two.signal('SIGCONT');
    await done(both, ['restore', file]);
    // One server by two names knows this restore twice.
    const twice = url(address(one.port), address(one.port, 'localhost'));
    await done(twice, ['restore', file, '--replace']);
    assert.is(await countOf(`${one.url}/auth`, 'users'), 1);
    await two.kill();
    await done(both, ['restore', file, '--replace']);
  } finally {
    for (const server of servers) await server.remove();
    folder.remove();
  }
};
const SEVERAL = 'asks every host, and a backup passes over one without tables';
if (daemon) mariadb(SEVERAL, severalHosts);
else mariadb.skip(SEVERAL);

mariadb.run();

const sqlite = suite('A restore to SQLite');

let made: Promise<readonly [database: Buffer, backup: Buffer]> | undefined;

/** Made once for all. */
async function makeFiles() {
  const folder = temporaryFolder();
  const path = join(folder.path, 'p.sqlite');
  const file = await backedUp(`sqlite:${path}`, folder.path);
  const files = [readFileSync(path), readFileSync(file)] as const;
  folder.remove();
  return files;
}

/** With the URL of Ada's database, its backup, and the folder of both. */
function withFile(use: (url: string, file: string, folder: string) => Promise<void>) {
  return async () => {
    const folder = temporaryFolder();
    const [path, file] = [join(folder.path, 'p.sqlite'), join(folder.path, 'backup.gz')];
    try {
      const [database, backup] = await (made ??= makeFiles());
      writeFileSync(path, database);
      writeFileSync(file, backup);
      await use(`sqlite:${path}`, file, folder.path);
    } finally {
      folder.remove();
    }
  };
}

sqlite(
  'throws away what is broken, and nothing that cannot be read or written for another reason',
  withFile(async (url, file, folder) => {
    const path = join(folder, 'other.sqlite');
    const whole = readFileSync(url.replace('sqlite:', ''));
    const ofLaterRelease = Buffer.from(whole);
    ofLaterRelease.writeUInt8(3, 18); // Which SQLite of today reads, and does not write.
    const withoutSchema = Buffer.from(whole).fill(7, 100, 200);
    writeFileSync(path, ofLaterRelease);
    const other = `sqlite:${path}`;
    await refused(other, ['restore', file, '--replace'], 'cannot be replaced: SQLITE_READONLY');
    assert.equal(readFileSync(path), ofLaterRelease);
    writeFileSync(path, withoutSchema);
    await refused(other, ['restore', file], 'is broken: --replace throws it away');
    await done(other, ['restore', file, '--replace']);
    assert.is(await countOf(other, 'users'), 1);
  }),
);

sqlite(
  'unpacks no more than the file says it holds, and than there is room for',
  withFile(async (_, file, folder) => {
    const content = gunzipSync(readFileSync(file));
    const target = { kind: 'sqlite', path: join(folder, 'other', 'p.sqlite') } as const;
    const failure = async (...parts: readonly Buffer[]) => {
      writeFileSync(file, gzipSync(Buffer.concat(parts), { level: 1 }));
      return String(await restore(target, file).catch((fault: unknown) => fault));
    };
    const large = Buffer.from(content);
    large.writeUInt16BE(1, 16); // Pages of 65,536 bytes, and as many as there can be.
    large.writeUInt32BE(0xff_ff_ff_fe, 28);
    assert.match(await failure(large), 'has no room for the 2814');
    let most = 0;
    const watch = setInterval(() => {
      for (const name of readdirSync(join(folder, 'other'))) {
        most = Math.max(most, statSync(join(folder, 'other', name)).size);
      }
    }, 2);
    const bomb = await failure(content, Buffer.alloc(300_000_000));
    clearInterval(watch);
    assert.match(bomb, 'nothing has been changed');
    assert.ok(most <= content.length, `${most} bytes of ${content.length}`);
    assert.equal(readdirSync(join(folder, 'other')), []);
  }),
);

sqlite(
  'and a backup write through no link that others may have planted',
  withFile(async (url, file, folder) => {
    const elsewhere = join(folder, 'elsewhere');
    const link = join(folder, 'link');
    symlinkSync(elsewhere, link);
    await refused(url, ['backup', link], 'is there already');
    assert.ok(lstatSync(link).isSymbolicLink() && !existsSync(elsewhere));

    const [own, others, ofRoot] = [{ uid: 1 }, { uid: 2 }, { uid: 0 }];
    const shared = { uid: 0, mode: 0o41777 };
    assert.ok(mayFollow(own, shared, 1));
    assert.ok(mayFollow(ofRoot, shared, 1));
    assert.not(mayFollow(others, shared, 1));
    assert.ok(mayFollow(others, { uid: 2, mode: 0o40755 }, 1));
    if (process.getuid?.() !== 0) return;
    const [place, path] = [join(folder, 'shared'), join(folder, 'p.sqlite')];
    mkdirSync(place);
    chmodSync(place, 0o1777);
    symlinkSync(path, join(place, 'p.sqlite'));
    lchownSync(join(place, 'p.sqlite'), 65_534, 65_534);
    const before = readFileSync(path);
    const planted = `sqlite:${join(place, 'p.sqlite')}`;
    await refused(planted, ['restore', file, '--replace'], "is a link of somebody else's");
    assert.equal(readFileSync(path), before);
  }),
);

sqlite(
  'leaves a link to the database as it is, and no log of what was there',
  withFile(async (url, file, folder) => {
    const path = url.replace('sqlite:', '');
    mkdirSync(join(folder, 'links'));
    const link = join(folder, 'links', 'p.sqlite');
    symlinkSync('../p.sqlite', link);
    await withProgram(`sqlite:${link}`, async (program) => {
      await registered(program.url, { email: 'later@example.com' });
      await program.end('SIGKILL');
    });
    assert.ok(statSync(`${path}-wal`).size > 0);
    // What the log belongs to is broken: it cannot be taken away by SQLite.
    writeFileSync(path, 'no database'.repeat(1000));
    const old = statSync(path).ino;
    await done(`sqlite:${link}`, ['restore', file, '--replace']);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.equal(readdirSync(join(folder, 'links')), ['p.sqlite']);
    assert.is.not(statSync(path).ino, old);
    await withProgram(`sqlite:${link}`, async (program) => {
      assert.is(await login(program.url, ADA.email), 200);
      assert.is(await login(program.url, 'later@example.com'), 401);
    });
    // Nor one that leads to nothing yet.
    for (const ending of ['', '-wal', '-shm']) rmSync(`${path}${ending}`, { force: true });
    await done(`sqlite:${link}`, ['restore', file]);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.is(await countOf(url, 'users'), 1);
  }),
);

sqlite(
  'is not written to by whoever waited for the file that was there before',
  withFile(async (url, _, folder) => {
    const path = url.replace('sqlite:', '');
    const next = join(folder, 'next.sqlite');
    assert.is(visitSqlite(next, 'CREATE TABLE users (email TEXT)'), 'done');
    const hold = `const db = new (require('libsql'))(process.argv[1], { timeout: 2000 });
      db.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
      console.log('held');
      process.stdin.once('data', () => process.exit());`;
    const holder = spawn(process.execPath, ['-e', hold, path], { stdio: 'pipe' });
    await once(holder.stdout, 'data');
    const pool = openUrl(url);
    try {
      const waiting = pool?.raw("DELETE FROM users WHERE email = 'nobody'").then(() => '', String);
      await sleep(300);
      renameSync(next, path);
      holder.stdin.end('\n');
      assert.match((await waiting) ?? '', 'was replaced while it was being opened');
      assert.equal(
        readdirSync(folder).filter((name) => name.startsWith('p.sqlite')),
        ['p.sqlite'],
      );
    } finally {
      await pool?.destroy();
    }
  }),
);

sqlite.run();

async function connections(url: string): Promise<readonly number[]> {
  const threads = await ask(
    url,
    'SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()',
  );
  return threads.map((row) => Number(Object.values(row)[0]));
}

/** Ends all connections to a database; resolves to how many there were. */
async function endConnections(url: string): Promise<number> {
  const ids = await connections(url);
  const connection = await createConnection(url);
  for (const id of ids) await connection.query(`KILL ${id}`).catch(() => {}); // It has gone by itself.
  await connection.end();
  return ids.length;
}
