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

/** What a backup says of itself. */
export interface About {
  readonly format: 1;
  /** When it was begun, in ISO 8601: whoever was acknowledged before that is in it. */
  readonly taken: string;
  /** The steps of the schema that had been made. */
  readonly steps: readonly string[];
  /** How many there were when it was begun. */
  readonly users: number;
  /** The id that the next user would have got then. */
  readonly nextId: number;
}

/** A restore, as both kinds of database get it. */
export interface RestoreSettings {
  readonly replace: boolean;
  readonly withoutSessions: boolean;
  readonly now: Date;
  /** The steps of the schema that this release has. */
  readonly knownSteps: readonly string[];
  readonly signal: AbortSignal | undefined;
}

export interface Opened {
  readonly about: About;
  readonly nextId: number;
}

/** What an operator asked for cannot be done, or must not; the message says why and what to do. */
export class BackupRefused extends Error {
  override readonly name = 'BackupRefused';
}

/**
 * Writes a file that is whole or not there: compressed beside it, with mode 0600 and all of it on the
 * disk, and only then given its name, which nobody may have. What a process leaves that is
 * killed meanwhile is called `….partial` and has no end.
 * @throws BackupRefused
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

/** A link is not followed, wherever it leads: who may write to the folder could have planted it. */
export function refuseTaken(file: string): void {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found !== undefined)
    throw new BackupRefused(`${file} is there already: nothing is overwritten`);
}

/** Never over what has that name already. */
export function giveName(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch {
    refuseTaken(file);
    renameSync(draft, file); // Not every file system has links; there two at once could collide.
  }
}

/** Waits for the disk to have a file, or the names in a folder. */
export function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * What is in a backup, in parts. gzip has a checksum and the length at its end: only who has
 * read all of it knows that it is whole.
 * @throws BackupRefused where it is cut short or damaged
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

/** @throws BackupRefused where it is none, or this release could make nothing of it */
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

const LEAST_GAP = 1_000_000;
const IDS_A_SECOND = 100;

/**
 * The first id for users to come, beyond all that can have been given since the backup was taken: there
 * may be tokens of those users still, and rows of other services. `others`: what the database that is
 * replaced would have given next.
 */
export function firstFreeId({ taken, nextId }: About, now: Date, others = 0): number {
  const seconds = Math.max(0, Math.ceil((now.getTime() - Date.parse(taken)) / 1000));
  return Math.max(nextId, others) + LEAST_GAP + IDS_A_SECOND * seconds;
}
