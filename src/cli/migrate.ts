import { KnexAudit } from '../adapters/knex/audit.ts';
import { openForMigration } from '../adapters/knex/connection/open.ts';
import { migrate } from '../adapters/knex/migrate.ts';
import { readDatabase, pendingMigrations } from './harness.ts';
import type { Report } from './terminal.ts';

/** Migrates the database. */
export async function runMigrate(): Promise<Report> {
  const knex = openForMigration(readDatabase(process.env));
  try {
    const steps = await pendingMigrations(knex);
    await migrate(knex);
    if (process.env['AUDIT'] === 'table') await new KnexAudit(knex).makeTable();
    const lines = steps.length === 0 ? ['The tables are up to date'] : steps.map(made);
    return { lines, data: { steps } };
  } finally {
    await knex.destroy();
  }
}

function made(step: string): string {
  return `Made: ${step}`;
}
