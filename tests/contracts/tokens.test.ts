import { createHmac, randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import { SECRET } from '../support/fakes.ts';
import { runContract } from './cases.ts';
import { tokenIssuerContract } from './tokens.ts';

runContract(
  'TokenIssuer on jsonwebtoken',
  tokenIssuerContract(() => new JwtIssuer({ secret: randomBytes(32).toString('hex') })),
);

const NOW = new Date('2026-01-02T03:04:05.678Z');
const CLAIMS = { userId: 42, sessionId: 'session-1', tokenId: 'token-1' };

const jwt = suite('JwtIssuer');

jwt('writes the access token that RFC 9068 describes', async () => {
  const issuer = new JwtIssuer({ secret: SECRET, issuer: 'us', audience: 'them' });
  const [header, payload] = parts(await issuer.issueAccessToken(CLAIMS, NOW));
  assert.equal(header, { alg: 'HS256', typ: 'at+jwt' });
  assert.equal(payload, {
    iss: 'us',
    aud: 'them',
    sub: '42',
    sid: 'session-1',
    jti: 'token-1',
    iat: 1767323045,
    exp: 1767323945,
  });
});

jwt('writes a refresh token of another type for another audience', async () => {
  const issuer = new JwtIssuer({ secret: SECRET });
  const expires = new Date('2026-02-01T00:00:00Z');
  const [header, payload] = parts(await issuer.issueRefreshToken(CLAIMS, NOW, expires));
  assert.equal(header, { alg: 'HS256', typ: 'rt+jwt' });
  assert.is(payload['aud'], 'portcullis/refresh');
  assert.is(payload['exp'], 1769904000);
});

jwt('signs with the UTF-8 bytes of the secret, as other services can verify', async () => {
  const secret = 'naïve ☃ secret of more than thirty-two bytes';
  const token = await new JwtIssuer({ secret }).issueAccessToken(CLAIMS, NOW);
  const [header, payload, signature] = token.split('.');
  const expected = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url');
  assert.is(signature, expected);
});

jwt('takes no token of another issuer or for another audience', async () => {
  const token = await new JwtIssuer({ secret: SECRET }).issueAccessToken(CLAIMS, NOW);
  for (const other of [{ issuer: 'other' }, { audience: 'other' }]) {
    const verifier = new JwtIssuer({ secret: SECRET, ...other });
    assert.is(await verifier.verifyAccessToken(token, NOW), undefined);
  }
});

jwt.run();

function parts(token: string) {
  const [header = '', payload = ''] = token.split('.');
  return [decode(header), decode(payload)] as const;
}

function decode(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
}
