import { execFile, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Knex } from 'knex';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Argon2Hasher } from '../../src/adapters/argon2/argon2-hasher.ts';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import { knexRepositories } from '../../src/adapters/knex/repositories.ts';
import { migrate } from '../../src/adapters/knex/migrate.ts';
import { createAuth } from '../../src/application/index.ts';
import { fakePorts, SECRET } from '../support/fakes.ts';
import { BUILT, call, startProgram, TEST_ENV } from '../support/service.ts';
import { isAvailable, openUrl, type StoreName, withDatabaseUrl } from '../support/stores.ts';

const DATABASES = ['SQLite', 'MariaDB'] as const satisfies StoreName[];
const DONE = [
  '0001_users_and_sessions',
  '0002_devices_rotation_password_versions',
  '0003_attempts',
  '0004_roles_disabled_users',
];

for (const name of DATABASES) {
  const migrations = suite(`Migrations on ${name}`);
  const it = (title: string, use: (database: Database) => Promise<void>) => {
    const test = () => withDatabase(name, use);
    if (isAvailable(name)) migrations(title, test);
    else migrations.skip(title, test);
  };

  it('make the tables, and change nothing when run again', async ({ knex }) => {
    await migrate(knex);
    assert.equal(await doneSteps(knex), DONE);
    const made = await schema(name, knex);
    await insertUser(knex, 'ada@example.com');
    await migrate(knex);
    assert.equal(await doneSteps(knex), DONE);
    assert.equal(await schema(name, knex), made);
    assert.equal(await knex('users').pluck('email'), ['ada@example.com']);
  });

  it('can be run by eight processes at once', async ({ knex, url }) => {
    const script = `
      import { readConfig } from './src/adapters/config/config.ts';
      import { openForMigration } from './src/adapters/knex/connection/open.ts';
      import { migrate } from './src/adapters/knex/migrate.ts';
      const knex = openForMigration(readConfig(process.env).store);
      // All of them have to wait for the same moment, or the first would be done too early.
      const wait = Math.max(0, ${Date.now() + 5000} - Date.now());
      await new Promise((resolve) => setTimeout(resolve, wait));
      await migrate(knex);
      await knex.destroy();
    `;
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    const ended = await Promise.all(
      Array.from({ length: 8 }, () => run(process.execPath, args, { DATABASE_URL: url })),
    );
    for (const each of ended) assert.equal(each, { code: 0, stdout: '', stderr: '' });
    assert.equal(await doneSteps(knex), DONE);
    await withDatabase(name, async (other) => {
      await migrate(other.knex);
      assert.equal(await schema(name, knex), await schema(name, other.knex));
    });
  });

  it('are finished after a process that died in the middle', async ({ knex }) => {
    await migrate(knex);
    const whole = await schema(name, knex);
    const stages: readonly (readonly string[])[] = [
      ['attempts'],
      ['attempts', 'sessions'],
      ['attempts', 'sessions', 'users'],
    ];
    for (const missing of stages) {
      for (const table of missing) await knex.schema.dropTable(table);
      await knex('users_migrations').delete();
      await knex('users_migrations_lock').update({ is_locked: 1 });
      await knex('users_migrations_lease').update({ holder: 'dead', expires: Date.now() - 1 });
      await migrate(knex);
      assert.equal(await doneSteps(knex), DONE);
      assert.equal(await schema(name, knex), whole);
      assert.equal(await knex('users_migrations_lock').pluck('is_locked'), [0]);
    }
  });

  it('wait for a process that is at it, until its lease ends', async ({ knex, other }) => {
    await migrate(knex);
    await knex('users_migrations').delete();
    await knex('users_migrations_lease').update({ holder: 'alive', expires: Date.now() + 1000 });
    const waiting = migrate(other);
    await sleep(500);
    assert.equal(await doneSteps(knex), []);
    await waiting;
    assert.equal(await doneSteps(knex), DONE);
  });

  it('keep what is there: a session of before rotation goes on', async ({ knex, url }) => {
    await migrate(knex);
    while ((await doneSteps(knex)).length > 1) await knex.migrate.down();
    assert.is(await knex.schema.hasColumn('sessions', 'token_id'), false);
    const userId = await insertUser(knex, 'ada@example.com');
    await insertSession(knex, 'session', userId);
    await migrate(knex);
    const now = new Date();
    const expires = new Date(now.getTime() + 60_000);
    await knex('sessions').update({ expires: expires.toISOString() });
    const issuer = new JwtIssuer({ key: SECRET });
    const claims = { userId, sessionId: 'session', tokenId: 'token' };
    const token = await issuer.issueRefreshToken(claims, now, expires);
    for (const rotation of ['off', 'on']) {
      const env = { ...TEST_ENV, DATABASE_URL: url, REFRESH_ROTATION: rotation };
      const program = await startProgram(env);
      const json = { refresh_token: token };
      assert.is((await call(program.url, 'POST /refresh', { json })).status, 200);
      await program.end('SIGTERM');
    }
  });

  it('keep whoever is there, and whom a release without roles registers meanwhile', async ({
    knex,
  }) => {
    await migrate(knex);
    await knex.migrate.down();
    assert.is(await knex.schema.hasColumn('users', 'disabled'), false);
    const ids = [await insertUser(knex, 'before@example.com')];
    await migrate(knex);
    ids.push(await insertUser(knex, 'meanwhile@example.com'));
    const { users } = knexRepositories(knex);
    for (const id of ids) {
      const { role, disabled } = (await users.findById(id)) ?? {};
      assert.equal({ role, disabled }, { role: 'user', disabled: false });
    }
  });

  it('leave a database of a later release alone', async ({ knex }) => {
    await migrate(knex);
    await knex('users_migrations').insert({ name: '0999_later', batch: 2 });
    await knex.schema.alterTable('users', (table) => table.string('phone'));
    const later = await schema(name, knex);
    await migrate(knex);
    assert.equal(await doneSteps(knex), [...DONE, '0999_later']);
    assert.equal(await schema(name, knex), later);
  });

  it("delete sessions with an operator's plain DELETE of their user", async ({ knex }) => {
    await migrate(knex);
    const ada = await insertUser(knex, 'ada@example.com');
    await insertSession(knex, 'first', ada);
    await insertSession(knex, 'second', ada);
    await insertSession(knex, 'of another', await insertUser(knex, 'eve@example.com'));
    await knex.raw("DELETE FROM users WHERE email = 'ada@example.com'");
    assert.equal(await knex('sessions').pluck('id'), ['of another']);
  });

  it('hold an email to be one by its bytes alone', async ({ knex }) => {
    await migrate(knex);
    const emails = ['e@x.co', 'E@x.co', 'é@x.co', 'e\u0301@x.co', 'e@x.co ', 'ss@x.co', 'ß@x.co'];
    for (const email of emails) await insertUser(knex, email);
    for (const email of emails) {
      assert.equal(await knex('users').where({ email }).pluck('email'), [email]);
      const again = await insertUser(knex, email).catch(String);
      assert.match(String(again), /UNIQUE|Duplicate/i, email);
    }
  });

  it('make no place where a token or a password would be', async ({ knex }) => {
    await migrate(knex);
    const hasher = new Argon2Hasher({ memoryKib: 64, passes: 1, parallelism: 1 });
    const ports = { ...fakePorts(), ...knexRepositories(knex), hasher };
    const { registerUser, login, refreshToken } = createAuth(ports);
    const password = 'canary in a coal mine';
    const [username, email] = ['Ada', 'ada@example.com'];
    const made = await registerUser({ username, email, password, confirmPassword: password });
    const later = await login({ email, password });
    const refreshed = await refreshToken({ refreshToken: later.refreshToken });

    const rows = [
      ...(await knex<Row>('users').select('*')),
      ...(await knex<Row>('sessions').select('*')),
    ];
    assert.is(rows.length, 3);
    const stored = JSON.stringify(rows);
    for (const pair of [made, later]) {
      for (const token of [pair.accessToken, pair.refreshToken, refreshed.accessToken]) {
        for (const segment of token.split('.')) assert.not.match(stored, segment);
      }
    }
    assert.not.match(stored, 'canary');
    for (const value of rows.flatMap((row) => Object.values(row))) {
      const now = ports.clock.now();
      assert.is(await ports.tokens.verifyRefreshToken(String(value), now), undefined);
    }
  });

  it("can be run by knex's own command line, before the service", async ({ knex, url }) => {
    const env = { DATABASE_URL: url };
    const cli = (command: string) => run('npm', ['run', '--silent', 'knex', '--', command], env);
    const before = await cli('migrate:list');
    assert.is(before.code, 0, before.stderr);
    assert.match(before.stdout, 'No Completed Migration files Found');
    for (const step of DONE) assert.match(before.stdout, step);
    const latest = await cli('migrate:latest');
    assert.is(latest.code, 0, latest.stderr);
    assert.equal(await doneSteps(knex), DONE);
    const after = await cli('migrate:list');
    assert.match(
      after.stdout,
      /4 Completed[^]*0001_users_and_sessions[^]*0002_\w+[^]*0003_attempts[^]*0004_\w+[^]*No Pending/,
    );

    const { code, stderr } = await serveBriefly(url);
    assert.is(code, 0, stderr);
    assert.equal(await doneSteps(knex), DONE);
    // Who finds something to do makes this table first.
    assert.is(await knex.schema.hasTable('users_migrations_lease'), false);
  });

  it("can be taken back by knex's own migrator, and run again", async ({ knex }) => {
    await migrate(knex);
    const made = await schema(name, knex);
    await knex.migrate.rollback();
    assert.is(await knex.schema.hasTable('users'), false);
    assert.is(await knex.schema.hasTable('sessions'), false);
    await migrate(knex);
    assert.equal(await schema(name, knex), made);
  });

  migrations.run();
}

const sqlite = suite('A SQLite file');

sqlite('is for nobody else to read, nor is what SQLite keeps beside it', () =>
  withDatabase('SQLite', async ({ knex, url }) => {
    await migrate(knex);
    await insertUser(knex, 'ada@example.com');
    for (const suffix of ['', '-wal', '-shm']) {
      const { mode } = statSync(url.slice('sqlite:'.length) + suffix);
      assert.is(mode & 0o777, 0o600, suffix);
    }
  }),
);

sqlite('loses sessions with their user where foreign keys are off, as in a plain shell', () =>
  withDatabase('SQLite', async ({ knex }) => {
    await migrate(knex);
    await insertSession(knex, 'gone', await insertUser(knex, 'ada@example.com'));
    await insertSession(knex, 'stays', await insertUser(knex, 'eve@example.com'));
    await knex.raw('PRAGMA foreign_keys = OFF');
    assert.equal(await rawRows(knex, 'PRAGMA foreign_keys'), [{ foreign_keys: 0 }]);
    await knex.raw("DELETE FROM users WHERE email = 'ada@example.com'");
    assert.equal(await knex('sessions').pluck('id'), ['stays']);
  }),
);

sqlite.run();

type Row = Record<string, unknown>;

/** A new, empty database, seen through two pools. */
interface Database {
  readonly url: string;
  readonly knex: Knex;
  readonly other: Knex;
}

function withDatabase(
  name: (typeof DATABASES)[number],
  use: (database: Database) => Promise<void>,
): Promise<void> {
  return withDatabaseUrl(name, async (url) => {
    const [knex, other] = [openUrl(url), openUrl(url)];
    if (knex === undefined || other === undefined) throw new Error('no database');
    try {
      await use({ url, knex, other });
    } finally {
      await Promise.all([knex.destroy(), other.destroy()]);
    }
  });
}

async function doneSteps(knex: Knex): Promise<string[]> {
  return knex('users_migrations').orderBy('id').pluck<string[]>('name');
}

/** What the database itself says that its tables are, as text. */
async function schema(name: StoreName, knex: Knex): Promise<string> {
  if (name === 'SQLite') {
    const made = await knex<Row>('sqlite_master').select('type', 'name', 'sql').orderBy('name');
    return JSON.stringify(made, null, 1);
  }
  const made: unknown[] = [];
  for (const table of ['users', 'sessions', 'attempts']) {
    made.push(await rawRows(knex, `SHOW CREATE TABLE ${table}`));
  }
  // Not part of the schema: the number that comes next.
  return JSON.stringify(made, null, 1).replaceAll(/ AUTO_INCREMENT=\d+/g, '');
}

async function rawRows(knex: Knex, sql: string): Promise<unknown> {
  const result: unknown = await knex.raw(sql);
  // mysql2 gives the rows and their fields.
  return Array.isArray(result) && Array.isArray(result[0]) ? result[0] : result;
}

async function insertUser(knex: Knex, email: string): Promise<number> {
  const fields = { username: 'Ada', password_hash: '$', date_created: new Date(0).toISOString() };
  const [id = 0] = await knex('users').insert({ email, ...fields });
  return id;
}

async function insertSession(knex: Knex, id: string, user_id: number): Promise<void> {
  const time = new Date(0).toISOString();
  await knex('sessions').insert({ id, user_id, date_created: time, expires: time });
}

interface Ended {
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, with these variables alone. */
function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const options = { env: { ...environment(), ...env }, timeout: 60_000 };
  return new Promise((resolve) => {
    const child = execFile(file, [...args], options, (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? child.signalCode, stdout, stderr });
    });
  });
}

/** Starts the service, waits until it serves and stops it. */
function serveBriefly(url: string): Promise<Ended> {
  const env = { ...environment(), DATABASE_URL: url, PORT: '0', JWT_SECRET: SECRET };
  return new Promise((resolve) => {
    const child = spawn(process.execPath, BUILT.slice(1), { env });
    const patience = setTimeout(() => child.kill('SIGKILL'), 30_000);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const [, address] = /^Portcullis serves (\S+) /.exec(stdout) ?? [];
      // Once: at a second signal it ends at once, by code 1.
      const stop = () => child.killed || child.kill('SIGTERM');
      // Only an answer tells that it has gone on from what it printed, and hears signals.
      if (address !== undefined) fetch(`${address}/users`).then(stop, stop);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('close', (code, signal) => {
      clearTimeout(patience);
      resolve({ code: code ?? signal, stdout, stderr });
    });
  });
}

function environment(): NodeJS.ProcessEnv {
  const { PATH, HOME, NODE_V8_COVERAGE } = process.env;
  return { PATH, HOME, NODE_V8_COVERAGE };
}
