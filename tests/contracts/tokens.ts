import * as assert from 'uvu/assert';
import type { TokenIssuer } from '../../src/application/index.ts';
import type { Case } from './cases.ts';

const NOW = new Date('2026-01-02T03:04:05.678Z');
const CLAIMS = { userId: 42, sessionId: 'session-1', tokenId: 'token-1' };

function later(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1000);
}

/**
 * What every TokenIssuer promises. `open` gives issuers of one product with another key each;
 * access tokens last 15 minutes and refresh tokens at most 30 days.
 */
export function tokenIssuerContract(open: () => TokenIssuer): Case[] {
  const it = (name: string, run: (issuer: TokenIssuer) => Promise<void>): Case => ({
    name,
    run: () => run(open()),
  });
  return [
    it('reads what it issued', async (issuer) => {
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      assert.equal(await issuer.verifyAccessToken(access, NOW), CLAIMS);
      const refresh = await issuer.issueRefreshToken(CLAIMS, NOW, later(60));
      assert.equal(await issuer.verifyRefreshToken(refresh, NOW), CLAIMS);
    }),
    it('takes neither kind in the place of the other', async (issuer) => {
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      assert.is(await issuer.verifyRefreshToken(access, NOW), undefined);
      const refresh = await issuer.issueRefreshToken(CLAIMS, NOW, later(60));
      assert.is(await issuer.verifyAccessToken(refresh, NOW), undefined);
    }),
    it('ends an access token after 15 minutes, to the second', async (issuer) => {
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      const expiry = new Date(Math.floor(NOW.getTime() / 1000) * 1000 + 900_000);
      const before = new Date(expiry.getTime() - 1);
      assert.equal(await issuer.verifyAccessToken(access, before), CLAIMS);
      assert.is(await issuer.verifyAccessToken(access, expiry), undefined);
    }),
    it('ends a refresh token when it was told', async (issuer) => {
      const refresh = await issuer.issueRefreshToken(CLAIMS, NOW, new Date('2026-01-02T03:05:00Z'));
      const before = new Date('2026-01-02T03:04:59.999Z');
      assert.equal(await issuer.verifyRefreshToken(refresh, before), CLAIMS);
      const expiry = new Date('2026-01-02T03:05:00Z');
      assert.is(await issuer.verifyRefreshToken(refresh, expiry), undefined);
    }),
    it('identifies a refresh token whatever the time, and nothing else', async (issuer) => {
      const refresh = await issuer.issueRefreshToken(CLAIMS, NOW, later(-60));
      assert.equal(await issuer.identifyRefreshToken(refresh), CLAIMS);
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      const foreign = await open().issueRefreshToken(CLAIMS, NOW, later(60));
      for (const token of [access, foreign, `${refresh}x`, '', 'x']) {
        assert.is(await issuer.identifyRefreshToken(token), undefined);
      }
    }),
    it('lets no refresh token last longer than any may', async (issuer) => {
      const month = 30 * 86_400;
      const longest = await issuer.issueRefreshToken(CLAIMS, NOW, later(month + 60));
      assert.equal(await issuer.verifyRefreshToken(longest, NOW), CLAIMS);
      assert.equal(await issuer.verifyRefreshToken(longest, later(month - 1)), CLAIMS);
      assert.is(await issuer.verifyRefreshToken(longest, later(month)), undefined);
    }),
    it('allows for a clock that is five seconds behind, and no more', async (issuer) => {
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      assert.equal(await issuer.verifyAccessToken(access, later(-5)), CLAIMS);
      assert.is(await issuer.verifyAccessToken(access, later(-6)), undefined);
    }),
    it('refuses tokens of another key', async (issuer) => {
      const access = await open().issueAccessToken(CLAIMS, NOW);
      assert.is(await issuer.verifyAccessToken(access, NOW), undefined);
      const refresh = await open().issueRefreshToken(CLAIMS, NOW, later(60));
      assert.is(await issuer.verifyRefreshToken(refresh, NOW), undefined);
    }),
    it('refuses, and does not reject, what is no token', async (issuer) => {
      const access = await issuer.issueAccessToken(CLAIMS, NOW);
      const nonsense = ['', '.', '..', '...', 'a.b.c', `${access}.`, `.${access}`, ` ${access}`];
      for (const token of [...nonsense, access.slice(1), access.repeat(2), 'x'.repeat(100_000)]) {
        assert.is(await issuer.verifyAccessToken(token, NOW), undefined);
        assert.is(await issuer.verifyRefreshToken(token, NOW), undefined);
      }
    }),
  ];
}
