import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FastHasher } from '../../src/testing/index.ts';
import { withMethods } from '../support/fakes.ts';
import { ADA, call, registered, withService } from '../support/service.ts';
import { isAvailable } from '../support/stores.ts';

// What a request costs, in what can be counted: a regression shows here and needs no quiet machine. The
// numbers are what each request needs today, and no more: raise one only for what is worth it.

/** Statements of requests to a service on one user, by the endpoint; BEGIN and COMMIT are two of them. */
const STATEMENTS: readonly (readonly [what: string, statements: number])[] = [
  // Attempts: read, counted. Then the user and the session in a transaction.
  ['registers', 6],
  // Attempts: read, counted under three limits, cleared, taken back. The account; the session.
  ['signs in', 5],
  ['fails to sign in', 3],
  ['refreshes', 2],
  ['asks for what is protected', 1],
];

function requestText(token: string): string {
  return `GET /protected HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;
}

for (const store of ['SQLite', 'MariaDB'] as const) {
  const costs = suite(`What a request costs on ${store}`);
  const it = (title: string, use: () => Promise<void>) =>
    isAvailable(store) ? costs(title, use) : costs.skip(title, use);

  it('is so many statements', () =>
    withService(store, {}, async ({ url, part }) => {
      await registered(url, { email: 'first@example.com' }); // Connections have statements of their own.
      const found = new Map<string, number>();
      let statements = 0;
      for (const knex of [part('knex'), part('counts')]) {
        knex?.on('query', () => (statements += 1));
      }
      const count = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
        statements = 0;
        const value = await work();
        found.set(what, statements);
        return value;
      };
      const tokens = await count('registers', () => registered(url));
      const { email, password } = ADA;
      await count('signs in', () => call(url, 'POST /login', { json: { email, password } }));
      const wrong = { json: { email, password: 'wrong horse' } };
      await count('fails to sign in', () => call(url, 'POST /login', wrong));
      const refresh = { json: { refresh_token: tokens.refresh_token } };
      await count('refreshes', () => call(url, 'POST /refresh', refresh));
      await count('asks for what is protected', () =>
        call(url, 'GET /protected', { token: tokens.access_token }),
      );
      assert.equal([...found], STATEMENTS);
    }));

  it('is at most 60 statements for 1,000 that ask at once for what is protected', () =>
    withService(store, {}, async ({ url, part }) => {
      const tokens: string[] = [];
      for (let i = 0; i < 40; i += 1) {
        tokens.push((await registered(url, { email: `user${i}@example.com` })).access_token);
      }
      const port = Number(new URL(url).port);
      const sockets = await Promise.all(
        Array.from({ length: 250 }, async () => {
          const socket = connect(port, '127.0.0.1').setNoDelay(true);
          await once(socket, 'connect');
          return socket;
        }),
      );
      const wave = () =>
        Promise.all(
          sockets.map(async (socket, i) => {
            socket.write(requestText(tokens[i % 40] ?? ''));
            const [reply] = (await once(socket, 'data')) as [Buffer];
            assert.match(reply.toString(), /^HTTP\/1\.1 200 /);
          }),
        );
      await wave(); // Until all connections have been accepted.
      let statements = 0;
      part('knex')?.on('query', () => (statements += 1));
      for (let i = 0; i < 4; i += 1) await wave();
      for (const socket of sockets) socket.destroy();
      assert.ok(statements > 0 && statements <= 60, `${statements} statements`);
    }));

  it('is few kinds of statements, whatever limit a list is asked for with', () =>
    withService(store, {}, async ({ url, part }) => {
      for (let i = 0; i < 5; i += 1) await registered(url, { email: `user${i}@example.com` });
      const kinds = new Set<string>();
      part('knex')?.on('query', ({ sql }: { sql: string }) => kinds.add(sql));
      for (let limit = 1; limit <= 10_000; limit += limit < 40 ? 1 : 83) {
        const { json } = await call(url, `GET /users?limit=${limit}`);
        assert.is((json as readonly object[]).length, Math.min(limit, 5));
      }
      // Each is one that the database keeps prepared, for each connection.
      assert.ok(kinds.size <= 15, `${kinds.size} kinds`);
    }));

  it('is one hash for a password, and none without', () => {
    const fast = new FastHasher();
    let hashes = 0;
    const hasher = withMethods(fast, {
      hash: (...args) => fast.hash(...((hashes += 1), args)),
      verify: (...args) => fast.verify(...((hashes += 1), args)),
    });
    return withService(store, { overrides: { hasher } }, async ({ url }) => {
      const costOf = async (work: () => Promise<unknown>) => {
        hashes = 0;
        await work();
        return hashes;
      };
      let tokens = { access_token: '', refresh_token: '' };
      assert.is(await costOf(async () => (tokens = await registered(url))), 1);
      const { email, password } = ADA;
      const login = (json: object) => costOf(() => call(url, 'POST /login', { json }));
      assert.is(await login({ email, password }), 1);
      assert.is(await login({ email, password: 'wrong horse' }), 1);
      assert.is(await login({ email: 'nobody@example.com', password }), 1);
      assert.is(await login({ email, password: '' }), 0);
      const { access_token: token, refresh_token } = tokens;
      assert.is(await costOf(() => call(url, 'GET /protected', { token })), 0);
      const refresh = { json: { refresh_token } };
      assert.is(await costOf(() => call(url, 'POST /refresh', refresh)), 0);
      assert.is(await costOf(() => call(url, 'GET /users')), 0);
    });
  });

  costs.run();
}

const memory = suite('What a request costs in memory');

/** So many bytes were allocated for a request with a token that has come before, on Node 20.20. */
const BYTES = 24_000;

/**
 * A service whose young generation holds all that the requests of the test make, so that none of it is
 * collected and the heap grows by just that. Says how large it is whenever it is told to.
 */
const PROGRAM = `
  import { readConfig } from './src/adapters/config/config.ts';
  import { serve } from './src/serve.ts';
  const service = await serve(readConfig(process.env));
  console.log(service.url);
  process.on('message', (message) => {
    if (message === 'stop') process.exit();
    if (message === 'collect') global.gc();
    process.send(process.memoryUsage().heapUsed);
  });`;

memory('is not much to collect for a token that has come before', async () => {
  const env = { PATH: process.env['PATH'], PORT: '0', DATABASE_URL: 'memory:' };
  const flags = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256'];
  const args = [...flags, '--import', 'tsx', '--input-type=module', '--eval', PROGRAM];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  try {
    if (child.stdout === null) throw new Error('no output');
    const [url] = (await once(createInterface(child.stdout), 'line')) as [string];
    const heap = async (message: string) => {
      const [size] = (child.send(message), await once(child, 'message')) as [number];
      return size;
    };
    const { access_token: token } = await registered(url);
    const socket = connect(Number(new URL(url).port), '127.0.0.1').setNoDelay(true);
    const ask = async (times: number) => {
      for (let i = 0; i < times; i += 1) {
        socket.write(requestText(token));
        const [reply] = (await once(socket, 'data')) as [Buffer];
        assert.match(reply.toString(), /^HTTP\/1\.1 200 /);
      }
    };
    await ask(3_000); // Until the code is compiled.
    const before = await heap('collect');
    await ask(2_000);
    const bytes = ((await heap('measure')) - before) / 2_000;
    socket.destroy();
    assert.ok(bytes > 1_000 && bytes < BYTES, `${bytes} bytes a request`);
    console.log(`  ${Math.round(bytes)} bytes a request`);
  } finally {
    child.send('stop');
  }
});

memory.run();
