import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import Database from 'libsql';
import { createConnection } from 'mysql2/promise';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Argon2Hasher } from '../../src/adapters/argon2/argon2-hasher.ts';
import { otherHashes } from '../../src/adapters/knex/operator/inspection.ts';
import { KnexAudit } from '../../src/adapters/knex/audit.ts';
import type { AuditRecord } from '../../src/application/index.ts';
import { SECRET } from '../support/fakes.ts';
import { LEGACY_HASHES } from '../support/legacy-hashes.ts';
import { mariadbServer, temporaryFolder } from '../support/programs.ts';
import { examine as examineByProcess, type Verdict } from '../support/service.ts';
import { cli } from '../support/cli.ts';
import { isAvailable, type StoreName, withDatabases, withDatabaseUrl } from '../support/stores.ts';
import { canHaveTls, withTlsServer } from '../support/tls-server.ts';

const RECORD: AuditRecord = {
  id: '1',
  date: new Date(0),
  event: 'loggedIn',
  outcome: 'success',
  reason: null,
  userId: 1,
  account: null,
  sessionId: null,
  address: null,
};

/** Settings of production with which nothing is wrong. */
const SOUND = { NODE_ENV: 'production', JWT_SECRET: SECRET };

/** What the doctor says of these settings. */
async function examine(env: Readonly<Record<string, string>>): Promise<Verdict> {
  const { code, stdout, stderr } = await cli(['doctor'], env);
  const text = `${stdout}${stderr}`.trim();
  const unsafe = text.split('\n').filter((line) => line.startsWith('UNSAFE'));
  return { code: Number(code), text, unsafe };
}

const doctor = suite('The doctor');

doctor('finds nothing unsafe in development without settings, and makes nothing', async () => {
  const folder = temporaryFolder();
  try {
    const { code, text, unsafe } = await examineByProcess({}, folder.path);
    assert.equal(unsafe, []);
    assert.is(code, 0);
    assert.match(text, /^note +DATABASE_URL must be set.*production/m);
    assert.match(text, 'data/portcullis.sqlite is not there yet');
    assert.match(text, /^0 unsafe, \d+ notes, \d+ in order$/m);
    assert.equal(readdirSync(folder.path), []);
  } finally {
    folder.remove();
  }
});

const UNSAFE_SETTINGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'JWT_SECRET must have at least 32 bytes': { JWT_SECRET: 'short' },
  'JWT_SECRET is a known sample': { JWT_SECRET: 'your-256-bit-secret-your-256-bit-secret' },
  "below OWASP's floor": { ARGON2_MEMORY_KIB: '64' },
  'RATE_LIMIT=off': { RATE_LIMIT: 'off' },
  'PORT must be': { PORT: 'http' },
  'TRUST_PROXY must be': { TRUST_PROXY: '0.0.0.0/0' },
  'DATABASE_URL memory: loses every user': { DATABASE_URL: 'memory:' },
};
for (const [what, env] of Object.entries(UNSAFE_SETTINGS)) {
  doctor(`finds unsafe: ${what}`, async () => {
    const folder = temporaryFolder();
    try {
      const DATABASE_URL = `sqlite:${join(folder.path, 'p.sqlite')}`;
      const { code, unsafe } = await examine({ DATABASE_URL, ...env });
      assert.match(unsafe.join('\n'), what);
      assert.is(code, 1);
      assert.not.match(unsafe.join('\n'), 'short');
    } finally {
      folder.remove();
    }
  });
}

doctor('looks at what production takes, if told to', async () => {
  const folder = temporaryFolder();
  try {
    const DATABASE_URL = `sqlite:${join(folder.path, 'p.sqlite')}`;
    const sound = await examine({ ...SOUND, DATABASE_URL });
    assert.equal(sound.unsafe, []);
    assert.is(sound.code, 0);
    assert.match(sound.text, 'TRUST_PROXY is not set');
    const open = await examine({ ...SOUND, DATABASE_URL, USERS_ACCESS: 'public' });
    assert.match(open.unsafe.join('\n'), 'USERS_ACCESS=public');
    assert.is(open.code, 1);
    const hops = await examine({ ...SOUND, DATABASE_URL, HOST: '0.0.0.0', TRUST_PROXY: '1' });
    assert.match(hops.text, 'TRUST_PROXY=1 believes whoever reaches 0.0.0.0');
  } finally {
    folder.remove();
  }
});

doctor("finds files with secrets that are everybody's to read", async () => {
  const folder = temporaryFolder();
  try {
    const key = join(folder.path, 'key.pem');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const database = join(folder.path, 'p.sqlite');
    writeFileSync(database, '', { mode: 0o600 });
    const before = join(folder.path, 'before.pem');
    writeFileSync(before, readFileSync(key), { mode: 0o600 });
    const env = {
      NODE_ENV: 'production',
      JWT_PRIVATE_KEY_FILE: key,
      JWT_PREVIOUS_KEY_FILES: before,
      DATABASE_URL: `sqlite:${database}`,
    };
    assert.equal((await examine(env)).unsafe, []);
    for (const file of [key, before, database]) {
      chmodSync(file, 0o644);
      const { code, unsafe } = await examine(env);
      assert.is(code, 1);
      assert.match(unsafe.join('\n'), `chmod 600 ${file}`);
      chmodSync(file, 0o600);
    }
  } finally {
    folder.remove();
  }
});

doctor('says that a database cannot be reached', async () => {
  const DATABASE_URL = 'mysql://auth:canary@127.0.0.1:1/auth';
  const { code, unsafe } = await examineByProcess({ ...SOUND, DATABASE_URL });
  assert.match(unsafe.join('\n'), /DATABASE_URL cannot be used: .*ECONNREFUSED/);
  assert.is(code, 1);
  assert.not.match(unsafe.join('\n'), 'canary');
});

doctor.run();

const DATABASES: readonly StoreName[] = ['SQLite', 'MariaDB'];
for (const name of DATABASES) {
  const database = suite(`The doctor on ${name}`);
  const it = (title: string, use: (url: string, knex: Knex) => Promise<void>) => {
    const test = () =>
      withDatabases(name, async (knex, _, url) => {
        if (knex) await use(url, knex);
      });
    if (isAvailable(name)) database(title, test);
    else database.skip(title, test);
  };
  const examineAt = (DATABASE_URL: string) => examine({ ...SOUND, DATABASE_URL });

  it('finds nothing wrong with what the service makes', async (url) => {
    const { code, text, unsafe } = await examineAt(url);
    assert.equal(unsafe, []);
    assert.is(code, 0);
    for (const sound of ['up to date', 'stored once', 'by their bytes', 'stored hashes']) {
      assert.match(text, new RegExp(`^ok .*${sound}`, 'm'));
    }
  });

  it('finds that the unique key is missing, or is of another column', async (url, knex) => {
    await rebuildUsers(name, knex, { unique: '' });
    const { code, unsafe } = await examineAt(url);
    assert.is(code, 1);
    assert.match(unsafe.join('\n'), 'users.email has no unique key');
    await knex.raw('CREATE UNIQUE INDEX users_both ON users (email, username)');
    assert.match((await examineAt(url)).unsafe.join('\n'), 'users.email has no unique key');
    await knex.raw('CREATE UNIQUE INDEX users_email ON users (email)');
    assert.equal((await examineAt(url)).unsafe, [], 'what it says to do helps');
  });

  if (name === 'MariaDB') {
    it('takes no unique key for one of the whole email that is of its beginning', async (url, knex) => {
      await rebuildUsers(name, knex, { unique: '' });
      await knex.raw('CREATE UNIQUE INDEX users_begin ON users (email(10))');
      const { code, unsafe } = await examineAt(url);
      assert.is(code, 1);
      assert.match(unsafe.join('\n'), 'users.email has no unique key');
    });
  }

  it('calls no hash dearer that has more of one cost, and less of another', async (url, knex) => {
    const hash = (cost: string) => `$argon2id$v=19$${cost}$${'s'.repeat(22)}$${'k'.repeat(43)}`;
    const costs = ['m=65536,t=1,p=1', 'm=19456,t=3,p=1', 'm=12288,t=4,p=1', 'm=19457,t=2,p=1'];
    for (const [i, cost] of costs.entries()) await insertUser(knex, i, hash(cost));
    const dearer = /^note +(\d+) users have a dearer hash than ARGON2_\* make/m;
    assert.is(dearer.exec((await examineAt(url)).text)?.[1], '2');
  });

  it('finds a collation that folds', async (url, knex) => {
    const collation = name === 'SQLite' ? 'NOCASE' : 'utf8mb4_general_ci';
    await rebuildUsers(name, knex, { collation });
    const { code, unsafe } = await examineAt(url);
    assert.is(code, 1);
    assert.match(unsafe.join('\n'), 'users.email has a collation');
    assert.is(unsafe.length, 1);
  });

  it('knows a hash of each kind beside those of today, however few there are of it', async (_, knex) => {
    const salt = (i: number) => `${'abcdefghij'[i % 10]}${'s'.repeat(21)}`;
    const stored = [
      ...Array.from({ length: 300 }, (_each, i) => `$2b$10$${salt(i)}${'h'.repeat(31)}`),
      `$argon2id$v=19$m=19456,t=2,p=1$${salt(0)}$${'k'.repeat(43)}`,
      `$argon2id$v=19$m=102400,t=2,p=8$${salt(0)}$${'k'.repeat(22)}`,
      `$argon2id$v=19$m=102400,t=2,p=8$${salt(1)}$${'k'.repeat(22)}`,
      `scrypt:32768:8:1$${salt(2)}$${'6b'.repeat(64)}`,
      `scrypt$16384$${salt(3)}$8$1$${'k'.repeat(86)}==`,
      `scrypt$16384$${salt(4)}$8$1$${'k'.repeat(86)}==`,
      'unreadable',
      'no hash either',
      `pbkdf2_sha256$600000$${salt(3)}$${'k'.repeat(43)}=`,
    ];
    for (const [i, hash] of stored.entries()) await insertUser(knex, i, hash);
    const found = await otherHashes(knex, '$argon2id$v=19$m=19456,t=2,p=1$');
    const firsts = [0, 301, 303, 304, 306, 307, 308];
    assert.equal(
      found,
      firsts.map((i) => stored[i]),
    );
  });

  it('finds weak hashes, and what is no hash', async (url, knex) => {
    const weak = await new Argon2Hasher({ memoryKib: 64, passes: 1 }).hash('password');
    const today = await new Argon2Hasher().hash('password');
    for (const [i, hash] of [weak, today, weak].entries()) await insertUser(knex, i, hash);
    const { code, text } = await examineAt(url);
    assert.is(code, 0);
    assert.match(text, "note    2 users have a hash below OWASP's floor");
    const dearer = /^note +3 users have a dearer hash than ARGON2_\* make: it is kept/m;
    const below = { ARGON2_MEMORY_KIB: '64', ARGON2_PASSES: '1', ARGON2_PARALLELISM: '2' };
    const cheap = { ...below, DATABASE_URL: url };
    assert.match((await examine(cheap)).text, dearer);
    assert.not.match(text, dearer);
    const broken = ['letmein', '$argon2id$v=19$m=19456,t=2,p=1$x', today.slice(0, -30)];
    for (const [i, hash] of broken.entries()) await insertUser(knex, 10 + i, hash);
    const { code: worse, unsafe } = await examineAt(url);
    assert.is(worse, 1);
    assert.match(unsafe.join('\n'), '3 users have a password_hash that cannot be read');
    assert.not.match(unsafe.join('\n'), 'letmein');
  });

  it('says so where it has not looked at all hashes', async (url, knex) => {
    const hash = LEGACY_HASHES.bcrypt;
    const user = (i: number) => userOf(i, hash);
    await knex.batchInsert(
      'users',
      Array.from({ length: 9_999 }, (_, i) => user(i)),
      100,
    );
    const others = /^note +(.*) users have the hash of another system/m;
    assert.is(others.exec((await examineAt(url)).text)?.[1], '9999');
    await knex.batchInsert('users', [9_999, 10_000, 10_001].map(user));
    assert.is(others.exec((await examineAt(url)).text)?.[1], '10000 or more');
  });

  it('says how to make the first administrator, where they alone may list users', async (url, knex) => {
    const env = { ...SOUND, DATABASE_URL: url, USERS_ACCESS: 'admin' };
    const hash = await new Argon2Hasher().hash('password');
    for (let i = 1; i <= 3; i += 1) await insertUser(knex, i, hash);
    await knex('users').where({ email: '1@example.com' }).update({ role: 'Admin' });
    await knex('users').where({ email: '2@example.com' }).update({ role: 'admin', disabled: 1 });
    const { code, text } = await examine(env);
    assert.is(code, 0);
    assert.match(text, /^note +USERS_ACCESS=admin, and no user is admin: npx portcullis users/m);
    assert.match(text, /^note +1 users have a role that is none, and count as user: npx/m);
    await knex('users').where({ email: '1@example.com' }).update({ role: 'user' });
    await knex('users').where({ email: '3@example.com' }).update({ role: 'admin' });
    const mended = await examine(env);
    assert.match(mended.text, /^ok +1 users are admin$/m);
    assert.not.match(mended.text, /no user is admin|a role that is none/);
    assert.not.match((await examineAt(url)).text, 'are admin', 'others need none');
  });

  it('finds audit records that nothing removes', async (url, knex) => {
    const env = { ...SOUND, DATABASE_URL: url, AUDIT: 'table', AUDIT_RETENTION: '1d' };
    assert.not.match((await examineAt(url)).text, 'audit');
    assert.match((await examine(env)).text, /^note +audit_events is still to be made/m);
    const audit = new KnexAudit(knex);
    await audit.makeTable();
    assert.not.match((await examineAt(url)).text, 'audit');
    const append = (id: string, hoursAgo: number) =>
      audit.append([{ ...RECORD, id, date: new Date(Date.now() - hoursAgo * 3_600_000) }]);
    await append('now', 0);
    await append('soon', 25);
    const sound = await examine(env);
    assert.match(sound.text, /^ok +no audit record is older than AUDIT_RETENTION$/m);
    await append('old', 27);
    const { code, text } = await examine(env);
    assert.is(code, 0);
    assert.match(text, /^note +1 audit records are older than AUDIT_RETENTION/m);
    const off = await examineAt(url);
    assert.match(off.text, /^note +audit_events holds records of before, and AUDIT is not table/m);
  });

  if (name === 'SQLite') {
    it('leaves the file as it is', async (url) => {
      await withDatabaseUrl('SQLite', async (other) => {
        const path = other.replace('sqlite:', '');
        const plain = new Database(path);
        plain.exec('PRAGMA journal_mode = DELETE; CREATE TABLE theirs (id)');
        plain.close();
        const before = readFileSync(path);
        await examineAt(other);
        assert.equal(readFileSync(path), before);
      });
      const folder = url.replace(/^sqlite:(.*)\/[^/]*$/, '$1');
      const { unsafe, text } = await examine({ ...SOUND, DATABASE_URL: `sqlite:${folder}` });
      assert.match(unsafe.join('\n'), 'DATABASE_URL names something that is no file');
      assert.not.match(text, 'the doctor failed');
    });
  }

  it('says what is still to be made', async (url, knex) => {
    await knex.migrate.down();
    const { code, text } = await examineAt(url);
    assert.is(code, 0);
    assert.match(
      text,
      /^note +0004_roles_disabled_users still to be made: .* npx portcullis migrate$/m,
    );
  });

  it('takes a database in which nothing has been made yet', async () => {
    await withDatabaseUrl(name, async (url) => {
      const { code, text, unsafe } = await examineAt(url);
      assert.equal(unsafe, []);
      assert.is(code, 0);
      assert.match(text, /still to be made|is not there yet/);
    });
  });

  database.run();
}

const server = suite('The doctor at a server');

const onServer = async () => {
  // Not for those who may administer it, so that the doctor needs an account of its own.
  const clock = '--init-connect=SET timestamp = UNIX_TIMESTAMP() - 3600';
  const flushing = '--innodb-flush-log-at-trx-commit=2';
  const maria = await mariadbServer(process.env['TEST_MARIADBD'] ?? '', [clock, flushing]);
  try {
    const admin = await createConnection(maria.url);
    await admin.query('CREATE DATABASE auth');
    await admin.query("CREATE USER auth@'%' IDENTIFIED BY 'canary'");
    await admin.query('GRANT ALL ON auth.* TO auth');
    const examineAt = (host: string) =>
      examine({ ...SOUND, DATABASE_URL: `mysql://auth:canary@${host}:${maria.port}/auth` });
    // An address of this machine that says nothing of where it is.
    const { code, text, unsafe } = await examineAt('0.0.0.0');
    assert.is(code, 1);
    for (const fault of ['clock is -36', 'innodb_flush_log_at_trx_commit', 'is not encrypted']) {
      assert.match(unsafe.join('\n'), fault);
    }
    assert.is(unsafe.length, 3);
    assert.not.match(text, 'canary');
    // Less than what ends all pruning, and more than tokens have leeway for.
    await admin.query("SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() + 30'");
    assert.match(
      (await examineAt('127.0.0.1')).unsafe.join('\n'),
      /clock is (?:[12]\d|30) s ahead/,
    );
    await admin.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1');
    await admin.query("SET GLOBAL init_connect = ''");
    const mended = await examineAt('127.0.0.1');
    assert.equal(mended.unsafe, []);
    assert.is(mended.code, 0);
    assert.match(mended.text, 'the database is on this machine');
    await admin.end();
  } finally {
    await maria.remove();
  }
};
const AT_SERVER = 'finds a clock that differs, crashes that lose accounts, and no encryption';
if (isAvailable('MariaDB')) server(AT_SERVER, onServer);
else server.skip(AT_SERVER, onServer);

const encrypted = () =>
  withTlsServer('IP:0.0.0.0', async ({ port, ca }) => {
    const examineBy = (options: string) =>
      examine({
        ...SOUND,
        DATABASE_URL: `mysql://tester:tester@0.0.0.0:${port}/mysql?ssl-mode=${options}`,
      });
    for (const options of ['REQUIRED', `VERIFY_CA&ssl-ca=${ca}`]) {
      const { unsafe, text } = await examineBy(options);
      assert.match(unsafe.join('\n'), 'whoever is in between can pretend to be the database');
      assert.not.match(text, 'to the database is encrypted');
    }
    const { text } = await examineBy(`VERIFY_IDENTITY&ssl-ca=${ca}`);
    assert.match(text, /^ok +the connection to the database is encrypted \(TLS_/m);
    assert.not.match(text, 'whoever is in between');
  });
const BY_TLS = 'finds encryption unsafe that does not check whose certificate it is';
if (canHaveTls) server(BY_TLS, encrypted);
else server.skip(BY_TLS, encrypted);

server.run();

/** Makes the table of users anew, otherwise as it is. */
async function rebuildUsers(
  name: StoreName,
  knex: Knex,
  { unique, collation }: { unique?: ''; collation?: string },
): Promise<void> {
  if (name === 'MariaDB') {
    if (unique === '') await knex.raw('ALTER TABLE users DROP INDEX users_email');
    if (collation) {
      await knex.raw(
        `ALTER TABLE users MODIFY email VARCHAR(254) CHARACTER SET utf8mb4 COLLATE ${collation} NOT NULL`,
      );
    }
    return;
  }
  const [{ sql } = { sql: '' }] = await knex('sqlite_master')
    .where({ name: 'users' })
    .select<{ sql: string }[]>('sql');
  await knex.raw('DROP TABLE users');
  const without = unique === '' ? sql.replace(/,\s*CONSTRAINT[^)]*\)/, '') : sql;
  await knex.raw(
    without.replace('email TEXT', `email TEXT ${collation ? `COLLATE ${collation}` : ''}`),
  );
}

async function insertUser(knex: Knex, i: number, passwordHash: string): Promise<void> {
  await knex('users').insert(userOf(i, passwordHash));
}

function userOf(i: number, passwordHash: string) {
  return {
    username: 'Ada',
    email: `${i}@example.com`,
    password_hash: passwordHash,
    date_created: new Date(0).toISOString(),
  };
}
