import { randomUUID } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  renameSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type Database from 'libsql';
import {
  type About,
  BackupRefused,
  codeOf,
  damaged,
  firstFreeId,
  giveName,
  type Opened,
  readAbout,
  readWhole,
  type RestoreSettings,
  sync,
  writeWhole,
} from './backup-file.ts';
import { loadSqlite } from '../connection/drivers.ts';
import { createNew, placeOf } from '../connection/private-file.ts';
import type { SqliteTarget } from '../connection/target.ts';
import { faultOf } from '../connection/faults.ts';
import { DEFAULT_TABLES, notesOf } from '../tables.ts';

/** The beginning of a backup's content, which is a database itself, for `gunzip` and `sqlite3`. */
export const SQLITE_BEGINNING = 'SQLite format 3\0';

/** How long to wait for a lock. */
const BUSY_TIMEOUT_MS = 2_000;
const { users, sessions, attempts } = DEFAULT_TABLES;
const ABOUT = 'portcullis_backup';

/** Copies the database as of one moment; others read and write meanwhile, and wait for nothing. */
export async function backUpSqlite(
  { path }: SqliteTarget,
  file: string,
  signal?: AbortSignal,
): Promise<About> {
  if (!existsSync(path)) throw new BackupRefused(`${path} is not there: there is nothing in it`);
  const copy = `${file}.${randomUUID()}.partial`;
  try {
    createNew(copy);
    const taken = new Date().toISOString();
    await open(path, (db) => db.exec(`VACUUM INTO ${quoted(copy)}`));
    const about = await open(copy, (db) => finishCopy(db, taken));
    await writeWhole(file, createReadStream(copy), signal);
    return about;
  } finally {
    rmSync(copy, { force: true });
  }
}

/** Leaves out the counts of attempts, which expire within a day and hold hashes of typed texts. */
function finishCopy(db: Database.Database, taken: string): About {
  if (!hasTable(db, users) || !hasTable(db, notesOf({ users }))) {
    throw new BackupRefused('the database has no tables of the service: it has never run on it');
  }
  prepareForDraft(db);
  if (hasTable(db, attempts)) db.exec(`DELETE FROM ${attempts}`);
  const steps = column(db, `SELECT name FROM ${notesOf({ users })} ORDER BY id`);
  const about: About = {
    format: 1,
    taken,
    steps: steps.map(String),
    users: Number(column(db, `SELECT COUNT(*) FROM ${users}`)[0]),
    nextId: nextIdIn(db),
  };
  db.exec(`CREATE TABLE ${ABOUT} (about TEXT NOT NULL);
    INSERT INTO ${ABOUT} VALUES (${quoted(JSON.stringify(about))});`);
  return about;
}

/**
 * Restores into a draft beside the database, and replaces the database by it in one step, so that
 * it is never half there. A link to the database remains a link.
 */
export async function restoreSqlite(
  { path: link }: SqliteTarget,
  file: string,
  settings: RestoreSettings,
): Promise<Opened> {
  const { signal } = settings;
  const path = placeFor(link);
  const old = await takeOver(path, settings.replace);
  const draft = `${path}.${randomUUID()}.partial`;
  try {
    createNew(draft);
    const written = createWriteStream(draft, { flags: 'r+' });
    await pipeline(readDatabase(file, dirname(draft), signal), written, { signal });
    const opened = await open(draft, (db) => prepareDraft(db, file, old.nextId, settings));
    sync(draft);
    signal?.throwIfAborted();
    if (old.isThere) {
      for (const rest of remains(path)) rmSync(rest, { force: true });
      renameSync(draft, path);
    } else {
      giveName(draft, path);
    }
    sync(dirname(path));
    return opened;
  } finally {
    old.release();
    rmSync(draft, { force: true });
  }
}

function placeFor(link: string): string {
  try {
    return placeOf(link);
  } catch (fault) {
    throw new BackupRefused(fault instanceof Error ? fault.message : String(fault));
  }
}

/**
 * Decompresses a backup, and stops where it gets longer than its header says: a small compressed
 * file can hold an endless one, which would fill the disk.
 * @throws BackupRefused, also if the folder has no room for it
 */
async function* readDatabase(
  file: string,
  folder: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  let rest: number | undefined;
  for await (const part of readWhole(file, signal)) {
    rest ??= sizeIn(part, file, folder);
    rest -= part.length;
    if (rest < 0) throw damaged(file);
    yield part;
  }
}

/** The size of a database in bytes, by its header. */
function sizeIn(beginning: Buffer, file: string, folder: string): number {
  if (beginning.length < 100) throw damaged(file);
  const size = pageSizeIn(beginning) * beginning.readUInt32BE(28);
  const { bavail, bsize } = statfsSync(folder);
  if (size <= bavail * bsize) return size;
  throw new BackupRefused(`${folder} has no room for the ${size} bytes that are in ${file}`);
}

function pageSizeIn(header: Buffer): number {
  const size = header.readUInt16BE(16);
  return size === 1 ? 65_536 : size; // 65,536 does not fit into two bytes.
}

function prepareDraft(
  db: Database.Database,
  file: string,
  others: number,
  { withoutSessions, now, knownSteps }: RestoreSettings,
): Opened {
  const [check] = attempt(file, () => column(db, 'PRAGMA integrity_check(1)'));
  if (check !== 'ok' || !hasTable(db, ABOUT)) throw damaged(file);
  const [description] = column(db, `SELECT about FROM ${ABOUT}`);
  const about = readAbout(String(description), knownSteps);
  const nextId = firstFreeId(about, now, others);
  prepareForDraft(db);
  if (withoutSessions) db.exec(`DELETE FROM ${sessions}`);
  db.exec(`DROP TABLE ${ABOUT};
    DELETE FROM sqlite_sequence WHERE name = ${quoted(users)};
    INSERT INTO sqlite_sequence (name, seq) VALUES (${quoted(users)}, ${nextId - 1});`);
  return { about, nextId };
}

/** The database that a restore replaces. */
interface ReplacedDatabase {
  readonly isThere: boolean;
  /** The id that its next user would get; 0 if that cannot be read. */
  readonly nextId: number;
  readonly release: () => void;
}

/**
 * Locks the database that a restore replaces until `release`. Throws if it may not be deleted, or
 * if another process has it open and would go on writing to a deleted file.
 */
async function takeOver(path: string, replace: boolean): Promise<ReplacedDatabase> {
  const nothing = { isThere: existsSync(path), nextId: 0, release() {} };
  if (!nothing.isThere) {
    const rest = remains(path).find((each) => existsSync(each));
    if (rest === undefined) return nothing;
    // SQLite would apply it to the restored file, and damage that.
    if (!replace) throw new BackupRefused(`${rest} is left of another database: take it away`);
    return { ...nothing, isThere: true };
  }
  const { default: SqliteDatabase } = await loadSqlite();
  const db = new SqliteDatabase(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    if (!replace && column(db, 'SELECT 1 FROM sqlite_master').length > 0) {
      throw new BackupRefused(`${path} is not empty: --replace throws away what is in it`);
    }
    // Leaves no log that SQLite would apply to the restored file. Fails if others have it open.
    db.exec('PRAGMA journal_mode = DELETE');
    db.exec('BEGIN EXCLUSIVE');
    return { isThere: true, nextId: oldNextIdIn(db), release: () => db.close() };
  } catch (fault) {
    db.close();
    if (fault instanceof BackupRefused) throw fault;
    if (faultOf(fault) === 'busy') {
      throw new BackupRefused(`${path} is in use: stop the service, and whatever else has it open`);
    }
    // A file that fails for another reason can be intact, and somebody else's.
    if (!isBroken(fault)) throw new BackupRefused(`${path} cannot be replaced: ${codeOf(fault)}`);
    if (replace) return nothing;
    throw new BackupRefused(`${path} is broken: --replace throws it away`);
  }
}

function oldNextIdIn(db: Database.Database): number {
  try {
    return hasTable(db, users) ? nextIdIn(db) : 0;
  } catch (fault) {
    if (isBroken(fault)) return 0;
    throw fault;
  }
}

/** Whether the file is no database, or a damaged one. */
function isBroken(fault: unknown): boolean {
  const code = codeOf(fault);
  return code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT');
}

function remains(path: string): readonly string[] {
  return ['-wal', '-shm', '-journal'].map((ending) => `${path}${ending}`);
}

async function open<T>(path: string, use: (db: Database.Database) => T): Promise<T> {
  const { default: SqliteDatabase } = await loadSqlite();
  const db = new SqliteDatabase(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    return use(db);
  } finally {
    db.close();
  }
}

/**
 * Turns off crash safety, for a draft. Overwrites deleted rows, so that no free page holds them.
 */
function prepareForDraft(db: Database.Database): void {
  db.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON');
}

function hasTable(db: Database.Database, name: string): boolean {
  return column(db, `SELECT 1 FROM sqlite_master WHERE name = ${quoted(name)}`).length > 0;
}

function nextIdIn(db: Database.Database): number {
  const select = `SELECT seq FROM sqlite_sequence WHERE name = ${quoted(users)}`;
  return Number(column(db, select)[0] ?? 0) + 1;
}

/**
 * Reads one column to its end: libsql keeps the lock of a statement that is not read to its end.
 */
function column(db: Database.Database, select: string): readonly unknown[] {
  return db.prepare(select).pluck().all();
}

function attempt<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (fault) {
    throw isBroken(fault) ? damaged(file) : fault;
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
