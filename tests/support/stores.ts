import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { createConnection } from 'mysql2/promise';
import { readConfig } from '../../src/adapters/config/config.ts';
import { openDatabase } from '../../src/adapters/knex/connection/open.ts';
import { knexRepositories } from '../../src/adapters/knex/repositories.ts';
import { writing } from '../../src/adapters/knex/connection/retry.ts';
import { migrate } from '../../src/adapters/knex/migrate.ts';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import type { OpenedStore, Repositories } from '../../src/testing/index.ts';
import { temporaryFolder } from './programs.ts';

export type { Repositories };

export type StoreName = 'memory' | 'SQLite' | 'MariaDB';
export const STORE_NAMES: readonly StoreName[] = ['memory', 'SQLite', 'MariaDB'];

/** Where the runner found no MariaDB its tests are skipped, in plain sight. */
export function isAvailable(name: StoreName): boolean {
  return name !== 'MariaDB' || Boolean(process.env['TEST_MYSQL_URL']);
}

/** A new, empty store: its URL, and what takes it away again. */
async function makeStore(name: StoreName): Promise<{ url: string; remove: () => Promise<void> }> {
  if (name === 'memory') return { url: 'memory:', remove: async () => {} };
  if (name === 'SQLite') {
    const folder = temporaryFolder();
    return {
      url: `sqlite:${join(folder.path, 'test.sqlite')}`,
      remove: async () => folder.remove(),
    };
  }
  const server = process.env['TEST_MYSQL_URL'];
  if (!server) throw new Error('no MariaDB');
  const database = `test_${randomBytes(8).toString('hex')}`;
  await administer(server, `CREATE DATABASE ${database}`);
  return {
    url: `${server}/${database}`,
    remove: () => administer(server, `DROP DATABASE ${database}`),
  };
}

/** Gives a test the URL of a new, empty store and takes the store away afterwards. */
export async function withDatabaseUrl(
  name: StoreName,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const { url, remove } = await makeStore(name);
  try {
    await use(url);
  } finally {
    await remove();
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

interface Databases {
  readonly one: Knex | undefined;
  readonly other: Knex | undefined;
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** Two pools on one new store with its tables, as two processes would have them; none for memory. */
export async function openDatabases(name: StoreName): Promise<Databases> {
  const { url, remove } = await makeStore(name);
  const [one, other] = [openUrl(url), openUrl(url)];
  const close = async () => {
    await Promise.all([one?.destroy(), other?.destroy()]);
    await remove();
  };
  try {
    if (one) await migrate(one);
    return { one, other, url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function withDatabases(
  name: StoreName,
  use: (one: Knex | undefined, other: Knex | undefined, url: string) => Promise<void>,
): Promise<void> {
  const { one, other, url, close } = await openDatabases(name);
  try {
    await use(one, other, url);
  } finally {
    await close();
  }
}

/** A new store as the contracts of the repositories open it. */
export async function openStore(name: StoreName): Promise<OpenedStore> {
  const { one, other, close } = await openDatabases(name);
  if (one === undefined || other === undefined) return { ...memoryRepositories(), close };
  return {
    ...knexRepositories(one),
    other: knexRepositories(other),
    // An operator's shell waits for SQLite's lock, which a pool that serves does not do by itself.
    deleteUser: (id) =>
      writing(one, async () => one('users').where({ id }).delete(), { found: null }),
    close,
  };
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
