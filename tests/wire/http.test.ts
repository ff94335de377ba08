import { createSecretKey } from 'node:crypto';
import { connect } from 'node:net';
import { text as readAll } from 'node:stream/consumers';
import jsonwebtoken from 'jsonwebtoken';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AuthError, type PageQuery } from '../../src/application/index.ts';
import { SECRET } from '../support/fakes.ts';
import { HTTP_HOSTS, ONE_HOST_PER_ADAPTER, type UseHost } from '../support/hosts.ts';
import {
  ADA,
  type Answer,
  assertMessage as message,
  assertReply as is,
  call,
  rawRequest,
  registered,
  withService,
} from '../support/service.ts';

/** Users whose first page can be read, and no other. */
const BREAKING_OFF = {
  page: ({ after, limit }: PageQuery) =>
    after === 0
      ? Promise.resolve(
          Array.from({ length: limit }, (_, i) => {
            const email = `${i + 1}@example.com`;
            return { id: i + 1, username: 'x', email, dateCreated: new Date(0) };
          }),
        )
      : Promise.reject(new Error('no database')),
} as never;

const NOT_STRINGS = [null, 0, 7, -1.5, true, false, [], ['x'], {}, { a: 1 }, { $ne: '' }];

const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

for (const host of HTTP_HOSTS) {
  const { store } = host;
  const http = suite(`HTTP by ${host.name}`);
  const test = (title: string, run: () => Promise<void>) => {
    if (host.isAvailable) http(title, run);
    else http.skip(title, run);
  };
  const it = (title: string, run: UseHost) => test(title, () => host.with({}, run));
  // The contract is played on every host (conformance.test.ts): more values of it, on two.
  const documented = (title: string, run: UseHost) => {
    if (ONE_HOST_PER_ADAPTER.includes(host)) it(title, run);
  };

  documented('registers: 201, and exactly the three documented members', async ({ url }) => {
    const answer = await call(url, 'POST /register', { json: ADA });
    const { access_token, refresh_token } = answer.json as Record<string, string>;
    is(answer, 201, { message: 'User created successfully', access_token, refresh_token });
    assert.match(access_token ?? '', TOKEN);
    assert.match(refresh_token ?? '', TOKEN);
  });

  documented('logs in: 200, and exactly the documented members', async ({ url }) => {
    await registered(url, { email: ' ADA@Example.com ' });
    const { email, password } = ADA;
    const answer = await call(url, 'POST /login', { json: { email, password } });
    const { access_token, refresh_token, user } = answer.json as {
      access_token: string;
      refresh_token: string;
      user: { id: number; date_created: string };
    };
    const { id, date_created } = user;
    is(answer, 200, {
      message: 'Login successful',
      access_token,
      refresh_token,
      user: { id, username: 'Ada', email: 'ada@example.com', date_created },
    });
    assert.ok(Number.isSafeInteger(id));
    assert.match(date_created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Math.abs(Date.parse(date_created) - Date.now()) < 60_000);
  });

  documented('refreshes: 200 and a new access token, as often as one likes', async ({ url }) => {
    const { refresh_token } = await registered(url);
    for (let i = 0; i < 2; i += 1) {
      const answer = await call(url, 'POST /refresh', { json: { refresh_token } });
      const { access_token } = answer.json as { access_token: string };
      is(answer, 200, { access_token });
      const hello = await call(url, 'GET /protected', { token: access_token });
      message(hello, 200, 'Hello, Ada. This is a protected route.');
    }
  });

  documented('greets the bearer by name, as it is stored', async ({ url }) => {
    const username = `<script>"é😀\\'`;
    const { access_token } = await registered(url, { username });
    const answer = await call(url, 'GET /protected', { token: access_token });
    message(answer, 200, `Hello, ${username}. This is a protected route.`);
  });

  documented(
    'lists users with the six documented members, both passwords redacted',
    async ({ url }) => {
      is(await call(url, 'GET /users'), 200, []);
      await registered(url);
      await registered(url, { email: 'eve@example.com', username: 'Eve' });
      const answer = await call(url, 'GET /users');
      const stored = answer.json as { id: number; date_created: string }[];
      const expected = [ADA, { ...ADA, email: 'eve@example.com', username: 'Eve' }];
      is(
        answer,
        200,
        expected.map(({ username, email }, i) => ({
          id: stored[i]?.id,
          username,
          email,
          password: '[REDACTED]',
          confirm_password: '[REDACTED]',
          date_created: stored[i]?.date_created,
        })),
      );
    },
  );

  it('reads no password hash for the list', async ({ url, part }) => {
    await registered(url);
    const queries: string[] = [];
    part('knex')?.on('query', ({ sql }: { sql: string }) => queries.push(sql));
    await call(url, 'GET /users');
    await call(url, 'GET /users?limit=1');
    assert.is(queries.length, store === 'memory' ? 0 : 2);
    for (const sql of queries) assert.not.match(sql, /password|\*/);
  });

  it('pages the list with limit and after, and links to the next part', async ({ url }) => {
    for (const name of ['a', 'b', 'c']) await registered(url, { email: `${name}@example.com` });
    const emails = ({ json }: Answer) => (json as { email: string }[]).map(({ email }) => email);
    const first = await call(url, 'GET /users?limit=2');
    assert.equal(emails(first), ['a@example.com', 'b@example.com']);
    const link = first.headers.get('link') ?? '';
    const { origin, pathname } = new URL(`${url}/users`);
    assert.match(link, /^<\/[a-z/]*users\?limit=2&after=\d+>; rel="next"$/);
    assert.ok(link.startsWith(`<${pathname}?`), link);
    const second = await call(origin, `GET ${link.slice(1, link.indexOf('>'))}`);
    assert.equal(emails(second), ['c@example.com']);
    assert.is(second.headers.get('link'), null);
    for (const query of ['limit=0', 'limit=x', 'limit=', 'limit=-1', 'limit=1.5', 'limit=10001']) {
      const answer = await call(url, `GET /users?${query}`);
      message(answer, 400, 'Limit must be between 1 and 10000');
    }
    message(await call(url, 'GET /users?after=x'), 400, 'Invalid after');
    message(await call(url, 'GET /users?after=99999999999999999999'), 400, 'Invalid after');
  });

  documented('finds every field missing that is absent, empty or no string', async ({ url }) => {
    const needs: [string, object, string][] = [
      ['POST /register', ADA, 'Missing required fields'],
      ['POST /login', { email: ADA.email, password: ADA.password }, 'Missing email or password'],
      ['POST /refresh', { refresh_token: 'x' }, 'Missing refresh token'],
    ];
    for (const [endpoint, sound, text] of needs) {
      for (const field of Object.keys(sound)) {
        for (const value of [...NOT_STRINGS, '', undefined]) {
          const json = { ...sound, [field]: value };
          message(await call(url, endpoint, { json }), 400, text);
        }
      }
      for (const json of [...NOT_STRINGS, 'text', [sound]]) {
        message(await call(url, endpoint, { json }), 400, text);
      }
      message(await call(url, endpoint), 400, text);
      message(await call(url, endpoint, { headers: { 'Content-Type': 'text/plain' } }), 400, text);
      const inherited = { body: '{"__proto__":{"email":"a@b.co","password":"x"}}' };
      const headers = { 'Content-Type': 'application/json' };
      message(await call(url, endpoint, { ...inherited, headers }), 400, text);
    }
    is(await call(url, 'GET /users'), 200, []);
  });

  documented('ignores members that it does not know', async ({ url }) => {
    const json = { ...ADA, id: 7, role: 'admin', date_created: 'x', password_hash: 'x' };
    assert.is((await call(url, 'POST /register', { json })).status, 201);
    const [user] = (await call(url, 'GET /users')).json as Record<string, unknown>[];
    assert.is(
      Object.keys(user ?? {}).join(),
      'id,username,email,password,confirm_password,date_created',
    );
  });

  documented('says what else is wrong with a registration', async ({ url }) => {
    const cases: [Partial<typeof ADA>, string][] = [
      [{ confirm_password: 'other' }, 'Passwords do not match'],
      [
        { password: '\u0316'.repeat(2_000), confirm_password: '\u0316'.repeat(2_001) },
        'Passwords do not match',
      ],
      [{ email: 'nonsense' }, 'Invalid email address'],
      [{ username: 'a\u0000' }, 'Invalid username'],
      [{ username: 'é'.repeat(256) }, 'Username must be at most 255 characters'],
    ];
    const passwords: [string, string][] = [
      ['\ud800'.repeat(8), 'Invalid password'],
      ['1234567', 'Password must be at least 8 characters'],
      ['x'.repeat(1025), 'Password must be at most 1024 bytes'],
      ['\u0316'.repeat(2_000), 'Password must be at most 1024 bytes'],
    ];
    const fields = passwords.map(([password, text]): [Partial<typeof ADA>, string] => [
      { password, confirm_password: password },
      text,
    ]);
    for (const [wrong, text] of [...cases, ...fields]) {
      message(await call(url, 'POST /register', { json: { ...ADA, ...wrong } }), 400, text);
    }
    is(await call(url, 'GET /users'), 200, []);
  });

  documented('registers an address once, however often and however spelt', async ({ url }) => {
    const spellings = ['ada@example.com', 'ADA@EXAMPLE.COM', ' ada@example.com'];
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        call(url, 'POST /register', { json: { ...ADA, email: spellings[i % 3] } }),
      ),
    );
    const refused = answers.filter(({ status }) => status !== 201);
    assert.is(refused.length, 29);
    for (const answer of refused) {
      message(answer, 400, 'Email already registered. Please try with different email.');
    }
  });

  documented(
    'rejects a wrong password and an unknown address in the same bytes',
    async ({ url }) => {
      await registered(url);
      const wrong = { email: ADA.email, password: 'wrong password' };
      const unknown = { email: 'nobody@example.com', password: 'wrong password' };
      const answers = [
        await call(url, 'POST /login', { json: wrong }),
        await call(url, 'POST /login', { json: unknown }),
        await call(url, 'POST /login', { json: { ...wrong, email: 'no address' } }),
        await call(url, 'POST /login', { json: { ...wrong, password: 'x'.repeat(5000) } }),
      ];
      const headers = answers.map((answer) => {
        message(answer, 401, 'Invalid email or password');
        return [...answer.headers].filter(([name]) => name !== 'date');
      });
      for (const other of headers) assert.equal(other, headers[0]);
    },
  );

  documented('tells a missing token from an invalid one', async ({ url }) => {
    const { access_token: token, refresh_token } = await registered(url);
    const missing = [
      '',
      ' ',
      'Bearer',
      'Bearer ',
      'bearer',
      'Basic YTpi',
      token,
      'Token x',
      'Digest username="a", realm="b"',
    ];
    for (const authorization of missing) {
      const headers = { Authorization: authorization };
      message(await call(url, 'GET /protected', { headers }), 401, 'Token is missing!');
    }
    message(await call(url, 'GET /protected'), 401, 'Token is missing!');
    const query = `GET /protected?access_token=${token}`;
    message(await call(url, query), 401, 'Token is missing!');
    const invalid = [
      'x',
      refresh_token,
      `${token} ${token}`,
      `${token},`,
      `${token}, Bearer ${token}`,
      `${token}, Basic x`,
      `"${token}"`,
      `${token}=`,
      token.slice(0, -1),
      `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`,
    ];
    for (const each of invalid) {
      const answer = await call(url, 'GET /protected', { token: each });
      message(answer, 401, 'Token is invalid or expired!');
      assert.is(answer.headers.get('www-authenticate'), 'Bearer error="invalid_token"');
    }
    for (const list of [
      'Bearer,',
      'Bearer, Bearer',
      `Bearer,${token}`,
      `Basic x, Bearer ${token}`,
      `Bearer ${token}\xa0`,
      `Bearer\xa0${token}`,
      `Bearer \xa0${token}`,
    ]) {
      const headers = { Authorization: list };
      const answer = await call(url, 'GET /protected', { headers });
      message(answer, 401, 'Token is invalid or expired!');
    }
    for (const scheme of ['bearer', 'BEARER', 'Bearer  ']) {
      const headers = { Authorization: `${scheme} ${token}` };
      assert.is((await call(url, 'GET /protected', { headers })).status, 200);
    }
  });

  it('refuses two Authorization headers, even of one token', async ({ url }) => {
    const { access_token: token } = await registered(url);
    const header = `Authorization: Bearer ${token}\r\n`;
    const { pathname } = new URL(`${url}/protected`);
    const start = `GET ${pathname} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`;
    assert.match(await rawRequest(url, `${start}${header}\r\n`), /^HTTP\/1.1 200 /);
    // A host that does not know the length of a body sends it in chunks.
    const refused = /^HTTP\/1.1 401 [^]*"Token is invalid or expired!"}(?:\r\n0\r\n\r\n)?$/;
    const twice = await rawRequest(url, `${start}${header}${header}\r\n`);
    assert.match(twice, refused);
    const mixed = await rawRequest(url, `${start}Authorization: Basic x\r\n${header}\r\n`);
    assert.match(mixed, refused);
  });

  documented(
    'refuses refresh tokens that are none, and refreshes with no other',
    async ({ url }) => {
      const { access_token, refresh_token } = await registered(url);
      for (const wrong of ['x', ' ', access_token, `${refresh_token}=`, `${refresh_token} `]) {
        const answer = await call(url, 'POST /refresh', { json: { refresh_token: wrong } });
        message(answer, 401, 'Invalid or expired refresh token');
      }
    },
  );

  documented('says that a user is gone, to both of their tokens', async ({ url }) => {
    const { access_token, refresh_token } = await registered(url);
    const hello = await call(url, 'GET /protected', { token: goneUserToken(access_token) });
    message(hello, 404, 'User not found');
    const json = { refresh_token: goneUserToken(refresh_token) };
    message(await call(url, 'POST /refresh', { json }), 404, 'User not found');
  });

  documented('derives who is acting from the token alone', async ({ url }) => {
    const { access_token } = await registered(url);
    await registered(url, { email: 'eve@example.com', username: 'Eve' });
    const headers = { 'X-User-Id': '2', 'X-Forwarded-User': 'Eve', Cookie: 'user=2' };
    const query = 'GET /protected?id=2&user_id=2&sub=2';
    const answer = await call(url, query, { headers, token: access_token });
    message(answer, 200, 'Hello, Ada. This is a protected route.');
  });

  it('answers the documented 500 where a part fails, and serves again after', async (service) => {
    const { url, part } = service;
    const { access_token, refresh_token } = await registered(url);
    const fault = () => Promise.reject(new Error(`fault at ${ADA.email}`));
    const { users } = part('repositories');
    const broken = ['insert', 'findById', 'findByEmail', 'page'] as const;
    for (const method of broken) users[method] = fault;
    const json = { ...ADA, refresh_token };
    const register = await call(url, 'POST /register', { json });
    message(register, 500, 'Database error occurred. Please try again.');
    message(await call(url, 'POST /login', { json }), 500, 'An error occurred');
    message(await call(url, 'POST /refresh', { json }), 500, 'An error occurred');
    const hello = await call(url, 'GET /protected', { token: access_token });
    message(hello, 500, 'An error occurred');
    message(await call(url, 'GET /users'), 500, 'An error occurred');
    for (const method of broken) Reflect.deleteProperty(users, method);
    assert.is((await call(url, 'POST /login', { json })).status, 200);
  });

  test('refuses other methods, and says which it takes', () =>
    host.with({}, async ({ url }) => {
      for (const path of ['/register', '/login', '/refresh', '/protected', '/users']) {
        const allowed = path === '/protected' || path === '/users' ? 'GET, HEAD' : 'POST';
        for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
          if (allowed.includes(method)) continue;
          const answer = await call(url, `${method} ${path}`);
          message(answer, 405, 'Method not allowed');
          assert.is(answer.headers.get('allow'), allowed);
        }
        const head = await call(url, `HEAD ${path}`);
        assert.is(head.text, '');
        assert.is(head.status, { '/protected': 401, '/users': 200 }[path] ?? 405);
      }
    }));
  test('shows the list to signed-in users only, or not at all, where it is told so', async () => {
    await host.with({ env: { USERS_ACCESS: 'authenticated' } }, async ({ url }) => {
      const { access_token, refresh_token } = await registered(url);
      message(await call(url, 'GET /users'), 401, 'Token is missing!');
      const wrong = await call(url, 'GET /users', { token: refresh_token });
      message(wrong, 401, 'Token is invalid or expired!');
      assert.is((await call(url, 'GET /users', { token: access_token })).status, 200);
    });
    await host.with({ env: { USERS_ACCESS: 'admin' } }, async ({ url, part }) => {
      const { access_token, refresh_token } = await registered(url);
      message(await call(url, 'GET /users'), 401, 'Token is missing!');
      const wrong = await call(url, 'GET /users', { token: refresh_token });
      message(wrong, 401, 'Token is invalid or expired!');
      const refused = await call(url, 'GET /users', { token: access_token });
      message(refused, 403, 'Insufficient role');
      const challenge = 'Bearer error="insufficient_scope"';
      assert.is(refused.headers.get('www-authenticate'), challenge);
      const { id } = await part('auth').findUser({ email: ADA.email });
      await part('auth').setRole({ userId: id, role: 'admin' });
      assert.is((await call(url, 'GET /users', { token: access_token })).status, 200);
      const { json } = await call(url, 'GET /account', { token: access_token });
      assert.is((json as { user: { role: string } }).user.role, 'admin');
    });
    await host.with({ env: { USERS_ACCESS: 'disabled' } }, async ({ url }) => {
      const { access_token } = await registered(url);
      for (const [method, token] of [['GET', access_token], ['POST']] as const) {
        if (host.isAlone) {
          const answer = await call(url, `${method} /users`, token ? { token } : {});
          message(answer, 404, 'Not found');
        } else {
          // In an application of somebody else's, it is for that to say what is not there.
          const headers = new Headers(token ? { Authorization: `Bearer ${token}` } : {});
          const { status } = await fetch(`${url}/users`, { method, headers });
          assert.is(status, 404);
        }
      }
    });
  });

  test('answers a disabled user as the document has it, byte for byte', () =>
    host.with({}, async ({ url, part }) => {
      const { access_token: token, refresh_token } = await registered(url);
      const login = (password: string) =>
        call(url, 'POST /login', { json: { email: ADA.email, password } });
      const wrong = await login('wrong horse');
      const { id } = await part('auth').findUser({ email: ADA.email });
      await part('auth').disableUser({ userId: id });
      const refused = await login(ADA.password);
      const seen = ({ status, text, headers }: Answer) => {
        const { date: _date, ...rest } = Object.fromEntries(headers);
        return { status, text, ...rest };
      };
      assert.equal(seen(refused), seen(wrong));
      message(refused, 401, 'Invalid email or password');
      const refreshed = await call(url, 'POST /refresh', { json: { refresh_token } });
      message(refreshed, 401, 'Invalid or expired refresh token');
      const guarded = ['GET /protected', 'GET /account', 'GET /sessions', 'POST /logout-all'];
      for (const endpoint of guarded) {
        message(await call(url, endpoint, { token }), 401, 'Token is invalid or expired!');
      }
      const taken = 'Email already registered. Please try with different email.';
      message(await call(url, 'POST /register', { json: ADA }), 400, taken);
    }));

  test('sheds the work that it cannot do, and says when to come again', async () => {
    const busy = () => Promise.reject(new AuthError('service_busy'));
    await host.with(
      { overrides: { hasher: { hash: busy, verify: busy, admit: busy } } },
      async (s) => {
        for (const endpoint of ['POST /login', 'POST /register']) {
          const answer = await call(s.url, endpoint, { json: ADA });
          message(answer, 503, 'Service is busy. Please try again.');
          assert.is(answer.headers.get('retry-after'), '1');
        }
      },
    );
  });

  test('spends one hash on a rejected login, whoever asks', async () => {
    let hashes = 0;
    const hasher = {
      hash: async () => 'hash',
      async verify() {
        hashes += 1;
        return 'wrong' as const;
      },
      admit: <T>(work: () => Promise<T>) => work(),
    };
    await host.with({ overrides: { hasher } }, async ({ url }) => {
      await registered(url);
      for (const [i, email] of [ADA.email, 'nobody@example.com', 'no address'].entries()) {
        const json = { email, password: 'wrong password' };
        message(await call(url, 'POST /login', { json }), 401, 'Invalid email or password');
        assert.is(hashes, i + 1);
      }
    });
  });

  test('answers in time although a part does not answer at all', async () => {
    const users = new Proxy({}, { get: () => () => new Promise(() => {}) }) as never;
    await host.with({ overrides: { users } }, async ({ url }) => {
      const started = performance.now();
      const [login, register, list] = await Promise.all([
        call(url, 'POST /login', { json: ADA }),
        call(url, 'POST /register', { json: ADA }),
        call(url, 'GET /users'),
      ]);
      message(login, 500, 'An error occurred');
      message(register, 500, 'Database error occurred. Please try again.');
      message(list, 500, 'An error occurred');
      assert.ok(performance.now() - started < 5_000);
    });
  });

  test('breaks off a list whose rest cannot be read, so that nobody takes it for whole', async () => {
    await host.with({ overrides: { users: BREAKING_OFF } }, async ({ url }) => {
      const broken = await call(url, 'GET /users').catch(() => 'broken');
      assert.is(broken, 'broken');
      assert.is((await call(url, 'GET /nothing')).status, 404, 'and serves on');
    });
  });

  if (host.isAlone) {
    test('refuses bodies that are no JSON, of another type, compressed or too large', () =>
      host.with({}, async ({ url }) => {
        const json = { 'Content-Type': 'application/json' };
        const post = (body: string | Uint8Array, headers: Record<string, string> = json) =>
          call(url, 'POST /login', { body, headers });
        for (const body of ['{', '{"a":}', 'x', '{"email":"a"', "{'a':1}", '\u0000', '[1,]']) {
          message(await post(body), 400, 'Malformed JSON');
        }
        message(await post(new Uint8Array([123, 34, 0xff, 34, 125])), 400, 'Malformed JSON');
        const types = ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx'];
        const charsets = ['utf-16', 'utf-16le', 'latin1', 'iso-8859-1', 'utf-7'];
        for (const type of [
          ...types,
          ...charsets.map((name) => `application/json; charset=${name}`),
        ]) {
          const answer = await post('{}', { 'Content-Type': type });
          message(answer, 415, 'Content-Type must be application/json');
        }
        for (const type of [
          'application/json; charset=UTF-8',
          'Application/JSON',
          'application/json;',
        ]) {
          message(await post('{}', { 'Content-Type': type }), 400, 'Missing email or password');
        }
        for (const encoding of ['gzip', 'br', 'deflate', 'x']) {
          const answer = await post('{}', { ...json, 'Content-Encoding': encoding });
          message(answer, 415, 'Unsupported encoding');
        }
        const filled = (length: number) => `{"email":"${'x'.repeat(length - 12)}"}`;
        message(await post(filled(16 * 1024)), 400, 'Missing email or password');
        message(await post(filled(16 * 1024 + 1)), 413, 'Request body is too large');
        message(await post(filled(1024 * 1024)), 413, 'Request body is too large');
        message(await post('['.repeat(16_000)), 400, 'Malformed JSON');
        message(
          await post('['.repeat(8_000) + ']'.repeat(8_000)),
          400,
          'Missing email or password',
        );
      }));

    test('knows no other path, not even a similar one', () =>
      host.with({ env: { PAGES: 'off' } }, async ({ url }) => {
        const paths = [
          '/',
          '/nothing',
          '/login/',
          '/Login',
          '/login/x',
          '//login',
          '/%6Cogin%00',
          '/%zz',
        ];
        for (const path of [...paths, '/users/1', '/users/', '/index.html', '/favicon.ico']) {
          for (const method of ['GET', 'POST']) {
            message(await call(url, `${method} ${path}`), 404, 'Not found');
          }
        }
      }));
  }

  http.run();
}

/** The token of a user who never was, signed as the service does: in memory nobody can delete one. */
function goneUserToken(token: string): string {
  const { header, payload } = jsonwebtoken.decode(token, { complete: true }) ?? {};
  return jsonwebtoken.sign(
    { ...(payload as object), sub: '999' },
    createSecretKey(SECRET, 'utf8'),
    { algorithm: 'HS256', header: { alg: 'HS256', typ: header?.typ ?? '' } },
  );
}

const host = suite('HTTP by the service, whatever the store');

host('finds nothing, in JSON too, where the target is no URL', () =>
  withService('memory', {}, async ({ url }) => {
    for (const target of ['http://[/users', 'http://[x/login', 'https://a[b]/']) {
      const request = `POST ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
      const answer = await rawRequest(url, request);
      assert.match(answer, /^HTTP\/1.1 404 [^]*nosniff[^]*\r\n\r\n{"message":"Not found"}$/);
    }
  }),
);

host('refuses to trace, and says what it takes', () =>
  withService('memory', {}, async ({ url }) => {
    for (const path of ['/register', '/login', '/refresh', '/protected', '/users']) {
      const request = `TRACE ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
      assert.match(await rawRequest(url, request), /^HTTP\/1.1 405 [^]*"Method not allowed"}$/);
    }
  }),
);

host('answers broken HTTP in JSON too', () =>
  withService('memory', {}, async ({ url }) => {
    assert.match(
      await rawRequest(url, 'nonsense\r\n\r\n'),
      /^HTTP\/1.1 400 [^]*{"message":"Bad request"}$/,
    );
    const long = `GET / HTTP/1.1\r\nHost: x\r\nA: ${'x'.repeat(20_000)}\r\n\r\n`;
    assert.match(await rawRequest(url, long), /^HTTP\/1.1 431 [^]*{"message":"Header too large"}$/);
    const both =
      'POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n';
    assert.match(await rawRequest(url, both), /^HTTP\/1.1 400 [^]*{"message":"Bad request"}$/);
  }),
);

host('answers what Node would refuse by itself in JSON too', () =>
  withService('memory', {}, async ({ url }) => {
    const answers: [string, string][] = [
      ['GET /users HTTP/1.1\r\n\r\n', '400 Bad Request'],
      ['GET /users HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n', '417 Expectation Failed'],
      ['CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', '405 Method Not Allowed'],
    ];
    for (const [request, status] of answers) {
      const answer = await rawRequest(url, request);
      assert.match(answer, `HTTP/1.1 ${status}\r\n`);
      assert.match(answer, /\r\n\r\n{"message":"[A-Z][a-z ]+"}$/);
    }
    const tunnel = await rawRequest(url, 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.match(tunnel, /\r\nAllow: \r\n/, 'every 405 says what is allowed');
    const http10 = await rawRequest(url, 'GET /users HTTP/1.0\r\n\r\n');
    assert.match(http10, 'HTTP/1.1 200 OK', 'HTTP/1.0 has no Host');
  }),
);

host('resets the connection of a list that breaks off, also where it was to be the last', () =>
  withService('memory', { overrides: { users: BREAKING_OFF } }, async ({ url }) => {
    const request = 'GET /users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const end = await rawRequest(url, request).catch(({ code }: { code: string }) => code);
    assert.is(end, 'ECONNRESET');
  }),
);

host('stops although a client that asked for a tunnel sends on and stays', () =>
  withService('memory', {}, async ({ url, stop }) => {
    const port = Number(new URL(url).port);
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    client.on('error', () => {}).write('CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => client.once('data', resolve));
    client.write('more');
    const stopped = stop().then(() => 'stopped');
    const late = new Promise((resolve) => setTimeout(resolve, 3_000, 'still running'));
    assert.is(await Promise.race([stopped, late]), 'stopped');
    client.destroy();
  }),
);

host('lets a client read what it did wrong while it sends on', () =>
  withService('memory', {}, async ({ url }) => {
    const client = connect(Number(new URL(url).port), '127.0.0.1');
    client.write(`GET / HTTP/1.1\r\nHost: x\r\nA: ${'x'.repeat(20_000)}`);
    for (let i = 0; i < 3; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      client.write('x'.repeat(20_000));
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.match(await readAll(client), /^HTTP\/1.1 431 [^]*{"message":"Header too large"}$/);
  }),
);

host('does not answer garbage in the place of the request before it', async () => {
  const users = { page: () => new Promise(() => {}) } as never;
  await withService('memory', { overrides: { users } }, async ({ url }) => {
    const valid = 'GET /users HTTP/1.1\r\nHost: x\r\n\r\n';
    assert.is(await rawRequest(url, `${valid}GARBAGE\r\n\r\n`), '');
  });
});

host('refuses a body that is too large before it has come in', () =>
  withService('memory', {}, async ({ url }) => {
    const refused = /^HTTP\/1.1 413 [^]*{"message":"Request body is too large"}$/;
    const start = 'POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const announced = `${start}Content-Length: 9999999\r\n\r\n{`;
    assert.match(await rawRequest(url, announced), refused);
    const expecting = `${start}Content-Length: 9999999\r\nExpect: 100-continue\r\n\r\n`;
    assert.match(await rawRequest(url, expecting), refused);
    const chunk = `1000\r\n${'x'.repeat(0x1000)}\r\n`;
    const endless = `${start}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}`;
    assert.match(await rawRequest(url, endless), refused);
    const fine = `${start}Connection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}`;
    assert.match(await rawRequest(url, fine), /^HTTP\/1.1 100 [^]*HTTP\/1.1 400 /);
  }),
);

host('survives clients that give up in the middle of a body', () =>
  withService('memory', {}, async ({ url }) => {
    for (let i = 0; i < 20; i += 1) {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.write('POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"email"');
      await new Promise((resolve) => setTimeout(resolve, 5));
      socket.destroy();
    }
    assert.is((await call(url, 'GET /users')).status, 200);
  }),
);

host('refuses common passwords where it is told so', () =>
  withService('memory', { env: { PASSWORD_BLOCKLIST: 'on' } }, async ({ url }) => {
    for (const password of ['password', 'PassWord', 'iloveyou', 'baseball1']) {
      const json = { ...ADA, password, confirm_password: password };
      message(await call(url, 'POST /register', { json }), 400, 'Password is too common');
    }
    await registered(url);
  }),
);

host('heeds the length that it is told', () =>
  withService('memory', { env: { PASSWORD_MIN_LENGTH: '14' } }, async ({ url }) => {
    const answer = await call(url, 'POST /register', { json: ADA });
    message(answer, 400, 'Password must be at least 14 characters');
  }),
);

host('lets requests under way finish when it stops, and takes no more', async () => {
  let release = () => {};
  const held = new Promise<undefined>((resolve) => {
    release = () => resolve(undefined);
  });
  const users = { findByEmail: () => held } as never;
  await withService('memory', { overrides: { users } }, async ({ url, stop }) => {
    const login = call(url, 'POST /login', { json: ADA });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const stopped = stop();
    const refused = await call(url, 'GET /users').catch(() => 'refused');
    assert.is(refused, 'refused');
    release();
    const answer = await login;
    message(answer, 401, 'Invalid email or password');
    assert.is(answer.headers.get('connection'), 'close');
    await stopped;
  });
});

host.run();
