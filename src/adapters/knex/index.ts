export { type DatabaseTarget, type DatabaseTls, openDatabase } from './database.ts';
export { knexRepositories } from './knex-repositories.ts';
export { migrate } from './migrations.ts';
export type { KnexOptions, TableNames } from './tables.ts';
