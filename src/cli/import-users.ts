import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Argon2Hasher } from '../adapters/argon2/argon2-hasher.ts';
import { mapError } from '../adapters/http/contract/messages.ts';
import { openForMigration } from '../adapters/knex/connection/open.ts';
import type { DatabaseTarget } from '../adapters/knex/connection/target.ts';
import {
  type ImportedLine,
  ImportTaken,
  UserImport,
} from '../adapters/knex/operator/user-import.ts';
import { legacyHashes } from '../adapters/argon2/legacy-hashes.ts';
import { printable } from '../adapters/log/faults.ts';
import { AuthError } from '../application/index.ts';
import { readDatabase, refuseOutdated } from './harness.ts';
import { Progress, Refused, type Report, type Screen, untilSignal, write } from './terminal.ts';
import { toAccount } from './user-fields.ts';
import { type FileLine, type Format, readUserFile } from './user-file.ts';

export interface ImportOptions {
  readonly format?: Format | undefined;
  readonly again?: true | undefined;
}

/** Runs `users import`. Reports every refused line, also those of earlier runs. */
export async function importUsers(
  path: string,
  options: ImportOptions & { readonly json?: true | undefined },
): Promise<Report> {
  const target = readDatabase(process.env);
  const work = { ...options, signal: untilSignal(), screen: process.stderr };
  return importFile(target, path, work, (done) => conclude(done, options.json ?? false));
}

/**
 * Imports the users of a file with their password hashes, and passes the result to `use`. After an
 * interruption, the same call continues; the file is recognised by its content.
 * @throws Refused
 */
export async function importFile<T>(
  target: DatabaseTarget,
  path: string,
  options: ImportOptions & { readonly signal: AbortSignal; readonly screen: Screen },
  use: (done: UserImport) => Promise<T>,
): Promise<T> {
  refuseOutdated.file(target);
  const file = path === '-' ? await keep(process.stdin) : await openFile(path);
  const knex = openForMigration(target);
  try {
    await refuseOutdated.tables(knex);
    const work = await UserImport.open(knex, await hashOf(file), options.again ?? false);
    const { dateDone } = work.progress;
    if (dateDone === null) await run(work, file, options);
    else options.screen.write(`This file was imported on ${dateDone}\n`);
    return await use(work);
  } catch (fault) {
    throw fault instanceof ImportTaken ? new Refused(fault.message) : fault;
  } finally {
    await file.close();
    await knex.destroy();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  const file = await open(path, 'r').catch(() => {
    throw new Refused(`${path} cannot be read`);
  });
  if (!(await file.stat()).isDirectory()) return file;
  await file.close();
  throw new Refused(`${path} is a folder`);
}

/**
 * Copies standard input, which cannot be read twice, to a file without a name. Nobody else can open
 * it, and nothing is left when this process ends.
 */
async function keep(input: AsyncIterable<Buffer | string>): Promise<FileHandle> {
  const path = join(tmpdir(), `portcullis-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  for await (const part of input) await file.appendFile(part);
  return file;
}

/** Reads without a stream, which would close the file if its reader stops early. */
async function* contentOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    const { bytesRead } = await file.read({ buffer, position });
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

const CHUNK_BYTES = 64 * 1024;

async function hashOf(file: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of contentOf(file)) hash.update(part);
  return hash.digest('hex');
}

/** The pause between two transactions, in which others can use the database. */
const PAUSE_MS = 5;

async function run(
  work: UserImport,
  file: FileHandle,
  {
    format,
    signal,
    screen,
  }: ImportOptions & { readonly signal: AbortSignal; readonly screen: Screen },
): Promise<void> {
  const { size } = await file.stat();
  const before = work.progress;
  if (before.line > 0) screen.write(`Goes on after line ${before.line}\n`);
  const hasher = new Argon2Hasher({ legacyHashes: legacyHashes() });
  const reads = (hash: string) => hasher.reads(hash);
  const progress = new Progress(screen);
  const started = performance.now();
  try {
    for await (const lines of readUserFile(contentOf(file), format)) {
      const left = lines.filter(({ line }) => line > before.line);
      if (left.length === 0) continue;
      await work.add(left.map((line) => toImported(line, reads)));
      const { imported, refused, line } = work.progress;
      const seconds = (performance.now() - started) / 1000;
      const speed = (imported + refused - before.imported - before.refused) / seconds;
      progress.show(
        (left.at(-1)?.bytes ?? 0) / size,
        `${imported} imported, ${refused} refused, ${Math.round(speed)} a second`,
      );
      if (signal.aborted)
        throw new Refused(`stopped after line ${line}: the same again goes on there`);
      await sleep(PAUSE_MS);
    }
    await work.finish();
  } finally {
    progress.end();
  }
}

async function conclude(work: UserImport, json: boolean): Promise<Report> {
  const { imported, refused, dateBegun, dateDone } = work.progress;
  if (json) await write('{"refusals":[');
  let count = 0;
  for await (const { line, reason } of work.refusals()) {
    if (json) await write(`${count > 0 ? ',' : ''}${JSON.stringify({ line, reason })}`);
    else await write(`${printable(`line ${line}: ${reason}`)}\n`);
    count += 1;
  }
  const summary = { imported, refused, date_begun: dateBegun, date_done: dateDone };
  if (json) await write(`],${JSON.stringify(summary).slice(1)}\n`);
  else await write(`${imported} users imported, ${refused} lines refused\n`);
  return { lines: [], data: undefined, failed: refused > 0 };
}

function toImported({ line, fields }: FileLine, reads: (hash: string) => boolean): ImportedLine {
  if (typeof fields === 'string') return { line, account: fields };
  try {
    return { line, account: toAccount(fields, reads) };
  } catch (refusal) {
    if (!(refusal instanceof AuthError)) throw refusal;
    return { line, account: mapError(refusal).message };
  }
}
