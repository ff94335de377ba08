// Loading begins with the pool, and not within the time that a connection may take.

export const loadSqlite = () => driver('libsql', () => import('libsql'));
export const loadMysql = () => driver('mysql2', () => import('mysql2'));

/** Loads a package that is needed for some databases only. */
async function driver<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new Error(`the package ${name} cannot be loaded: npm install ${name}`, { cause });
  }
}
