import * as assert from 'node:assert/strict';
import type { AccessClaims, TokenClaims, TokenIssuer } from '../application/index.ts';
import { type Case, casesOn, type Open } from './case.ts';

const NOW = new Date('2026-01-02T03:04:05.678Z');
const CLAIMS: TokenClaims = { userId: 42, sessionId: 'session-1', tokenId: 'token-1' };

function later(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1000);
}

/**
 * The whole second that is `seconds` after that of `NOW`: the times in tokens are whole seconds.
 */
function secondAt(seconds: number): Date {
  return new Date(Math.floor(NOW.getTime() / 1000) * 1000 + seconds * 1000);
}

/** What a contract has to know about an issuer, beyond its port. */
export interface TokenIssuerFacts {
  /** How long its access tokens last, in seconds. Default: 900. */
  readonly accessTokenTtl?: number;
}

/**
 * The promises of every TokenIssuer. Each call of `open` returns an issuer with a new key and
 * otherwise the same settings. It is called once for each case, and again where a case needs
 * another key.
 */
export function tokenIssuerContract(
  open: Open<TokenIssuer>,
  { accessTokenTtl = 900 }: TokenIssuerFacts = {},
): readonly Case[] {
  const it = casesOn<TokenIssuer>(async (check) => check(await open()));
  return [
    it('reads what it issued', async (issuer) => {
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      assert.deepEqual(await issuer.verifyAccessToken(access, NOW), CLAIMS);
      const refresh = await issuer.issueRefreshToken(CLAIMS, NOW, later(60));
      assert.deepEqual(await issuer.verifyRefreshToken(refresh, NOW), CLAIMS);
    }),
    it('says in an access token that a user is more than that', async (issuer) => {
      const admin: AccessClaims = { ...CLAIMS, role: 'admin' };
      const access = await issuer.issueAccessToken(admin, NOW);
      assert.deepEqual(await issuer.verifyAccessToken(access, NOW), admin);
      const plain = await issuer.issueAccessToken({ ...CLAIMS, role: 'user' }, NOW);
      assert.deepEqual(await issuer.verifyAccessToken(plain, NOW), CLAIMS);
    }),
    it('carries the largest ids whole', async (issuer) => {
      const claims = {
        userId: Number.MAX_SAFE_INTEGER,
        sessionId: `${'x'.repeat(62)}-_`,
        tokenId: `_-${'9'.repeat(62)}`,
      };
      const adminClaims: AccessClaims = { ...claims, role: 'admin' };
      const access = await issuer.issueAccessToken(adminClaims, NOW);
      assert.deepEqual(await issuer.verifyAccessToken(access, NOW), adminClaims);
      const refresh = await issuer.issueRefreshToken(claims, NOW, later(60));
      assert.deepEqual(await issuer.verifyRefreshToken(refresh, NOW), claims);
      assert.deepEqual(await issuer.identifyRefreshToken(refresh), claims);
    }),
    it('takes neither kind in the place of the other', async (issuer) => {
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      assert.equal(await issuer.verifyRefreshToken(access, NOW), undefined);
      const refresh = await issuer.issueRefreshToken(CLAIMS, NOW, later(60));
      assert.equal(await issuer.verifyAccessToken(refresh, NOW), undefined);
    }),
    it('ends an access token when its time is over, to the second', async (issuer) => {
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      const before = new Date(secondAt(accessTokenTtl).getTime() - 1);
      assert.deepEqual(await issuer.verifyAccessToken(access, before), CLAIMS);
      assert.equal(await issuer.verifyAccessToken(access, secondAt(accessTokenTtl)), undefined);
    }),
    it('ends a refresh token when it was told, to the second', async (issuer) => {
      const expires = secondAt(60);
      const refresh = await issuer.issueRefreshToken(CLAIMS, NOW, expires);
      const before = new Date(expires.getTime() - 1);
      assert.deepEqual(await issuer.verifyRefreshToken(refresh, before), CLAIMS);
      assert.equal(await issuer.verifyRefreshToken(refresh, expires), undefined);
    }),
    it('lets no refresh token last longer than any may', async (issuer) => {
      const ttl = issuer.refreshTokenTtl;
      assert.ok(Number.isSafeInteger(ttl) && ttl > 0, `a refreshTokenTtl of ${ttl}`);
      const longest = await issuer.issueRefreshToken(CLAIMS, NOW, later(ttl + 60));
      assert.deepEqual(await issuer.verifyRefreshToken(longest, NOW), CLAIMS);
      assert.deepEqual(await issuer.verifyRefreshToken(longest, later(ttl - 1)), CLAIMS);
      assert.equal(await issuer.verifyRefreshToken(longest, later(ttl)), undefined);
    }),
    it('identifies a refresh token whatever the time, and nothing else', async (issuer) => {
      const refresh = await issuer.issueRefreshToken(CLAIMS, NOW, later(-60));
      assert.deepEqual(await issuer.identifyRefreshToken(refresh), CLAIMS);
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      const foreign = await (await open()).issueRefreshToken(CLAIMS, NOW, later(60));
      for (const token of [access, foreign, `${refresh}x`, '', 'x']) {
        assert.equal(await issuer.identifyRefreshToken(token), undefined);
      }
    }),
    it('allows for a clock that is five seconds behind, and no more', async (issuer) => {
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      const refresh = await issuer.issueRefreshToken(CLAIMS, NOW, later(60));
      assert.deepEqual(await issuer.verifyAccessToken(access, later(-5)), CLAIMS);
      assert.deepEqual(await issuer.verifyRefreshToken(refresh, later(-5)), CLAIMS);
      assert.equal(await issuer.verifyAccessToken(access, later(-6)), undefined);
      assert.equal(await issuer.verifyRefreshToken(refresh, later(-6)), undefined);
    }),
    it('refuses tokens of another key', async (issuer) => {
      const foreign = await open();
      const access = await foreign.issueAccessToken(CLAIMS, NOW);
      assert.equal(await issuer.verifyAccessToken(access, NOW), undefined);
      const refresh = await foreign.issueRefreshToken(CLAIMS, NOW, later(60));
      assert.equal(await issuer.verifyRefreshToken(refresh, NOW), undefined);
    }),
    it('refuses a token of which any character was changed', async (issuer) => {
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      for (const changed of rewriteToken(access)) {
        assert.equal(await issuer.verifyAccessToken(changed, NOW), undefined, changed);
      }
      const refresh = await issuer.issueRefreshToken(CLAIMS, NOW, later(60));
      for (const changed of rewriteToken(refresh)) {
        assert.equal(await issuer.verifyRefreshToken(changed, NOW), undefined, changed);
      }
    }),
    it('refuses, and does not reject, what is no token', async (issuer) => {
      const nonsense = ['', ' ', '.', '..', '...', 'a.b.c', 'e30.e30.', 'null', '\ud800', '\0'];
      for (const token of [...nonsense, 'x'.repeat(100_000), '.'.repeat(10_000)]) {
        assert.equal(await issuer.verifyAccessToken(token, NOW), undefined);
        assert.equal(await issuer.verifyRefreshToken(token, NOW), undefined);
        assert.equal(await issuer.identifyRefreshToken(token), undefined);
      }
    }),
  ];
}

/**
 * Copies of a token with one character changed, and spellings that lenient decoders accept as the
 * same token. The last character of each segment is changed to every other one: base64 ignores some
 * of its bits.
 */
function* rewriteToken(token: string): Generator<string> {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  for (const [i, character] of token.split('').entries()) {
    const isLast = i === token.length - 1 || token[i + 1] === '.';
    for (const other of isLast ? alphabet : nextIn(alphabet, character)) {
      if (other !== character) yield `${token.slice(0, i)}${other}${token.slice(i + 1)}`;
    }
  }
  yield* [`${token}=`, `${token}.`, `.${token}`, ` ${token}`, `${token}\n`, token.slice(1)];
  yield* [token.slice(0, -1), token.repeat(2), token.replaceAll('.', '=.'), `${token}\0`];
}

function nextIn(alphabet: string, character: string): string {
  return alphabet[(alphabet.indexOf(character) + 1) % alphabet.length] ?? '';
}
