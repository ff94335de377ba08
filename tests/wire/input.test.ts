import { createSecretKey } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { endpoints } from '../../src/adapters/http/contract/endpoints.ts';
import { SECRET } from '../support/fakes.ts';
import {
  ADA,
  assertMessage as message,
  call,
  type Call,
  rawRequest,
  registered,
  withService,
} from '../support/service.ts';
import { isAvailable } from '../support/stores.ts';

/** The most that a field can be of each kind in a body of 16 KiB. */
const DEEP = '['.repeat(7_800) + ']'.repeat(7_800);
const DEEP_OBJECT = '{"a":'.repeat(2_600) + '1' + '}'.repeat(2_600);

/** JSON, as text, of everything that is no string; some of it means something to some library. */
const NO_STRINGS = [
  'null',
  'true',
  'false',
  '0',
  '1',
  '-1.5',
  '1e999',
  '9007199254740993',
  '[]',
  '{}',
  '[""]',
  '["x"]',
  '[["x"]]',
  '[null]',
  '{"length":9}',
  '{"0":"x"}',
  '{"$ne":""}',
  '{"$gt":""}',
  '{"__proto__":"x"}',
  '{"__proto__":{"length":9}}',
  '{"constructor":"x"}',
  '{"prototype":{}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"toString":"x"}',
  '{"valueOf":"x"}',
  '{"toJSON":"x"}',
  '{"toSqlString":"x"}',
  '{"toSQL":"x"}',
  '{"sql":"x","bindings":[]}',
  '{"then":"x"}',
  '{"type":"Buffer","data":[120]}',
  '{"normalize":1,"trim":1}',
  DEEP,
  DEEP_OBJECT,
];

const MISSING: Readonly<Record<string, string>> = {
  'POST /register': 'Missing required fields',
  'POST /login': 'Missing email or password',
  'POST /refresh': 'Missing refresh token',
  'POST /logout': 'Missing refresh token',
  'POST /password': 'Missing required fields',
  'DELETE /account': 'Missing required fields',
};

const fields = suite('Fields');

for (const { method, path, fields: names } of endpoints()) {
  if (names === undefined) continue;
  const endpoint = `${method} ${path}`;
  for (const store of ['SQLite', 'MariaDB'] as const) {
    const test = () =>
      withService(store, {}, async ({ url, part }) => {
        const { access_token: token, refresh_token } = await registered(url);
        const current_password = ADA.password;
        const all = new Map(Object.entries({ ...ADA, current_password, refresh_token }));
        const sound = Object.fromEntries(names.map((name) => [name, all.get(name)]));
        const queries: string[] = [];
        part('knex')?.on('query', ({ sql }: { sql: string }) => queries.push(sql));
        const send = (body: string) =>
          call(url, endpoint, { body, token, headers: { 'Content-Type': 'application/json' } });
        const assertMissing = async (body: string) => {
          message(await send(body), 400, MISSING[endpoint] ?? 'no such endpoint');
        };
        for (const name of names) {
          const others = JSON.stringify({ ...sound, [name]: undefined, x: 'x' }).slice(0, -1);
          for (const value of NO_STRINGS) await assertMissing(`${others},"${name}":${value}}`);
          await assertMissing(`${others}}`);
          const own = JSON.stringify(all.get(name));
          await assertMissing(`${others},"${name.toUpperCase()}":${own}}`);
          await assertMissing(`${others},"__proto__":{"${name}":${own}}}`);
          await assertMissing(`${others},"constructor":{"prototype":{"${name}":${own}}}}`);
          // Given twice, the last one counts: here as it does for every reader of JSON in use.
          await assertMissing(`${others},"${name}":${own},"${name}":{}}`);
        }
        for (const body of NO_STRINGS) await assertMissing(body);
        // Who the bearer is may be asked; nothing else may.
        const asked =
          path === '/password' || path === '/account' ? /^select .* from .users. /i : /^$/;
        for (const sql of queries) assert.match(sql, asked);
        assert.is(Reflect.get({}, 'x'), undefined);
      });
    const title = `of ${endpoint} that are no strings are missing, and ask nothing of ${store}`;
    if (isAvailable(store)) fields(title, test);
    else fields.skip(title, test);
  }
}

fields.run();

const bodies = suite('Bodies');

bodies('have a type, which is JSON in UTF-8, and no other coding', () =>
  withService('memory', {}, async ({ url }) => {
    await registered(url);
    const body = new TextEncoder().encode(JSON.stringify(ADA));
    const status = async (headers: Record<string, string>, sent: Uint8Array = body) =>
      (await call(url, 'POST /login', { body: sent, headers })).status;
    assert.is(await status({}), 415);
    for (const type of [
      '',
      'application/json; charset=utf-16',
      'application/json; charset="UTF-16LE"',
      'application/json;charset=utf-7',
      'application/json; charset=latin1',
      'application/json; charset=utf-8; charset=utf-16',
      'application/json; charset =utf-8',
      'application/json; charset=',
      'application/json, text/plain',
      'text/plain; application/json',
      'application/json+x',
      'application/problem+json',
      'multipart/form-data; boundary=application/json',
    ]) {
      assert.is(await status({ 'Content-Type': type }), 415, type);
    }
    const json = { 'Content-Type': 'application/json' };
    for (const coding of ['gzip', 'GZIP', 'deflate', 'br', 'zstd', 'identity, gzip', 'x']) {
      assert.is(await status({ ...json, 'Content-Encoding': coding }), 415, coding);
    }
    assert.is(await status({ ...json, 'Content-Encoding': 'identity' }), 200);
    assert.is(await status({ 'Content-Type': 'application/json; charset="utf-8"' }), 200);
  }),
);

bodies('may begin with the mark of UTF-8, and with that of no other', () =>
  withService('memory', {}, async ({ url }) => {
    await registered(url);
    const headers = { 'Content-Type': 'application/json' };
    const text = JSON.stringify(ADA);
    const post = (body: Uint8Array) => call(url, 'POST /login', { body, headers });
    const marked = await post(Buffer.from(`\ufeff${text}`));
    assert.is(marked.status, 200);
    const others = [`\ufeff\ufeff${text}`, ` \ufeff${text}`].map((each) => Buffer.from(each));
    const utf16 = Buffer.from(`\ufeff${text}`, 'utf16le');
    const latin1 = Buffer.from('{"email":"\u00e9@example.com","password":"x"}', 'latin1');
    const surrogate = Buffer.from('{"email":"\xed\xa0\x80","password":"x"}', 'latin1');
    const long = Buffer.from('{"email":"\xc0\xaf","password":"x"}', 'latin1');
    for (const body of [...others, utf16, Buffer.from(utf16).swap16(), latin1, surrogate, long]) {
      message(await post(body), 400, 'Malformed JSON');
    }
  }),
);

bodies('that give a field twice mean the last one', () =>
  withService('memory', {}, async ({ url }) => {
    await registered(url);
    const post = (body: string) =>
      call(url, 'POST /login', { body, headers: { 'Content-Type': 'application/json' } });
    const [email, password] = [ADA.email, ADA.password].map((text) => JSON.stringify(text));
    const twice = `{"email":"x","password":"x","email":${email},"password":${password}}`;
    assert.is((await post(twice)).status, 200);
    const escaped = `{"email":${email},"password":${password},"pass\\u0077ord":"wrong"}`;
    message(await post(escaped), 401, 'Invalid email or password');
  }),
);

bodies.run();

const tokens = suite('Tokens');

tokens('count in the Authorization header alone', () =>
  withService('memory', {}, async ({ url }) => {
    const { access_token } = await registered(url);
    const named = { access_token, token: access_token, authorization: `Bearer ${access_token}` };
    const query = new URLSearchParams(named).toString();
    const elsewhere: Call = {
      headers: {
        Cookie: `access_token=${access_token}`,
        'Proxy-Authorization': `Bearer ${access_token}`,
        'X-Authorization': `Bearer ${access_token}`,
        'X-Access-Token': access_token,
      },
    };
    const form = { body: query, headers: { 'Content-Type': 'application/x-www-form-urlencoded' } };
    for (const endpoint of ['POST /logout-all', 'POST /password', 'DELETE /account']) {
      const json = { ...named, ...ADA, current_password: ADA.password };
      for (const sent of [{ json }, { ...elsewhere, json }]) {
        message(await call(url, `${endpoint}?${query}`, sent), 401, 'Token is missing!');
      }
    }
    message(await call(url, `POST /logout-all?${query}`, form), 401, 'Token is missing!');
    for (const endpoint of ['GET /protected', 'GET /sessions', 'DELETE /sessions/x']) {
      message(await call(url, `${endpoint}?${query}`, elsewhere), 401, 'Token is missing!');
    }
    // RFC 6750 has a field of a body for it, which GET could have, too.
    const get = `GET /protected HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${query.length}\r\n\r\n${query}`;
    assert.match(await rawRequest(url, get), /^HTTP\/1.1 401 [^]*"Token is missing!"}$/);
  }),
);

tokens('longer than 4 KiB are refused unread', () =>
  withService('memory', {}, async ({ url, part }) => {
    const { access_token, refresh_token } = await registered(url);
    const { users } = part('repositories');
    const find = users.findById.bind(users);
    for (const [length, isLong] of [
      [2_000, false],
      [3_000, true],
      [8_000, true],
    ] as const) {
      const [access, refresh] = [padded(access_token, length), padded(refresh_token, length)];
      assert.is(access.length > 4_096 && refresh.length > 4_096, isLong);
      users.findById = isLong ? () => Promise.reject(new Error('asked')) : find;
      const hello = await call(url, 'GET /protected', { token: access });
      assert.is(hello.status, isLong ? 401 : 200);
      const json = { refresh_token: refresh };
      assert.is((await call(url, 'POST /refresh', { json })).status, isLong ? 401 : 200);
    }
  }),
);

/** The token with so many more characters in its claims, signed as well: all that can be wrong is its length. */
function padded(token: string, length: number): string {
  const { header, payload } = jsonwebtoken.decode(token, { complete: true }) ?? {};
  const claims = { ...(payload as object), x: 'x'.repeat(length) };
  const { alg: _, ...rest } = header ?? { alg: '' };
  const options = { algorithm: 'HS256', header: rest as jsonwebtoken.JwtHeader } as const;
  return jsonwebtoken.sign(claims, createSecretKey(SECRET, 'utf8'), options);
}

tokens('that name no session in a path are answered as such, whatever they are', () =>
  withService('memory', {}, async ({ url }) => {
    const { access_token: token } = await registered(url);
    for (const id of [
      '__proto__',
      'constructor',
      '%00',
      '%0d%0a',
      '%F0%9F%98%80',
      "'%20OR%201=1",
      '*',
    ]) {
      const answer = await call(url, `DELETE /sessions/${id}`, { token });
      message(answer, 404, 'Session not found');
    }
    assert.is((await call(url, 'GET /sessions', { token })).status, 200);
  }),
);

tokens.run();
