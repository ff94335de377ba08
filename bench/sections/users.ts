/** GET /users of a million: its time, its memory, and what a reader holds that stops. */
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
const MEMORY_BAR = 50;
/** Bytes: there are at least 75 for each user, so these are there in the middle of the list. */
const HALF = USERS * 75;
/** ms that the reader stops for, in the middle of the list. */
const STOP = 3_000;

interface Read {
  readonly seconds: number;
  /** Beyond those of the service when it was idle. */
  readonly grownMb: number;
  /** CPU of the service, in seconds. */
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

/** A program that writes the same columns of all users to nowhere. */
type Shell = () => Promise<Read>;

async function compare(stage: Stage, store: string, server: Server, shell: Shell) {
  const pid = server.workers.server;
  await readToEnd(`${server.url}/users?limit=10`); // Idle, but not cold.
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
      barOf(`memory beyond idle, on ${store}`, grown, 'MB', { atMost: MEMORY_BAR }),
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

/** `idle`: what the service took before anything was read, in MB. */
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
    readToEnd(`${server.url}/users`, HALF, async () => {
      await sleep(STOP / 2); // What was under way comes to its end.
      for (const until = performance.now() + STOP / 2; performance.now() < until; ) {
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
      barOf(`memory beyond idle, with a stop`, [peak - idle], 'MB', { atMost: MEMORY_BAR }),
    ],
    table,
  };
}
