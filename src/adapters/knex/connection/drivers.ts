import type * as Libsql from 'libsql';
import type * as Mysql from 'mysql2';

// Loading begins with the pool, and not within the time that a connection may take.

export const loadSqlite = (): Promise<typeof Libsql> => driver('libsql', () => import('libsql'));
export const loadMysql = (): Promise<typeof Mysql> => driver('mysql2', () => import('mysql2'));

/** Loads a package that is needed for some databases only. */
async function driver<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new Error(`the package ${name} cannot be loaded: npm install ${name}`, { cause });
  }
}

/** A connection that knex takes out of its pool if it has this mark. */
export interface Disposable {
  __knex__disposed?: unknown;
}
