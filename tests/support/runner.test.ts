import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from './programs.ts';

// A runner that calls a broken run green is worse than none.

/** Runs test files of these contents and returns the exit code and the last lines. */
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
        TEST_MYSQL_URL: 'mysql://unused',
        ...env,
      },
    });
    const last = stdout.split('\n').find((line) => /^\d+ passed, /.test(line));
    return { status, last, stdout };
  } finally {
    folder.remove();
  }
}

const GREEN = "const one = suite('one');\none('passes', () => assert.ok(true));\none.run();\n";
const RED = "const one = suite('one');\none('fails', () => assert.ok(false));\none.run();\n";

const runner = suite('The test runner');

runner('counts what passed', () => {
  const { status, last } = runFiles({ 'a.test.ts': GREEN, 'b.test.ts': GREEN });
  assert.is(last, '2 passed, 0 failed, 0 skipped');
  assert.is(status, 0);
});

runner('fails where a test fails', () => {
  const { status, last } = runFiles({ 'a.test.ts': GREEN, 'b.test.ts': RED });
  assert.is(last, '1 passed, 1 failed, 0 skipped');
  assert.is(status, 1);
});

runner('leaves what takes long to those who ask for it', () => {
  const { status, last } = runFiles({ 'a.test.ts': GREEN, 'release/b.test.ts': RED });
  assert.is(last, '1 passed, 0 failed, 0 skipped');
  assert.is(status, 0);
});

runner(
  'runs what is named by a part, and what takes long only where that part has `release`',
  () => {
    const files = { 'one-api.test.ts': GREEN, 'two.test.ts': RED, 'release/api.test.ts': RED };
    const passed = (...parts: string[]) => runFiles(files, { parts }).last;
    assert.is(passed('api'), '1 passed, 0 failed, 0 skipped');
    assert.is(passed('one', 'release/x', 'api.test'), '1 passed, 0 failed, 0 skipped');
    assert.is(passed('release'), '0 passed, 1 failed, 0 skipped');
    assert.is(passed('one', 'release/a'), '1 passed, 1 failed, 0 skipped');
  },
);

const BROKEN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'there are no test files': { 'helper.ts': GREEN },
  'a file has no tests': { 'a.test.ts': "const one = suite('one');\none.run();\n" },
  'a file never runs its suite': { 'a.test.ts': GREEN.replace('one.run();', '') },
  'a file runs only one of its suites': {
    'a.test.ts': `${GREEN}const two = suite('two');\ntwo('is lost', () => assert.ok(false));\n`,
  },
  'a test never comes to its end': {
    'a.test.ts': GREEN.replace('() => assert.ok(true)', () => '() => new Promise(() => {})'),
  },
  'a hook throws': {
    'a.test.ts': GREEN.replace('one.run', "one.before(() => { throw new Error('x'); });\none.run"),
  },
  'a file cannot be loaded': { 'a.test.ts': "import './nothing.ts';" },
  'a promise is rejected and nobody waits for it': {
    'a.test.ts': `${GREEN}void Promise.reject(new Error('x'));`,
  },
};

for (const [why, files] of Object.entries(BROKEN)) {
  runner(`fails where ${why}`, () => {
    const { status, last, stdout } = runFiles(files);
    assert.is(status, 1, stdout);
    assert.match(last ?? '', / 1 failed, /);
  });
}

runner('shows what is skipped, and fails for it where CI=true', () => {
  const files = { 'a.test.ts': GREEN.replace('one.run', "one.skip('later');\none.run") };
  const local = runFiles(files, { env: { CI: '' } });
  assert.is(local.last, '1 passed, 0 failed, 1 skipped');
  assert.is(local.status, 0);
  assert.is(runFiles(files, { env: { CI: 'true' } }).status, 1);
});

runner.run();
