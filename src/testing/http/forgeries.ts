/** A JSON object, or undefined for what is none, of a part of a token: 0 is its header, 1 its payload. */
export function partOf(token: string, index: 0 | 1): object | undefined {
  try {
    const text = Buffer.from(token.split('.')[index] ?? '', 'base64url').toString();
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
}

/** The token as one that needs no key (RFC 7519 §6). */
export function unsigned(token: string): string {
  const [, payload = ''] = token.split('.');
  return `${encode({ ...partOf(token, 0), alg: 'none' })}.${payload}.`;
}

/** The token with another subject, and the signature that it had. */
export function changed(token: string): string {
  const [head = '', , signature = ''] = token.split('.');
  return `${head}.${encode({ ...partOf(token, 1), sub: '1', user_id: 1 })}.${signature}`;
}

/** When a token expires, in seconds; NaN where it does not say. */
export function expiryOf(token: string): number {
  const payload = partOf(token, 1);
  return payload === undefined ? Number.NaN : Number(Reflect.get(payload, 'exp'));
}

function encode(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url');
}
