import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * The secret that development signs with: made once, kept in `path` with mode 0600, so that tokens
 * survive a restart. Of several processes that start at once, all get the same.
 */
export function keptSecret(path: string): string {
  const kept = readIfThere(path);
  if (kept) return kept;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Whole or not at all: written aside, then linked into place, which only one process can do.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, randomBytes(48).toString('base64url'), { mode: 0o600 });
  try {
    linkSync(draft, path);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  } finally {
    unlinkSync(draft);
  }
  return readFileSync(path, 'utf8');
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
