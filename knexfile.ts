import { ConfigError, readConfig } from './src/adapters/config/config.ts';
import { migrationConfig } from './src/adapters/knex/connection/open.ts';

// For knex's own command line (`npm run knex -- migrate:list`): the database of DATABASE_URL and
// the migrations that the service itself runs at start. Nothing but DATABASE_URL is looked at.
const { store } = readConfig({ DATABASE_URL: process.env['DATABASE_URL'] });
if (store.kind === 'memory') throw new ConfigError(['DATABASE_URL memory: has no migrations']);

export default migrationConfig(store);
