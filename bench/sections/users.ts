/** GET /users with a million users: time, memory, and what a reader that pauses keeps busy. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import Database from 'libsql';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { program } from '../../tests/support/programs.ts';
import {
  barOf,
  digits,
  inRounds,
  ratioBar,
  roundsOf,
  type Section,
  type Table,
} from '../findings.ts';
import { readToEnd } from '../load.ts';
import { cpuSeconds, median, memory } from '../measure.ts';
import type { Server, Stage } from '../stage.ts';

const USERS = Number(process.env['USERS'] ?? 1_000_000);
const COLUMNS = 'SELECT id, username, email, date_created FROM users ORDER BY id';
const TIME_BAR = 2;
const MEMORY_BAR_MB = 50;
/** About the middle of the list, in bytes: a user takes at least 75. */
const PAUSE_AT_BYTES = USERS * 75;
/** How long the reader pauses there. */
const PAUSE_MS = 3_000;

interface Read {
  readonly seconds: number;
  /** Peak memory beyond that of the idle service. */
  readonly grownMb: number;
  /** CPU seconds of the service. */
  readonly cpu: number;
}

export const usersSection: Section = {
  name: 'users',
  async run(stage) {
    const mariadb = await stage.guest(await stage.crowd(USERS));
    const sqlite = await sqliteGuest(stage);
    const shell = mariadbShell(mariadb.databaseUrl);
    const onMariadb = await compare(stage, 'MariaDB', mariadb, shell);
    const reads = [onMariadb, await compare(stage, 'SQLite', sqlite.server, sqlite.shell)];
    const stops = await stopReading(stage, mariadb, onMariadb.idle);
    return {
      bars: [...reads.flatMap(({ bars }) => bars), ...stops.bars],
      tables: {
        [`${USERS.toLocaleString('en')} users`]: reads.map(({ line }) => line),
        'a reader that stops half-way, on MariaDB': stops.table,
      },
    };
  },
};

/** Runs the database's shell, which writes the same columns of all users to /dev/null. */
type Shell = () => Promise<Read>;

async function compare(stage: Stage, store: string, server: Server, shell: Shell) {
  const pid = server.workers.server;
  await readToEnd(`${server.url}/users?limit=10`); // Warms up the idle service.
  const idle = memory(pid);
  const service = async (): Promise<Read> => {
    const [started, cpu] = [performance.now(), cpuSeconds(pid)];
    let seconds = 0;
    const peak = await stage.peakOf(server, async () => {
      await readToEnd(`${server.url}/users`);
      seconds = (performance.now() - started) / 1000;
    });
    return { seconds, grownMb: peak - idle, cpu: cpuSeconds(pid) - cpu };
  };
  await service();
  const found = await inRounds(
    new Map([
      ['service', service],
      ['shell', shell],
    ]),
  );
  const [ours, theirs] = [roundsOf(found, 'service'), roundsOf(found, 'shell')];
  const of = (reads: readonly Read[], what: keyof Read) => reads.map((read) => read[what]);
  const times = [of(ours, 'seconds'), of(theirs, 'seconds')] as const;
  const grown = of(ours, 'grownMb');
  return {
    idle,
    bars: [
      ratioBar(`time on ${store}, against its shell`, ...times, { atMost: TIME_BAR }),
      barOf(`memory beyond idle, on ${store}`, grown, 'MB', { atMost: MEMORY_BAR_MB }),
    ],
    line: {
      store,
      's, service': digits(median(times[0])),
      's, shell': digits(median(times[1])),
      'CPU µs a user': digits((median(of(ours, 'cpu')) / USERS) * 1e6),
      'MB idle': digits(idle),
      'MB more': digits(median(grown)),
    },
  };
}

function shellOf(file: string, args: readonly string[]): Shell {
  return async () => {
    const started = performance.now();
    const command = `exec "$0" "$@" > /dev/null`;
    await promisify(execFile)('sh', ['-c', command, file, ...args]);
    return { seconds: (performance.now() - started) / 1000, grownMb: Number.NaN, cpu: Number.NaN };
  };
}

function mariadbShell(databaseUrl: string): Shell {
  const client = program(['mariadb', 'mysql'], ['--version'], 'mariadb-client');
  if (client === undefined) throw new Error("the benchmarks need MariaDB's client");
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  const login = [`--user=${username}`, `--password=${password}`, '--protocol=tcp'];
  const server = [`--host=${hostname}`, `--port=${port}`, pathname.slice(1)];
  return shellOf(client, ['--no-defaults', '--quick', ...login, ...server, '-e', COLUMNS]);
}

async function sqliteGuest(stage: Stage): Promise<{ server: Server; shell: Shell }> {
  const shell = program(['sqlite3'], ['--version'], 'sqlite3');
  if (shell === undefined) throw new Error("the benchmarks need SQLite's shell");
  const path = join(stage.folder.path, 'users.sqlite');
  const server = await stage.guest(`sqlite:${path}`);
  const db = new Database(path);
  db.exec(`
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${USERS})
    INSERT INTO users (username, email, password_hash, date_created)
    SELECT 'User ' || n, 'crowd' || n || '@example.com', '${'x'.repeat(97)}',
      '2026-01-02T03:04:05.678Z' FROM numbers`);
  db.close();
  return { server, shell: shellOf(shell, [path, COLUMNS]) };
}

/** @param idle memory of the service before the first read, in MB */
async function stopReading(stage: Stage, server: Server, idle: number) {
  const observer = await createConnection(server.databaseUrl);
  const connections = async () => {
    const [rows] = await observer.query<RowDataPacket[]>(
      `SELECT COUNT(*) AS held, COUNT(IF(command = 'Sleep', NULL, 1)) AS busy
       FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()`,
    );
    return { held: Number(rows[0]?.['held']), busy: Number(rows[0]?.['busy']) };
  };
  const before = await connections();
  const memoryBefore = memory(server.workers.server);
  let during = { held: 0, busy: 0 };
  let memoryDuring = 0;
  const peak = await stage.peakOf(server, () =>
    readToEnd(`${server.url}/users`, PAUSE_AT_BYTES, async () => {
      await sleep(PAUSE_MS / 2); // Lets queries in progress finish.
      for (const until = performance.now() + PAUSE_MS / 2; performance.now() < until; ) {
        const now = await connections();
        during = { held: Math.max(during.held, now.held), busy: Math.max(during.busy, now.busy) };
        memoryDuring = Math.max(memoryDuring, memory(server.workers.server));
        await sleep(50);
      }
    }),
  );
  await observer.end();
  const more = during.held - before.held;
  const table: Table = [
    {
      when: 'before',
      'MB of the service': digits(memoryBefore),
      'database connections': `${before.held}`,
      'of these busy': `${before.busy}`,
    },
    {
      when: 'while it stops',
      'MB of the service': digits(memoryDuring),
      'database connections': `${during.held}`,
      'of these busy': `${during.busy}`,
    },
  ];
  const stopped = 'while a reader stops';
  return {
    bars: [
      barOf(`database connections busy ${stopped}`, [during.busy], '', { atMost: 0 }),
      barOf(`database connections more ${stopped}`, [more], '', { atMost: 0 }),
      barOf(`memory beyond idle, with a stop`, [peak - idle], 'MB', { atMost: MEMORY_BAR_MB }),
    ],
    table,
  };
}
