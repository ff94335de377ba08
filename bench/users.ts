/**
 * GET /users with a million users (or `USERS`): how long it takes and how much memory of the
 * service it needs, on SQLite and MariaDB. Prints a table; measures, and asserts nothing.
 *
 *   npm run bench:users
 */
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'libsql';
import { createConnection } from 'mysql2/promise';
import { findMariadb, mariadbServer, temporaryFolder } from '../tests/support/programs.ts';
import { startProgram } from '../tests/support/service.ts';
import { memory } from './measure.ts';

const USERS = Number(process.env['USERS'] ?? 1_000_000);
const PRODUCTION = [process.execPath, 'dist/main.js'];

const SQLITE_FILL = `
  WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${USERS})
  INSERT INTO users (username, email, password_hash, date_created)
  SELECT 'User ' || n, 'user' || n || '@example.com', 'x', '2026-01-02T03:04:05.678Z' FROM numbers`;
const MARIADB_FILL = `
  INSERT INTO users (username, email, password_hash, date_created)
  SELECT CONCAT('User ', seq), CONCAT('user', seq, '@example.com'), 'x', '2026-01-02T03:04:05.678Z'
  FROM seq_1_to_${USERS}`;

const rows: Record<string, string | number>[] = [];

await onSqlite();
await onMariadb();
console.table(rows);

async function onSqlite(): Promise<void> {
  const folder = temporaryFolder();
  try {
    const file = join(folder.path, 'bench.sqlite');
    await measure('SQLite', `sqlite:${file}`, async () => {
      const db = new Database(file);
      db.exec(SQLITE_FILL);
      db.close();
    });
  } finally {
    folder.remove();
  }
}

async function onMariadb(): Promise<void> {
  const daemon = findMariadb();
  if (daemon === undefined) {
    console.log('no MariaDB: not measured');
    return;
  }
  const server = await mariadbServer(daemon, ['--innodb-buffer-pool-size=1G']);
  try {
    const connection = await createConnection(server.url);
    await connection.query('CREATE DATABASE bench');
    await measure('MariaDB', `${server.url}/bench`, async () => {
      await connection.query('USE bench');
      await connection.query(MARIADB_FILL);
    });
    await connection.end();
  } finally {
    await server.remove();
  }
}

async function measure(store: string, databaseUrl: string, fill: () => Promise<void>) {
  const program = await startProgram({ PORT: '0', DATABASE_URL: databaseUrl }, PRODUCTION);
  await fill();
  const pid = program.process.pid ?? 0;
  await read(`${program.url}/users?limit=10`); // Idle, but not cold.
  const idle = memory(pid);
  for (const [reader, pause] of [
    ['fast', 0],
    ['fast, again', 0],
    ['stops for 5 s', 5_000],
  ] as const) {
    let peak = idle;
    const watch = setInterval(() => {
      peak = Math.max(peak, memory(pid));
    }, 20);
    const started = performance.now();
    const bytes = await read(`${program.url}/users`, pause);
    clearInterval(watch);
    rows.push({
      store,
      users: USERS,
      reader,
      seconds: ((performance.now() - started) / 1000).toFixed(2),
      'body MB': (bytes / 1e6).toFixed(0),
      'idle MB': idle.toFixed(0),
      'grown by MB': (peak - idle).toFixed(1),
    });
  }
  await program.end('SIGTERM');
}

/** Reads a body to its end, counting; `pause` in ms, once, in the middle of it. */
async function read(url: string, pause = 0): Promise<number> {
  const response = await new Promise<AsyncIterable<Buffer>>((resolve, reject) => {
    get(url, { agent: false }, resolve).on('error', reject);
  });
  let bytes = 0;
  let paused = pause === 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (!paused) {
      paused = true;
      await sleep(pause);
    }
  }
  return bytes;
}
