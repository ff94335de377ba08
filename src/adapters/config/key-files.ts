import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { MIN_RSA_BITS, signingAlgorithm } from '../../domain/signing-keys.ts';

/** A key of 16,384 bits has 13 KB. */
const MAX_KEY_FILE_BYTES = 64 * 1024;

/** PKCS #8, and the older form of OpenSSL's own. */
const ENCRYPTED = /^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m;

/**
 * Reads a PEM file. Returns its key if it can sign or verify tokens, else what is wrong with it.
 */
export function readKeyFile(path: string, type: 'private' | 'public'): KeyObject | string {
  if (isPem(path)) return 'holds a key: it takes the path of its file';
  // The message does not show the path: it may be the key itself, given by mistake.
  if (!existsSync(path)) return `names a file that is not there (seen from ${process.cwd()})`;
  const pem = readSmallFile(path, MAX_KEY_FILE_BYTES);
  if (pem === undefined) return `${path} cannot be read, as a file of at most 64 KiB`;
  if (ENCRYPTED.test(pem)) return `${path} is encrypted: it must have no passphrase`;
  const read = type === 'private' ? createPrivateKey : createPublicKey;
  const key = attempt(() => read(pem));
  if (key !== undefined) return checkedKey(path, key);
  const isPublic = attempt(() => createPublicKey(pem)) !== undefined;
  return isPublic
    ? `${path} holds a public key: the private one signs`
    : `${path} holds no PEM key`;
}

/** Undefined also for a pipe or a device: reading one may never end. */
export function readSmallFile(path: string, maxBytes: number): string | undefined {
  return attempt(() => {
    const file = statSync(path);
    return file.isFile() && file.size <= maxBytes ? readFileSync(path, 'utf8') : undefined;
  });
}

function checkedKey(path: string, key: KeyObject): KeyObject | string {
  if (signingAlgorithm(key) !== undefined) return key;
  const { modulusLength = 0, namedCurve = 'without a name' } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') {
    return `${path} holds an RSA key of ${modulusLength} bits: it must have at least ${MIN_RSA_BITS}`;
  }
  if (key.asymmetricKeyType === 'ec') {
    return `${path} holds a key on the curve ${namedCurve}: it must be P-256`;
  }
  return `${path} holds a key of type ${key.asymmetricKeyType}: it must be RSA, or EC on P-256`;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Secrets of tutorials and samples: an attacker tries these first. */
const KNOWN_SECRETS =
  /change.?me|your.{0,20}(secret|key)|(super|very|top).?secret|secret.?key|my.?secret|jwt.?secret|a-string-secret|256.?bit|at-least-(32|256)|example|replace|insecure|password/i;

const MIN_SECRET_BYTES = 32;

/** Why a secret is not safe to sign with; undefined if it is safe. */
export function weaknessOfSecret(secret: string): string | undefined {
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    return `must have at least ${MIN_SECRET_BYTES} bytes (try: openssl rand -base64 48)`;
  }
  if (KNOWN_SECRETS.test(secret) || new Set(secret).size < 5) {
    return 'is a known sample or easy to guess (try: openssl rand -base64 48)';
  }
  return undefined;
}

/** A public key used as an HMAC secret would let everybody sign who knows it (RFC 8725 §2.1). */
export function isPem(text: string): boolean {
  return text.includes('-----BEGIN');
}
