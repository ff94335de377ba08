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

/** What the content of a backup begins with: it is a database itself, for `gunzip` and `sqlite3`. */
export const SQLITE_BEGINNING = 'SQLite format 3\0';

/** How long to wait for a lock. */
const BUSY_TIMEOUT_MS = 2_000;
const { users, sessions, attempts } = DEFAULT_TABLES;
const ABOUT = 'portcullis_backup';

/** A copy as of one moment, while others go on reading and writing: they wait for nothing. */
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

/** Counts of attempts are of that day alone, and hashes of whatever was typed: they stay out. */
function finishCopy(db: Database.Database, taken: string): About {
  if (!hasTable(db, users) || !hasTable(db, notesOf({ users }))) {
    throw new BackupRefused('the database has no tables of the service: it has never run on it');
  }
  withoutCare(db);
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
 * Makes the database anew beside its place and puts it there in one step, so that it is at no moment
 * half there. What was there before is gone. A link to the database goes on to be one.
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
 * What is in a backup, as far as it is as long as it says of itself: a small file can be unpacked to one without
 * end, which would fill the disk.
 * @throws BackupRefused also where there is no room for it in the folder
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

/** The bytes of a database, from its header. */
function sizeIn(beginning: Buffer, file: string, folder: string): number {
  if (beginning.length < 100) throw damaged(file);
  const size = pageSizeIn(beginning) * beginning.readUInt32BE(28);
  const { bavail, bsize } = statfsSync(folder);
  if (size <= bavail * bsize) return size;
  throw new BackupRefused(`${folder} has no room for the ${size} bytes that are in ${file}`);
}

function pageSizeIn(header: Buffer): number {
  const size = header.readUInt16BE(16);
  return size === 1 ? 65_536 : size; // Which does not fit in there.
}

function prepareDraft(
  db: Database.Database,
  file: string,
  others: number,
  { withoutSessions, now, knownSteps }: RestoreSettings,
): Opened {
  const [check] = attempt(file, () => column(db, 'PRAGMA integrity_check(1)'));
  if (check !== 'ok' || !hasTable(db, ABOUT)) throw damaged(file);
  const [said] = column(db, `SELECT about FROM ${ABOUT}`);
  const about = readAbout(String(said), knownSteps);
  const nextId = firstFreeId(about, now, others);
  withoutCare(db);
  if (withoutSessions) db.exec(`DELETE FROM ${sessions}`);
  db.exec(`DROP TABLE ${ABOUT};
    DELETE FROM sqlite_sequence WHERE name = ${quoted(users)};
    INSERT INTO sqlite_sequence (name, seq) VALUES (${quoted(users)}, ${nextId - 1});`);
  return { about, nextId };
}

/** What is in the place of the restored database. */
interface Old {
  readonly isThere: boolean;
  /** The id that the next user would get there; 0 where that cannot be told. */
  readonly nextId: number;
  readonly release: () => void;
}

/**
 * Sees to it that a restore throws away nothing but what it is to, and that nobody has it open: they
 * would go on writing to what is no longer there. Until it is released nobody else can.
 */
async function takeOver(path: string, replace: boolean): Promise<Old> {
  const nothing = { isThere: existsSync(path), nextId: 0, release() {} };
  if (!nothing.isThere) {
    const rest = remains(path).find((each) => existsSync(each));
    if (rest === undefined) return nothing;
    // SQLite would read it into the restored file, and so spoil that.
    if (!replace) throw new BackupRefused(`${rest} is left of another database: take it away`);
    return { ...nothing, isThere: true };
  }
  const { default: SqliteDatabase } = await loadSqlite();
  const db = new SqliteDatabase(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    if (!replace && column(db, 'SELECT 1 FROM sqlite_master').length > 0) {
      throw new BackupRefused(`${path} is not empty: --replace throws away what is in it`);
    }
    // Whose log is in it, so that none is left to be read into the restored file; needs to be alone.
    db.exec('PRAGMA journal_mode = DELETE');
    db.exec('BEGIN EXCLUSIVE');
    return { isThere: true, nextId: oldNextIdIn(db), release: () => db.close() };
  } catch (fault) {
    db.close();
    if (fault instanceof BackupRefused) throw fault;
    if (faultOf(fault) === 'busy') {
      throw new BackupRefused(`${path} is in use: stop the service, and whatever else has it open`);
    }
    // What cannot be read or written for another reason can be whole, and somebody else's.
    if (!isBroken(fault)) throw new BackupRefused(`${path} cannot be replaced: ${codeOf(fault)}`);
    if (replace) return nothing; // What is broken is thrown away as well.
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

/** No database, or one in which something is wrong. */
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

/** For a draft, which is made anew if it fails. What is deleted is not left in free pages. */
function withoutCare(db: Database.Database): void {
  db.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON');
}

function hasTable(db: Database.Database, name: string): boolean {
  return column(db, `SELECT 1 FROM sqlite_master WHERE name = ${quoted(name)}`).length > 0;
}

function nextIdIn(db: Database.Database): number {
  const select = `SELECT seq FROM sqlite_sequence WHERE name = ${quoted(users)}`;
  return Number(column(db, select)[0] ?? 0) + 1;
}

/** The values of one column, to the last: libsql leaves a statement that is not read to its end with its lock. */
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
