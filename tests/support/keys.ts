import {
  constants,
  createHmac,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';

export type Algorithm = 'HS256' | 'RS256' | 'ES256';
export const ALGORITHMS: readonly Algorithm[] = ['HS256', 'RS256', 'ES256'];

const madeRsaKeys: KeyObject[] = [];

/** Another one at each call; of 2048 bits six in turn, since each takes a quarter of a second to make. */
export function rsaKey(bits = 2048): KeyObject {
  const make = () => generateKeyPairSync('rsa', { modulusLength: bits }).privateKey;
  const key = (bits === 2048 && madeRsaKeys.length === 6 && madeRsaKeys.shift()) || make();
  if (bits === 2048) madeRsaKeys.push(key);
  return key;
}

export function ecKey(namedCurve = 'P-256'): KeyObject {
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

/** A key that signs with this algorithm, another one at each call. */
export function newKey(algorithm: Algorithm): KeyObject {
  if (algorithm === 'HS256') return createSecretKey(randomBytes(32));
  return algorithm === 'RS256' ? rsaKey() : ecKey();
}

export function pemOf(key: KeyObject): string {
  const form = key.type === 'private' ? ({ type: 'pkcs8' } as const) : ({ type: 'spki' } as const);
  return key.export({ ...form, format: 'pem' }).toString();
}

export function encoded(part: unknown): string {
  const text = typeof part === 'string' ? part : JSON.stringify(part);
  return Buffer.from(text).toString('base64url');
}

export function decoded(token: string, part: 0 | 1): Record<string, unknown> {
  const text = Buffer.from(token.split('.')[part] ?? '', 'base64url').toString();
  return JSON.parse(text) as Record<string, unknown>;
}

/** Every algorithm of RFC 7518 §3.1 that takes such a key, done by hand. */
export type SignWith = (input: string, key: KeyObject) => Buffer;
export const SIGN = {
  HS256: (input, key) => createHmac('sha256', key).update(input).digest(),
  HS384: (input, key) => createHmac('sha384', key).update(input).digest(),
  HS512: (input, key) => createHmac('sha512', key).update(input).digest(),
  RS256: (input, key) => sign('sha256', Buffer.from(input), key),
  RS384: (input, key) => sign('sha384', Buffer.from(input), key),
  RS512: (input, key) => sign('sha512', Buffer.from(input), key),
  PS256: (input, key) =>
    sign('sha256', Buffer.from(input), {
      key,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: 32,
    }),
  // With the lower s, as the product writes it: whatever else is wrong, this is not.
  ES256: (input, key) =>
    lowS(sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })),
  ES384: (input, key) => sign('sha384', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }),
  DER: (input, key) => sign('sha256', Buffer.from(input), { key, dsaEncoding: 'der' }),
} as const satisfies Record<string, SignWith>;

/** A JWS; a text in the place of header or payload is taken as it is. */
export function signed(
  header: unknown,
  payload: unknown,
  key: KeyObject,
  how: keyof typeof SIGN,
): string {
  const input = `${encoded(header)}.${encoded(payload)}`;
  return `${input}.${SIGN[how](input, key).toString('base64url')}`;
}

export const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The number s of an ES256 signature. */
export function sOf(signature: Buffer): bigint {
  return BigInt(`0x${signature.subarray(32).toString('hex')}`);
}

/** The other signature that says the same: with n - s for s. */
export function mirrored(signature: Buffer): Buffer {
  const s = (P256_ORDER - sOf(signature)).toString(16).padStart(64, '0');
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(s, 'hex')]);
}

function lowS(signature: Buffer): Buffer {
  return sOf(signature) > P256_ORDER / 2n ? mirrored(signature) : signature;
}
