/// <reference types="node" preserve="true" />
import { createHash, createHmac, createPublicKey, createSecretKey, KeyObject } from 'node:crypto';

export type Algorithm = 'HS256' | 'RS256' | 'ES256';

/** A public key as JSON (RFC 7517), every member of it a text. */
export type PublicJwk = Readonly<Record<string, string>>;

/** A key that tokens are verified with, and the one algorithm that it is good for. */
export interface VerifyKey {
  readonly algorithm: Algorithm;
  /** What tokens call it. Says nothing of a secret to whoever does not know it. */
  readonly kid: string;
  /** Secret or public: no private key is kept to verify with. */
  readonly key: KeyObject;
  /** Undefined for a secret. */
  readonly jwk: PublicJwk | undefined;
}

/**
 * A text as the secret that is its UTF-8 bytes; any other key as it is.
 * @throws RangeError for what is none, a text that is empty, or a key where a secret should be
 */
export function keyObject(key: string | KeyObject): KeyObject {
  const made = typeof key === 'string' ? createSecretKey(key, 'utf8') : key;
  if (!(made instanceof KeyObject)) throw new RangeError('no key: give a secret or a KeyObject');
  if (made.type !== 'secret') return made;
  const bytes = made.export();
  if (bytes.length === 0) throw new RangeError('the secret is empty');
  // Whoever has the public half of it could sign with that: HMAC takes any bytes (RFC 8725 §2.1).
  if (bytes.includes('-----BEGIN'))
    throw new RangeError('the secret is a PEM key: give a KeyObject');
  return made;
}

/** @throws RangeError unless it is a secret, an RSA key of 2048 bits or more, or one on P-256 */
export function verifyKey(given: KeyObject): VerifyKey {
  const algorithm = algorithmOf(given);
  if (given.type === 'secret') {
    return { algorithm, kid: nameOfSecret(given), key: given, jwk: undefined };
  }
  const key = given.type === 'private' ? createPublicKey(given) : given;
  const members = Object.entries(key.export({ format: 'jwk' })).map(
    ([name, value]) => [name, String(value)] as const,
  );
  const kid = thumbprint(members);
  const jwk = { ...Object.fromEntries(members), kid, alg: algorithm, use: 'sig' };
  return { algorithm, kid, key, jwk };
}

/** The algorithm is a function of the key, never of the token. */
function algorithmOf(key: KeyObject): Algorithm {
  if (key.type === 'secret') return 'HS256';
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') {
    if (modulusLength >= 2048) return 'RS256';
    throw new RangeError(`an RSA key of ${modulusLength} bits: at least 2048 are needed`);
  }
  // OpenSSL's name of P-256.
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256';
  throw new RangeError(`a key of type ${key.asymmetricKeyType} ${namedCurve ?? ''} signs no token`);
}

/** RFC 7638: a public key's JWK has its required members and no other. */
function thumbprint(members: readonly (readonly [name: string, value: string])[]): string {
  const sorted = Object.fromEntries(members.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('base64url');
}

/**
 * A plain hash of the secret would let anybody try guesses faster than on a token. The label has no
 * dot, so that it is never what a signature is made of.
 */
function nameOfSecret(secret: KeyObject): string {
  const name = createHmac('sha256', secret).update('portcullis key id').digest();
  return name.subarray(0, 16).toString('base64url');
}
