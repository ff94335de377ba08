import { type BinaryLike, pbkdf2, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type * as Bcrypt from '@node-rs/bcrypt';
import type { Verdict } from '../../application/index.ts';

/** Hashes of other systems, for a hasher that checks them and makes none. */
export interface LegacyHashes {
  /**
   * The kind and cost of a stored hash, such as `bcrypt 10`; undefined where it is of no known kind,
   * damaged, or beyond the work that one check may take.
   */
  kindOf(passwordHash: string): string | undefined;

  /**
   * What a password is for this hash, which has a kind; off the event loop. `outdated` where it is right, but
   * for what bcrypt took as the whole password and is not: that hash is kept, since to make one of what was typed
   * could shut its owner out.
   * @throws Error where the package `@node-rs/bcrypt` is needed and cannot be loaded
   */
  verify(passwordHash: string, password: string): Promise<Verdict>;
}

/**
 * The hashes that come with users of elsewhere, in their usual spellings:
 * - bcrypt: `$2a$`, `$2b$`, `$2y$` (needs the package `@node-rs/bcrypt`), cost 15 at most
 * - scrypt: `$scrypt$ln=…`, Django's `scrypt$…`, Werkzeug's `scrypt:…`, 1 GiB of work at most
 * - PBKDF2 with SHA-1, SHA-256 or SHA-512: `$pbkdf2-sha256$i=…`, passlib's `$pbkdf2-sha256$…`, Django's
 * `pbkdf2_sha256$…`, Werkzeug's `pbkdf2:sha256:…`, 10 million iterations at most
 *
 * As their makers did, bcrypt looks at the first 72 bytes of a password alone.
 */
export function legacyHashes(): LegacyHashes {
  return {
    kindOf: (passwordHash) => read(passwordHash)?.kind,
    async verify(passwordHash, password) {
      const stored = read(passwordHash);
      if (stored === undefined || !(await stored.verify(password))) return 'wrong';
      return Buffer.byteLength(password) > (stored.maxBytes ?? Infinity) ? 'right' : 'outdated';
    },
  };
}

interface Readable {
  readonly kind: string;
  /** What it takes of a password: it heeds nothing beyond. */
  readonly maxBytes?: number;
  readonly verify: (password: string) => Promise<boolean>;
}

function read(text: string): Readable | undefined {
  // None that the table could hold is longer.
  if (text.length > 255) return undefined;
  return readBcrypt(text) ?? readScrypt(text) ?? readPbkdf2(text);
}

/** 2 to the power of it: at 15 it takes some two seconds, as does the most of the others. */
const MAX_BCRYPT_COST = 15;

function readBcrypt(text: string): Readable | undefined {
  // Not $2x$: what a bug of PHP's made, by which different passwords are one.
  const [, cost = ''] = /^\$2[aby]\$(\d\d)\$[./A-Za-z\d]{53}$/.exec(text) ?? [];
  if (cost === '' || Number(cost) < 4 || Number(cost) > MAX_BCRYPT_COST) return undefined;
  const verify = async (password: string) => (await loadBcrypt()).verify(password, text);
  return { kind: `bcrypt ${Number(cost)}`, maxBytes: 72, verify };
}

async function loadBcrypt(): Promise<Pick<typeof Bcrypt, 'verify'>> {
  try {
    return await import('@node-rs/bcrypt');
  } catch (cause) {
    const name = '@node-rs/bcrypt';
    throw new Error(`the package ${name} cannot be loaded: npm install ${name}`, { cause });
  }
}

const B64 = String.raw`([A-Za-z\d+/]+)`;
const PADDED = String.raw`([A-Za-z\d+/]+={0,2})`;
/** As passlib writes it: a dot in the place of the plus. */
const AB64 = String.raw`([A-Za-z\d./]+)`;
const HEX = String.raw`([a-f\d]+)`;
/** A salt that is the bytes of its letters. */
const TEXT = String.raw`([^$]+)`;

const base64 = (text: string) => Buffer.from(text.replaceAll('.', '+'), 'base64');
const hex = (text: string) => Buffer.from(text, 'hex');

const SCRYPT_PHC = new RegExp(
  String.raw`^\$scrypt\$ln=(\d{1,2}),r=(\d{1,4}),p=(\d{1,4})\$${B64}\$${B64}$`,
);
const SCRYPT_DJANGO = new RegExp(
  String.raw`^scrypt\$(\d{1,8})\$${TEXT}\$(\d{1,4})\$(\d{1,4})\$${PADDED}$`,
);
const SCRYPT_WERKZEUG = new RegExp(
  String.raw`^scrypt:(\d{1,8}):(\d{1,4}):(\d{1,4})\$${TEXT}\$${HEX}$`,
);

function readScrypt(text: string): Readable | undefined {
  const phc = SCRYPT_PHC.exec(text);
  if (phc) {
    const [, ln, r, p, salt = '', key = ''] = phc;
    return withScrypt(2 ** Number(ln), Number(r), Number(p), base64(salt), base64(key));
  }
  const django = SCRYPT_DJANGO.exec(text);
  if (django) {
    const [, n, salt = '', r, p, key = ''] = django;
    return withScrypt(Number(n), Number(r), Number(p), salt, base64(key));
  }
  const werkzeug = SCRYPT_WERKZEUG.exec(text);
  if (werkzeug === null) return undefined;
  const [, n, r, p, salt = '', key = ''] = werkzeug;
  return withScrypt(Number(n), Number(r), Number(p), salt, hex(key));
}

/** Bytes that it fills, all lanes together: at once the bound on its memory and on its time. */
const MAX_SCRYPT_WORK = 2 ** 30;

function withScrypt(
  n: number,
  r: number,
  p: number,
  salt: BinaryLike,
  key: Buffer,
): Readable | undefined {
  const isPowerOfTwo = n > 1 && Number.isInteger(Math.log2(n));
  // RFC 7914, 6: below 2 to the power of 16 r.
  if (Math.log2(n) >= 16 * r) return undefined;
  const work = 128 * n * r * p;
  if (!isPowerOfTwo || work === 0 || work > MAX_SCRYPT_WORK || !isKey(key)) return undefined;
  return {
    kind: `scrypt ${n},${r},${p}`,
    async verify(password) {
      const options = { N: n, r, p, maxmem: 2 * MAX_SCRYPT_WORK };
      const made = await new Promise<Buffer>((resolve, reject) => {
        scrypt(password, salt, key.length, options, (fault, derived) => {
          if (fault) reject(fault);
          else resolve(derived);
        });
      });
      return timingSafeEqual(made, key);
    },
  };
}

const PBKDF2_PHC = new RegExp(
  String.raw`^\$pbkdf2-(sha1|sha256|sha512)\$i=(\d{1,9})(?:,l=\d+)?\$${B64}\$${B64}$`,
);
const PBKDF2_PASSLIB = new RegExp(
  String.raw`^\$pbkdf2(?:-(sha256|sha512))?\$(\d{1,9})\$${AB64}\$${AB64}$`,
);
const PBKDF2_DJANGO = new RegExp(
  String.raw`^pbkdf2_(sha1|sha256|sha512)\$(\d{1,9})\$${TEXT}\$${PADDED}$`,
);
const PBKDF2_WERKZEUG = new RegExp(
  String.raw`^pbkdf2:(sha1|sha256|sha512):(\d{1,9})\$${TEXT}\$${HEX}$`,
);

function readPbkdf2(text: string): Readable | undefined {
  const binary = PBKDF2_PHC.exec(text) ?? PBKDF2_PASSLIB.exec(text);
  if (binary) {
    const [, digest = 'sha1', iterations, salt = '', key = ''] = binary;
    return withPbkdf2(digest, Number(iterations), base64(salt), base64(key));
  }
  const django = PBKDF2_DJANGO.exec(text);
  const [, digest = '', iterations, salt = '', key = ''] =
    django ?? PBKDF2_WERKZEUG.exec(text) ?? [];
  return withPbkdf2(digest, Number(iterations), salt, django ? base64(key) : hex(key));
}

/** Of all the blocks of a key together. */
const MAX_PBKDF2_ITERATIONS = 10_000_000;

const DIGEST_BYTES: Readonly<Record<string, number>> = { sha1: 20, sha256: 32, sha512: 64 };

const derive = promisify(pbkdf2);

function withPbkdf2(
  digest: string,
  iterations: number,
  salt: BinaryLike,
  key: Buffer,
): Readable | undefined {
  const blocks = Math.ceil(key.length / (DIGEST_BYTES[digest] ?? 0));
  const work = iterations * blocks;
  if (!(work > 0 && work <= MAX_PBKDF2_ITERATIONS) || !isKey(key)) return undefined;
  return {
    kind: `pbkdf2-${digest} ${work}`,
    verify: async (password) =>
      timingSafeEqual(await derive(password, salt, iterations, key.length, digest), key),
  };
}

/** A shorter one would be met by chance. */
function isKey({ length }: Buffer): boolean {
  return length >= 16 && length <= 128;
}
