import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Knex } from 'knex';
import { readAdministrationConfig } from '../adapters/config/config.ts';
import { readStore } from '../adapters/config/database-url.ts';
import { KnexAudit } from '../adapters/knex/audit.ts';
import type { DatabaseTarget } from '../adapters/knex/connection/target.ts';
import { pendingSteps } from '../adapters/knex/migrate.ts';
import { textLog } from '../adapters/log/log.ts';
import type { Composition } from '../composition.ts';
import { refuseDatabase, Refused, type Report } from './terminal.ts';

/** The database of the settings, of which nothing else need be set. */
export function readDatabase(env: NodeJS.ProcessEnv): DatabaseTarget {
  const store = readStore(env);
  if (typeof store === 'string') throw new Refused(`DATABASE_URL ${store}`);
  if (store.kind === 'memory') throw new Refused('DATABASE_URL is memory: nothing is kept');
  return store;
}

/**
 * Gives a command the parts of the service by the settings that matter to these, on tables that are up to
 * date: it makes none, and no file.
 */
export async function withParts(
  use: (part: Composition['part']) => Promise<Report>,
): Promise<Report> {
  const settings = readAdministrationConfig(process.env);
  // No command gives or takes a token: the key of the service is not looked for, nor one made and kept.
  const config = { ...settings, jwtKey: randomBytes(48).toString('base64url') };
  const { store } = config;
  if (store.kind === 'memory') throw new Refused('DATABASE_URL is memory: nothing is kept');
  refuseOutdated.file(store);
  const { compose } = await import('../composition.ts');
  // Apart from what the command says, which is on standard output.
  const composition = await compose(config, { log: textLog(config.logLevel, process.stderr) });
  try {
    const knex = composition.part('knex');
    if (knex) await refuseOutdated.tables(knex);
    if (knex && config.audit === 'table') await refuseOutdated.auditTable(knex);
    return await use(composition.part);
  } finally {
    await composition.close();
  }
}

/** Tables are made by `migrate` and by the service alone; and no file, by a slip of the pen. */
export const refuseOutdated = {
  file(target: DatabaseTarget): void {
    if (!('path' in target) || existsSync(target.path)) return;
    throw new Refused(`${target.path} is not there: portcullis migrate makes it`);
  },
  async tables(knex: Knex): Promise<void> {
    if ((await stepsToMake(knex)).length === 0) return;
    throw new Refused('the tables are not up to date: portcullis migrate makes them so');
  },
  async auditTable(knex: Knex): Promise<void> {
    if (await new KnexAudit(knex).hasTable()) return;
    throw new Refused('the table of audit records is not there: portcullis migrate makes it');
  },
};

/** What is asked first, and tells whether the database can be used at all. */
export async function stepsToMake(knex: Knex): Promise<readonly string[]> {
  return pendingSteps(knex).catch(refuseDatabase);
}
