/**
 * Runs every test file in a process of its own and counts. uvu alone calls a run green whose file
 * never ran its suites, whose hook threw or whose test never came to an end; this does not.
 * Arguments: parts of the names of the files to run; none: all. The files of release/ take long:
 * they run only where the part contains `release`.
 * Environment: TEST_FOLDER, the folder of the files. TEST_MYSQL_URL, a server to use in place of a
 * MariaDB of its own. TEST_TOOLS=none: do not look for programs, and build nothing.
 * TEST_EXIT_TIMEOUT_MS: how long a file may take to end after it has printed its result.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  findChromium,
  findCurl,
  findMariadb,
  findOpenssl,
  findPython,
  mariadbServer,
  temporaryFolder,
} from './support/programs.ts';
import type { MariadbServer } from './support/programs.ts';

const FILE_TIMEOUT_MS = 10 * 60 * 1000;
/** A test that fails may leave a server, a pool or a program open, which keeps its file from ending. */
const EXIT_TIMEOUT_MS = Number(process.env['TEST_EXIT_TIMEOUT_MS'] ?? 10_000);
const FILES_AT_ONCE = 2;
/** These take longest and start first, so that no long file runs alone at the end. */
const SLOWEST: readonly string[] = [
  'system/account-pages.test.ts',
  'adapters/migrations.test.ts',
  'system/service.test.ts',
  'wire/conformance.test.ts',
  'wire/http-fuzz.test.ts',
  'wire/http.test.ts',
  'system/import.test.ts',
  'system/docs-page.test.ts',
  'use-cases/credentials.test.ts',
  'wire/refresh-cookie.test.ts',
];
/** Packing, deploying, backups and load: `npm run test:release`. */
const RELEASE = 'release/';

interface Result {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
}

/** Running files. Each leads a process group of its own, which a terminal's Ctrl-C does not reach. */
const running = new Set<number>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const pid of running) endGroup(pid);
    process.exit(1);
  });
}

async function main(folder: string, wanted: readonly string[]): Promise<number> {
  const parts = wanted.length > 0 ? wanted : [''];
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => {
      const isMeant = (part: string) => !file.startsWith(RELEASE) || part.includes('release');
      return parts.some((part) => join(folder, file).includes(part) && isMeant(part));
    })
    .toSorted((one, other) => rankOf(one) - rankOf(other) || (one < other ? -1 : 1))
    .map((file) => join(folder, file));
  const started = performance.now();
  const total = { passed: 0, failed: 0, skipped: 0, seconds: 0 };
  if (files.length === 0) {
    console.log('FAIL no test files found');
    total.failed += 1;
  }
  process.env['TMPDIR'] = makeTemporaryFolder();
  const { env, close } =
    process.env['TEST_TOOLS'] === 'none'
      ? { env: process.env, close: async () => {} }
      : await findTools();
  const queue = [...files];
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const { passed, failed, skipped, seconds } = await runFile(file, env);
      total.passed += passed;
      total.failed += failed;
      total.skipped += skipped;
      total.seconds += seconds;
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, worker));
  await close();
  const wallClock = (performance.now() - started) / 1000;
  console.log(`${total.seconds.toFixed(0)} s in all files, ${wallClock.toFixed(0)} s in all`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  if (total.skipped > 0 && process.env['CI'] === 'true') {
    console.log('FAIL a skip counts as a failure where CI=true');
    return 1;
  }
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

function rankOf(file: string): number {
  const index = SLOWEST.indexOf(file);
  return index === -1 ? SLOWEST.length : index;
}

/**
 * Makes a folder for temporary files, which goes when this process ends. It is in memory where there
 * is room, since nothing in it need outlive a crash.
 */
function makeTemporaryFolder(): string {
  let parent = process.env['TMPDIR'] ?? tmpdir();
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize > 4 * 2 ** 30) parent = '/dev/shm';
  } catch {
    // Not Linux.
  }
  const folder = temporaryFolder(parent);
  chmodSync(folder.path, 0o711); // For tests that have a program run as another user in there.
  process.once('exit', () => folder.remove());
  return folder.path;
}

/** Builds, starts a MariaDB and looks for the programs that tests use. */
async function findTools() {
  // Programs under test are the built ones: they start in a third of the time that sources take.
  execFileSync(process.execPath, ['tools/build/prestart.js'], { stdio: 'inherit' });
  const env = { ...process.env };
  let server: MariadbServer | undefined;
  if (!env['TEST_MYSQL_URL']) {
    const daemon = findMariadb();
    if (daemon === undefined) {
      console.log('SKIP no MariaDB: its tests are skipped (set TEST_MYSQL_URL or install it)');
    } else {
      // What a crash would lose does not matter here; the fault tests start servers of their own.
      server = await mariadbServer(daemon, ['--innodb-flush-method=nosync']);
      env['TEST_MYSQL_URL'] = server.url;
      env['TEST_MARIADBD'] = daemon;
    }
  }
  for (const [name, what, find] of [
    ['TEST_PYTHON', 'Python with requests', findPython],
    ['TEST_CURL', 'curl', findCurl],
    ['TEST_OPENSSL', 'openssl', findOpenssl],
    ['TEST_CHROMIUM', 'Chromium', findChromium],
  ] as const) {
    const found = find();
    if (found === undefined) console.log(`SKIP no ${what}: its tests are skipped`);
    else env[name] = found;
  }
  return { env, close: async () => server?.remove() };
}

async function runFile(file: string, env: NodeJS.ProcessEnv): Promise<Result> {
  const started = performance.now();
  const { output, code, hasStayed } = await run(file, env);
  const count = (word: string) => {
    const [, digits] = new RegExp(`^ *${word}: +(\\d+)$`, 'm').exec(output) ?? [];
    return digits === undefined ? Number.NaN : Number(digits);
  };
  const [all, passed, skipped] = [count('Total'), count('Passed'), count('Skipped')];
  const problems: string[] = [];
  if (hasStayed) {
    problems.push(`still running ${EXIT_TIMEOUT_MS / 1000} s after its result: something is open`);
  } else if (code !== 0) problems.push(`exit code ${code}`);
  if (Number.isNaN(all) || Number.isNaN(passed) || Number.isNaN(skipped)) {
    problems.push('no result: a test that never ended, or no suite was run');
  } else if (all + skipped === 0) problems.push('no tests');
  else if (passed !== all) problems.push(`${all - passed} of ${all} failed`);
  const forgotten = forgottenSuites(readFileSync(file, 'utf8'));
  if (forgotten > 0) problems.push(`${forgotten} suites without .run()`);

  const seconds = (performance.now() - started) / 1000;
  const verdict = problems.length > 0 ? `FAIL ${problems.join(', ')}` : 'ok';
  console.log(`${verdict.padEnd(4)} ${file}: ${passed} of ${all}, ${seconds.toFixed(1)} s`);
  if (skipped > 0) console.log(`SKIP ${skipped} in ${file}`);
  if (problems.length > 0) console.log(output);
  const failed = Math.max(problems.length > 0 ? 1 : 0, all - passed || 0);
  return { passed: passed || 0, failed, skipped: skipped || 0, seconds };
}

function run(file: string, env: NodeJS.ProcessEnv) {
  return new Promise<{ output: string; code: number | string; hasStayed: boolean }>((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', file], {
      env,
      stdio: 'pipe',
      detached: true,
    });
    running.add(child.pid ?? 0);
    let output = '';
    let hasStayed = false;
    let exitTimer: NodeJS.Timeout | undefined;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (!RESULT.test(output)) return;
        // Again with each text: what uvu prints next may be the result of suites that began later.
        clearTimeout(exitTimer);
        exitTimer = setTimeout(() => {
          hasStayed = true;
          endGroup(child.pid);
        }, EXIT_TIMEOUT_MS);
      });
    }
    const timer = setTimeout(endGroup, FILE_TIMEOUT_MS, child.pid);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      clearTimeout(exitTimer);
      endGroup(child.pid);
      running.delete(child.pid ?? 0);
      resolve({ output, code: code ?? signal ?? 'unknown', hasStayed });
    });
  });
}

/** The last line of uvu's result. */
const RESULT = /^ +Duration: /m;

/** Kills a file and every program that it started. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid) process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing is left of it.
  }
}

/** Counts the suites that a file makes but does not run. A loop that makes suites runs them in it. */
function forgottenSuites(source: string): number {
  const made = source.match(/= suite\(/g)?.length ?? 0;
  const ran = source.match(/\.run\(\);/g)?.length ?? 0;
  return made - ran;
}

process.exitCode = await main(process.env['TEST_FOLDER'] ?? 'tests', process.argv.slice(2));
