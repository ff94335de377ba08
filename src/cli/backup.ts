import { statSync } from 'node:fs';
import { developmentSecretPath } from '../adapters/config/kept-secret.ts';
import { BackupRefused, backUp, type Restored, restore } from '../adapters/knex/operator/backup.ts';
import { faultOf } from '../adapters/knex/connection/faults.ts';
import { readDatabase } from './harness.ts';
import { refuseDatabase, Refused, type Report, untilSignal } from './terminal.ts';

/** Writes the whole database to a file. */
export async function runBackup(file: string): Promise<Report> {
  const store = readDatabase(process.env);
  const { users, taken } = await refusing(() => backUp(store, file, untilSignal()));
  const bytes = statSync(file).size;
  const lines = [`${file}: ${users} users as of ${taken}, ${bytes} bytes`];
  if (process.env['NODE_ENV'] !== 'production') {
    const secret = developmentSecretPath(store);
    lines.push(`It holds no key: if JWT_SECRET is not set, keep ${secret} as well`);
  }
  return { lines, data: { file, users, taken, bytes } };
}

/** Replaces the content of the database by that of a backup. */
export async function runRestore(
  file: string,
  options: { readonly replace?: true | undefined; readonly withoutSessions?: true | undefined },
): Promise<Report> {
  const store = readDatabase(process.env);
  const { replace = false, withoutSessions = false } = options;
  const settings = { replace, withoutSessions, signal: untilSignal() };
  const restored: Restored = await refusing(() => restore(store, file, settings));
  const { users, nextId, about } = restored;
  const lines = [
    `Restored ${users} users as of ${about.taken}; new ones have ids from ${nextId} on`,
    withoutSessions
      ? 'Every session has ended'
      : 'Sessions are as they were then: those that have ended since go on (--without-sessions ends all)',
  ];
  return {
    lines,
    data: { users, taken: about.taken, next_id: nextId, sessions: !withoutSessions },
  };
}

async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (fault) {
    if (faultOf(fault) === 'unsent') refuseDatabase(fault);
    throw fault instanceof BackupRefused ? new Refused(fault.message) : fault;
  }
}
