import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  AuthError,
  type AuthClient,
  createClient,
  type Fetch,
  memoryTokens,
  type TokenStorage,
  UnexpectedReplyError,
} from '../../src/adapters/http/client/client.ts';
import { endpoints } from '../../src/adapters/http/contract/endpoints.ts';
import { fetchHandler } from '../../src/adapters/http/hosts/fetch.ts';
import {
  type Auth,
  createAuth,
  defaultPolicy,
  type GivenPorts,
  type Policy,
  type TokenPair,
} from '../../src/application/index.ts';
import { ADA, fakePorts, withMethods } from '../support/fakes.ts';
import { withService } from '../support/service.ts';

const EVE = { ...ADA, email: 'eve@example.com', username: 'Eve', device: 'Browser/1.0' };

/** A client of use cases in this process, without a socket, and a note of each request. */
function clientOf(
  auth: Auth,
  options: { readonly tokens?: TokenStorage; readonly around?: (send: Fetch) => Fetch } = {},
) {
  const handler = fetchHandler(auth, { prefix: '/auth', report: () => {} });
  const requests: string[] = [];
  const send: Fetch = (input, init) => {
    const request = new Request(input, init);
    requests.push(`${request.method} ${new URL(request.url).pathname.replace('/auth', '')}`);
    return handler(request);
  };
  const client = createClient({
    baseUrl: 'https://example.com/auth/',
    fetch: options.around?.(send) ?? send,
    tokens: options.tokens ?? memoryTokens(),
  });
  return { client, requests, auth };
}

function service(ports: GivenPorts = fakePorts(), policy: Partial<Policy> = {}) {
  return createAuth(ports, { ...defaultPolicy, ...policy });
}

/** What became of a call: its value, or the code and bound of its refusal; faults go on. */
async function result(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    return { code: error.code, limit: error.limit };
  }
}

/** Times that no two runs share, and tokens and ids, by their order. */
function comparable(value: unknown): unknown {
  const seen = new Map<string, string>();
  const text = JSON.stringify(value, (key, member: unknown) => {
    const isSecret = /Token$|^id$|sessionId/.test(key) && typeof member === 'string';
    if (!isSecret) return /^(?:dateCreated|lastUsed|expires)$/.test(key) ? 'a time' : member;
    if (!seen.has(member)) seen.set(member, `${key} ${seen.size}`);
    return seen.get(member);
  });
  return JSON.parse(text ?? 'null');
}

type Step = (auth: Auth, state: TokenPair & { sessionId: string }) => Promise<unknown>;

const password = 'battery staple';

/** More than a service reads. */
const much = 'x'.repeat(20_000);

/** Everything that can be asked for, and every refusal of it. */
const STEPS: Readonly<Record<string, Step>> = {
  'an account': (auth) => auth.registerUser(EVE),
  'the same again': (auth) => auth.registerUser(EVE),
  nothing: (auth) => auth.registerUser({} as never),
  numbers: (auth) => auth.registerUser({ ...EVE, email: 7 } as never),
  'two passwords': (auth) => auth.registerUser({ ...EVE, confirmPassword: 'other' }),
  'no address': (auth) => auth.registerUser({ ...EVE, email: 'nonsense' }),
  'no name': (auth) => auth.registerUser({ ...EVE, username: 'a\0b' }),
  'a long name': (auth) => auth.registerUser({ ...EVE, username: 'x'.repeat(256) }),
  'a short password': (auth) => auth.registerUser({ ...EVE, password: 'x', confirmPassword: 'x' }),
  'a long password': (auth) => {
    const long = 'x'.repeat(1025);
    return auth.registerUser({ ...EVE, password: long, confirmPassword: long });
  },
  'no text': (auth) => {
    const broken = '\ud800'.repeat(8);
    return auth.registerUser({ ...EVE, password: broken, confirmPassword: broken });
  },
  'a common password': (auth) => {
    const common = 'password1';
    return auth.registerUser({ ...EVE, password: common, confirmPassword: common });
  },
  'a date for a password': (auth) => {
    const date = new Date(0);
    return auth.registerUser({ ...EVE, password: date, confirmPassword: date } as never);
  },
  'a big number': (auth) => auth.registerUser({ ...EVE, username: 7n } as never),
  'a password of much': (auth) =>
    auth.registerUser({ ...EVE, password: much, confirmPassword: much }),
  'two passwords of much': (auth) =>
    auth.registerUser({ ...EVE, password: much, confirmPassword: `${much}y` }),
  'much, and no text': (auth) => {
    const broken = `${much}\ud800`;
    return auth.registerUser({ ...EVE, password: broken, confirmPassword: broken });
  },
  'a name of much': (auth) => auth.registerUser({ ...EVE, username: much }),
  'an address of much': (auth) => auth.registerUser({ ...EVE, email: `${much}@example.com` }),
  'much and nothing': (auth) => auth.registerUser({ ...EVE, email: much, username: ' ' }),
  'much white space': (auth) =>
    auth.registerUser({
      ...EVE,
      email: 'padded@example.com',
      username: `Pad${' '.repeat(20_000)}`,
    }),
  'a broken address': (auth) => auth.registerUser({ ...EVE, email: 'a\ud800@example.com' }),
  'a login of much': (auth) => auth.login({ ...EVE, password: much }),
  'a login of a long address': (auth) => auth.login({ ...EVE, email: much }),
  'a login of much nothing': (auth) => auth.login({ ...EVE, email: ' '.repeat(20_000) }),
  'a login from nowhere': (auth) =>
    auth.login({ ...EVE, password: 'wrong horse', address: 7 } as never),
  'a login from no address': (auth) =>
    auth.login({ ...EVE, password: 'wrong horse', address: 'x\r\nEvil: x' }),
  'a login': (auth) => auth.login({ ...EVE, device: 'Other \n browser/2.0' }),
  'a wrong login': (auth) => auth.login({ ...EVE, password: 'wrong horse' }),
  'an empty login': (auth) => auth.login({ email: ' ', password: '' }),
  'who asks': (auth, { accessToken }) => auth.authorize({ accessToken }),
  nobody: (auth) => auth.authorize({ accessToken: '' }),
  'no token': (auth) => auth.authorize({ accessToken: 'x\r\nEvil: x' }),
  'a token that is a number': (auth) => auth.authorize({ accessToken: 7 } as never),
  'a long token': (auth) => auth.authorize({ accessToken: 'x'.repeat(9_000) }),
  'the other token': (auth, { refreshToken }) => auth.authorize({ accessToken: refreshToken }),
  'a refresh': (auth, { refreshToken }) => auth.refreshToken({ refreshToken }),
  'a refresh of nothing': (auth) => auth.refreshToken({ refreshToken: '' }),
  'a refresh of nonsense': (auth) => auth.refreshToken({ refreshToken: 'x' }),
  'a refresh of much': (auth) => auth.refreshToken({ refreshToken: 'x'.repeat(90_000) }),
  'a refresh of a date': (auth) => auth.refreshToken({ refreshToken: new Date(0) } as never),
  async sessions(auth, { accessToken }) {
    const sessions = await auth.listSessions({ accessToken });
    return sessions.toSorted((one, other) => (`${one.device}` < `${other.device}` ? -1 : 1));
  },
  'no session': (auth, { accessToken }) => auth.endSession({ accessToken, sessionId: '../x' }),
  'the session of nothing': (auth, { accessToken }) =>
    auth.endSession({ accessToken, sessionId: undefined } as never),
  'the list': (auth) => listed(auth, {}),
  'a part of the list': (auth) => listed(auth, { limit: 1 }),
  'the rest of it': (auth) => listed(auth, { limit: 1, after: 1 }),
  'one of the list': (auth) => listed(auth, { email: ' EVE@example.com' }),
  'nobody of the list': (auth) => listed(auth, { email: 'nobody@example.com' }),
  'a list without bounds': (auth) => listed(auth, { limit: 10_001 }),
  'a list from nowhere': (auth) => listed(auth, { after: -1 }),
  'a list from a text': (auth) => listed(auth, { after: '1' } as never),
  'a list of a text': (auth) => listed(auth, { limit: '1' } as never),
  'a list of null': (auth) => listed(auth, { limit: null } as never),
  'a list of a number': (auth) => listed(auth, { email: 7 } as never),
  'a list of a broken address': (auth) => listed(auth, { email: 'a\ud800@example.com' }),
  'a list of a long address': (auth) => listed(auth, { email: `${much}@example.com` }),
  'a list of no address': (auth) => listed(auth, { email: 'x' }),
  'a change': (auth, { accessToken }) =>
    auth.changePassword({
      accessToken,
      currentPassword: EVE.password,
      password,
      confirmPassword: password,
    }),
  'a wrong change': (auth, { accessToken }) =>
    auth.changePassword({
      accessToken,
      currentPassword: EVE.password,
      password,
      confirmPassword: password,
    }),
  'a change to much': (auth, { accessToken }) =>
    auth.changePassword({
      accessToken,
      currentPassword: password,
      password: much,
      confirmPassword: much,
    }),
  'a change from much': (auth, { accessToken }) =>
    auth.changePassword({
      accessToken,
      currentPassword: much,
      password: EVE.password,
      confirmPassword: EVE.password,
    }),
  'a change of much by nobody': (auth) =>
    auth.changePassword({
      accessToken: 'x',
      currentPassword: much,
      password: much,
      confirmPassword: much,
    }),
  'a change to nothing': (auth, { accessToken }) =>
    auth.changePassword({ accessToken, currentPassword: password } as never),
  'a session': (auth, { accessToken, sessionId }) => auth.endSession({ accessToken, sessionId }),
  'the session again': (auth, { accessToken, sessionId }) =>
    auth.endSession({ accessToken, sessionId }),
  'a refresh of what has ended': (auth, { refreshToken }) => auth.refreshToken({ refreshToken }),
  'a logout': (auth, { refreshToken }) => auth.logout({ refreshToken }),
  'a logout of much': (auth) => auth.logout({ refreshToken: much }),
  'a logout of nothing': (auth) => auth.logout({ refreshToken: '' }),
  everywhere: (auth, { accessToken }) => auth.logoutAll({ accessToken }),
  'a wrong end': (auth, { accessToken }) => auth.deleteAccount({ accessToken, password: 'wrong' }),
  'an end of much': (auth, { accessToken }) => auth.deleteAccount({ accessToken, password: much }),
  'an end of much by nobody': (auth) => auth.deleteAccount({ accessToken: 'x', password: much }),
  'an end of nothing': (auth, { accessToken }) =>
    auth.deleteAccount({ accessToken, password: undefined } as never),
  'the end': (auth, { accessToken }) => auth.deleteAccount({ accessToken, password }),
  'who is gone': (auth, { accessToken }) => auth.authorize({ accessToken }),
  'a refresh of who is gone': (auth, { refreshToken }) => auth.refreshToken({ refreshToken }),
};

async function listed(auth: Auth, query: Parameters<Auth['listUsers']>[0]): Promise<unknown> {
  const { pages, next } = await auth.listUsers(query);
  const users: unknown[] = [];
  // In process it says besides what only whoever runs the service may know.
  for await (const page of pages) {
    users.push(
      ...page.map(({ id, username, email, dateCreated }) => ({ id, username, email, dateCreated })),
    );
  }
  return { users, next };
}

/** Plays all steps on one; the results, by the names of the steps. */
async function play(auth: Auth): Promise<Record<string, unknown>> {
  await auth.registerUser(ADA);
  const results: Record<string, unknown> = {};
  let state = { accessToken: '', refreshToken: '', sessionId: '' };
  for (const [name, step] of Object.entries(STEPS)) {
    const gave = await result(step(auth, state));
    results[name] = gave;
    if (name === 'an account') {
      const { accessToken, refreshToken } = gave as TokenPair;
      const { sessionId } = await auth.authorize({ accessToken });
      state = { accessToken, refreshToken, sessionId };
    }
  }
  const wrong = { email: 'nobody@example.com', password: 'wrong horse' };
  for (let i = 0; i < 12; i += 1) results[`guess ${i}`] = await result(auth.login(wrong));
  return results;
}

const parity = suite('A client');
const isCommonPassword = (text: string) => text === 'password1';

parity('gives and refuses just what the use cases in process do', async () => {
  const direct = await play(service(fakePorts(), { isCommonPassword }));
  const { client } = clientOf(service(fakePorts(), { isCommonPassword }));
  const remote = await play(client);
  for (const [name, gave] of Object.entries(direct)) {
    assert.equal(comparable(remote[name]), comparable(gave), name);
  }
  const codes = new Set(
    Object.values(direct).map((gave) => (gave as { code?: string } | undefined)?.code),
  );
  for (const code of ['email_taken', 'session_not_found', 'user_not_found', 'too_many_attempts']) {
    assert.ok(codes.has(code), code);
  }
  const { dateCreated } = (remote['a login'] as { user: { dateCreated: Date } }).user;
  assert.instance(dateCreated, Date);
});

parity('does so at the service, too', () =>
  withService('memory', { env: { PASSWORD_BLOCKLIST: 'on' } }, async ({ url }) => {
    const direct = await play(service(fakePorts(), { isCommonPassword }));
    const remote = await play(createClient({ baseUrl: url }));
    for (const [name, gave] of Object.entries(direct)) {
      if (name.startsWith('guess')) continue; // By address here, which in process was not said.
      assert.equal(comparable(remote[name]), comparable(gave), name);
    }
  }),
);

parity('knows every refusal by its sentence', async () => {
  const busy = () => Promise.reject(new AuthError('service_busy'));
  const ports = fakePorts();
  const { client } = clientOf(
    service({ ...ports, hasher: withMethods(ports.hasher, { admit: busy }) }),
  );
  assert.equal(await result(client.login(ADA)), { code: 'service_busy', limit: undefined });
  const { client: strict } = clientOf(service(fakePorts(), { passwordMinLength: 99 }));
  assert.equal(await result(strict.registerUser(ADA)), { code: 'password_too_short', limit: 99 });
});

parity('lists users of any number, a page ahead of its reader', async () => {
  const ports = fakePorts();
  const at = new Date(0);
  const page = async ({ after, limit }: { after: number; limit: number }) => {
    const left = Math.max(0, Math.min(limit, 1_200 - after));
    return Array.from({ length: left }, (_, i) => {
      const id = after + i + 1;
      const standing = { role: 'user' as const, disabled: false };
      return { id, username: 'x', email: `${id}@x.co` as never, dateCreated: at, ...standing };
    });
  };
  const { client, requests } = clientOf(
    service({ ...ports, users: withMethods(ports.users, { page }) }),
  );
  const { pages, next } = await client.listUsers();
  assert.is(next, undefined);
  const sizes: number[] = [];
  for await (const users of pages) sizes.push(users.length);
  assert.equal(sizes, [500, 500, 200]);
  assert.is(requests.length, 3);
  const stopped = await client.listUsers();
  for await (const users of stopped.pages) {
    assert.is(users.length, 500);
    break;
  }
  await sleep(10);
  assert.is(requests.length, 5, 'the first page, and the one that was read ahead');
  const part = await client.listUsers({ limit: 700, after: 100 });
  assert.is(part.next, 800);
});

parity('knows a refusal with a wait, also where a proxy has made a date of it', async () => {
  let retryAfter: string | undefined = '7';
  const around = (send: Fetch): Fetch => {
    return async (...args) => {
      const reply = await send(...args);
      const headers = new Headers(reply.headers);
      if (retryAfter === undefined) headers.delete('Retry-After');
      else headers.set('Retry-After', retryAfter);
      return new Response(reply.body, { status: reply.status, headers });
    };
  };
  const auth = withMethods(service(), {
    login: () => Promise.reject(new AuthError('too_many_attempts', 3)),
  });
  const { client } = clientOf(auth, { around });
  for (const [given, limit] of [
    ['7', 7],
    ['Wed, 21 Oct 2026 07:28:00 GMT', undefined],
    ['-1', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as const) {
    retryAfter = given;
    assert.equal(await result(client.login(ADA)), { code: 'too_many_attempts', limit }, given);
  }
});

parity('registers at a service that has nothing beyond the document', async () => {
  const { client, requests } = clientOf(service(), {
    around: (send) => (input, init) => {
      const headers = new Headers(init?.headers);
      headers.delete('prefer');
      return send(input, { ...init, headers });
    },
  });
  const { user, accessToken } = await client.registerUser(ADA);
  assert.is(user.email, ADA.email);
  assert.equal(requests, ['POST /register', 'POST /login']);
  const record = { ...user, role: 'user', disabled: false };
  assert.equal((await client.authorize({ accessToken })).user, record);
});

parity('keeps the tokens of a registration whose login failed there', async () => {
  const { client, auth } = clientOf(service(), {
    around: (send) => (input, init) => {
      if (new Request(input, init).url.endsWith('/login')) throw new TypeError('fetch failed');
      const headers = new Headers(init?.headers);
      headers.delete('prefer');
      return send(input, { ...init, headers });
    },
  });
  const fault = await client.registerUser(ADA).catch((error: unknown) => error);
  assert.instance(fault, UnexpectedReplyError);
  assert.is((await client.authorize()).user.username, 'Ada');
  assert.equal(await listed(auth, {}), await listed(client, {}));
});

parity('stops where the ids of a list do not rise', async () => {
  const page = (ids: readonly number[]) =>
    ids.map((id) => ({
      id,
      username: 'x',
      email: `${id}@x.co`,
      date_created: '2026-01-02T03:04:05Z',
    }));
  const numbers = (from: number) => Array.from({ length: 500 }, (_, i) => from + i);
  const lists: Readonly<Record<string, (after: number) => number[]>> = {
    'the same page again': () => numbers(1),
    'a page that falls': () => numbers(1).toReversed(),
    'a page with one twice': (after) => numbers(after + 1).with(7, after + 7),
    'one user for ever': () => numbers(1).fill(1),
  };
  for (const [name, ids] of Object.entries(lists)) {
    let requests = 0;
    const send: Fetch = async (input) => {
      requests += 1;
      if (requests > 9) throw new Error('for ever');
      const after = Number(new URL(new Request(input).url).searchParams.get('after') ?? 0);
      return Response.json(page(ids(after)));
    };
    const client = createClient({ baseUrl: 'https://x', fetch: send });
    const fault = await listed(client, {}).catch((error: unknown) => error);
    assert.instance(fault, UnexpectedReplyError, name);
    assert.match(String((fault as Error).cause), 'the ids do not rise', name);
    assert.ok(requests < 3, name);
  }
  // Whole lists of a server that has nothing beyond the document may come in any order.
  const whole = createClient({
    baseUrl: 'https://x',
    fetch: async () => Response.json(page([7, 3])),
  });
  assert.is(((await listed(whole, {})) as { users: [] }).users.length, 2);
});

parity('is not made for what is no address of a service', () => {
  for (const baseUrl of ['', 'example.com', '/auth', 'ftp://x', 'https://x?a=1', 'https://a:b@x']) {
    assert.throws(() => createClient({ baseUrl }), /^a base URL or origin must be like/);
  }
  assert.throws(() => createClient({ baseUrl: 'https://x', origins: ['x'] }), TypeError);
  for (const timeout of [0, -1, Number.NaN, Infinity, 2 ** 31]) {
    assert.throws(() => createClient({ baseUrl: 'https://x', timeout }), RangeError);
  }
});

const keeping = suite('Kept tokens');

/** A client with tokens of Ada's whose access token is expired or soon will be. */
async function withKept(policy: Partial<Policy> = {}, tokens?: TokenStorage) {
  const ports = fakePorts();
  const auth = service(ports, policy);
  const made = clientOf(auth, tokens ? { tokens } : {});
  await made.client.registerUser(ADA);
  made.requests.length = 0;
  return { ...made, auth, ports, expire: () => ports.clock.advance(15 * 60) };
}

for (const refreshRotation of [false, true]) {
  const how = refreshRotation ? 'with' : 'without';
  keeping(`are refreshed once for fifty calls at once, ${how} rotation`, async () => {
    const { client, requests, expire } = await withKept({ refreshRotation });
    for (let i = 0; i < 3; i += 1) {
      expire();
      requests.length = 0;
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) => (n % 2 ? client.authorize() : client.listSessions())),
      );
      assert.is(answers.length, 50);
      assert.is(requests.filter((each) => each === 'POST /refresh').length, 1);
      assert.is(requests.length, 101, 'each call is repeated once');
    }
    requests.length = 0;
    await client.authorize();
    assert.equal(requests, ['GET /account']);
  });
}

/** Tokens in a storage of many clients, which takes its time. */
function slowStorage(ms: number) {
  let stored: TokenPair | undefined;
  return {
    async get() {
      await sleep(ms);
      return stored;
    },
    async set(pair: TokenPair | undefined) {
      await sleep(ms);
      stored = pair;
    },
  };
}

keeping('whose refresh fails are not tried again by calls that were under way', async () => {
  for (const status of [200, 500, 'no answer'] as const) {
    let isDown = false;
    const ports = fakePorts();
    const { client, requests } = clientOf(service(ports), {
      tokens: slowStorage(2),
      around: (send) => async (input, init) => {
        const answer = await send(input, init);
        if (!isDown || !new Request(input, init).url.endsWith('/refresh')) return answer;
        if (status === 'no answer') throw new TypeError('fetch failed');
        return status === 500 ? new Response('<html>', { status }) : answer;
      },
    });
    const { user } = await client.registerUser(ADA);
    ports.clock.advance(15 * 60);
    if (status === 200) await ports.sessions.removeAll(user.id);
    isDown = true;
    requests.length = 0;
    const calls = Array.from({ length: 50 }, (_, i) =>
      i % 2 ? client.listSessions() : client.authorize(),
    );
    const faults = new Set(
      await Promise.all(calls.map((call) => call.catch((error: unknown) => error))),
    );
    assert.is(requests.filter((each) => each === 'POST /refresh').length, 1, `${status}`);
    assert.is(faults.size, 1, 'and all are told the same');
    isDown = false;
    const later = await result(client.authorize());
    if (status === 200) assert.is((later as { code: string }).code, 'missing_access_token');
    else assert.is((later as { user: { username: string } }).user.username, 'Ada');
  }
});

/** A service whose tokens say nothing; each access token is good until the next is made. */
function opaqueService(rotates: boolean) {
  const names = new Map<string, string>(); // by either token
  const good = new Set<string>();
  let last = 0;
  const pair = (name: string) => {
    last += 1;
    names.set(`access-${last}`, name).set(`refresh-${last}`, name);
    good.add(`access-${last}`);
    return { access_token: `access-${last}`, refresh_token: `refresh-${last}` };
  };
  const user = (username: string) => ({
    id: 1,
    username,
    email: `${username}@x.co`,
    date_created: '2026-01-02T03:04:05.678Z',
  });
  const send: Fetch = async (input, init) => {
    const request = new Request(input, init);
    const body = JSON.parse((await request.text()) || '{}') as Record<string, string>;
    const path = new URL(request.url).pathname;
    if (path === '/login') {
      const name = body['email']?.split('@')[0] ?? '';
      return Response.json({ ...pair(name), user: user(name) });
    }
    if (path === '/refresh') {
      const { access_token, refresh_token } = pair(names.get(body['refresh_token'] ?? '') ?? '');
      return Response.json({ access_token, ...(rotates && { refresh_token }) });
    }
    const token = request.headers.get('authorization')?.slice(7) ?? '';
    if (!good.has(token)) {
      return Response.json({ message: 'Token is invalid or expired!' }, { status: 401 });
    }
    done.push(`${request.method} ${path} for ${names.get(token)}`);
    if (request.method !== 'GET' || path === '/logout-all')
      return new Response(null, { status: 204 });
    return Response.json({ user: user(names.get(token) ?? ''), session_id: 'x' });
  };
  const done: string[] = [];
  return { send, done, expire: () => good.clear() };
}

for (const rotates of [false, true]) {
  const how = rotates ? 'with' : 'without';
  keeping(`that say nothing of whose they are serve one sign-in, ${how} rotation`, async () => {
    const { send, done, expire } = opaqueService(rotates);
    const tokens = slowStorage(1);
    let hold = Promise.resolve();
    const client = createClient({
      baseUrl: 'https://x',
      tokens,
      async fetch(input, init) {
        const answer = await send(input, init);
        if (init?.method === 'DELETE') await hold;
        return answer;
      },
    });
    const other = createClient({ baseUrl: 'https://x', tokens, fetch: send });
    await client.login({ email: 'ada@x.co', password });
    expire();
    assert.is((await client.authorize()).user.username, 'ada', 'refreshed');
    expire();
    let release = () => {};
    hold = new Promise((resolve) => (release = resolve));
    const deletion = result(client.deleteAccount({ password }));
    await sleep(20);
    await other.login({ email: 'eve@x.co', password });
    release();
    assert.equal(await deletion, { code: 'invalid_access_token', limit: undefined });
    assert.not(
      done.some((each) => each.startsWith('DELETE')),
      done.join(),
    );
    assert.is((await client.authorize()).user.username, 'eve', 'who is still signed in');

    // What has ended is Eve's session, and by then Ada has signed in elsewhere.
    hold = new Promise((resolve) => (release = resolve));
    const ending = client.deleteAccount({ password });
    await sleep(20);
    await other.login({ email: 'ada@x.co', password });
    release();
    await ending;
    assert.is((await client.authorize()).user.username, 'ada', 'who is still signed in');
  });
}

keeping('of one session go on where another client has refreshed them', async () => {
  const tokens = slowStorage(1);
  const { client, auth, expire } = await withKept({ refreshRotation: true }, tokens);
  const { client: other } = clientOf(auth, { tokens });
  expire();
  const names = await Promise.all([client.authorize(), other.authorize(), client.authorize()]);
  assert.equal(new Set(names.map(({ user }) => user.username)), new Set(['Ada']));
});

keeping('are used by every call that is given none', async () => {
  const { client, auth } = await withKept();
  assert.is((await client.authorize()).user.username, 'Ada');
  assert.is((await client.listSessions()).length, 1);
  assert.ok((await client.refreshToken()).accessToken);
  const change = { currentPassword: ADA.password, password, confirmPassword: password };
  await client.changePassword(change);
  await client.logoutAll();
  assert.equal(await result(client.authorize()), {
    code: 'missing_access_token',
    limit: undefined,
  });
  await client.login({ email: ADA.email, password });
  const { sessionId } = await client.authorize();
  await client.endSession({ sessionId });
  await client.deleteAccount({ password });
  assert.equal(await result(client.logout()), { code: 'missing_refresh_token', limit: undefined });
  assert.equal(await result(client.refreshToken()), {
    code: 'missing_refresh_token',
    limit: undefined,
  });
  assert.equal(await listed(auth, {}), { users: [], next: undefined });
});

keeping(
  'are none unless the caller says where, and never in the place of a token that is missing',
  async () => {
    const auth = service();
    const handler = fetchHandler(auth);
    const send: Fetch = (input, init) => handler(new Request(input, init));
    const gateway = createClient({ baseUrl: 'https://example.com', fetch: send });
    await gateway.registerUser(ADA);
    const missing = { code: 'missing_access_token', limit: undefined };
    for (const given of [
      [],
      [{}],
      [{ accessToken: undefined }],
      [{ accessToken: null }],
    ] as never[][]) {
      assert.equal(await result(gateway.authorize(...given)), missing);
    }
    const { client } = await withKept();
    for (const accessToken of [undefined, null, '', 0] as never[]) {
      assert.equal(await result(client.authorize({ accessToken })), missing);
      assert.equal(await result(client.logoutAll({ accessToken })), missing);
      const refresh = { code: 'missing_refresh_token', limit: undefined };
      assert.equal(await result(client.refreshToken({ refreshToken: accessToken })), refresh);
      assert.equal(await result(client.logout({ refreshToken: accessToken })), refresh);
    }
    assert.is((await client.authorize()).user.username, 'Ada', 'who is still signed in');
  },
);

keeping('are not touched by what is done with tokens that are given', async () => {
  const { client, auth } = await withKept();
  const eve = await auth.registerUser(EVE);
  assert.is((await client.authorize(eve)).user.username, 'Eve');
  await client.refreshToken(eve);
  await client.logout(eve);
  await client.logoutAll(eve);
  await client.deleteAccount({ ...eve, password: EVE.password });
  assert.is((await client.authorize()).user.username, 'Ada');
});

keeping('are given up when the session has ended, and only then', async () => {
  for (const end of ['revoked', 'deleted'] as const) {
    const { client, auth, ports, expire } = await withKept();
    const { user } = await client.authorize();
    if (end === 'deleted') await ports.users.delete(user.id, 0);
    else await ports.sessions.removeAll(user.id);
    expire();
    const code = end === 'deleted' ? 'user_not_found' : 'invalid_refresh_token';
    const all = await Promise.all([client.authorize(), client.listSessions()].map(result));
    const refused = { code, limit: undefined };
    assert.equal(all, [refused, refused]);
    const nothing = { code: 'missing_access_token', limit: undefined };
    assert.equal(await result(client.authorize()), nothing);
    assert.ok(auth);
  }
  let isDown = false;
  const ports = fakePorts();
  const { client } = clientOf(service(ports), {
    around: (send) => (input, init) =>
      isDown && new Request(input, init).url.endsWith('/refresh')
        ? Promise.reject(new TypeError('fetch failed'))
        : send(input, init),
  });
  await client.registerUser(ADA);
  ports.clock.advance(15 * 60);
  isDown = true;
  const error = await client.authorize().catch((fault: unknown) => fault);
  assert.instance(error, UnexpectedReplyError);
  isDown = false;
  assert.is((await client.authorize()).user.username, 'Ada', 'the way is there again');
});

keeping('are those of the last sign-in, whatever refresh is under way', async () => {
  for (const action of ['login', 'logout'] as const) {
    const ports = fakePorts();
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    let isHolding = false;
    let tell = () => {};
    const isHeld = new Promise<void>((resolve) => (tell = resolve));
    const { client } = clientOf(service(ports, { refreshRotation: true }), {
      around: (send) => async (input, init) => {
        const isRefresh = new Request(input, init).url.endsWith('/refresh');
        const answer = await send(input, init);
        if (isRefresh && isHolding) {
          tell();
          await held;
        }
        return answer;
      },
    });
    await client.registerUser(ADA);
    await service(ports).registerUser(EVE);
    ports.clock.advance(15 * 60);
    isHolding = true;
    const waiting = result(client.authorize());
    await isHeld;
    if (action === 'login') await client.login(EVE);
    else await client.logout();
    release();
    const { user, code } = (await waiting) as { user?: { username: string }; code?: string };
    isHolding = false;
    assert.is(user, undefined, 'a call is never repeated for another sign-in');
    assert.is(code, 'invalid_access_token');
    const after = (await result(client.authorize())) as { user?: typeof user; code?: string };
    assert.is(after.user?.username, action === 'login' ? 'Eve' : undefined);
    assert.is(after.code, action === 'login' ? undefined : 'missing_access_token');
  }
});

keeping('are never another’s: what was asked for one user is not done for the next', async () => {
  const ports = fakePorts();
  const auth = service(ports);
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let isHolding = false;
  const { client } = clientOf(auth, {
    around: (send) => async (input, init) => {
      const answer = await send(input, init);
      if (isHolding && new Request(input, init).method === 'DELETE') await held;
      return answer;
    },
  });
  await auth.registerUser(EVE);
  await client.registerUser(ADA);
  ports.clock.advance(15 * 60);
  isHolding = true;
  const deletion = result(client.deleteAccount({ password: ADA.password })); // of both
  await sleep(20);
  await client.login(EVE);
  release();
  assert.is(((await deletion) as { code: string }).code, 'invalid_access_token');
  assert.is((await client.authorize()).user.username, 'Eve', 'who is still there');
  assert.equal((await ports.users.page({ after: 0, limit: 9 })).length, 2);
});

keeping('end with a logout, whatever refresh is under way with rotation', async () => {
  const ports = fakePorts();
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { client } = clientOf(service(ports, { refreshRotation: true }), {
    around: (send) => async (input, init) => {
      if (new Request(input, init).url.endsWith('/logout')) await held;
      return send(input, init);
    },
  });
  await client.registerUser(ADA);
  ports.clock.advance(15 * 60);
  const refreshing = result(client.refreshToken());
  const ending = client.logout();
  await refreshing;
  release();
  await ending;
  const nothing = { code: 'missing_access_token', limit: undefined };
  assert.equal(await result(client.authorize()), nothing);
});

keeping('are those that a given refresh token, if it is theirs, was replaced by', async () => {
  let kept: TokenPair | undefined;
  const tokens = { get: () => kept ?? null, set: (pair?: TokenPair) => void (kept = pair) };
  const { client, expire } = await withKept({ refreshRotation: true }, tokens);
  const { refreshToken = '' } = kept ?? {};
  const refreshed = await client.refreshToken({ refreshToken });
  assert.equal(kept, refreshed);
  expire();
  assert.is((await client.authorize()).user.username, 'Ada');
});

keeping('are kept where the caller says, before anybody goes on', async () => {
  const log: string[] = [];
  let stored: TokenPair | undefined;
  const tokens: TokenStorage = {
    async get() {
      await sleep(1);
      return stored;
    },
    async set(pair) {
      await sleep(5);
      log.push(pair ? Object.keys(pair).join() : 'nothing');
      stored = pair;
    },
  };
  const { client, expire, auth } = await withKept({ refreshRotation: true }, tokens);
  assert.equal(log, ['accessToken,refreshToken']);
  const before = stored;
  expire();
  await client.authorize();
  assert.is.not(stored?.refreshToken, before?.refreshToken);
  const { client: other } = clientOf(auth, { tokens });
  assert.is((await other.authorize()).user.username, 'Ada', 'another client goes on with them');
  await other.logout();
  assert.is(stored, undefined);
});

keeping('are read and written one at a time, whatever is called at once', async () => {
  let stored: TokenPair | undefined;
  let underWay = 0;
  let most = 0;
  const alone = async <T>(work: () => T): Promise<T> => {
    underWay += 1;
    most = Math.max(most, underWay);
    await sleep(1);
    underWay -= 1;
    return work();
  };
  const tokens: TokenStorage = {
    get: () => alone(() => stored),
    set: (pair) => alone(() => void (stored = pair)),
  };
  const { client, expire } = await withKept({ refreshRotation: true }, tokens);
  expire();
  await Promise.all(Array.from({ length: 5 }, () => client.authorize()));
  await Promise.allSettled([client.authorize(), client.login(ADA), client.logout()]);
  assert.is(most, 1);
});

keeping('that cannot be kept are told of, and leave nothing unhandled', async () => {
  const unhandled: unknown[] = [];
  const note = (fault: unknown) => void unhandled.push(fault);
  process.on('unhandledRejection', note);
  const fault = new Error('the storage is full');
  const broken: TokenStorage = { get: () => undefined, set: () => Promise.reject(fault) };
  const { client } = clientOf(service(), { tokens: broken });
  assert.is(await client.registerUser(ADA).catch((error: unknown) => error), fault);
  const throwing: TokenStorage = {
    get: () => {
      throw fault;
    },
    set: () => {},
  };
  const { client: other } = clientOf(service(), { tokens: throwing });
  assert.is(await other.authorize().catch((error: unknown) => error), fault);
  await sleep(10);
  process.off('unhandledRejection', note);
  assert.equal(unhandled, []);
});

keeping('go along with fetch, to the origins that are allowed and no other', async () => {
  const ports = fakePorts();
  const auth = service(ports);
  const seen: [string, string | null][] = [];
  const bodies: string[] = [];
  const handler = fetchHandler(auth, { prefix: '/auth' });
  const client = createClient({
    baseUrl: 'https://example.com/auth',
    tokens: memoryTokens(),
    origins: ['https://api.example.com'],
    async fetch(input, init) {
      const request = new Request(input, init);
      const { origin, pathname } = new URL(request.url);
      if (origin === 'https://example.com' && pathname.startsWith('/auth')) return handler(request);
      seen.push([request.url, request.headers.get('authorization')]);
      if (request.method === 'POST') bodies.push(await request.text());
      const accessToken = request.headers.get('authorization')?.slice(7) ?? '';
      const isGood = await auth.authorize({ accessToken }).then(
        () => true,
        () => false,
      );
      return new Response(isGood ? 'yes' : 'no', { status: isGood ? 200 : 401 });
    },
  });
  await assertThrows(() => client.fetch('https://example.com/notes'), 'missing_access_token');
  await client.registerUser(ADA);
  const text = async (...args: Parameters<AuthClient['fetch']>) =>
    (await client.fetch(...args)).text();
  assert.is(await text('https://api.example.com/notes'), 'yes');
  assert.is(await text('/notes'), 'yes');
  ports.clock.advance(15 * 60);
  assert.is(await text('https://example.com/notes', { method: 'POST', body: 'once' }), 'yes');
  assert.equal(bodies, ['once', 'once'], 'repeated after the refresh');
  ports.clock.advance(15 * 60);
  const request = new Request('https://example.com/notes', { method: 'POST', body: 'request' });
  assert.is(await text(request), 'yes');
  ports.clock.advance(15 * 60);
  const body = new ReadableStream({
    pull(controller) {
      controller.enqueue(new TextEncoder().encode('stream'));
      controller.close();
    },
  });
  const streamed = { method: 'POST', body, duplex: 'half' } as RequestInit;
  assert.is((await client.fetch('https://example.com/notes', streamed)).status, 401);
  const own = { headers: { Authorization: 'Bearer other' } };
  assert.is((await client.fetch('https://example.com/notes', own)).status, 401);
  assert.is(seen.at(-1)?.[1], 'Bearer other');
  const count = seen.length;
  for (const url of ['https://evil.com/', 'http://example.com/', 'https://example.com.evil.com/']) {
    const refused = await client.fetch(url).catch((error: unknown) => error);
    assert.instance(refused, TypeError, url);
  }
  assert.is(seen.length, count);
});

async function assertThrows(call: () => Promise<unknown>, code: string): Promise<void> {
  assert.equal(await result(call()), { code, limit: undefined });
}

const hostile = suite('A client of a server that is wrong');

const CANARIES = { password: 'canary-password', token: 'canary-token' };

hostile('tells of it by an error that holds no secret', async () => {
  const answers: readonly (() => Response | Promise<Response>)[] = [
    () => new Response('<html>', { status: 200 }),
    () => new Response('<html>', { status: 502 }),
    () => new Response('{', { status: 200 }),
    () => Response.json({}, { status: 200 }),
    () => Response.json([], { status: 200 }),
    () => Response.json(null, { status: 200 }),
    () => Response.json({ access_token: 7, refresh_token: {}, user: [] }),
    () => new Response('<html>', { status: 200 }),
    () => Response.json({ message: 'An error occurred' }, { status: 500 }),
    () => Response.json({ message: 'Not found' }, { status: 404 }),
    () => Response.json({ message: 7 }, { status: 401 }),
    () => Response.json({ message: 'Password must be at least x characters' }, { status: 400 }),
    () => Response.json({ user: { id: '1', username: 'a', email: 'a@b.co', date_created: 'x' } }),
    () => Response.json({ user: { id: 1, username: 'a', email: 'A@b.co ', date_created: '2026' } }),
    () => new Response('x'.repeat(1024 * 1024)),
    () => Promise.reject(new TypeError('fetch failed')),
  ];
  for (const answer of answers) {
    const client = createClient({ baseUrl: 'https://x', fetch: async () => answer() });
    const { token: accessToken, password: secret } = CANARIES;
    const calls = [
      client.login({ email: ADA.email, password: secret }),
      client.registerUser({ ...ADA, password: secret, confirmPassword: secret }),
      client.authorize({ accessToken }),
      client.refreshToken({ refreshToken: accessToken }),
      client.listSessions({ accessToken }),
      client.listUsers({ email: 'private@example.com' }),
    ];
    for (const call of calls) {
      const gave = await call.catch((fault: unknown) => fault);
      // An empty array is a list of nobody, and of no sessions.
      if (!(gave instanceof Error)) {
        assert.ok(Array.isArray(gave) || 'pages' in (gave as object));
        continue;
      }
      assert.instance(gave, UnexpectedReplyError);
      const cause = String((gave as UnexpectedReplyError).cause);
      const told = `${gave.message} ${gave.stack} ${JSON.stringify(gave)} ${cause}`;
      assert.not.match(told, /canary|private/);
      assert.match(gave.message, /^(?:GET|POST) \/\w+ was (?:not answered|answered by \d+)/);
    }
  }
});

hostile('takes nothing for a user, a session or a token that is none', async () => {
  const user = { id: 1, username: 'a', email: 'a@b.co', date_created: '2026-01-02T03:04:05.678Z' };
  const session = {
    id: 'x',
    device: null,
    date_created: user.date_created,
    last_used: user.date_created,
    expires: user.date_created,
    current: true,
  };
  const of = (json: unknown) =>
    createClient({ baseUrl: 'https://x', fetch: async () => Response.json(json) });
  const given = { accessToken: 'x', refreshToken: 'x' };
  const account = { user, session_id: 'x' };
  assert.is((await of(account).authorize(given)).user.id, 1);
  assert.is((await of([session]).listSessions(given)).length, 1);
  const wrong = [undefined, null, '', 7.5, {}, [], '1', 'nonsense'];
  for (const name of ['id', 'email', 'date_created']) {
    for (const value of wrong) {
      const call = of({ ...account, user: { ...user, [name]: value } }).authorize(given);
      assert.instance(await call.catch((fault: unknown) => fault), UnexpectedReplyError, name);
    }
  }
  for (const name of ['date_created', 'last_used', 'expires', 'current']) {
    for (const value of wrong) {
      const call = of([{ ...session, [name]: value }]).listSessions(given);
      assert.instance(await call.catch((fault: unknown) => fault), UnexpectedReplyError, name);
    }
  }
  for (const value of [undefined, null, '', 7, {}, []]) {
    const calls = [
      of({ access_token: value }).refreshToken(given),
      of({ access_token: 'x', refresh_token: value ?? 0 }).refreshToken(given),
      of({ user, session_id: value }).authorize(given),
    ];
    for (const call of calls) {
      assert.instance(await call.catch((fault: unknown) => fault), UnexpectedReplyError);
    }
  }
});

hostile('takes no page that answers 200 to everything for what was asked', async () => {
  const pages = [() => new Response('<html>'), () => new Response(null, { status: 202 })];
  for (const page of pages) {
    const client = createClient({ baseUrl: 'https://x', fetch: async () => page() });
    const given = { accessToken: 'x', refreshToken: 'x', password, sessionId: 'x' };
    for (const call of [
      client.logout(given),
      client.logoutAll(given),
      client.endSession(given),
      client.changePassword({ ...given, currentPassword: password, confirmPassword: password }),
      client.deleteAccount(given),
    ]) {
      assert.instance(await call.catch((fault: unknown) => fault), UnexpectedReplyError);
    }
  }
});

hostile('reads no more than an answer can hold', async () => {
  let read = 0;
  const endless: Fetch = async () =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull(controller) {
          read += 16_384;
          controller.enqueue(new Uint8Array(16_384).fill(32));
          if (read > 10_000_000) controller.close();
        },
      }),
    );
  const client = createClient({ baseUrl: 'https://x', fetch: endless });
  const refused = await client.refreshToken({ refreshToken: 'x' }).catch((fault: unknown) => fault);
  assert.instance(refused, UnexpectedReplyError);
  assert.ok(read < 200_000, `${read} bytes`);
});

hostile('does not wait for ever', async () => {
  const never: Fetch = (_, init) =>
    new Promise((_resolve, reject) => {
      init?.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error));
    });
  const client = createClient({ baseUrl: 'https://x', fetch: never, timeout: 30 });
  const error = await client.login(ADA).catch((fault: unknown) => fault);
  assert.instance(error, UnexpectedReplyError);
  assert.is(((error as Error).cause as Error).name, 'TimeoutError');
});

hostile('does not wait for a fetch that heeds no signal', async () => {
  const cancelled: string[] = [];
  const silent = (name: string) =>
    new Response(new ReadableStream({ cancel: () => void cancelled.push(name) }));
  const deaf: readonly Fetch[] = [
    () => new Promise(() => {}),
    async () => silent('silent'),
    async () => {
      await sleep(60);
      return silent('late');
    },
  ];
  for (const send of deaf) {
    const client = createClient({ baseUrl: 'https://x', fetch: send, timeout: 30 });
    const started = Date.now();
    const error = await client.login(ADA).catch((fault: unknown) => fault);
    assert.instance(error, UnexpectedReplyError);
    assert.is(((error as Error).cause as Error).name, 'TimeoutError');
    assert.ok(Date.now() - started < 1000);
  }
  await sleep(60);
  assert.equal(cancelled, ['silent', 'late'], 'and nothing is left open');
});

hostile('goes nowhere else with a password', () =>
  withService('memory', {}, async ({ url }) => {
    const server = createServer((_, response) => {
      response.writeHead(307, { Location: `${url}/login` }).end();
    }).listen(0);
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    try {
      await createClient({ baseUrl: url }).registerUser(ADA);
      const client = createClient({ baseUrl: `http://127.0.0.1:${port}` });
      const error = await client.login(ADA).catch((fault: unknown) => fault);
      assert.instance(error, UnexpectedReplyError);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }),
);

hostile('says which device it is, in what a header can hold', async () => {
  const auth = service();
  const { client } = clientOf(auth);
  const { accessToken } = await client.registerUser({ ...ADA, device: 'Ada’s\r\n\tphone 😀' });
  const [session] = await auth.listSessions({ accessToken });
  assert.is(session?.device, 'Ada?s phone ?');
  const passing = clientOf(auth, {
    around: (send) => (input, init) => {
      const headers = new Headers(init?.headers);
      assert.is(headers.get('x-forwarded-for'), '192.0.2.1');
      return send(input, init);
    },
  });
  await passing.client.login({ ...ADA, address: ' 192.0.2.1' });
  const sent: (string | null)[] = [];
  const { client: careless } = clientOf(auth, {
    around: (send) => (input, init) => {
      sent.push(new Headers(init?.headers).get('x-forwarded-for'));
      return send(input, init);
    },
  });
  for (const address of [undefined, '', 7, null, 'a, b', 'x\r\nEvil: x', '::1']) {
    await careless.login({ ...ADA, address } as never);
  }
  const unknown = Array<string>(5).fill('unknown');
  assert.equal(sent, [null, ...unknown, '::1'], 'no address is counted as one and the same');
});

hostile('has a method for every endpoint', async () => {
  const { client, requests } = clientOf(service());
  await client.registerUser(ADA);
  const { sessionId } = await client.authorize();
  await client.listSessions();
  await client.listUsers();
  await client.refreshToken();
  await client.changePassword({
    currentPassword: ADA.password,
    password,
    confirmPassword: password,
  });
  await client.endSession({ sessionId });
  await client.logout();
  await client.login({ email: ADA.email, password });
  await client.logoutAll();
  await client.login({ email: ADA.email, password });
  await client.deleteAccount({ password });
  const asked = new Set(requests.map((each) => each.replace(/\/sessions\/.+/, '/sessions/{id}')));
  const all = endpoints().map(({ method, path }) => `${method} ${path}`);
  // One says no more than GET /account, the other is for tools.
  const without = ['GET /protected', 'GET /openapi.json'];
  const others = all.filter((name) => !without.includes(name));
  assert.equal([...asked].toSorted(), others.toSorted());
});

parity.run();
keeping.run();
hostile.run();
