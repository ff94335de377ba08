import { createSecretKey, type KeyObject } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import type { TokenClaims, TokenIssuer } from '../../application/index.ts';

/** RFC 9068 §2.1; the refresh token's type is the product's own. */
const ACCESS_TYPE = 'at+jwt';
const REFRESH_TYPE = 'rt+jwt';

/** Seconds by which another machine's clock may be ahead of this one. */
const LEEWAY = 5;
/** A token of this product has about 400 characters; a key of 4,096 bits adds 700. */
const MAX_TOKEN_LENGTH = 4096;

export interface JwtOptions {
  /** The HS256 key is its UTF-8 bytes, so that other services can verify access tokens with it. */
  readonly secret: string;
  /** `iss`; 'portcullis' unless given. */
  readonly issuer?: string;
  /** `aud` of access tokens; 'portcullis' unless given. */
  readonly audience?: string;
  /** Seconds; 15 minutes unless given. Tokens that were made to last longer are refused. */
  readonly accessTokenTtl?: number;
  /** Seconds; 30 days unless given. Tokens that were made to last longer are refused. */
  readonly refreshTokenTtl?: number;
}

interface Kind {
  readonly typ: string;
  readonly aud: string;
  readonly ttl: number;
}

/** Both tokens as JWS (RFC 7515), signed with HS256. */
export class JwtIssuer implements TokenIssuer {
  readonly refreshTokenTtl: number;
  // A KeyObject: the algorithm is settled here, and jsonwebtoken does not guess at a string for
  // 0.3 ms on each call.
  readonly #key: KeyObject;
  readonly #issuer: string;
  readonly #access: Kind;
  readonly #refresh: Kind;

  constructor(options: JwtOptions) {
    const { audience = 'portcullis', issuer = 'portcullis' } = options;
    const { accessTokenTtl = 15 * 60, refreshTokenTtl = 30 * 24 * 60 * 60 } = options;
    this.refreshTokenTtl = refreshTokenTtl;
    if (options.secret === '') throw new RangeError('the secret is empty');
    this.#key = createSecretKey(options.secret, 'utf8');
    this.#issuer = issuer;
    this.#access = { typ: ACCESS_TYPE, aud: audience, ttl: accessTokenTtl };
    this.#refresh = { typ: REFRESH_TYPE, aud: `${audience}/refresh`, ttl: refreshTokenTtl };
  }

  async issueAccessToken(claims: TokenClaims, now: Date): Promise<string> {
    return this.#sign(this.#access, claims, now, seconds(now) + this.#access.ttl);
  }

  async issueRefreshToken(claims: TokenClaims, now: Date, expires: Date): Promise<string> {
    // A clock that was set back would make it last longer than any token may.
    const latest = seconds(now) + this.#refresh.ttl;
    return this.#sign(this.#refresh, claims, now, Math.min(seconds(expires), latest));
  }

  async verifyAccessToken(token: string, now: Date): Promise<TokenClaims | undefined> {
    return this.#verify(this.#access, token, now);
  }

  async verifyRefreshToken(token: string, now: Date): Promise<TokenClaims | undefined> {
    return this.#verify(this.#refresh, token, now);
  }

  async identifyRefreshToken(token: string): Promise<TokenClaims | undefined> {
    return this.#verify(this.#refresh, token, undefined);
  }

  #sign(kind: Kind, { userId, sessionId, tokenId }: TokenClaims, now: Date, exp: number): string {
    const payload = {
      iss: this.#issuer,
      aud: kind.aud,
      sub: String(userId),
      sid: sessionId,
      jti: tokenId,
      iat: seconds(now),
      exp,
    };
    const header = { alg: 'HS256', typ: kind.typ };
    return jsonwebtoken.sign(payload, this.#key, { algorithm: 'HS256', header });
  }

  /**
   * jsonwebtoken sees to the signature; what it lets pass with a good signature is checked here:
   * the type, the times, the subject, and that the text of the token is the only one for it.
   */
  #verify(kind: Kind, token: string, now: Date | undefined): TokenClaims | undefined {
    if (!isCompactJws(token)) return undefined;
    let jwt: jsonwebtoken.Jwt;
    try {
      jwt = jsonwebtoken.verify(token, this.#key, {
        algorithms: ['HS256'],
        complete: true,
        ignoreExpiration: true, // Below, with the port's time and to the instant.
      });
    } catch {
      // Not only JsonWebTokenError: a payload that is no JSON throws SyntaxError, a signature of a
      // wrong length TypeError. Nothing in this block can fail for another reason than the token.
      return undefined;
    }
    const { header } = jwt;
    if (header.typ !== kind.typ || 'crit' in header || 'b64' in header) return undefined;
    const { payload } = jwt;
    if (!isObject(payload) || !isWrittenPlainly(token, [header, payload])) return undefined;

    const { iss, aud, sub, sid, jti, iat, exp } = payload;
    if (iss !== this.#issuer || aud !== kind.aud) return undefined;
    if (!isInteger(iat) || !isInteger(exp)) return undefined;
    if (now && (now.getTime() >= exp * 1000 || iat > seconds(now) + LEEWAY)) return undefined;
    if (now && (exp <= iat || exp - iat > kind.ttl)) return undefined;
    const userId = readUserId(sub);
    if (userId === undefined || !isId(sid) || !isId(jti)) return undefined;
    return { userId, sessionId: sid, tokenId: jti };
  }
}

/**
 * Three base64url segments in their one spelling: decoders ignore padding, stray bits and foreign
 * characters, and a token that can be rewritten and still verify is not one token but many.
 */
function isCompactJws(token: unknown): token is string {
  if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH) return false;
  const segments = token.split('.');
  return segments.length === 3 && segments.every(isCanonicalBase64url);
}

function isCanonicalBase64url(segment: string): boolean {
  return segment !== '' && Buffer.from(segment, 'base64url').toString('base64url') === segment;
}

/**
 * Header and payload as JSON.stringify writes them: with a member given twice, the text would say
 * more than the object that was read from it (RFC 7515 §4, RFC 7519 §4).
 */
function isWrittenPlainly(token: string, parts: readonly object[]): boolean {
  const segments = token.split('.');
  return parts.every(
    (part, i) => Buffer.from(JSON.stringify(part)).toString('base64url') === segments[i],
  );
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
