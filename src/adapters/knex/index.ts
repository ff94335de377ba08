export { openDatabase } from './connection/open.ts';
export type {
  DatabaseTarget,
  DatabaseTls,
  MysqlTarget,
  SqliteTarget,
} from './connection/target.ts';
export { knexRepositories } from './repositories.ts';
export { migrate } from './migrate.ts';
export type { KnexOptions, TableNames } from './tables.ts';
