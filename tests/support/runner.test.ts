import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from './programs.ts';

// A runner that calls a broken run green is worse than none.

/** Runs test files of these contents. `result` is the line that counts. */
function runFiles(
  files: Readonly<Record<string, string>>,
  { env = {}, parts = [] }: { env?: Record<string, string>; parts?: readonly string[] } = {},
) {
  const folder = temporaryFolder();
  try {
    mkdirSync(join(folder.path, 'tests'));
    writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}');
    symlinkSync(resolve('node_modules'), join(folder.path, 'node_modules'));
    for (const [name, source] of Object.entries(files)) {
      const path = join(folder.path, 'tests', name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(
        path,
        `import { suite } from 'uvu';\nimport * as assert from 'uvu/assert';\n${source}`,
      );
    }
    const runner = resolve('tests/run.ts');
    const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', runner, ...parts], {
      cwd: resolve('.'),
      encoding: 'utf8',
      env: {
        ...process.env,
        TEST_FOLDER: join(folder.path, 'tests'),
        TEST_TOOLS: 'none',
        TEST_EXIT_TIMEOUT_MS: '2000',
        ...env,
      },
    });
    const result = stdout.split('\n').find((line) => /^\d+ passed, /.test(line));
    return { status, result, stdout };
  } finally {
    folder.remove();
  }
}

const GREEN = "const one = suite('one');\none('passes', () => assert.ok(true));\none.run();\n";
const RED = "const one = suite('one');\none('fails', () => assert.ok(false));\none.run();\n";

const runner = suite('The test runner');

runner('counts what passed, and the time that the files took', () => {
  const { status, result, stdout } = runFiles({ 'a.test.ts': GREEN, 'b.test.ts': GREEN });
  assert.is(result, '2 passed, 0 failed, 0 skipped');
  assert.match(stdout, /^\d+ s in all files, \d+ s in all\n2 passed/m);
  assert.is(status, 0);
});

runner('fails where a test fails', () => {
  const { status, result } = runFiles({ 'a.test.ts': GREEN, 'b.test.ts': RED });
  assert.is(result, '1 passed, 1 failed, 0 skipped');
  assert.is(status, 1);
});

runner('leaves the long tests of release/ to those who ask for them', () => {
  const { status, result } = runFiles({ 'a.test.ts': GREEN, 'release/b.test.ts': RED });
  assert.is(result, '1 passed, 0 failed, 0 skipped');
  assert.is(status, 0);
});

runner('runs the files that a part names, and release/ only by a part with `release`', () => {
  const files = { 'one-api.test.ts': GREEN, 'two.test.ts': RED, 'release/api.test.ts': RED };
  const passed = (...parts: string[]) => runFiles(files, { parts }).result;
  assert.is(passed('api'), '1 passed, 0 failed, 0 skipped');
  assert.is(passed('one', 'release/x', 'api.test'), '1 passed, 0 failed, 0 skipped');
  assert.is(passed('release'), '0 passed, 1 failed, 0 skipped');
  assert.is(passed('one', 'release/a'), '1 passed, 1 failed, 0 skipped');
});

runner('fails where there are no test files', () => {
  const { status, result } = runFiles({ 'helper.ts': GREEN });
  assert.is(result, '0 passed, 1 failed, 0 skipped');
  assert.is(status, 1);
});

/** What is wrong with a file, what it holds, and the reason that the runner must give. */
const BROKEN: readonly (readonly [string, string, RegExp])[] = [
  ['has no tests', "const one = suite('one');\none.run();\n", /FAIL no tests/],
  ['never runs its suite', GREEN.replace('one.run();', ''), /1 suites without \.run\(\)/],
  [
    'runs only one of its suites',
    `${GREEN}const two = suite('two');\ntwo('is lost', () => assert.ok(false));\n`,
    /FAIL 1 suites without \.run\(\)/,
  ],
  [
    'has a test that never comes to its end',
    GREEN.replace('assert.ok(true)', 'new Promise(() => {})'),
    /no result: a test that never ended/,
  ],
  [
    'has a hook that throws',
    GREEN.replace('one.run', "one.before(() => { throw new Error('x'); });\none.run"),
    /FAIL 1 of 1 failed/,
  ],
  ['cannot be loaded', "import './nothing.ts';", /FAIL exit code 1, no result/],
  [
    'rejects a promise that nobody waits for',
    `${GREEN}void Promise.reject(new Error('x'));`,
    /FAIL exit code 1/,
  ],
  [
    'leaves something open after a test that fails',
    `setInterval(() => {}, 1_000);\n${RED}`,
    /FAIL still running 2 s after its result: something is open, 1 of 1 failed/,
  ],
  [
    'leaves something open although its tests pass',
    `setInterval(() => {}, 1_000);\n${GREEN}`,
    /FAIL still running 2 s after its result: something is open/,
  ],
];

runner('fails each file that is broken, whatever the others do, and says why', () => {
  const files = BROKEN.map(([, source], i) => [`broken-${i}.test.ts`, source] as const);
  const { status, result, stdout } = runFiles(Object.fromEntries(files));
  for (const [i, [what, , reason]] of BROKEN.entries()) {
    const line = stdout.split('\n').find((each) => each.includes(`broken-${i}.test.ts:`));
    assert.match(line ?? '', reason, `a file that ${what}: ${line}`);
  }
  assert.match(result ?? '', ` ${BROKEN.length} failed, `);
  assert.is(status, 1);
});

runner('shows what is skipped, and fails for it where CI=true', () => {
  const files = { 'a.test.ts': GREEN.replace('one.run', "one.skip('later');\none.run") };
  const local = runFiles(files, { env: { CI: '' } });
  assert.is(local.result, '1 passed, 0 failed, 1 skipped');
  assert.is(local.status, 0);
  assert.is(runFiles(files, { env: { CI: 'true' } }).status, 1);
});

runner.run();
