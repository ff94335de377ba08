/// <reference types="node" preserve="true" />
import type { KeyObject } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import type { AccessClaims, TokenClaims, TokenIssuer } from '../../application/index.ts';
import { checkOptions } from '../../application/options.ts';
import { type VerifiedToken, VerifiedTokens } from './verified-tokens.ts';
import { keyObject, type PublicJwk, type VerifyKey, verifyKey } from './keys.ts';

export type { PublicJwk };

/** RFC 9068 §2.1; the refresh token's type is the product's own. */
const ACCESS_TYPE = 'at+jwt';
const REFRESH_TYPE = 'rt+jwt';

/** Seconds by which another machine's clock may be ahead of this one. */
const LEEWAY = 5;
/** A token of this product has about 400 characters; a key of 4,096 bits adds 700. */
const MAX_TOKEN_LENGTH = 4096;

/** What signs and verifies tokens, and what they say besides. */
export interface JwtOptions {
  /**
   * What signs, and says how: a secret HS256, an RSA private key of 2048 bits or more RS256, a private
   * key on P-256 ES256. A text is a secret, its UTF-8 bytes, so that other services can verify access
   * tokens with it. A shorter one than 32 bytes (RFC 7518 §3.2) is taken, though whoever has a token
   * could guess it: what length to insist on is the caller's to say, as the service does in production.
   */
  readonly key: string | KeyObject;
  /** What verifies only: the keys of before, secret, public or private, until their tokens expired. */
  readonly previousKeys?: readonly (string | KeyObject)[];
  /** `iss`; 'portcullis' unless given. */
  readonly issuer?: string;
  /** `aud` of access tokens; 'portcullis' unless given. */
  readonly audience?: string;
  /** Seconds; 15 minutes unless given. Tokens that were made to last longer are refused. */
  readonly accessTokenTtl?: number;
  /** Seconds; 30 days unless given. Tokens that were made to last longer are refused. */
  readonly refreshTokenTtl?: number;
}

const OPTIONS: readonly (keyof JwtOptions)[] = [
  'key',
  'previousKeys',
  'issuer',
  'audience',
  'accessTokenTtl',
  'refreshTokenTtl',
];

interface Kind<Claims extends TokenClaims> {
  readonly typ: string;
  readonly aud: string;
  readonly ttl: number;
  /** Of this kind alone: one of the other must never be found here. */
  readonly verified: VerifiedTokens<Claims>;
  /** What a token of this kind says, of which `claims` have been read from its payload. */
  readonly claimsOf: (claims: TokenClaims, payload: Record<string, unknown>) => Claims;
}

/** Both tokens as JWS (RFC 7515). */
export class JwtIssuer implements TokenIssuer {
  readonly refreshTokenTtl: number;
  /** For others to verify access tokens with (RFC 7517): the signer's first; never a secret. */
  readonly publicKeys: readonly PublicJwk[];
  // KeyObjects: the algorithm is settled here, and jsonwebtoken does not guess at a string for
  // 0.3 ms on each call.
  readonly #signer: VerifyKey & { readonly signs: KeyObject };
  readonly #verifiers: ReadonlyMap<string, VerifyKey>;
  readonly #issuer: string;
  readonly #access: Kind<AccessClaims>;
  readonly #refresh: Kind<TokenClaims>;
  /** By their segment, those of tokens that were verified. */
  readonly #headers = new Map<string, Header>();

  /** @throws RangeError for an option that is none, a key that cannot sign or verify, or a time that is none */
  constructor(options: JwtOptions) {
    checkOptions(options, OPTIONS);
    const { audience = 'portcullis', issuer = 'portcullis' } = options;
    const { accessTokenTtl = 15 * 60, refreshTokenTtl = 30 * 24 * 60 * 60 } = options;
    for (const [name, ttl] of Object.entries({ accessTokenTtl, refreshTokenTtl })) {
      if (Number.isSafeInteger(ttl) && ttl > 0) continue;
      throw new RangeError(`${name} must be a whole number of seconds, not ${String(ttl)}`);
    }
    this.refreshTokenTtl = refreshTokenTtl;
    const signs = keyObject(options.key);
    if (signs.type === 'public') throw new RangeError('a public key cannot sign');
    this.#signer = { ...verifyKey(signs), signs };
    const previous = (options.previousKeys ?? []).map((key) => verifyKey(keyObject(key)));
    this.#verifiers = new Map([this.#signer, ...previous].map((key) => [key.kid, key]));
    this.publicKeys = [...this.#verifiers.values()].flatMap(({ jwk }) => (jwk ? [jwk] : []));
    this.#issuer = issuer;
    this.#access = {
      typ: ACCESS_TYPE,
      aud: audience,
      ttl: accessTokenTtl,
      verified: new VerifiedTokens(),
      claimsOf: (claims, { role }) => (role === 'admin' ? { ...claims, role } : claims),
    };
    this.#refresh = {
      typ: REFRESH_TYPE,
      aud: `${audience}/refresh`,
      ttl: refreshTokenTtl,
      verified: new VerifiedTokens(),
      claimsOf: (claims) => claims,
    };
  }

  /** An access token of this session, good for `accessTokenTtl`. */
  async issueAccessToken(claims: AccessClaims, now: Date): Promise<string> {
    return this.#sign(this.#access, claims, now, seconds(now) + this.#access.ttl);
  }

  async issueRefreshToken(claims: TokenClaims, now: Date, expires: Date): Promise<string> {
    // A clock that was set back would make it last longer than any token may.
    const latest = seconds(now) + this.#refresh.ttl;
    return this.#sign(this.#refresh, claims, now, Math.min(seconds(expires), latest));
  }

  /** What a valid access token says; undefined for everything else. */
  async verifyAccessToken(token: string, now: Date): Promise<AccessClaims | undefined> {
    const verified = this.#verify(this.#access, token);
    return verified && isInTime(verified, this.#access.ttl, now) ? verified.claims : undefined;
  }

  /** What a valid refresh token says; undefined for everything else. */
  async verifyRefreshToken(token: string, now: Date): Promise<TokenClaims | undefined> {
    const verified = this.#verify(this.#refresh, token);
    return verified && isInTime(verified, this.#refresh.ttl, now) ? verified.claims : undefined;
  }

  async identifyRefreshToken(token: string): Promise<TokenClaims | undefined> {
    return this.#verify(this.#refresh, token)?.claims;
  }

  #sign(
    kind: Pick<Kind<never>, 'typ' | 'aud'>,
    { userId, sessionId, tokenId, role = 'user' }: AccessClaims,
    now: Date,
    exp: number,
  ): string {
    const payload = {
      iss: this.#issuer,
      aud: kind.aud,
      sub: String(userId),
      sid: sessionId,
      ...(role !== 'user' && { role }),
      jti: tokenId,
      iat: seconds(now),
      exp,
    };
    const { algorithm, kid, signs } = this.#signer;
    const header = { alg: algorithm, typ: kind.typ, kid };
    const token = jsonwebtoken.sign(payload, signs, { algorithm, header });
    return algorithm === 'ES256' ? withLowS(token) : token;
  }

  /**
   * jsonwebtoken sees to the signature; what it lets pass with a good signature is checked here: the
   * type, the members, and that the text of the token is the only one for it. The times are not.
   */
  #verify<Claims extends TokenClaims>(
    kind: Kind<Claims>,
    token: unknown,
  ): VerifiedToken<Claims> | undefined {
    const known = kind.verified.get(token);
    if (known !== undefined) return known;
    if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH) return undefined;
    const [head = '', body = '', signature = '', more] = token.split('.');
    if (more !== undefined || !isCanonicalBase64url(signature)) return undefined;
    const header = this.#headers.get(head) ?? readHeader(head);
    if (header?.typ !== kind.typ) return undefined;
    const payload = this.#open(token, header);
    if (!isObject(payload) || writtenPlainly(payload) !== body) return undefined;
    if (header.alg === 'ES256' && !hasLowS(token)) return undefined;
    this.#headers.set(head, header); // As many as there are keys and types: this one is signed.

    const { iss, aud, sub, sid, jti, iat, exp } = payload;
    if (iss !== this.#issuer || aud !== kind.aud) return undefined;
    if (!isInteger(iat) || !isInteger(exp)) return undefined;
    const userId = readUserId(sub);
    if (userId === undefined || !isId(sid) || !isId(jti)) return undefined;
    const claims = kind.claimsOf({ userId, sessionId: sid, tokenId: jti }, payload);
    const verified = { claims, iat, exp };
    kind.verified.add(token, verified);
    return verified;
  }

  /** What the token says, if one of the keys signed it. */
  #open(token: string, header: Header): unknown {
    for (const { key, algorithm } of this.#keysFor(header)) {
      const payload = attempt(() =>
        jsonwebtoken.verify(token, key, {
          algorithms: [algorithm],
          ignoreExpiration: true, // By `isInTime`, with the port's time and to the instant.
        }),
      );
      if (payload !== undefined) return payload;
    }
    return undefined;
  }

  /**
   * The keys that may have signed a token: the one that its header names, if that is known; for a token
   * made before keys had names, all of its algorithm. The header picks among these, and brings none.
   */
  #keysFor({ kid, alg }: Header): readonly VerifyKey[] {
    if (kid === undefined) {
      return [...this.#verifiers.values()].filter(({ algorithm }) => algorithm === alg);
    }
    const named = typeof kid === 'string' ? this.#verifiers.get(kid) : undefined;
    return named ? [named] : [];
  }
}

interface Header {
  readonly typ?: unknown;
  readonly alg?: unknown;
  readonly kid?: unknown;
}

/** Undefined for what is no header, or asks for what is not done here (RFC 7515 §4.1.11, RFC 7797). */
function readHeader(head: string): Header | undefined {
  const header: unknown = attempt((): unknown =>
    JSON.parse(Buffer.from(head, 'base64url').toString()),
  );
  if (!isObject(header) || writtenPlainly(header) !== head) return undefined;
  return 'crit' in header || 'b64' in header ? undefined : header;
}

function isInTime({ iat, exp }: VerifiedToken<TokenClaims>, ttl: number, now: Date): boolean {
  if (now.getTime() >= exp * 1000 || iat > seconds(now) + LEEWAY) return false;
  return exp > iat && exp - iat <= ttl;
}

/**
 * Undefined where reading a token throws. That is not only JsonWebTokenError: a payload that is no JSON
 * throws SyntaxError, a signature of a wrong length TypeError. Nothing that is read so can fail for
 * another reason than the token.
 */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * A segment in its one spelling: decoders ignore padding, stray bits and foreign characters, and a token
 * that can be rewritten and still verify is not one token but many.
 */
function isCanonicalBase64url(segment: string): boolean {
  return segment !== '' && Buffer.from(segment, 'base64url').toString('base64url') === segment;
}

/**
 * The one segment for a header or payload, as JSON.stringify writes it: with a member given twice, the
 * text would say more than the object that was read from it (RFC 7515 §4, RFC 7519 §4).
 */
function writtenPlainly(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** The order of P-256 (SEC 2 §2.4.2). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/**
 * With the lower of the two numbers that ECDSA lets stand at the end of a signature: n - s verifies
 * where s does, so that anybody could rewrite a token. To other verifiers both are the same.
 */
function withLowS(token: string): string {
  if (hasLowS(token)) return token;
  const [head, signature] = splitSignature(token);
  const s = (P256_ORDER - lastNumber(signature)).toString(16).padStart(64, '0');
  const low = Buffer.concat([signature.subarray(0, 32), Buffer.from(s, 'hex')]);
  return head + low.toString('base64url');
}

function hasLowS(token: string): boolean {
  return lastNumber(splitSignature(token)[1]) <= P256_ORDER / 2n;
}

function splitSignature(token: string): readonly [head: string, signature: Buffer] {
  const start = token.lastIndexOf('.') + 1;
  return [token.slice(0, start), Buffer.from(token.slice(start), 'base64url')];
}

/** The second of the two numbers of 32 bytes that an ES256 signature is (RFC 7518 §3.4). */
function lastNumber(signature: Buffer): bigint {
  return BigInt(`0x${signature.subarray(32).toString('hex')}`);
}

function isObject(payload: unknown): payload is Record<string, unknown> {
  return typeof payload === 'object' && payload !== null && !Array.isArray(payload);
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[\w-]{1,64}$/.test(value);
}

/** `sub` is the id in decimal, in its one spelling. */
function readUserId(sub: unknown): number | undefined {
  if (typeof sub !== 'string' || !/^[1-9]\d{0,15}$/.test(sub)) return undefined;
  const id = Number(sub);
  return Number.isSafeInteger(id) ? id : undefined;
}

function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
