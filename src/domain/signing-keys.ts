/** What decides whether a key pair is good for signing: the members of a KeyObject of node:crypto. */
interface KeyTraits {
  readonly asymmetricKeyType?: string | undefined;
  readonly asymmetricKeyDetails?:
    | { readonly modulusLength?: number; readonly namedCurve?: string }
    | undefined;
}

export const MIN_RSA_BITS = 2048;

/** The algorithm that a key pair signs with, or undefined if it must not sign. */
export function signingAlgorithm(key: KeyTraits): 'RS256' | 'ES256' | undefined {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS) return 'RS256';
  // OpenSSL's name of the curve P-256.
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256';
  return undefined;
}
