/**
 * The service for a long time under a load of every kind (bench/crowd.ts) that leaves the database as large as it
 * was: does its memory grow, do its replies slow down, does it lose handles? `MINUTES` (30) on each of
 * `STORES` (`mariadb,sqlite`), at `RATE` (50) requests a second, a quarter of which hash. Prints by what each figure
 * grows in an hour, by least squares over windows of a minute (shorter in runs under half an hour),
 * without the first tenth. Exit code 1 where a reply is strange; judges no slope: one that is less than twice its
 * error is as good as none. `FROM=source` runs what has not been built.
 *
 *   npm run bench -- soak
 *   MINUTES=3 STORES=sqlite npm run bench -- soak
 */
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { findMariadb, mariadbServer, temporaryFolder } from '../tests/support/programs.ts';
import { BUILT, startProgram } from '../tests/support/service.ts';
import { type Answered, Crowd } from './crowd.ts';
import { handles, median, memory, quantile } from './measure.ts';
import { type Point, trendOf } from './trend.ts';

const MINUTES = Number(process.env['MINUTES'] ?? 30);
const RATE = Number(process.env['RATE'] ?? 50);
const STORES = (process.env['STORES'] ?? 'mariadb,sqlite').split(',');
const COMMAND = process.env['FROM'] === 'source' ? undefined : BUILT;
const ACCOUNTS = 100;
const WINDOWS = 30;
/** Seconds of each: a minute at most. */
const WINDOW = Math.min(60, (MINUTES * 60) / WINDOWS);
const WARM_UP = 0.1;
/** ms between two looks at the process. */
const INTERVAL = Math.min(1_000, (WINDOW * 1_000) / 4);

/** What was seen in one window. */
interface Window {
  /** Hours since the beginning. */
  readonly at: number;
  readonly replies: Answered[];
  readonly memory: number[];
  readonly handles: number[];
  readonly sockets: number[];
}

for (const store of STORES) {
  if (store === 'sqlite') await onSqlite();
  else if (store === 'mariadb') await onMariadb();
  else throw new Error(`STORES: ${store} is neither mariadb nor sqlite`);
}

async function onSqlite(): Promise<void> {
  const folder = temporaryFolder();
  try {
    await soak('SQLite', `sqlite:${join(folder.path, 'soak.sqlite')}`);
  } finally {
    folder.remove();
  }
}

async function onMariadb(): Promise<void> {
  const daemon = findMariadb();
  if (daemon === undefined) throw new Error('there is no MariaDB');
  const server = await mariadbServer(daemon);
  try {
    const connection = await createConnection(server.url);
    await connection.query('CREATE DATABASE soak');
    await connection.end();
    await soak('MariaDB', `${server.url}/soak`);
  } finally {
    await server.remove();
  }
}

async function soak(store: string, databaseUrl: string): Promise<void> {
  const env = {
    NODE_ENV: 'production',
    PORT: '0',
    DATABASE_URL: databaseUrl,
    JWT_SECRET: 'of the soak alone, and of no other service',
    ACCESS_TOKEN_TTL: '1d', // Longer than any run.
    TRUST_PROXY: '1',
    USERS_ACCESS: 'public',
  };
  const program = await startProgram(env, COMMAND);
  try {
    const windows = await observe(program.url, program.process.pid ?? 0);
    report(store, windows);
  } finally {
    await program.end('SIGTERM');
  }
}

async function observe(url: string, pid: number): Promise<readonly Window[]> {
  const crowd = new Crowd(url);
  await crowd.gather(ACCOUNTS);
  const windows: Window[] = [];
  const started = performance.now();
  const current = (): Window => {
    const seconds = (performance.now() - started) / 1000;
    const index = Math.floor(seconds / WINDOW);
    while (windows.length <= index) {
      const at = ((windows.length + 0.5) * WINDOW) / 3600;
      windows.push({ at, replies: [], memory: [], handles: [], sockets: [] });
    }
    return windows[index] ?? { at: 0, replies: [], memory: [], handles: [], sockets: [] };
  };
  const look = () => {
    const window = current();
    const { all, sockets } = handles(pid);
    window.memory.push(memory(pid));
    window.handles.push(all);
    window.sockets.push(sockets);
  };
  const timer = setInterval(look, INTERVAL);
  try {
    await crowd.act(RATE, MINUTES * 60, (answered) => current().replies.push(answered));
  } finally {
    clearInterval(timer);
    crowd.leave();
  }
  return windows;
}

function report(store: string, windows: readonly Window[]): void {
  const replies = windows.flatMap((window) => window.replies);
  // The last is one of which hardly anything is left, or in which nothing more was sent.
  const counted = windows
    .slice(Math.ceil(windows.length * WARM_UP))
    .filter((window) => window.memory.length > 1 && window.replies.length > 1);
  const rows = (
    [
      ['memory', 'MB', (window) => median(window.memory)],
      ['p50', 'ms', (window) => latency(window, 0.5)],
      ['p99', 'ms', (window) => latency(window, 0.99)],
      ['handles', '', (window) => median(window.handles)],
      ['of these sockets', '', (window) => median(window.sockets)],
    ] satisfies [string, string, (window: Window) => number][]
  ).map(([what, unit, of]) => {
    const points: Point[] = counted.map((window) => ({ at: window.at, value: of(window) }));
    const { slope, error } = trendOf(points);
    // What fills up stops growing, a leak does not.
    const later = trendOf(points.slice(points.length >> 1));
    return {
      what: `${what} ${unit}`.trim(),
      first: (points[0]?.value ?? Number.NaN).toFixed(1),
      last: (points.at(-1)?.value ?? Number.NaN).toFixed(1),
      'an hour': slope.toFixed(2),
      'standard error': error.toFixed(2),
      'second half': `${later.slope.toFixed(2)} ± ${later.error.toFixed(2)}`,
      grows: Math.abs(slope) > 2 * error ? `${(slope / error).toFixed(1)} errors` : 'no',
    };
  });
  console.log(
    `${store}: ${MINUTES} minutes, ${replies.length} requests, ${counted.length} windows of ${WINDOW.toFixed(1)} s`,
  );
  console.table(rows);
  console.table(byKind(replies));
  const wrong = replies.filter(({ strange }) => strange !== undefined);
  console.log(`${wrong.length} of ${replies.length} replies are strange`);
  for (const { kind, status, strange } of wrong.slice(0, 10)) {
    console.log(`  ${kind}: ${status} ${strange?.slice(0, 60)}`);
  }
  if (wrong.length > 0 || replies.length === 0 || counted.length < 3) process.exitCode = 1;
}

function latency({ replies }: Window, share: number): number {
  return quantile(
    replies.map(({ ms }) => ms),
    share,
  );
}

function byKind(replies: readonly Answered[]) {
  return distinct(replies.map(({ kind }) => kind)).map((kind) => {
    const some = replies.filter((reply) => reply.kind === kind);
    const times = some.map(({ ms }) => ms);
    const statuses = distinct(some.map(({ status }) => status)).map(
      (status) => `${status}: ${some.filter((reply) => reply.status === status).length}`,
    );
    return {
      kind,
      replies: statuses.join(', '),
      'p50 ms': quantile(times, 0.5).toFixed(1),
      'p99 ms': quantile(times, 0.99).toFixed(1),
    };
  });
}

function distinct<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
