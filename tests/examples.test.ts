import { spawn } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { call, registered, withService } from './support/service.ts';
import { type Packed, run, withPackage } from './support/package.ts';
import { isAvailable, withDatabaseUrl } from './support/stores.ts';

// Each example as its README says: installed from the packed tarball, away from the source.

/** A copy of an example with what it needs, where the tarball is where its manifest says. */
async function installed(packed: Packed, name: string): Promise<string> {
  const folder = packed.emptyFolder(name);
  cpSync(join('examples', name), folder, { recursive: true });
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  assert.match(readme, /\nnpm install && .*npm start|\nnpm install && npm test/);
  await run(folder, 'npm', ['install', '--prefer-offline']);
  return folder;
}

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
};

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
      const folder = await installed(packed, name);
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
