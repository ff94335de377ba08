import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hash as bcryptHash } from '@node-rs/bcrypt';
import type { Knex } from 'knex';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserImport } from '../../src/adapters/knex/operator/user-import.ts';
import { readDatabase } from '../../src/cli/harness.ts';
import { exportUsers } from '../../src/cli/export-users.ts';
import { importFile } from '../../src/cli/import-users.ts';
import { parseEmail } from '../../src/domain/credentials.ts';
import { cli, done, start } from '../support/cli.ts';
import { LEGACY_HASHES, LEGACY_PASSWORD } from '../support/legacy-hashes.ts';
import { temporaryFolder } from '../support/programs.ts';
import { call, registered, startProgram, TEST_ENV } from '../support/service.ts';
import { isAvailable, type StoreName, withDatabases } from '../support/stores.ts';

const HEADER = 'username,email,password_hash';
const HASHES = Object.values(LEGACY_HASHES);

/** So many users, with hashes of every kind; each line of a number that 100 divides is bad. */
function csv(count: number): string {
  const lines = Array.from({ length: count }, (_, i) => {
    const line = i + 2;
    const email = line % 100 === 0 ? 'no address' : `user${line}@example.com`;
    return `User ${line},${email},"${HASHES[i % HASHES.length]}"`;
  });
  return `${[HEADER, ...lines].join('\n')}\n`;
}

/** Imports in this process; what the screen of it showed is in the answer. */
async function imported(
  { DATABASE_URL }: { readonly DATABASE_URL: string },
  path: string,
  options: { readonly again?: true } = {},
): Promise<Summary & { readonly shown: string }> {
  const shown: string[] = [];
  const screen = { write: (text: string) => shown.push(text) };
  const signal = new AbortController().signal;
  const target = readDatabase({ DATABASE_URL });
  return importFile(target, path, { ...options, signal, screen }, async (work) => {
    const refusals: { line: number; reason: string }[] = [];
    for await (const { line, reason } of work.refusals()) refusals.push({ line, reason });
    return { ...work.progress, refusals, shown: shown.join('') };
  });
}

interface Summary {
  readonly imported: number;
  readonly refused: number;
  readonly refusals: readonly { readonly line: number; readonly reason: string }[];
}

const STORES: readonly StoreName[] = ['SQLite', 'MariaDB'];
for (const name of STORES) {
  const imports = suite(`An import on ${name}`);
  /** With a database, its URL as the environment, and a writer of files. */
  const it = (
    title: string,
    use: (
      knex: Knex,
      env: { readonly DATABASE_URL: string },
      file: (content: string | Buffer) => string,
      other: Knex,
    ) => Promise<void>,
  ): void => {
    const test = async () => {
      const folder = temporaryFolder();
      let files = 0;
      const file = (content: string | Buffer) => {
        const path = join(folder.path, `users-${(files += 1)}`);
        writeFileSync(path, content);
        return path;
      };
      try {
        await withDatabases(name, async (knex, other, url) => {
          if (knex && other) await use(knex, { DATABASE_URL: url }, file, other);
        });
      } finally {
        folder.remove();
      }
    };
    if (isAvailable(name)) imports(title, test);
    else imports.skip(title, test);
  };

  it('survives kill -9 whenever it comes, and goes on where it was', async (knex, env, file) => {
    const count = 4_000;
    const path = file(csv(count));
    const linesDone = async (): Promise<number> => {
      const row = await knex('users_imports')
        .first<{ line: number } | undefined>('line')
        .catch(() => undefined);
      return row?.line ?? 0;
    };
    // At once; then somewhere in the middle, by turns of what has been written.
    for (const least of [1, 1_500]) {
      const run = start(['users', 'import', path], env);
      while ((await linesDone()) < least) await sleep(2);
      await sleep(Math.random() * 30);
      run.kill('SIGKILL');
      assert.is((await run.output).code, 'SIGKILL');
      // What is noted and what is there are of one transaction.
      const line = await linesDone();
      assert.ok(line < count, 'it was not over yet');
      const bad = Math.floor(line / 100);
      const [users] = await knex('users').count({ count: '*' });
      assert.is(Number(users?.['count']), line - 1 - bad, `users up to line ${line}`);
    }
    const last = await cli(['users', 'import', path], env);
    assert.match(last.stderr, /^Goes on after line \d+$/m);
    assert.match(last.stderr, /^\d+ %, \d+ imported, \d+ refused, \d+ a second$/m);
    assert.is(last.code, 1, 'lines were refused');
    const said = last.stdout.trimEnd().split('\n');
    const bad = Array.from({ length: 40 }, (_, i) => (i + 1) * 100);
    assert.equal(
      said.slice(0, -1),
      bad.map((line) => `line ${line}: Invalid email address`),
    );
    assert.is(said.at(-1), `${count - bad.length} users imported, ${bad.length} lines refused`);
    const emails = await knex('users').pluck<string[]>('email');
    assert.is(emails.length, count - bad.length);
    const again = await imported(env, path);
    assert.is(again.imported, count - bad.length);
    assert.equal(
      again.refusals.map(({ line }) => line),
      bad,
    );
    assert.is((await knex('users').pluck('id')).length, emails.length);
  });

  it('goes on where nobody reads how far it is', async (knex, env, file) => {
    const run = start(['users', 'import', file(csv(1_000))], env);
    run.closeStderr();
    const { code, stdout } = await run.output;
    assert.is(code, 1, 'lines were refused');
    assert.match(stdout, '990 users imported, 10 lines refused\n');
    assert.is((await knex('users').pluck('id')).length, 990);
  });

  it('takes over hashes of every kind, which a sign-in replaces', async (knex, env, file) => {
    const kinds = Object.entries(LEGACY_HASHES);
    const lines = kinds.map(([kind, hash], i) =>
      JSON.stringify({ username: kind, email: `USER${i}@Example.com `, password_hash: hash }),
    );
    const django = `bcrypt$${LEGACY_HASHES.bcrypt}`;
    const dated = { date_created: '2011-12-13 14:15:16', role: 'admin', disabled: false };
    const last = { username: 'D', email: 'django@example.com', password_hash: django, ...dated };
    const text = [...lines, JSON.stringify(last)].join('\r\n');
    assert.equal((await imported(env, file(text))).refusals, []);
    const program = await startProgram({ ...TEST_ENV, ...env, RATE_LIMIT: 'off' });
    try {
      const emails = [...kinds.map((_, i) => `user${i}@example.com`), 'django@example.com'];
      for (const email of emails) {
        const login = (password: string) =>
          call(program.url, 'POST /login', { json: { email, password } });
        assert.is((await login('correct horse')).status, 401);
        assert.is((await login(LEGACY_PASSWORD)).status, 200, email);
        const [hash] = await knex('users').where({ email }).pluck<string[]>('password_hash');
        assert.match(hash ?? '', /^\$argon2id\$v=19\$/);
        assert.is((await login(LEGACY_PASSWORD)).status, 200, email);
        assert.is((await login('correct horse')).status, 401);
      }
      assert.not.match(program.output(), 'alert');
    } finally {
      await program.end('SIGTERM');
    }
    const row = await knex('users').where({ email: 'django@example.com' }).first<object>();
    const expected = { date_created: '2011-12-13T14:15:16.000Z', role: 'admin', disabled: 0 };
    for (const [column, value] of Object.entries(expected)) {
      assert.is(Reflect.get(row, column), value, column);
    }
  });

  it('refuses bad lines by their number, and keeps the rest', async (knex, env, file) => {
    const hash = LEGACY_HASHES['PBKDF2, Django'];
    await knex('users').insert({
      username: 'X',
      email: 'there@example.com',
      password_hash: hash,
      date_created: new Date().toISOString(),
    });
    const hashOf = (length: number) =>
      `$argon2id$v=19$m=64,t=1,p=1$${'s'.repeat(22)}$`.padEnd(length, 'k');
    const lines: readonly (readonly [text: string | Buffer, reason: string | undefined])[] = [
      ['\uFEFF"username",email,password_hash,date_created,disabled,role,id', undefined],
      [`Ada,ada@example.com,${hash},2020-02-30,,,`, 'date_created must be a time of ISO 8601'],
      [`Ada,ada@example.com,${hash},2020-02-28T10:00:00+02:00,true,admin,77`, undefined],
      [`Bob,ADA@Example.com,${hash},,,,`, 'Email already registered'],
      ['', undefined],
      [`Eve,there@example.com,${hash},,,,`, 'Email already registered'],
      [`Eve,eve@example.com,5f4dcc3b5aa765d61d8327deb882cf99,,,,`, HASH],
      [`Eve,eve@example.com,${LEGACY_HASHES.bcrypt.replace('04', '31')},,,,`, HASH],
      [`Eve,eve@example.com,${hash}${'='.repeat(255)},,,,`, HASH],
      [`Eve,eve@example.com,"${hashOf(256)}",,,,`, HASH],
      [`Long,long@example.com,"${hashOf(255)}",,,,`, undefined],
      [`Eve,eve@example.com,canary-password,,,,`, HASH],
      [`,eve@example.com,${hash},,,,`, 'Missing required fields'],
      [`${'e'.repeat(256)},eve@example.com,${hash},,,,`, 'Username must be at most 255 characters'],
      [`Eve,eve@example.com,${hash},,maybe,,`, 'disabled must be true or false'],
      [`Eve,eve@example.com,${hash},,,owner,`, 'Invalid role'],
      [`Eve,eve@example.com,${hash}`, 'it has 3 fields, and the first line 7'],
      [`"Eve,eve@example.com,${hash},,,,`, 'its quotes are not those of CSV'],
      [`E"ve,eve@example.com,${hash},,,,`, 'its quotes are not those of CSV'],
      [Buffer.from(`Ev\xe9,eve@example.com,${hash},,,,`, 'latin1'), UNREADABLE],
      [`${'x'.repeat(200_000)},eve@example.com,${hash},,,,`, UNREADABLE],
      [`"Éve, ""the"" last",eve@example.com,${hash},,,,\r`, undefined],
      [`No line break at the end,last@example.com,${hash},,,,`, undefined],
    ];
    const parts = lines.flatMap(([text], i) => [...(i ? ['\n'] : []), text]).map(toBuffer);
    const path = file(Buffer.concat(parts));
    const summary = await imported(env, path);
    const expected = lines.flatMap(([, reason], i) => (reason ? [{ line: i + 1, reason }] : []));
    assert.equal(summary.refusals, expected);
    assert.is(summary.imported, 4);
    assert.is(summary.refused, expected.length);
    const rows = await knex('users')
      .whereNot({ username: 'X' })
      .orderBy('id')
      .select<object[]>('username', 'email', 'date_created', 'role', 'disabled');
    assert.equal(
      rows.map((row) => ({ ...row, date_created: undefined })),
      [
        { username: 'Ada', email: 'ada@example.com', role: 'admin', disabled: 1 },
        { username: 'Long', email: 'long@example.com', role: 'user', disabled: 0 },
        { username: 'Éve, "the" last', email: 'eve@example.com', role: 'user', disabled: 0 },
        {
          username: 'No line break at the end',
          email: 'last@example.com',
          role: 'user',
          disabled: 0,
        },
      ].map((row) => ({ ...row, date_created: undefined })),
    );
    assert.is(Reflect.get(rows[0] ?? {}, 'date_created'), '2020-02-28T08:00:00.000Z');
    assert.not.match(JSON.stringify(await knex('users_import_refusals').select()), 'canary');
  });

  it('shows in the time of no refusal, the first since a start included', async (_, env, file) => {
    // Some 250 ms; the service's own, as set here, take less than one.
    const hash = await bcryptHash('correct horse', 12);
    await imported(env, file(`${HEADER}\nAda,ada@example.com,${hash}\n`));
    const program = await startProgram({ ...TEST_ENV, ...env });
    try {
      for (const email of ['nobody@example.com', 'ada@example.com']) {
        const started = performance.now();
        const { status } = await call(program.url, 'POST /login', {
          json: { email, password: 'wrong horse' },
        });
        const took = performance.now() - started;
        assert.is(status, 401);
        assert.ok(took > 120, `${email}: ${took} ms`);
      }
    } finally {
      await program.end('SIGTERM');
    }
  });

  it('lets the service register and sign in meanwhile', async (_, env, file) => {
    const program = await startProgram({ ...TEST_ENV, ...env, RATE_LIMIT: 'off' });
    try {
      const run = start(['users', 'import', file(csv(3_000))], env);
      let isOver = false;
      const over = run.output.finally(() => (isOver = true));
      while (!run.progress().includes('imported')) await sleep(5);
      let others = 0;
      while (!isOver) {
        await registered(program.url, { email: `other${(others += 1)}@example.com` });
      }
      assert.match((await over).stdout, '2970 users imported, 30 lines refused');
      assert.ok(others > 5, `${others} registrations`);
    } finally {
      await program.end('SIGTERM');
    }
  });

  it('of one file by two at once imports each line once', async (knex, env, file) => {
    const path = file(csv(3_000));
    const runs = await Promise.all(
      [1, 2].map(() => imported(env, path).catch((fault: unknown) => String(fault))),
    );
    const over = runs.filter((run) => typeof run !== 'string');
    assert.ok(over.length >= 1);
    for (const run of over) assert.equal([run.imported, run.refusals.length], [2_970, 30]);
    for (const run of runs.filter((each) => typeof each === 'string')) {
      assert.is(run, 'Refused: another process imports this file');
    }
    assert.is((await knex('users').pluck('id')).length, 2_970);
  });

  it('begins anew where it is told to', async (knex, env, file) => {
    const path = file(`${HEADER}\nAda,ada@example.com,${LEGACY_HASHES.bcrypt}\n`);
    await imported(env, path);
    await knex('users').delete();
    assert.match((await imported(env, path)).shown, 'This file was imported on 20');
    assert.is((await knex('users').pluck('id')).length, 0);
    await imported(env, path, { again: true });
    assert.is((await knex('users').pluck('id')).length, 1);
    const { refusals } = await imported(env, path, { again: true });
    assert.equal(refusals, [{ line: 2, reason: 'Email already registered' }]);
  });

  it('finds out what became of a batch whose answer was lost', async (knex) => {
    const work = await UserImport.open(knex, 'file', false);
    const email = parseEmail('ada@example.com');
    const account = { username: 'Ada', email, passwordHash: LEGACY_HASHES.bcrypt };
    const committed = new Proxy(knex, {
      get: (target, member, receiver): unknown =>
        member === 'transaction' ? losing : Reflect.get(target, member, receiver),
    });
    let isLost = false;
    const losing = async (run: (trx: Knex.Transaction) => Promise<unknown>) => {
      const result = await knex.transaction(run);
      if (isLost) return result;
      isLost = true;
      throw Object.assign(new Error('the connection is gone'), { code: 'ECONNRESET' });
    };
    const other = await UserImport.open(committed, 'file', false);
    await other.add([{ line: 2, account }]);
    assert.ok(isLost);
    assert.equal([other.progress.imported, other.progress.refused], [1, 0]);
    // And who did not go on with it is told so.
    await work.add([{ line: 2, account }]).then(
      () => assert.unreachable(),
      (fault: unknown) => assert.match(String(fault), 'another process'),
    );
  });

  it('brings back what an export has written, in either format', async (knex, env, file, other) => {
    await imported(env, file(csv(1_500)));
    await knex('users').insert({
      username: '=cmd|"x",\u{1F600}',
      email: 'quoted@example.com',
      password_hash: LEGACY_HASHES['scrypt, Django'],
      date_created: '2001-02-03T04:05:06.007Z',
      role: 'admin',
      disabled: 1,
    });
    const all = () =>
      other('users')
        .orderBy('email')
        .select<object[]>('username', 'email', 'password_hash', 'date_created', 'role', 'disabled');
    const before = await all();
    assert.is(before.length, 1_486);
    const target = readDatabase(env);
    for (const format of ['csv', 'jsonl'] as const) {
      const path = `${file('')}.${format}`;
      const options = { format, withPasswordHashes: true } as const;
      const { data } = await exportUsers(target, path, options);
      assert.equal(data, { file: path, users: before.length });
      assert.is(statSync(path).mode & 0o777, 0o600);
      const taken: unknown = await exportUsers(target, path, options).catch(
        (fault: unknown) => fault,
      );
      assert.match(String(taken), 'is there already: nothing is overwritten');
      await other('users').delete();
      assert.equal((await imported(env, path)).refusals, []);
      assert.equal(await all(), before);
    }
    const bare = await done(['users', 'export', '-'], env);
    assert.not.match(bare, 'password');
    assert.not.match(bare, '$2b$');
    assert.is(bare.trimEnd().split('\n').length, before.length);
    const options = { format: 'csv', withPasswordHashes: true } as const;
    const open: unknown = await exportUsers(target, '-', options).catch((fault: unknown) => fault);
    assert.match(String(open), 'hashes go to a file');
  });

  imports.run();
}

const HASH = 'password_hash is of no known kind, damaged, or too dear to be checked';
const UNREADABLE = 'it is no UTF-8, or longer than 16384 bytes';

function toBuffer(text: string | Buffer): Buffer {
  return typeof text === 'string' ? Buffer.from(text) : text;
}

const files = suite('A file of users');

files('is read from standard input as well, and known again', () =>
  withDatabases('SQLite', async (_, __, DATABASE_URL) => {
    const text = csv(50);
    assert.match(await done(['users', 'import', '-'], { DATABASE_URL }, text), '50 users imported');
    const again = await cli(['users', 'import', '-', '--json'], { DATABASE_URL }, text);
    assert.match(again.stderr, 'This file was imported on');
    assert.match(again.stdout, /^\{"refusals":\[\],"imported":50,"refused":0,"date_begun":"20/);
    assert.is(again.code, 0);
  }),
);

/** Imports this content in this process. */
async function importedText(DATABASE_URL: string, content: string): Promise<Summary> {
  const folder = temporaryFolder();
  try {
    const path = join(folder.path, 'users');
    writeFileSync(path, content);
    return await imported({ DATABASE_URL }, path);
  } finally {
    folder.remove();
  }
}

files('of CSV must name its columns, and be there', () =>
  withDatabases('SQLite', async (_, __, DATABASE_URL) => {
    const cases: readonly (readonly [content: string, why: string])[] = [
      ['', 'there is nothing in the file'],
      ['\n\n', 'there is nothing in the file'],
      ['username,email\na,b\n', 'the first line must name password_hash'],
      ['username,email,password_hash,passwd\n', '"passwd" is none'],
      ['email,username,email,password_hash\n', 'names a column twice'],
      [`username,${'x'.repeat(20_000)}\n`, 'line 1 cannot be read: it is no UTF-8, or longer than'],
      ['[{"username":"A"}]', 'a JSON array: JSON Lines are wanted'],
    ];
    for (const [content, why] of cases) {
      const refusal: unknown = await importedText(DATABASE_URL, content).catch(
        (fault: unknown) => fault,
      );
      assert.match(String(refusal), why);
    }
    const { code, stderr } = await cli(['users', 'import', '/nowhere'], { DATABASE_URL });
    assert.is(code, 1);
    assert.match(stderr, 'Not done: /nowhere cannot be read');
    const folder = await cli(['users', 'import', '/'], { DATABASE_URL });
    assert.match(folder.stderr, 'Not done: / is a folder');
    const gone = await cli(['users', 'export', '/nowhere/at-all'], { DATABASE_URL });
    assert.match(gone.stderr, 'Not done: /nowhere/at-all');
  }),
);

files('of JSON Lines has an object on each line', () =>
  withDatabases('SQLite', async (_, __, DATABASE_URL) => {
    const lines = [
      '{"username":"A","email":"a@example.com","password_hash":"x"}',
      '{"username":"A","email":["a@example.com"],"password_hash":"x"}',
      '{"username":"A","email":"a@example.com","pasword_hash":"x"}',
      '["A"]',
      '{"username":"A"',
      'null',
      '{"username":1e400,"email":"b@example.com","password_hash":"x"}',
      `{"username":"C","email":"c@example.com","role":null,"password_hash":"x"}`,
    ];
    // Of a CSV file this would be the first line.
    const { refusals } = await importedText(DATABASE_URL, `\uFEFF${lines.join('\n')}`);
    assert.equal(
      refusals.map(({ reason }) => reason),
      [
        HASH,
        'email must be a text',
        'it has a member that is none of id, username, email, role, disabled, date_created, password_hash',
        'it is no JSON object',
        'it is no JSON object',
        'it is no JSON object',
        'username must be a text',
        HASH,
      ],
    );
  }),
);

files('that is stopped by Ctrl-C keeps what it has, and says how to go on', () =>
  withDatabases('SQLite', async (knex, __, DATABASE_URL) => {
    const folder = temporaryFolder();
    try {
      const path = join(folder.path, 'users.csv');
      writeFileSync(path, csv(8_000));
      const run = start(['users', 'import', path], { DATABASE_URL });
      while (!run.progress().includes('imported')) await sleep(5);
      run.kill('SIGINT');
      const { code, stderr } = await run.output;
      assert.is(code, 1);
      const [, line] = /stopped after line (\d+): the same again/.exec(stderr) ?? [];
      const noted = await knex?.('users_imports').first<{ line: number }>('line');
      assert.is(Number(line), noted?.line);
      assert.is(readFileSync(path, 'utf8'), csv(8_000));
    } finally {
      folder.remove();
    }
  }),
);

files.run();
