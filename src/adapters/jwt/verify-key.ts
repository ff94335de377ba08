/// <reference types="node" preserve="true" />
import { createHash, createHmac, createPublicKey, createSecretKey, KeyObject } from 'node:crypto';
import { MIN_RSA_BITS, signingAlgorithm } from '../../domain/signing-keys.ts';

export type Algorithm = 'HS256' | 'RS256' | 'ES256';

/** A public key as JSON (RFC 7517). Each member is a string. */
export type PublicJwk = Readonly<Record<string, string>>;

/** A key that verifies tokens, and the one algorithm it may be used with. */
export interface VerifyKey {
  readonly algorithm: Algorithm;
  /** The key id in the header of tokens. It reveals nothing of a secret. */
  readonly kid: string;
  /** Secret or public, never private. */
  readonly key: KeyObject;
  /** Undefined for a secret. */
  readonly jwk: PublicJwk | undefined;
}

/**
 * Makes a secret key of the UTF-8 bytes of a text, and returns a KeyObject unchanged.
 * @throws RangeError for anything else, an empty secret, or a PEM key given as a secret
 */
export function keyObject(key: string | KeyObject): KeyObject {
  const made = typeof key === 'string' ? createSecretKey(key, 'utf8') : key;
  if (!(made instanceof KeyObject)) throw new RangeError('no key: give a secret or a KeyObject');
  if (made.type !== 'secret') return made;
  const bytes = made.export();
  if (bytes.length === 0) throw new RangeError('the secret is empty');
  // Whoever knows the public key could sign with it: HMAC takes any bytes (RFC 8725 §2.1).
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
  const algorithm = signingAlgorithm(key);
  if (algorithm !== undefined) return algorithm;
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') {
    throw new RangeError(
      `an RSA key of ${modulusLength} bits: at least ${MIN_RSA_BITS} are needed`,
    );
  }
  throw new RangeError(`a key of type ${key.asymmetricKeyType} ${namedCurve ?? ''} signs no token`);
}

/** The thumbprint of RFC 7638. The JWK of a public key has the required members only. */
function thumbprint(members: readonly (readonly [name: string, value: string])[]): string {
  const sorted = Object.fromEntries(members.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('base64url');
}

/**
 * An HMAC, since a plain hash would let anybody test guesses of the secret faster than on a token.
 * The label has no dot, so it can never equal the signed part of a token.
 */
function nameOfSecret(secret: KeyObject): string {
  const name = createHmac('sha256', secret).update('portcullis key id').digest();
  return name.subarray(0, 16).toString('base64url');
}
