/// <reference types="node" preserve="true" />
import type { KeyObject } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import type { AccessClaims, TokenClaims, TokenIssuer } from '../../application/index.ts';
import { checkOptions } from '../../domain/options.ts';
import { ACCESS_TOKEN_TTL, REFRESH_TOKEN_TTL } from '../../domain/defaults.ts';
import { type VerifiedToken, VerifiedTokens } from './verified-tokens.ts';
import { keyObject, type PublicJwk, type VerifyKey, verifyKey } from './verify-key.ts';

export type { PublicJwk };

/** The `typ` of access tokens is that of RFC 9068 §2.1; that of refresh tokens is our own. */
const ACCESS_TYPE = 'at+jwt';
const REFRESH_TYPE = 'rt+jwt';

/** How far the clock of another machine may be ahead of this one. */
const CLOCK_LEEWAY_SECONDS = 5;
/** Characters. Our tokens have about 400; a signature by a key of 4,096 bits adds 700. */
const MAX_TOKEN_LENGTH = 4096;

/** The keys and claims of a `JwtIssuer`. */
export interface JwtOptions {
  /**
   * The key that signs. It decides the algorithm: HS256 for a secret, RS256 for an RSA private key
   * (of 2048 bits or more), ES256 for a private key on P-256. A string is a secret of its UTF-8
   * bytes.
   *
   * The issuer does not enforce the minimum of 32 bytes for a secret (RFC 7518 §3.2): callers must.
   * Anyone who has a token can try to guess a short secret offline.
   */
  readonly key: string | KeyObject;
  /**
   * Earlier keys, which only verify, until their last token has expired. Secret, public or private.
   */
  readonly previousKeys?: readonly (string | KeyObject)[];
  /** `iss`. Default: 'portcullis'. */
  readonly issuer?: string;
  /** `aud` of access tokens. Default: 'portcullis'. */
  readonly audience?: string;
  /** Seconds. Default: 15 minutes. Tokens with a longer lifetime are refused. */
  readonly accessTokenTtl?: number;
  /** Seconds. Default: 30 days. Tokens with a longer lifetime are refused. */
  readonly refreshTokenTtl?: number;
}

const OPTION_NAMES: readonly (keyof JwtOptions)[] = [
  'key',
  'previousKeys',
  'issuer',
  'audience',
  'accessTokenTtl',
  'refreshTokenTtl',
];

/** What distinguishes access tokens from refresh tokens. */
interface TokenKind<Claims extends TokenClaims> {
  readonly typ: string;
  readonly aud: string;
  /** Seconds. */
  readonly ttl: number;
  /** Never shared with the other kind: a refresh token must not pass as an access token. */
  readonly verified: VerifiedTokens<Claims>;
  /** Adds the claims that only this kind has to those that both have. */
  readonly claimsOf: (claims: TokenClaims, payload: Record<string, unknown>) => Claims;
}

/** Issues and verifies access and refresh tokens as JWS (RFC 7515). */
export class JwtIssuer implements TokenIssuer {
  readonly refreshTokenTtl: number;
  /** The keys that verify access tokens (RFC 7517), the current one first. Never a secret. */
  readonly publicKeys: readonly PublicJwk[];
  // Holds KeyObjects: with a string, jsonwebtoken takes 0.3 ms a call to find out what key it is.
  readonly #signer: VerifyKey & { readonly signingKey: KeyObject };
  readonly #verifiers: ReadonlyMap<string, VerifyKey>;
  readonly #issuer: string;
  readonly #access: TokenKind<AccessClaims>;
  readonly #refresh: TokenKind<TokenClaims>;
  /** The headers of verified tokens, by their encoded text. */
  readonly #headers = new Map<string, Header>();

  /** @throws RangeError for an unknown option, an unsuitable key or an invalid lifetime */
  constructor(options: JwtOptions) {
    checkOptions(options, OPTION_NAMES);
    const { audience = 'portcullis', issuer = 'portcullis' } = options;
    const { accessTokenTtl = ACCESS_TOKEN_TTL, refreshTokenTtl = REFRESH_TOKEN_TTL } = options;
    for (const [name, ttl] of Object.entries({ accessTokenTtl, refreshTokenTtl })) {
      if (Number.isSafeInteger(ttl) && ttl > 0) continue;
      throw new RangeError(`${name} must be a whole number of seconds, not ${String(ttl)}`);
    }
    this.refreshTokenTtl = refreshTokenTtl;
    const signingKey = keyObject(options.key);
    if (signingKey.type === 'public') throw new RangeError('a public key cannot sign');
    this.#signer = { ...verifyKey(signingKey), signingKey };
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

  /** Issues an access token that expires after `accessTokenTtl`. */
  async issueAccessToken(claims: AccessClaims, now: Date): Promise<string> {
    return this.#sign(this.#access, claims, now, seconds(now) + this.#access.ttl);
  }

  async issueRefreshToken(claims: TokenClaims, now: Date, expires: Date): Promise<string> {
    // If the clock was set back, `expires` can be later than the longest lifetime allows.
    const latest = seconds(now) + this.#refresh.ttl;
    return this.#sign(this.#refresh, claims, now, Math.min(seconds(expires), latest));
  }

  /** The claims of a valid access token; undefined for anything else. */
  async verifyAccessToken(token: string, now: Date): Promise<AccessClaims | undefined> {
    const verified = this.#verify(this.#access, token);
    return verified && isInTime(verified, this.#access.ttl, now) ? verified.claims : undefined;
  }

  /** The claims of a valid refresh token; undefined for anything else. */
  async verifyRefreshToken(token: string, now: Date): Promise<TokenClaims | undefined> {
    const verified = this.#verify(this.#refresh, token);
    return verified && isInTime(verified, this.#refresh.ttl, now) ? verified.claims : undefined;
  }

  async identifyRefreshToken(token: string): Promise<TokenClaims | undefined> {
    return this.#verify(this.#refresh, token)?.claims;
  }

  #sign(
    kind: Pick<TokenKind<never>, 'typ' | 'aud'>,
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
    const { algorithm, kid, signingKey } = this.#signer;
    const header = { alg: algorithm, typ: kind.typ, kid };
    const token = jsonwebtoken.sign(payload, signingKey, { algorithm, header });
    return algorithm === 'ES256' ? withLowS(token) : token;
  }

  /**
   * Verifies all of a token but its times. jsonwebtoken checks the signature. This method checks
   * what jsonwebtoken does not: the type, the claims, and that the token is in its canonical
   * spelling.
   */
  #verify<Claims extends TokenClaims>(
    kind: TokenKind<Claims>,
    token: unknown,
  ): VerifiedToken<Claims> | undefined {
    const known = kind.verified.get(token);
    if (known !== undefined) return known;
    if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH) return undefined;
    const [head = '', body = '', signature = '', more] = token.split('.');
    if (more !== undefined || !isCanonicalBase64url(signature)) return undefined;
    const header = this.#headers.get(head) ?? readHeader(head);
    if (header?.typ !== kind.typ) return undefined;
    const payload = this.#readSigned(token, header);
    if (!isObject(payload) || encodeSegment(payload) !== body) return undefined;
    if (header.alg === 'ES256' && !hasLowS(token)) return undefined;
    this.#headers.set(head, header); // Bounded: only signed headers get here, one per key and type.

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

  /** The payload of the token if one of the keys signed it. */
  #readSigned(token: string, header: Header): unknown {
    for (const { key, algorithm } of this.#keysFor(header)) {
      const payload = attempt(() =>
        jsonwebtoken.verify(token, key, {
          algorithms: [algorithm],
          ignoreExpiration: true, // `isInTime` checks it, by the port's clock.
        }),
      );
      if (payload !== undefined) return payload;
    }
    return undefined;
  }

  /**
   * The keys that may have signed a token: the one that its `kid` names, or, for tokens that were
   * issued before keys had a `kid`, all keys of its algorithm. A header never supplies a key of its
   * own.
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

/** Undefined for an invalid header, or one that needs an extension (RFC 7515 §4.1.11, RFC 7797). */
function readHeader(head: string): Header | undefined {
  const header: unknown = attempt((): unknown =>
    JSON.parse(Buffer.from(head, 'base64url').toString()),
  );
  if (!isObject(header) || encodeSegment(header) !== head) return undefined;
  return 'crit' in header || 'b64' in header ? undefined : header;
}

function isInTime({ iat, exp }: VerifiedToken<TokenClaims>, ttl: number, now: Date): boolean {
  if (now.getTime() >= exp * 1000 || iat > seconds(now) + CLOCK_LEEWAY_SECONDS) return false;
  return exp > iat && exp - iat <= ttl;
}

/**
 * Undefined if `read` throws. Besides JsonWebTokenError, a payload that is no JSON throws
 * SyntaxError, and a signature of the wrong length TypeError. Only an invalid token can make `read`
 * throw.
 */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * True if a segment is spelled as an encoder spells it. Decoders ignore padding, stray bits and
 * foreign characters, so one token would otherwise have many spellings that all verify.
 */
function isCanonicalBase64url(segment: string): boolean {
  return segment !== '' && Buffer.from(segment, 'base64url').toString('base64url') === segment;
}

/**
 * The segment that JSON.stringify gives for a header or payload. A segment that differs from it may
 * give a member twice, which the parsed object hides (RFC 7515 §4, RFC 7519 §4).
 */
function encodeSegment(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** The order of P-256 (SEC 2 §2.4.2). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/**
 * The token with the lower of the two values of `s` that verify. With ECDSA, n - s verifies
 * wherever s does, so anybody could rewrite a token. Other verifiers accept both.
 */
function withLowS(token: string): string {
  if (hasLowS(token)) return token;
  const [head, signature] = splitSignature(token);
  const s = (P256_ORDER - readS(signature)).toString(16).padStart(64, '0');
  const low = Buffer.concat([signature.subarray(0, 32), Buffer.from(s, 'hex')]);
  return head + low.toString('base64url');
}

function hasLowS(token: string): boolean {
  return readS(splitSignature(token)[1]) <= P256_ORDER / 2n;
}

function splitSignature(token: string): readonly [head: string, signature: Buffer] {
  const start = token.lastIndexOf('.') + 1;
  return [token.slice(0, start), Buffer.from(token.slice(start), 'base64url')];
}

/** The `s` of an ES256 signature: its last 32 bytes (RFC 7518 §3.4). */
function readS(signature: Buffer): bigint {
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

/** The user id in `sub`: decimal, without a sign or leading zeros. */
function readUserId(sub: unknown): number | undefined {
  if (typeof sub !== 'string' || !/^[1-9]\d{0,15}$/.test(sub)) return undefined;
  const id = Number(sub);
  return Number.isSafeInteger(id) ? id : undefined;
}

function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
