import { randomUUID } from 'node:crypto';
import { createWriteStream, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Knex } from 'knex';
import {
  BackupRefused,
  giveName,
  refuseTaken,
  sync,
} from '../adapters/knex/operator/backup-file.ts';
import { openDatabase } from '../adapters/knex/connection/open.ts';
import type { DatabaseTarget } from '../adapters/knex/connection/target.ts';
import { exportedUsers, type ExportedUser } from '../adapters/knex/operator/user-export.ts';
import { USER_COLUMNS } from '../adapters/knex/user-row.ts';
import { refuseOutdated } from './harness.ts';
import { Refused, type Report, untilSignal, write } from './terminal.ts';
import { FIELD_NAMES } from './user-fields.ts';
import { csvField, type Format } from './user-file.ts';

export interface ExportOptions {
  readonly format: Format;
  readonly withPasswordHashes?: true | undefined;
}

/** Writes all users in the format of `users import`, with password hashes only on request. */
export async function exportUsers(
  target: DatabaseTarget,
  path: string,
  options: ExportOptions,
): Promise<Report> {
  refuseOutdated.file(target);
  const { format, withPasswordHashes: withHashes = false } = options;
  if (path === '-' && withHashes) {
    throw new Refused('hashes go to a file, which only its owner can read: name one');
  }
  const knex = openDatabase(target);
  try {
    await refuseOutdated.tables(knex);
    const counter = { users: 0 };
    const text = textOf(knex, format, withHashes, counter);
    if (path === '-') {
      for await (const part of text) await write(part);
      return { lines: [], data: undefined };
    }
    await writeWhole(path, text);
    const { users } = counter;
    return { lines: [`${path}: ${users} users`], data: { file: path, users } };
  } finally {
    await knex.destroy();
  }
}

/** Writes the whole file or none, readable by its owner only. */
async function writeWhole(file: string, text: AsyncGenerator<string>): Promise<void> {
  const draft = `${file}.${randomUUID()}.partial`;
  try {
    refuseTaken(file);
    const written = createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true });
    await pipeline(Readable.from(text), written, { signal: untilSignal() });
    giveName(draft, file);
    sync(dirname(file));
  } catch (fault) {
    throw fault instanceof BackupRefused ? new Refused(fault.message) : fault;
  } finally {
    rmSync(draft, { force: true });
  }
}

async function* textOf(
  knex: Knex,
  format: Format,
  withHashes: boolean,
  counter: { users: number },
): AsyncGenerator<string> {
  const all: readonly (keyof ExportedUser)[] = withHashes ? FIELD_NAMES : USER_COLUMNS;
  if (format === 'csv') yield `${all.join(',')}\n`;
  for await (const page of exportedUsers(knex, withHashes)) {
    counter.users += page.length;
    const lines = page.map((user) =>
      format === 'csv'
        ? all.map((name) => csvField(String(user[name] ?? ''))).join(',')
        : JSON.stringify(user),
    );
    yield lines.map((line) => `${line}\n`).join('');
  }
}
