import { createServer } from 'node:http';
import express, { type Express } from 'express';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { authRouter, expressApp } from '../../src/adapters/http/hosts/express.ts';
import { fetchHandler, type HostOptions } from '../../src/adapters/http/hosts/fetch.ts';
import { createAuth, type Email } from '../../src/application/index.ts';
import { fakePorts, withMethods } from '../support/fakes.ts';
import { HTTP_HOSTS, type UseHost } from '../support/hosts.ts';
import {
  ADA,
  type Answer,
  assertMessage,
  assertReply,
  call,
  type Call,
  rawRequest,
  type ServiceOptions,
  withService,
} from '../support/service.ts';

const NAME = 'portcullis_refresh_token';
const ATTRIBUTES = 'Path=/; HttpOnly; SameSite=Strict';
const CLEARED = `${NAME}=; ${ATTRIBUTES}; Max-Age=0`;
const MONTH = 30 * 24 * 60 * 60;
const APP = 'https://app.example.com';
const ROTATION = { env: { REFRESH_ROTATION: 'on' } };
const CREDENTIALS = { email: ADA.email, password: ADA.password };

/** The endpoints that know of the cookie, in an order in which all of them can succeed. */
const ENDPOINTS = [
  'POST /register',
  'POST /login',
  'POST /refresh',
  'POST /logout',
  'POST /logout-all',
  'DELETE /account',
] as const;

/** A request in cookie mode, with the cookie of this token, if any. */
function ask(url: string, endpoint: string, token?: string, sent: Call = {}): Promise<Answer> {
  const cookie = token === undefined ? undefined : { Cookie: `theme=dark; ${NAME}=${token}` };
  const headers = { 'Refresh-Token-Mode': 'cookie', ...cookie, ...sent.headers };
  return call(url, endpoint, { ...sent, headers });
}

function setCookie({ headers }: Answer): string | undefined {
  const cookies = headers.getSetCookie();
  assert.ok(cookies.length < 2, 'one cookie at most');
  return cookies[0];
}

/** The token that a reply keeps in the cookie, for as long as it is good. */
function keptIn(answer: Answer): string {
  const [, token = ''] =
    new RegExp(`^${NAME}=([\\w-]+\\.[\\w-]+\\.[\\w-]+); (.*)$`).exec(setCookie(answer) ?? '') ?? [];
  const { exp, iat } = JSON.parse(
    Buffer.from(token.split('.')[1] ?? '', 'base64url').toString(),
  ) as Record<string, number>;
  const lifetime = Number(exp) - Number(iat);
  assert.ok(lifetime > MONTH - 60 && lifetime <= MONTH, `${lifetime} s`);
  assert.is(setCookie(answer), `${NAME}=${token}; ${ATTRIBUTES}; Max-Age=${lifetime}`);
  assert.not(answer.text.includes(token.split('.')[2] ?? ''));
  return token;
}

interface SignedIn {
  readonly access: string;
  readonly refresh: string;
}

/** Registers Ada, or who is given, in cookie mode. */
async function signUp(url: string, fields: object = {}): Promise<SignedIn> {
  const answer = await ask(url, 'POST /register', undefined, { json: { ...ADA, ...fields } });
  assert.is(answer.status, 201, answer.text);
  const { access_token: access } = answer.json as { access_token: string };
  return { access, refresh: keptIn(answer) };
}

async function sessionCount(url: string, { access: token }: SignedIn): Promise<number> {
  return ((await call(url, 'GET /sessions', { token })).json as unknown[]).length;
}

for (const host of HTTP_HOSTS) {
  const cookies = suite(`Refresh tokens in a cookie, by ${host.name}`);
  const it = (title: string, use: UseHost, options: ServiceOptions = {}) => {
    const test = () => host.with(options, use);
    if (host.isAvailable) cookies(title, test);
    else cookies.skip(title, test);
  };

  it('are given at a sign-in, and shown nowhere else', async ({ url }) => {
    const made = await ask(url, 'POST /register', undefined, { json: ADA });
    keptIn(made);
    const { access_token } = made.json as { access_token: string };
    assertReply(made, 201, { message: 'User created successfully', access_token });
    assert.is((await call(url, 'GET /protected', { token: access_token })).status, 200);

    const login = await ask(url, 'POST /login', undefined, { json: CREDENTIALS });
    keptIn(login);
    const { user, ...rest } = login.json as { user: object; access_token: string };
    const { access_token: other } = rest;
    assertReply(login, 200, { message: 'Login successful', access_token: other, user });

    const json = { ...ADA, email: 'eve@example.com' };
    const headers = { Prefer: 'return=representation' };
    const shown = await ask(url, 'POST /register', undefined, { json, headers });
    keptIn(shown);
    assert.equal(Object.keys(shown.json as object), ['message', 'access_token', 'user']);
  });

  it('are given to nobody who does not ask for it', async ({ url }) => {
    const { refresh } = await signUp(url, { email: 'eve@example.com' });
    const headers = { Cookie: `${NAME}=${refresh}` };
    const made = await call(url, 'POST /register', { json: ADA, headers });
    const { access_token, refresh_token } = made.json as Record<string, string>;
    const message = 'User created successfully';
    assertReply(made, 201, { message, access_token, refresh_token });
    const answers = [
      made,
      await call(url, 'POST /login', { json: CREDENTIALS, headers }),
      await call(url, 'POST /refresh', { json: { refresh_token }, headers }),
      await call(url, 'POST /refresh', { json: { refresh_token: 'x' }, headers }),
      await call(url, 'POST /logout', { json: { refresh_token }, headers }),
    ];
    for (const answer of answers) assert.is(setCookie(answer), undefined);
    for (const endpoint of ['POST /refresh', 'POST /logout']) {
      assertMessage(await call(url, endpoint, { headers }), 400, 'Missing refresh token');
      const json = {};
      assertMessage(await call(url, endpoint, { headers, json }), 400, 'Missing refresh token');
    }
    assert.is((await ask(url, 'POST /refresh', refresh)).status, 200);
  });

  it('are taken from the cookie, and from nowhere else', async ({ url }) => {
    const { refresh } = await signUp(url);
    const answer = await ask(url, 'POST /refresh', refresh);
    const { access_token } = answer.json as { access_token: string };
    assertReply(answer, 200, { access_token });
    assert.is(setCookie(answer), undefined, 'the one that there is stays');
    assert.is((await call(url, 'GET /protected', { token: access_token })).status, 200);
    const other = { json: { refresh_token: 'x' } };
    assert.is((await ask(url, 'POST /refresh', refresh, other)).status, 200);
    for (const endpoint of ['POST /refresh', 'POST /logout']) {
      const missing = await ask(url, endpoint, undefined, { json: { refresh_token: refresh } });
      assertMessage(missing, 400, 'Missing refresh token');
      assert.is(setCookie(missing), undefined);
      assertMessage(await ask(url, endpoint, ''), 400, 'Missing refresh token');
    }
    const raw = [
      `POST ${new URL(url).pathname.replace(/\/$/, '')}/refresh HTTP/1.1`,
      'Host: localhost',
      'Connection: close',
      'Refresh-Token-Mode: cookie',
      `Cookie: ${NAME}=${refresh}`,
    ];
    assert.match(await rawRequest(url, [...raw, '', ''].join('\r\n')), /^HTTP\/1\.1 200 /);
  });

  it('are told apart from all else that a Cookie header holds', async ({ url }) => {
    const { refresh } = await signUp(url);
    const statuses: readonly [cookie: string, status: number][] = [
      [`${NAME}=${refresh}`, 200],
      [`a=b;${NAME}=${refresh}`, 200],
      [`a; =; ;; ${NAME}=${refresh} ; ${NAME}2=x; x${NAME}=y; A=${NAME}=z`, 200],
      ['a=b', 400],
      [NAME, 400],
      [`${NAME}=`, 400],
      [`${NAME.toUpperCase()}=${refresh}`, 400],
      [`__Host-${NAME}=${refresh}`, 400],
      [`x=${NAME}=${refresh}`, 400],
      [`${NAME}=${refresh}; ${NAME}=${refresh}`, 401],
      [`${NAME}=; ${NAME}=${refresh}`, 401],
      [`${NAME}=${refresh}; ${NAME}=x`, 401],
      [`${NAME}="${refresh}"`, 401],
      [`${NAME}=${refresh},${NAME}=x`, 401],
      [`${NAME}=${refresh} x`, 401],
      [`${NAME}=%65${refresh.slice(1)}`, 401],
      [`${NAME}=${refresh}x`, 401],
      [`${NAME}=${'x'.repeat(5_000)}`, 401],
      [`\t ${NAME}=${refresh} \t; a=b`, 200],
      [`a=${' '.repeat(6_000)}b; ${NAME}=${refresh}`, 200],
      // A header of more than 8 KiB is not read.
      [`a=${' '.repeat(8_192)}b; ${NAME}=${refresh}`, 400],
      [`${NAME}=${'x'.repeat(10_000)}`, 400],
    ];
    for (const [Cookie, status] of statuses) {
      const answer = await ask(url, 'POST /refresh', undefined, { headers: { Cookie } });
      assert.is(answer.status, status, Cookie);
      assert.is(setCookie(answer), status === 401 ? CLEARED : undefined, Cookie);
    }
    const access = (await signUp(url, { email: 'eve@example.com' })).access;
    assert.is((await ask(url, 'POST /refresh', access)).status, 401, 'not an access token');
  });

  it('that are good for nothing are removed', async ({ url, part }) => {
    const { refresh } = await signUp(url);
    const invalid = await ask(url, 'POST /refresh', `${refresh}x`);
    assertMessage(invalid, 401, 'Invalid or expired refresh token');
    assert.is(setCookie(invalid), CLEARED);

    const users = part('users');
    const { user, passwordVersion = 0 } = (await users.findByEmail(ADA.email as Email)) ?? {};
    await users.delete(user?.id ?? 0, passwordVersion);
    const gone = await ask(url, 'POST /refresh', refresh);
    assertMessage(gone, 404, 'User not found');
    assert.is(setCookie(gone), CLEARED);
  });

  it('end with their session, and with their user', async ({ url }) => {
    const ada = await signUp(url);
    const logout = await ask(url, 'POST /logout', ada.refresh);
    assert.is(logout.status, 204);
    assert.is(setCookie(logout), CLEARED);
    assert.is((await ask(url, 'POST /refresh', ada.refresh)).status, 401);
    const never = await ask(url, 'POST /logout', 'x');
    assert.is(never.status, 204);
    assert.is(setCookie(never), CLEARED);

    const { access: token } = ada;
    const wrong = { token, json: { password: 'wrong' } };
    for (const [endpoint, bad, good] of [
      ['POST /logout-all', { token: 'x' }, { token }],
      ['DELETE /account', wrong, { token, json: { password: ADA.password } }],
    ] as const) {
      const again = await ask(url, 'POST /login', undefined, { json: CREDENTIALS });
      const refresh = keptIn(again);
      const refused = await ask(url, endpoint, refresh, bad);
      assert.is(refused.status, 401);
      assert.is(setCookie(refused), undefined);
      const done = await ask(url, endpoint, refresh, good);
      assert.is(done.status, 204);
      assert.is(setCookie(done), CLEARED);
      assert.ok((await ask(url, 'POST /refresh', refresh)).status > 400);
    }
    const eve = await signUp(url, { email: 'eve@example.com' });
    const gone = await ask(url, 'POST /logout-all', eve.refresh, { token });
    assertMessage(gone, 404, 'User not found');
    assert.is(setCookie(gone), undefined, 'it is of somebody else');
  });

  it('that a sign-in replaces end with it, in no other way', async ({ url }) => {
    const ada = await signUp(url);
    const wrong = { json: { ...CREDENTIALS, password: 'wrong' } };
    assert.is((await ask(url, 'POST /login', ada.refresh, wrong)).status, 401);
    assert.is(await sessionCount(url, ada), 1);
    const next = await ask(url, 'POST /login', ada.refresh, { json: CREDENTIALS });
    assert.is(await sessionCount(url, ada), 1);
    assert.is((await ask(url, 'POST /refresh', ada.refresh)).status, 401);
    assert.is((await ask(url, 'POST /refresh', keptIn(next))).status, 200);
    const json = { ...ADA, email: 'eve@example.com' };
    const eve = await ask(url, 'POST /register', keptIn(next), { json });
    assert.is(await sessionCount(url, ada), 0);
    const garbage = await ask(url, 'POST /login', 'x', { json: CREDENTIALS });
    assert.is((await ask(url, 'POST /refresh', keptIn(garbage))).status, 200);
    assert.is((await ask(url, 'POST /refresh', keptIn(eve))).status, 200);
  });

  it(
    'are replaced where they rotate, for all tabs alike',
    async ({ url }) => {
      const { refresh } = await signUp(url);
      const tabs = await Promise.all(
        Array.from({ length: 5 }, () => ask(url, 'POST /refresh', refresh)),
      );
      const kept = new Set(tabs.map(keptIn));
      assert.is(kept.size, 1, 'one successor');
      const [successor = ''] = kept;
      assert.is.not(successor, refresh);
      for (const answer of tabs) {
        const { access_token } = answer.json as { access_token: string };
        assertReply(answer, 200, { access_token });
      }
      const third = keptIn(await ask(url, 'POST /refresh', successor));
      const reused = await ask(url, 'POST /refresh', refresh);
      assertMessage(reused, 401, 'Invalid or expired refresh token');
      assert.is(setCookie(reused), CLEARED);
      assert.is((await ask(url, 'POST /refresh', third)).status, 401, 'the session has ended');
    },
    ROTATION,
  );

  it(
    'are used by no page of another origin, unless it is allowed by name',
    async ({ url }) => {
      const own = `http://${new URL(url).host}`;
      const { access, refresh } = await signUp(url);
      const foreign: Record<string, string>[] = [
        { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.com' },
        { 'Sec-Fetch-Site': 'same-site', Origin: 'https://other.example.com' },
        { 'Sec-Fetch-Site': 'cross-site', Origin: 'null' },
        { 'Sec-Fetch-Site': 'cross-site', Origin: own },
        { 'Sec-Fetch-Site': 'same-site', Origin: own },
        { 'Sec-Fetch-Site': 'cross-site' },
        { 'Sec-Fetch-Site': 'same-site' },
        { 'Sec-Fetch-Site': 'Same-Origin' },
        { 'Sec-Fetch-Site': 'same-origin, cross-site' },
        { 'Sec-Fetch-Site': 'x' },
        { Origin: 'https://evil.com' },
        { Origin: 'null' },
        { Origin: 'x' },
        { Origin: `${own}0` },
        { Origin: `${own}.evil.com` },
        { Origin: own.replace(/:\d+$/, '') },
        { Origin: `${own}, ${own}` },
        { Origin: `${APP}/` },
        { Origin: `${APP}.evil.com` },
        { Origin: `${APP}, ${APP}` },
      ];
      for (const headers of foreign) {
        for (const endpoint of ENDPOINTS) {
          const sent = { headers, token: access, json: ADA };
          const answer = await ask(url, endpoint, refresh, sent);
          assertMessage(answer, 403, 'Cross-origin request refused');
          assert.is(setCookie(answer), undefined);
          assert.is(answer.headers.get('access-control-allow-origin'), null);
        }
      }
      const mine: Record<string, string>[] = [
        {},
        { 'Sec-Fetch-Site': 'same-origin', Origin: own },
        { 'Sec-Fetch-Site': 'same-origin' },
        { 'Sec-Fetch-Site': 'same-origin', Origin: 'https://seen.by.a.proxy' },
        { 'Sec-Fetch-Site': 'none' },
        { Origin: own },
        { 'Sec-Fetch-Site': 'cross-site', Origin: APP },
        { 'Sec-Fetch-Site': 'same-site', Origin: APP },
        { Origin: APP },
      ];
      for (const headers of mine) {
        const answer = await ask(url, 'POST /refresh', refresh, { headers });
        assert.is(answer.status, 200, JSON.stringify(headers));
        const isApp = headers['Origin'] === APP;
        const allowed = answer.headers.get('access-control-allow-credentials');
        assert.is(allowed, isApp ? 'true' : null);
        assert.is(answer.headers.get('access-control-allow-origin'), isApp ? APP : null);
        assert.match(answer.headers.get('vary') ?? '', /\bOrigin\b/);
      }
      // Without the cookie any page may ask, as ever: what it needs it must bring.
      const headers = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.com' };
      assert.is((await call(url, 'POST /login', { json: CREDENTIALS, headers })).status, 200);
    },
    { env: { CORS_ORIGINS: APP } },
  );

  it('are asked for in one way, where there are any', async ({ url }) => {
    const { access: token, refresh } = await signUp(url);
    for (const mode of ['', 'Cookie', 'body', 'cookie, cookie', 'cookie,', 'true', 'cookie;a']) {
      const headers = { 'Refresh-Token-Mode': mode };
      for (const endpoint of ENDPOINTS) {
        const answer = await ask(url, endpoint, refresh, { headers, token, json: ADA });
        assertMessage(answer, 400, 'Invalid Refresh-Token-Mode');
        assert.is(setCookie(answer), undefined);
      }
      for (const endpoint of ['GET /protected', 'GET /account', 'GET /sessions', 'GET /users']) {
        assert.is((await call(url, endpoint, { headers, token })).status, 200);
      }
    }
    assert.is(await sessionCount(url, { access: token, refresh }), 1);
  });

  it('need no body, but one that is there is to be one', async ({ url }) => {
    const { refresh } = await signUp(url);
    const json = { 'Content-Type': 'application/json' };
    const all: readonly [Call, number, string][] = [
      [{ body: 'a=b', headers: { 'Content-Type': 'text/html' } }, 415, 'Content-Type must be'],
      [{ body: '{', headers: json }, 400, 'Malformed JSON'],
      [{ body: 'x'.repeat(20_000), headers: json }, 413, 'Request body is too large'],
      [{ body: '{}', headers: { ...json, 'Content-Encoding': 'gzip' } }, 415, 'Unsupported'],
    ];
    for (const endpoint of host.isAlone ? ['POST /refresh', 'POST /logout'] : []) {
      for (const [sent, status, message] of all) {
        const answer = await ask(url, endpoint, refresh, sent);
        assert.is(answer.status, status);
        assert.match(answer.text, message);
        assert.is(setCookie(answer), undefined);
      }
    }
    for (const body of ['[]', 'null', '{"refresh_token":7}']) {
      const answer = await ask(url, 'POST /refresh', refresh, { body, headers: json });
      assert.is(answer.status, 200);
    }
  });

  cookies.run();
}

const SECURE = `__Host-${NAME}`;
const SECURE_ATTRIBUTES = `${ATTRIBUTES}; Secure`;

/** What answers requests to the endpoints on these ports, by the hosts that there are. */
function handlers(ports: ReturnType<typeof fakePorts>, options?: HostOptions) {
  const auth = createAuth(ports);
  const app = expressApp(auth, options);
  return new Map<string, (use: (url: string) => Promise<void>) => Promise<void>>([
    ['Express', (use) => withApp(app, use)],
    [
      'fetch',
      (use) => {
        const handler = fetchHandler(auth, options);
        const forward = async (request: Request) => handler(request);
        return withApp(bridge(forward), use);
      },
    ],
  ]);
}

/** A Request of each request, as simple as can be: its body is JSON or none. */
function bridge(handler: (request: Request) => Promise<Response>): Express {
  const app = express().disable('x-powered-by');
  return app.use(express.text({ type: '*/*' }), async (request, response) => {
    const { method, headers } = request;
    const given = new Headers(headers as Record<string, string>);
    const body = typeof request.body === 'string' ? request.body : null;
    const url = `http://${headers.host}${request.url}`;
    const answer = await handler(new Request(url, { method, headers: given, body }));
    response.writeHead(answer.status, [...answer.headers].flat());
    response.end(await answer.text());
  });
}

async function withApp(app: Express, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  try {
    await use(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

const MODE = { 'Refresh-Token-Mode': 'cookie' };

const secure = suite('Cookies of refresh tokens');

for (const name of ['Express', 'fetch']) {
  const withHost = (
    use: (url: string) => Promise<void>,
    ports = fakePorts(),
    options?: HostOptions,
  ) => handlers(ports, options).get(name)?.(use);

  secure(`are of this host alone, and go over TLS alone, unless told otherwise: ${name}`, () =>
    withHost(async (url) => {
      const made = await call(url, 'POST /register', { json: ADA, headers: MODE });
      const [, token = ''] = /^[^=]+=([^;]+)/.exec(setCookie(made) ?? '') ?? [];
      assert.is(setCookie(made), `${SECURE}=${token}; ${SECURE_ATTRIBUTES}; Max-Age=${MONTH}`);
      const wrong = { ...MODE, Cookie: `${NAME}=${token}` };
      assert.is((await call(url, 'POST /refresh', { headers: wrong })).status, 400);
      const right = { ...MODE, Cookie: `${SECURE}=${token}` };
      assert.is((await call(url, 'POST /refresh', { headers: right })).status, 200);
      const out = await call(url, 'POST /logout', { headers: right });
      assert.is(setCookie(out), `${SECURE}=; ${SECURE_ATTRIBUTES}; Max-Age=0`);
    }),
  );

  secure(
    `hold what says of itself how long it is good, and opaque tokens too: ${name}`,
    async () => {
      const cases: readonly [token: string, cookie: string | undefined][] = [
        ['opaque', 'opaque; Path'],
        ['a.b.c', 'a.b.c; Path'],
        ...['{"exp":"x"}', '{"exp":1e300,"iat":1}', '{"exp":2.5,"iat":1}', '{"exp":1,"iat":2}'].map(
          (claims): [string, string] => [`a.${btoa(claims)}.c`.replaceAll('=', ''), 'eyJ'],
        ),
        ['with space', undefined],
        ['with;semicolon', undefined],
        ['é', undefined],
        ['x'.repeat(4096 - SECURE.length), 'xxx'],
        ['x'.repeat(4097 - SECURE.length), undefined],
      ];
      for (const [token, cookie] of cases) {
        const ports = fakePorts();
        const issueRefreshToken = async () => token;
        const tokens = withMethods(ports.tokens, { issueRefreshToken });
        const faults: unknown[] = [];
        const report = (fault: unknown) => faults.push(fault);
        const use = async (url: string) => {
          const made = await call(url, 'POST /register', { json: ADA, headers: MODE });
          assert.is(made.status, cookie === undefined ? 500 : 201);
          assert.is(faults.length, cookie === undefined ? 1 : 0);
          if (cookie === undefined) assert.is(setCookie(made), undefined);
          else assert.is(setCookie(made), `${SECURE}=${token}; ${SECURE_ATTRIBUTES}`);
        };
        await withHost(use, { ...ports, tokens }, { report });
      }
    },
  );

  secure(`replace one another although its session cannot be ended: ${name}`, async () => {
    const ports = fakePorts();
    const remove = async () => Promise.reject(new Error('no database'));
    const broken = { ...ports, sessions: withMethods(ports.sessions, { remove }) };
    await withHost(async (url) => {
      const made = await call(url, 'POST /register', { json: ADA, headers: MODE });
      const [, pair = ''] = /^([^;]+)/.exec(setCookie(made) ?? '') ?? [];
      const headers = { ...MODE, Cookie: pair };
      const login = await call(url, 'POST /login', { json: CREDENTIALS, headers });
      assert.is(login.status, 200);
      assert.ok(setCookie(login));
    }, broken);
  });
}

secure('go beside those that the application sets', async () => {
  const app = express().use((_, response, next) => {
    response.cookie('theme', 'dark');
    next();
  });
  await withApp(app.use(authRouter(createAuth(fakePorts()))), async (url) => {
    const made = await call(url, 'POST /register', { json: ADA, headers: MODE });
    const [theme, ours, ...others] = made.headers.getSetCookie();
    assert.is(theme, 'theme=dark; Path=/');
    assert.match(ours ?? '', SECURE);
    assert.equal(others, []);
  });
});

secure('are used by pages of the host that a trusted proxy names', async () => {
  const auth = createAuth(fakePorts());
  const headers = {
    ...MODE,
    Origin: 'https://auth.example.com',
    'X-Forwarded-Host': 'auth.example.com',
    Cookie: `${SECURE}=x`,
  };
  for (const [trustProxy, status] of [
    [0, 403],
    [1, 204],
  ] as const) {
    await withApp(expressApp(auth, { trustProxy }), async (url) => {
      assert.is((await call(url, 'POST /logout', { headers })).status, status);
    });
  }
});

secure('are insecure by no misspelt option', () => {
  const auth = createAuth(fakePorts());
  for (const insecureCookies of ['false', 'no', 1, null]) {
    const options = { insecureCookies } as unknown as HostOptions;
    for (const make of [authRouter, fetchHandler]) {
      assert.throws(() => make(auth, options), 'insecureCookies must be true or false');
    }
  }
});

secure('are secure where the service is in production', () =>
  withService(
    'SQLite',
    {
      env: {
        NODE_ENV: 'production',
        ARGON2_MEMORY_KIB: '19456',
        ARGON2_PASSES: '2',
      },
    },
    async ({ url }) => {
      const password = 'correct horse battery';
      const json = { ...ADA, password, confirm_password: password };
      const made = await call(url, 'POST /register', { json, headers: MODE });
      assert.match(setCookie(made) ?? '', new RegExp(`^${SECURE}=.*; Secure;`));
    },
  ),
);

secure.run();
