import type { DatabaseTarget } from '../connection/target.ts';
import type { Engine } from './engine.ts';
import { backUpMysql, MYSQL_BEGINNING } from './mysql-backup.ts';
import { inspectMysql } from './mysql-inspection.ts';
import { restoreMysql } from './mysql-restore.ts';
import { backUpSqlite, restoreSqlite, SQLITE_BEGINNING } from './sqlite-backup.ts';
import { inspectSqlite } from './sqlite-inspection.ts';

/** The operator's tools by engine: apart from the dialects, which every process loads. */
export const ENGINES: { readonly [Kind in DatabaseTarget['kind']]: Engine<Kind> } = {
  sqlite: {
    name: 'SQLite',
    backupBeginning: SQLITE_BEGINNING,
    backUp: backUpSqlite,
    restore: restoreSqlite,
    inspect: inspectSqlite,
  },
  mysql: {
    name: 'MySQL or MariaDB',
    backupBeginning: MYSQL_BEGINNING,
    backUp: backUpMysql,
    restore: restoreMysql,
    inspect: inspectMysql,
  },
};

/** The same for a kind that is known only at run time. */
export function engineOf<Kind extends DatabaseTarget['kind']>(kind: Kind): Engine<Kind> {
  return ENGINES[kind];
}
