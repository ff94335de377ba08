import {
  type About,
  BackupRefused,
  damaged,
  type Opened,
  readWhole,
  refuseTaken,
  type RestoreSettings,
} from './backup-file.ts';
import { openForMigration } from '../connection/open.ts';
import type { DatabaseTarget } from '../connection/target.ts';
import { migrate } from '../migrate.ts';
import { migratorConfig } from '../migrations.ts';
import { ENGINES, engineOf } from './engines.ts';
import { DEFAULT_TABLES } from '../tables.ts';

export { BackupRefused } from './backup-file.ts';

/**
 * Writes all that is in a database to a new file, compressed, as of one moment after the call; the service may
 * run meanwhile. Holds hashes of passwords, so its mode is 0600. For MySQL and MariaDB it needs
 * their program for dumps. Resolves to what the file says of itself.
 * @throws BackupRefused, and whatever the database or the disk gives for an error: then there is no file
 */
export async function backUp(
  target: DatabaseTarget,
  file: string,
  signal?: AbortSignal,
): Promise<About> {
  refuseTaken(file);
  return engineOf(target.kind).backUp(target, file, signal);
}

export interface RestoreOptions {
  /** Throw away what is in the database. Else it must be empty. */
  readonly replace?: boolean;
  /** Sign everybody out: else sessions that have ended since the backup go on. */
  readonly withoutSessions?: boolean;
  readonly signal?: AbortSignal;
}

export interface Restored {
  readonly about: About;
  readonly users: number;
  /** The id from which users are counted on: none that was given since the backup is given again. */
  readonly nextId: number;
}

/**
 * Brings a database back to what it was when `file` was written, and its tables up to date. No service
 * may run on it. Before anything is changed, the whole file has been read and found in order.
 * @throws BackupRefused, and whatever the database or the disk gives for an error
 */
export async function restore(
  target: DatabaseTarget,
  file: string,
  { replace = false, withoutSessions = false, signal }: RestoreOptions = {},
): Promise<Restored> {
  await refuseOtherKind(target.kind, file);
  const knownSteps = await stepsOfThisRelease();
  const settings: RestoreSettings = {
    replace,
    withoutSessions,
    signal,
    knownSteps,
    now: new Date(),
  };
  const opened: Opened = await engineOf(target.kind).restore(target, file, settings);
  const knex = openForMigration(target);
  try {
    await migrate(knex);
    const [row] = await knex(DEFAULT_TABLES.users).count({ count: '*' });
    return { ...opened, users: Number(row?.['count'] ?? 0) };
  } finally {
    await knex.destroy();
  }
}

async function refuseOtherKind(kind: DatabaseTarget['kind'], file: string): Promise<void> {
  const beginning = await beginningOf(file);
  const found = Object.entries(ENGINES).find(([, { backupBeginning }]) =>
    beginning.startsWith(backupBeginning),
  );
  if (found === undefined) throw damaged(file);
  const [foundKind, { name }] = found;
  if (foundKind !== kind) throw new BackupRefused(`${file} is of ${name}, and DATABASE_URL is not`);
}

async function beginningOf(file: string): Promise<string> {
  for await (const part of readWhole(file)) return part.toString('latin1', 0, 100);
  return '';
}

async function stepsOfThisRelease(): Promise<readonly string[]> {
  const steps: unknown = await migratorConfig().migrationSource?.getMigrations([]);
  if (!Array.isArray(steps)) throw new Error('there are no migrations');
  return steps.map((step: { readonly file: string }) => step.file);
}
