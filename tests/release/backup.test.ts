import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { createConnection } from 'mysql2/promise';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/adapters/config/config.ts';
import { BackupRefused, restore } from '../../src/adapters/knex/operator/backup.ts';
import { firstFreeId } from '../../src/adapters/knex/operator/backup-file.ts';
import {
  ask,
  countOf,
  done,
  ENV,
  fill,
  insertUser,
  lastIdOf,
  login,
  refused,
  run,
  withProgram,
} from '../support/backups.ts';
import { SECRET } from '../support/fakes.ts';
import { freePort, temporaryFolder } from '../support/programs.ts';
import { ADA, CLI, call, examine, registered, startProgram, TEST_ENV } from '../support/service.ts';
import { isAvailable, type StoreName, withDatabaseUrl } from '../support/stores.ts';
import { canHaveTls, withTlsServer } from '../support/tls-server.ts';

function emailOf(i: number): string {
  return `user${i}@example.com`;
}

/** Registers one after the other in several rows at once, until it is stopped. */
function registerMany(url: string) {
  const acknowledged = new Map<string, { access_token: string; refresh_token: string }>();
  let next = 0;
  let isStopped = false;
  const one = async () => {
    while (!isStopped) {
      const email = emailOf((next += 1));
      acknowledged.set(email, await registered(url, { email }));
    }
  };
  const work = Promise.all(Array.from({ length: 8 }, one));
  return {
    acknowledged,
    async stop() {
      isStopped = true;
      await work;
    },
  };
}

const STORES: readonly StoreName[] = ['SQLite', 'MariaDB'];
for (const name of STORES) {
  const backup = suite(`A backup on ${name}`);
  /** With two databases, of which the second is empty, and the path of a file that is not there. */
  const it = (
    title: string,
    use: (one: string, other: string, file: string) => Promise<void>,
  ): void => {
    const test = async () => {
      const folder = temporaryFolder();
      try {
        await withDatabaseUrl(name, (one) =>
          withDatabaseUrl(name, (other) => use(one, other, join(folder.path, 'backup.gz'))),
        );
      } finally {
        folder.remove();
      }
    };
    if (isAvailable(name)) backup(title, test);
    else backup.skip(title, test);
  };

  it('holds whoever was acknowledged before it began, while others register', async (one, other, file) => {
    let before: string[] = [];
    let lost = '';
    let lastId = 0;
    await withProgram(one, async ({ url }) => {
      const flood = registerMany(url);
      try {
        while (flood.acknowledged.size < 100) await sleep(5);
        before = [...flood.acknowledged.keys()];
        await done(one, ['backup', file]);
        const atTheEnd = flood.acknowledged.size;
        assert.ok(atTheEnd > before.length, 'others have registered meanwhile');
      } finally {
        await flood.stop();
      }
      lost = (await registered(url, { email: 'lost@example.com' })).access_token;
      lastId = await lastIdOf(one);
    });
    assert.is(statSync(file).mode & 0o777, 0o600);
    assert.equal(readdirSync(dirname(file)), ['backup.gz']);
    await done(other, ['restore', file]);
    // A user and their first session are stored together: of one moment are both or neither.
    const halves = `SELECT users.id FROM users LEFT JOIN sessions ON user_id = users.id WHERE user_id IS NULL
      UNION SELECT user_id FROM sessions LEFT JOIN users ON user_id = users.id WHERE users.id IS NULL`;
    assert.equal(await ask(other, halves), []);
    await withProgram(other, async ({ url }) => {
      const statuses = await Promise.all(before.map((email) => login(url, email)));
      assert.equal(new Set(statuses), new Set([200]));
      assert.is(await login(url, 'lost@example.com'), 401);
      // Nobody gets the id of somebody whose tokens are still good.
      await registered(url, { email: 'next@example.com' });
      assert.ok((await lastIdOf(other)) >= lastId + 1_000_000);
      assert.is((await call(url, 'GET /protected', { token: lost })).status, 404);
    });
  });

  it('holds audit records, and a restore brings those back that there were then', async (one, other, file) => {
    const env = { ...ENV, AUDIT: 'table', DATABASE_URL: one };
    const program = await startProgram(env);
    await registered(program.url);
    await program.end('SIGTERM');
    await done(one, ['backup', file]);
    const [kept] = await ask(one, 'SELECT * FROM audit_events');
    assert.is(kept?.['event'], 'registered');
    const again = await startProgram(env);
    assert.is(await login(again.url, ADA.email), 200);
    await again.end('SIGTERM');
    assert.is(await countOf(one, 'audit_events'), 2);
    await done(one, ['restore', file, '--replace', '--without-sessions']);
    await done(other, ['restore', file]);
    for (const url of [one, other]) {
      assert.equal(await ask(url, 'SELECT * FROM audit_events'), [kept]);
      const { code, text } = await examine({ ...ENV, AUDIT: 'table', DATABASE_URL: url });
      assert.match(text, /^ok +no audit record is older than AUDIT_RETENTION$/m, String(code));
    }
    const restored = await startProgram({ ...env, DATABASE_URL: other });
    assert.is(await login(restored.url, ADA.email), 200);
    await restored.end('SIGTERM');
    assert.is(await countOf(other, 'audit_events'), 2);
  });

  it('keeps sessions, unless it is told not to', async (one, other, file) => {
    let tokens = { access_token: '', refresh_token: '' };
    await withProgram(one, async ({ url }) => {
      tokens = await registered(url);
      await done(one, ['backup', file]);
      const json = { refresh_token: tokens.refresh_token };
      assert.is((await call(url, 'POST /logout', { json })).status, 204);
    });
    const refresh = (url: string) =>
      call(url, 'POST /refresh', { json: { refresh_token: tokens.refresh_token } });
    assert.match(await done(other, ['restore', file]), 'those that have ended since go on');
    await withProgram(other, async ({ url }) => assert.is((await refresh(url)).status, 200));
    await done(other, ['restore', file, '--replace', '--without-sessions']);
    await withProgram(other, async ({ url }) => {
      assert.is((await refresh(url)).status, 401);
      assert.is(await login(url, ADA.email), 200);
    });
  });

  it('overwrites neither a file nor a database, unless it is told to', async (one, other, file) => {
    await withProgram(one, async ({ url }) => {
      await registered(url);
      await done(one, ['backup', file]);
      const before = readFileSync(file);
      await refused(one, ['backup', file], 'is there already');
      assert.equal(readFileSync(file), before);
      await registered(url, { email: 'later@example.com' });
      await refused(one, ['restore', file], 'is not empty');
      await refused(one, ['restore', file, '--replace'], 'is in use: stop the service');
      assert.is(await login(url, 'later@example.com'), 200);
    });
    // The ids of the database that is thrown away are not given again either.
    const far = 50_000_000;
    await ask(one, insertUser('far@example.com', String(far)));
    await done(one, ['restore', file, '--replace']);
    await withProgram(one, async ({ url }) => {
      assert.is(await login(url, ADA.email), 200);
      assert.is(await login(url, 'later@example.com'), 401);
      await registered(url, { email: 'next@example.com' });
    });
    assert.ok((await lastIdOf(one)) > far + 1_000_000);
    await refused(other, ['backup', join(dirname(file), 'empty.gz')], /no tables|not there/);
    assert.equal(readdirSync(dirname(file)), ['backup.gz']);
  });

  it('is refused where it is cut short, damaged or something else, and nothing is changed', async (one, other, file) => {
    await withProgram(one, async ({ url }) => {
      for (let i = 0; i < 20; i += 1) await registered(url, { email: emailOf(i) });
    });
    await done(one, ['backup', file]);
    const whole = readFileSync(file);
    const content = gunzipSync(whole);
    const flipped = Buffer.from(whole);
    flipped.writeUInt8(whole.readUInt8(whole.length >> 1) ^ 1, whole.length >> 1);
    const broken: Readonly<Record<string, Buffer>> = {
      nothing: Buffer.alloc(0),
      'of one byte less': whole.subarray(0, -1),
      'without its checksum': whole.subarray(0, -8),
      'half of it': whole.subarray(0, whole.length >> 1),
      'with one bit changed': flipped,
      'made anew of half of its content': gzipSync(content.subarray(0, content.length >> 1)),
      'its bare content': content,
      'something else': gzipSync('something else'),
    };
    for (const [what, bytes] of Object.entries(broken)) {
      const path = join(dirname(file), 'broken.gz');
      writeFileSync(path, bytes);
      const failure = await restore(targetOf(other), path).catch((fault: unknown) => fault);
      assert.instance(failure, BackupRefused, what);
      assert.match(String(failure), 'nothing has been changed', what);
    }
    await refused(other, ['restore', join(dirname(file), 'none.gz')], 'ENOENT');
    assert.ok(await isEmpty(other));
    await done(other, ['restore', file]);
  });

  it('that is killed leaves nothing that passes for one', async (one, other, file) => {
    await withProgram(one, async ({ url }) => {
      await registered(url);
    });
    await fill(one, 60_000);
    const { PATH } = process.env;
    const env = { PATH, DATABASE_URL: one };
    const child = spawn(process.execPath, [CLI, 'backup', file], { env, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));
    const drafts = () => readdirSync(dirname(file)).filter((each) => each.endsWith('.partial'));
    while (child.exitCode === null && !drafts().some((each) => sizeOf(file, each) > 0)) {
      await sleep(1);
    }
    child.kill('SIGKILL');
    assert.is(await ended, 'SIGKILL');
    const left = readdirSync(dirname(file));
    assert.ok(left.length > 0);
    for (const each of left) {
      assert.match(each, /\.partial(?:-journal)?$/);
      await refused(other, ['restore', join(dirname(file), each)], 'nothing has been changed');
    }
    assert.ok(await isEmpty(other));
    await done(one, ['backup', file]); // What is left is in nobody's way.
  });

  it('that is told to stop leaves nothing', async (one, _, file) => {
    await withProgram(one, async ({ url }) => {
      await registered(url);
    });
    await fill(one, 60_000);
    const env = { PATH: process.env['PATH'], DATABASE_URL: one };
    const child = spawn(process.execPath, [CLI, 'backup', file], { env, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    while (child.exitCode === null && readdirSync(dirname(file)).length === 0) await sleep(1);
    child.kill('SIGTERM');
    assert.is(await ended, 1);
    assert.equal(readdirSync(dirname(file)), []);
  });

  it('of an older schema is brought up to date, one of a newer is refused', async (one, other, file) => {
    await withProgram(one, async ({ url }) => {
      await registered(url);
    });
    await ask(one, 'DROP TABLE attempts'); // As before its last step.
    await ask(one, "DELETE FROM users_migrations WHERE name = '0003_attempts'");
    await done(one, ['backup', file]);
    await done(other, ['restore', file]);
    await withProgram(other, async ({ url }) => assert.is(await login(url, ADA.email), 200));
    await ask(other, "INSERT INTO users_migrations (name) VALUES ('0099_later')");
    const newer = join(dirname(file), 'newer.gz');
    await done(other, ['backup', newer]);
    await refused(one, ['restore', newer, '--replace'], /newer release, with 0099_later/);
    assert.is(await countOf(one, 'users'), 1);
  });

  it('holds no password, token or key, nor what was typed at a login', async (one, other, file) => {
    let token = '';
    const typed = 'typed@example.com';
    const program = await startProgram({ ...TEST_ENV, DATABASE_URL: one });
    try {
      token = (await registered(program.url)).refresh_token;
      assert.is(await login(program.url, typed), 401);
    } finally {
      await program.end('SIGTERM');
    }
    assert.ok((await countOf(one, 'attempts')) > 0);
    await done(one, ['backup', file]);
    const content = gunzipSync(readFileSync(file)).toString('latin1');
    assert.match(content, ADA.email);
    for (const secret of [ADA.password, token.split('.')[2] ?? '', SECRET]) {
      assert.ok(secret.length > 10 && !content.includes(secret));
    }
    await done(other, ['restore', file]);
    assert.is(await countOf(other, 'attempts'), 0);
  });

  backup.run();
}

const sqlite = suite('A backup of SQLite');

sqlite('replaces a file that cannot be read, and no log of another file', async () => {
  await withDatabaseUrl('SQLite', async (url) => {
    const path = url.replace('sqlite:', '');
    const file = `${path}.backup`;
    await withProgram(url, async (program) => {
      await registered(program.url);
    });
    await done(url, ['backup', file]);
    writeFileSync(path, 'no database'.repeat(1000));
    await refused(url, ['restore', file], '--replace');
    await done(url, ['restore', file, '--replace']);
    await withProgram(url, async (program) => {
      assert.is(await login(program.url, ADA.email), 200);
      await program.end('SIGKILL'); // Its log stays.
    });
    assert.ok(statSync(`${path}-wal`).size > 0);
    const other = `${path}.other`;
    writeFileSync(`${other}-wal`, readFileSync(`${path}-wal`));
    await refused(`sqlite:${other}`, ['restore', file], 'left of another database');
    await done(url, ['restore', file, '--replace']);
    await withProgram(url, async (program) => {
      assert.is(await login(program.url, ADA.email), 200);
    });
  });
});

sqlite('is asked for in one way alone', async () => {
  for (const args of [
    [],
    ['backup'],
    ['prune', 'a'],
    ['backup', 'a', 'b'],
    ['backup', 'a', '--replace'],
    ['restore', 'a', '--force'],
  ]) {
    const { code, text } = await run('sqlite:none', args);
    assert.is(code, 2);
    assert.match(text, 'Usage: portcullis');
  }
  await refused('memory:', ['backup', 'a'], 'nothing is kept');
  await refused('postgres://', ['backup', 'a'], 'DATABASE_URL must be');
  const { code, text } = await run('', ['backup', 'a'], { NODE_ENV: 'production' });
  assert.is(code, 1);
  assert.match(text, 'DATABASE_URL must be set in production');
});

sqlite('leaves as many ids out as can have been given since', () => {
  const about = {
    format: 1,
    taken: '2030-01-01T00:00:00.000Z',
    steps: [],
    users: 1,
    nextId: 7,
  } as const;
  assert.is(firstFreeId(about, new Date('2030-01-01T00:00:00Z')), 1_000_007);
  assert.is(firstFreeId(about, new Date('2030-01-02T00:00:00Z')), 7 + 1_000_000 + 8_640_000);
  assert.is(firstFreeId(about, new Date('2029-01-01T00:00:00Z')), 1_000_007);
  assert.is(firstFreeId(about, new Date('2030-01-01T00:00:00Z'), 50), 1_000_050);
});

sqlite.run();

const mariadb = suite('A backup of MariaDB');

const shownToNobody = () =>
  withDatabaseUrl('MariaDB', async (url) => {
    const folder = temporaryFolder();
    const admin = await createConnection(process.env['TEST_MYSQL_URL'] ?? '');
    const password = `ca"n'ary\\ #;%`;
    const [user, database] = [`odd${process.pid}`, new URL(url).pathname.slice(1)];
    try {
      await admin.query(`CREATE USER ${user}@'%' IDENTIFIED BY ?`, [password]);
      await admin.query(`GRANT ALL ON \`${database}\`.* TO ${user}@'%'`);
      const { host, port } = new URL(url);
      const account = `${user}:${encodeURIComponent(password)}`;
      // The first of the hosts is down.
      const own = `mysql://${account}@127.0.0.1:1,${host.replace(/:.*/, '')}:${port}/${database}`;
      await withProgram(own, async (program) => {
        await registered(program.url);
      });
      // In the place of the real programs: what they were started with, then they themselves.
      const log = join(folder.path, 'log');
      for (const name of ['mariadb-dump', 'mariadb']) {
        const path = join(folder.path, name);
        writeFileSync(
          path,
          `#!/bin/sh\necho "$0 $@" >> ${log}\nPATH=$REAL:/usr/bin:/bin exec ${name} "$@"\n`,
        );
        chmodSync(path, 0o755);
      }
      const PATH = `${folder.path}:${process.env['PATH']}`;
      const file = join(folder.path, 'backup.gz');
      const written = await run(own, ['backup', file], { PATH });
      assert.is(written.code, 0, written.text);
      const restored = await run(own, ['restore', file, '--replace'], { PATH });
      assert.is(restored.code, 0, restored.text);
      const started = readFileSync(log, 'utf8');
      assert.match(started, /mariadb-dump .*--single-transaction/);
      assert.match(started, /mariadb --no-defaults/);
      const wrong = await run(own.replace(account, `${user}:wrong`), ['backup', `${file}.2`]);
      assert.match(wrong.text, 'ER_ACCESS_DENIED_ERROR');
      for (const text of [started, written.text, restored.text]) assert.not.match(text, /ca.n.ary/);
    } finally {
      await admin.query(`DROP USER IF EXISTS ${user}@'%'`);
      await admin.end();
      folder.remove();
    }
  });

const halfThere = () =>
  withDatabaseUrl('MariaDB', (one) =>
    withDatabaseUrl('MariaDB', async (other) => {
      const folder = temporaryFolder();
      try {
        const file = join(folder.path, 'backup.gz');
        await withProgram(one, async (program) => {
          await registered(program.url);
        });
        await done(one, ['backup', file]);
        const content = gunzipSync(readFileSync(file)).toString();
        const end = content.indexOf('CREATE TABLE `users_migrations`');
        const half = createConnection({ uri: other, multipleStatements: true });
        await (await half).query(content.slice(0, end));
        await (await half).end();
        assert.is(await countOf(other, 'users'), 1);
        const start = startProgram({ ...ENV, DATABASE_URL: other });
        const failure = await start.catch((fault: unknown) => fault);
        assert.instance(failure, Error, 'it serves');
        assert.match(String(failure), "is not Portcullis's");
        // By hand, without this program: the ids have their gap all the same.
        await ask(other, insertUser('b@example.com'));
        assert.ok((await lastIdOf(other)) > 1_000_000);
        await done(other, ['restore', file, '--replace']);
        await withProgram(other, async (program) => {
          assert.is(await login(program.url, ADA.email), 200);
        });
      } finally {
        folder.remove();
      }
    }),
  );

const missingPrograms = () =>
  withDatabaseUrl('MariaDB', async (url) => {
    await withProgram(url, async () => {});
    const folder = temporaryFolder();
    const file = join(folder.path, 'backup.gz');
    const { code, text } = await run(url, ['backup', file], { PATH: folder.path });
    assert.is(code, 1);
    assert.match(text, 'neither mariadb-dump nor mysqldump is installed');
    assert.equal(readdirSync(folder.path), []);
    folder.remove();
  });

for (const [title, test] of [
  ['shows the password to nobody, and goes on to the next host', shownToNobody],
  ['that is half restored is not served', halfThere],
  ['says which program is missing', missingPrograms],
] as const) {
  if (isAvailable('MariaDB')) mariadb(title, test);
  else mariadb.skip(title, test);
}

const encrypted = () =>
  withTlsServer('DNS:localhost', async ({ port, ca, otherCa }) => {
    const folder = temporaryFolder();
    const admin = await createConnection(`mysql://tester:tester@127.0.0.1:${port}`);
    try {
      await admin.query('CREATE DATABASE auth');
      await admin.query("CREATE USER auth@'%' IDENTIFIED BY 'auth' REQUIRE SSL");
      await admin.query('GRANT ALL ON auth.* TO auth');
      const url = (options: string) => `mysql://auth:auth@localhost:${port}/auth${options}`;
      const sound = url(`?ssl-mode=VERIFY_IDENTITY&ssl-ca=${ca}`);
      await withProgram(sound, async (program) => {
        await registered(program.url);
      });
      const file = (name: string) => join(folder.path, name);
      await done(sound, ['backup', file('identity')]);
      await done(url(`?ssl-mode=VERIFY_CA&ssl-ca=${ca}`), ['backup', file('authority')]);
      await done(url('?ssl-mode=REQUIRED'), ['backup', file('required')]);
      const other = url(`?ssl-mode=VERIFY_CA&ssl-ca=${otherCa}`);
      await refused(other, ['backup', file('other')], /self-signed|unable to verify/);
      await refused(url(''), ['backup', file('plain')], 'ER_ACCESS_DENIED_ERROR');
      // Who gets in between after the first connection, which is this program's own, gets nothing.
      await withTlsServer(undefined, async (plain) => {
        const between = await relay(port, plain.port);
        try {
          for (const mode of ['VERIFY_CA', 'VERIFY_IDENTITY']) {
            between.begin();
            const through = url(`?ssl-mode=${mode}&ssl-ca=${ca}`).replace(
              `:${port}`,
              `:${between.port}`,
            );
            await refused(through, ['backup', file('between')], /dump failed: .*SSL/);
            assert.ok(between.count() > 1);
          }
        } finally {
          between.close();
        }
      });
      await done(sound, ['restore', file('identity'), '--replace']);
      assert.equal(readdirSync(folder.path).toSorted(), ['authority', 'identity', 'required']);
    } finally {
      await admin.end();
      folder.remove();
    }
  });
const TLS = 'goes over TLS as the URL asks';
if (canHaveTls) mariadb(TLS, encrypted);
else mariadb.skip(TLS, encrypted);

mariadb.run();

/** Takes the first connection to one port, and those that follow to another. */
async function relay(first: number, others: number) {
  let count = 0;
  const server = createServer((socket) => {
    const other = connect((count += 1) === 1 ? first : others, '127.0.0.1');
    for (const each of [socket, other]) each.on('error', () => {});
    socket.pipe(other).pipe(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port,
    begin: () => void (count = 0),
    count: () => count,
    close: () => void server.close(),
  };
}

function targetOf(databaseUrl: string) {
  const { store } = readConfig({ DATABASE_URL: databaseUrl });
  if (store.kind === 'memory') throw new Error('no database');
  return store;
}

function sizeOf(file: string, name: string): number {
  return statSync(join(dirname(file), name), { throwIfNoEntry: false })?.size ?? 0;
}

/** Whether there is nothing in a database. */
async function isEmpty(databaseUrl: string): Promise<boolean> {
  if (databaseUrl.startsWith('sqlite:')) return !existsSync(databaseUrl.replace('sqlite:', ''));
  return (await ask(databaseUrl, 'SHOW TABLES')).length === 0;
}
