export { type DatabaseTarget, openDatabase } from './database.ts';
export { type DatabaseTls } from './mysql-client.ts';
export { knexRepositories } from './knex-repositories.ts';
export { migrate } from './migrations.ts';
export type { KnexOptions, TableNames } from './tables.ts';
