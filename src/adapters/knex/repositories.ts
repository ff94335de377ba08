import type { Knex } from 'knex';
import type { Ports } from '../../application/index.ts';
import { KnexAttempts } from './attempts.ts';
import { KnexSessions } from './sessions.ts';
import { KnexUsers } from './users.ts';
import { guarded, safeValues, sendsValuesApart } from './connection/safe-values.ts';
import { type KnexOptions, tablesOf } from './tables.ts';

/**
 * The repositories on the tables that `migrate` makes, the same for MySQL, MariaDB and SQLite. On a
 * knex of `openDatabase` everything that can wait has a limit; any other waits as long as its
 * settings say. Every method rejects, having done nothing, where a connection to MySQL has another
 * charset than utf8mb4 or the sql_mode NO_BACKSLASH_ESCAPES: what people type could be read as SQL
 * there.
 * @throws RangeError for names that no table can have, or a knex of another client than mysql2 or
 * better-sqlite3, or one that renames columns
 */
export function knexRepositories(
  knex: Knex,
  options: KnexOptions = {},
): Pick<Ports, 'users' | 'sessions' | 'attempts'> {
  const tables = tablesOf(knex, options);
  const parts = {
    users: new KnexUsers(knex, tables),
    sessions: new KnexSessions(knex, tables),
    attempts: new KnexAttempts(knex, tables.attempts),
  };
  if (sendsValuesApart(knex)) return parts;
  const areSafe = safeValues(knex);
  return {
    users: guarded(parts.users, areSafe),
    sessions: guarded(parts.sessions, areSafe),
    attempts: guarded(parts.attempts, areSafe),
  };
}
