import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Made before SQLite would make it, so that nobody else can read the password hashes in it.
 *
 * One that is there is not even opened. A process that closes any descriptor of a file loses all its
 * locks on it (POSIX), and SQLite, which counts on them, does not notice: the next process to close
 * the file would find nobody else at it and remove the log (-wal) that this one goes on writing to.
 */
export function createPrivately(path: string): void {
  makeFolder(dirname(path));
  if (existsSync(path)) return;
  try {
    create(path, 'ax');
  } catch {
    // Another process was faster, or it is a link to a file that is not there yet.
    if (!existsSync(path)) create(path, 'a');
  }
}

/** Makes a file that is one's own from the beginning: nothing that is there already is taken, no link is followed. */
export function createNew(path: string): void {
  makeFolder(dirname(path));
  create(path, 'ax');
}

/**
 * Where the file of a path is, or would be made: what SQLite opens, and names its logs after. Links are followed.
 * @throws Error for one that somebody else may have planted
 */
export function placeOf(path: string): string {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return path;
  statSync(path, { throwIfNoEntry: false }); // Throws where links lead round in a circle.
  const folder = realpathSync(dirname(path));
  if (!mayFollow(lstatSync(path), statSync(folder), process.geteuid?.())) {
    throw new Error(`${path} is a link of somebody else's in a folder that everybody can write to`);
  }
  return placeOf(resolve(folder, readlinkSync(path)));
}

/** As Linux has it where fs.protected_symlinks is on. */
export function mayFollow(
  link: Pick<Stats, 'uid'>,
  folder: Pick<Stats, 'uid' | 'mode'>,
  user: number | undefined,
): boolean {
  return (folder.mode & 0o002) === 0 || link.uid === user || link.uid === folder.uid;
}

function create(path: string, flags: 'a' | 'ax'): void {
  closeSync(openSync(path, flags, 0o600));
}

/** Not `recursive: true`, with which Node never returns where nothing can be made, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!existsSync(path)) throw error; // Else another process was faster.
  }
}
