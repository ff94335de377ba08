import { execFileSync } from 'node:child_process';
import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { getPriority } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'libsql';
import { createConnection } from 'mysql2/promise';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/adapters/config/config.ts';
import { serve } from '../../src/serve.ts';
import { textLog } from '../../src/adapters/log/log.ts';
import { pages } from '../../src/adapters/pages/pages.ts';
import { mariadbServer, temporaryFolder, visitSqlite } from '../support/programs.ts';
import { ADA, call, rawRequest, registered, startProgram, TEST_ENV } from '../support/service.ts';
import { isAvailable, withDatabaseUrl } from '../support/stores.ts';

/** A cheap hash, and all else as it comes. */
const CHEAP = { PORT: '0', ARGON2_MEMORY_KIB: '64', ARGON2_PASSES: '1' };
const NPM_START = ['npm', 'start'];

async function inFolder(use: (path: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  try {
    await use(folder.path);
  } finally {
    folder.remove();
  }
}

const service = suite('The service as a process');

service('starts with no settings but a place, and says what is for development only', () =>
  inFolder(async (path) => {
    const file = join(path, 'deep', 'er', 'p.sqlite');
    const program = await startProgram({ PORT: '0', DATABASE_URL: `sqlite:${file}` }, NPM_START);
    await registered(program.url);
    const output = program.output();
    assert.match(output, `Portcullis serves ${program.url} (development)`);
    assert.match(output, `SQLite in ${file}`);
    assert.match(output, 'JWT_SECRET is not set');
    assert.match(output, 'USERS_ACCESS=public');
    const secret = readFileSync(join(path, 'deep', 'er', 'portcullis.jwt-secret'), 'utf8');
    assert.not.match(output, secret);
    assert.is(await program.end('SIGTERM'), 0, 'npm passes the signal on');
    await assertGone(program.url);
  }),
);

service('starts from what was compiled at the build, and names the sources of a fault', () =>
  inFolder(async (path) => {
    const file = join(path, 'p.sqlite');
    const program = await startProgram({ ...CHEAP, DATABASE_URL: `sqlite:${file}` }, NPM_START);
    await registered(program.url);
    const database = new Database(file);
    database.exec("UPDATE users SET date_created = 'no time'");
    database.close();
    assert.is((await call(program.url, 'GET /users')).status, 500);
    assert.match(
      program.output(),
      /^error Error .* at \w+ \(.*\/src\/adapters\/knex\/\S+\.ts:\d+:\d+\)/m,
    );
    assert.is(await program.end('SIGTERM'), 0);
    const ask = `process.argv[1] = ${JSON.stringify(resolve('dist/service/main.cjs'))};
      console.log(require(process.argv[1]).script.cachedDataRejected);
      process.exit();`;
    const env = { PATH: process.env['PATH'], PORT: '0' };
    const said = execFileSync(process.execPath, ['--eval', ask], { cwd: path, env });
    assert.is(String(said), 'false\n');
  }),
);

service('has its pages where it is built, wherever that is put', () =>
  inFolder(async (path) => {
    await (await startProgram({ ...CHEAP, DATABASE_URL: 'memory:' }, NPM_START)).end('SIGTERM');
    // As in an image of a container: no sources, and the packages that are installed.
    cpSync('dist', join(path, 'dist'), { recursive: true });
    symlinkSync(resolve('node_modules'), join(path, 'node_modules'));
    const command = [process.execPath, join(path, 'dist/service/main.cjs')];
    const program = await startProgram({ ...CHEAP, DATABASE_URL: 'memory:' }, command);
    const rows = pages();
    assert.ok(rows.length > 15);
    for (const row of rows) {
      const headers = { Accept: 'text/html' };
      const { status } = await call(program.url, `GET ${row.path}`, { headers });
      assert.is(status, 200, row.path);
    }
    assert.is(await program.end('SIGTERM'), 0);
  }),
);

service('has a thread for each hash at once, which gives way to the one that answers', () =>
  inFolder(async (path) => {
    const url = `sqlite:${join(path, 'p.sqlite')}`;
    const program = await startProgram({ ...CHEAP, DATABASE_URL: url, HASH_CONCURRENCY: '7' });
    const { pid } = program.process;
    const niceOf = (thread: string) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
    };
    const nices = () => readdirSync(`/proc/${pid}/task`).map(niceOf);
    // The tests themselves may have been started with a lower priority.
    const own = getPriority();
    const lowered = Math.max(own, 10);
    const isLowered = () => {
      const { length } = nices().filter((nice) => nice === lowered);
      return own < lowered ? length === 9 : length >= 9;
    };
    for (let tries = 0; !isLowered() && tries < 100; tries += 1) await sleep(20);
    assert.ok(isLowered(), nices().join());
    assert.is(niceOf(String(pid)), own, 'the main thread gives way to nobody');
    await registered(program.url);
    assert.is(await program.end('SIGTERM'), 0);
  }),
);

const EXAMPLES = "runs the document's own Python examples, word for word";
const python = process.env['TEST_PYTHON'] ?? '';

const pythonExamples = async () => {
  const document = readFileSync('docs/api.txt', 'utf8');
  const examples = [...document.matchAll(/import requests\n[^]*?print\(response\.json\(\)\)/g)];
  assert.is(examples.length, 4);
  await inFolder(async (path) => {
    const url = `sqlite:${join(path, 'p.sqlite')}`;
    const program = await startProgram({ PORT: '0', DATABASE_URL: url }, NPM_START);
    const run = (example: string) => runExample(example, program.url);
    const [register = '', login = '', refresh = '', hello = ''] = examples.map(([text]) => text);
    const made = run(register);
    assert.match(
      made,
      /^{'message': 'User created successfully', 'access_token': '[\w.-]+', 'refresh_token': '[\w.-]+'}$/,
    );
    assert.is(
      run(register),
      "{'message': 'Email already registered. Please try with different email.'}",
    );
    assert.match(
      run(login),
      /^{'message': 'Login successful', 'access_token': '[\w.-]+', 'refresh_token': '[\w.-]+', 'user': {'id': 1, 'username': 'testuser', 'email': 'test@example\.com', 'date_created': '[\dTZ:.-]+'}}$/,
    );
    assert.is(run(refresh), "{'message': 'Invalid or expired refresh token'}");
    assert.is(run(hello), "{'message': 'Token is invalid or expired!'}");
    const [, accessToken = '', refreshToken = ''] =
      /'access_token': '([^']+)', 'refresh_token': '([^']+)'/.exec(made) ?? [];
    assert.match(
      run(refresh.replace('your_refresh_token_here', refreshToken)),
      /^{'access_token': '[\w.-]+'}$/,
    );
    assert.is(
      run(hello.replace('your_access_token_here', accessToken)),
      "{'message': 'Hello, testuser. This is a protected route.'}",
    );
    await program.end('SIGTERM');
  });
};
if (python) service(EXAMPLES, pythonExamples);
else service.skip(EXAMPLES, pythonExamples);

service('keeps users and tokens through kill -9 in the middle of registrations', () =>
  inFolder(async (path) => {
    const env = { ...CHEAP, DATABASE_URL: `sqlite:${join(path, 'p.sqlite')}` };
    const acknowledged: { email: string; access_token: string; refresh_token: string }[] = [];
    for (let round = 0; round < 3; round += 1) {
      const program = await startProgram(env);
      const attempts = Array.from({ length: 40 }, async (_, i) => {
        const email = `user${round}-${i}@example.com`;
        acknowledged.push({ email, ...(await registered(program.url, { email })) });
      });
      const flood = Promise.allSettled(attempts);
      while (acknowledged.length < round * 10 + 5) await sleep(1);
      await program.end('SIGKILL');
      await flood;
    }
    const program = await startProgram(env);
    for (const { email, access_token, refresh_token } of acknowledged) {
      const login = await call(program.url, 'POST /login', { json: { ...ADA, email } });
      assert.is(login.status, 200, email);
      const hello = await call(program.url, 'GET /protected', { token: access_token });
      assert.is(hello.status, 200, email);
      const refresh = await call(program.url, 'POST /refresh', { json: { refresh_token } });
      assert.is(refresh.status, 200, email);
    }
    const check = new Database(join(path, 'p.sqlite'));
    assert.equal(check.prepare('PRAGMA integrity_check').all(), [{ integrity_check: 'ok' }]);
    const orphans = 'SELECT id FROM users WHERE id NOT IN (SELECT user_id FROM sessions)';
    assert.equal(check.prepare(orphans).all(), [], 'every account came with its session');
    check.close();
    await program.end('SIGTERM');
  }),
);

service('answers the documented 500 while its SQLite file is away or locked, and resumes', () =>
  inFolder(async (path) => {
    const file = join(path, 'p.sqlite');
    const program = await startProgram({ ...CHEAP, DATABASE_URL: `sqlite:${file}` });
    const { url } = program;
    await registered(url);
    renameSync(file, `${file}.away`);
    await assertDown(url);
    renameSync(`${file}.away`, file);
    await assertServes(url);

    const locker = new Database(file);
    locker.exec('BEGIN EXCLUSIVE');
    const started = performance.now();
    const json = { ...ADA, email: 'locked@example.com' };
    const answer = await call(url, 'POST /register', { json });
    assert.is(answer.text, '{"message":"Database error occurred. Please try again."}');
    assert.ok(performance.now() - started < 5_000);
    locker.exec('COMMIT');
    locker.close();
    await registered(url, { email: 'locked@example.com' });
    await program.end('SIGTERM');
  }),
);

service('reads on while somebody else holds the write lock of its SQLite file', () =>
  inFolder(async (path) => {
    const file = join(path, 'p.sqlite');
    const program = await startProgram({ ...CHEAP, DATABASE_URL: `sqlite:${file}` });
    const { access_token } = await registered(program.url);
    const locker = new Database(file);
    locker.exec('BEGIN IMMEDIATE');
    const json = { ...ADA, email: 'waits@example.com' };
    const waiting = Array.from({ length: 10 }, () => call(program.url, 'POST /register', { json }));
    await sleep(200);
    const started = performance.now();
    const hello = await call(program.url, 'GET /protected', { token: access_token });
    assert.is(hello.status, 200);
    assert.ok(performance.now() - started < 500);
    locker.exec('COMMIT');
    locker.close();
    const statuses = (await Promise.all(waiting)).map(({ status }) => status);
    assert.is(statuses.filter((status) => status === 201).length, 1);
    assert.is(statuses.filter((status) => status === 400).length, 9);
    await program.end('SIGTERM');
  }),
);

service('takes up a SQLite file that was put in the place of its own', () =>
  inFolder(async (path) => {
    const file = join(path, 'p.sqlite');
    const program = await startProgram({ ...CHEAP, DATABASE_URL: `sqlite:${file}` });
    await registered(program.url);
    const backup = new Database(file);
    backup.exec(`VACUUM INTO '${file}.backup'`);
    backup.close();
    await registered(program.url, { email: 'later@example.com' });
    for (const name of ['', '-wal', '-shm']) rmSync(`${file}${name}`, { force: true });
    renameSync(`${file}.backup`, file);
    const { json } = await call(program.url, 'GET /users');
    assert.equal(
      (json as { email: string }[]).map(({ email }) => email),
      [ADA.email],
    );
    await registered(program.url, { email: 'new@example.com' });
    await program.end('SIGTERM');
    const kept = new Database(file);
    assert.is(kept.prepare('SELECT id FROM users').all().length, 2);
    kept.close();
  }),
);

service('answers 500, not half a list, where a row cannot be read', () =>
  inFolder(async (path) => {
    const file = join(path, 'p.sqlite');
    const program = await startProgram({ ...CHEAP, DATABASE_URL: `sqlite:${file}` });
    await registered(program.url);
    const operator = new Database(file);
    operator.exec("UPDATE users SET date_created = 'yesterday'");
    operator.close();
    const answer = await call(program.url, 'GET /users');
    assert.is(`${answer.status} ${answer.text}`, '500 {"message":"An error occurred"}');
    assert.match(program.output(), 'a row of user 1 has a time that cannot be read');
    await program.end('SIGTERM');
  }),
);

service('refuses a kept secret that is none', () =>
  inFolder(async (path) => {
    writeFileSync(join(path, 'portcullis.jwt-secret'), '');
    const env = { ...CHEAP, DATABASE_URL: `sqlite:${join(path, 'p.sqlite')}` };
    const failure: unknown = await startProgram(env).catch((error: unknown) => error);
    assert.match(String(failure), /ended with 1: .*portcullis\.jwt-secret holds no secret/);
  }),
);

service('names the setting that the system refuses', () =>
  inFolder(async (path) => {
    const program = await startProgram({ ...CHEAP, DATABASE_URL: 'memory:' });
    const taken = new URL(program.url).port;
    const refused: [Record<string, string>, RegExp][] = [
      [{ PORT: taken, DATABASE_URL: 'memory:' }, /PORT \d+ cannot be used: .*EADDRINUSE/],
      [{ DATABASE_URL: `sqlite:${path}` }, /DATABASE_URL names something that is no file/],
      [{ DATABASE_URL: 'sqlite:/proc/no/where.sqlite' }, /DATABASE_URL cannot be used: /],
    ];
    for (const [env, line] of refused) {
      const failure: unknown = await startProgram({ ...CHEAP, ...env }).catch((e: unknown) => e);
      assert.match(String(failure), line);
    }
    await program.end('SIGTERM');
  }),
);

service('shares one SQLite file between processes, and their accounts and tokens', () =>
  inFolder(async (path) => {
    const env = { ...CHEAP, DATABASE_URL: `sqlite:${join(path, 'p.sqlite')}` };
    await assertTwoAgree(env);
  }),
);

service('lets each email in once, though a shell has looked into the SQLite file meanwhile', () =>
  inFolder(async (path) => {
    const file = join(path, 'p.sqlite');
    const env = { ...CHEAP, DATABASE_URL: `sqlite:${file}` };
    const one = await startProgram(env);
    await registered(one.url);
    // Whoever closes the file last takes its log away: never while another process writes to it.
    assert.is(visitSqlite(file, 'SELECT * FROM users'), 'done');
    const other = await startProgram(env);
    const json = { ...ADA, email: 'second@example.com' };
    assert.is((await call(one.url, 'POST /register', { json })).status, 201);
    assert.is((await call(other.url, 'POST /register', { json })).status, 400);
    await Promise.all([one.end('SIGKILL'), other.end('SIGKILL')]);
    const again = await startProgram(env);
    assert.is((await call(again.url, 'POST /login', { json })).status, 200);
    await again.end('SIGTERM');
  }),
);

service('stops at once on a second signal', () =>
  inFolder(async (path) => {
    const program = await startProgram({
      ...CHEAP,
      DATABASE_URL: `sqlite:${join(path, 'p.sqlite')}`,
    });
    // A request that never ends holds the first stop up.
    const start = 'POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{';
    const held = rawRequest(program.url, start).catch(() => 'cut off');
    await sleep(200);
    program.process.kill('SIGTERM');
    await sleep(200);
    assert.is(await program.end('SIGTERM'), 1);
    await held;
  }),
);

service('serves on when nobody reads its output any more', () =>
  inFolder(async (path) => {
    const program = await startProgram({
      ...CHEAP,
      DATABASE_URL: `sqlite:${join(path, 'p.sqlite')}`,
    });
    program.process.stdout?.destroy();
    program.process.stderr?.destroy();
    renameSync(join(path, 'p.sqlite'), join(path, 'away'));
    for (let i = 0; i < 3; i += 1) await assertDown(program.url); // Each reports a fault.
    renameSync(join(path, 'away'), join(path, 'p.sqlite'));
    await assertServes(program.url, 'POST /register');
    await program.end('SIGTERM');
  }),
);

const mariadb = suite('The service on MariaDB');
const onMariadb = (name: string, run: () => Promise<void>) =>
  isAvailable('MariaDB') ? mariadb(name, run) : mariadb.skip(name, run);

onMariadb('ends no session by a clock that is far from the one of the database', () =>
  withDatabaseUrl('MariaDB', async (databaseUrl) => {
    const config = readConfig({ ...TEST_ENV, DATABASE_URL: databaseUrl });
    const here = await serve(config);
    try {
      const { refresh_token } = await registered(here.url);
      const printed: unknown[] = [];
      const log = { ...textLog('error'), alert: (text: string) => void printed.push(text) };
      const ahead = { now: () => new Date(Date.now() + 40 * 86_400_000) };
      const there = await serve(config, { clock: ahead, log });
      for (let tries = 0; tries < 100 && printed.length === 0; tries += 1) await sleep(20);
      await there.stop();
      const alert = "the database's clock is -3456000 s ahead of this one: nothing is pruned";
      assert.equal(printed, [alert]);
      const { status } = await call(here.url, 'POST /refresh', { json: { refresh_token } });
      assert.is(status, 200);
    } finally {
      await here.stop();
    }
  }),
);

onMariadb('is shared by processes, who agree about accounts and tokens', () =>
  withDatabaseUrl('MariaDB', async (databaseUrl) => {
    await assertTwoAgree({ ...TEST_ENV, DATABASE_URL: databaseUrl });
  }),
);

onMariadb('answers 500 while the database is down or frozen, and resumes by itself', async () => {
  const server = await mariadbServer(process.env['TEST_MARIADBD'] ?? 'mariadbd');
  try {
    await withDatabaseUrlOn(server.url, async (databaseUrl) => {
      const program = await startProgram({ ...TEST_ENV, DATABASE_URL: databaseUrl });
      const { url } = program;
      const acknowledged = await registered(url);
      await server.kill();
      await assertDown(url);
      await server.start();
      await assertServes(url);
      const hello = await call(url, 'GET /protected', { token: acknowledged.access_token });
      assert.is(hello.status, 200, 'what was acknowledged is there');

      server.signal('SIGSTOP');
      await Promise.all(Array.from({ length: 15 }, () => assertDown(url)));
      server.signal('SIGCONT');
      await assertServes(url);
      await program.end('SIGTERM');
    });
  } finally {
    await server.remove();
  }
});

onMariadb('does not start without its database, and says so without its password', async () => {
  const env = { ...TEST_ENV, DATABASE_URL: 'mysql://root:canary-password@127.0.0.1:1/db' };
  const failure: unknown = await startProgram(env).catch((error: unknown) => error);
  assert.match(String(failure), /ended with 1: DATABASE_URL cannot be used: .*ECONNREFUSED/);
  assert.not.match(String(failure), 'canary-password');
});

service.run();
mariadb.run();

async function withDatabaseUrlOn(server: string, use: (url: string) => Promise<void>) {
  const connection = await createConnection(server);
  await connection.query('CREATE DATABASE service_test');
  await connection.end();
  await use(`${server}/service_test`);
}

async function assertTwoAgree(env: Readonly<Record<string, string>>): Promise<void> {
  const [one, other] = await Promise.all([startProgram(env), startProgram(env)]);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      call((i % 2 ? one : other).url, 'POST /register', { json: ADA }),
    ),
  );
  const statuses = answers.map(({ status }) => status);
  assert.is(statuses.filter((status) => status === 201).length, 1);
  assert.is(statuses.filter((status) => status === 400).length, 19);
  const made = answers.find(({ status }) => status === 201)?.json as Record<string, string>;
  for (const { url } of [one, other]) {
    const hello = await call(url, 'GET /protected', { token: made['access_token'] ?? '' });
    assert.is(hello.status, 200);
    const json = { refresh_token: made['refresh_token'] };
    assert.is((await call(url, 'POST /refresh', { json })).status, 200);
  }
  await Promise.all([one.end('SIGTERM'), other.end('SIGTERM')]);
}

/** The documented 500 at /login and /register, within 5 s. */
async function assertDown(url: string): Promise<void> {
  const started = performance.now();
  // By how much this process comes too late to look at the clock, which is no fault of the service.
  const late = sleep(4_500).then(() => performance.now() - started - 4_500);
  const [login, register] = await Promise.all([
    call(url, 'POST /login', { json: ADA }),
    call(url, 'POST /register', { json: ADA }),
  ]);
  assert.is(`${login.status} ${login.text}`, '500 {"message":"An error occurred"}');
  assert.is(
    `${register.status} ${register.text}`,
    '500 {"message":"Database error occurred. Please try again."}',
  );
  const took = performance.now() - started;
  assert.ok(took < 5_000 + (took < 5_000 ? 0 : await late), `${took} ms`);
}

/** Back, on the first try or soon after: connections that broke are found out one by one. */
async function assertServes(url: string, endpoint = 'POST /login'): Promise<void> {
  const json = endpoint === 'POST /login' ? ADA : { ...ADA, email: 'back@example.com' };
  let answer = await call(url, endpoint, { json });
  for (let tries = 0; tries < 50 && answer.status === 500; tries += 1) {
    await sleep(100);
    answer = await call(url, endpoint, { json });
  }
  assert.ok(answer.status === 200 || answer.status === 201, answer.text);
}

async function assertGone(url: string): Promise<void> {
  assert.is(await fetch(url).catch(() => 'gone'), 'gone');
}

/**
 * The example as it is, with the port of the test behind the one it names: the text says
 * localhost:8000, which may be in use.
 */
function runExample(example: string, url: string): string {
  const redirect = [
    'import socket, sys',
    'connect = socket.socket.connect',
    'def redirected(self, address):',
    `    return connect(self, ("127.0.0.1", ${new URL(url).port}) if address[1] == 8000 else address)`,
    'socket.socket.connect = redirected',
    'exec(compile(sys.stdin.read(), "example.py", "exec"))',
  ].join('\n');
  return execFileSync(python, ['-c', redirect], { input: example, encoding: 'utf8' }).trim();
}
