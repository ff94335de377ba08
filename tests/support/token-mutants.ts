import { createPublicKey, createSecretKey, type KeyObject, randomInt } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bearerToken, type HttpRequest } from '../../src/adapters/http/hosts/request.ts';
import { respond } from '../../src/adapters/http/hosts/respond.ts';
import { type Endpoint, endpoints } from '../../src/adapters/http/contract/endpoints.ts';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import { noAttempts } from '../../src/adapters/memory/memory-repositories.ts';
import { type Auth, createAuth } from '../../src/application/index.ts';
import { ADA, fakePorts } from './fakes.ts';
import {
  type Algorithm,
  ALGORITHMS,
  encoded,
  decoded,
  mirrored,
  newKey,
  P256_ORDER,
  pemOf,
  SIGN,
  signed,
  sOf,
} from './keys.ts';

/** How many mutants of a token there are at least, for each algorithm. */
const MUTANTS = 20_000;
/** How many more are made by chance, for each kind of token. */
const BY_CHANCE = 2_000;

/** FUZZ_SEED=… makes a run the same again. */
const CI_SEED = process.env['CI'] === 'true' ? 1 : undefined;
const SEED = Number(process.env['FUZZ_SEED'] ?? CI_SEED ?? randomInt(2 ** 31));

interface Kind {
  readonly name: 'access' | 'refresh';
  readonly endpoint: Endpoint;
  readonly request: (token: string) => HttpRequest;
  /** What a token that is none is told. */
  readonly refusal: string;
}

const PLAIN: HttpRequest = {
  method: 'POST',
  accessToken: '',
  path: '/refresh',
  address: '127.0.0.1',
  host: 'localhost',
  header: (name) => (name === 'content-type' ? 'application/json' : undefined),
  query: new URLSearchParams(),
  params: {},
  body: new Uint8Array(),
  fields: {},
  hasRefreshCookie: false,
};

const KINDS: readonly Kind[] = [
  {
    name: 'access',
    endpoint: endpointAt('/protected'),
    request: (token) => ({ ...PLAIN, accessToken: bearerToken(`Bearer ${token}`) }),
    refusal: '{"message":"Token is invalid or expired!"}',
  },
  {
    name: 'refresh',
    endpoint: endpointAt('/refresh'),
    request: (token) => ({
      ...PLAIN,
      body: Buffer.from(JSON.stringify({ refresh_token: token })),
    }),
    refusal: '{"message":"Invalid or expired refresh token"}',
  },
];

function endpointAt(path: string): Endpoint {
  const found = endpoints().find((endpoint) => endpoint.path === path);
  if (found === undefined) throw new Error(`no ${path}`);
  return found;
}

async function send(auth: Auth, kind: Kind, token: string) {
  const faults: unknown[] = [];
  const report = (fault: unknown) => faults.push(fault);
  const { status, body } = await respond(kind.endpoint, auth, kind.request(token), { report });
  return { status, body, faults };
}

/**
 * Sends tokens that are changed in every way that one can think of, and in many that one cannot,
 * through the endpoints: each must get its documented 401, and none may make a part of the system
 * fail. Of the changes that go over a token bit by bit, only every `step`-th is sent.
 */
export function fuzzTokens(title: string, step: number): void {
  const fuzz = suite(title);
  for (const algorithm of ALGORITHMS) {
    const least = MUTANTS / step;
    fuzz(`of ${algorithm} are refused, more than ${least} of them, and break nothing`, () =>
      fuzzAlgorithm(algorithm, step, least),
    );
  }
  fuzz.run();
}

async function fuzzAlgorithm(algorithm: Algorithm, step: number, least: number): Promise<void> {
  const key = newKey(algorithm);
  const others = ALGORITHMS.map((each) => newKey(each));
  const issuer = new JwtIssuer({ key, previousKeys: others });
  const ports = { ...fakePorts(), tokens: issuer, attempts: noAttempts };
  const auth = createAuth(ports);
  const ada = await auth.registerUser(ADA);
  const eve = await auth.registerUser({ ...ADA, email: 'eve@example.com' });
  const genuine = new Set(
    [ada, eve].flatMap(({ accessToken, refreshToken }) => [accessToken, refreshToken]),
  );
  const random = randomFrom(SEED);
  const seen = new Set<string>();
  const attackers = { verifiers: [key, ...others], foreign: newKey(algorithm), random, step };

  for (const kind of KINDS) {
    const token = kind.name === 'access' ? ada.accessToken : ada.refreshToken;
    const other = kind.name === 'access' ? eve.accessToken : eve.refreshToken;
    assert.is((await send(auth, kind, token)).status, 200, 'the token itself is good');
    const target: Target = { ...attackers, algorithm, key, token, other, genuine };
    assert.is((await send(auth, kind, resigned(target, {}, {}))).status, 200, 'so is a copy');
    const trial = async (how: string, mutant: string) => {
      // White space around it is not of the token: HTTP takes it off, and '' is no token at all.
      if (genuine.has(mutant.trim()) || mutant.trim() === '' || seen.has(mutant)) return;
      seen.add(mutant);
      const got = await send(auth, kind, mutant);
      if (got.status === 401 && got.body === kind.refusal && got.faults.length === 0) return;
      const what = `${kind.name} token by ${how}: ${JSON.stringify(mutant)}`;
      const reply = `${got.status} ${JSON.stringify(got.body)} ${got.faults.map(String).join()}`;
      assert.unreachable(`FUZZ_SEED=${SEED} ${what} of ${token}: ${reply}`);
    };
    for (const [how, mutant] of mutants(target)) await trial(how, mutant);
    for (let made = 0; made < BY_CHANCE / step; made += 1) await trial('chance', byChance(target));
  }
  assert.ok(seen.size >= least, `${seen.size} mutants`);
  for (const mutant of genuine) assert.not.ok(seen.has(mutant));
}

interface Target {
  readonly algorithm: Algorithm;
  /** The one that signs. */
  readonly key: KeyObject;
  /** Every key that verifies. */
  readonly verifiers: readonly KeyObject[];
  /** A key that the product does not know, for the same algorithm. */
  readonly foreign: KeyObject;
  readonly token: string;
  /** Another one of the same kind, somebody else's. */
  readonly other: string;
  readonly genuine: ReadonlySet<string>;
  readonly random: Random;
  /** Of the changes that go over the token bit by bit, every so many are made. */
  readonly step: number;
}

type Mutant = readonly [how: string, token: string];

function* mutants(target: Target): Generator<Mutant> {
  yield* sample(target, ofText(target));
  yield* sample(target, ofSegments(target));
  yield* sample(target, ofBytes(target));
  yield* sample(target, unsigned(target));
  yield* ofSpelling(target);
  yield* signedWrongly(target);
  yield* signedRightly(target);
  if (target.algorithm === 'ES256') yield* ofEcdsa(target);
}

/** Every `step`-th, from a place that the seed gives. */
function* sample({ step, random }: Target, all: Iterable<Mutant>): Generator<Mutant> {
  let left = random.below(step);
  for (const mutant of all) {
    if (left === 0) yield mutant;
    left = left === 0 ? step - 1 : left - 1;
  }
}

/** Each bit of each character; each character left out; each start and each end. */
function* ofText({ token }: Target): Generator<Mutant> {
  for (let at = 0; at < token.length; at += 1) {
    for (let bit = 0; bit < 7; bit += 1) {
      const flipped = String.fromCharCode(token.charCodeAt(at) ^ (1 << bit));
      yield ['a bit of the text', token.slice(0, at) + flipped + token.slice(at + 1)];
    }
    yield ['a character left out', token.slice(0, at) + token.slice(at + 1)];
    yield ['a character doubled', token.slice(0, at) + token.slice(at - 1)];
    yield ['the end cut off', token.slice(0, at)];
    yield ['the start cut off', token.slice(at)];
  }
}

/** Every row of one to four segments: its own, those of another token, and an empty one. */
function* ofSegments({ token, other, genuine }: Target): Generator<Mutant> {
  const own = token.split('.');
  const foreign = other.split('.');
  const segments = [...own, ...foreign.slice(1), ''];
  const rows: string[][] = segments.map((segment) => [segment]);
  for (const row of rows) {
    const joined = row.join('.');
    if (!genuine.has(joined)) yield ['segments', joined];
    if (row.length < 4) rows.push(...segments.map((segment) => [...row, segment]));
  }
  for (const extra of ['.', '..', '.x', '. ', '.e30', `.${own[2]}`]) {
    yield ['one more segment', token + extra];
    yield ['one more segment', extra + token];
  }
}

/** Each bit of what each segment stands for, spelt rightly again. */
function* ofBytes({ token }: Target): Generator<Mutant> {
  const segments = token.split('.');
  for (const [i, segment] of segments.entries()) {
    const bytes = Buffer.from(segment, 'base64url');
    const put = (changed: Uint8Array) =>
      segments.with(i, Buffer.from(changed).toString('base64url')).join('.');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      yield ['a bit of the bytes', put(changed)];
    }
    for (let length = 0; length < bytes.length; length += 1) {
      yield ['fewer bytes', put(bytes.subarray(0, length))];
      yield ['fewer bytes', put(bytes.subarray(bytes.length - length))];
    }
    for (const extra of [[0], [0, 0], [32], [10], [255], [125]]) {
      yield ['more bytes', put(Buffer.concat([bytes, Buffer.from(extra)]))];
      yield ['more bytes', put(Buffer.concat([Buffer.from(extra), bytes]))];
    }
  }
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The same bytes, as decoders that are not strict would read them. */
function* ofSpelling({ token }: Target): Generator<Mutant> {
  const segments = token.split('.');
  for (const [i, segment] of segments.entries()) {
    const bytes = Buffer.from(segment, 'base64url');
    const spellings = [
      bytes.toString('base64'),
      bytes.toString('base64').replaceAll('=', ''),
      bytes.toString('hex'),
      bytes.toString('latin1'),
      encodeURIComponent(segment.replaceAll('-', '+')),
      ...['=', '==', '===', '%3D', ' ', '\n', '\t', '\r\n', '\u0000', '\ufeff', '!', '~'].flatMap(
        (mark) => [segment + mark, mark + segment, segment.slice(0, 7) + mark + segment.slice(7)],
      ),
      // The last character has bits that stand for nothing.
      ...Array.from(BASE64URL, (last) => segment.slice(0, -1) + last),
    ];
    for (const spelling of spellings) yield ['spelling', segments.with(i, spelling).join('.')];
  }
  for (const mark of [' ', '\t', ',', ', ', '\n', '"', "'", '<>', ';', '&']) {
    yield ['marks around', token + mark + token];
    yield ['marks around', `${mark}${token}${mark}x`];
    yield ['marks around', `x${mark}${token}`];
  }
  yield ['code points above', token.replace(/[A-Za-z]/, (c) => fullWidth(c))];
  yield ['code points above', Array.from(token, fullWidth).join('')];
  yield ['encoding', Buffer.from(token).toString('base64url')];
  yield ['JSON serialisation', jsonSerialised(segments)];
}

function fullWidth(character: string): string {
  return String.fromCharCode(character.charCodeAt(0) + 0xfee0);
}

function jsonSerialised([protectedHeader, payload, signature]: readonly string[]): string {
  return JSON.stringify({ protected: protectedHeader, payload, signature });
}

/** Values that no member of a token has. */
const ODD: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  0,
  -1,
  0.5,
  1e300,
  -1e300,
  2 ** 53,
  '',
  ' ',
  '0',
  '-1',
  '01',
  '1e3',
  '1.0',
  ' 1',
  '1 ',
  '٣',
  'é',
  '\u0000',
  'x',
  'x'.repeat(3_000),
  [],
  {},
  ['1'],
  [1],
  [[]],
  { $ne: '' },
  { toString: 'x' },
];

const HEADER_EDITS: readonly object[] = [
  ...['none', 'None', 'NONE', 'nOnE', ''].map((alg) => ({ alg })),
  ...['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map(
    (alg) => ({ alg }),
  ),
  ...['ES256', 'ES384', 'ES512', 'ES256K', 'EdDSA', 'dir', 'A128KW', '__proto__'].map((alg) => ({
    alg,
  })),
  ...ODD.map((alg) => ({ alg })),
  ...ODD.map((typ) => ({ typ })),
  ...['JWT', 'jwt', 'at+JWT', 'AT+JWT', 'rt+JWT', 'JOSE', 'JWE', 'application/at+jwt'].map(
    (typ) => ({ typ }),
  ),
  ...ODD.filter((kid) => kid !== undefined).map((kid) => ({ kid })),
  ...['__proto__', 'constructor', '../../dev/null', "' OR 1=1 --", 'http://127.0.0.1/'].map(
    (kid) => ({ kid }),
  ),
  { crit: [] },
  { crit: ['exp'] },
  { crit: ['b64'], b64: false },
  { crit: 'b64' },
  { b64: false },
  { b64: true },
];

/** What makes a header another one, though a token of ours with them is read as before. */
const HEADER_EXTRAS: readonly object[] = [
  { jku: 'http://127.0.0.1:1/' },
  { x5u: 'http://127.0.0.1:1/' },
  { x5c: ['x'] },
  { jwk: { kty: 'oct', k: '' } },
  { zip: 'DEF' },
  { enc: 'A128GCM' },
  { cty: 'JWT' },
  { kid: undefined },
  { __proto__: null, constructor: 'x' },
];

const CLAIM_NAMES = ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'] as const;

/** Differences that no payload of ours has. */
function claimEdits({ token }: Target): readonly object[] {
  const { iat, exp, aud, sub } = decoded(token, 1) as Record<string, number>;
  if (iat === undefined || exp === undefined) throw new Error('no times');
  return [
    ...CLAIM_NAMES.flatMap((name) => ODD.map((odd) => ({ [name]: odd }))),
    ...['sub', 'jti', 'sid'].flatMap((name) => [
      { [name]: '../x' },
      { [name]: "' OR 1=1 --" },
      { [name]: 'x'.repeat(65) },
    ]),
    { sub: Number(sub) },
    { sub: `0${String(sub)}` },
    { sub: `+${String(sub)}` },
    { sub: `${String(sub)}.0` },
    { sub: '9007199254740993' },
    { sub: '9'.repeat(17) },
    { sub: { toString: sub } },
    { aud: [aud] },
    { aud: [aud, 'other'] },
    { aud: `${String(aud)} ` },
    { aud: String(aud).toUpperCase() },
    { aud: 'portcullis/REFRESH' },
    { iss: ['portcullis'] },
    { iss: 'portcullis/' },
    { iss: 'Portcullis' },
    ...[`${iat}`, iat + 0.5, iat + 6, iat + 1e6, iat * 1000, -iat, [iat]].map((odd) => ({
      iat: odd,
    })),
    ...[`${exp}`, exp + 0.5, exp + 1, exp + 1e6, exp * 1000, iat, iat - 1, -exp, [exp]].map(
      (odd) => ({ exp: odd }),
    ),
    { iat: iat - 1e7, exp: exp - 1e7 },
    { iat: iat - 1 },
    { nbf: 'soon' },
    { nbf: 2e10 },
    { nbf: null },
  ];
}

/** Payloads that are no claims at all. */
const NO_CLAIMS = [
  '',
  ' ',
  'null',
  'true',
  '7',
  '1e999',
  '"text"',
  '[]',
  '[1]',
  '[{}]',
  '{}',
  '{',
  '}',
  '{"a":}',
  "{'sub':'1'}",
  'undefined',
  'NaN',
  'not JSON',
  '{"__proto__":{"sub":"1"}}',
  '\u0000',
  '\ufeff{}',
  '['.repeat(1_000),
  '{"a":'.repeat(300),
];

/** Texts that say a member twice, or are written otherwise than they would be here. */
function rewritten(part: object): string[] {
  const text = JSON.stringify(part);
  const [[name, value] = ['', '']] = Object.entries(part) as [string, unknown][];
  const member = `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  return [
    text.replace('{', `{${member},`),
    text.replace('{', `{"${name}":"x",`),
    text.replace('}', `,${member}}`),
    text.replace('{', '{"__proto__":{},"__proto__":{},'),
    text.replaceAll(',', ', '),
    text.replaceAll(':', ' : '),
    ` ${text}`,
    `${text} `,
    `${text}\n`,
    `\ufeff${text}`,
    text.replace(/"(\w)/, (_, c: string) => `"\\u00${c.charCodeAt(0).toString(16)}`),
    text.replace(/:(\d+)/, ':$1.0'),
    text.replace(/:(\d+)/, ':$1e0'),
    text.replace(/:(\d)(\d+)/, ':$1.$2e9'),
    text.replace('}', ',}'),
    `${text}{}`,
    `[${text}]`,
  ].filter((each) => each !== text);
}

/** Header and payload changed under the signature of before, and under none. */
function* unsigned(target: Target): Generator<Mutant> {
  const [header, payload, signature] = target.token.split('.');
  const put = function* (head: unknown, claims: unknown): Generator<Mutant> {
    for (const last of [signature, '', 'AA', encoded('x'.repeat(64))]) {
      yield ['no signature of its own', `${encoded(head)}.${encoded(claims)}.${last}`];
    }
  };
  const [head, claims] = [decoded(target.token, 0), decoded(target.token, 1)];
  for (const edit of [...HEADER_EDITS, ...HEADER_EXTRAS]) yield* put({ ...head, ...edit }, claims);
  for (const edit of claimEdits(target)) yield* put(head, { ...claims, ...edit });
  for (const edit of [{ sub: '2' }, { admin: true }]) yield* put(head, { ...claims, ...edit });
  for (const text of [...NO_CLAIMS, ...rewritten(claims)]) yield* put(head, text);
  for (const text of [...NO_CLAIMS, ...rewritten(head)]) yield* put(text, claims);
  yield ['no header', `.${payload}.${signature}`];
  yield ['no payload', `${header}..${signature}`];
}

/** Signed, with what an attacker has: a key of their own, and the public ones. */
function* signedWrongly(target: Target): Generator<Mutant> {
  const { algorithm, foreign, verifiers, token } = target;
  const [head, claims] = [decoded(token, 0), decoded(token, 1)];
  const { kid: _, ...nameless } = head;
  const heads = [
    head,
    nameless,
    { ...head, kid: 'mine' },
    ...HEADER_EXTRAS.map((extra) => ({ ...head, ...extra })),
  ];
  const whose = [claims, { ...claims, sub: '2' }, { ...claims, exp: Number(claims['iat']) + 1 }];
  const publicTexts = verifiers
    .filter(({ type }) => type === 'private')
    .map((each) => createPublicKey(each))
    .flatMap((each) => [
      pemOf(each),
      pemOf(each).trim(),
      each.export({ type: 'spki', format: 'der' }),
      JSON.stringify(each.export({ format: 'jwk' })),
    ]);
  const secrets = [...publicTexts, 'secret', 'x', '\u0000', JSON.stringify(head['kid'])].map(
    (text) => createSecretKey(Buffer.from(text)),
  );
  for (const each of heads) {
    for (const payload of whose) {
      yield ['a foreign key', signed(each, payload, foreign, algorithm)];
      for (const secret of secrets) {
        for (const alg of ['HS256', 'HS384', 'HS512'] as const) {
          yield ['public bytes as a secret', signed({ ...each, alg }, payload, secret, alg)];
          yield ['public bytes as a secret', signed(each, payload, secret, alg)];
        }
      }
    }
  }
  // Each key that verifies is good for its own algorithm, under its own name or none.
  for (const key of verifiers) {
    const ways = Object.keys(SIGN).filter((how) => isFor(how, key)) as (keyof typeof SIGN)[];
    for (const how of ways) {
      for (const alg of [...Object.keys(SIGN), 'none']) {
        const isRight = how === alg && ALGORITHMS.some((known) => known === how);
        if (isRight && key === target.key) continue;
        yield [`${how} as ${alg}`, signed({ ...head, alg }, claims, key, how)];
        if (!isRight) yield [`${how} as ${alg}`, signed({ ...nameless, alg }, claims, key, how)];
      }
    }
  }
}

function isFor(how: string, key: KeyObject): boolean {
  if (key.type === 'secret') return how.startsWith('HS');
  return key.asymmetricKeyType === 'ec' ? /^ES|DER/.test(how) : /^[RP]S/.test(how);
}

/** As only the product could sign it, but nothing that it would ever say. */
function* signedRightly(target: Target): Generator<Mutant> {
  const { token, key, algorithm } = target;
  const [head, claims] = [decoded(token, 0), decoded(token, 1)];
  for (const edit of HEADER_EDITS) {
    const text = JSON.stringify({ ...head, ...edit });
    if (text !== JSON.stringify(head)) yield ['an odd header', resigned(target, edit, {})];
  }
  for (const edit of claimEdits(target)) {
    if (!isOrdinary(edit)) yield ['odd claims', resigned(target, {}, edit)];
  }
  for (const text of [...NO_CLAIMS, ...rewritten(claims)]) {
    yield ['an odd payload', signed(head, text, key, algorithm)];
    // Of this type, jsonwebtoken reads the payload before it knows who signed it.
    yield ['an odd payload', signed({ ...head, typ: 'JWT' }, text, key, algorithm)];
  }
  for (const text of [...NO_CLAIMS, ...rewritten(head)]) {
    yield ['an odd header', signed(text, claims, key, algorithm)];
  }
}

/** Ids are any word: whoever has the key may say them. */
function isOrdinary(edit: object): boolean {
  return Object.entries(edit).some(
    ([name, value]) =>
      /^(sid|jti)$/.test(name) && typeof value === 'string' && /^[\w-]{1,64}$/.test(value),
  );
}

function resigned({ token, key, algorithm }: Target, header: object, claims: object): string {
  const [head, payload] = [decoded(token, 0), decoded(token, 1)];
  return signed({ ...head, ...header }, { ...payload, ...claims }, key, algorithm);
}

/** Signatures that mean the same numbers, or numbers that mean the same to a curve. */
function* ofEcdsa({ token }: Target): Generator<Mutant> {
  const start = token.lastIndexOf('.') + 1;
  const signature = Buffer.from(token.slice(start), 'base64url');
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
  const put = (...bytes: readonly Uint8Array[]): Mutant => [
    'ECDSA',
    token.slice(0, start) + Buffer.concat(bytes).toString('base64url'),
  ];
  const number = (value: bigint) => {
    const hex = value.toString(16);
    return Buffer.from(hex.padStart(Math.max(64, hex.length + (hex.length % 2)), '0'), 'hex');
  };
  const zero = Buffer.alloc(32);
  const order = number(P256_ORDER);
  yield put(mirrored(signature));
  yield put(s, r);
  yield put(r, number(sOf(signature) + P256_ORDER));
  yield put(r, number(P256_ORDER * 2n - sOf(signature)));
  for (const odd of [zero, order, number(1n), number(P256_ORDER - 1n), Buffer.alloc(32, 255)]) {
    yield put(r, odd);
    yield put(odd, s);
    yield put(odd, odd);
  }
  yield put(Buffer.alloc(1), r, Buffer.alloc(1), s);
  yield put(Buffer.alloc(16), r, Buffer.alloc(16), s);
  const integer = (value: Buffer) => {
    const padded = (value[0] ?? 0) > 127 ? Buffer.concat([Buffer.alloc(1), value]) : value;
    return Buffer.concat([Buffer.from([2, padded.length]), padded]);
  };
  const body = Buffer.concat([integer(r), integer(s)]);
  yield put(Buffer.from([0x30, body.length]), body);
  yield put(Buffer.from([0x30, 0x81, body.length]), body);
}

/** One to four changes of any kind, at any place. */
function byChance({ token, other, random }: Target): string {
  let mutant = random.below(8) === 0 ? other : token;
  for (let changes = 1 + random.below(4); changes > 0; changes -= 1) {
    mutant = changedOnce(mutant, other, random);
  }
  return mutant;
}

function changedOnce(text: string, other: string, random: Random): string {
  const at = random.below(text.length + 1);
  const to = at + random.below(text.length - at + 1);
  const character = BASE64URL[random.below(64)] ?? '';
  switch (random.below(8)) {
    case 0:
      return text.slice(0, at) + character + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + character + text.slice(at);
    case 2:
      return text.slice(0, at) + text.slice(to);
    case 3:
      return text.slice(0, to) + text.slice(at);
    case 4:
      return text.slice(0, at) + other.slice(at);
    case 5:
      return text.slice(0, at) + String.fromCharCode(random.below(0x3000)) + text.slice(at);
    case 6:
      return (
        text.slice(0, at) + Array.from(text.slice(at, to)).toReversed().join('') + text.slice(to)
      );
    default:
      return text.slice(0, at) + '.='[random.below(2)] + text.slice(at);
  }
}

interface Random {
  /** From 0 up to, and without, the bound. */
  below(bound: number): number;
}

/** mulberry32. */
function randomFrom(seed: number): Random {
  let state = seed;
  return {
    below(bound) {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) % bound;
    },
  };
}
