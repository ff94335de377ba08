/**
 * `npm run backup -- FILE` and `npm run restore -- FILE [--replace] [--without-sessions]`, on the database of the
 * service's settings. The exit code is 0 when it is done, 1 when it is not, 2 when that was not
 * what can be asked for.
 */
import { statSync } from 'node:fs';
import { readStore } from './adapters/config/database-url.ts';
import { developmentSecretPath } from './adapters/config/kept-secret.ts';
import { BackupRefused, backUp, restore } from './adapters/knex/backup.ts';
import { nameFault, printable } from './adapters/log/faults.ts';

const USAGE = `npm run backup -- FILE
npm run restore -- FILE [--replace] [--without-sessions]
  --replace           throw away what is in the database
  --without-sessions  sign everybody out`;

async function main([command = '', ...args]: readonly string[]): Promise<void> {
  const asked = readArguments(command, args);
  if (asked === undefined) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  const store = readStore(process.env);
  if (typeof store === 'string') throw new BackupRefused(`DATABASE_URL ${store}`);
  if (store.kind === 'memory') throw new BackupRefused('DATABASE_URL is memory: nothing is kept');
  const { file, replace, withoutSessions } = asked;
  const { signal } = stopOnSignal();
  if (command === 'backup') {
    const { users, taken } = await backUp(store, file, signal);
    say(`${file}: ${users} users as of ${taken}, ${statSync(file).size} bytes`);
    if (process.env['NODE_ENV'] !== 'production') {
      say(
        `It holds no key: if JWT_SECRET is not set, keep ${developmentSecretPath(store)} as well`,
      );
    }
    return;
  }
  const { users, nextId, about } = await restore(store, file, { replace, withoutSessions, signal });
  say(`Restored ${users} users as of ${about.taken}; new ones have ids from ${nextId} on`);
  say(
    withoutSessions
      ? 'Every session has ended'
      : 'Sessions are as they were then: those that have ended since go on (--without-sessions ends all)',
  );
}

interface Asked {
  readonly file: string;
  readonly replace: boolean;
  readonly withoutSessions: boolean;
}

function readArguments(command: string, args: readonly string[]): Asked | undefined {
  const options = new Set(args.filter((arg) => arg.startsWith('-')));
  const [file = '', ...more] = args.filter((arg) => !arg.startsWith('-'));
  const replace = options.delete('--replace');
  const withoutSessions = options.delete('--without-sessions');
  const isStrange = file === '' || more.length > 0 || options.size > 0;
  if (isStrange || (command !== 'restore' && (replace || withoutSessions))) return undefined;
  return ['backup', 'restore'].includes(command) ? { file, replace, withoutSessions } : undefined;
}

/** What has been begun is taken away before this ends. */
function stopOnSignal(): AbortController {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => controller.abort());
  }
  return controller;
}

function say(text: string): void {
  console.log(printable(text));
}

main(process.argv.slice(2)).catch((fault: unknown) => {
  const reason = fault instanceof BackupRefused ? fault.message : nameFault(fault);
  console.error(printable(`Not done: ${reason}`));
  process.exitCode = 1;
});
