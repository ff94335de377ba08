import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import { canonicalEmail, createAuth, type TokenIssuer } from '../../src/application/index.ts';
import { checkNewPassword } from '../../src/domain/credentials.ts';
import { outcome } from '../support/expect.ts';
import { fakePorts, SECRET } from '../support/fakes.ts';
import { isAvailable, STORE_NAMES, withRepositories } from '../support/stores.ts';

const NOT_IN_AN_EMAIL = /[\s\p{Cc}\p{Cf}\p{Cs},;<>()"\\]/u;

/** Any text at all, ill-formed Unicode included. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
);

/** Characters that a careless equality takes for others. */
const CONFUSABLE = [
  ['e', 'E', 'é', 'É', 'e\u0301', 'ｅ', 'ß', 'ss', 'SS', 'ẞ', 'ſ', 's', 'i', 'I', 'İ', 'ı'],
  ['σ', 'ς', 'Σ', 'Å', '\u212b', 'å', '\u212a', 'k', 'ﬁ', 'fi', 'J\u030c', 'ǰ', 'Dž', 'ǆ'],
  ['한', '\u1112\u1161\u11ab', 'あ', 'ア', 'が', 'か\u3099', '😀', '😁', '1', '１', '-', '_', '+'],
  ['\u0300', '\u0345', 'a\u0323\u0307', 'ạ\u0307'],
];
const confusable = fc.constantFrom(...CONFUSABLE.flat());
const confusableText = fc.string({ unit: confusable, minLength: 1, maxLength: 6 });

/** Most are one address, and some come close. */
const nearlyEmail = fc
  .tuple(
    fc.constantFrom('', ' ', '\t\n', '\ufeff', '\u3000'),
    fc.oneof(confusableText, fc.string({ unit: 'binary', minLength: 1, maxLength: 5 })),
    fc.constantFrom('@', '@', '@', '.@', '＠', '@@'),
    fc.oneof(confusableText, fc.domain()),
    fc.constantFrom('.co', '.CO', '.рф', '.', ''),
    fc.constantFrom('', ' ', '\r\n', '\0'),
  )
  .map((parts) => parts.join(''));

const emails = suite('A canonical email');

emails('is its own canonical form, whatever text it was made of', () => {
  let found = 0;
  const isIdempotent = fc.property(fc.oneof(anyText, fc.emailAddress(), nearlyEmail), (text) => {
    const email = canonicalEmail(text);
    if (email === undefined) return;
    found += 1;
    assert.is(canonicalEmail(email), email);
    assert.is(email, email.trim());
    assert.is(email, email.normalize('NFC'));
    assert.is(email, email.toLowerCase());
    assert.not.match(email, NOT_IN_AN_EMAIL);
    assert.is(email.split('@').length, 2);
    assert.ok(Array.from(email).length <= 254);
  });
  fc.assert(isIdempotent, { numRuns: 5_000 });
  assert.ok(found > 500, `only ${found} emails`);
});

emails('is its own canonical form with any character of Unicode in it', () => {
  let found = 0;
  for (let point = 0; point <= 0x10ffff; point += 1) {
    const character = String.fromCodePoint(point);
    for (const text of [`x${character}\u0301@x.co`, `x@x${character}x.co`]) {
      const email = canonicalEmail(text);
      if (email === undefined) continue;
      found += 1;
      // The assertions of uvu would take longer than all the rest.
      if (canonicalEmail(email) !== email) assert.unreachable(`U+${point.toString(16)}`);
      if (NOT_IN_AN_EMAIL.test(email)) assert.unreachable(`U+${point.toString(16)}`);
    }
  }
  assert.ok(found > 250_000, `only ${found} emails`);
});

emails('is the same for every spelling of it', () => {
  const sameForAll = fc.property(nearlyEmail, (text) => {
    const email = canonicalEmail(text);
    fc.pre(email !== undefined);
    const spellings = [` ${text}\n`, text.normalize('NFC'), text.normalize('NFD')];
    for (const spelling of [...spellings, text.toLowerCase(), email.normalize('NFD')]) {
      assert.is(canonicalEmail(spelling), email);
    }
  });
  fc.assert(sameForAll, { numRuns: 1_000 });
});

emails('has at most 30 combining marks in a row, before NFC and after it', () => {
  const withMarks = (marks: string) => canonicalEmail(`x${marks}@example.com`);
  assert.type(withMarks('\u0316'.repeat(30)), 'string');
  assert.is(withMarks('\u0316'.repeat(31)), undefined);
  // NFC makes two marks of this one.
  assert.type(withMarks('\u0344'.repeat(15)), 'string');
  assert.is(withMarks('\u0344'.repeat(16)), undefined);
  assert.type(withMarks('\u0316'.repeat(30) + 'x' + '\u0316'.repeat(30)), 'string');
});

emails('may be decomposed, however long that makes it', () => {
  // A letter with three marks.
  const letters = '\u1f82'.repeat(242);
  const decomposed = letters.normalize('NFD');
  assert.is(decomposed.length, 4 * 242);
  assert.is(canonicalEmail(`${decomposed}@example.com`), `${letters}@example.com`);
});

emails('may take four times its length in the spelling that it was given in', () => {
  const canonical = `${'\u1f82'.repeat(248)}@x.gr`.normalize('NFC');
  const given = canonical.normalize('NFD');
  assert.is(given.length, 4 * 248 + 5);
  assert.is(canonicalEmail(given), canonical);
});

emails('is made of every ordinary address, by lower case alone', () => {
  const ordinary = fc.emailAddress().filter((text) => text.length <= 254);
  const isTaken = fc.property(ordinary, fc.boolean(), (address, upper) => {
    const text = upper ? address.toUpperCase() : address;
    assert.is(canonicalEmail(text), address.toLowerCase());
  });
  fc.assert(isTaken, { numRuns: 2_000 });
});

emails('is never made of what holds two addresses or a hidden character', () => {
  const forbidden = fc.constantFrom(
    ...Array.from(',; \t\r\n\0\x7f\x85\xa0\u200b\u202e@<>()"\\\u2028\ufeff\udfff\u{e0041}\ud800'),
  );
  const isRefused = fc.property(fc.emailAddress(), forbidden, fc.nat(), (address, sign, where) => {
    // Never at an end, from where white space is trimmed.
    const at = 1 + (where % (address.length - 1));
    const text = address.slice(0, at) + sign + address.slice(at);
    assert.is(canonicalEmail(text), undefined, JSON.stringify(text));
  });
  fc.assert(isRefused, { numRuns: 2_000 });
});

for (const name of STORE_NAMES) {
  const test = () =>
    withRepositories(name, async (repositories) => {
      const { registerUser } = createAuth({ ...fakePorts(), ...repositories });
      const password = 'correct horse';
      const register = (email: string) =>
        registerUser({ username: 'Ada', email, password, confirmPassword: password });
      let [pairs, same] = [0, 0];
      const agrees = fc.asyncProperty(similarPair, async ([one, other]) => {
        pairs += 1;
        const domain = `@x${pairs}.co`;
        const [first, second] = [canonicalEmail(one + domain), canonicalEmail(other + domain)];
        fc.pre(first !== undefined && second !== undefined);
        if (first === second) same += 1;
        assert.type(await outcome(register(one + domain)), 'object');
        const result = await outcome(register(other + domain));
        const taken = result === 'email_taken';
        assert.is(taken, first === second, JSON.stringify([first, second]));
        if (!taken) assert.type(result, 'object');
      });
      await fc.assert(agrees, { numRuns: 250, endOnFailure: true });
      assert.ok(same > 20 && same < pairs - 20, `${same} of ${pairs} pairs were the same`);
    });
  const title = `is one account exactly when its bytes are the same, on ${name}`;
  if (isAvailable(name)) emails(title, test);
  else emails.skip(title, test);
}

/** Two spellings of one text, or two texts that look or sort the same. */
const similarPair = fc
  .tuple(
    confusableText,
    fc.constantFrom<(text: string) => string>(
      (text) => text,
      (text) => text.toUpperCase(),
      (text) => text.normalize('NFD'),
      (text) => ` ${text}`,
      (text) => text.normalize('NFKD'),
      (text) => text.normalize('NFD').replaceAll(/\p{M}/gu, ''),
      (text) => text.replaceAll('ß', 'ss').replaceAll('ς', 'σ').replaceAll('ı', 'i'),
      (text) => `${text}\u0301`,
      (text) => `${text}_`,
    ),
  )
  .map(([text, change]) => [text, change(text)] as const);

emails.run();

const passwords = suite('A password');

passwords('is the same in every canonically equivalent spelling, and in no other', async () => {
  const spelling = fc.constantFrom('NFC', 'NFD', 'NFKC', 'NFKD');
  const text = fc.string({ unit: confusable, minLength: 8, maxLength: 30 });
  let refused = 0;
  const isOne = fc.asyncProperty(text, spelling, spelling, async (password, first, second) => {
    const auth = createAuth(fakePorts());
    const [given, later] = [password.normalize(first), password.normalize(second)];
    fc.pre(Array.from(given.normalize('NFC')).length >= 8);
    const email = 'ada@example.com';
    await auth.registerUser({ username: 'Ada', email, password: given, confirmPassword: given });
    const result = await outcome(auth.login({ email, password: later }));
    if (given.normalize('NFC') === later.normalize('NFC')) return assert.type(result, 'object');
    refused += 1;
    return assert.is(result, 'invalid_credentials');
  });
  await fc.assert(isOne, { numRuns: 500 });
  assert.ok(refused > 0);
});

passwords('may be confirmed in another spelling than it was given in', async () => {
  const auth = createAuth(fakePorts());
  const [password, confirmPassword] = ['pässwörd', 'pässwörd'.normalize('NFD')];
  await auth.registerUser({ username: 'Ada', email: 'ada@x.co', password, confirmPassword });
});

passwords('counts in NFC, however long its other spellings are', async () => {
  const auth = createAuth(fakePorts());
  // Two bytes of NFC each, and three units of NFD: no character has more units for its bytes.
  const password = '\u01d5'.repeat(512);
  const long = password.normalize('NFD');
  const ada = { username: 'Ada', email: 'ada@x.co' };
  await auth.registerUser({ ...ada, password: long, confirmPassword: password });
  assert.type(await outcome(auth.login({ ...ada, password })), 'object');
  assert.type(await outcome(auth.login({ ...ada, password: long })), 'object');
  const eve = { username: 'Eve', email: 'eve@x.co' };
  for (const longer of [`${password}a`, `${long}a`, `${long}\u0316`]) {
    const given = { ...eve, password: longer, confirmPassword: longer };
    assert.is(await outcome(auth.registerUser(given)), 'password_too_long');
    const differing = { ...given, confirmPassword: `${longer}b` };
    assert.is(await outcome(auth.registerUser(differing)), 'passwords_differ');
    assert.is(await outcome(auth.login({ ...ada, password: longer })), 'invalid_credentials');
  }
});

passwords(
  'has no more UTF-16 units in any spelling than one and a half for each byte of NFC',
  () => {
    // Of each text that NFD leaves as it is: the most units of one character that stands for it.
    const most = new Map<string, number>();
    const characters = Array.from({ length: 0x110000 }, (_, i) => String.fromCodePoint(i));
    const valid = characters.filter((character) => character.isWellFormed());
    for (const character of valid) {
      const parts = character.normalize('NFD');
      most.set(parts, Math.max(most.get(parts) ?? 0, character.length));
    }
    let worst = 0;
    for (const character of valid) {
      if (character.normalize('NFC') !== character) continue;
      let units = 0;
      for (const part of character.normalize('NFD')) units += most.get(part) ?? Infinity;
      worst = Math.max(worst, units / Buffer.byteLength(character));
    }
    assert.is(worst, 1.5);
  },
);

passwords('has its lower limit in code points and its upper one in bytes', () => {
  const sign = fc.constantFrom('a', 'é', '한', '😀', ' ');
  const length = fc.oneof(fc.nat(20), fc.integer({ min: 240, max: 1100 }));
  const model = fc.property(sign, length, fc.integer({ min: 1, max: 20 }), (one, times, min) => {
    const [bytes, password] = [Buffer.byteLength(one), one.repeat(times)];
    const tooLong = bytes * times > 1024 ? 'password_too_long' : 'taken';
    const expected = times < min ? 'password_too_short' : tooLong;
    assert.is(fateOf(password, min), expected, `${times} of ${one}, at least ${min}`);
  });
  fc.assert(model, { numRuns: 2_000 });
});

passwords('is held to its limits exactly', () => {
  const fates: readonly (readonly [string, string])[] = [
    ['😀'.repeat(7), 'password_too_short'],
    ['😀'.repeat(8), 'taken'],
    ['a'.repeat(1024), 'taken'],
    ['a'.repeat(1025), 'password_too_long'],
    ['é'.repeat(512), 'taken'],
    [`${'é'.repeat(512)}a`, 'password_too_long'],
    ['😀'.repeat(256), 'taken'],
    [`${'😀'.repeat(256)}a`, 'password_too_long'],
    [' '.repeat(8), 'taken'],
    ['\ud83d'.repeat(8), 'invalid_password'],
    ['correct\0horse', 'invalid_password'],
  ];
  for (const [password, fate] of fates) assert.is(fateOf(password, 8), fate);
});

passwords('is never taken where it is no text', () => {
  const illFormed = fc.constantFrom('\ud800', '\udbff', '\udc00', '\udfff', '\0', '\ude00\ud83d');
  // Neither of them begins or ends with half a character, which could make the other half whole.
  const isRefused = fc.property(fc.string(), illFormed, fc.string(), (start, bad, end) => {
    assert.is(fateOf(start + bad + end, 1), 'invalid_password');
  });
  fc.assert(isRefused);
});

function fateOf(password: string, passwordMinLength: number): string {
  try {
    checkNewPassword(password, { passwordMinLength });
    return 'taken';
  } catch (error) {
    return error instanceof Error ? error.message : 'fault';
  }
}

passwords.run();

const NOW = new Date('2026-01-02T03:04:05.678Z');
const SECOND = Math.floor(NOW.getTime() / 1000);
const CLAIMS = { userId: 42, sessionId: 'session-1', tokenId: 'token-1' };
const issuer = new JwtIssuer({ key: SECRET });

interface Kind {
  readonly name: string;
  readonly typ: string;
  readonly aud: string;
  readonly ttl: number;
  readonly issue: (issuer: TokenIssuer) => Promise<string>;
  readonly verify: (token: string, now?: Date) => ReturnType<TokenIssuer['verifyAccessToken']>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'access',
    typ: 'at+jwt',
    aud: 'portcullis',
    ttl: 15 * 60,
    issue: (by) => by.issueAccessToken(CLAIMS, NOW),
    verify: (token, now = NOW) => issuer.verifyAccessToken(token, now),
  },
  {
    name: 'refresh',
    typ: 'rt+jwt',
    aud: 'portcullis/refresh',
    ttl: 30 * 24 * 60 * 60,
    issue: (by) => by.issueRefreshToken(CLAIMS, NOW, new Date(NOW.getTime() + 30 * 86_400_000)),
    verify: (token, now = NOW) => issuer.verifyRefreshToken(token, now),
  },
];

const BASE64URL = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
const FOREIGN = ['.', '=', '+', '/', ' ', '\n', '\0', 'é', 'А', '😀', '\ud800', ''];

for (const kind of KINDS) {
  const tokens = suite(`The ${kind.name} token`);

  tokens('is good as it was issued', async () => {
    assert.equal(await kind.verify(await kind.issue(issuer)), CLAIMS);
  });

  tokens('is worth nothing with any one character changed', async () => {
    const token = await kind.issue(issuer);
    for (let at = 0; at < token.length; at += 1) {
      for (const character of [...BASE64URL, ...FOREIGN]) {
        if (character === token[at]) continue;
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        const result = await kind.verify(changed);
        if (result !== undefined) assert.unreachable(`${JSON.stringify(character)} at ${at}`);
      }
    }
  });

  tokens('is worth nothing in any other way changed', async () => {
    const token = await kind.issue(issuer);
    const others = [
      await kind.issue(new JwtIssuer({ key: `${SECRET}x` })),
      ...(await Promise.all(KINDS.map((other) => other.issue(issuer)))),
      await issuer.issueAccessToken({ ...CLAIMS, userId: 43 }, NOW),
    ];
    const isWorthless = fc.asyncProperty(changes, fc.constantFrom(...others), async (make, by) => {
      const changed = make(token, by);
      fc.pre(changed !== token);
      assert.is(await kind.verify(changed), undefined, JSON.stringify(changed));
    });
    await fc.assert(isWorthless, { numRuns: 3_000 });
  });

  tokens('is never any text that was not issued, and no text makes reading it fail', async () => {
    const segment = fc.oneof(
      fc.base64String(),
      fc.string({ unit: fc.constantFrom(...BASE64URL), maxLength: 60 }),
      fc.json().map((text) => base64url(text)),
      fc.constant(base64url(JSON.stringify({ alg: 'HS256', typ: kind.typ }))),
    );
    const text = fc.oneof(
      anyText,
      fc.array(segment, { maxLength: 5 }).map((all) => all.join('.')),
    );
    const isWorthless = fc.asyncProperty(text, async (token) => {
      assert.is(await kind.verify(token), undefined);
    });
    await fc.assert(isWorthless, { numRuns: 3_000 });
  });

  tokens('is good in no other place than its own', async () => {
    const now = fc.date({
      min: new Date('2000-01-01'),
      max: new Date('2100-01-01'),
      noInvalidDate: true,
    });
    const userId = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    const id = fc.string({ unit: fc.constantFrom(...BASE64URL), minLength: 1, maxLength: 64 });
    const isKept = fc.asyncProperty(now, userId, id, id, async (time, user, sessionId, tokenId) => {
      const claims = { userId: user, sessionId, tokenId };
      const access = await issuer.issueAccessToken(claims, time);
      const refresh = await issuer.issueRefreshToken(claims, time, new Date(time.getTime() + 5000));
      const [own, strange] = kind.name === 'access' ? [access, refresh] : [refresh, access];
      assert.equal(await kind.verify(own, time), claims);
      assert.is(await kind.verify(strange, time), undefined);
    });
    await fc.assert(isKept, { numRuns: 300 });
  });

  tokens(
    'signed with the right key is refused all the same, unless it says what it must',
    async () => {
      // Or what follows would be refused for how it was forged.
      assert.equal(await kind.verify(forged(kind, {})), CLAIMS);
      for (const [what, token] of forgeries(kind)) {
        assert.is(await kind.verify(token), undefined, what);
      }
    },
  );

  tokens('ends at its time to the millisecond, and begins five seconds early at most', async () => {
    const expiring = (exp: number) => kind.verify(forged(kind, { iat: SECOND - 10, exp }));
    assert.equal(await expiring(SECOND + 1), CLAIMS);
    assert.is(await expiring(SECOND), undefined);
    const token = forged(kind, { exp: SECOND + 1 });
    const end = (SECOND + 1) * 1000;
    assert.equal(await kind.verify(token, new Date(end - 1)), CLAIMS);
    assert.is(await kind.verify(token, new Date(end)), undefined);
    for (const [ahead, expected] of [
      [5, CLAIMS],
      [6, undefined],
    ] as const) {
      const iat = SECOND + ahead;
      assert.equal(await kind.verify(forged(kind, { iat, exp: iat + 60 })), expected);
    }
  });

  tokens.run();
}

type Change = (token: string, other: string) => string;

const changes: fc.Arbitrary<Change> = fc.oneof(
  // Put in, taken out, cut off, doubled.
  fc.tuple(fc.nat(), fc.oneof(anyText, fc.constantFrom(...BASE64URL, ...FOREIGN))).map(
    ([where, text]): Change =>
      (token) => {
        const at = where % (token.length + 1);
        return token.slice(0, at) + text + token.slice(at);
      },
  ),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 50 })).map(
    ([where, count]): Change =>
      (token) => {
        const at = where % token.length;
        return token.slice(0, at) + token.slice(at + count);
      },
  ),
  fc.nat().map(
    (where): Change =>
      (token) =>
        token.slice(0, where % token.length),
  ),
  fc.tuple(fc.nat(), fc.nat()).map(
    ([where, count]): Change =>
      (token) => {
        const at = where % token.length;
        const end = at + 1 + (count % (token.length - at));
        return token.slice(0, end) + token.slice(at);
      },
  ),
  // Segments in another order, or of another token.
  fc.array(fc.nat(5), { minLength: 1, maxLength: 5 }).map(
    (order): Change =>
      (token, other) => {
        const segments = [...token.split('.'), ...other.split('.')];
        const made = order.map((at) => segments[at] ?? '').join('.');
        // Another token of this kind as a whole is no change of this one.
        return made === other ? token : made;
      },
  ),
);

function* forgeries(kind: Kind): Generator<readonly [what: string, token: string]> {
  const { aud, typ, ttl } = kind;
  const noTime = [undefined, null, true, '', 'soon', Number.MAX_VALUE, {}, SECOND + 0.5, -1];
  const noId = [undefined, null, 1, '', ' ', 'a b', 'é', 'x'.repeat(65), ['id'], {}];
  const noSubject = [undefined, null, true, 42, ['42'], { id: 42 }, '', 'NaN', '0x1', '1e3', '١'];
  const almost = [
    '0',
    '01',
    '042',
    '1.5',
    '1.0',
    ' 1',
    '1 ',
    '1\n',
    '+1',
    '-1',
    '9007199254740992',
  ];
  const claims: Readonly<Record<string, readonly unknown[]>> = {
    exp: [...noTime, String(SECOND + 60), [SECOND + 60], (SECOND + 60) * 1000, 1e300, 0, SECOND],
    iat: [...noTime, String(SECOND), [SECOND], SECOND * 1000, -1e300, SECOND + 6, SECOND - ttl],
    sub: [...noSubject, ...almost, '9'.repeat(17)],
    iss: [undefined, null, '', 'Portcullis', 'portcullis ', 'other', ['portcullis'], {}],
    aud: [
      undefined,
      null,
      '',
      'other',
      aud.toUpperCase(),
      `${aud}/`,
      [aud],
      [aud, 'other'],
      [],
      {},
    ],
    sid: noId,
    jti: noId,
  };
  for (const [claim, values] of Object.entries(claims)) {
    for (const value of values) {
      yield [`${claim} ${JSON.stringify(value)}`, forged(kind, { [claim]: value })];
    }
  }
  for (const other of KINDS) {
    if (other !== kind) yield [`aud of ${other.name}`, forged(kind, { aud: other.aud })];
  }
  yield ['lives a second too long', forged(kind, { exp: SECOND + ttl + 1 })];
  yield ['both times far ahead', forged(kind, { iat: SECOND + 6, exp: SECOND + 60 })];
  yield ['expires before it begins', forged(kind, { iat: SECOND + 5, exp: SECOND + 4 })];
  yield ['expires as it begins', forged(kind, { iat: SECOND + 5, exp: SECOND + 5 })];
  yield [
    'lives too long, and began long ago',
    forged(kind, { iat: SECOND - 60, exp: SECOND + ttl }),
  ];

  const types = [undefined, null, '', 'JWT', 'jwt', typ.toUpperCase(), `application/${typ}`, [typ]];
  for (const other of [...types, ...KINDS.map((each) => each.typ)]) {
    if (other !== typ) yield [`typ ${JSON.stringify(other)}`, forged(kind, {}, { typ: other })];
  }
  yield ['crit', forged(kind, {}, { crit: ['exp'] })];
  yield ['crit of nothing', forged(kind, {}, { crit: [] })];
  yield ['b64', forged(kind, {}, { b64: true })];
  yield ['b64 and crit', forged(kind, {}, { b64: false, crit: ['b64'] })];
  const algorithms = [
    undefined,
    null,
    '',
    'none',
    'None',
    'NONE',
    'hs256',
    'HS512',
    'RS256',
    'ES256',
  ];
  for (const alg of [...algorithms, 'HS256 ', ['HS256'], ['none'], 256, true, { alg: 'HS256' }]) {
    const token = forged(kind, {}, { alg });
    yield [`alg ${JSON.stringify(alg)}`, token];
    yield [`alg ${JSON.stringify(alg)}, not signed`, token.replace(/[^.]*$/, '')];
  }
  yield ['HS384', forged(kind, {}, { alg: 'HS384' }, 'sha384')];
  yield ['HS384 by name only', forged(kind, {}, { alg: 'HS384' })];
  yield ['HS384 but in name', forged(kind, {}, {}, 'sha384')];
  yield ['not signed', forged(kind, {}).replace(/[^.]*$/, '')];

  const header = headerOf(kind, {});
  const payload = payloadOf(kind, {});
  const twice = [
    payload.replace('{', '{"sub":"1",'),
    payload.replace('}', ',"sub":"1"}'),
    payload.replace('}', `,"exp":${SECOND + 60}}`),
    payload.replace('"sub"', '"s\\u0075b"'),
  ];
  const texts = [...twice, ` ${payload}`, `${payload}\n`, `\ufeff${payload}`, `[${payload}]`];
  for (const text of [
    ...texts,
    JSON.stringify(payload),
    '{}',
    '[]',
    'null',
    'true',
    '7',
    '""',
    '',
    'no JSON',
    '{',
  ]) {
    yield [`payload ${text}`, signed(header, text)];
  }
  // Of this type, jsonwebtoken reads the payload itself, and throws what JSON.parse throws.
  yield ['type and payload of no kind', signed(headerOf(kind, { typ: 'JWT' }), 'no JSON')];
  const twiceTyped = header.replace('{', '{"typ":"JWT",');
  for (const text of [
    '{}',
    '[]',
    'null',
    '7',
    '"HS256"',
    '',
    'no JSON',
    twiceTyped,
    `[${header}]`,
  ]) {
    yield [`header ${text}`, signed(text, payload)];
  }
}

/** A token with these differences from a good one: undefined leaves a member out. */
function forged(kind: Kind, claims: object, header: object = {}, hash = 'sha256'): string {
  return signed(headerOf(kind, header), payloadOf(kind, claims), hash);
}

function headerOf({ typ }: Kind, changed: object): string {
  return JSON.stringify({ alg: 'HS256', typ, ...changed });
}

function payloadOf({ aud }: Kind, changed: object): string {
  const ids = { iss: 'portcullis', aud, sub: '42', sid: 'session-1', jti: 'token-1' };
  return JSON.stringify({ ...ids, iat: SECOND, exp: SECOND + 60, ...changed });
}

/** By hand: jsonwebtoken would refuse to sign much of what it would take. */
function signed(header: string, payload: string, hash = 'sha256'): string {
  const text = `${base64url(header)}.${base64url(payload)}`;
  return `${text}.${createHmac(hash, SECRET).update(text).digest('base64url')}`;
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
