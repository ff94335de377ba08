import { execFileSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { serveMetrics } from '../../src/adapters/metrics/metrics-server.ts';
import { Metrics } from '../../src/adapters/metrics/metrics.ts';
import { type Auth, AuthError, createAuth, intercept } from '../../src/application/index.ts';
import { fakePorts } from '../support/fakes.ts';
import { ADA, call, type Program, registered } from '../support/service.ts';
import { startProgram, withService } from '../support/service.ts';
import { withDatabaseUrl } from '../support/stores.ts';

const REQUESTS = 'http_server_request_duration_seconds_count';
const USE_CASES = 'portcullis_use_cases_total';
const CHEAP = { PORT: '0', ARGON2_MEMORY_KIB: '64', ARGON2_PASSES: '1' };

/** The samples of a text as Prometheus reads it, by their names with labels. */
function samplesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [, name = line, value] = /^(\S+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      return [name, Number(value)];
    }),
  );
}

async function read(metricsUrl = ''): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(metricsUrl);
  assert.is(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  return samplesOf(await response.text());
}

function requests(method: string, route: string, status: number | string): string {
  return `${REQUESTS}{method="${method}",route="${route}",status="${status}"}`;
}

function useCase(name: string, outcome: string): string {
  return `${USE_CASES}{use_case="${name}",outcome="${outcome}"}`;
}

const ON = { env: { METRICS_PORT: '0' } };

const metrics = suite('Metrics');

metrics('count requests by method, route and status, and sign-ins by what came of them', () =>
  withService('memory', ON, async ({ url, metricsUrl }) => {
    const { access_token: token, refresh_token } = await registered(url);
    await call(url, 'POST /login', { json: ADA });
    await call(url, 'POST /login', { json: { ...ADA, password: 'wrong horse' } });
    await call(url, 'POST /login', { json: { ...ADA, email: 'nobody@example.com' } });
    await call(url, 'POST /refresh', { json: { refresh_token } });
    for (let i = 0; i < 3; i += 1) await call(url, 'GET /protected', { token });
    await call(url, 'DELETE /sessions/no-such-session', { token });
    await fetch(`${url}/account/sign-in`);
    await sleep(50); // The answer is out before its end is noted.
    const samples = await read(metricsUrl);
    assert.is(samples.get(requests('POST', '/register', 201)), 1);
    assert.is(samples.get(requests('POST', '/login', 200)), 1);
    assert.is(samples.get(requests('POST', '/login', 401)), 2);
    assert.is(samples.get(requests('GET', '/protected', 200)), 3);
    assert.is(samples.get(requests('DELETE', '/sessions/{id}', 404)), 1);
    assert.is(samples.get(requests('GET', '/account/sign-in', 200)), 1);
    assert.is(samples.get(useCase('login', 'success')), 1);
    assert.is(samples.get(useCase('login', 'invalid_credentials')), 2);
    assert.is(samples.get(useCase('register_user', 'success')), 1);
    assert.is(samples.get(useCase('refresh_token', 'success')), 1);
    assert.is(samples.get('portcullis_hash_wait_seconds_count'), 4);
    assert.is(samples.get('portcullis_processes'), 1);
    assert.ok((samples.get('process_resident_memory_bytes') ?? 0) > 1e7);
    assert.ok([...samples.keys()].some((name) => name.startsWith('nodejs_eventloop_lag_')));
  }),
);

metrics('have no more series, whatever is asked for, and nothing of what is in a request', () =>
  withService('memory', ON, async ({ url, metricsUrl }) => {
    await registered(url);
    await call(url, 'GET /canary-path');
    await call(url, 'PUT /login');
    await sleep(50);
    // Node's own have one more for each kind of collection of garbage that it comes to.
    const ours = (samples: ReadonlyMap<string, number>) =>
      [...samples.keys()].filter((name) => name.startsWith('portcullis_'));
    const before = ours(await read(metricsUrl));
    assert.ok(before.length > 30);
    for (let i = 0; i < 20; i += 1) {
      await call(url, `GET /canary-${i}?canary=${i}`);
      await fetch(`${url}/login`, { method: ['PUT', 'PATCH'][i % 2] ?? '' });
    }
    await sleep(50);
    const text = await (await fetch(metricsUrl ?? '')).text();
    assert.equal(ours(samplesOf(text)), before);
    assert.not.match(text, /canary|ada|example\.com|correct horse/i);
    assert.is(samplesOf(text).get(requests('GET', 'none', 404)), 21);
    assert.is(samplesOf(text).get(requests('other', '/login', 405)), 21);
  }),
);

metrics('tell of clients that were gone before their answer', () =>
  withService('memory', ON, async ({ url, metricsUrl }) => {
    const head = 'POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`${head}Content-Length: 9\r\n\r\n{`);
    await sleep(100);
    socket.destroy();
    await sleep(100);
    const samples = await read(metricsUrl);
    assert.is(samples.get(requests('POST', '/login', 'gone')), 1);
  }),
);

metrics('show how many hashes run and wait, and the connections to the database', () =>
  withService(
    'SQLite',
    { env: { ...ON.env, HASH_CONCURRENCY: '1', ARGON2_MEMORY_KIB: '19456', ARGON2_PASSES: '8' } },
    async ({ url, metricsUrl }) => {
      const logins = Array.from({ length: 4 }, (_, i) =>
        call(url, 'POST /login', { json: { ...ADA, email: `${i}@example.com` } }),
      );
      let waiting = 0;
      for (let tries = 0; waiting === 0 && tries < 100; tries += 1) {
        const samples = await read(metricsUrl);
        waiting = samples.get('portcullis_hashes_waiting') ?? 0;
        if (waiting > 0) assert.is(samples.get('portcullis_hashes_running'), 1);
      }
      assert.ok(waiting > 0);
      await Promise.all(logins);
      const samples = await read(metricsUrl);
      assert.is(samples.get('portcullis_hashes_waiting'), 0);
      assert.is(samples.get('portcullis_hashes_running'), 0);
      assert.is(samples.get('portcullis_hash_wait_seconds_count'), 4);
      // One after the other: they wait for none, one, two and three hashes, and take four.
      const waited = samples.get('portcullis_hash_wait_seconds_sum') ?? 0;
      const took = samples.get('portcullis_hash_duration_seconds_sum') ?? 0;
      assert.ok(took > 0.01);
      assert.ok(waited > took, `${waited} s of waiting, ${took} s of hashing`);
      assert.is(samples.get('portcullis_database_pool_free'), 1);
      assert.ok((samples.get('portcullis_connections') ?? 0) > 0);
    },
  ),
);

metrics('keep the time that a hash waited apart from the time that it took', async () => {
  const measured = new Metrics('1');
  measured.onHash(2, 0.25);
  measured.onHash(4, 0.5);
  const samples = samplesOf(await measured.text());
  assert.is(samples.get('portcullis_hash_wait_seconds_sum'), 6);
  assert.is(samples.get('portcullis_hash_duration_seconds_sum'), 0.75);
});

metrics('tell faults from refusals, and pass both on as they are', async () => {
  const measured = new Metrics('1');
  const auth = createAuth(fakePorts());
  for (const thrown of [new AuthError('invalid_credentials'), new Error('canary')]) {
    const login: Auth['login'] = () => Promise.reject(thrown);
    const failing = intercept({ ...auth, login }, measured.around);
    const answer = failing.login({ email: '', password: '' });
    assert.is(await answer.catch((error: unknown) => error), thrown);
  }
  const samples = samplesOf(await measured.text());
  assert.is(samples.get(useCase('login', 'invalid_credentials')), 1);
  assert.is(samples.get(useCase('login', 'fault')), 1);
});

metrics('are on a port of their own, and nowhere unless they are asked for', async () => {
  await withService('memory', ON, async ({ url, metricsUrl = '' }) => {
    assert.is((await fetch(`${url}/metrics`)).status, 404);
    const { origin } = new URL(metricsUrl);
    assert.is((await fetch(origin)).status, 404);
    assert.is((await fetch(`${origin}/login`, { method: 'POST' })).status, 404);
    assert.is((await fetch(metricsUrl, { method: 'POST' })).status, 405);
  });
  await withService('memory', {}, async ({ metricsUrl, part }) => {
    assert.is(metricsUrl, undefined);
    assert.is(part('metrics'), undefined);
  });
  const program = `
    import { createRequire } from 'node:module';
    import { readConfig } from './src/adapters/config/config.ts';
    import { serve } from './src/serve.ts';
    for (const env of [{}, { METRICS_PORT: '0' }]) {
      const service = await serve(readConfig({ PORT: '0', DATABASE_URL: 'memory:', ...env }));
      const loaded = Object.keys(createRequire(import.meta.url).cache);
      console.log(loaded.some((path) => path.includes('prom-client')));
      await service.stop();
    }
    process.exit();`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', program];
  assert.is(execFileSync(process.execPath, args, { encoding: 'utf8' }), 'false\ntrue\n');
});

metrics('are read once for all who ask at the same time', async () => {
  let readings = 0;
  const resolvers: ((text: string) => void)[] = [];
  const { address, close } = await serveMetrics({ host: '127.0.0.1', port: 0 }, () => {
    readings += 1;
    return new Promise((resolve) => resolvers.push(resolve));
  });
  let started = 0;
  let onAll = () => {};
  const all = new Promise<void>((resolve) => (onAll = resolve));
  const count = () => {
    started += 1;
    if (started === 3) onAll();
  };
  subscribe('http.server.request.start', count);
  try {
    const port = typeof address === 'object' ? address?.port : 0;
    const replies = [1, 2, 3].map(async () =>
      (await fetch(`http://127.0.0.1:${port}/metrics`)).text(),
    );
    await all;
    for (const resolve of resolvers) resolve('the same');
    assert.equal(await Promise.all(replies), ['the same', 'the same', 'the same']);
    assert.is(readings, 1);
  } finally {
    unsubscribe('http.server.request.start', count);
    await close();
  }
});

metrics('stop the start, by name, where their port is taken', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const address = taken.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const env = { ...CHEAP, DATABASE_URL: 'memory:', METRICS_PORT: String(port) };
  const ended = await startProgram(env).then(({ url }) => url, String);
  taken.close();
  assert.match(
    ended,
    `ended with 1: METRICS_HOST 127.0.0.1, METRICS_PORT ${port} cannot be used: Error EADDRINUSE`,
  );
});

async function total(program: Program): Promise<number> {
  const [, url = ''] = /metrics: (\S+)/.exec(program.output()) ?? [];
  const samples = await read(url);
  return [...samples]
    .filter(([name]) => name.startsWith(`${REQUESTS}{`) && name.includes('"/health/live"'))
    .reduce((sum, [, count]) => sum + count, 0);
}

metrics('of all workers are one, and fall by none that ends', () =>
  withDatabaseUrl('SQLite', async (databaseUrl) => {
    const env = { ...CHEAP, DATABASE_URL: databaseUrl, WORKERS: '2', METRICS_PORT: '0' };
    const program = await startProgram(env);
    const ask = async (times: number) => {
      for (let i = 0; i < times; i += 1) {
        await call(program.url, 'GET /health/live', { headers: { Connection: 'close' } });
      }
    };
    await ask(20);
    await sleep(100);
    assert.is(await total(program), 20);
    const [, url = ''] = /metrics: (\S+)/.exec(program.output()) ?? [];
    const samples = await read(url);
    assert.is(samples.get('portcullis_processes'), 2);
    const builds = [...samples].filter(([name]) => name.startsWith('portcullis_build_info{'));
    assert.equal(
      builds.map(([, value]) => value),
      [1],
    );
    const worker = execFileSync('pgrep', ['-P', String(program.process.pid), '-f', 'main.cjs'], {
      encoding: 'utf8',
    });
    process.kill(Number(worker.split('\n')[0]), 'SIGKILL');
    let processes = 0;
    for (let tries = 0; processes !== 2 && tries < 100; tries += 1) {
      await sleep(100);
      assert.is(await total(program), 20);
      processes = (await read(url)).get('portcullis_processes') ?? 0;
      if (!program.output().includes('another starts')) processes = 0;
    }
    assert.is(processes, 2);
    await ask(10);
    await sleep(100);
    assert.is(await total(program), 30);
    assert.is(await program.end('SIGTERM'), 0);
  }),
);

metrics.run();
