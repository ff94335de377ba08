/**
 * Runs the service under mixed load (bench/crowd.ts) for a long time. The database keeps its size,
 * so memory, latency and open handles should not grow.
 *
 * Lasts `MINUTES` (30) on each of `STORES` (`mariadb,sqlite`), at `RATE` (50) requests per second,
 * a quarter of which hash a password. Prints the growth of each figure per hour, by least squares
 * over windows of a minute (shorter in runs under half an hour), without the first tenth. A slope
 * of less than twice its error means no growth. Exits with 1 after an unexpected reply, but does
 * not judge slopes. `FROM=source` runs the sources instead of the build.
 *
 *   npm run bench -- soak
 *   MINUTES=3 STORES=sqlite npm run bench -- soak
 */
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { findMariadb, mariadbServer, temporaryFolder } from '../tests/support/programs.ts';
import { BUILT, startProgram } from '../tests/support/service.ts';
import { Crowd, type Outcome } from './crowd.ts';
import { handles, median, memory, quantile } from './measure.ts';
import { type Point, trendOf } from './trend.ts';

const MINUTES = Number(process.env['MINUTES'] ?? 30);
const RATE = Number(process.env['RATE'] ?? 50);
const STORES = (process.env['STORES'] ?? 'mariadb,sqlite').split(',');
const COMMAND = process.env['FROM'] === 'source' ? undefined : BUILT;
const ACCOUNTS = 100;
const WINDOWS = 30;
/** The length of a window: a minute at most. */
const WINDOW_SECONDS = Math.min(60, (MINUTES * 60) / WINDOWS);
/** The share of the windows at the start that does not count. */
const WARM_UP_SHARE = 0.1;
/** Between two measurements of the process. */
const INTERVAL_MS = Math.min(1_000, (WINDOW_SECONDS * 1_000) / 4);

/** The measurements of one window. */
interface Window {
  /** Hours since the beginning. */
  readonly at: number;
  readonly replies: Outcome[];
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
    const index = Math.floor(seconds / WINDOW_SECONDS);
    while (windows.length <= index) {
      const at = ((windows.length + 0.5) * WINDOW_SECONDS) / 3600;
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
  const timer = setInterval(look, INTERVAL_MS);
  try {
    await crowd.act(RATE, MINUTES * 60, (outcome) => current().replies.push(outcome));
  } finally {
    clearInterval(timer);
    crowd.leave();
  }
  return windows;
}

function report(store: string, windows: readonly Window[]): void {
  const replies = windows.flatMap((window) => window.replies);
  // Drops the last window, which may be almost empty.
  const counted = windows
    .slice(Math.ceil(windows.length * WARM_UP_SHARE))
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
    // A cache stops growing when it is full; a leak does not.
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
    `${store}: ${MINUTES} minutes, ${replies.length} requests, ${counted.length} windows of ${WINDOW_SECONDS.toFixed(1)} s`,
  );
  console.table(rows);
  console.table(byKind(replies));
  const wrong = replies.filter(({ unexpected }) => unexpected !== undefined);
  console.log(`${wrong.length} of ${replies.length} replies are strange`);
  for (const { kind, status, unexpected } of wrong.slice(0, 10)) {
    console.log(`  ${kind}: ${status} ${unexpected?.slice(0, 60)}`);
  }
  if (wrong.length > 0 || replies.length === 0 || counted.length < 3) process.exitCode = 1;
}

function latency({ replies }: Window, share: number): number {
  return quantile(
    replies.map(({ ms }) => ms),
    share,
  );
}

function byKind(replies: readonly Outcome[]) {
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
