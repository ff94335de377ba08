import { randomUUID } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';

/** The description of a backup, stored in it. */
export interface About {
  readonly format: 1;
  /** When it was begun, in ISO 8601: every account that was acknowledged before is in it. */
  readonly taken: string;
  /** The migrations that had been made. */
  readonly steps: readonly string[];
  /** The number of users when it was begun. */
  readonly users: number;
  /** The id that the next user would have got then. */
  readonly nextId: number;
}

/** A restore, for every engine. */
export interface RestoreSettings {
  readonly replace: boolean;
  readonly withoutSessions: boolean;
  readonly now: Date;
  /** The migrations of this release. */
  readonly knownSteps: readonly string[];
  readonly signal: AbortSignal | undefined;
}

export interface Opened {
  readonly about: About;
  readonly nextId: number;
}

/** The operator's request cannot be carried out; the message says why, and what to do. */
export class BackupRefused extends Error {
  override readonly name = 'BackupRefused';
}

/**
 * Writes a compressed file atomically: as a draft beside it, with mode 0600, which gets the file's
 * name once all of it is on the disk. A process that is killed meanwhile leaves a `….partial`.
 * @throws BackupRefused if the file is there already
 */
export async function writeWhole(
  file: string,
  content: Readable | AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  refuseTaken(file);
  const draft = `${file}.${randomUUID()}.partial`;
  try {
    const written = createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true });
    await pipeline(content, createGzip({ level: 6 }), written, { signal });
    giveName(draft, file);
    sync(dirname(file)); // A new name is on the disk when its folder is.
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Follows no link: another user of the folder could have planted it. */
export function refuseTaken(file: string): void {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found !== undefined)
    throw new BackupRefused(`${file} is there already: nothing is overwritten`);
}

/** Renames a draft, but never over another file. */
export function giveName(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch {
    refuseTaken(file);
    renameSync(draft, file); // For file systems without links; two processes could collide there.
  }
}

/** Waits until a file, or the names in a folder, are on the disk. */
export function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Decompresses a backup, in parts. gzip keeps its checksum and length at the end: a backup is known
 * to be whole only once all of it was read.
 * @throws BackupRefused if it is cut short or damaged
 */
export async function* readWhole(file: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const source = createReadStream(file);
  const content = createGunzip();
  source.once('error', (fault) => content.destroy(fault));
  try {
    for await (const part of source.pipe(content)) {
      signal?.throwIfAborted();
      if (Buffer.isBuffer(part)) yield part;
    }
  } catch (fault) {
    signal?.throwIfAborted();
    if (codeOf(fault).startsWith('Z_')) throw damaged(file);
    throw new BackupRefused(`${file} cannot be read: ${codeOf(fault)}`);
  } finally {
    source.destroy();
  }
}

export function damaged(file: string): BackupRefused {
  return new BackupRefused(
    `${file} is no backup, or is damaged or cut short: nothing has been changed`,
  );
}

export function codeOf(fault: unknown): string {
  return fault instanceof Error && 'code' in fault ? String(fault.code) : String(fault);
}

/** @throws BackupRefused if the text describes no backup, or one of a newer release */
export function readAbout(text: string, knownSteps: readonly string[]): About {
  const about = parse(text);
  if (about === undefined) {
    throw new BackupRefused('it does not say what it is a backup of, or is of another format');
  }
  const strange = about.steps.filter((step) => !knownSteps.includes(step));
  if (strange.length > 0) {
    throw new BackupRefused(
      `the backup is of a newer release, with ${strange.join(', ')}: restore it with that one`,
    );
  }
  return about;
}

function parse(text: string): About | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isAbout(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isAbout(value: unknown): value is About {
  if (typeof value !== 'object' || value === null) return false;
  const { format, taken, steps, users, nextId }: Partial<Record<keyof About, unknown>> = value;
  return (
    format === 1 &&
    typeof taken === 'string' &&
    !Number.isNaN(Date.parse(taken)) &&
    Array.isArray(steps) &&
    Number.isSafeInteger(users) &&
    Number.isSafeInteger(nextId)
  );
}

const MIN_ID_GAP = 1_000_000;
const MAX_IDS_PER_SECOND = 100;

/**
 * The id of the first user after a restore: beyond every id that can have been given after the
 * backup, because tokens of those users, and rows of other services, may still exist. `others`: the
 * next id of the database that is replaced.
 */
export function firstFreeId({ taken, nextId }: About, now: Date, others = 0): number {
  const seconds = Math.max(0, Math.ceil((now.getTime() - Date.parse(taken)) / 1000));
  return Math.max(nextId, others) + MIN_ID_GAP + MAX_IDS_PER_SECOND * seconds;
}
