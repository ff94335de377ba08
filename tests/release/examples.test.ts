import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ADA, call, registered, startProgram, withService } from '../support/service.ts';
import { installExample, type Packed, run, withPackage } from '../support/package.ts';
import { isAvailable, withDatabaseUrl } from '../support/stores.ts';

// Each example as its README says: installed from the packed tarball, away from the source.

const start = (folder: string, env?: Readonly<Record<string, string>>) =>
  run(folder, 'npm', ['start', '--silent'], env);

/** What each must do. */
const EXAMPLES: Readonly<Record<string, (folder: string, packed: Packed) => Promise<void>>> = {
  async commonjs(folder) {
    assert.is(await start(folder), 'Hello, Ada; again: email_taken\n');
    // The first Node that can require() a module of the new kind.
    const name = `node-${process.platform}-${process.arch}`;
    await run(folder, 'npm', ['install', '--no-save', `${name}@20.19.0`]);
    const oldest = join(folder, 'node_modules', name, 'bin/node');
    assert.is(await run(folder, oldest, ['-p', 'process.version']), 'v20.19.0\n');
    assert.is(await run(folder, oldest, ['main.cjs']), 'Hello, Ada; again: email_taken\n');
  },

  async typescript(folder) {
    const lines = (await start(folder)).split('\n');
    assert.equal(lines, ['{"name":"Ada"} Ada Ada', 'invalid_access_token 1', '']);
  },

  async 'custom-repository'(folder) {
    const tested = await run(folder, 'npm', ['test', '--silent']);
    // By the reporter of Node 20, or that of 24.
    assert.match(tested, /^(?:#|ℹ) fail 0$/m);
    const [, passed = '0'] = /^(?:#|ℹ) pass (\d+)$/m.exec(tested) ?? [];
    assert.ok(Number(passed) > 40, `${passed} cases`);
    const source = readFileSync(join(folder, 'journal.js'), 'utf8');
    const body = source.slice(source.indexOf('{\n', source.indexOf('export async function')));
    assert.ok(body.trim().split('\n').length - 2 <= 25, 'of twenty-odd lines');
    assert.is(await start(folder), 'registered Ada\n');
    assert.match(await start(folder), /^signed in Ada, registered \d{4}-/);

    // And the kit is worth something: a change that is in the journal alone is found.
    const broken = source.replace('return parts[part][method](...args);', '');
    assert.is.not(broken, source);
    writeFileSync(join(folder, 'journal.js'), broken);
    const failed = await run(folder, 'npm', ['test', '--silent']).then(
      () => '',
      (error: unknown) => String(error),
    );
    assert.match(failed, 'gives a new account an id and returns what it stored');
  },

  async 'service-to-service'(folder) {
    await withService('memory', {}, async ({ url }) => {
      await registered(url);
      const env = {
        PORTCULLIS_URL: url,
        ACCOUNT_EMAIL: 'job@example.com',
        ACCOUNT_PASSWORD: 'a long password',
      };
      assert.is(await start(folder, env), 'Nightly job sees 2 users; 1 session(s)\n');
      assert.is(await start(folder, env), 'Nightly job sees 2 users; 1 session(s)\n');
    });
  },

  async 'in-process'(folder) {
    const inProcess = await start(folder);
    assert.match(inProcess, /^registered Ada ada@example\.com\n[^]*\ndeleted user_not_found\n$/);
    const readme = readFileSync(join(folder, 'README.md'), 'utf8');
    const [, from = ''] = /^-(import .*)$/m.exec(readme) ?? [];
    const [, to = ''] = /^\+(import .*)$/m.exec(readme) ?? [];
    const source = readFileSync(join(folder, 'main.js'), 'utf8');
    assert.is(source.split('\n').filter((line) => line === from).length, 1, 'one line');
    writeFileSync(join(folder, 'main.js'), source.replace(from, to));
    await withService('memory', {}, async ({ url }) => {
      assert.is(await start(folder, { PORTCULLIS_URL: url }), inProcess);
    });
  },

  async 'express-mysql'(folder) {
    await withDatabaseUrl('MariaDB', async (url) => {
      const env = {
        ...process.env,
        DATABASE_URL: url,
        JWT_SECRET: 'k'.repeat(16) + 'Qb0nB2Zq6pWm4tYx',
        PORT: '0',
      };
      for (const round of [1, 2]) {
        const app = spawn(process.execPath, ['main.js'], { cwd: folder, env });
        const ended = new Promise((resolve) => app.once('close', resolve));
        try {
          await useApp(await addressOf(app.stdout), round);
        } finally {
          app.kill('SIGTERM');
          await ended;
        }
      }
    });
  },

  async 'single-page-app'(folder) {
    const settings = { PORT: '0', PORTCULLIS_URL: 'http://localhost:9/auth/' };
    const app = await startProgram(settings, [process.execPath, join(folder, 'server.js')]);
    const get = async (path: string) => {
      const response = await fetch(app.url + path);
      return { status: response.status, headers: response.headers, text: await response.text() };
    };
    const { text, headers } = await get('/account');
    assert.match(text, '<script type="module" src="/app.js">');
    assert.is(
      headers.get('content-security-policy'),
      "default-src 'none';script-src 'self';style-src 'self';img-src 'self';" +
        "connect-src http://localhost:9;form-action 'none';base-uri 'none';frame-ancestors 'none'",
    );
    const config = 'export const service = "http://localhost:9/auth";\n';
    assert.is((await get('/config.js')).text, config);
    assert.is((await get('/nowhere.js')).status, 404);
    assert.is(await app.end('SIGTERM'), 0);
  },

  async 'protected-express-app'(folder) {
    const command = [process.execPath, join(folder, 'main.js')];
    await withService('memory', {}, async ({ url, stop }) => {
      await registered(url);
      const settings = { PORT: '0', PORTCULLIS_URL: url };
      const app = await startProgram(settings, command);
      await useForms(app.url, async () => {
        await stop();
      });
      assert.is(await app.end('SIGTERM'), 0);
      assert.not.match(app.output(), /eyJ|correct horse/);

      const behindProxy = await startProgram({ ...settings, NODE_ENV: 'production' }, command);
      const headers = { 'X-Forwarded-Proto': 'https' };
      const response = await fetch(`${behindProxy.url}/sign-in`, { headers });
      const [cookie = ''] = response.headers.getSetCookie();
      assert.match(cookie, /^__Host-notes=[^;]+; Path=\/; .*HttpOnly; Secure; SameSite=Lax$/);
      assert.is(await behindProxy.end('SIGTERM'), 0);
    });
  },
};

/** What is sent to an app with the cookie and the token of a form that somebody has, as a browser would. */
async function useForms(url: string, stopService: () => Promise<void>): Promise<void> {
  const send = async (path: string, cookie = '', form?: Readonly<Record<string, string>>) => {
    const method = form ? 'POST' : 'GET';
    const body = form ? new URLSearchParams(form) : null;
    const headers = { Cookie: cookie };
    const response = await fetch(url + path, { method, body, headers, redirect: 'manual' });
    const [set = ''] = response.headers.getSetCookie();
    const [kept = ''] = set.split(';');
    const location = response.headers.get('location');
    const text = await response.text();
    const [, csrf_token = ''] = /name="csrf_token" value="([^"]+)"/.exec(text) ?? [];
    assert.not.match(text, /\bat .*\.js:\d/);
    return { status: response.status, location, text, cookie: kept || cookie, csrf_token };
  };
  const { email, password } = ADA;

  const away = await send('/notes?x=1');
  assert.equal([away.status, away.location], [303, '/sign-in?next=%2Fnotes%3Fx%3D1']);
  const [page, stranger] = [await send('/sign-in'), await send('/sign-in')];
  const credentials = { email, password, next: '/notes' };
  // Nobody is made to sign in, or out, or to write, by a form of somebody else's.
  for (const token of [{}, { csrf_token: '' }, { csrf_token: stranger.csrf_token }]) {
    const refused = await send('/sign-in', page.cookie, { ...credentials, ...token });
    assert.is(refused.status, 403);
  }
  const { csrf_token } = page;
  assert.is((await send('/sign-in', '', { ...credentials, csrf_token })).status, 403);
  const signedIn = await send('/sign-in', page.cookie, { ...credentials, csrf_token });
  assert.equal([signedIn.status, signedIn.location], [303, '/notes']);
  assert.is.not(signedIn.cookie, page.cookie);
  assert.is((await send('/notes', page.cookie)).status, 303);
  const notes = await send('/notes', signedIn.cookie);
  assert.match(notes.text, 'Signed in as Ada');
  for (const path of ['/notes', '/sign-out']) {
    for (const token of ['', csrf_token, stranger.csrf_token]) {
      const forged = { text: 'forged', csrf_token: token };
      assert.is((await send(path, signedIn.cookie, forged)).status, 403);
    }
  }
  const form = { text: 'mine', csrf_token: notes.csrf_token };
  assert.is((await send('/notes', signedIn.cookie, form)).status, 303);
  const { text } = await send('/notes', signedIn.cookie);
  assert.match(text, '<li>mine</li>');
  assert.not.match(text, 'forged');

  for (const next of [
    '//evil.example',
    '/\\evil.example',
    '/.//evil.example',
    'https://evil.example',
  ]) {
    const blank = await send(`/sign-in?next=${encodeURIComponent(next)}`);
    assert.match(blank.text, 'name="next" value="/notes"');
    const sent = { ...credentials, next, csrf_token: blank.csrf_token };
    assert.is((await send('/sign-in', blank.cookie, sent)).location, '/notes');
  }
  const tooLong = { ...form, text: 'x'.repeat(20_000) };
  assert.is((await send('/notes', signedIn.cookie, tooLong)).status, 413);

  await stopService();
  assert.is((await send('/notes', signedIn.cookie)).status, 503);
  const other = await send('/sign-in');
  const sent = { ...credentials, csrf_token: other.csrf_token };
  const unreachable = await send('/sign-in', other.cookie, sent);
  assert.is(unreachable.status, 503);
  assert.match(unreachable.text, `value="${email}"`);
  // Who signs out then is signed out here all the same.
  const out = await send('/sign-out', signedIn.cookie, { csrf_token: notes.csrf_token });
  assert.equal([out.status, out.location], [303, '/']);
  assert.is((await send('/notes', signedIn.cookie)).status, 303);
}

async function addressOf(output: NodeJS.ReadableStream): Promise<string> {
  let printed = '';
  for await (const text of output) {
    printed += String(text);
    const [, url] = /serves (http:\S+)/.exec(printed) ?? [];
    if (url) return url;
  }
  throw new Error(`the app ended: ${printed}`);
}

/** Registers somebody else in each round: the first one's notes are still there in the second. */
async function useApp(url: string, round: number): Promise<void> {
  const email = `ada${round}@example.com`;
  const { access_token: token } = await registered(`${url}/auth`, { email });
  const post = { token, json: { text: `note of round ${round}` } };
  assert.is((await call(url, 'POST /notes', post)).status, 201);
  const { json } = await call(url, 'GET /notes', { token });
  assert.equal((json as string[]).toSorted(), ['Welcome, Ada', `note of round ${round}`]);
  assert.is((await call(url, 'GET /notes')).status, 401);
  assert.is((await call(url, 'GET /auth/users')).status, 404);
  if (round === 1) return;
  const login = await call(`${url}/auth`, 'POST /login', {
    json: { email: 'ada1@example.com', password: 'correct horse' },
  });
  const { access_token } = login.json as { access_token: string };
  const first = await call(url, 'GET /notes', { token: access_token });
  assert.equal((first.json as string[]).toSorted(), ['Welcome, Ada', 'note of round 1']);
}

const examples = suite('The examples');

examples('are all there, each with what it is', () => {
  assert.equal(readdirSync('examples').toSorted(), Object.keys(EXAMPLES).toSorted());
  for (const name of Object.keys(EXAMPLES)) {
    for (const file of ['README.md', 'package.json']) {
      assert.ok(existsSync(join('examples', name, file)), `${name}/${file}`);
    }
  }
});

const WITH_MARIADB = ['express-mysql'];

const RUN = 'do what they say, installed from the tarball';
const runAll = () =>
  withPackage(async (packed) => {
    for (const [name, use] of Object.entries(EXAMPLES)) {
      if (WITH_MARIADB.includes(name) && !isAvailable('MariaDB')) continue;
      const started = performance.now();
      const folder = packed.emptyFolder(name);
      await installExample(name, folder);
      await use(folder, packed);
      console.log(`  ${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
      rmSync(join(folder, 'node_modules'), { recursive: true });
    }
  });
if (isAvailable('MariaDB')) examples(RUN, runAll);
else examples.skip(RUN, runAll);

/** A binary is an optional package: npm leaves it out in silence where its download fails. */
const WITHOUT_BINARIES = { rollup: 'npm:@rollup/wasm-node@4', esbuild: 'npm:esbuild-wasm@0.28' };

/** One contract on a sound repository and on a broken one, as each runner writes it. */
const RUNNERS: Readonly<
  Record<string, { install: string; head: string; tail?: string; args: string[] }>
> = {
  vitest: {
    install: 'vitest@3',
    head: `import { test } from 'vitest';`,
    args: ['npx', 'vitest', 'run', '--reporter=verbose', '--no-color'],
  },
  uvu: {
    install: 'uvu@0.5',
    head: `import { test } from 'uvu';`,
    tail: 'test.run();',
    args: ['npx', 'uvu', '.', 'kit.test.js'],
  },
  'node:test': {
    install: '',
    head: `import { test } from 'node:test';`,
    args: ['node', '--test', 'kit.test.js'],
  },
};

for (const [name, { install, head, tail = '', args }] of Object.entries(RUNNERS)) {
  examples(`of the kit are one line for ${name}`, () =>
    withPackage(async (packed) => {
      const folder = packed.emptyFolder('runner');
      const manifest = { private: true, type: 'module', overrides: WITHOUT_BINARIES };
      writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
      const packages = [packed.tarball, ...(install ? [install] : [])];
      await run(folder, 'npm', ['install', '--prefer-offline', ...packages]);
      const source = (open: string) => `${head}
        import { memoryRepositories } from 'portcullis/memory';
        import { userRepositoryContract } from 'portcullis/testing';
        const sound = () => memoryRepositories();
        const broken = () => {
          const { users, sessions } = memoryRepositories();
          users.findById = async () => undefined;
          return { users, sessions };
        };
        for (const { name, run } of userRepositoryContract(${open})) test(name, run);
        ${tail}`;
      const [command = '', ...rest] = args;
      writeFileSync(join(folder, 'kit.test.js'), source('sound'));
      await run(folder, command, rest);
      writeFileSync(join(folder, 'kit.test.js'), source('broken'));
      const failed = await run(folder, command, rest).then(
        () => 'passed',
        (error: unknown) => String(error),
      );
      assert.match(failed, 'finds an account by id and by email');
    }),
  );
}

examples.run();
