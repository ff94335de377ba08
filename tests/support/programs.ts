import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A new folder, for what one test keeps; `remove` takes it away again. */
export function temporaryFolder(parent = tmpdir()): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(parent, 'portcullis-'));
  // Programs that have just been killed may still write a file into it.
  const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 };
  return { path, remove: () => rmSync(path, options) };
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** The path of the first program that answers, installing its Debian package where that is possible. */
export function program(
  names: readonly string[],
  probe: readonly string[],
  debianPackage: string,
): string | undefined {
  const find = () => names.find((name) => succeeds(name, probe));
  const found = find();
  if (found !== undefined || process.getuid?.() !== 0 || !succeeds('apt-get', ['--version'])) {
    return found;
  }
  console.log(`Installing ${debianPackage} for the tests`);
  // RUNLEVEL: the package must not start a service of its own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  try {
    execFileSync('apt-get', ['update', '-q'], { env, stdio: 'ignore' });
    const install = ['install', '-q', '-y', '--no-install-recommends', debianPackage];
    execFileSync('apt-get', install, { env, stdio: 'ignore' });
  } catch {
    console.log(`${debianPackage} could not be installed`);
  }
  return find();
}

function succeeds(name: string, args: readonly string[]): boolean {
  try {
    execFileSync(name, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A Python that has `requests`, for the document's examples. */
export function findPython(): string | undefined {
  return program(['python3', '/usr/bin/python3'], ['-c', 'import requests'], 'python3-requests');
}

/** For the README's examples. */
export function findCurl(): string | undefined {
  return program(['curl'], ['--version'], 'curl');
}

/** For certificates of tests. */
export function findOpenssl(): string | undefined {
  return program(['openssl'], ['version'], 'openssl');
}

/** For tests in a browser; TEST_CHROMIUM names another than those that are looked for. */
export function findChromium(): string | undefined {
  const given = process.env['TEST_CHROMIUM'];
  const usual = [
    '/usr/bin/chromium-headless-shell', // The same without windows, in half the time.
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
  ];
  const names = given ? [given] : [...usual, MACOS_CHROME];
  return program(names, ['--version'], 'chromium-headless-shell');
}

const MACOS_CHROME = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';

export function findMariadb(): string | undefined {
  const names = ['mariadbd', 'mysqld', '/usr/sbin/mariadbd', '/usr/sbin/mysqld'];
  return program(names, ['--no-defaults', '--version'], 'mariadb-server');
}

/**
 * Runs SQL in a process of its own that opens the SQLite file, and closes it again, for this alone;
 * returns the code of the error that it ends with, or "done".
 */
export function visitSqlite(file: string, sql: string): string {
  // By `exec`: libsql closes a file only when every prepared statement has been collected.
  const visit = `const [file, sql] = process.argv.slice(1);
    const db = new (require('libsql'))(file, { timeout: 2000 });
    try { db.exec(sql); console.log('done'); } catch ({ code }) { console.log(code); }
    db.close();`;
  return execFileSync(process.execPath, ['-e', visit, file, sql], { encoding: 'utf8' }).trim();
}

export interface MariadbServer {
  /** Without a database name. */
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now. */
  readonly pid: () => number;
  /** Starts it, again after `kill`, on the same port and data. */
  start(): Promise<void>;
  /** Ends it as the loss of its machine would. */
  kill(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

/** A MariaDB of its own, in a temporary folder (in that of `parent`), on a free loopback port. */
export async function mariadbServer(
  daemon: string,
  options: readonly string[] = [],
  parent?: string,
): Promise<MariadbServer> {
  const folder = temporaryFolder(parent);
  const data = join(folder.path, 'data');
  const port = await freePort();
  const init = join(folder.path, 'init.sql');
  writeFileSync(
    init,
    "CREATE USER IF NOT EXISTS tester@'%' IDENTIFIED BY 'tester';\nGRANT ALL ON *.* TO tester@'%' WITH GRANT OPTION;\n",
  );
  execFileSync(
    'mariadb-install-db',
    [
      '--no-defaults',
      '--user=root',
      `--datadir=${data}`,
      `--tmpdir=${folder.path}`, // A server clears this folder of other servers' tables.
      '--auth-root-authentication-method=normal',
    ],
    { stdio: 'ignore' },
  );
  let server: ReturnType<typeof spawn> | undefined;
  const url = `mysql://tester:tester@127.0.0.1:${port}`;
  const kill = async () => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server?.once('exit', resolve));
    server.kill('SIGKILL');
    await ended;
  };
  const start = async () => {
    // Loaded here: most programs that need this file start no server.
    const { createConnection } = await import('mysql2/promise');
    server = spawn(
      daemon,
      [
        '--no-defaults',
        '--user=root',
        `--datadir=${data}`,
        `--socket=${join(folder.path, 'socket')}`,
        `--tmpdir=${folder.path}`,
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        '--skip-name-resolve',
        `--init-file=${init}`,
        '--max-connections=500',
        ...options,
      ],
      { stdio: 'ignore' },
    );
    for (let tries = 0; ; tries += 1) {
      try {
        await (await createConnection(url)).end();
        return;
      } catch (error) {
        if (tries === 150 || server.exitCode !== null) {
          await kill();
          throw error;
        }
        await sleep(100);
      }
    }
  };
  const killAtExit = () => server?.kill('SIGKILL');
  process.once('exit', killAtExit);
  await start();
  return {
    url,
    port,
    pid: () => server?.pid ?? 0,
    start,
    kill,
    signal: (name) => server?.kill(name),
    async remove() {
      await kill();
      process.off('exit', killAtExit);
      folder.remove();
    },
  };
}
