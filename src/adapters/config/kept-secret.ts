import { randomBytes, randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { StoreTarget } from './database-url.ts';

/** Beside the database file, or in `data/` if the database is a server. */
export function developmentSecretPath(store: StoreTarget): string {
  return join(store.kind === 'sqlite' ? dirname(store.path) : 'data', 'portcullis.jwt-secret');
}

/**
 * The secret that development signs with. It is made once and kept in `path` with mode 0600, so
 * that tokens survive a restart. Processes that start at once get the same secret.
 */
export function keptSecret(path: string): string {
  if (!existsSync(path)) makeSecret(path);
  chmodSync(path, 0o600); // A copy of the file may have another mode.
  const secret = readFileSync(path, 'utf8');
  if (Buffer.byteLength(secret) < 32) throw new Error(`${path} holds no secret: remove it`);
  return secret;
}

/** Writes a draft, then links it into place: only one process can succeed. */
function makeSecret(path: string): void {
  if (!existsSync(dirname(path))) mkdirSync(dirname(path), { mode: 0o700 });
  const draft = `${path}.${randomUUID()}`;
  const secret = randomBytes(48).toString('base64url');
  writeFileSync(draft, secret, { mode: 0o600, flag: 'wx', flush: true });
  try {
    linkSync(draft, path);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  } finally {
    unlinkSync(draft);
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
