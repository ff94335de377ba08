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
import { parseEmail, parseUsername } from '../domain/credentials.ts';
import { isRole } from '../domain/user.ts';
import { readDatabase, refuseOutdated } from './harness.ts';
import { Progress, Refused, type Report, type Screen, untilSignal, write } from './terminal.ts';
import { type Fields, type FileLine, type Format, readUserFile } from './user-file.ts';

export interface Importing {
  readonly format?: Format | undefined;
  readonly again?: true | undefined;
}

/** The command: says which lines were refused, all of them, however many runs it took. */
export async function importUsers(
  path: string,
  options: Importing & { readonly json?: true | undefined },
): Promise<Report> {
  const target = readDatabase(process.env);
  const work = { ...options, signal: untilSignal(), screen: process.stderr };
  return importFile(target, path, work, (done) => conclude(done, options.json ?? false));
}

/**
 * Brings the users of a file in, with the hashes that they have, and gives `use` what became of it. However it
 * ends, the same again goes on where it was; which file it is, its content tells.
 * @throws Refused
 */
export async function importFile<T>(
  target: DatabaseTarget,
  path: string,
  options: Importing & { readonly signal: AbortSignal; readonly screen: Screen },
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
 * What cannot be read twice, in a file without a name: nobody else can open it, and nothing of it is
 * left, however this process ends.
 */
async function keep(input: AsyncIterable<Buffer | string>): Promise<FileHandle> {
  const path = join(tmpdir(), `portcullis-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  for await (const part of input) await file.appendFile(part);
  return file;
}

/** Not by a stream, which closes the file where its reader stops early. */
async function* contentOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const buffer = Buffer.alloc(CHUNK);
    const { bytesRead } = await file.read({ buffer, position });
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Bytes. */
const CHUNK = 64 * 1024;

async function hashOf(file: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of contentOf(file)) hash.update(part);
  return hash.digest('hex');
}

/** Milliseconds between two transactions, in which others get at the database. */
const BREATH = 5;

async function run(
  work: UserImport,
  file: FileHandle,
  { format, signal, screen }: Importing & { readonly signal: AbortSignal; readonly screen: Screen },
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
      await sleep(BREATH);
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

/** No column holds more. */
const MAX_HASH = 255;

/** By the rules of a registration, but for the password, of which there is only a hash. */
function toAccount(fields: Fields, reads: (hash: string) => boolean): ImportedLine['account'] {
  const field = (name: string) => fields.get(name)?.trim() || undefined;
  const [username, email, hash] = ['username', 'email', 'password_hash'].map(field);
  if (username === undefined || email === undefined || hash === undefined) {
    throw new AuthError('missing_fields');
  }
  const identity = { username: parseUsername(username), email: parseEmail(email) };
  // Django names its hasher before what that makes.
  const passwordHash = hash.replace(/^(?:argon2(?=\$argon2)|bcrypt\$(?=\$2))/, '');
  if (passwordHash.length > MAX_HASH || !reads(passwordHash)) {
    return 'password_hash is of no known kind, damaged, or too dear to be checked';
  }
  const role = field('role') ?? 'user';
  if (!isRole(role)) throw new AuthError('invalid_role');
  const disabled = field('disabled') ?? 'false';
  if (!['true', 'false'].includes(disabled)) return 'disabled must be true or false';
  const account = { ...identity, passwordHash, role, disabled: disabled === 'true' };
  const date = field('date_created');
  if (date === undefined) return account;
  const dateCreated = readDate(date);
  return dateCreated ? { ...account, dateCreated } : 'date_created must be a time of ISO 8601';
}

const DATE = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?)?$/;

/** Without a zone it is UTC. */
function readDate(text: string): Date | undefined {
  const [, day = '', time = '00:00', zone = 'Z'] = DATE.exec(text) ?? [];
  // The 30th of February would be taken for a day of March.
  const midnight = new Date(`${day}T00:00Z`);
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(day)) return undefined;
  const date = new Date(`${day}T${time}${zone}`);
  const year = date.getUTCFullYear();
  return year >= 0 && year <= 9_999 ? date : undefined;
}
