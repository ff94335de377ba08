/** Decodes the header (0) or the payload (1) of a token. Undefined if that is no JSON object. */
export function decodePart(token: string, index: 0 | 1): object | undefined {
  try {
    const text = Buffer.from(token.split('.')[index] ?? '', 'base64url').toString();
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
}

/** The token with `alg` none and no signature (RFC 7519 §6). */
export function withoutSignature(token: string): string {
  const [, payload = ''] = token.split('.');
  return `${encode({ ...decodePart(token, 0), alg: 'none' })}.${payload}.`;
}

/** The token with another subject, and its old signature. */
export function withOtherUser(token: string): string {
  const [head = '', , signature = ''] = token.split('.');
  return `${head}.${encode({ ...decodePart(token, 1), sub: '1', user_id: 1 })}.${signature}`;
}

/** The `exp` of a token, in seconds since 1970; NaN if it has none. */
export function expiryOf(token: string): number {
  const payload = decodePart(token, 1);
  return payload === undefined ? Number.NaN : Number(Reflect.get(payload, 'exp'));
}

function encode(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url');
}
