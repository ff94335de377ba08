import {
  AuthError,
  type PasswordHasher,
  type TokenClaims,
  type TokenIssuer,
} from '../../src/application/index.ts';
import type { Operation } from './history.ts';
import type { Point } from './store.ts';

/** Seconds. */
export const ACCESS_TOKEN_TTL = 15 * 60;
export const REFRESH_TOKEN_TTL = 30 * 24 * 60 * 60;
/** Seconds that the issue time may be ahead. */
export const LEEWAY = 5;

export interface TokenFacts extends TokenClaims {
  readonly kind: 'access' | 'refresh';
  /** Seconds. */
  readonly issued: number;
  readonly expires: number;
}

/** What a token says; undefined for what is none. Nobody signs here: nobody forges either. */
export function readToken(text: string): TokenFacts | undefined {
  const [kind, userId, sessionId, tokenId, issued, expires, ...more] = text.split('.');
  if ((kind !== 'access' && kind !== 'refresh') || more.length > 0) return undefined;
  if (sessionId === undefined || tokenId === undefined || expires === undefined) return undefined;
  const times = { issued: Number(issued), expires: Number(expires) };
  return { kind, userId: Number(userId), sessionId, tokenId, ...times };
}

/** Tokens that everybody can read. Each call is a step. */
export function simulatedTokens(point: Point): TokenIssuer {
  const issue = (kind: string, claims: TokenClaims, now: Date, expires: number) => {
    const { userId, sessionId, tokenId } = claims;
    return [kind, userId, sessionId, tokenId, seconds(now), expires].join('.');
  };
  const verify = (kind: string, text: string, now: Date | undefined): TokenClaims | undefined => {
    const facts = readToken(text);
    if (facts?.kind !== kind) return undefined;
    const { issued, expires, userId, sessionId, tokenId } = facts;
    const isGood = !now || (seconds(now) < expires && issued <= seconds(now) + LEEWAY);
    return isGood ? { userId, sessionId, tokenId } : undefined;
  };
  return {
    refreshTokenTtl: REFRESH_TOKEN_TTL,
    issueAccessToken: (claims, now) =>
      point('tokens.issueAccessToken', () =>
        issue('access', claims, now, seconds(now) + ACCESS_TOKEN_TTL),
      ),
    issueRefreshToken: (claims, now, expires) =>
      point('tokens.issueRefreshToken', () => issue('refresh', claims, now, seconds(expires))),
    verifyAccessToken: (text, now) =>
      point('tokens.verifyAccessToken', () => verify('access', text, now)),
    verifyRefreshToken: (text, now) =>
      point('tokens.verifyRefreshToken', () => verify('refresh', text, now)),
    identifyRefreshToken: (text) =>
      point('tokens.identifyRefreshToken', () => verify('refresh', text, undefined)),
  };
}

function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

/** The password that a simulated hash is of. */
export function passwordOf(hash: string): string {
  return hash.replace(/^\d+\$/, '');
}

/** A hasher with so many places, that counts for each operation what it does for it. */
export function simulatedHasher(
  point: Point,
  task: () => Operation | undefined,
  { places, version }: { readonly places: number; readonly version: number },
): PasswordHasher {
  let admitted = 0;
  return {
    hash(password) {
      const operation = task();
      return point('hasher.hash', () => {
        if (operation) operation.hashed += 1;
        return `${version}$${password}`;
      });
    },
    verify(hash, password) {
      const operation = task();
      return point('hasher.verify', () => {
        if (operation) operation.verified += 1;
        if (hash === undefined || passwordOf(hash) !== password) return 'wrong';
        return Number.parseInt(hash, 10) < version ? 'outdated' : 'right';
      });
    },
    async admit(work) {
      if (admitted >= places) throw new AuthError('service_busy');
      admitted += 1;
      try {
        return await work();
      } finally {
        admitted -= 1;
      }
    },
  };
}
