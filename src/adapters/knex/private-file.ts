import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Made before SQLite would make it, so that nobody else can read the password hashes in it. One that is
 * there is not even opened: to close it would drop the locks that this process has on it (POSIX).
 */
export function createPrivately(path: string): void {
  makeFolder(dirname(path));
  if (existsSync(path)) return;
  try {
    closeSync(openSync(path, 'ax', 0o600));
  } catch (error) {
    if (!existsSync(path)) throw error; // Else another process was faster.
  }
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
