import { createServer } from 'node:http';
import express, { type Express } from 'express';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createClient, memoryTokens } from '../../src/adapters/http/client/client.ts';
import { authRouter, expressApp, requireUser } from '../../src/adapters/http/hosts/express.ts';
import { Argon2Hasher } from '../../src/adapters/argon2/argon2-hasher.ts';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import { fetchHandler, requireUser as requireUserOf } from '../../src/adapters/http/hosts/fetch.ts';
import { createAuth, type PageQuery } from '../../src/application/index.ts';
import { outcome, printedErrors } from '../support/expect.ts';
import { ADA as REGISTRATION, fakePorts, withAda, withMethods } from '../support/fakes.ts';
import { ADA, assertMessage, call } from '../support/service.ts';

/** An application behind a real socket, for as long as `use` takes. */
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

const router = suite('A router in an Express app');

router('leaves every path that is not of its endpoints to the app', async () => {
  const { auth } = await withAda();
  const app = express().use(authRouter(auth));
  app.get('/', (_, response) => void response.send('home'));
  app.get('/login/help', (_, response) => void response.send('help'));
  app.use((_, response) => void response.status(404).send('nowhere'));
  await withApp(app, async (url) => {
    assert.is((await call(url, 'GET /')).text, 'home');
    assert.is((await call(url, 'GET /login/help')).text, 'help');
    assert.is((await call(url, 'GET /Login')).text, 'nowhere');
    assert.is((await call(url, 'POST /login/')).text, 'nowhere');
    assertMessage(await call(url, 'GET /login'), 405, 'Method not allowed');
  });
});

router('has the endpoints that it is told to, and leaves the others to the app', async () => {
  const { auth } = await withAda();
  const app = express();
  app.use('/auth', authRouter(auth, { only: ['POST /login', 'GET /account'] }));
  app.use((_, response) => void response.status(404).send('nowhere'));
  await withApp(app, async (url) => {
    const { status, json } = await call(url, 'POST /auth/login', { json: ADA });
    assert.is(status, 200);
    const { access_token: token } = json as { access_token: string };
    assert.is((await call(url, 'GET /auth/account', { token })).status, 200);
    const other = await call(url, 'DELETE /auth/account', { token });
    assertMessage(other, 405, 'Method not allowed');
    assert.is(other.headers.get('allow'), 'GET, HEAD');
    // Not by `call`, which holds what has such a path to the document: these are the app's own.
    for (const [method, path] of [
      ['POST', '/auth/register'],
      ['GET', '/auth/users'],
      ['POST', '/login'],
    ] as const) {
      const answer = await fetch(url + path, { method });
      assert.is(await answer.text(), 'nowhere', path);
    }
  });
});

router('is not made with the name of no endpoint', async () => {
  const { auth } = await withAda();
  for (const name of ['POST /logon', '/login', 'post /login', 'constructor']) {
    const only = [name as 'POST /login'];
    assert.throws(() => authRouter(auth, { only }), `no endpoint is named ${name}`);
    assert.throws(() => fetchHandler(auth, { only }), `no endpoint is named ${name}`);
  }
});

router('reads what any parser before it has made of the body', async () => {
  const { auth } = await withAda();
  const parsers = [
    express.json(),
    express.raw({ type: '*/*' }),
    express.text({ type: '*/*' }),
    express.urlencoded(),
  ];
  for (const parser of parsers) {
    await withApp(express().use(parser, authRouter(auth)), async (url) => {
      assert.is((await call(url, 'POST /login', { json: ADA })).status, 200);
      const headers = { 'Content-Type': 'application/json' };
      const nothing = await call(url, 'POST /login', { body: '{}', headers });
      assertMessage(nothing, 400, 'Missing email or password');
      const form = await call(url, 'POST /login', {
        body: 'email=ada@example.com&password=correct+horse',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      });
      assertMessage(form, 415, 'Content-Type must be application/json');
    });
  }
});

router('takes the address of a client where the app trusts who tells it', async () => {
  for (const trusted of [true, false]) {
    const { auth } = await withAda();
    const app = express().set('trust proxy', trusted ? 1 : false);
    await withApp(app.use(authRouter(auth)), async (url) => {
      const json = { email: ADA.email, password: 'wrong horse' };
      const from = async (address: string) => {
        const headers = { 'X-Forwarded-For': address };
        return (await call(url, 'POST /login', { json, headers })).status;
      };
      for (let i = 0; i < 7; i += 1) assert.is(await from('192.0.2.1'), 401);
      assert.is(await from('192.0.2.1'), 429);
      assert.is(await from('192.0.2.2'), trusted ? 401 : 429);
    });
  }
});

router('links to the rest of a list at the path that it is mounted at', async () => {
  const { auth } = await withAda();
  await auth.registerUser({ ...REGISTRATION, email: 'eve@example.com' });
  const inner = express.Router().use('/v1', authRouter(auth));
  await withApp(express().use('/api', inner), async (url) => {
    const { headers } = await call(url, 'GET /api/v1/users?limit=1&x=1');
    assert.is(headers.get('link'), '</api/v1/users?limit=1&after=1>; rel="next"');
  });
});

router('says nothing of a fault but its kind, unless told whom to tell', async () => {
  const fault = Object.assign(new TypeError('private text'), { code: 'ECONNRESET' });
  const { auth, ada } = await withAda();
  const token = ada.accessToken;
  const broken = { ...auth, authorize: () => Promise.reject(fault) };
  const reports: unknown[] = [];
  const app = express();
  app.use('/silent', authRouter(broken), requireUser(broken));
  const report = (reported: unknown) => void reports.push(reported);
  app.use('/told', authRouter(broken, { report }), requireUser(broken, { report }));
  await withApp(app, async (url) => {
    const lines = await printedErrors(async () => {
      for (const path of ['/silent/protected', '/silent/other', '/told/protected', '/told/other']) {
        assertMessage(await call(url, `GET ${path}`, { token }), 500, 'An error occurred');
      }
    });
    const line = 'portcullis: a request failed: TypeError ECONNRESET';
    assert.equal(lines, [line, line]);
    assert.equal(reports, [fault, fault]);
  });
});

router('is an app of its own for those who have no other', async () => {
  const { auth } = await withAda();
  await withApp(expressApp(auth, { usersAccess: 'disabled' }), async (url) => {
    assert.is((await call(url, 'POST /login', { json: ADA })).status, 200);
    assertMessage(await call(url, 'GET /users'), 404, 'Not found');
    assertMessage(await call(url, 'GET /nothing'), 404, 'Not found');
  });
});

router('answers all the same where whom it is to tell of a fault fails, too', async () => {
  const { auth, ada } = await withAda();
  const broken = { ...auth, authorize: () => Promise.reject(new Error('private text')) };
  const failing = [
    () => {
      throw new TypeError('private text');
    },
    () => Promise.reject(new TypeError('private text')),
  ];
  for (const report of failing) {
    await withApp(express().use(authRouter(broken, { report })), async (url) => {
      const lines = await printedErrors(async () => {
        const answer = await call(url, 'GET /protected', { token: ada.accessToken });
        assertMessage(answer, 500, 'An error occurred');
        const request = new Request('https://example.com/protected');
        assert.is((await fetchHandler(broken, { report })(request)).status, 500);
      });
      const line = 'portcullis: a request failed: TypeError';
      assert.equal(lines, [line, line]);
    });
  }
});

router('bears what middleware before it has done to the stream of a request', async () => {
  const { auth } = await withAda();
  const app = express();
  app.use('/text', (request, _, next) => {
    request.setEncoding('utf8');
    next();
  });
  app.use('/stopped', (request, _, next) => {
    request.pause();
    next();
  });
  app.use(['/text', '/stopped'], authRouter(auth));
  await withApp(app, async (url) => {
    for (const path of ['/text', '/stopped']) {
      assert.is((await call(url, `POST ${path}/login`, { json: ADA })).status, 200, path);
    }
  });
});

const guard = suite('requireUser');

guard('puts the user on the request, and nobody else through', async () => {
  const { auth, ada } = await withAda();
  const app = express();
  app.get('/me', requireUser(auth), (request, response) => {
    response.json({ hello: request.user?.username, id: request.user?.id });
  });
  await withApp(app, async (url) => {
    const me = await call(url, 'GET /me', { token: ada.accessToken });
    assert.equal(me.json, { hello: 'Ada', id: ada.user.id });
    assertMessage(await call(url, 'GET /me'), 401, 'Token is missing!');
    const refused = await call(url, 'GET /me', { token: ada.refreshToken });
    assertMessage(refused, 401, 'Token is invalid or expired!');
    assert.is(refused.headers.get('www-authenticate'), 'Bearer error="invalid_token"');
    const headers = { Authorization: `Bearer ${ada.accessToken}, Bearer ${ada.accessToken}` };
    assertMessage(await call(url, 'GET /me', { headers }), 401, 'Token is invalid or expired!');
    await auth.deleteAccount({ accessToken: ada.accessToken, password: ADA.password });
    assertMessage(await call(url, 'GET /me', { token: ada.accessToken }), 404, 'User not found');
  });
});

guard('takes no user that was there before, and leaves errors after it to the app', async () => {
  const { auth, ada } = await withAda();
  const app = express();
  app.use((request, _, next) => {
    Object.assign(request, { user: { id: 999, username: 'Eve' } });
    next();
  });
  app.get('/me', requireUser(auth), (request, response) => void response.json(request.user?.id));
  app.get('/fails', requireUser(auth), () => {
    throw new Error('of the app');
  });
  app.use(((error: Error, _request, response, _next) => {
    response.status(418).send(error.message);
  }) satisfies express.ErrorRequestHandler);
  await withApp(app, async (url) => {
    assertMessage(await call(url, 'GET /me'), 401, 'Token is missing!');
    assert.is((await call(url, 'GET /me', { token: ada.accessToken })).json, ada.user.id);
    const failed = await call(url, 'GET /fails', { token: ada.accessToken });
    assert.is(failed.text, 'of the app');
    assert.is(failed.status, 418);
  });
});

guard('lets nobody through who lacks the role, and takes no role that is none', async () => {
  const { auth, ada } = await withAda();
  const admin = { role: 'admin' } as const;
  const app = express();
  app.get('/admin', requireUser(auth, admin), ({ user }, response) => {
    response.json(user?.role);
  });
  const request = new Request('https://example.com/admin', {
    headers: { authorization: `Bearer ${ada.accessToken}` },
  });
  const adminOf = requireUserOf(auth, admin);
  await withApp(app, async (url) => {
    const refused = await call(url, 'GET /admin', { token: ada.accessToken });
    assertMessage(refused, 403, 'Insufficient role');
    assert.is(refused.headers.get('www-authenticate'), 'Bearer error="insufficient_scope"');
    const response = await adminOf(request);
    assert.ok(response instanceof Response);
    assert.is(response.status, 403);
    assert.equal(await response.json(), { message: 'Insufficient role' });
    await auth.setRole({ userId: ada.user.id, role: 'admin' });
    assert.is((await call(url, 'GET /admin', { token: ada.accessToken })).json, 'admin');
    assert.is(Reflect.get(await adminOf(request), 'role'), 'admin');
  });
  for (const role of ['Admin', '', null, undefined, 7]) {
    const options = { role } as never;
    assert.throws(() => requireUser(auth, options), /role cannot be/);
    assert.throws(() => requireUserOf(auth, options), /role cannot be/);
  }
  assert.throws(() => requireUser(auth, { rôle: 'admin' } as never), /no option rôle/);
});

guard('tells a fetch host who asks, or what to answer', async () => {
  const { auth, ada } = await withAda();
  const userOf = requireUserOf(auth);
  const request = (authorization?: string) =>
    new Request('https://example.com/me', { headers: authorization ? { authorization } : {} });
  const record = { ...ada.user, role: 'user', disabled: false };
  assert.equal(await userOf(request(`Bearer ${ada.accessToken}`)), record);
  const refused = await userOf(request());
  assert.ok(refused instanceof Response);
  assert.is(refused.status, 401);
  assert.is(refused.headers.get('www-authenticate'), 'Bearer');
  assert.equal(await refused.json(), { message: 'Token is missing!' });
});

const handler = suite('A fetch handler');

const JSON_TYPE = { 'Content-Type': 'application/json' };

handler('answers below its prefix alone', async () => {
  const { auth } = await withAda();
  const handle = fetchHandler(auth, { prefix: '/api/auth' });
  const status = async (path: string) =>
    (await handle(new Request(`https://example.com${path}`))).status;
  assert.is(await status('/api/auth/protected'), 401);
  for (const path of [
    '/protected',
    '/api/authprotected',
    '/api/auth',
    '/api/auth/',
    '/',
    '/api/protected',
    '/api/evil/protected', // As long as the prefix.
  ]) {
    assert.is(await status(path), 404, path);
  }
  for (const prefix of ['api', '/', '/api/', '/api?x', '//', 'https://example.com/api']) {
    assert.throws(() => fetchHandler(auth, { prefix }), 'prefix must be like /api/auth');
  }
});

handler('counts attempts by the address that it is told, or by account alone', async () => {
  for (const isTold of [true, false]) {
    const { auth } = await withAda();
    const address = ({ headers }: Request) => headers.get('x-real-ip') ?? undefined;
    const handle = fetchHandler(auth, isTold ? { address } : {});
    const from = async (ip: string) => {
      const body = JSON.stringify({ email: ADA.email, password: 'wrong horse' });
      const headers = { ...JSON_TYPE, 'X-Real-IP': ip };
      const request = new Request('https://example.com/login', { method: 'POST', headers, body });
      return (await handle(request)).status;
    };
    for (let i = 0; i < 7; i += 1) assert.is(await from('192.0.2.1'), 401);
    assert.is(await from('192.0.2.1'), isTold ? 429 : 401);
    assert.is(await from('192.0.2.2'), 401);
  }
});

handler('answers 500, and does not reject, where the host spoils a request', async () => {
  const { auth } = await withAda();
  const reports: unknown[] = [];
  const report = (fault: unknown) => void reports.push(fault);
  const request = new Request('https://example.com/login', {
    method: 'POST',
    headers: JSON_TYPE,
    body: '{}',
  });
  await request.text();
  const read = await fetchHandler(auth, { report })(request);
  assert.is(read.status, 500);
  assert.equal(await read.json(), { message: 'An error occurred' });
  const address = () => {
    throw new Error('no address');
  };
  const lost = await fetchHandler(auth, { report, address })(
    new Request('https://example.com/users'),
  );
  assert.is(lost.status, 500);
  assert.equal(
    reports.map((fault) => (fault as Error).message),
    ['the body of the request has been read before', 'no address'],
  );
});

handler('refuses a body that does not end, or breaks off', async () => {
  const { auth } = await withAda();
  const handle = fetchHandler(auth);
  const post = (pull: (controller: ReadableStreamDefaultController<Uint8Array>) => void) => {
    const init = { method: 'POST', headers: JSON_TYPE, duplex: 'half' as const };
    const body = new ReadableStream<Uint8Array>({ pull });
    return handle(new Request('https://example.com/login', { ...init, body }));
  };
  const endless = await post((controller) => controller.enqueue(new Uint8Array(10_000)));
  assert.is(endless.status, 413);
  const broken = await post((controller) => controller.error(new Error('gone')));
  assert.is(broken.status, 400);
  assert.equal(await broken.json(), { message: 'Incomplete request body' });
});

handler('reads no more of the list than is taken, and stops with its reader', async () => {
  const ports = fakePorts();
  let pages = 0;
  const at = new Date(0);
  const page = async ({ after, limit }: PageQuery) => {
    pages += 1;
    return Array.from({ length: limit }, (_, i) => {
      const id = after + i + 1;
      const standing = { role: 'user' as const, disabled: false };
      return {
        id,
        username: 'x',
        email: `${id}@example.com` as never,
        dateCreated: at,
        ...standing,
      };
    });
  };
  const endless = createAuth({ ...ports, users: withMethods(ports.users, { page }) });
  const response = await fetchHandler(endless)(new Request('https://example.com/users'));
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (let i = 0; i < 3; i += 1) assert.ok(!(await reader.read()).done);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const taken = pages;
  assert.ok(taken >= 3 && taken <= 5, `${taken} pages`);
  await reader.cancel();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.is(pages, taken);
});

handler('lets go of the list when its reader does', async () => {
  const { auth } = await withAda();
  let ended = false;
  async function* pages() {
    try {
      for (;;) yield [];
    } finally {
      ended = true;
    }
  }
  const listUsers = async () => ({ pages: pages(), next: undefined });
  const response = await fetchHandler({ ...auth, listUsers })(
    new Request('https://example.com/users'),
  );
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  await reader.cancel();
  assert.ok(ended);
});

handler('lets origins that are named read its replies, and no other', async () => {
  const { auth } = await withAda();
  const app = 'https://app.example.com';
  const handle = fetchHandler(auth, { corsOrigins: [app] });
  const ask = (method: string, origin: string, asked?: string) => {
    const headers = new Headers({ origin });
    if (asked) headers.set('access-control-request-method', asked);
    return handle(new Request('https://example.com/login', { method, headers }));
  };
  const preflight = await ask('OPTIONS', app, 'POST');
  assert.is(preflight.status, 204);
  assert.is(preflight.headers.get('access-control-allow-origin'), app);
  assert.is(preflight.headers.get('access-control-allow-methods'), 'POST');
  const reply = await ask('POST', app);
  assert.is(reply.headers.get('access-control-allow-origin'), app);
  assert.is(reply.headers.get('vary'), 'Origin');
  for (const other of ['https://evil.com', 'null', `${app}.evil.com`]) {
    const refused = await ask('OPTIONS', other, 'POST');
    assert.is(refused.status, 405);
    assert.is(refused.headers.get('access-control-allow-origin'), null);
  }
});

const parts = suite('The parts of an embedded system');

parts('are refused where they are told what is none', () => {
  const ports = fakePorts();
  for (const [policy, text] of [
    [{ passwordMinLength: 'twelve' }, 'passwordMinLength of the policy cannot be twelve'],
    [{ passwordMinLength: Number.NaN }, 'cannot be NaN'],
    [{ passwordMinLength: 0 }, 'cannot be 0'],
    [{ passwordMinLength: null }, 'cannot be null'],
    [{ passwordMinLenght: 12 }, 'the policy has no member passwordMinLenght'],
    [{ refreshRotation: 'off' }, 'refreshRotation of the policy cannot be off'],
    [{ isCommonPassword: true }, 'isCommonPassword of the policy cannot be true'],
  ] as [never, string][]) {
    assert.throws(() => createAuth(ports, policy), text);
  }
  const auth = createAuth(ports);
  for (const [options, text] of [
    [{ usersAccess: 'admins' }, 'usersAccess cannot be admins'],
    [{ usersAccess: 'disabledd' }, 'usersAccess cannot be disabledd'],
    [{ usersAccess: null }, 'usersAccess cannot be null'],
    [{ usersAcess: 'disabled' }, 'there is no option usersAcess'],
    [{ only: 'POST /login' }, 'only must be an array'],
    // As a text it would let in https://app.example.co, with its cookies.
    [{ corsOrigins: 'https://app.example.com' }, 'corsOrigins must be a list of origins'],
    [{ corsOrigins: ['*'] }, 'corsOrigins must be a list of origins'],
    [{ corsOrigins: ['null'] }, 'corsOrigins must be a list of origins'],
    [{ corsOrigins: ['https://app.example.com/'] }, 'corsOrigins must be a list of origins'],
    [{ corsOrigins: [5] }, 'corsOrigins must be a list of origins'],
  ] as [never, string][]) {
    assert.throws(() => authRouter(auth, options), text);
    assert.throws(() => fetchHandler(auth, options), text);
  }
  for (const trustProxy of [true, () => true, '1', -1, 1.5] as never[]) {
    assert.throws(() => expressApp(auth, { trustProxy }), 'trustProxy must be the number');
  }
  for (const none of [undefined, {}] as never[]) {
    assert.throws(() => authRouter(none), 'there are no use cases');
    assert.throws(() => fetchHandler(none), 'there are no use cases');
    assert.throws(() => requireUser(none), 'there are no use cases');
  }
  const key = 'k'.repeat(32);
  const misspelt = { key, accessTokenTTL: 60 };
  assert.throws(() => new JwtIssuer(misspelt), 'there is no option accessTokenTTL');
  const client = { baseUrl: 'http://localhost', token: memoryTokens() };
  assert.throws(() => createClient(client), 'there is no option token');
  for (const ttl of ['15m', Number.NaN, 0, -1, 1.5, Infinity] as never[]) {
    assert.throws(() => new JwtIssuer({ key, accessTokenTtl: ttl }), 'accessTokenTtl must be');
    assert.throws(() => new JwtIssuer({ key, refreshTokenTtl: ttl }), 'refreshTokenTtl must be');
  }
  for (const name of ['memoryKib', 'passes', 'parallelism', 'concurrency']) {
    for (const value of [0, -1, 1.5, Number.NaN, '2']) {
      assert.throws(() => new Argon2Hasher({ [name]: value }), `${name} must be a whole number`);
    }
  }
});

parts('keep of the default policy what is not chosen otherwise', async () => {
  const auth = createAuth(fakePorts(), { refreshRotation: true });
  const short = { ...REGISTRATION, password: 'x', confirmPassword: 'x' };
  assert.is(await outcome(auth.registerUser(short)), 'password_too_short');
});

parts('are asked for by name where one is missing', () => {
  for (const name of ['users', 'sessions', 'hasher', 'tokens', 'attempts'] as const) {
    for (const none of [undefined, null, 'memory']) {
      const given = { ...fakePorts(), [name]: none } as never;
      assert.throws(() => createAuth(given), `createAuth needs the port ${name}`);
    }
  }
  assert.throws(() => createAuth(undefined as never), 'createAuth needs the port users');
  for (const key of [undefined, null, 7, {}] as never[]) {
    assert.throws(() => new JwtIssuer({ key }), 'no key: give a secret or a KeyObject');
  }
});

parts('are of this machine where time and ids are passed on without being there', async () => {
  const given = { ...fakePorts(), clock: undefined, ids: undefined } as never;
  const { accessToken } = await createAuth(given).registerUser(REGISTRATION);
  assert.type(accessToken, 'string');
});

parts('let nobody in where the hasher says what is no verdict', async () => {
  const { ports } = await withAda();
  for (const said of [true, false, undefined, null, 'yes'] as never[]) {
    const hasher = withMethods(ports.hasher, { verify: async () => said });
    const auth = createAuth({ ...ports, hasher });
    const { accessToken } = await createAuth(ports).login(ADA);
    const { password } = ADA;
    const change = {
      currentPassword: password,
      password: 'another one',
      confirmPassword: 'another one',
    };
    assert.is(await outcome(auth.login(ADA)), 'fault', String(said));
    assert.is(await outcome(auth.changePassword({ accessToken, ...change })), 'fault');
    assert.is(await outcome(auth.deleteAccount({ accessToken, password })), 'fault');
  }
});

const beyond = suite('Beyond the document');

beyond('a registration shows the user to a client that asks for it', async () => {
  const { auth } = await withAda();
  await withApp(express().use(authRouter(auth)), async (url) => {
    const json = { ...ADA, email: 'eve@example.com', username: 'Eve' };
    const headers = { Prefer: 'respond-async, return=representation' };
    const made = await call(url, 'POST /register', { json, headers });
    assert.is(made.status, 201);
    assert.is(made.headers.get('preference-applied'), 'return=representation');
    const { user, access_token: token } = made.json as { user: object; access_token: string };
    assert.equal(Object.keys(made.json as object), [
      'message',
      'access_token',
      'refresh_token',
      'user',
    ]);
    const login = (await call(url, 'POST /login', { json })).json as { user: object };
    assert.equal(user, login.user);
    const account = await call(url, 'GET /account', { token });
    const { session_id, ...rest } = account.json as { session_id: string };
    assert.equal(rest, { user: { ...user, role: 'user' } });
    assert.match(session_id, /^[\w-]{1,64}$/);
    const others = ['return=minimal', 'xreturn=representation', 'return=representations'];
    for (const [i, prefer] of others.entries()) {
      const other = { ...json, email: `${i}@example.com` };
      const plain = await call(url, 'POST /register', { json: other, headers: { Prefer: prefer } });
      assert.equal(Object.keys(plain.json as object), ['message', 'access_token', 'refresh_token']);
    }
    assertMessage(await call(url, 'GET /account'), 401, 'Token is missing!');
  });
});

router.run();
guard.run();
handler.run();
parts.run();
beyond.run();
