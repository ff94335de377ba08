import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import type { User, UserRepository } from '../../src/application/index.ts';
import {
  attemptCounterContract,
  clockContract,
  FastHasher,
  FixedClock,
  idGeneratorContract,
  lostAnswerContract,
  passwordHasherContract,
  SequentialIds,
  sessionRepositoryContract,
  tokenIssuerContract,
  userRepositoryContract,
} from '../../src/testing/index.ts';
import { withMethods } from '../support/fakes.ts';

const kit = suite('The kit for ports');

kit('names each case of a contract once, whatever it is opened on', () => {
  const open = () => {
    throw new Error('opened before a case runs');
  };
  for (const cases of [
    userRepositoryContract(open),
    sessionRepositoryContract(open),
    lostAnswerContract(open),
    passwordHasherContract(open),
    tokenIssuerContract(open),
    attemptCounterContract(open),
    clockContract(open),
    idGeneratorContract(open),
  ]) {
    const names = cases.map(({ name }) => name);
    assert.ok(names.length >= 4);
    assert.is(new Set(names).size, names.length);
  }
});

/** The first case of users, on a store that counts how often it is closed. */
function counted(methods: Partial<UserRepository>, close = async () => {}) {
  const count = { opened: 0, closed: 0 };
  const cases = userRepositoryContract(async () => {
    count.opened += 1;
    const { users, sessions } = memoryRepositories();
    return {
      users: withMethods(users, methods),
      sessions,
      async close() {
        count.closed += 1;
        await close();
      },
    };
  });
  const [first] = cases;
  if (first === undefined) throw new Error('no case');
  return { count, run: () => first.run().then(() => undefined, readError), first };
}

function readError(error: unknown): Error {
  if (error instanceof Error) return error;
  throw new Error('no error', { cause: error });
}

kit('opens a part once for a case, and closes it whatever becomes of that', async () => {
  const sound = counted({});
  assert.is(await sound.run(), undefined);
  assert.equal(sound.count, { opened: 1, closed: 1 });
  const throwing = counted({ insert: () => Promise.reject(new Error('no database')) });
  assert.is((await throwing.run())?.message, 'no database');
  assert.equal(throwing.count, { opened: 1, closed: 1 });
});

kit('tells of a close that fails, unless the case did', async () => {
  const close = () => Promise.reject(new Error('it does not close'));
  assert.is((await counted({}, close).run())?.message, 'it does not close');
  const insert = () => Promise.reject(new Error('no database'));
  assert.is((await counted({ insert }, close).run())?.message, 'no database');
});

kit('says which promise was not kept, and what was seen', async () => {
  const returning = (fields: Partial<User>) => {
    const { users } = memoryRepositories();
    return counted({
      insert: async (...args) => ({ ...(await users.insert(...args)), ...fields }),
    });
  };
  const { first, run } = returning({ username: 'Eve' });
  const error = await run();
  assert.is(error?.name, 'AssertionError');
  for (const text of [error?.message ?? '', error?.stack ?? '']) {
    assert.match(text, `not kept: ${first.name}`);
    assert.match(text, 'Eve');
    assert.match(text, 'Ada');
  }
  assert.match((await returning({ id: -7 }).run())?.message ?? '', 'the id -7');
});

kit('heeds nothing that a runner passes to a case', async () => {
  const { first } = counted({});
  const run: (...args: unknown[]) => Promise<void> = first.run;
  assert.is(first.run.length, 0);
  await run({ signal: undefined }, () => {});
});

kit.run();

const binding = suite('The binding of a contract, in one line');

const RUNNERS = {
  uvu: {
    head: `import { test } from 'uvu';`,
    foot: 'test.run();',
    args: ['--import', 'tsx'],
  },
  'node:test': {
    head: `import test from 'node:test';`,
    foot: '',
    args: ['--import', 'tsx', '--test', '--test-reporter=tap'],
  },
} as const;

const CASES = userRepositoryContract(() => memoryRepositories());

for (const [runner, { head, foot, args }] of Object.entries(RUNNERS)) {
  const runFile = (open: string) =>
    withFile(
      `${head}
       import { memoryRepositories } from '../src/adapters/memory/memory-repositories.ts';
       import { userRepositoryContract } from '../src/testing/index.ts';
       const open = ${open};
       for (const { name, run } of userRepositoryContract(open)) test(name, run);
       ${foot}`,
      (path) => node([...args, path]),
    );

  binding(`runs under ${runner}, and passes a sound adapter`, async () => {
    const { code, output } = await runFile('() => memoryRepositories()');
    assert.is(code, 0, output);
    const passed = runner === 'uvu' ? `Passed:    ${CASES.length}` : `# pass ${CASES.length}`;
    assert.match(output, passed);
  });

  binding(`fails a broken one under ${runner}, and names the case`, async () => {
    const { code, output } = await runFile(`() => {
      const { users, sessions } = memoryRepositories();
      const find = users.findByEmail.bind(users);
      users.findByEmail = (email) => find(email.trimEnd());
      return { users, sessions };
    }`);
    assert.is(code, 1, output);
    const name = 'tells emails apart by their bytes alone';
    assert.match(output, runner === 'uvu' ? `"${name}"` : `- ${name}`);
    assert.match(output, `not kept: ${name}`);
    const passed = CASES.length - 1;
    assert.match(output, runner === 'uvu' ? `Passed:    ${passed}` : `# pass ${passed}\n# fail 1`);
  });
}

binding.run();

/** Gives a test file beside the tests, where its imports lead somewhere, and takes it away afterwards. */
async function withFile<T>(source: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = `tests/bound-${process.pid}.ts`;
  writeFileSync(path, source);
  try {
    return await use(path);
  } finally {
    rmSync(path);
  }
}

function node(args: readonly string[]): Promise<{ code: number | string; output: string }> {
  // Node's runner tells a child of its own to report to it, which a file that runs one must not.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env }, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? 'signal') : 0, output: stdout + stderr });
    });
  });
}

const parts = suite('The parts for tests');

parts('have a clock that stands until it is moved, on or back', () => {
  const clock = new FixedClock();
  assert.equal(clock.now(), new Date('2026-01-02T03:04:05.678Z'));
  clock.now().setTime(0);
  clock.advance(1.5);
  assert.equal(clock.now(), new Date('2026-01-02T03:04:07.178Z'));
  clock.advance(-3600);
  assert.equal(clock.now(), new Date('2026-01-02T02:04:07.178Z'));
  const start = new Date(0);
  const other = new FixedClock(start);
  start.setTime(1);
  assert.equal(other.now(), new Date(0));
});

parts('have ids that can be foretold', () => {
  const ids = new SequentialIds();
  assert.equal([ids.next(), ids.next()], ['id-1', 'id-2']);
});

parts('have a hasher that counts, and finds its older hashes outdated', async () => {
  const hasher = new FastHasher();
  const hash = await hasher.hash('password');
  assert.match(hash, /^\$fast\$v=1\$/);
  hasher.version = 2;
  assert.is(await hasher.verify(hash, 'password'), 'outdated');
  assert.is(await hasher.verify(hash, 'wrong'), 'wrong');
  assert.is(await hasher.verify(undefined, 'password'), 'wrong');
  assert.is(await hasher.verify(await hasher.hash('password'), 'password'), 'right');
  assert.equal([hasher.hashed, hasher.verified], [2, 4]);
});

parts('have a hasher that really takes another turn', async () => {
  const hasher = new FastHasher();
  const turns: string[] = [];
  const hashing = hasher.hash('password').then(() => turns.push('hash'));
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
  turns.push('the same turn');
  await hashing;
  assert.equal(turns, ['the same turn', 'hash']);
});

parts('refuse to run in production, where they would let anybody in', () => {
  const before = process.env['NODE_ENV'];
  process.env['NODE_ENV'] = 'production';
  try {
    assert.throws(() => new FastHasher(), 'FastHasher is for tests');
    assert.throws(() => new SequentialIds(), 'SequentialIds is for tests');
    assert.ok(new FixedClock().now(), 'a clock lets nobody in');
  } finally {
    if (before === undefined) delete process.env['NODE_ENV'];
    else process.env['NODE_ENV'] = before;
  }
});

parts.run();
