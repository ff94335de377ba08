export { openDatabase } from './database.ts';
export type { DatabaseTarget, DatabaseTls } from './target.ts';
export { knexRepositories } from './knex-repositories.ts';
export { migrate } from './migrate.ts';
export type { KnexOptions, TableNames } from './tables.ts';
