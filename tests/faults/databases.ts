/** Databases of the fault suite's own, and plain SQL on them, past the product. */
import { join } from 'node:path';
import Database from 'libsql';
import { createConnection } from 'mysql2/promise';
import {
  findMariadb,
  type MariadbServer,
  mariadbServer,
  temporaryFolder,
} from '../support/programs.ts';

export type StoreName = 'memory' | 'SQLite' | 'MariaDB';

/** Where new, empty databases of one kind come from. */
export interface Store {
  readonly name: StoreName | 'Galera';
  /** The URL of another one. */
  readonly next: () => Promise<string>;
  /** All URLs of a database, where it has several servers. */
  readonly ways?: (url: string) => readonly string[];
}

/** Does something on each of these kinds, one after the other; whatever they held is gone afterwards. */
export async function onEach<T>(
  names: readonly StoreName[],
  use: (store: Store) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const results: T[] = [];
  for (const name of names) {
    if (name === 'memory') {
      results.push(...(await use({ name, next: async () => 'memory:' })));
    } else if (name === 'SQLite') {
      const folder = temporaryFolder();
      let number = 0;
      const next = async () => `sqlite:${join(folder.path, `${(number += 1)}.sqlite`)}`;
      try {
        results.push(...(await use({ name, next })));
      } finally {
        folder.remove();
      }
    } else {
      // What the loss of power would take is no part of these faults.
      results.push(
        ...(await withMariadb(['--innodb-flush-method=nosync'], (server) =>
          use({ name, next: () => newDatabase(server) }),
        )),
      );
    }
  }
  return results;
}

/** A MariaDB for as long as it is used; its data are in the folder `parent`, if that is given. */
export async function withMariadb<T>(
  options: readonly string[],
  use: (server: MariadbServer) => Promise<T>,
  parent?: string,
): Promise<T> {
  const daemon = findMariadb();
  if (daemon === undefined) throw new Error('there is no MariaDB');
  const server = await mariadbServer(daemon, options, parent);
  try {
    return await use(server);
  } finally {
    await server.remove();
  }
}

let databases = 0;

/** Makes another database on a server; its URL. */
export async function newDatabase({ url }: MariadbServer): Promise<string> {
  databases += 1;
  const name = `fault_${databases}`;
  await query(url, `CREATE DATABASE ${name}`);
  return `${url}/${name}`;
}

export type Row = Readonly<Record<string, unknown>>;

/** Runs one statement on a connection of its own; its rows, none where it gives none. */
export async function query(databaseUrl: string, sql: string): Promise<readonly Row[]> {
  if (databaseUrl.startsWith('sqlite:')) {
    const db = new Database(databaseUrl.replace('sqlite:', ''), { timeout: 5_000 });
    try {
      return db.prepare(sql).all() as Row[];
    } finally {
      db.close();
    }
  }
  const connection = await createConnection(databaseUrl);
  try {
    const [rows] = await connection.query(sql);
    return Array.isArray(rows) ? (rows as Row[]) : [];
  } finally {
    await connection.end();
  }
}
