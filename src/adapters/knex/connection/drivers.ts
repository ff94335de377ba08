import type * as Libsql from 'libsql';
import type * as Mysql from 'mysql2';

// Drivers are loaded when a pool is opened: loading must not count as time to connect.

export const loadSqlite = (): Promise<typeof Libsql> => driver('libsql', () => import('libsql'));
export const loadMysql = (): Promise<typeof Mysql> => driver('mysql2', () => import('mysql2'));

/** Loads a package that only some databases need. */
async function driver<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new Error(`the package ${name} cannot be loaded: npm install ${name}`, { cause });
  }
}

/** A connection with this mark is taken out of knex's pool. */
export interface Disposable {
  __knex__disposed?: unknown;
}
