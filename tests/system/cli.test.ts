import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommanderError } from '@commander-js/extra-typings';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/adapters/config/config.ts';
import { portcullis } from '../../src/cli/commands.ts';
import { serve } from '../../src/serve.ts';
import { cli, done, json } from '../support/cli.ts';
import { temporaryFolder } from '../support/programs.ts';
import { ADA, call, CLI, registered, startProgram, TEST_ENV } from '../support/service.ts';
import {
  isAvailable,
  openUrl,
  type StoreName,
  withDatabases,
  withDatabaseUrl,
} from '../support/stores.ts';

const command = suite('The command line');

/** What it says of itself, or of how it was asked, in this process. */
async function usage(args: readonly string[]): Promise<{ exitCode: number; text: string }> {
  const program = portcullis();
  const texts: string[] = [];
  const keep = (text: string) => void texts.push(text);
  const quieten = (each: typeof program) => {
    each.configureOutput({ writeOut: keep, writeErr: keep });
    each.commands.forEach(quieten);
  };
  quieten(program);
  const fault: unknown = await program
    .parseAsync([...args], { from: 'user' })
    .catch((thrown: unknown) => thrown);
  if (!(fault instanceof CommanderError)) throw new Error('it went on', { cause: fault });
  return { exitCode: fault.exitCode, text: texts.join('') };
}

command('tells how it is used', async () => {
  for (const [args, text] of [
    [['--help'], 'Exit codes: 0 done'],
    [['users', 'import', '--help'], 'Fields: username, email and password_hash'],
    [['users', 'create', '--help'], '--password-stdin'],
  ] as const) {
    const said = await usage(args);
    assert.is(said.exitCode, 0);
    assert.match(said.text, text);
  }
  const { code, stdout } = await cli(['users', '--help']);
  assert.is(code, 0);
  assert.match(stdout, 'Usage: portcullis users');
});

command('tells its version, which is that of the package', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.equal(await usage(['--version']), { exitCode: 0, text: `${version}\n` });
  assert.is(await done(['--version']), `${version}\n`);
});

command('knows who asked wrongly', async () => {
  for (const [args, text] of [
    [[], 'Usage: portcullis'],
    [['users'], 'Usage: portcullis users'],
    [['user'], "unknown command 'user'"],
    [['backup'], "missing required argument 'file'"],
    [['backup', 'a', 'b'], 'too many arguments'],
    [['users', 'set-role', '1', 'owner'], 'It is none of user, admin'],
    [['users', 'list', '--limit', 'x'], 'It is no whole number'],
    [['users', 'list', '--limit', '0'], 'It is no whole number from 1 to 10000'],
    [['users', 'list', '--limit', '10001'], 'It is no whole number from 1 to 10000'],
    [['users', 'list', '--after', '-1'], 'It is no whole number'],
    [['users', 'create', 'a@example.com', 'A', '--password', 'x'], "unknown option '--password'"],
  ] as const) {
    const said = await usage(args);
    assert.is(said.exitCode, 1, args.join(' '));
    assert.match(said.text, text);
  }
  const { code, stdout, stderr } = await cli(['user']);
  assert.is(code, 2);
  assert.is(stdout, '');
  assert.match(stderr, "unknown command 'user'");
  const wrong = await cli(['users', 'list', '--limit', 'x', '--json']);
  assert.is(wrong.code, 2);
  assert.match((JSON.parse(wrong.stdout) as { error: string }).error, 'It is no whole number');
  assert.match(wrong.stderr, 'It is no whole number');
  for (const [args, text] of [
    [['conformance', 'nope'], 'Not done: the base URL must be like http://localhost:8000, '],
    [['conformance', 'ftp://ada:canary@x', '--json'], 'Not done: the base URL must be like '],
    [['users', 'export', '-', '--json'], 'Not done: - and --json both want standard output'],
  ] as const) {
    const said = await cli(args);
    assert.is(said.code, 2, args.join(' '));
    assert.match(said.stderr, text);
    const error = said.stderr.trim().replace('Not done: ', '');
    assert.is(
      said.stdout,
      (args as readonly string[]).includes('--json') ? `${JSON.stringify({ error })}\n` : '',
    );
    assert.not.match(said.stderr, 'canary');
  }
});

command('refuses in one line on standard error what cannot be done', async () => {
  const folder = temporaryFolder();
  try {
    const DATABASE_URL = `sqlite:${join(folder.path, 'p.sqlite')}`;
    const { code, stdout, stderr } = await cli(['users', 'list'], { DATABASE_URL });
    assert.is(code, 1);
    assert.is(stdout, '');
    assert.match(stderr, /^Not done: \S+p.sqlite is not there: portcullis migrate makes it\n$/);
    assert.equal(existsSync(join(folder.path, 'p.sqlite')), false, 'and makes no file');
    const told = await cli(['users', 'list', '--json'], { DATABASE_URL: 'memory:' });
    const error = 'DATABASE_URL is memory: nothing is kept';
    const both = { stdout: `${JSON.stringify({ error })}\n`, stderr: `Not done: ${error}\n` };
    assert.equal(told, { code: 1, ...both });
  } finally {
    folder.remove();
  }
});

command('names the setting where the database cannot be reached', async () => {
  const DATABASE_URL = 'mysql://ada:canary@127.0.0.1:1/auth';
  for (const args of [
    ['users', 'list'],
    ['sessions', 'prune'],
    ['migrate'],
    ['users', 'import', 'package.json'],
    ['users', 'export', '-'],
    ['backup', join(tmpdir(), 'portcullis-of-nothing.gz')],
  ]) {
    const { code, stdout, stderr } = await cli(args, { DATABASE_URL });
    assert.equal([code, stdout], [1, ''], args.join(' '));
    assert.match(stderr, /^Not done: DATABASE_URL cannot be used: .*ECONNREFUSED\n$/);
    assert.not.match(stderr, 'canary');
  }
});

command('heeds the settings that matter to it, wants no key and leaves none', async () => {
  const folder = temporaryFolder();
  try {
    const DATABASE_URL = `sqlite:${join(folder.path, 'p.sqlite')}`;
    await done(['migrate'], { DATABASE_URL });
    const create = ['users', 'create', 'ada@example.com', 'Ada', '--password-stdin'];
    for (const NODE_ENV of ['development', 'production']) {
      const env = { DATABASE_URL, NODE_ENV, PORT: 'abc', TRUST_PROXY: 'x', JWT_SECRET: 'short' };
      assert.match(await done(create, env, 'a horse, correct\n'), 'Created');
      assert.match(await done(['users', 'list'], env), 'ada@example.com');
      assert.match(await done(['users', 'show', 'ada@example.com'], env), 'Ada');
      await done(['users', 'disable', 'ada@example.com'], env);
      await done(['sessions', 'prune'], env);
      for (const [name, value] of [
        ['PASSWORD_MIN_LENGTH', '0'],
        ['PASSWORD_BLOCKLIST', 'yes'],
        ['ARGON2_PASSES', '0'],
        ['AUDIT', 'file'],
        ['AUDIT_RETENTION', 'long'],
      ] as const) {
        const refused = await cli(['users', 'delete', 'ada@example.com', '--yes'], {
          ...env,
          [name]: value,
        });
        assert.is(refused.code, 1);
        assert.match(refused.stderr, new RegExp(`^Not done: ${name} must be`));
      }
      await done(['users', 'delete', 'ada@example.com', '--yes'], env);
    }
    const weak = { DATABASE_URL, NODE_ENV: 'production', ARGON2_MEMORY_KIB: '64' };
    const refused = await cli(create, weak, 'a horse, correct\n');
    assert.match(refused.stderr, "below OWASP's floor");
    const made = readdirSync(folder.path).filter((name) => !/^p\.sqlite(?:-wal|-shm)?$/.test(name));
    assert.equal(made, []);
  } finally {
    folder.remove();
  }
});

/** With the service in this process, on an empty database. */
async function withUsers(
  name: StoreName,
  use: (env: Readonly<Record<string, string>>, url: string) => Promise<void>,
): Promise<void> {
  await withDatabaseUrl(name, async (DATABASE_URL) => {
    const env = { ...TEST_ENV, DATABASE_URL };
    const service = await serve(readConfig({ ...env, RATE_LIMIT: 'off' }));
    try {
      await use(env, service.url);
    } finally {
      await service.stop();
    }
  });
}

const CREATE = ['users', 'create', 'ADA@example.com', 'Ada', '--password-stdin'];

command('takes one line of standard input for a password, and nothing that is more', async () => {
  await withDatabases('SQLite', async (knex, _, DATABASE_URL) => {
    const env = { ...TEST_ENV, DATABASE_URL };
    const [lines, long] = await Promise.all([
      cli(CREATE, env, 'correct horse\nbattery staple\n'),
      cli(CREATE, env, 'x'.repeat(4_097)),
    ]);
    assert.match(lines.stderr, 'Not done: standard input holds more than one line');
    assert.match(long.stderr, 'Not done: standard input holds more than a password');
    assert.equal([lines.code, long.code], [1, 1]);
    assert.equal(await knex?.('users'), []);
  });
});

command('looks after users while the service runs', () =>
  withUsers('SQLite', async (env, url) => {
    const login = async (password: string) =>
      (await call(url, 'POST /login', { json: { email: ADA.email, password } })).status;
    const created = await json([...CREATE, '--role', 'admin'], env, 'correct horse\n');
    const { id, date_created, ...ada } = created as Record<string, unknown>;
    assert.equal(ada, { username: 'Ada', email: ADA.email, role: 'admin', disabled: false });
    assert.match(String(date_created), /^20.*Z$/);
    const user = String(id);
    assert.is(await login('correct horse'), 200);
    const [taken, short] = await Promise.all([
      cli(CREATE, env, 'correct horse\n'),
      cli(CREATE, env, 'short'),
    ]);
    assert.match(taken.stderr, 'Not done: Email already registered');
    assert.match(short.stderr, 'Not done: Password must be at least 8 characters');

    assert.match(await done(['users', 'disable', user], env), 'Disabled');
    assert.is(await login('correct horse'), 401);
    assert.match(await done(['users', 'enable', ADA.email], env), 'Enabled');
    const setPassword = ['users', 'set-password', user, '--password-stdin'];
    assert.match(await done(setPassword, env, 'battery staple\r\n'), 'every session has ended');
    assert.is(await login('correct horse'), 401);
    assert.is(await login('battery staple'), 200);
    await done(['users', 'set-role', user, 'user'], env);
    assert.match(await done(['users', 'show', ADA.email], env), /^role +user$/m);

    await registered(url, { email: 'bob@example.com', username: 'Bob\u202E' });
    const list = await done(['users', 'list'], env);
    assert.match(list, /^\d+ +\S+Z +user +ada@example.com +Ada\n\d+ .*bob@example.com +Bob\\u/);
    const { users, next } = (await json(['users', 'list', '--limit', '1'], env)) as {
      readonly users: readonly { readonly email: string }[];
      readonly next: number | null;
    };
    assert.equal(
      users.map(({ email }) => email),
      [ADA.email],
    );
    assert.is(next, id);

    const unasked = await cli(['users', 'delete', user], env);
    assert.match(unasked.stderr, '--yes says that you mean it');
    assert.match(await done(['users', 'delete', user, '--yes'], env), 'Deleted: ada@example.com');
    const gone = await cli(['users', 'show', user], env);
    assert.match(gone.stderr, 'Not done: User not found');
    assert.is(gone.code, 1);
  }),
);

const ON_MARIADB = 'looks after users on MariaDB';
const onMariadb = () =>
  withUsers('MariaDB', async (env) => {
    const audited = { ...env, AUDIT: 'log' };
    const created = await cli([...CREATE, '--json'], audited, 'correct horse');
    assert.match(created.stderr, /^audit \S+ /m, 'apart from what it says');
    const { id } = JSON.parse(created.stdout) as { readonly id: number };
    await done(['users', 'disable', String(id)], env);
    assert.match(await done(['users', 'list'], env), /user, disabled +ada@example.com +Ada\n$/);
    assert.match(await done(['users', 'delete', ADA.email, '--yes'], env), `(${id})`);
    assert.is(await done(['users', 'list'], env), '');
  });
if (isAvailable('MariaDB')) command(ON_MARIADB, onMariadb);
else command.skip(ON_MARIADB, onMariadb);

const STORES: readonly StoreName[] = ['SQLite', 'MariaDB'];
for (const name of STORES) {
  const it = (title: string, test: (env: Readonly<Record<string, string>>) => Promise<void>) => {
    const run = () => withDatabaseUrl(name, (DATABASE_URL) => test({ ...TEST_ENV, DATABASE_URL }));
    if (isAvailable(name)) command(`${title} on ${name}`, run);
    else command.skip(`${title} on ${name}`, run);
  };

  it('makes the tables and prunes sessions', async (env) => {
    const { steps } = (await json(['migrate'], env)) as { readonly steps: readonly string[] };
    assert.is(steps[0], '0001_users_and_sessions');
    assert.match(await done(['migrate'], env), 'The tables are up to date');
    const short = { ACCESS_TOKEN_TTL: '1s', REFRESH_TOKEN_TTL: '1s' };
    const service = await serve(readConfig({ ...env, ...short }));
    await registered(service.url);
    await service.stop();
    await sleep(1_100);
    // The session; what was counted for the registration lasts an hour.
    const one = { removed: 1, sessions: 1, attempts: 0, audit_records: 0 };
    assert.equal(await json(['sessions', 'prune'], env), one);
    const none = { ...one, removed: 0, sessions: 0 };
    assert.equal(await json(['sessions', 'prune'], env), none);
  });

  it('prunes all that the service prunes', async (env) => {
    const audited = { ...env, AUDIT: 'table' };
    await done(['migrate'], env);
    const refused = await cli(['sessions', 'prune'], audited);
    const why = 'the table of audit records is not there: portcullis migrate makes it';
    assert.is(refused.stderr, `Not done: ${why}\n`);
    await done(['migrate'], audited);
    const service = await serve(readConfig(audited));
    await registered(service.url);
    await service.stop();
    const knex = openUrl(env['DATABASE_URL'] ?? '');
    if (knex === undefined) return assert.unreachable();
    try {
      const long = '2020-01-01T00:00:00.000Z';
      await knex('attempts').update({ expires: long });
      await knex('sessions').update({ expires: long });
      const attempts = (await knex('attempts').pluck('id')).length;
      assert.ok(attempts > 0);
      const kept = { removed: 0, sessions: 0, attempts: 0, audit_records: 0 };
      const most = { ...kept, removed: attempts + 1, sessions: 1, attempts };
      assert.equal(await json(['sessions', 'prune'], audited), most, 'a year has not passed');
      await knex('audit_events').update({ date_created: long });
      assert.equal(await json(['sessions', 'prune'], env), kept, 'no records are kept here');
      const said = await done(['sessions', 'prune'], audited);
      assert.is(
        said,
        'Removed 0 sessions and 0 counts of attempts that had expired\n' +
          'Removed 1 audit records past AUDIT_RETENTION\n',
      );
      assert.equal(await knex('audit_events').pluck('id'), []);
    } finally {
      await knex.destroy();
    }
  });
}

command('serves, and tries a server against the document', async () => {
  const args = [process.execPath, CLI, 'serve'];
  const program = await startProgram({ ...TEST_ENV, DATABASE_URL: 'memory:' }, args);
  try {
    const sound = await json(['conformance', program.url]);
    const { cases, faults } = sound as { readonly cases: number; readonly faults: unknown };
    assert.ok(cases > 20);
    assert.equal(faults, []);
  } finally {
    assert.is(await program.end('SIGTERM'), 0);
  }
  const gone = await cli(['conformance', program.url]);
  assert.is(gone.code, 1);
  assert.match(gone.stdout, /^✘ [^]*\n0 of \d+ cases hold\n$/);
});

command.run();

const documents = suite('The documents');

documents('name commands that exist, and have each of them in a table', async () => {
  const read = (file: string) => readFileSync(file, 'utf8');
  const texts = ['README.md', 'docs/operating.md', 'src/cli/harness.ts', 'src/cli/keys.ts'].map(
    read,
  );
  const named = [...texts.join('\n').matchAll(/portcullis ((?:users|sessions|keys) [a-z-]+)/g)];
  const names = new Set(named.map(([, name = '']) => name));
  assert.ok(names.size >= 5);
  for (const name of names) {
    const { text } = await usage([...name.split(' '), '--help']);
    assert.match(text, `Usage: portcullis ${name}`);
  }
  const namesOf = (all: ReturnType<typeof portcullis>, before: string): string[] =>
    all.commands.flatMap((each) => {
      const name = before + each.name();
      return each.commands.length > 0 ? namesOf(each, `${name} `) : [name];
    });
  const all = namesOf(portcullis(), '');
  assert.ok(all.length > 15);
  for (const name of all)
    assert.ok(new RegExp(`^\\|.*\`${name}\\b`, 'm').test(texts[0] ?? ''), name);
});

documents.run();
