/**
 * Sends the service requests of every kind, sound and hostile, and holds each answer to what a model
 * of the contract allows. A failure prints its seed and the bytes of the request:
 * FUZZ_SEED=… sends the same requests again, FUZZ_RUNS=… more of them than 10,000.
 */
import { METHODS } from 'node:http';
import { Session } from 'node:inspector/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Endpoint, endpoints } from '../../src/adapters/http/contract/endpoints.ts';
import {
  BAD,
  COOKIE_NAME,
  CROSS_ORIGIN,
  HOST_REFUSALS,
  HttpModel,
  INVALID_MODE,
  NONE,
  type Outcome,
  REFUSALS,
  refusal,
  type Token,
} from '../support/http-model.ts';
import { ADA, call, withService } from '../support/service.ts';
import { isAvailable, type StoreName } from '../support/stores.ts';
import { Wire, type WireAnswer } from '../support/wire.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 10_000);
// In CI the same each time, so that a red run is of the change, and not of luck.
const SEED = process.env['FUZZ_SEED'] ?? (process.env['CI'] === 'true' ? '1' : undefined);

/** Of all requests: those that each service gets, half of them without limits on attempts. */
const SERVICES: readonly {
  readonly store: StoreName;
  readonly share: number;
  readonly env: Readonly<Record<string, string>>;
}[] = [
  { store: 'memory', share: 0.43, env: {} },
  { store: 'memory', share: 0.43, env: { RATE_LIMIT: 'off', REFRESH_ROTATION: 'on' } },
  { store: 'SQLite', share: 0.04, env: {} },
  { store: 'SQLite', share: 0.03, env: { RATE_LIMIT: 'off' } },
  { store: 'MariaDB', share: 0.03, env: { REFRESH_ROTATION: 'on' } },
  { store: 'MariaDB', share: 0.04, env: { RATE_LIMIT: 'off' } },
];

const TABLE = endpoints();
const nameOf = ({ method, path }: Endpoint) => `${method} ${path}`;

const MAX_BODY = 16 * 1024;

// --- The grammar. What is drawn are plans: what tokens and people they mean is known when they are
// carried out. ---

/** Text that has been the end of some parser, query, template or log. */
const HOSTILE = [
  '',
  ' ',
  'x',
  'toSqlString',
  '__proto__',
  'constructor',
  "' OR '1'='1",
  '"; DROP TABLE users; --',
  '\0',
  'a\0b@example.com',
  '\ud800',
  '\udfff\ud800',
  '\ufeff',
  '\u202e',
  '\r\nSet-Cookie: a=b',
  '<script>alert(1)</script>',
  '${jndi:ldap://x}',
  '%00%0a',
  '../../etc/passwd',
  '{"$ne":""}',
  'é'.repeat(300),
  'x'.repeat(1_025),
  '😀'.repeat(256),
  'x'.repeat(9_000),
  '[object Object]',
  'a@b.co,c@d.co',
  'ﬁ'.normalize('NFKD'),
  'null',
];
const anyText = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 12 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 8 }).map((units) => {
    return String.fromCharCode(...units);
  }),
);

/** JSON that is no string; `RIGHT` stands for the value that would have been right. */
const NOT_STRINGS = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '7',
  '-1.5',
  '1e999',
  '1E-400',
  '9'.repeat(400),
  '[]',
  '{}',
  '[RIGHT]',
  '[[RIGHT]]',
  '[RIGHT,RIGHT]',
  '{"0":RIGHT,"length":1}',
  '{"value":RIGHT}',
  '{"toString":RIGHT}',
  '{"toSqlString":RIGHT}',
  '{"$ne":""}',
  '{"__proto__":RIGHT}',
  '{"constructor":{"prototype":RIGHT}}',
  '{"type":"Buffer","data":[1]}',
  `${'['.repeat(3_000)}${']'.repeat(3_000)}`,
  `${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`,
];
const notString = fc.oneof(fc.constantFrom(...NOT_STRINGS), fc.json({ maxDepth: 3 }));

/** What stands for one member of a body; `RIGHT` is the right value, `NAME` the name. */
const member = fc.oneof(
  { weight: 3, arbitrary: anyText.map((value) => `NAME:${JSON.stringify(value)}`) },
  { weight: 4, arbitrary: notString.map((value) => `NAME:${value}`) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '"missing":RIGHT',
      '"Name":RIGHT',
      'NAME:RIGHT,NAME:RIGHT',
      'NAME:null,NAME:RIGHT',
      'NAME:RIGHT,NAME:7',
      '"__proto__":{NAME:RIGHT}',
      '"constructor":{"prototype":{NAME:RIGHT}}',
    ),
  },
);

const extra = fc.constantFrom(
  '"id":1',
  '"role":"admin"',
  '"user_id":1',
  '"sub":"1"',
  '"__proto__":{"admin":true}',
  '"constructor":{"prototype":{"x":1}}',
  '"toString":null',
  '"hasOwnProperty":1',
  '"":""',
  '"\\u0000":"\\ud800"',
);

/** From the text of a body to its bytes. */
const ENCODINGS = {
  utf8: (body: string) => Buffer.from(body),
  bom: (body: string) => Buffer.from(`\ufeff${body}`),
  escaped: (body: string) =>
    Buffer.from(
      body.replaceAll(/[a-z@](?![^"]*":)/g, (sign) => {
        return `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`;
      }),
    ),
  utf16: (body: string) => Buffer.from(body, 'utf16le'),
  utf16bom: (body: string) => Buffer.from(`\ufeff${body}`, 'utf16le').swap16(),
  latin1: (body: string) => Buffer.from(body.replace('"', '\xe9"'), 'latin1'),
  invalid: (body: string) => Buffer.concat([Buffer.from(body), Buffer.from([0xc3, 0x28])]),
  overlong: (body: string) => Buffer.concat([Buffer.from([0xc0, 0xa0]), Buffer.from(body)]),
  surrogate: (body: string) => Buffer.from(body.replace('"', '"\xed\xa0\x80'), 'latin1'),
  gzip: (body: string) => gzipSync(body),
} as const;

const BROKEN: readonly ((body: string) => string)[] = [
  (body) => body.slice(0, -1),
  (body) => body.slice(1),
  (body) => `${body}x`,
  (body) => `${body}\0`,
  (body) => body + body,
  (body) => body.replaceAll('"', "'"),
  (body) => `/**/${body}`,
  (body) => body.replace(/}$/, ',}'),
  (body) => body.replace(':', '='),
  (body) => body.replace('"', '"\n'),
  (body) => `)]}',\n${body}`,
  () => '{',
  () => 'NaN',
  () => 'undefined',
  () => '['.repeat(10_000),
  () => '"\\u12"',
  () => '01',
];

const OTHER_VALUES = ['null', '7', 'true', '"text"', '[]', '[BODY]', '{}', '""', '1e999', '{"":1}'];

const bodyPlan = fc.record({
  kind: fc.oneof(
    { weight: 9, arbitrary: fc.constant('right' as const) },
    {
      weight: 9,
      arbitrary: fc.record({ at: fc.nat(3), member, all: fc.constantFrom(false, false, true) }),
    },
    { weight: 1, arbitrary: fc.constantFrom(...OTHER_VALUES).map((value) => ({ value })) },
    { weight: 1, arbitrary: fc.nat(BROKEN.length - 1).map((broken) => ({ broken })) },
    { weight: 1, arbitrary: fc.constant('none' as const) },
  ),
  spelling: fc.nat(5),
  extras: fc.array(extra, { maxLength: 2 }),
  encoding: fc.oneof(
    { weight: 12, arbitrary: fc.constant('utf8' as const) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(...(Object.keys(ENCODINGS) as [keyof typeof ENCODINGS])),
    },
  ),
  /** Filled up with white space, which JSON allows, to so many bytes. */
  size: fc.oneof(
    { weight: 20, arbitrary: fc.constant(0) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(MAX_BODY - 1, MAX_BODY, MAX_BODY + 1, 2 * MAX_BODY, 200_000),
    },
  ),
});

/** Whether a Content-Type says JSON. Of two headers the first counts. */
const TYPES: readonly (readonly [json: boolean, ...values: string[]])[] = [
  [true, 'application/json; charset=utf-8'],
  [true, 'Application/JSON'],
  [true, 'application/json;charset="UTF-8"'],
  [true, 'application/json ; charset=utf8'],
  [true, 'application/json;'],
  [true, 'application/json; boundary=x'],
  [true, 'application/json', 'text/plain'],
  [false, 'text/plain', 'application/json'],
  [false],
  [false, ''],
  [false, 'text/plain'],
  [false, 'text/html; a="application/json"'],
  [false, 'application/x-www-form-urlencoded'],
  [false, 'multipart/form-data; boundary=x'],
  [false, 'application/jsonp'],
  [false, 'application/ld+json'],
  [false, 'application/json, text/plain'],
  [false, 'application/json; charset=utf-16'],
  [false, 'application/json; charset=utf-8; charset=utf-7'],
  [false, 'application/json; charset=latin1'],
  [false, 'application/jsön'],
  [false, `application/${'json'.repeat(1_000)}`],
  [false, ';'],
];

/** Authorization headers, with `TOKEN` for a token, and whether each gives that one token. */
const AUTHORIZATIONS: readonly (readonly [bearer: string, ...values: string[]])[] = [
  ['TOKEN', 'bearer TOKEN'],
  ['TOKEN', 'BEARER   TOKEN'],
  ['TOKEN', '  Bearer TOKEN\t '],
  [NONE],
  [NONE, ''],
  [NONE, 'Bearer'],
  [NONE, 'bearer  '],
  [NONE, 'TOKEN'],
  [NONE, 'Token TOKEN'],
  [NONE, 'Basic YTpi'],
  [NONE, 'BearerTOKEN'],
  [NONE, 'Bearer:TOKEN'],
  [NONE, 'Digest username="a", realm="b"'],
  [NONE, '\xe9\xff'],
  [BAD, 'Bearer TOKEN TOKEN'],
  [BAD, 'Bearer TOKEN,'],
  [BAD, 'Bearer TOKEN, Bearer TOKEN'],
  [BAD, 'Bearer,TOKEN'],
  [BAD, 'Basic x, Bearer TOKEN'],
  [BAD, 'Bearer\tTOKEN'],
  [BAD, 'Bearer "TOKEN"'],
  [BAD, 'Bearer TOKEN='],
  [BAD, 'Bearer TOKEN\xa0'],
  [BAD, 'Bearer \xa0TOKEN'],
  [BAD, 'Bearer TOKEN\xe9'],
  [BAD, 'Bearer TOKEN', 'Bearer TOKEN'],
  [BAD, 'Bearer TOKEN', 'Basic YTpi'],
  [BAD, 'Basic YTpi', 'Bearer TOKEN'],
  [BAD, `Bearer ${'a'.repeat(5_000)}`],
  [BAD, `Bearer ${'a.'.repeat(3_000)}`],
  [BAD, 'Bearer e30.e30.e30'],
  [BAD, 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.'],
  [BAD, 'Bearer null'],
  [BAD, 'Bearer ..'],
  [BAD, 'Bearer \u00ff\u0080'],
];

/** Values of Refresh-Token-Mode, and whether each asks for cookie mode. */
const MODES: readonly (readonly [asks: boolean, ...values: string[]])[] = [
  [true, 'cookie'],
  [true, ' cookie\t'],
  [false, ''],
  [false, 'Cookie'],
  [false, 'body'],
  [false, 'cookie;'],
  [false, 'cookie', 'cookie'],
  [false, 'body', 'cookie'],
];

/** Cookie headers, with `TOKEN` for a token and `NAME` for our cookie's, and whether each gives that one. */
const COOKIES: readonly (readonly [cookie: string, ...values: string[]])[] = [
  ['TOKEN', 'NAME=TOKEN'],
  ['TOKEN', 'a=b; NAME=TOKEN;c="d"'],
  ['TOKEN', 'a=b', '\tNAME=TOKEN ;'],
  [NONE],
  [NONE, ''],
  [NONE, 'NAME'],
  [NONE, 'NAME='],
  [NONE, 'NAME =TOKEN'],
  [NONE, 'xNAME=TOKEN'],
  [NONE, '__Host-NAME=TOKEN'],
  [NONE, 'Portcullis_refresh_token=TOKEN'],
  [NONE, 'a=NAME=TOKEN'],
  [NONE, 'a=b, NAME=TOKEN'],
  [BAD, 'NAME=TOKEN; NAME=TOKEN'],
  [BAD, 'NAME=; NAME=TOKEN'],
  [BAD, 'NAME=TOKEN', 'NAME=x'],
  [BAD, 'NAME="TOKEN"'],
  [BAD, 'NAME= TOKEN'],
  [BAD, 'NAME=TOKEN,x'],
  [BAD, 'NAME=TOKEN\xe9'],
  [BAD, 'NAME=TOKEN='],
  [BAD, 'NAME=__proto__'],
  [BAD, `NAME=${'a'.repeat(4_100)}`],
];

/** Where a request says that it comes from, with no other Origin, and whether that is a page of others. */
const SITES: readonly (readonly [isForeign: boolean, ...headers: (readonly [string, string])[]])[] =
  [
    [false],
    [false, ['Sec-Fetch-Site', 'same-origin']],
    [false, ['Sec-Fetch-Site', 'none']],
    [false, ['Origin', 'http://localhost']],
    [false, ['Origin', 'http://LOCALHOST:80']],
    [false, ['Origin', 'https://localhost']],
    [false, ['Origin', 'http://evil.example'], ['Sec-Fetch-Site', 'same-origin']],
    [true, ['Origin', 'http://localhost'], ['Sec-Fetch-Site', 'cross-site']],
    [true, ['Sec-Fetch-Site', 'same-site']],
    [true, ['Sec-Fetch-Site', 'Same-Origin']],
    [true, ['Sec-Fetch-Site', '']],
    [true, ['Sec-Fetch-Site', 'none'], ['Sec-Fetch-Site', 'none']],
    [true, ['Origin', 'http://evil.example']],
    [true, ['Origin', 'http://localhost.evil.example']],
    [true, ['Origin', 'http://localhost:1']],
    [true, ['Origin', 'http://localhost'], ['Origin', 'http://localhost']],
    [true, ['Origin', 'localhost']],
    [true, ['Origin', 'null']],
    [true, ['Origin', '']],
  ];

/** Which token is meant: one that was issued, or one changed since. */
const tokenPlan = fc.record({
  kind: fc.constantFrom('own', 'own', 'own', 'own', 'own', 'own', 'other', 'changed'),
  which: fc.nat(1_000),
  at: fc.nat(1_000),
});

/** From the path of an endpoint to what else might be taken for it. */
const PATHS: readonly ((path: string) => string)[] = [
  (path) => `${path}?`,
  (path) => `${path}?access_token=TOKEN&refresh_token=TOKEN&user_id=1`,
  (path) => `${path}?limit=2&after=0`,
  (path) => `http://localhost${path}`,
  (path) => `HTTPS://user:x@[::1]:1${path}?a=http://x/login`,
  (path) => `${path}?__proto__=x&a[b]=c&limit[$ne]=1&%zz=%&=&&`,
  (path) => `${path}?${'a=b&'.repeat(500)}`,
  (path) => `${path}/`,
  (path) => `/${path}`,
  (path) => `/.${path}`,
  (path) => `/x/..${path}`,
  (path) => path.toUpperCase(),
  (path) => path.replace(/[a-z]/, (sign) => `%${sign.charCodeAt(0).toString(16)}`),
  (path) => `/${path.replaceAll('/', '%2f')}`,
  (path) => `${path}%`,
  (path) => `${path}%00`,
  (path) => `${path}%zz`,
  (path) => `${path}%ff%fe`,
  (path) => `${path};a=b`,
  (path) => `${path}/x`,
  (path) => `${path}/${'x'.repeat(7_000)}`,
  (path) => `${path}\\`,
  (path) => `${path}//`,
  (path) => `http://[x${path}`,
  () => 'http://x',
  () => '/',
  () => '*',
  () => '/favicon.ico',
  () => '/index.php?s=/login',
  () => '/.env',
  () => '/__proto__',
  () => `/${'a/'.repeat(3_500)}`,
  () => `/${'x'.repeat(20_000)}`,
  () => '/%',
  () => '/%c0%ae%c0%ae/',
];

/** Queries of GET /users, some of them sound. */
const query = fc.oneof(
  fc.constant(''),
  fc
    .array(
      fc.tuple(
        fc.constantFrom('limit', 'after', 'email', 'limit[]', 'password', 'access_token'),
        fc.oneof(
          fc.constantFrom('1', '2', '10000', '10001', '0', '-1', '1.5', '', '1e3', '0x1', '٣'),
          fc.constantFrom(
            '9'.repeat(17),
            '9'.repeat(400),
            'user-1@example.com',
            'USER-2@EXAMPLE.COM',
          ),
          anyText,
        ),
      ),
      { maxLength: 3 },
    )
    .map((pairs) => {
      const params = new URLSearchParams();
      for (const [name, value] of pairs) params.append(name, value.slice(0, 500));
      return `?${params.toString()}`;
    }),
);

/** The values that stand for `{names}` in a path; `ID` is a right one. */
const SEGMENTS = [
  'ID',
  'ID',
  'ID',
  'x',
  '%00',
  '1',
  '-',
  '%F0%9F%98%80',
  'a%2Fb',
  '..',
  '__proto__',
];

/** Headers that must change nothing. */
const NOISE: readonly (readonly [string, string])[] = [
  ['X-Forwarded-For', '1.2.3.4, ::1, x'],
  ['X-Forwarded-Host', 'evil.example'],
  ['X-Forwarded-Proto', 'https'],
  ['Forwarded', 'for=1.2.3.4'],
  ['X-HTTP-Method-Override', 'DELETE'],
  ['X-Original-URL', '/users'],
  ['X-User-Id', '1'],
  ['Cookie', 'access_token=x; session=y'],
  ['Accept', 'text/html'],
  ['Accept-Encoding', 'gzip, br'],
  ['If-None-Match', '*'],
  ['If-Modified-Since', 'Fri, 01 Jan 2100 00:00:00 GMT'],
  ['Range', 'bytes=0-5'],
  ['Origin', 'http://evil.example'],
  ['Upgrade', 'websocket'],
  ['Upgrade', 'h2c'],
  ['Via', '1.0 x'],
  ['TE', 'trailers'],
  ['User-Agent', ''],
  ['User-Agent', '\x80\xff\xe9 <script>'],
  ['User-Agent', 'x'.repeat(4_000)],
  ['uSER-aGENT', '() { :; }; echo'],
  ['__proto__', 'x'],
  ['constructor', 'x'],
  ['Content-Language', '\xff'],
  ['Max-Forwards', '0'],
  ['Proxy-Authorization', 'Bearer x'],
  ['X', ''],
  ['A'.repeat(3_000), 'x'],
];

/** Mostly the first, now and then one of the others. */
function mostly<T>(first: T, weight: number, others: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight, arbitrary: fc.constant(first) }, { weight: 1, arbitrary: others });
}

const requestPlan = fc.record({
  endpoint: fc.nat(TABLE.length - 1),
  who: fc.nat(1_000),
  method: mostly('own', 10, fc.constantFrom(...METHODS, 'GET', 'HEAD', 'HEAD', 'POST', 'OPTIONS')),
  path: mostly(-1, 7, fc.nat(PATHS.length - 1)),
  segment: fc.constantFrom(...SEGMENTS),
  query: mostly('', 1, query),
  version: mostly('1.1', 20, fc.constant('1.0')),
  authorization: mostly(-1, 3, fc.nat(AUTHORIZATIONS.length - 1)),
  token: tokenPlan,
  mode: mostly(-1, 2, mostly(0, 4, fc.nat(MODES.length - 1))),
  cookie: mostly(0, 1, fc.nat(COOKIES.length - 1)),
  kept: tokenPlan,
  site: mostly(0, 3, fc.nat(SITES.length - 1)),
  type: mostly(-1, 9, fc.nat(TYPES.length - 1)),
  coding: mostly(
    '',
    14,
    fc.constantFrom('identity', 'gzip', 'br', 'deflate', 'x', 'gzip, identity', 'zstd'),
  ),
  body: bodyPlan,
  framing: mostly<'length' | 'chunked'>('length', 3, fc.constant('chunked' as const)),
  noise: fc.array(fc.nat(NOISE.length - 1), { maxLength: 2 }),
  connection: mostly('', 15, fc.constantFrom('close', 'keep-alive', 'x', 'Upgrade', 'TE, close')),
  expect: mostly('', 25, fc.constantFrom('100-continue', '100-Continue', 'x', '200-ok')),
  host: mostly(1, 25, fc.constantFrom(0)),
  long: mostly(false, 60, fc.constant(true)),
  odd: fc.boolean(),
  pieces: mostly(1, 8, fc.integer({ min: 2, max: 5 })),
});
type RequestPlan = typeof requestPlan extends fc.Arbitrary<infer Drawn> ? Drawn : never;

/**
 * Bytes that are no HTTP, or hardly, and the one refusal that they get; none where the letter of
 * RFC 9112 leaves it open. Nothing in them would succeed if it were understood.
 */
const LOGIN = 'POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
const HELLO = 'GET /protected HTTP/1.1\r\nHost: x\r\n';
const BAD_REQUEST = '400 Bad request';
const RAW: readonly (readonly [bytes: string, refusal?: string, headers?: Outcome['headers']])[] = [
  ['nonsense\r\n\r\n', BAD_REQUEST],
  ['GET\r\n\r\n', BAD_REQUEST],
  ['GET /\r\n\r\n'],
  ['GET /protected HTTP/9.9\r\nHost: x\r\n\r\n', BAD_REQUEST],
  ['GET /protected HTTP/2.0\r\nHost: x\r\n\r\n'],
  ['GET /protected HTTP/1.1 x\r\nHost: x\r\n\r\n', BAD_REQUEST],
  ['GET /protected ICE/1.0\r\nHost: x\r\n\r\n', BAD_REQUEST],
  ['get /protected HTTP/1.1\r\nHost: x\r\n\r\n', BAD_REQUEST],
  ['FOO /protected HTTP/1.1\r\nHost: x\r\n\r\n', BAD_REQUEST],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', BAD_REQUEST],
  ['GET /pro tected HTTP/1.1\r\nHost: x\r\n\r\n', BAD_REQUEST],
  ['GET protected HTTP/1.1\r\nHost: x\r\n\r\n', BAD_REQUEST],
  ['GET /prot\0ected HTTP/1.1\r\nHost: x\r\n\r\n', BAD_REQUEST],
  ['GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['GET /protected\xa0 HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['GET /protected#x HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['\r\n\r\nGET /protected HTTP/1.1\r\nHost: x\r\n\r\n', '401 Token is missing!'],
  ['GET /protected HTTP/1.1\nHost: x\n\n'],
  ['GET /protected HTTP/1.1\rHost: x\r\r'],
  [`${HELLO}A: b\r\n c\r\n\r\n`],
  [`${HELLO}Authorization:\r\n Bearer x\r\n\r\n`],
  [`${HELLO}A b: c\r\n\r\n`, BAD_REQUEST],
  [`${HELLO}A : c\r\n\r\n`, BAD_REQUEST],
  [`${HELLO}: c\r\n\r\n`, BAD_REQUEST],
  [`${HELLO}A\r\n\r\n`, BAD_REQUEST],
  [`${HELLO}A: \0\r\n\r\n`, BAD_REQUEST],
  [`${HELLO}\xe9: x\r\n\r\n`, BAD_REQUEST],
  [`${HELLO}Host: y\r\n\r\n`, BAD_REQUEST],
  ['GET /protected HTTP/1.1\r\nHost:\r\n\r\n'],
  ['GET /protected HTTP/1.1\r\nHost: a b/c@\r\n\r\n'],
  ['GET /protected HTTP/1.1\r\n\r\n', BAD_REQUEST],
  ['CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', '405 Method not allowed', { allow: '' }],
  [`${HELLO}A: ${'x'.repeat(20_000)}\r\n\r\n`, '431 Header too large'],
  [`${HELLO}${'Abc: bcd\r\n'.repeat(4_000)}\r\n`, '431 Header too large'],
  [`${HELLO}${'A: b\r\n'.repeat(90)}\r\n`, '401 Token is missing!'],
  [`${HELLO}${'A: b\r\n'.repeat(1_500)}\r\n`, '431 Header too large'],
  [`${LOGIN}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`, BAD_REQUEST],
  [`${LOGIN}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, BAD_REQUEST],
  [`${LOGIN}Content-Length: 2, 2\r\n\r\n{}`, BAD_REQUEST],
  [`${LOGIN}Content-Length: +2\r\n\r\n{}`, BAD_REQUEST],
  [`${LOGIN}Content-Length: -2\r\n\r\n{}`, BAD_REQUEST],
  [`${LOGIN}Content-Length: 0x2\r\n\r\n{}`, BAD_REQUEST],
  [`${LOGIN}Content-Length: 2e0\r\n\r\n{}`, BAD_REQUEST],
  [`${LOGIN}Content-Length: 2 2\r\n\r\n{}`, BAD_REQUEST],
  [`${LOGIN}Content-Length: ${'9'.repeat(30)}\r\n\r\n{}`, BAD_REQUEST],
  [`${LOGIN}Content-Length:\r\n\r\n{}`],
  [`${LOGIN}Content-Length: 99999999999\r\n\r\n{}`, '413 Request body is too large'],
  [`${LOGIN}Content-Length: 16385\r\n\r\n{}`, '413 Request body is too large'],
  [`${LOGIN}Content-Length: 002\r\n\r\n{}`, '400 Missing email or password'],
  [
    `${LOGIN}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    BAD_REQUEST,
  ],
  [
    `${LOGIN}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    BAD_REQUEST,
  ],
  [`${LOGIN}Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n{}`, BAD_REQUEST],
  [`${LOGIN}Transfer-Encoding: identity\r\n\r\n{}`],
  [`${LOGIN}Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, BAD_REQUEST],
  [`${LOGIN}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
  [
    `${LOGIN}Transfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    '400 Missing email or password',
  ],
  [`${LOGIN}Transfer-Encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`, BAD_REQUEST],
  [`${LOGIN}Transfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n`],
  [`${LOGIN}Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n`],
  [`${LOGIN}Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n`],
  [`${LOGIN}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(40)}\r\n{}\r\n0\r\n\r\n`],
  [`${LOGIN}Transfer-Encoding: chunked\r\n\r\n2;${'a'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`],
  [`${LOGIN}Transfer-Encoding: chunked\r\n\r\n3\r\n{}\r\n0\r\n\r\n`],
  ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', BAD_REQUEST],
  ['\0\0\0\0\r\n\r\n', BAD_REQUEST],
  ['SSH-2.0-x\r\n', BAD_REQUEST],
];

/** Requests that change nothing, to be sent at once and answered in turn; or cut off. */
const READS: readonly (readonly [bytes: string, method: string, refusal: string])[] = [
  [`${HELLO}\r\n`, 'GET', '401 Token is missing!'],
  [`${HELLO}Authorization: Bearer x\r\n\r\n`, 'GET', '401 Token is invalid or expired!'],
  ['HEAD /sessions HTTP/1.1\r\nHost: x\r\n\r\n', 'HEAD', '401 Token is missing!'],
  ['GET /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello', 'GET', '404 Not found'],
  [`${LOGIN}Content-Length: 2\r\n\r\n{}`, 'POST', '400 Missing email or password'],
  [`${LOGIN}Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n0\r\n\r\n`, 'POST', '400 Malformed JSON'],
  ['PUT /none HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n', 'PUT', '404 Not found'],
];
const reads = fc.nat(READS.length - 1);

const plan = fc.oneof(
  { weight: 88, arbitrary: fc.record({ request: requestPlan }) },
  { weight: 6, arbitrary: fc.record({ raw: fc.nat(RAW.length - 1) }) },
  { weight: 1, arbitrary: fc.record({ noise: fc.uint8Array({ minLength: 1, maxLength: 200 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ pipeline: fc.array(reads, { minLength: 2, maxLength: 8 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ cut: reads, at: fc.nat(200), how: fc.constantFrom('end', 'destroy') }),
  },
);
type Plan = typeof plan extends fc.Arbitrary<infer Drawn> ? Drawn : never;

// --- From a plan to bytes, and to the answers that they may get. ---

interface Request {
  readonly bytes: Buffer;
  readonly method: string;
  readonly outcomes: readonly Outcome[];
  /** What it asked of, for the count of what was reached; and whether by a cookie. */
  readonly asked: string;
  readonly byCookie?: boolean;
  readonly pieces: number;
  readonly mayContinue: boolean;
}

interface Place {
  readonly methods: readonly Endpoint[];
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

/** Where the target of a request leads; undefined where that is nowhere. */
function placeOf(target: string): Place | undefined {
  const [, path = '', search = ''] = /^(?:https?:\/\/[^/?]*)?([^?]*)(.*)$/is.exec(target) ?? [];
  const segments = path.split('/');
  const params: Record<string, string> = {};
  const methods = TABLE.filter((endpoint) => {
    const own = endpoint.path.split('/');
    return (
      own.length === segments.length &&
      own.every((name, i) => {
        const [, param] = /^{(\w+)}$/.exec(name) ?? [];
        if (param === undefined) return name === segments[i];
        try {
          params[param] = decodeURIComponent(segments[i] ?? '');
        } catch {
          return false;
        }
        return segments[i] !== '';
      })
    );
  });
  if (methods.length === 0 || /^https?:\/\/\[x/i.test(target)) return undefined;
  return { methods, params, query: new URLSearchParams(search) };
}

const WORDS = ['correct horse', 'battery staple', 'pässwörd😀'] as const;

/** The values that make a request succeed, where one can. */
function rightValues(model: HttpModel, { who, body, token }: RequestPlan, bearer?: Token) {
  const { people } = model;
  const person = bearer?.session.person ?? people[who % Math.max(1, people.length)];
  const refresh = pick(model, 'refresh', token.which);
  const fresh = WORDS[who % WORDS.length] ?? '';
  const spelt = (email: string) =>
    [email, email.toUpperCase(), ` ${email}\n`][body.spelling] ?? email;
  const known = spelt(person?.email ?? 'user-1@example.com');
  const password = body.spelling === 3 ? person?.password.normalize('NFD') : person?.password;
  newcomers += 1;
  const values: Record<string, Record<string, string | undefined>> = {
    'POST /register': {
      username: `User ${who}`,
      email: model.isFull ? known : `user-${newcomers}@example.com`,
      password: fresh,
      confirm_password: fresh,
    },
    'POST /login': { email: known, password },
    'POST /password': { current_password: password, password: fresh, confirm_password: fresh },
    'DELETE /account': { password },
  };
  return (endpoint: Endpoint, name: string) =>
    values[nameOf(endpoint)]?.[name] ?? (name === 'refresh_token' ? refresh?.text : 'x') ?? 'x';
}
let newcomers = 0;

function pick(model: HttpModel, kind: Token['kind'], which: number): Token | undefined {
  const tokens = [...model.tokens.values()].filter((token) => token.kind === kind);
  return tokens[which % Math.max(1, tokens.length)];
}

function tokenOf(
  model: HttpModel,
  meant: Token['kind'],
  { kind, which, at }: RequestPlan['token'],
): string {
  const other = meant === 'access' ? 'refresh' : 'access';
  const { text: own = 'x.y.z' } = pick(model, kind === 'other' ? other : meant, which) ?? {};
  if (kind !== 'changed') return own;
  const place = at % own.length;
  return own.slice(0, place) + (own[place] === 'A' ? 'B' : 'A') + own.slice(place + 1);
}

function bodyOf(endpoint: Endpoint, { body, ...rest }: RequestPlan, right: string[]): Buffer {
  const names = endpoint.fields ?? [];
  const { kind } = body;
  const fill = (pattern: string, i: number) =>
    pattern
      .replaceAll('NAME', () => JSON.stringify(names[i] ?? 'x'))
      .replaceAll('RIGHT', () => JSON.stringify(right[i] ?? 'x'));
  const members = names.map((_, i) => {
    const changed = typeof kind === 'object' && 'member' in kind && kind;
    const isHere = changed && (changed.all || i === changed.at % names.length);
    return fill(isHere ? changed.member : 'NAME:RIGHT', i);
  });
  const all = [...members, ...body.extras];
  if (body.spelling % 2) all.reverse();
  const object = `{${all.join(rest.odd ? ' ,\r\n\t' : ',')}}`;
  let text = object;
  if (kind === 'none') text = '';
  else if (typeof kind === 'object' && 'value' in kind)
    text = kind.value.replace('BODY', () => object);
  else if (typeof kind === 'object' && 'broken' in kind) text = BROKEN[kind.broken]?.(object) ?? '';
  const bytes = text === '' ? Buffer.alloc(0) : ENCODINGS[body.encoding](text);
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, body.size - bytes.length), ' ')]);
}

function requestOf(model: HttpModel, drawn: RequestPlan): Request {
  const meant = TABLE[drawn.endpoint] as Endpoint;
  const token = tokenOf(model, 'access', drawn.token);
  const kept = tokenOf(model, 'refresh', drawn.kept);
  const right = rightValues(model, drawn, model.tokens.get(token));
  const own = [...model.sessions].filter(
    ({ person }) => person === model.tokens.get(token)?.session.person,
  );
  const id = own[drawn.who % Math.max(1, own.length)]?.id ?? 'x';
  const path = meant.path.replace(/{\w+}/, drawn.segment.replace('ID', id));
  const target = (PATHS[drawn.path]?.(path) ?? path + drawn.query).replaceAll('TOKEN', token);
  const method = drawn.method === 'own' ? meant.method : drawn.method;

  const body = bodyOf(
    meant,
    drawn,
    (meant.fields ?? []).map((name) => right(meant, name)),
  );
  const [isJson, ...types] = TYPES[drawn.type] ?? [true, 'application/json'];
  const [gives, ...authorizations] = AUTHORIZATIONS[drawn.authorization] ?? [
    'TOKEN',
    'Bearer TOKEN',
  ];
  const [asksForCookie, ...modes] = MODES[drawn.mode] ?? [undefined];
  const [cookieGives, ...cookies] = COOKIES[drawn.cookie] as (typeof COOKIES)[number];
  const [isForeign, ...site] = SITES[drawn.site] as (typeof SITES)[number];
  const headers: [string, string][] = [
    ...(drawn.host ? [['Host', 'localhost'] satisfies [string, string]] : []),
    ...drawn.noise.flatMap((at): [string, string][] =>
      NOISE.slice(at, at + 1).map(([...pair]) => pair),
    ),
    ...authorizations.map((value): [string, string] => [
      'Authorization',
      value.replaceAll('TOKEN', token),
    ]),
    ...types.map((value): [string, string] => ['Content-Type', value]),
    ...modes.map((value): [string, string] => ['Refresh-Token-Mode', value]),
    ...cookies.map((value): [string, string] => [
      'Cookie',
      value.replaceAll('NAME', COOKIE_NAME).replaceAll('TOKEN', kept),
    ]),
    ...site.map(([...pair]): [string, string] => pair),
  ];
  if (drawn.coding) headers.push(['Content-Encoding', drawn.coding]);
  if (drawn.connection) headers.push(['Connection', drawn.connection]);
  if (drawn.expect) headers.push(['Expect', drawn.expect]);
  if (drawn.long) headers.push(['X-Long', 'x'.repeat(17_000)]);
  // HTTP/1.0 knows no chunks.
  const chunked = drawn.framing === 'chunked' && body.length > 0 && drawn.version === '1.1';
  if (chunked) headers.push(['Transfer-Encoding', 'chunked']);
  else if (body.length > 0 || drawn.odd) headers.push(['Content-Length', String(body.length)]);
  const odd = (name: string) => (drawn.odd ? name.toLowerCase() : name);
  const head = [
    `${method} ${target} HTTP/${drawn.version}`,
    ...headers.map(([name, value]) => `${odd(name)}:${drawn.odd ? '' : ' '}${value}`),
  ];
  const headBytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1');
  const bytes = Buffer.concat([headBytes, chunked ? inChunks(body) : body]);
  const due = expected();
  // Several long parts together: which bytes of them count towards the limit is for Node to say.
  const isLarge = due.outcomes.length > 0 && headBytes.length > 16_000;
  return {
    bytes,
    method,
    pieces: drawn.pieces,
    mayContinue: /^100-continue$/i.test(drawn.expect),
    ...due,
    ...(isLarge && { outcomes: [...due.outcomes, refusal('431 Header too large')] }),
  };

  /** Of an Origin it matters where the request goes, and what the noise says. */
  function comesFromOthers(): boolean {
    if (isForeign || site.some(([name]) => name === 'Sec-Fetch-Site')) return isForeign;
    const isNoisy = drawn.noise.some((at) => NOISE[at]?.[0] === 'Origin');
    return isNoisy || (site.length > 0 && !drawn.host);
  }

  function expected(): Pick<Request, 'outcomes' | 'asked' | 'byCookie'> {
    const host = (line: string) => ({ outcomes: [refusal(line)], asked: 'the host' });
    if (drawn.long || target.length > 16_000) return host('431 Header too large');
    if (method === 'CONNECT')
      return { outcomes: [refusal('405 Method not allowed', { allow: '' })], asked: 'the host' };
    if (drawn.expect && drawn.version === '1.1' && !/^100-continue$/i.test(drawn.expect)) {
      return host('417 Expectation failed');
    }
    if (!drawn.host && drawn.version === '1.1') return host('400 Bad request');
    const place = placeOf(target);
    if (place === undefined) return host('404 Not found');
    const endpoint = place.methods.find((each) => {
      return each.method === method || (each.method === 'GET' && method === 'HEAD');
    });
    if (endpoint === undefined) {
      const allow = place.methods.map((each) =>
        each.method === 'GET' ? 'GET, HEAD' : each.method,
      );
      return {
        outcomes: [refusal('405 Method not allowed', { allow: allow.join(', ') })],
        asked: 'the host',
      };
    }
    if (endpoint.fields) {
      if (!['', 'identity'].includes(drawn.coding)) return host('415 Unsupported encoding');
      if (body.length > MAX_BODY) return host('413 Request body is too large');
    }
    const asked = nameOf(endpoint);
    const byCookie = endpoint.refreshCookie !== undefined && asksForCookie !== undefined;
    if (byCookie && !asksForCookie) {
      return { outcomes: [checked(asked, refusal(INVALID_MODE))], asked };
    }
    if (byCookie && comesFromOthers()) {
      return { outcomes: [checked(asked, refusal(CROSS_ORIGIN))], asked };
    }
    if (endpoint.fields && body.length > 0 && !isJson) {
      return host('415 Content-Type must be application/json');
    }
    const value = body.length > 0 && endpoint.fields ? parsed(body) : {};
    if (value === undefined) return host('400 Malformed JSON');
    const fields: Record<string, string> = {};
    for (const name of endpoint.fields ?? []) {
      const given = Object.entries(value ?? {}).find(([key]) => key === name)?.[1] as unknown;
      if (typeof given === 'string') fields[name] = given;
    }
    const bearer = gives === 'TOKEN' ? token : gives;
    const cookie = byCookie ? (cookieGives === 'TOKEN' ? kept : cookieGives) : undefined;
    const outcomes = model.outcomes(asked, { bearer, fields, cookie, ...place });
    const some = outcomes?.map((outcome) => checked(asked, outcome));
    return { outcomes: some ?? [], asked, byCookie };
  }
}

/** An outcome must also be one of the table: the model cannot invent any. */
function checked(asked: string, outcome: Outcome): Outcome {
  const { status, message } = outcome;
  if (status >= 400)
    assert.ok(REFUSALS[asked]?.includes(`${status} ${message}`), `${asked}: ${message}`);
  return outcome;
}

/** The object or array of JSON bytes, null for another value, undefined for what is no JSON. */
function parsed(bytes: Buffer): object | null | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch {
    return undefined;
  }
}

function inChunks(body: Buffer): Buffer {
  const [first, rest] = [body.subarray(0, 7), body.subarray(7)];
  const chunks = [first, rest].filter(({ length }) => length > 0);
  const parts = chunks.flatMap((chunk) => [
    Buffer.from(`${chunk.length.toString(16)};a=b\r\n`),
    chunk,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...parts, Buffer.from('0\r\nX-Trailer: x\r\n\r\n')]);
}

// --- What every answer must be. ---

const JSON_TYPE = 'application/json; charset=utf-8';
const FIXED: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};
/** What the transport adds. */
const TRANSPORT = /^(?:date|connection|keep-alive|content-length|transfer-encoding)$/;
const TOLD_OF_THE_INSIDE = /node_modules|\.[jt]s:\d|\n {4}at |SQLITE|\bER_[A-Z]|\b(SELECT|INSERT) /;

function check(answer: WireAnswer, method: string, outcomes: readonly Outcome[]): Outcome {
  const { status, headers, body } = answer;
  const fits = outcomes.find((outcome) => {
    if (outcome.status !== status) return false;
    if (method === 'HEAD' || outcome.message === undefined) return true;
    return body === JSON.stringify({ message: outcome.message });
  });
  const allowed = outcomes.map((outcome) => `${outcome.status} ${outcome.message ?? ''}`.trim());
  if (fits === undefined) {
    throw new Error(`not one of ${allowed.join(' | ')}: ${status} ${body.slice(0, 500)}`);
  }
  const special = outcomes
    .filter((each) => each.status === status && each.message === fits.message)
    .map((each) => each.headers ?? {});
  checkHeaders(headers, status, special);
  const [, kept] = /^[^=]*=([^;]+);/.exec(headers.get('set-cookie') ?? '') ?? [];
  if (method !== 'HEAD') fits.take?.(body, kept);
  return fits;
}

function checkHeaders(
  headers: ReadonlyMap<string, string>,
  status: number,
  special: readonly NonNullable<Outcome['headers']>[],
): void {
  const own = new Map([...headers].filter(([name]) => !TRANSPORT.test(name)));
  const type = status === 204 ? {} : { 'content-type': JSON_TYPE };
  for (const [name, value] of Object.entries({ ...FIXED, ...type })) {
    assert.is(own.get(name), value, name);
    own.delete(name);
  }
  const fits = special.some((wanted) => {
    const names = Object.keys(wanted);
    return (
      names.length === own.size &&
      Object.entries(wanted).every(([name, value]) => {
        const given = own.get(name);
        return typeof value === 'string' ? given === value : value.test(given ?? '');
      })
    );
  });
  if (!fits) throw new Error(`status ${status} with headers ${JSON.stringify([...own])}`);
  if (status === 204) assert.not(headers.has('content-length') || headers.has('transfer-encoding'));
}

/** For endpoints without a model: refusals as everywhere, and nothing of the inside. */
function checkUnmodelled({ status, headers, body }: WireAnswer, method: string): void {
  assert.ok(status >= 200 && status < 500, `${status} ${body}`);
  assert.is(headers.get('x-content-type-options'), 'nosniff');
  assert.not(headers.has('x-powered-by'));
  assert.not.match(body, TOLD_OF_THE_INSIDE);
  if (status >= 400 && method !== 'HEAD') {
    const known = [...HOST_REFUSALS, ...Object.values(REFUSALS).flat()];
    const { message } = JSON.parse(body) as { message: string };
    assert.is(body, JSON.stringify({ message }));
    assert.ok(known.includes(`${status} ${message}`), body);
  }
}

// --- The run. ---

/** One service under fire, by a connection that is used for as long as it lasts. */
class Target {
  readonly model: HttpModel;
  /** How often each endpoint gave each status. */
  readonly reached: Map<string, number>;
  /** The last request, and the ones before it on the same connection. */
  sent: Buffer[] = [];
  readonly #url: string;
  #wire: Wire | undefined;

  constructor(url: string, model: HttpModel, reached: Map<string, number>) {
    this.#url = url;
    this.model = model;
    this.reached = reached;
  }

  async fire(drawn: Plan): Promise<void> {
    try {
      if ('request' in drawn) await this.#request(drawn.request);
      else if ('raw' in drawn) await this.#raw(...(RAW[drawn.raw] as (typeof RAW)[number]));
      else if ('noise' in drawn) await this.#raw(Buffer.from(drawn.noise).toString('latin1'));
      else if ('pipeline' in drawn) await this.#pipeline(drawn.pipeline);
      else await this.#cut(drawn.cut, drawn.at, drawn.how);
    } catch (error) {
      this.drop();
      throw error;
    }
  }

  drop(): void {
    this.#wire?.destroy();
    this.#wire = undefined;
  }

  async #request(drawn: RequestPlan): Promise<void> {
    const request = requestOf(this.model, drawn);
    const { bytes, method, outcomes, asked, byCookie, pieces, mayContinue } = request;
    const wire = await this.#open();
    this.sent.push(bytes);
    await wire.send(bytes, pieces);
    const answer = await wire.answer(method);
    if (answer === undefined) throw new Error('no answer');
    if (outcomes.length === 0) checkUnmodelled(answer, method);
    else check(answer, method, outcomes);
    if (!mayContinue) assert.equal(answer.informational, []);
    for (const by of byCookie ? ['', ' by cookie'] : ['']) {
      const what = `${asked}${by} ${answer.status}`;
      this.reached.set(what, (this.reached.get(what) ?? 0) + 1);
    }
    // Node's parser does not tell of faults in what follows a wish to upgrade.
    if (answer.last || drawn.connection === 'Upgrade') this.drop();
    else assert.is(wire.unread, '', 'more than one answer');
  }

  /** No more than one refusal for each: all that comes until the service has closed. */
  async #raw(text: string, line?: string, headers: Outcome['headers'] = {}): Promise<void> {
    const wire = await this.#open(true);
    await wire.send(this.#sending(text));
    const refusals = [...HOST_REFUSALS, ...Object.values(REFUSALS).flat()].map((each) =>
      refusal(each),
    );
    const outcomes = line === undefined ? refusals : [refusal(line, headers)];
    const answer = await wire.answer('GET', line === undefined ? 30 : 8_000);
    if (answer !== undefined) check(answer, 'GET', outcomes);
    else if (line !== undefined) throw new Error('no answer');
    wire.end();
    if (answer === undefined) {
      const late = await wire.answer('GET', 2_000);
      if (late !== undefined) check(late, 'GET', outcomes);
    }
    this.drop();
  }

  async #pipeline(order: readonly number[]): Promise<void> {
    const requests = order.map((at) => READS[at] as (typeof READS)[number]);
    const wire = await this.#open();
    await wire.send(this.#sending(requests.map(([bytes]) => bytes).join('')));
    for (const [, method, line] of requests) {
      const answer = await wire.answer(method);
      if (answer === undefined) throw new Error('no answer');
      check(answer, method, [refusal(line)]);
      assert.not(answer.last);
    }
    assert.is(wire.unread, '', 'more answers than requests');
  }

  /** Goes away in the middle of a request: no answer is due, but one that comes is a refusal. */
  async #cut(which: number, at: number, how: string): Promise<void> {
    const [text, method, line] = READS[which] as (typeof READS)[number];
    const wire = await this.#open(true);
    await wire.send(this.#sending(text.slice(0, at)));
    if (how === 'end') {
      wire.end();
      const answer = await wire.answer(method, 2_000).catch(() => undefined);
      if (answer !== undefined) check(answer, method, [refusal(line), refusal(BAD_REQUEST)]);
    }
    this.drop();
  }

  #sending(text: string): Buffer {
    const bytes = Buffer.from(text, 'latin1');
    this.sent.push(bytes);
    return bytes;
  }

  async #open(anew = false): Promise<Wire> {
    if (anew || this.#wire?.isOpen === false) this.drop();
    if (this.#wire === undefined) this.sent = [];
    if (this.sent.length > 5) this.sent.shift();
    this.#wire ??= await Wire.open(this.#url);
    assert.is(this.#wire.unread, '', 'an answer that nobody asked for');
    return this.#wire;
  }
}

/** After a failure so many more are sent, for so long (ms), to find the shortest that fails. */
const MAX_SHRINKS = 200;
const SHRINK_TIME = 10_000;

/** Sends so many requests drawn from the grammar. `after` is called after each of them. */
async function fuzz(target: Target, runs: number, after: (sent: number) => Promise<void>) {
  let [sent, failedAt, shrinks, until] = [0, 0, 0, 0];
  const property = fc.asyncProperty(plan, async (drawn) => {
    shrinks += failedAt > 0 ? 1 : 0;
    if (shrinks > MAX_SHRINKS || (failedAt > 0 && performance.now() > until)) return;
    try {
      if (failedAt === 0) sent += 1;
      await target.fire(drawn);
      if (failedAt === 0) await after(sent);
    } catch (error) {
      until ||= performance.now() + SHRINK_TIME;
      failedAt ||= sent;
      const bytes = target.sent.map((each) =>
        JSON.stringify(each.toString('latin1').slice(0, 2_000)),
      );
      const what = error instanceof Error ? error.message : String(error);
      throw new Error(
        `${what}\nfound at request ${failedAt}; on its connection:\n${bytes.join('\n')}`,
        { cause: error },
      );
    }
  });
  const seed = SEED === undefined ? {} : { seed: Number(SEED) };
  await fc.assert(property, { numRuns: runs, includeErrorInReport: true, ...seed });
  return sent;
}

/** Bytes in use once all garbage is gone. */
async function memory(): Promise<number> {
  const session = new Session();
  session.connect();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i += 1) {
    await sleep(20);
    await session.post('HeapProfiler.collectGarbage');
    const { heapUsed, external } = process.memoryUsage();
    least = Math.min(least, heapUsed + external);
  }
  session.disconnect();
  return least;
}

const http = suite('Whatever is sent over HTTP');
const reached = new Map<string, number>();
let [total, skipped] = [0, 0];

http('goes to an endpoint whose refusals the model knows', () => {
  assert.equal(Object.keys(REFUSALS).toSorted(), TABLE.map(nameOf).toSorted());
});

for (const { store, share, env } of SERVICES) {
  const limited = env['RATE_LIMIT'] !== 'off';
  const rotation = env['REFRESH_ROTATION'] === 'on';
  const runs = Math.round(RUNS * share);
  const title = `is answered by the contract, on ${store}, ${limited ? 'with' : 'without'} limits`;
  const test = () =>
    withService(store, { env: { PAGES: 'off', ...env } }, async ({ url }) => {
      const model = new HttpModel({ limited, rotation });
      const target = new Target(url, model, reached);
      let before = 0;
      const sent = await fuzz(target, runs, async (count) => {
        if (count === Math.floor(runs / 3)) before = await memory();
      });
      target.drop();
      assert.is(sent, runs);
      total += sent;
      const grown = (await memory()) - before;
      const later = runs - Math.floor(runs / 3);
      console.log(`${title}: ${sent} requests, ${Math.round(grown / later)} bytes kept of each`);
      // People, sessions and counts of attempts are kept, and code grows warm: 200 to 400 bytes.
      if (store === 'memory') assert.ok(grown < 600_000 + 500 * later, `${grown} bytes were kept`);
      const { username, password, confirm_password } = ADA;
      const json = { username, email: 'last@example.com', password, confirm_password };
      assert.is((await call(url, 'POST /register', { json })).status, 201);
      // What is wrong with a password too often is limited by address, too.
      const { status } = await call(url, 'POST /login', { json });
      assert.ok(status === 200 || (limited && status === 429), `${status}`);
    });
  if (isAvailable(store)) http(title, test);
  else {
    skipped += runs;
    http.skip(title, test);
  }
}

http(`was ${RUNS} requests, of which each endpoint had its share`, () => {
  assert.is(total + skipped, RUNS);
  for (const row of TABLE) {
    const endpoint = nameOf(row);
    const refusals = REFUSALS[endpoint] ?? [];
    const of = (status: number | string, by = '') => reached.get(`${endpoint}${by} ${status}`) ?? 0;
    for (const by of row.refreshCookie ? ['', ' by cookie'] : ['']) {
      const done = of(200, by) + of(201, by) + of(204, by);
      assert.ok(done > 0, `${endpoint}${by}: never done`);
    }
    for (const status of new Set(refusals.map((line) => line.slice(0, 3)))) {
      // Whether a limit is reached is chance.
      assert.ok(status === '429' || of(status) > 0, `${endpoint}: never ${status}`);
    }
  }
});

http.run();
