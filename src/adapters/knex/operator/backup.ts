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
 * Writes the content of a database, as of one moment after the call, to a new compressed file; the
 * service may run meanwhile. The file holds password hashes, so its mode is 0600. MySQL and MariaDB
 * need their program for dumps. Resolves to the description that the file begins with.
 * @throws BackupRefused, or the error of the database or the disk; then there is no file
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
  /** Deletes what is in the database. Otherwise it must be empty. */
  readonly replace?: boolean;
  /** Ends all sessions. Otherwise those that ended after the backup are valid again. */
  readonly withoutSessions?: boolean;
  readonly signal?: AbortSignal;
}

export interface Restored {
  readonly about: About;
  readonly users: number;
  /** The id of the next user: beyond every id that was given after the backup. */
  readonly nextId: number;
}

/**
 * Restores a database from `file`, and brings its tables up to date. No service may run on it. The
 * whole file is read and checked before anything is changed.
 * @throws BackupRefused, or the error of the database or the disk
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
