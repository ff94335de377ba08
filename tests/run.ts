/**
 * Runs every test file in a process of its own and counts. uvu alone calls a run green whose file
 * never ran its suites, whose hook threw or whose test never came to an end; this does not.
 * Arguments: parts of the names of the files to run; none: all. Those of release/ take long, and run only
 * where the part has `release` in it.
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

const FILE_TIMEOUT = 10 * 60 * 1000;
const AT_ONCE = 2;
/** What is packed, installed, deployed, backed up and loaded: `npm run test:release`. */
const LONG = 'release/';

interface Result {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Files that run now, each the leader of a group of its own, which a terminal's Ctrl-C does not reach. */
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
      const isMeant = (part: string) => !file.startsWith(LONG) || part.includes('release');
      return parts.some((part) => join(folder, file).includes(part) && isMeant(part));
    })
    .map((file) => join(folder, file))
    .toSorted();
  const total = { passed: 0, failed: 0, skipped: 0 };
  if (files.length === 0) {
    console.log('FAIL no test files found');
    total.failed += 1;
  }
  process.env['TMPDIR'] = temporaryPlace();
  // Programs under test are the built ones: they start in a third of the time that sources take.
  execFileSync(process.execPath, ['tools/build/prestart.js'], { stdio: 'inherit' });
  const { env, close } = await realParts();
  const queue = [...files];
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const { passed, failed, skipped } = await runFile(file, env);
      total.passed += passed;
      total.failed += failed;
      total.skipped += skipped;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  await close();
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  if (total.skipped > 0 && process.env['CI'] === 'true') {
    console.log('FAIL a skip counts as a failure where CI=true');
    return 1;
  }
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

/**
 * A folder for what is temporary, which ends with this process whatever has become of a test: on a disk in
 * memory, where there is one with room, since nothing of it need outlive a crash.
 */
function temporaryPlace(): string {
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

/** What the tests need of the world: a MariaDB, certificates, and what runs the documents' examples. */
async function realParts() {
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
  const started = Date.now();
  const { output, code } = await run(file, env);
  const count = (word: string) => {
    const [, digits] = new RegExp(`^ *${word}: +(\\d+)$`, 'm').exec(output) ?? [];
    return digits === undefined ? Number.NaN : Number(digits);
  };
  const [all, passed, skipped] = [count('Total'), count('Passed'), count('Skipped')];
  const problems: string[] = [];
  if (code !== 0) problems.push(`exit code ${code}`);
  if (Number.isNaN(all) || Number.isNaN(passed) || Number.isNaN(skipped)) {
    problems.push('no result: a test that never ended, or no suite was run');
  } else if (all + skipped === 0) problems.push('no tests');
  else if (passed !== all) problems.push(`${all - passed} of ${all} failed`);
  const forgotten = forgottenSuites(readFileSync(file, 'utf8'));
  if (forgotten > 0) problems.push(`${forgotten} suites without .run()`);

  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const verdict = problems.length > 0 ? `FAIL ${problems.join(', ')}` : 'ok';
  console.log(`${verdict.padEnd(4)} ${file}: ${passed} of ${all}, ${seconds} s`);
  if (skipped > 0) console.log(`SKIP ${skipped} in ${file}`);
  if (problems.length > 0) console.log(output);
  const failed = Math.max(problems.length > 0 ? 1 : 0, all - passed || 0);
  return { passed: passed || 0, failed, skipped: skipped || 0 };
}

function run(file: string, env: NodeJS.ProcessEnv) {
  return new Promise<{ output: string; code: number | string }>((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', file], {
      env,
      stdio: 'pipe',
      detached: true,
    });
    running.add(child.pid ?? 0);
    const parts: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => parts.push(text));
    }
    const timer = setTimeout(endGroup, FILE_TIMEOUT, child.pid);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      endGroup(child.pid);
      running.delete(child.pid ?? 0);
      resolve({ output: parts.join(''), code: code ?? signal ?? 'unknown' });
    });
  });
}

/** Ends a file and every program that it started, none of which is to outlive it. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid) process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing is left of it.
  }
}

/** Suites that a file makes, less those that it runs. A loop that makes suites runs them in it. */
function forgottenSuites(source: string): number {
  const made = source.match(/= suite\(/g)?.length ?? 0;
  const ran = source.match(/\.run\(\);/g)?.length ?? 0;
  return made - ran;
}

process.exitCode = await main(process.env['TEST_FOLDER'] ?? 'tests', process.argv.slice(2));
