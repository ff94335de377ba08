/** The service, with at most so many connections to its database (argument): there is no setting for it. */
import { readConfig } from '../../src/adapters/config/config.ts';
import { openDatabase } from '../../src/adapters/knex/database.ts';
import { serve } from '../../src/main.ts';

const config = readConfig(process.env);
if (config.store.kind !== 'mysql') throw new Error('only for MySQL and MariaDB');
const knex = openDatabase(config.store);
const { pool } = knex.client as { readonly pool: { max: number } };
pool.max = Number(process.argv[2]);
const { url, stop } = await serve(config, { knex });
process.once('SIGTERM', () => {
  stop().then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
console.log(`Portcullis serves ${url} with ${pool.max} connections`);
