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

/** The database of DATABASE_URL. No other setting is needed. */
export function readDatabase(env: NodeJS.ProcessEnv): DatabaseTarget {
  const store = readStore(env);
  if (typeof store === 'string') throw new Refused(`DATABASE_URL ${store}`);
  if (store.kind === 'memory') throw new Refused('DATABASE_URL is memory: nothing is kept');
  return store;
}

/**
 * Gives a command the parts of the service. Refuses if the tables are not up to date: it makes no
 * table and no file.
 */
export async function withParts(
  use: (part: Composition['part']) => Promise<Report>,
): Promise<Report> {
  const settings = readAdministrationConfig(process.env);
  // No command issues or reads a token, so a random key replaces that of the service.
  const config = { ...settings, jwtKey: randomBytes(48).toString('base64url') };
  const { store } = config;
  if (store.kind === 'memory') throw new Refused('DATABASE_URL is memory: nothing is kept');
  refuseOutdated.file(store);
  const { compose } = await import('../composition.ts');
  // Standard output belongs to the report of the command.
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

/** Checks before a command: only `migrate` and the service make tables or a database file. */
export const refuseOutdated = {
  file(target: DatabaseTarget): void {
    if (!('path' in target) || existsSync(target.path)) return;
    throw new Refused(`${target.path} is not there: portcullis migrate makes it`);
  },
  async tables(knex: Knex): Promise<void> {
    if ((await pendingMigrations(knex)).length === 0) return;
    throw new Refused('the tables are not up to date: portcullis migrate makes them so');
  },
  async auditTable(knex: Knex): Promise<void> {
    if (await new KnexAudit(knex).hasTable()) return;
    throw new Refused('the table of audit records is not there: portcullis migrate makes it');
  },
};

/** The migrations that are missing. @throws Refused if the database cannot be used */
export async function pendingMigrations(knex: Knex): Promise<readonly string[]> {
  return pendingSteps(knex).catch(refuseDatabase);
}
