/**
 * Does the duration of POST /login reveal whether an account exists? Sends pairs of refused logins
 * on one connection, in random order, on SQLite and MariaDB: one of an unknown email, one of an
 * account.
 *
 * Sends `PAIRS` (1,000) pairs with a wrong password, and a third as many of each other kind.
 * Imported hashes come last, because the first of them slows all later refusals. For each kind of
 * imported hash, also measures the first refusal after a start, `STARTS` (5) times. Prints medians,
 * their difference with its 95 % confidence interval, and the p of a Mann-Whitney U test. Asserts
 * nothing.
 *
 *   npm run bench -- timing
 */
import { join } from 'node:path';
import { hash, type Options } from '@node-rs/argon2';
import { createConnection } from 'mysql2/promise';
import { readConfig } from '../src/adapters/config/config.ts';
import { openDatabase } from '../src/adapters/knex/connection/open.ts';
import { findMariadb, mariadbServer, temporaryFolder } from '../tests/support/programs.ts';
import { BUILT, registered, startProgram } from '../tests/support/service.ts';
import { Connection, quantile, requestText } from './measure.ts';

const PAIRS = Number(process.env['PAIRS'] ?? 1_000);
const STARTS = Number(process.env['STARTS'] ?? 5);
const BOUND_MS = 2;
const RESAMPLES = 2_000;

const WRONG = 'wrong password';
const UNKNOWN = login('unknown@example.com', WRONG);

/**
 * What an account may have stored: a hash, given as argon2 parameters or as it is, or an invalid
 * one.
 */
const STORED: Readonly<Record<string, Options | string>> = {
  'argon2id, m=4096, t=1': { memoryCost: 4_096, timeCost: 1, parallelism: 1 },
  'argon2id, m=7168, t=5': { memoryCost: 7_168, timeCost: 5, parallelism: 1 },
  'argon2id, m=9216, t=4': { memoryCost: 9_216, timeCost: 4, parallelism: 1 },
  'argon2id, m=12288, t=3': { memoryCost: 12_288, timeCost: 3, parallelism: 1 },
  'argon2i, m=4096, t=3':
    '$argon2i$v=19$m=4096,t=3,p=1$dYredqSfxCxHStQluJ4mFw$7B39+CSdPJwqWUKYb7emFMIUDFpIDziMKIaD/8W10pw',
  'unreadable hash': 'x',
};

/** Hashes of other systems with their default parameters, from the fastest to the slowest. */
const IMPORTED: Readonly<Record<string, Options | string>> = {
  'PBKDF2 of passlib, 29,000': `$pbkdf2-sha256$29000$${'s'.repeat(22)}$${'k'.repeat(43)}`,
  'argon2id of Django': { memoryCost: 102_400, timeCost: 2, parallelism: 8 },
  'bcrypt, cost 10': `$2b$10$${'u'.repeat(53)}`,
  'scrypt of Werkzeug, N=32,768': `scrypt:32768:8:1$${'s'.repeat(16)}$${'6b'.repeat(64)}`,
  'PBKDF2 of Django, 600,000': `pbkdf2_sha256$600000$${'s'.repeat(22)}$${'k'.repeat(43)}=`,
};

let accounts = 0;
const rows: Record<string, string | number>[] = [];

await onSqlite();
await onMariadb();
console.table(rows);

async function onSqlite(): Promise<void> {
  const folder = temporaryFolder();
  try {
    await measure('SQLite', `sqlite:${join(folder.path, 'bench.sqlite')}`);
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
  const server = await mariadbServer(daemon);
  try {
    const connection = await createConnection(server.url);
    await connection.query('CREATE DATABASE bench');
    await connection.end();
    await measure('MariaDB', `${server.url}/bench`);
  } finally {
    await server.remove();
  }
}

async function measure(store: string, databaseUrl: string): Promise<void> {
  const env = { PORT: '0', RATE_LIMIT: 'off', DATABASE_URL: databaseUrl };
  const program = await startProgram(env, BUILT);
  const kinds: [kind: string, refused: string, pairs: number][] = [
    ['wrong password', login(await account(program.url), WRONG), PAIRS],
  ];
  const others = Math.ceil(PAIRS / 3);
  for (const [name, stored] of Object.entries(STORED)) {
    const email = await account(program.url);
    await storeHash(databaseUrl, email, stored);
    kinds.push([name, login(email, WRONG), others]);
  }
  kinds.push(['no email', login('no email', WRONG), others]);
  kinds.push(['over-long', login(await account(program.url), 'x'.repeat(10_000)), others]);
  const imported: [kind: string, refused: string][] = [];
  for (const [name, stored] of Object.entries(IMPORTED)) {
    const email = await account(program.url);
    await storeHash(databaseUrl, email, stored);
    imported.push([name, login(email, WRONG)]);
    kinds.push([name, login(email, WRONG), others]);
  }

  const connection = await Connection.open(program.url);
  for (let i = 0; i < 100; i += 1) await connection.send(UNKNOWN); // Warms up the code.
  for (const [kind, refused, pairs] of kinds) {
    const times: (readonly [refused: number, unknown: number])[] = [];
    for (let i = 0; i < pairs; i += 1) times.push(await timePair(connection, refused));
    rows.push({ store, 'against an unknown email': kind, pairs, ...compare(times) });
  }
  connection.close();
  await program.end('SIGTERM');
  for (const [kind, refused] of imported) {
    const times: (readonly [refused: number, unknown: number])[] = [];
    for (let i = 0; i < STARTS; i += 1) times.push(await timeFirst(env, refused));
    rows.push({
      store,
      'against an unknown email': `${kind}: first`,
      pairs: STARTS,
      ...compare(times),
    });
  }
}

/** After a start, refuses an unknown email until that is fast, then measures this login once. */
async function timeFirst(
  env: Readonly<Record<string, string>>,
  refused: string,
): Promise<readonly [refused: number, unknown: number]> {
  const program = await startProgram(env, BUILT);
  const connection = await Connection.open(program.url);
  let unknown = 0;
  for (let i = 0; i < 20; i += 1) unknown = (await connection.send(UNKNOWN)).ms;
  const { ms } = await connection.send(refused);
  connection.close();
  await program.end('SIGTERM');
  return [ms, unknown];
}

async function account(url: string): Promise<string> {
  const email = `account${(accounts += 1)}@example.com`;
  await registered(url, { email });
  return email;
}

function login(email: string, password: string): string {
  return requestText('POST /login', { json: { email, password } });
}

async function storeHash(databaseUrl: string, email: string, stored: Options | string) {
  const { store } = readConfig({ DATABASE_URL: databaseUrl });
  if (store.kind === 'memory') throw new Error('no database');
  const knex = openDatabase(store);
  const password_hash = typeof stored === 'string' ? stored : await hash('right password', stored);
  await knex('users').where({ email }).update({ password_hash });
  await knex.destroy();
}

async function timePair(
  connection: Connection,
  refused: string,
): Promise<readonly [refused: number, unknown: number]> {
  const time = async (text: string) => {
    const { status, ms } = await connection.send(text);
    if (status !== 401) throw new Error(`status ${status}`);
    return ms;
  };
  if (Math.random() < 0.5) return [await time(refused), await time(UNKNOWN)];
  const unknown = await time(UNKNOWN);
  return [await time(refused), unknown];
}

function compare(times: readonly (readonly [refused: number, unknown: number])[]) {
  const difference = (pairs: typeof times) => medianOf(pairs, 0) - medianOf(pairs, 1);
  const resampled = Array.from({ length: RESAMPLES }, () =>
    difference(times.map((pair) => times[Math.floor(Math.random() * times.length)] ?? pair)),
  );
  const between = [0.025, 0.975].map((share) => quantile(resampled, share).toFixed(2));
  const found = difference(times);
  return {
    'median ms': medianOf(times, 0).toFixed(2),
    'of unknown': medianOf(times, 1).toFixed(2),
    difference: found.toFixed(2),
    '95 %': between.join(' … '),
    p: mannWhitney(...columns(times)).toFixed(3),
    [`< ${BOUND_MS} ms`]: Math.abs(found) < BOUND_MS ? 'within' : 'BEYOND',
  };
}

function medianOf(pairs: readonly (readonly [number, number])[], side: 0 | 1): number {
  return quantile(
    pairs.map((pair) => pair[side]),
    0.5,
  );
}

function columns(pairs: readonly (readonly [number, number])[]): [number[], number[]] {
  return [pairs.map(([one]) => one), pairs.map(([, other]) => other)];
}

/** Two-sided p, by the normal approximation with its correction for ties. */
function mannWhitney(one: readonly number[], other: readonly number[]): number {
  const all = [...one.map((ms) => [ms, 1] as const), ...other.map((ms) => [ms, 0] as const)];
  all.sort(([a], [b]) => a - b);
  let ranks = 0;
  let ties = 0;
  for (let start = 0, end = 0; start < all.length; start = end) {
    while (end < all.length && all[end]?.[0] === all[start]?.[0]) end += 1;
    const ofOne = all.slice(start, end).reduce((sum, [, isOne]) => sum + isOne, 0);
    ranks += ofOne * ((start + 1 + end) / 2);
    ties += (end - start) ** 3 - (end - start);
  }
  const [n, m] = [one.length, other.length];
  const u = ranks - (n * (n + 1)) / 2;
  const deviation = Math.sqrt(((n * m) / 12) * (n + m + 1 - ties / ((n + m) * (n + m - 1))));
  return 2 * upperTail(Math.abs(u - (n * m) / 2) / deviation);
}

/**
 * The upper tail of the standard normal distribution (Abramowitz and Stegun 26.2.17: to 7.5e-8).
 */
function upperTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const factors = [1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.31938153];
  const series = factors.reduce((sum, factor) => (sum + factor) * t, 0);
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
}
