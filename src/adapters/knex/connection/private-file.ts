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
 * Makes a SQLite file before SQLite would, so that nobody else can read the password hashes in it.
 *
 * A file that is there is not even opened. A process that closes any descriptor of a file loses all
 * its locks on it (POSIX), and SQLite does not notice: the next process that closes the database
 * would find it unused, and remove the log (-wal) that this process still writes to.
 */
export function createPrivately(path: string): void {
  makeFolder(dirname(path));
  if (existsSync(path)) return;
  try {
    create(path, 'ax');
  } catch {
    // Another process was faster, or the path is a link to a file that is not there yet.
    if (!existsSync(path)) create(path, 'a');
  }
}

/** Makes a new private file. Throws if anything is there already, even a link. */
export function createNew(path: string): void {
  makeFolder(dirname(path));
  create(path, 'ax');
}

/**
 * Follows links to the file that SQLite opens, or would make, and names its logs after.
 * @throws Error for a link that another user may have planted
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

/** The rule of Linux's fs.protected_symlinks. */
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

/** Without `recursive: true`, with which Node never returns in a folder like /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!existsSync(path)) throw error; // Else another process was faster.
  }
}
