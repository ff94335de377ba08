import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { createConnection } from 'mysql2/promise';
import { readConfig } from '../../src/adapters/config/config.ts';
import { openDatabase } from '../../src/adapters/knex/database.ts';
import { knexRepositories } from '../../src/adapters/knex/knex-repositories.ts';
import { migrate } from '../../src/adapters/knex/migrations.ts';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import type { Ports } from '../../src/application/index.ts';
import { temporaryFolder } from './programs.ts';

export type StoreName = 'memory' | 'SQLite' | 'MariaDB';
export const STORE_NAMES: readonly StoreName[] = ['memory', 'SQLite', 'MariaDB'];

export type Repositories = Pick<Ports, 'users' | 'sessions'>;

/** Where the runner found no MariaDB its tests are skipped, in plain sight. */
export function isAvailable(name: StoreName): boolean {
  return name !== 'MariaDB' || Boolean(process.env['TEST_MYSQL_URL']);
}

/** Gives a test the URL of a new, empty store and takes the store away afterwards. */
export async function withDatabaseUrl(
  name: StoreName,
  use: (url: string) => Promise<void>,
): Promise<void> {
  if (name === 'memory') return use('memory:');
  if (name === 'SQLite') {
    const folder = temporaryFolder();
    try {
      await use(`sqlite:${join(folder.path, 'test.sqlite')}`);
    } finally {
      folder.remove();
    }
    return;
  }
  const server = process.env['TEST_MYSQL_URL'];
  if (!server) throw new Error('no MariaDB');
  const database = `test_${randomBytes(8).toString('hex')}`;
  await administer(server, `CREATE DATABASE ${database}`);
  try {
    await use(`${server}/${database}`);
  } finally {
    await administer(server, `DROP DATABASE ${database}`);
  }
}

async function administer(server: string, sql: string): Promise<void> {
  const connection = await createConnection(server);
  await connection.query(sql);
  await connection.end();
}

/** A pool on the store of a URL, without its tables. Undefined for memory. */
export function openUrl(url: string): Knex | undefined {
  const { store } = readConfig({ DATABASE_URL: url });
  return store.kind === 'memory' ? undefined : openDatabase(store);
}

/** Two pools on one new store with its tables, as two processes would have them; none for memory. */
export async function withDatabases(
  name: StoreName,
  use: (one: Knex | undefined, other: Knex | undefined, url: string) => Promise<void>,
): Promise<void> {
  await withDatabaseUrl(name, async (url) => {
    const [one, other] = [openUrl(url), openUrl(url)];
    try {
      if (one) await migrate(one);
      await use(one, other, url);
    } finally {
      await Promise.all([one?.destroy(), other?.destroy()]);
    }
  });
}

/** Two sets of repositories on one new store: as two processes would have them, but for memory. */
export async function withRepositories(
  name: StoreName,
  use: (one: Repositories, other: Repositories, knex: Knex | undefined) => Promise<void>,
): Promise<void> {
  await withDatabases(name, async (one, other) => {
    const repositories = memoryRepositories();
    const [first, second] = [one && knexRepositories(one), other && knexRepositories(other)];
    await use(first ?? repositories, second ?? repositories, one);
  });
}
