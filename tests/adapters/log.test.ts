import { spawnSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import express from 'express';
import { createConnection } from 'mysql2/promise';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { authRouter, type FailedRequest } from '../../src/adapters/http/hosts/express.ts';
import { describeFault, nameFault, printable } from '../../src/adapters/log/faults.ts';
import { jsonLog, textLog } from '../../src/adapters/log/log.ts';
import { createAuth } from '../../src/application/index.ts';
import { fakePorts } from '../support/fakes.ts';
import { mariadbServer, temporaryFolder } from '../support/programs.ts';
import {
  ADA,
  call,
  type Program,
  rawRequest,
  registered,
  startProgram,
  TEST_ENV,
  withService,
} from '../support/service.ts';
import { isAvailable } from '../support/stores.ts';

/** Would begin a line of its own, colour it, hide it or turn it around, wherever it is shown as it is. */
const FORGED =
  'x\r\nerror FORGED\n    at FORGED (file:///x.ts:1:1)\u001b[2K\u009b1m\u2028\u2029\u0085\u202e\u0007\u0000';
const SIGNS = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/u;

/** Everything that the service prints begins with one of these. */
const KNOWN =
  /^(?:Portcullis serves http:\S+ \((?:development|production)\)|For development only; |Stopping$|error [A-Za-z]|alert a stored |  store: |  ! )/;

function assertUnforged(text: string): void {
  assert.not.match(text, SIGNS);
  for (const line of text.split('\n').filter((each) => each !== '')) {
    assert.match(line, KNOWN);
    assert.not.match(line, /^(?:error FORGED|\s*at FORGED)/);
  }
}

const faults = suite('A fault');

class Renamed extends Error {
  override readonly name = FORGED;
}

const HOSTILE: Readonly<Record<string, unknown>> = {
  'a message': new Error(FORGED),
  'a name': new Renamed('x'),
  'a code': Object.assign(new Error('x'), { code: FORGED }),
  'a stack': Object.assign(new Error('x'), { stack: FORGED }),
  'a stack of frames alone': Object.assign(new Error(''), { stack: `Error\n    at ${FORGED}` }),
  'a message set later': Object.assign(new Error(FORGED), { message: `later ${FORGED}` }),
  'several errors': new AggregateError([new Error(FORGED), new Renamed(FORGED), FORGED], FORGED),
  'a cause': new Error('x', { cause: new Error(FORGED) }),
  'a file': Object.assign(new Error('x'), { code: 'ENOENT', path: FORGED }),
  text: FORGED,
  'an object': { toString: () => FORGED, message: FORGED },
};

for (const [what, fault] of Object.entries(HOSTILE)) {
  faults(`is one line, whatever is in it: ${what}`, () => {
    for (const line of [describeFault(fault), nameFault(fault)]) {
      assert.not.match(line, /[\p{C}\p{Zl}\p{Zp}]/u);
      assert.ok(line.length < 20_000);
    }
  });
}

faults('shows where it came from, and of its message only what names it', () => {
  const fault = describeFault(new TypeError('plain words'));
  assert.match(fault, /^TypeError "plain words" at [^"]*log\.test\.ts:\d+:\d+/);
  const driver = Object.assign(new Error('canary\n    at canary (x.ts:1:1)'), { code: 'ER_DUP' });
  assert.match(describeFault(driver), /^Error ER_DUP at .*log\.test\.ts/);
  assert.not.match(describeFault(driver), 'canary');
  assert.ok(describeFault(new Error('x'.repeat(1_000_000))).length < 5_000);
});

faults('keeps every sign that only is one', () => {
  assert.is(printable(' Ünïcödé 漢字 😀 "\\\'`<>%$'), ' Ünïcödé 漢字 😀 "\\\'`<>%$');
  assert.is(printable('a\r\nb\u001bc\u2028'), 'a\\u{d}\\u{a}b\\u{1b}c\\u{2028}');
});

faults.run();

const log = suite('Lines that the service prints');

/** Text that forges lines, in every place where a client can put some. */
async function everywhere(url: string): Promise<void> {
  // What is refused, and what is taken as far as it may go.
  const refused = { username: FORGED, email: `${FORGED}@example.com`, password: FORGED };
  const taken = { ...ADA, username: 'x\u2028error FORGED\u202e', email: 'error|%0a@example.com' };
  for (const endpoint of ['register', 'login', 'refresh', 'logout', 'password', 'account']) {
    for (const fields of [refused, { ...refused, ...taken }, { ...ADA, email: FORGED }, ADA]) {
      const passwords = { confirm_password: fields.password, current_password: FORGED };
      const json = { ...fields, ...passwords, refresh_token: FORGED };
      await call(url, `POST /${endpoint}`, { json });
    }
  }
  const encoded = encodeURIComponent(FORGED);
  for (const path of [`/${encoded}`, `/users?email=${encoded}`, `/users?after=${encoded}`]) {
    await call(url, `GET ${path}`);
    await call(url, `DELETE /sessions${path}`, { token: 'x' });
  }
  const raw = Buffer.from('x\u001b[2Kerror FORGED\u0085\u009b').toString('latin1');
  for (const name of ['User-Agent', 'Authorization', 'Origin', 'Host', raw]) {
    await rawRequest(url, `GET /users HTTP/1.1\r\nConnection: close\r\n${name}: ${raw}\r\n\r\n`);
  }
  await rawRequest(url, `GET /${raw} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  await rawRequest(url, `${FORGED}\r\n\r\n`);
}

async function assertReports(program: Program, count: number): Promise<void> {
  await program.end('SIGTERM');
  const output = program.output();
  assertUnforged(output);
  const errors = output.match(/^error /gm)?.length ?? 0;
  assert.ok(errors >= count, `${errors} faults reported`);
}

log('are its own while its SQLite file is away', async () => {
  const folder = temporaryFolder();
  try {
    const file = join(folder.path, 'p.sqlite');
    const program = await startProgram({ ...TEST_ENV, DATABASE_URL: `sqlite:${file}` });
    await everywhere(program.url);
    renameSync(file, `${file}.away`);
    await everywhere(program.url);
    await assertReports(program, 3);
  } finally {
    folder.remove();
  }
});

const ON_MARIADB = 'are its own while MariaDB refuses or is gone';

const onMariadb = async () => {
  const server = await mariadbServer(process.env['TEST_MARIADBD'] ?? 'mariadbd');
  try {
    const admin = await createConnection(server.url);
    await admin.query('CREATE DATABASE log_test');
    const program = await startProgram({ ...TEST_ENV, DATABASE_URL: `${server.url}/log_test` });
    await everywhere(program.url);
    await admin.query('RENAME TABLE log_test.users TO log_test.away');
    await everywhere(program.url);
    await admin.end();
    await server.kill();
    await everywhere(program.url);
    await assertReports(program, 5);
  } finally {
    await server.remove();
  }
};
if (isAvailable('MariaDB')) log(ON_MARIADB, onMariadb);
else log.skip(ON_MARIADB, onMariadb);

log('are its own where a part throws what it likes', async () => {
  const throwing = `
    import { readConfig } from './src/adapters/config/config.ts';
    import { serve } from './src/serve.ts';
    const text = ${JSON.stringify(FORGED)};
    const faults = [
      () => new Error(text),
      () => Object.assign(new Error('x'), { name: text }),
      () => Object.assign(new Error('x'), { code: text }),
      () => Object.assign(new Error('x'), { stack: text + '\\n    at ' + text }),
      () => new AggregateError([new Error(text), text], text),
      () => text,
      () => undefined,
    ];
    let next = 0;
    const fail = () => { next += 1; throw faults[next % faults.length](); };
    const users = new Proxy({}, { get: () => next % 2 ? fail : async () => fail() });
    const { url } = await serve(readConfig(process.env), { users });
    console.log('Portcullis serves ' + url + ' (development)');
  `;
  const command = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', throwing];
  const program = await startProgram({ ...TEST_ENV, DATABASE_URL: 'memory:' }, command);
  for (let i = 0; i < 20; i += 1) {
    assert.is((await call(program.url, 'POST /login', { json: ADA })).status, 500);
    assert.is((await call(program.url, 'GET /users')).status, 500);
  }
  await assertReports(program, 40);
});

log('are its own when it dies of what nobody caught', async () => {
  const dying = `
    const text = ${JSON.stringify(FORGED)};
    process.on('SIGUSR2', () => { throw new Error(text); });
    process.on('SIGHUP', () => { Promise.reject(Object.assign(new Error(text), { code: text })); });
    await import('./src/main.ts');
  `;
  const main = ['--import', 'tsx', '--input-type=module', '-e', dying, 'src/main.ts'];
  for (const signal of ['SIGUSR2', 'SIGHUP'] as const) {
    const env = { ...TEST_ENV, DATABASE_URL: 'memory:' };
    const program = await startProgram(env, [process.execPath, ...main]);
    assert.is(await program.end(signal), 1);
    assertUnforged(program.output());
    assert.match(program.output(), /^error Error /m);
  }
});

log(
  'are its own where a setting that is shown, or a fault of one, has more than a line',
  async () => {
    const folder = temporaryFolder();
    try {
      const name = 'p\nerror FORGED\u001b[2K.sqlite';
      const database = { DATABASE_URL: `sqlite:${join(folder.path, name)}` };
      const program = await startProgram({ ...TEST_ENV, ...database });
      await program.end('SIGTERM');
      assertUnforged(program.output());
      const env = { ...TEST_ENV, DATABASE_URL: 'memory:', HOST: 'x\nerror FORGED\u001b[2K' };
      const failure: unknown = await startProgram(env).catch((error: unknown) => error);
      assert.match(
        String(failure),
        /^Error: ended with 1: HOST x\\u\{a\}error FORGED\\u\{1b\}[^\n]*\n$/,
      );
    } finally {
      folder.remove();
    }
  },
);

log.run();

const records = suite('Records of the log');

interface LogRecord {
  readonly level: string;
  readonly time: string;
  readonly pid: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

const FIELDS = new Set([
  'level',
  'time',
  'pid',
  'msg',
  'request_id',
  'method',
  'route',
  'status',
  'duration_ms',
  'client_address',
]);

/** Every line, which must be JSON of known members. */
function recordsOf(output: string): readonly LogRecord[] {
  assert.not.match(output, SIGNS);
  return output
    .trim()
    .split('\n')
    .map((line) => {
      const record = JSON.parse(line) as LogRecord;
      for (const name of Object.keys(record)) assert.ok(FIELDS.has(name), name);
      assert.ok(['error', 'warn', 'info'].includes(record.level));
      assert.ok(Math.abs(new Date(record.time).getTime() - Date.now()) < 60_000);
      assert.not.match(record.msg, /^error FORGED/);
      return record;
    });
}

records(
  'are lines of JSON in production, and a fault is found by the id in its reply',
  async () => {
    const folder = temporaryFolder();
    try {
      const file = join(folder.path, 'p.sqlite');
      const program = await startProgram({
        ...TEST_ENV,
        NODE_ENV: 'production',
        ARGON2_MEMORY_KIB: '19456',
        ARGON2_PASSES: '2',
        DATABASE_URL: `sqlite:${file}`,
      });
      renameSync(file, `${file}.away`);
      await everywhere(program.url);
      const { status, headers } = await call(program.url, 'POST /login', { json: ADA });
      assert.is(status, 500);
      await program.end('SIGTERM');
      const all = recordsOf(program.output());
      assert.match(all[0]?.msg ?? '', /^Portcullis serves http:\S+ \(production\)$/);
      assert.is(all.at(-1)?.msg, 'Stopping');
      const id = headers.get('x-request-id');
      const found = all.filter((record) => record['request_id'] === id);
      assert.is(found.length, 1);
      assert.is(found[0]?.level, 'error');
      assert.is(found[0]?.['route'], '/login');
      assert.is(found[0]?.['method'], 'POST');
    } finally {
      folder.remove();
    }
  },
);

records(
  'of requests are there if they are asked for, and show nothing that a client wrote',
  async () => {
    const env = { ...TEST_ENV, DATABASE_URL: 'memory:', LOG_FORMAT: 'json', ACCESS_LOG: 'on' };
    const program = await startProgram(env);
    const { url } = program;
    await registered(url);
    const said = await call(url, 'DELETE /sessions/canary?canary=1', { token: 'canary' });
    await call(url, 'GET /canary');
    await everywhere(url);
    await program.end('SIGTERM');
    const all = recordsOf(program.output());
    assert.not.match(program.output(), /canary|example\.com|FORGED/);
    const id = said.headers.get('x-request-id') ?? '';
    assert.match(id, /^[\da-f-]{36}$/);
    const [ending] = all.filter((record) => record['request_id'] === id);
    assert.is(ending?.msg, 'request');
    assert.is(ending?.['route'], '/sessions/{id}');
    assert.is(ending?.['status'], 401);
    assert.is(ending?.['client_address'], '127.0.0.1');
    assert.ok(Number(ending?.['duration_ms']) > 0);
    assert.ok(all.some(({ route, status }) => route === undefined && status === 404));
  },
);

/** An output that takes nothing until it is told to, and then all that waits. */
function blockedOutput() {
  const chunks: string[] = [];
  let resume = () => {};
  const output = new Writable({
    decodeStrings: false,
    write(chunk, _, done) {
      chunks.push(String(chunk));
      resume = done;
    },
  });
  const drain = async () => {
    while (output.writableLength > 0) {
      resume();
      await new Promise(setImmediate);
    }
  };
  return { output, drain, text: () => chunks.join('') };
}

for (const [name, open] of [
  ['text', async (output: Writable) => textLog('info', output)],
  ['JSON', async (output: Writable) => jsonLog('info', output)],
] as const) {
  records(
    `of ${name} that nobody reads are dropped, which is told of when somebody does`,
    async () => {
      const { output, drain, text } = blockedOutput();
      const lines = await open(output);
      for (let i = 0; i < 3_000; i += 1) lines.info(`${'x'.repeat(100)} line ${i}.`);
      const waiting = output.writableLength;
      assert.ok(waiting > 64 * 1024 && waiting < 66 * 1024, `${waiting} bytes wait`);
      await drain();
      const written = text().match(/ line \d+\./g)?.length ?? 0;
      assert.not.match(text(), 'dropped');
      for (const message of ['read again', 'and again']) lines.info(message);
      await drain();
      assert.ok(written > 100);
      assert.match(text(), `${3_000 - written} lines were dropped, since nobody read them`);
      assert.ok(text().indexOf('dropped') < text().indexOf('read again'));
      assert.is(text().match(/dropped/g)?.length, 1, 'it is told once');
    },
  );
}

records('are of the levels that are asked for', async () => {
  const program = `
    import { jsonLog, textLog } from './src/adapters/log/log.ts';
    for (const level of ['error', 'warn', 'info']) {
      for (const log of [textLog(level), await jsonLog(level)]) {
        log.info('well', { requestId: 'r', method: 'GET', route: '/x', status: 200 });
        log.alert('look');
        log.error('x', { requestId: 'r' });
      }
    }`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', program];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const lines = stdout.trim().split('\n');
  const written = lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogRecord);
  assert.equal(written.map(({ level }) => level).join(), 'error,warn,error,info,warn,error');
  assert.equal(
    lines.filter((line) => !line.startsWith('{')),
    ['well [GET /x, 200, request r]'],
  );
  assert.is(
    stderr,
    'error string [request r]\n' + 'alert look\nerror string [request r]\n'.repeat(2),
  );
});

records.run();

const ids = suite('The id of a request');

async function idOf(url: string, sent?: string): Promise<string | null> {
  const headers = sent === undefined ? {} : { 'X-Request-Id': sent };
  return (await call(url, 'GET /health/live', { headers })).headers.get('x-request-id');
}

const MADE = /^[\da-f]{8}-[\da-f-]{27}$/;

ids('is that of a proxy, where it is trusted and an id, and made here otherwise', async () => {
  const env = { ACCESS_LOG: 'on', LOG_LEVEL: 'error' };
  await withService('memory', { env: { ...env, TRUST_PROXY: '1' } }, async ({ url }) => {
    assert.is(await idOf(url, 'from-the-proxy_1'), 'from-the-proxy_1');
    assert.match((await idOf(url)) ?? '', MADE);
    for (const sent of ['a b', '"x"', 'x'.repeat(129), 'é', 'a, b']) {
      assert.match((await idOf(url, sent)) ?? '', MADE, sent);
    }
  });
  await withService('memory', { env: { ...env, TRUST_PROXY: '10.0.0.1' } }, async ({ url }) => {
    assert.match((await idOf(url, 'from-a-client')) ?? '', MADE);
  });
  await withService('memory', { env }, async ({ url }) => {
    assert.match((await idOf(url, 'from-a-client')) ?? '', MADE);
    assert.is.not(await idOf(url), await idOf(url));
  });
});

ids('is in no reply but to faults, unless requests are logged', () =>
  withService('memory', {}, async ({ url }) => {
    assert.is(await idOf(url), null);
  }),
);

ids('is that of the application around, and told to whom faults are told', async () => {
  const told: unknown[] = [];
  const auth = createAuth(fakePorts());
  const failing = { ...auth, login: () => Promise.reject(new Error('down')) };
  const report = (_: unknown, request?: FailedRequest) => told.push(request);
  const app = express().use(
    (request, _response, next) => {
      Object.assign(request, { id: 'given-by-the-app' });
      next();
    },
    authRouter(failing, { report }),
  );
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const answer = await call(`http://127.0.0.1:${port}`, 'POST /login', { json: ADA });
  server.close();
  assert.is(answer.headers.get('x-request-id'), 'given-by-the-app');
  assert.equal(told, [{ id: 'given-by-the-app', method: 'POST', route: '/login' }]);
});

ids.run();
