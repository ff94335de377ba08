import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

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
