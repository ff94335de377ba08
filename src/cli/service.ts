import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { readAdministrationConfig } from '../adapters/config/config.ts';
import { openForMigration } from '../adapters/knex/database.ts';
import { KnexAudit } from '../adapters/knex/knex-audit.ts';
import { migrate, pendingSteps } from '../adapters/knex/migrate.ts';
import { textLog } from '../adapters/log/log.ts';
import type { DatabaseTarget } from '../adapters/knex/target.ts';
import { ClocksApart } from '../adapters/process/pruning.ts';
import type { Composition } from '../composition.ts';
import { conformance, type ConformanceOptions } from '../testing/index.ts';
import { readDatabase } from './backup.ts';
import { refuseDatabase, Refused, type Report } from './terminal.ts';

/** Serves as `npm start` does: by the built file, or in a checkout that is not built by the source. */
export async function runService(): Promise<void> {
  const built = join(import.meta.dirname, '../service/main.cjs');
  // It is what runs from here on; its workers are begun by that name.
  process.argv.splice(1, process.argv.length, built);
  if (existsSync(built)) {
    createRequire(built)(built);
    return;
  }
  process.argv[1] = join(import.meta.dirname, '../main.ts');
  await import('../main.ts');
}

/** Makes the tables, or brings them up to date. */
export async function runMigrate(): Promise<Report> {
  const knex = openForMigration(readDatabase(process.env));
  try {
    const steps = await stepsToMake(knex);
    await migrate(knex);
    if (process.env['AUDIT'] === 'table') await new KnexAudit(knex).makeTable();
    const lines = steps.length === 0 ? ['The tables are up to date'] : steps.map(made);
    return { lines, data: { steps } };
  } finally {
    await knex.destroy();
  }
}

/** What is asked first, and tells whether the database can be used at all. */
async function stepsToMake(knex: Knex): Promise<readonly string[]> {
  return pendingSteps(knex).catch(refuseDatabase);
}

function made(step: string): string {
  return `Made: ${step}`;
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
    if (target.kind === 'mysql' || existsSync(target.path)) return;
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

/** Removes at once what the service removes every hour. */
export function pruneSessions(): Promise<Report> {
  return withParts(async (part) => {
    const { sessions, attempts, auditRecords } = await part('pruning')
      .prune()
      .catch((fault: unknown) => {
        throw fault instanceof ClocksApart ? new Refused(fault.message) : fault;
      });
    const lines = [
      `Removed ${sessions} sessions and ${attempts} counts of attempts that had expired`,
      ...(part('auditLog') ? [`Removed ${auditRecords} audit records past AUDIT_RETENTION`] : []),
    ];
    const removed = sessions + attempts;
    return { lines, data: { removed, sessions, attempts, audit_records: auditRecords } };
  });
}

/** Plays the documented contract to a server, of this product or any other. */
export async function runConformance(
  url: string,
  options: Pick<ConformanceOptions, 'usersAccess'> & { readonly everything?: true | undefined },
): Promise<Report> {
  const { usersAccess, everything } = options;
  const scope = everything ? 'everything' : 'document';
  const cases = casesFor(url, { scope, ...(usersAccess && { usersAccess }) });
  const faults: { readonly name: string; readonly why: string }[] = [];
  for (const { name, run } of cases) {
    try {
      await run();
    } catch (fault) {
      faults.push({ name, why: fault instanceof Error ? fault.message : String(fault) });
    }
  }
  const lines = faults.flatMap(({ why }) =>
    why.split('\n').map((line, i) => (i ? `  ${line}` : `✘ ${line}`)),
  );
  lines.push(`${cases.length - faults.length} of ${cases.length} cases hold`);
  return { lines, data: { cases: cases.length, faults }, failed: faults.length > 0 };
}

function casesFor(...given: Parameters<typeof conformance>): ReturnType<typeof conformance> {
  try {
    return conformance(...given);
  } catch (fault) {
    throw fault instanceof TypeError ? new Refused(fault.message, 2) : fault; // Of what is no URL.
  }
}
