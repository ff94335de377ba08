import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/adapters/config/config.ts';
import { serve } from '../../src/serve.ts';
import { FastHasher } from '../../src/testing/index.ts';
import { LEGACY_HASHES } from '../support/legacy-hashes.ts';
import { ADA, call, registered, TEST_ENV, withService } from '../support/service.ts';
import { withDatabases } from '../support/stores.ts';

const service = suite('The service as it is put together');

service('measures a stored hash of each other kind before its first request', () =>
  withDatabases('SQLite', async (knex, _, DATABASE_URL) => {
    const others = [LEGACY_HASHES['PBKDF2, Django'], LEGACY_HASHES['scrypt, PHC']];
    for (const [i, hash] of [...others, ...others].entries()) {
      const row = { username: 'A', email: `${i}@example.com`, date_created: '' };
      await knex?.('users').insert({ ...row, password_hash: hash });
    }
    const calls: (readonly string[])[] = [];
    const hasher = Object.assign(new FastHasher(), {
      async measure(hashes: readonly string[]) {
        calls.push(hashes);
      },
    });
    const config = readConfig({ ...TEST_ENV, DATABASE_URL });
    const { stop } = await serve(config, { hasher });
    try {
      assert.equal(calls, [others]);
    } finally {
      await stop();
    }
  }),
);

service('serves although stored hashes cannot be measured, and says so', () =>
  withDatabases('SQLite', async (_, __, DATABASE_URL) => {
    const fault = new Error('there is no memory for that');
    const faults: unknown[] = [];
    const hasher = Object.assign(new FastHasher(), { measure: () => Promise.reject(fault) });
    const nothing = () => {};
    const log = {
      info: nothing,
      alert: nothing,
      audit: nothing,
      error: (thrown: unknown) => void faults.push(thrown),
    };
    const config = readConfig({ ...TEST_ENV, DATABASE_URL });
    const { url, stop } = await serve(config, { hasher, log });
    try {
      assert.equal(faults, [fault]);
      assert.is((await call(url, 'GET /health/ready')).status, 200);
    } finally {
      await stop();
    }
  }),
);

service('limits guesses while its database takes no writes, and lets the right password in', () =>
  withService('SQLite', {}, async ({ url, part }) => {
    await registered(url);
    for (const name of ['knex', 'counts'] as const) await part(name)?.raw('PRAGMA query_only = ON');
    const login = async (password: string) =>
      (await call(url, 'POST /login', { json: { email: ADA.email, password } })).status;
    assert.is(await login('wrong horse'), 401);
    assert.is(await login(ADA.password), 200);
    const guesses: number[] = [];
    for (let i = 0; i < 30; i += 1) guesses.push(await login('wrong horse'));
    assert.is(guesses.at(0), 401);
    assert.is(guesses.at(-1), 429);
    assert.is(guesses.includes(500), false);
  }),
);

service('shares its connections among its workers', async () => {
  for (const [workers, connections, each] of [
    ['1', '60', 60],
    ['3', '60', 20],
    ['7', '60', 9],
  ] as const) {
    const env = { WORKERS: workers, MAX_CONNECTIONS: connections, METRICS_PORT: '0' };
    await withService('SQLite', { env }, async ({ metricsUrl = '' }) => {
      const text = await (await fetch(metricsUrl)).text();
      const [, most] = /^portcullis_connections_max (\d+)$/m.exec(text) ?? [];
      assert.is(Number(most), each, `${connections} for ${workers}`);
    });
  }
});

service.run();
