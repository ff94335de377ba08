import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { handles } from '../../bench/measure.ts';
import { freePort, temporaryFolder } from '../support/programs.ts';
import {
  ADA,
  call,
  type Program,
  rawRequest,
  registered,
  startProgram,
} from '../support/service.ts';
import { isAvailable, withDatabaseUrl } from '../support/stores.ts';

const workers = suite('Workers');

const CHEAP = { PORT: '0', ARGON2_MEMORY_KIB: '64', ARGON2_PASSES: '1', WORKERS: '2' };

function start(databaseUrl: string, env: Readonly<Record<string, string>> = {}): Promise<Program> {
  return startProgram({ ...CHEAP, DATABASE_URL: databaseUrl, ...env });
}

/** The processes that a process has started, and that are there. */
function childrenOf({ process: { pid = 0 } }: Program): readonly number[] {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const texts = tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8'));
  return texts.join(' ').split(/\s+/).filter(Boolean).map(Number);
}

/** The workers among them: what compiles TypeScript is a child, too. */
function workersOf(program: Program): readonly number[] {
  return childrenOf(program).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('main.cjs'),
  );
}

function socketsOf(pid: number): number {
  return handles(pid).sockets;
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries === 200) assert.unreachable(`never: ${what}`);
    await sleep(50);
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A request on a connection of its own: connections go to the workers in turn. */
function ask(url: string, endpoint: string, token: string): Promise<string> {
  return rawRequest(
    url,
    `${endpoint} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
  );
}

for (const store of ['SQLite', 'MariaDB'] as const) {
  const name = `on ${store}, each honours what another has made, and sees at once what it has ended`;
  if (!isAvailable(store)) {
    workers.skip(name, () => {});
    continue;
  }
  workers(name, () =>
    withDatabaseUrl(store, async (databaseUrl) => {
      const program = await start(databaseUrl);
      const { url } = program;
      const pids = workersOf(program);
      assert.is(pids.length, 2);

      const before = pids.map(socketsOf);
      const port = Number(new URL(url).port);
      const sockets: Socket[] = [];
      await until('both workers have connections', async () => {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        await once(socket, 'connect');
        sockets.push(socket);
        return pids.every((pid, i) => socketsOf(pid) > (before[i] ?? 0));
      });
      for (const socket of sockets) socket.destroy();

      const tokens = await registered(url);
      const other = await call(url, 'POST /login', { json: ADA });
      const { access_token: token } = tokens;
      // More than there are workers, so that each has verified the token, and keeps it.
      const asked = Array.from({ length: 6 }, () => ask(url, 'GET /protected', token));
      for (const reply of await Promise.all(asked)) assert.match(reply, 'HTTP/1.1 200');
      assert.is(other.status, 200);

      const refresh = { json: { refresh_token: tokens.refresh_token } };
      assert.is((await call(url, 'POST /logout-all', { token })).status, 204);
      for (let i = 0; i < 4; i += 1) {
        assert.is((await call(url, 'POST /refresh', refresh)).status, 401);
      }
      const deletion = { json: { password: ADA.password }, token };
      assert.is((await call(url, 'DELETE /account', deletion)).status, 204);
      for (let i = 0; i < 6; i += 1) {
        assert.match(await ask(url, 'GET /protected', token), 'HTTP/1.1 404');
      }
      assert.is(await program.end('SIGTERM'), 0);
    }),
  );
}

workers('one that dies is replaced, and the others serve on', () =>
  withDatabaseUrl('SQLite', async (databaseUrl) => {
    const program = await start(databaseUrl);
    const [first = 0, second = 0] = workersOf(program);
    const { access_token: token } = await registered(program.url);
    process.kill(first, 'SIGKILL');
    await until('it is noticed', () =>
      program.output().includes(`worker ${first} ended (SIGKILL)`),
    );
    for (let i = 0; i < 4; i += 1) {
      assert.match(await ask(program.url, 'GET /protected', token), 'HTTP/1.1 200');
    }
    await until('another is there', () => workersOf(program).length === 2);
    assert.ok(workersOf(program).includes(second));
    assert.not(workersOf(program).includes(first));
    assert.is(await program.end('SIGTERM'), 0);
  }),
);

// A supervisor may tell the first process alone, or all that there are; a terminal tells all.
for (const [signal, who] of [
  ['SIGTERM', 'the first process'],
  ['SIGTERM', 'every process'],
  ['SIGINT', 'every process'],
] as const) {
  workers(`${signal} to ${who} lets all finish what they do, and leaves none behind`, () =>
    withDatabaseUrl('SQLite', async (databaseUrl) => {
      const program = await start(databaseUrl, { METRICS_PORT: '0', RATE_LIMIT: 'off' });
      const pids = workersOf(program);
      const metricsUrl = () => /metrics: (\S+)/.exec(program.output())?.[1] ?? '';
      await until('the metrics have an address', () => metricsUrl() !== '');
      // The write lock holds the requests under way: none is over when the signal comes, and none is
      // still on its way. Without limits nothing is written before the hash, which tells that.
      const locker = new Database(databaseUrl.replace('sqlite:', ''));
      locker.exec('BEGIN IMMEDIATE');
      const under = ['ada', 'bob', 'eve'].map((name) =>
        registered(program.url, { email: `${name}@example.com` }),
      );
      await until('all have their hash and wait for the lock', async () => {
        const text = await (await fetch(metricsUrl())).text();
        const [, hashes] = /^portcullis_hash_wait_seconds_count (\d+)$/m.exec(text) ?? [];
        return Number(hashes) === under.length;
      });
      if (who === 'every process') for (const pid of pids) process.kill(pid, signal);
      const ended = program.end(signal);
      locker.exec('COMMIT');
      locker.close();
      assert.is((await Promise.all(under)).length, 3);
      assert.is(await ended, 0);
      await until('no worker is left', () => !pids.some(isThere));
    }),
  );
}

workers('none outlives the process that started it', () =>
  withDatabaseUrl('SQLite', async (databaseUrl) => {
    const program = await start(databaseUrl);
    const pids = workersOf(program);
    assert.is(pids.length, 2);
    await program.end('SIGKILL');
    await until('no worker is left', () => !pids.some(isThere));
  }),
);

workers('one whose starter is gone finishes what it does before it ends', () =>
  withDatabaseUrl('SQLite', async (databaseUrl) => {
    const cost = { ARGON2_MEMORY_KIB: '65536', ARGON2_PASSES: '6' };
    const program = await start(databaseUrl, cost);
    const pids = workersOf(program);
    const under = registered(program.url);
    await sleep(100);
    await program.end('SIGKILL');
    assert.type((await under).access_token, 'string');
    await until('no worker is left', () => !pids.some(isThere));
  }),
);

workers('what keeps all from starting is said once, and ends the start', () =>
  withDatabaseUrl('SQLite', async (databaseUrl) => {
    const program = await start(databaseUrl, { PORT: String(await freePort()) });
    const { port } = new URL(program.url);
    const fault = await start(databaseUrl, { PORT: port }).then(String, String);
    assert.is(fault.split(`PORT ${port} cannot be used`).length, 2, fault);
    assert.match(fault, 'ended with 1');
    assert.is(await program.end('SIGTERM'), 0);
  }),
);

/** Variables by which the worker of this number (1 is the first) is killed as it starts. */
function killing(folder: string, number: number): Readonly<Record<string, string>> {
  const file = join(folder, 'kill.cjs');
  const isThatOne = `require('node:cluster').worker?.id === ${number}`;
  writeFileSync(file, `if (${isThatOne}) process.kill(process.pid, 'SIGKILL');`);
  return { NODE_OPTIONS: `--require ${file}` };
}

workers('one that is killed as it starts is replaced, too', () =>
  withDatabaseUrl('SQLite', async (databaseUrl) => {
    const folder = temporaryFolder();
    const program = await start(databaseUrl, { WORKERS: '3', ...killing(folder.path, 3) });
    await until('it is noticed', () => /worker \d+ ended \(SIGKILL\)/.test(program.output()));
    await until('another is there', () => workersOf(program).length === 3);
    assert.is(await program.end('SIGTERM'), 0);
    folder.remove();
  }),
);

workers('a first one that is killed ends the start, which says so', () =>
  withDatabaseUrl('SQLite', async (databaseUrl) => {
    const folder = temporaryFolder();
    const fault = await start(databaseUrl, killing(folder.path, 1)).then(String, String);
    assert.match(fault, /worker \d+ ended \(SIGKILL\) before it served/);
    assert.match(fault, 'ended with 1');
    folder.remove();
  }),
);

workers.run();
