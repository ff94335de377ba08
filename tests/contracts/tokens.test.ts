import { createHmac, createPublicKey, randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import { tokenIssuerContract } from '../../src/testing/index.ts';
import { runContract } from '../support/contracts.ts';
import { SECRET } from '../support/fakes.ts';
import { ecKey, rsaKey } from '../support/keys.ts';

/** None of those that `rsaKey` gives in turn. */
const OLD_RSA_KEY = createPublicKey(rsaKey(2056));
const NEW_KEYS = {
  HS256: () => randomBytes(32).toString('hex'),
  RS256: () => rsaKey(),
  ES256: () => ecKey(),
} as const;

for (const [algorithm, newKey] of Object.entries(NEW_KEYS)) {
  runContract(
    `TokenIssuer on jsonwebtoken, ${algorithm}`,
    tokenIssuerContract(() => new JwtIssuer({ key: newKey() })),
  );
  // The keys of before, whatever they are, change nothing of what it promises.
  runContract(
    `TokenIssuer on jsonwebtoken, ${algorithm} after each of the others`,
    tokenIssuerContract(() => {
      const previousKeys = [NEW_KEYS.HS256(), NEW_KEYS.ES256(), NEW_KEYS.ES256(), OLD_RSA_KEY];
      return new JwtIssuer({ key: newKey(), previousKeys });
    }),
  );
}

const NOW = new Date('2026-01-02T03:04:05.678Z');
const CLAIMS = { userId: 42, sessionId: 'session-1', tokenId: 'token-1' };

const KID = createHmac('sha256', SECRET)
  .update('portcullis key id')
  .digest()
  .subarray(0, 16)
  .toString('base64url');

const jwt = suite('JwtIssuer');

jwt('writes the access token that RFC 9068 describes', async () => {
  const issuer = new JwtIssuer({ key: SECRET, issuer: 'us', audience: 'them' });
  const [header, payload] = parts(await issuer.issueAccessToken(CLAIMS, NOW));
  assert.equal(header, { alg: 'HS256', typ: 'at+jwt', kid: KID });
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
  const issuer = new JwtIssuer({ key: SECRET });
  const expires = new Date('2026-02-01T00:00:00Z');
  const [header, payload] = parts(await issuer.issueRefreshToken(CLAIMS, NOW, expires));
  assert.equal(header, { alg: 'HS256', typ: 'rt+jwt', kid: KID });
  assert.is(payload['aud'], 'portcullis/refresh');
  assert.is(payload['exp'], 1769904000);
});

jwt('signs with the UTF-8 bytes of the secret, as other services can verify', async () => {
  const secret = 'naïve ☃ secret of more than thirty-two bytes';
  const token = await new JwtIssuer({ key: secret }).issueAccessToken(CLAIMS, NOW);
  const [header, payload, signature] = token.split('.');
  const expected = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url');
  assert.is(signature, expected);
});

jwt('takes no token of another issuer or for another audience', async () => {
  const token = await new JwtIssuer({ key: SECRET }).issueAccessToken(CLAIMS, NOW);
  for (const other of [{ issuer: 'other' }, { audience: 'other' }]) {
    const verifier = new JwtIssuer({ key: SECRET, ...other });
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
