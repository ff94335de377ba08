import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { mariadbServer, temporaryFolder } from '../support/programs.ts';
import {
  ADA,
  type Answer,
  call,
  type Call,
  examine,
  rawRequest,
  startProgram,
} from '../support/service.ts';
import { isAvailable } from '../support/stores.ts';

// Secrets that stand out go through every flow and every failure; then everything that the service
// has printed, answered and stored is searched for them.

const PASSWORD = 'canary-password-4f1c';
const OTHER_PASSWORD = 'canary-wrong-9e2b';
const SECRET = 'canary-secret-8d7a6b5c4e3f2a1b0c9d8e7f';
const CHEAP = {
  PORT: '0',
  ARGON2_MEMORY_KIB: '64',
  ARGON2_PASSES: '1',
  JWT_SECRET: SECRET,
  REFRESH_ROTATION: 'on',
  ACCESS_LOG: 'on',
  METRICS_PORT: '0',
  AUDIT: 'table',
};

/** Audit records of flows in which a wrong password was given. */
const REFUSED = ['loginRejected', 'passwordChangeRejected', 'accountDeletionRejected'];

const ACCOUNT = { ...ADA, password: PASSWORD, confirm_password: PASSWORD };

interface Seen {
  /** Bodies of replies that may hold no token. */
  readonly bodies: string[];
  readonly tokens: string[];
}

/** Every endpoint, in every way it can end while its parts work. */
async function everyFlow(url: string, seen: Seen): Promise<void> {
  const send = async (endpoint: string, sent?: Call) => note(seen, await call(url, endpoint, sent));
  await send('POST /register', { json: ACCOUNT });
  const [access_token = '', refresh_token = ''] = seen.tokens;
  await send('POST /register', { json: ACCOUNT });
  await send('POST /register', { json: { ...ACCOUNT, confirm_password: OTHER_PASSWORD } });
  await send('POST /register', { json: { ...ACCOUNT, email: PASSWORD } });
  await send('POST /register', { json: { ...ACCOUNT, username: '' } });
  await send('POST /register', { json: { ...ACCOUNT, username: `${PASSWORD}\u0000` } });
  await send('POST /login', { json: ACCOUNT });
  await send('POST /login', { json: { ...ACCOUNT, password: OTHER_PASSWORD } });
  await send('POST /login', { json: { email: PASSWORD, password: PASSWORD } });
  await send('POST /refresh', { json: { refresh_token } });
  await send('POST /refresh', { json: { refresh_token: `${refresh_token}x` } });
  await send('POST /refresh', { json: { refresh_token: access_token } });
  await send('GET /protected', { token: access_token });
  await send('GET /protected', { token: `${access_token}x` });
  await send('GET /protected', { token: refresh_token });
  await send('GET /users', { token: access_token });
  await send('GET /.well-known/jwks.json');
  await send(`GET /users?email=${PASSWORD}`);
  await send('GET /sessions', { token: access_token });
  await send(`DELETE /sessions/${access_token}`, { token: access_token });
  const change = { current_password: OTHER_PASSWORD, password: PASSWORD };
  const json = { ...change, confirm_password: PASSWORD };
  await send('POST /password', { json, token: access_token });
  await send('POST /password', {
    json: { ...json, current_password: PASSWORD },
    token: access_token,
  });
  await send('DELETE /account', { json: { password: OTHER_PASSWORD }, token: access_token });
  await send('POST /logout', { json: { refresh_token: `${refresh_token}x` } });
  const mode = { 'Refresh-Token-Mode': 'cookie' };
  await send('POST /login', { json: ACCOUNT, headers: mode });
  const Cookie = `portcullis_refresh_token=${seen.tokens.at(-1)}`;
  for (const [name, value] of [
    ['Cookie', Cookie],
    ['Cookie', `${Cookie}; ${Cookie}`],
    ['Cookie', `${Cookie}x`],
    ['Refresh-Token-Mode', `cookie; ${Cookie}`],
    ['Origin', `https://${PASSWORD}.example.com`],
    ['Sec-Fetch-Site', PASSWORD],
  ] as const) {
    const headers = { ...mode, Cookie, [name]: value };
    await send('POST /refresh', { headers });
    await send('POST /logout', { headers: { ...headers, Cookie: `${value}x` } });
  }
  // A password where the email belongs, until it is one too many.
  for (let i = 0; i < 10; i += 1) {
    await send('POST /login', { json: { email: OTHER_PASSWORD, password: PASSWORD } });
  }
  await send('POST /login', { json: ACCOUNT });
  await send('POST /logout', { json: { refresh_token: seen.tokens.at(-1) } });
  await send(`GET /users?after=${access_token}`);
  await send(`GET /${PASSWORD}?password=${PASSWORD}`);
  await send(`PUT /login?token=${access_token}`, { json: ACCOUNT });
  const headers = { 'Content-Type': 'application/json' };
  await send('POST /login', { body: `{"password":"${PASSWORD}"`, headers });
  await send('POST /login', { body: PASSWORD.repeat(2000), headers });
  await send('POST /login', { body: `password=${PASSWORD}` });
  seen.bodies.push(await rawRequest(url, `${PASSWORD}\r\nAuthorization: ${access_token}\r\n\r\n`));
}

function note({ bodies, tokens }: Seen, { text, json, headers }: Answer): void {
  const [, kept] = /_refresh_token=([^;]+)/.exec(headers.get('set-cookie') ?? '') ?? [];
  if (kept !== undefined) tokens.push(kept);
  const { access_token, refresh_token, ...rest } = (json ?? {}) as Record<string, unknown>;
  for (const token of [access_token, refresh_token]) {
    if (typeof token === 'string') tokens.push(token);
  }
  bodies.push(Array.isArray(json) ? text : JSON.stringify(rest));
}

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const { d: KEY_AS_JWK = 'none' } = privateKey.export({ format: 'jwk' });

/** The secrets themselves, and what of a token is enough to make use of it. */
function assertClean(where: string, text: string, { tokens }: Seen): void {
  const signatures = tokens.map((token) => token.split('.')[2] ?? 'none');
  assert.ok(signatures.length > 4);
  const keys = [SECRET, KEY_AS_JWK, ...KEY.split('\n').slice(1, -2)];
  for (const secret of [PASSWORD, OTHER_PASSWORD, '$argon2', ...keys, ...signatures]) {
    assert.is(text.includes(secret), false, `${where}: ${secret}`);
  }
}

const canary = suite('Secrets show nowhere');

canary('on SQLite: not in replies, output or the database file', async () => {
  const folder = temporaryFolder();
  try {
    const file = join(folder.path, 'p.sqlite');
    const key = join(folder.path, 'key.pem');
    writeFileSync(key, KEY, { mode: 0o600 });
    const signing = { JWT_PRIVATE_KEY_FILE: key, JWT_PREVIOUS_SECRETS: SECRET };
    const env = { ...CHEAP, ...signing, DATABASE_URL: `sqlite:${file}` };
    const program = await startProgram(env);
    const seen: Seen = { bodies: [], tokens: [] };
    await everyFlow(program.url, seen);
    renameSync(file, `${file}.away`);
    await everyFlow(program.url, seen);
    renameSync(`${file}.away`, file);
    const [, metricsUrl = ''] = /metrics: (\S+)/.exec(program.output()) ?? [];
    assertClean('metrics', await (await fetch(metricsUrl)).text(), seen);
    await program.end('SIGTERM');
    assertClean('what the doctor says', (await examine(env)).text, seen);
    assert.match(seen.bodies.join(''), '"kid"');
    assert.match(program.output(), 'error', 'the failures were reported');
    assertClean('output', program.output(), seen);
    assertClean('replies', seen.bodies.join('\n'), seen);
    assert.match(seen.bodies.join('\n'), 'Too many attempts');
    const stored = readdirSync(folder.path)
      .filter((name) => join(folder.path, name) !== key)
      .map((name) => readFileSync(join(folder.path, name), 'latin1'))
      .join('');
    assert.match(stored, ADA.email, 'this is where it is stored');
    for (const refused of REFUSED) assert.match(stored, refused, 'it is on record');
    assertClean('files', stored.replaceAll('$argon2id$', ''), seen);
  } finally {
    folder.remove();
  }
});

const MARIADB = 'on MariaDB: not in replies, output or tables, nor when the database fails';

const onMariadb = async () => {
  const server = await mariadbServer(process.env['TEST_MARIADBD'] ?? 'mariadbd');
  try {
    const admin = await createConnection(server.url);
    await admin.query('CREATE DATABASE canary');
    const program = await startProgram({
      ...CHEAP,
      LOG_FORMAT: 'json',
      DATABASE_URL: `${server.url}/canary`,
    });
    const seen: Seen = { bodies: [], tokens: [] };
    await everyFlow(program.url, seen);
    const tables: unknown[] = [];
    for (const table of ['users', 'sessions', 'attempts', 'audit_events']) {
      const [rows] = await admin.query<RowDataPacket[]>(`SELECT * FROM canary.${table}`);
      assert.ok(rows.length > 0);
      tables.push(rows);
    }
    for (const refused of REFUSED) {
      assert.match(JSON.stringify(tables), refused, 'it is on record');
    }
    assertClean('tables', JSON.stringify(tables).replaceAll('$argon2id$', ''), seen);
    // Errors whose texts quote values: an unreadable hash, a column too narrow, a table gone.
    await admin.query("UPDATE canary.users SET password_hash = 'canary-hash'");
    await everyFlow(program.url, seen);
    await admin.query('ALTER TABLE canary.users MODIFY email VARCHAR(20)');
    const email = 'somebody.else@example.com';
    const json = { ...ACCOUNT, email };
    note(seen, await call(program.url, 'POST /register', { json }));
    await admin.query('RENAME TABLE canary.users TO canary.away');
    await everyFlow(program.url, seen);
    await admin.end();
    await server.kill();
    await everyFlow(program.url, seen);
    await program.end('SIGTERM');
    const output = program.output();
    for (const reported of [
      'ER_DATA_TOO_LONG',
      'ER_NO_SUCH_TABLE',
      'ECONNREFUSED',
      'cannot be read',
    ]) {
      assert.match(output, reported, 'the failures were reported');
    }
    assertClean('output', output, seen);
    assert.not.match(output, 'canary-hash');
    assert.not.match(output, email);
    assertClean('replies', seen.bodies.join('\n'), seen);
    assert.not.match(seen.bodies.join('\n'), /canary-hash|select |insert |\.ts|node_modules/i);
  } finally {
    await server.remove();
  }
};
if (isAvailable('MariaDB')) canary(MARIADB, onMariadb);
else canary.skip(MARIADB, onMariadb);

canary.run();
