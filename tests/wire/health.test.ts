import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fetchHandler } from '../../src/adapters/http/hosts/fetch.ts';
import { Readiness } from '../../src/adapters/process/readiness.ts';
import { createAuth } from '../../src/application/index.ts';
import { fakePorts } from '../support/fakes.ts';
import { findMariadb, mariadbServer } from '../support/programs.ts';
import {
  ADA,
  assertMessage,
  call,
  registered,
  startProgram,
  withService,
} from '../support/service.ts';
import { isAvailable, STORE_NAMES, withDatabaseUrl } from '../support/stores.ts';

const LIVE = 'GET /health/live';
const READY = 'GET /health/ready';
const CHEAP = { PORT: '0', ARGON2_MEMORY_KIB: '64', ARGON2_PASSES: '1' };

const readiness = suite('Readiness');

readiness('asks once a second at most, however many ask', async () => {
  let asked = 0;
  const { isReady } = new Readiness(async () => (asked += 1));
  const burst = () => Promise.all(Array.from({ length: 1_000 }, isReady));
  assert.ok((await burst()).every(Boolean));
  await sleep(100);
  assert.ok((await burst()).every(Boolean));
  assert.is(asked, 1);
  await sleep(1_100);
  await burst();
  assert.is(asked, 2);
});

readiness(
  'waits less than a second for what hangs, and asks it no more until it has ended',
  async () => {
    let asked = 0;
    let end = () => {};
    const { isReady } = new Readiness(() => {
      asked += 1;
      return new Promise<void>((resolve) => (end = resolve));
    });
    const started = performance.now();
    assert.is(await isReady(), false);
    assert.ok(performance.now() - started < 1_000);
    await sleep(1_100);
    assert.is(await isReady(), false);
    assert.is(asked, 1);
    end();
    await sleep(0);
    const again = isReady();
    end();
    assert.is(await again, true);
    assert.is(asked, 2);
  },
);

readiness(
  'is over where what is asked fails, or throws at once, and comes back by itself',
  async () => {
    let isDown = true;
    const probe = (): Promise<void> => {
      if (isDown) throw new Error('down');
      return Promise.resolve();
    };
    const { isReady } = new Readiness(probe);
    assert.is(await isReady(), false);
    isDown = false;
    assert.is(await isReady(), false, 'for a moment');
    await sleep(1_100);
    assert.is(await isReady(), true);
  },
);

readiness('is over once it is told to stop, whatever was asked before', async () => {
  let end = () => {};
  const ready = new Readiness(() => new Promise<void>((resolve) => (end = resolve)));
  const asked = ready.isReady();
  ready.stop();
  end();
  assert.is(await asked, false);
  assert.is(await ready.isReady(), false);
});

readiness.run();

const health = suite('Health');

for (const store of STORE_NAMES) {
  const title = `on ${store}, a service that serves says that it lives and is ready`;
  const test = () =>
    withService(store, {}, async ({ url }) => {
      assertMessage(await call(url, LIVE), 200, 'Alive');
      assertMessage(await call(url, READY), 200, 'Ready');
      assert.is((await call(url, 'HEAD /health/ready')).status, 200);
      assertMessage(await call(url, 'POST /health/ready'), 405, 'Method not allowed');
    });
  if (isAvailable(store)) health(title, test);
  else health.skip(title, test);
}

health('is told by those who embed the endpoints only if they say what is ready', async () => {
  const ask = (handler: ReturnType<typeof fetchHandler>, path: string) =>
    handler(new Request(`http://x${path}`)).then(({ status }) => status);
  const auth = createAuth(fakePorts());
  const without = fetchHandler(auth);
  assert.is(await ask(without, '/health/live'), 404);
  assert.is(await ask(without, '/health/ready'), 404);
  let isReady = true;
  const handler = fetchHandler(auth, { isReady: async () => isReady });
  assert.is(await ask(handler, '/health/ready'), 200);
  isReady = false;
  assert.is(await ask(handler, '/health/ready'), 503);
  assert.is(await ask(handler, '/health/live'), 200);
  assert.throws(() => fetchHandler(auth, { isReady: true } as never), /isReady must be a function/);
});

for (const workers of ['1', '2']) {
  health(`with WORKERS=${workers}, is over from SIGTERM on, while the service serves on`, () =>
    withDatabaseUrl('SQLite', async (databaseUrl) => {
      const env = { ...CHEAP, DATABASE_URL: databaseUrl, WORKERS: workers, SHUTDOWN_DELAY: '2s' };
      const program = await startProgram(env);
      const { url } = program;
      const { access_token: token } = await registered(url);
      assertMessage(await call(url, READY), 200, 'Ready');
      const started = performance.now();
      const ended = program.end('SIGTERM');
      await sleep(500);
      for (let i = 0; i < 4; i += 1) {
        const close = { headers: { Connection: 'close' } };
        assertMessage(await call(url, READY, close), 503, 'Not ready');
        assertMessage(await call(url, LIVE, close), 200, 'Alive');
        assert.is((await call(url, 'GET /protected', { ...close, token })).status, 200);
      }
      assert.is((await call(url, 'POST /login', { json: ADA })).status, 200);
      assert.is(await ended, 0);
      assert.ok(performance.now() - started > 2_000);
      assert.is(await fetch(`${url}/health/live`).catch(() => 'gone'), 'gone');
    }),
  );
}

const daemon = findMariadb();
const FROZEN = 'is over while the database hangs, and back when it answers again';
const frozen = async () => {
  const server = await mariadbServer(daemon ?? '');
  try {
    const { createConnection } = await import('mysql2/promise');
    const connection = await createConnection(server.url);
    await connection.query('CREATE DATABASE portcullis');
    await connection.end();
    const program = await startProgram({ ...CHEAP, DATABASE_URL: `${server.url}/portcullis` });
    const { url } = program;
    assertMessage(await call(url, READY), 200, 'Ready');
    await sleep(1_100);
    server.signal('SIGSTOP');
    await sleep(100); // A signal is on its way for a moment.
    const started = performance.now();
    assertMessage(await call(url, READY), 503, 'Not ready');
    assert.ok(performance.now() - started < 1_000);
    assertMessage(await call(url, LIVE), 200, 'Alive');
    server.signal('SIGCONT');
    let status = 503;
    for (let tries = 0; status !== 200 && tries < 60; tries += 1) {
      await sleep(100);
      ({ status } = await call(url, READY));
    }
    assert.is(status, 200);
    await program.end('SIGTERM');
  } finally {
    server.signal('SIGCONT');
    await server.remove();
  }
};
if (daemon === undefined) health.skip(FROZEN, frozen);
else health(FROZEN, frozen);

health.run();
