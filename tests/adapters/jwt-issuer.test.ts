import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type JsonWebKey,
  KeyObject,
  verify,
} from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { JwtIssuer, type JwtOptions } from '../../src/adapters/jwt/jwt-issuer.ts';
import { SECRET } from '../support/fakes.ts';
import type { SIGN } from '../support/keys.ts';
import {
  type Algorithm,
  ALGORITHMS,
  decoded,
  ecKey,
  mirrored,
  newKey,
  P256_ORDER,
  pemOf,
  rsaKey,
  signed,
  sOf,
} from '../support/keys.ts';
import { temporaryFolder } from '../support/programs.ts';
import {
  assertMessage as message,
  call,
  registered,
  startProgram,
  withService,
} from '../support/service.ts';

const NOW = new Date('2026-01-02T03:04:05.678Z');
const CLAIMS = { userId: 42, sessionId: 'session-1', tokenId: 'token-1' };
const EXPIRES = new Date(NOW.getTime() + 60_000);

/** Of each kind. */
async function tokensOf(issuer: JwtIssuer): Promise<readonly [access: string, refresh: string]> {
  return [
    await issuer.issueAccessToken(CLAIMS, NOW),
    await issuer.issueRefreshToken(CLAIMS, NOW, EXPIRES),
  ];
}

async function takes(issuer: JwtIssuer, token: string): Promise<boolean> {
  const access = await issuer.verifyAccessToken(token, NOW);
  const refresh = await issuer.verifyRefreshToken(token, NOW);
  const identified = await issuer.identifyRefreshToken(token);
  return [access, refresh, identified].some((claims) => claims !== undefined);
}

async function assertRefused(issuer: JwtIssuer, token: string, what: string): Promise<void> {
  assert.is(await takes(issuer, token), false, what);
}

function header(token: string): Record<string, unknown> {
  return decoded(token, 0);
}

const rules = suite('A key');

rules('settles the algorithm, which no option and no token can change', async () => {
  for (const algorithm of ALGORITHMS) {
    const [access] = await tokensOf(new JwtIssuer({ key: newKey(algorithm) }));
    assert.is(header(access)['alg'], algorithm);
  }
});

/** Keys that neither sign nor verify. */
const REFUSED: readonly (readonly [what: string, make: () => KeyObject | string, text: RegExp])[] =
  [
    ['an empty secret', () => '', /empty/],
    ['an empty secret as a KeyObject', () => createSecretKey(Buffer.alloc(0)), /empty/],
    ['a private key as a text', () => pemOf(ecKey()), /PEM/],
    ['a public key as a text', () => pemOf(createPublicKey(ecKey())), /PEM/],
    ['a text with a key in it', () => `key=${pemOf(ecKey()).replaceAll('\n', '\\n')}`, /PEM/],
    ['a PEM as a secret KeyObject', () => createSecretKey(pemOf(ecKey()), 'utf8'), /PEM/],
    ['an RSA key of 1024 bits', () => rsaKey(1024), /1024 bits/],
    ['an RSA key of 2047 bits', () => rsaKey(2047), /2047 bits/],
    ['a key on P-384', () => ecKey('P-384'), /secp384r1/],
    ['a key on P-521', () => ecKey('P-521'), /secp521r1/],
    ['a key on secp256k1', () => ecKey('secp256k1'), /secp256k1/],
    ['an Ed25519 key', () => generateKeyPairSync('ed25519').privateKey, /ed25519/],
    ['an X25519 key', () => generateKeyPairSync('x25519').privateKey, /x25519/],
    [
      'an RSA key for PSS alone',
      () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey,
      /rsa-pss/,
    ],
  ];

for (const [what, make, text] of REFUSED) {
  rules(`is not ${what}`, () => {
    const key = make();
    const isRefusal = (error: unknown) => error instanceof RangeError && text.test(error.message);
    assert.throws(() => new JwtIssuer({ key }), isRefusal);
    assert.throws(() => new JwtIssuer({ key: SECRET, previousKeys: [key] }), isRefusal);
    if (key instanceof KeyObject && key.type === 'private') {
      const previousKeys = [createPublicKey(key)];
      assert.throws(() => new JwtIssuer({ key: SECRET, previousKeys }), isRefusal);
    }
  });
}

rules('that is public does not sign', () => {
  for (const key of [rsaKey(), ecKey()].map((each) => createPublicKey(each))) {
    assert.throws(
      () => new JwtIssuer({ key }),
      (error: unknown) => error instanceof RangeError && /public/.test(error.message),
    );
  }
});

rules('that is refused is not shown', () => {
  for (const key of [rsaKey(1024), ecKey('P-384'), pemOf(ecKey())]) {
    assert.throws(
      () => new JwtIssuer({ key }),
      (error: unknown) => !/BEGIN|[\w+/-]{20,}/.test(String(error)),
    );
  }
});

rules('of 2048 bits is long enough, and a longer one makes tokens too', async () => {
  for (const bits of [2048, 3072]) {
    const issuer = new JwtIssuer({ key: rsaKey(bits) });
    for (const token of await tokensOf(issuer)) assert.ok(await takes(issuer, token));
  }
});

rules.run();

const names = suite('The name of a key');

names('is the thumbprint that RFC 7638 computes', () => {
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP' +
    'ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY' +
    '368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f' +
    'M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
  const key = createPublicKey({ key: { kty: 'RSA', n, e: 'AQAB' }, format: 'jwk' });
  const { publicKeys } = new JwtIssuer({ key: SECRET, previousKeys: [key] });
  const kid = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';
  assert.equal(publicKeys, [{ kty: 'RSA', n, e: 'AQAB', kid, alg: 'RS256', use: 'sig' }]);
});

names('is the same for both halves of a pair, and is what its tokens bear', async () => {
  for (const key of [rsaKey(), ecKey()]) {
    const issuer = new JwtIssuer({ key });
    const published = new JwtIssuer({ key: SECRET, previousKeys: [createPublicKey(key)] });
    assert.equal(published.publicKeys, issuer.publicKeys);
    for (const token of await tokensOf(issuer)) {
      assert.equal(Object.keys(header(token)), ['alg', 'typ', 'kid']);
      assert.is(header(token)['kid'], issuer.publicKeys[0]?.['kid']);
    }
  }
});

names('is the same of a secret as text and as KeyObject, and tells nothing of it', async () => {
  const kids = await Promise.all(
    [SECRET, createSecretKey(SECRET, 'utf8'), `${SECRET}x`].map(async (key) => {
      const [access] = await tokensOf(new JwtIssuer({ key }));
      return String(header(access)['kid']);
    }),
  );
  assert.is(kids[0], kids[1]);
  assert.is.not(kids[0], kids[2]);
  for (const kid of kids) assert.match(kid, /^[\w-]{22}$/);
});

names('does no harm where it is given twice', async () => {
  const key = ecKey();
  const other = rsaKey();
  const previousKeys = [key, createPublicKey(key), other, createPublicKey(other), SECRET, SECRET];
  const issuer = new JwtIssuer({ key, previousKeys });
  for (const token of await tokensOf(issuer)) assert.ok(await takes(issuer, token));
  assert.equal(
    issuer.publicKeys.map(({ alg }) => alg),
    ['ES256', 'RS256'],
  );
});

names('that is not known is not tried with the keys that are', async () => {
  for (const algorithm of ALGORITHMS) {
    const key = newKey(algorithm);
    const issuer = new JwtIssuer({ key });
    for (const token of await tokensOf(issuer)) {
      const [head, payload] = [header(token), decoded(token, 1)];
      const { kid, ...rest } = head;
      const resigned = (changed: object) => signed(changed, payload, key, algorithm);
      assert.ok(await takes(issuer, resigned({ ...rest, kid })), 'the harness signs rightly');
      for (const odd of ODD_KIDS) {
        await assertRefused(issuer, resigned({ ...rest, kid: odd }), JSON.stringify(odd));
      }
      await assertRefused(issuer, resigned({ ...rest, kid: String(kid).toUpperCase() }), 'case');
      await assertRefused(issuer, resigned({ ...rest, kid: [kid] }), 'in an array');
      await assertRefused(issuer, resigned({ ...rest, kid: { kid } }), 'in an object');
      await assertRefused(issuer, resigned({ ...rest, kid: `${String(kid)} ` }), 'with a space');
    }
  }
});

const ODD_KIDS: readonly unknown[] = [
  '',
  ' ',
  null,
  0,
  1,
  -1,
  1e300,
  true,
  false,
  [],
  {},
  [[]],
  { length: 22 },
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'size',
  '0',
  '../../../../../../dev/null',
  '/dev/null',
  '/proc/sys/kernel/randomize_va_space',
  'file:///dev/null',
  'http://127.0.0.1:1/key',
  "' OR '1'='1",
  "x' UNION SELECT 'secret",
  '$(id)',
  '| id',
  '\u0000',
  '\n',
  'é',
  'x'.repeat(2_000),
];

names('may be missing from a token of before there were names', async () => {
  for (const algorithm of ALGORITHMS) {
    const [first, second, third] = [newKey(algorithm), newKey(algorithm), newKey(algorithm)];
    const issuer = new JwtIssuer({ key: first, previousKeys: [second] });
    for (const token of await tokensOf(issuer)) {
      const { kid: _, ...nameless } = header(token);
      const by = (key: KeyObject) => signed(nameless, decoded(token, 1), key, algorithm);
      assert.ok(await takes(issuer, by(first)));
      assert.ok(await takes(issuer, by(second)));
      await assertRefused(issuer, by(third), algorithm);
    }
  }
});

names.run();

const published = suite('Public keys');

/** A key's members of which nobody may know (RFC 7518 §6). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

published('are the pairs, the one that signs first, with neither private part nor secret', () => {
  const [current, older, oldest] = [ecKey(), rsaKey(), ecKey()];
  const previousKeys = [SECRET, older, createPublicKey(oldest), createSecretKey(SECRET, 'utf8')];
  const { publicKeys } = new JwtIssuer({ key: current, previousKeys });
  const expected = [current, older, oldest].map((key) => createPublicKey(key));
  assert.is(publicKeys.length, 3);
  for (const [i, jwk] of publicKeys.entries()) {
    const alg = i === 1 ? 'RS256' : 'ES256';
    const members = i === 1 ? ['kty', 'n', 'e'] : ['kty', 'x', 'y', 'crv'];
    assert.equal(Object.keys(jwk).toSorted(), [...members, 'kid', 'alg', 'use'].toSorted());
    assert.equal([jwk['alg'], jwk['use']], [alg, 'sig']);
    for (const member of PRIVATE_MEMBERS) assert.not.ok(member in jwk, member);
    const read = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    assert.ok(expected[i]?.equals(read));
  }
});

published('are none where secrets alone sign and verify', () => {
  const { publicKeys } = new JwtIssuer({ key: SECRET, previousKeys: [`${SECRET}x`] });
  assert.equal(publicKeys, []);
});

published.run();

const rotation = suite('Keys that rotate');

for (const from of ALGORITHMS) {
  for (const to of ALGORITHMS) {
    rotation(`from ${from} to ${to} sign nobody out`, async () => {
      const [old, fresh] = [newKey(from), newKey(to)];
      const before = new JwtIssuer({ key: old });
      const announced = new JwtIssuer({ key: old, previousKeys: [fresh] });
      const after = new JwtIssuer({ key: fresh, previousKeys: [old] });
      const dropped = new JwtIssuer({ key: fresh });
      for (const token of [...(await tokensOf(before)), ...(await tokensOf(announced))]) {
        for (const issuer of [before, announced, after]) assert.ok(await takes(issuer, token));
        await assertRefused(dropped, token, 'its key is gone');
      }
      for (const token of await tokensOf(after)) {
        assert.is(header(token)['alg'], to);
        // In the midst of a restart of several processes, the old ones meet tokens of the new.
        for (const issuer of [announced, after, dropped]) assert.ok(await takes(issuer, token));
        await assertRefused(before, token, 'its key is not known yet');
      }
    });
  }
}

rotation('verify with the public half alone, and with any of many', async () => {
  const keys = [rsaKey(), ecKey(), ecKey(), rsaKey()];
  const all = new JwtIssuer({ key: SECRET, previousKeys: keys.map((key) => createPublicKey(key)) });
  for (const key of keys) {
    for (const token of await tokensOf(new JwtIssuer({ key }))) assert.ok(await takes(all, token));
  }
});

rotation.run();

const attacks = suite('Tokens that are forged from what is public');

/** Verifiers of every kind, and the pair whose public half the attacker has. */
function verifiers(key: KeyObject): (readonly [issuer: JwtIssuer, about: string])[] {
  const options: JwtOptions[] = [
    { key },
    { key: SECRET, previousKeys: [key] },
    { key: SECRET, previousKeys: [createPublicKey(key)] },
    { key, previousKeys: [SECRET] },
    { key, previousKeys: [SECRET, rsaKey(), ecKey()] },
  ];
  return options.map((each, i) => [new JwtIssuer(each), `verifier ${i}`] as const);
}

for (const algorithm of ['RS256', 'ES256'] as const) {
  attacks(`as an HMAC under the public key of ${algorithm} are refused`, async () => {
    const key = newKey(algorithm);
    const publicKey = createPublicKey(key);
    const pem = pemOf(publicKey);
    const jwk = publicKey.export({ format: 'jwk' });
    const secrets: (string | Buffer)[] = [
      pem,
      pem.trim(),
      pem.replaceAll('\n', '\\n'),
      pem.replaceAll('\n', '\r\n'),
      pem.replaceAll(/-----.*-----|\n/g, ''),
      publicKey.export({ type: 'spki', format: 'der' }),
      JSON.stringify(jwk),
      JSON.stringify({ keys: new JwtIssuer({ key }).publicKeys }),
      String(jwk.n ?? jwk.x),
      Buffer.from(String(jwk.n ?? jwk.x), 'base64url'),
    ];
    if (algorithm === 'RS256') {
      secrets.push(publicKey.export({ type: 'pkcs1', format: 'pem' }));
      secrets.push(publicKey.export({ type: 'pkcs1', format: 'der' }));
    }
    const [named] = new JwtIssuer({ key }).publicKeys;
    for (const [issuer, about] of verifiers(key)) {
      const [access, refresh] = await tokensOf(issuer);
      for (const token of [access, refresh]) {
        const { typ, kid } = header(token);
        for (const secret of secrets) {
          const hmacKey = createSecretKey(Buffer.from(secret));
          for (const alg of ['HS256', 'HS384', 'HS512'] as const) {
            for (const head of [
              { alg, typ },
              { alg, typ, kid },
              { alg, typ, kid: named?.['kid'] },
            ]) {
              const forged = signed(head, decoded(token, 1), hmacKey, alg);
              await assertRefused(issuer, forged, `${about}, ${alg}`);
            }
            // The signature of one algorithm under the name of the other.
            const head = { alg: algorithm, typ, kid: named?.['kid'] };
            const forged = signed(head, decoded(token, 1), hmacKey, alg);
            await assertRefused(issuer, forged, `${about}, ${alg} as ${algorithm}`);
          }
        }
      }
    }
  });
}

const NO_ALGORITHMS: readonly unknown[] = [
  'none',
  'None',
  'NONE',
  'nOnE',
  'none ',
  ' none',
  'none\u0000',
  'n\u00f6ne',
  '',
  null,
  false,
  true,
  0,
  1,
  -1,
  256,
  [],
  ['none'],
  ['HS256'],
  ['RS256'],
  ['ES256'],
  {},
  { alg: 'none' },
  { toString: 'HS256' },
  'hs256',
  'HS256 ',
  'rs256',
  'es256',
  'Es256',
  'HS1',
  'RS1',
  'ES256K',
  'EdDSA',
  'PS256',
  'dir',
  'RSA-OAEP',
  '__proto__',
  'constructor',
];

attacks('without an algorithm, or with one that is not the key’s, are refused', async () => {
  for (const algorithm of ALGORITHMS) {
    const key = newKey(algorithm);
    const issuer = new JwtIssuer({ key, previousKeys: ALGORITHMS.map((each) => newKey(each)) });
    for (const token of await tokensOf(issuer)) {
      const { typ, kid } = header(token);
      const [, , signature = ''] = token.split('.');
      for (const alg of [...NO_ALGORITHMS, undefined]) {
        for (const head of [
          { alg, typ, kid },
          { alg, typ },
        ]) {
          // Well signed, with the signature of another token, and not at all.
          const good = signed(head, decoded(token, 1), key, algorithm);
          const unsigned = good.replace(/[^.]*$/, '');
          const what = `${algorithm}: ${JSON.stringify(alg)}`;
          for (const forged of [good, unsigned, unsigned + signature, unsigned.slice(0, -1)]) {
            await assertRefused(issuer, forged, what);
          }
        }
      }
    }
  }
});

attacks('with another hash or padding than the key’s algorithm has are refused', async () => {
  const others: Readonly<Record<Algorithm, readonly (keyof typeof SIGN)[]>> = {
    HS256: ['HS384', 'HS512'],
    RS256: ['RS384', 'RS512', 'PS256'],
    ES256: ['ES384', 'DER'],
  };
  for (const algorithm of ALGORITHMS) {
    const key = newKey(algorithm);
    const issuer = new JwtIssuer({ key });
    for (const token of await tokensOf(issuer)) {
      for (const how of others[algorithm]) {
        for (const alg of [algorithm, how === 'DER' ? 'ES256' : how]) {
          const forged = signed({ ...header(token), alg }, decoded(token, 1), key, how);
          await assertRefused(issuer, forged, `${how} as ${alg}`);
        }
      }
    }
  }
});

attacks('that bring their key, or say where it is, are refused without a look there', async () => {
  let visits = 0;
  const foreign = { RS256: rsaKey(), ES256: ecKey() };
  const server = createServer((_, response) => {
    visits += 1;
    const keys = Object.values(foreign).map((key) =>
      createPublicKey(key).export({ format: 'jwk' }),
    );
    response.end(JSON.stringify({ keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.on('connection', () => (visits += 1));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  try {
    const urls = [`http://127.0.0.1:${port}/jwks.json`, `http://localhost:${port}/`];
    for (const [issuer] of [...verifiers(rsaKey()), ...verifiers(ecKey())]) {
      for (const token of await tokensOf(issuer)) {
        for (const alg of ['RS256', 'ES256'] as const) {
          const key = foreign[alg];
          const jwk = createPublicKey(key).export({ format: 'jwk' });
          const [{ kid } = {}] = new JwtIssuer({ key }).publicKeys;
          const kids = [undefined, kid, header(token)['kid']];
          const claims = kids.flatMap((name) => [
            { jwk, kid: name },
            ...urls.flatMap((url) => [
              { jku: url, kid: name },
              { x5u: url, kid: name },
              { kid: url, jku: url, x5u: url, jwk, x5c: [pemBody(key)], x5t: 'x' },
            ]),
            { x5c: [pemBody(key)], kid: name },
          ]);
          for (const extra of claims) {
            const head = { alg, typ: header(token)['typ'], ...extra };
            const forged = signed(head, decoded(token, 1), key, alg);
            await assertRefused(issuer, forged, JSON.stringify(head));
          }
        }
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.is(visits, 0);
  } finally {
    server.close();
  }
});

function pemBody(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64');
}

attacks('from an ES256 token by the other signature that says the same are refused', async () => {
  const key = ecKey();
  const publicKey = createPublicKey(key);
  const issuer = new JwtIssuer({ key });
  for (let i = 0; i < 50; i += 1) {
    for (const token of await tokensOf(issuer)) {
      const [head, payload, signature = ''] = token.split('.');
      const bytes = Buffer.from(signature, 'base64url');
      assert.is(bytes.length, 64);
      assert.ok(sOf(bytes) <= P256_ORDER / 2n, 'the lower of the two');
      const other = mirrored(bytes);
      const input = Buffer.from(`${head}.${payload}`);
      for (const each of [bytes, other]) {
        const asJose = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
        assert.ok(verify('sha256', input, asJose, each), 'ECDSA takes both');
      }
      const rewritten = `${head}.${payload}.${other.toString('base64url')}`;
      await assertRefused(issuer, rewritten, 'n - s');
    }
  }
});

attacks.run();

const host = suite('Keys over HTTP');

const INVALID = 'Token is invalid or expired!';
const INVALID_REFRESH = 'Invalid or expired refresh token';

/** Key files by algorithm, and the settings that sign with them. */
function keyFiles(folder: string) {
  const file = (name: string, key: KeyObject) => {
    const path = join(folder, name);
    writeFileSync(path, pemOf(key), { mode: 0o600 });
    return path;
  };
  const rsa = file('rsa.pem', rsaKey());
  const ec = file('ec.pem', ecKey());
  return {
    HS256: { signs: { JWT_SECRET: SECRET }, verifies: { JWT_PREVIOUS_SECRETS: SECRET } },
    RS256: { signs: { JWT_PRIVATE_KEY_FILE: rsa }, verifies: { JWT_PREVIOUS_KEY_FILES: rsa } },
    ES256: { signs: { JWT_PRIVATE_KEY_FILE: ec }, verifies: { JWT_PREVIOUS_KEY_FILES: ec } },
  };
}

const MIGRATIONS = [
  ['HS256', 'ES256'],
  ['RS256', 'ES256'],
  ['ES256', 'RS256'],
  ['ES256', 'HS256'],
] as const;

for (const [from, to] of MIGRATIONS) {
  host(`change from ${from} to ${to} at a restart, and sign nobody out`, async () => {
    const folder = temporaryFolder();
    try {
      const files = keyFiles(folder.path);
      const DATABASE_URL = `sqlite:${join(folder.path, 'p.sqlite')}`;
      const run = async (
        settings: Record<string, string>,
        use: (url: string) => Promise<void>,
      ): Promise<void> =>
        withService('memory', { env: { JWT_SECRET: '', ...settings, DATABASE_URL } }, ({ url }) =>
          use(url),
        );
      let old = { access_token: '', refresh_token: '' };
      await run(files[from].signs, async (url) => {
        const { access_token, refresh_token } = await registered(url);
        old = { access_token, refresh_token };
        for (const token of Object.values(old)) assert.is(header(token)['alg'], from);
      });
      await run({ ...files[to].signs, ...files[from].verifies }, async (url) => {
        const hello = await call(url, 'GET /protected', { token: old.access_token });
        message(hello, 200, 'Hello, Ada. This is a protected route.');
        const json = { refresh_token: old.refresh_token };
        const refreshed = await call(url, 'POST /refresh', { json });
        assert.is(refreshed.status, 200);
        const { access_token: token } = refreshed.json as { access_token: string };
        assert.is(header(token)['alg'], to);
        assert.is.not(header(token)['kid'], header(old.access_token)['kid']);
        assert.is((await call(url, 'GET /protected', { token })).status, 200);
      });
      await run(files[to].signs, async (url) => {
        const hello = await call(url, 'GET /protected', { token: old.access_token });
        message(hello, 401, INVALID);
        const json = { refresh_token: old.refresh_token };
        message(await call(url, 'POST /refresh', { json }), 401, INVALID_REFRESH);
      });
    } finally {
      folder.remove();
    }
  });
}

for (const algorithm of ['RS256', 'ES256'] as const) {
  host(`of ${algorithm} let a third party verify with the published ones alone`, async () => {
    const folder = temporaryFolder();
    try {
      const files = keyFiles(folder.path);
      const other = algorithm === 'RS256' ? 'ES256' : 'RS256';
      const env = {
        JWT_SECRET: '',
        JWT_PREVIOUS_SECRETS: SECRET,
        ...files[algorithm].signs,
        ...files[other].verifies,
      };
      await withService('memory', { env }, async ({ url }) => {
        const { access_token } = await registered(url);
        const answer = await call(url, 'GET /.well-known/jwks.json');
        assert.is(answer.status, 200);
        assert.is(answer.headers.get('content-type'), 'application/json; charset=utf-8');
        assert.is(answer.headers.get('cache-control'), 'public, max-age=300');
        assert.is(answer.headers.get('x-content-type-options'), 'nosniff');
        const { keys, ...rest } = answer.json as { keys: JsonWebKey[] };
        assert.equal(rest, {});
        assert.equal(
          keys.map(({ alg }) => alg),
          [algorithm, other],
        );
        for (const jwk of keys) for (const name of PRIVATE_MEMBERS) assert.not.ok(name in jwk);

        const { kid, alg } = header(access_token);
        const found = keys.find((jwk) => jwk['kid'] === kid && jwk['alg'] === alg);
        const key = createPublicKey({ key: found ?? {}, format: 'jwk' });
        const [head, payload, signature = ''] = access_token.split('.');
        const input = Buffer.from(`${head}.${payload}`);
        const bytes = Buffer.from(signature, 'base64url');
        assert.ok(verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, bytes));
        input[input.length - 1] = 0;
        assert.not.ok(verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, bytes));

        const post = await call(url, 'POST /.well-known/jwks.json');
        message(post, 405, 'Method not allowed');
        assert.is(post.headers.get('allow'), 'GET, HEAD');
        assert.is((await call(url, 'HEAD /.well-known/jwks.json')).status, 200);
        assert.is((await call(url, 'GET /protected')).headers.get('cache-control'), 'no-store');
      });
    } finally {
      folder.remove();
    }
  });
}

host('are not shown where they are secrets: the path is like any unknown one', () =>
  withService('memory', { env: { JWT_PREVIOUS_SECRETS: `${SECRET}x` } }, async ({ url }) => {
    for (const method of ['GET', 'POST']) {
      message(await call(url, `${method} /.well-known/jwks.json`), 404, 'Not found');
    }
  }),
);

host('are those of the issuer that a program brings', async () => {
  const tokens = new JwtIssuer({ key: ecKey() });
  await withService('memory', { overrides: { tokens } }, async ({ url }) => {
    const { json } = await call(url, 'GET /.well-known/jwks.json');
    assert.equal(json, { keys: tokens.publicKeys });
  });
});

host('are told of at the start, but never shown', async () => {
  const folder = temporaryFolder();
  try {
    const key = ecKey();
    const path = join(folder.path, 'ec.pem');
    writeFileSync(path, pemOf(key));
    const own = {
      PORT: '0',
      DATABASE_URL: `sqlite:${join(folder.path, 'p.sqlite')}`,
      JWT_PRIVATE_KEY_FILE: path,
    };
    for (const NODE_ENV of ['development', 'production']) {
      for (const extra of [{}, { JWT_SECRET: SECRET, JWT_PREVIOUS_SECRETS: `${SECRET}x` }]) {
        const program = await startProgram({ ...own, NODE_ENV, ...extra });
        const { status, text } = await call(program.url, 'GET /.well-known/jwks.json');
        assert.is(status, 200);
        assert.is(await program.end('SIGTERM'), 0);
        const told = program.output();
        const isTold = /! JWT_SECRET is not used[^\n]*JWT_PREVIOUS_SECRETS/.test(told);
        assert.is(isTold, 'JWT_SECRET' in extra, told);
        assert.not.match(told, 'JWT_SECRET is not set');
        const { d = '' } = createPrivateKey(pemOf(key)).export({ format: 'jwk' });
        for (const secret of [SECRET, d, 'PRIVATE KEY']) {
          assert.not.match(told + text, secret);
        }
      }
    }
    assert.not.ok(existsSync(join(folder.path, 'portcullis.jwt-secret')), 'nothing is kept');
  } finally {
    folder.remove();
  }
});

host.run();
