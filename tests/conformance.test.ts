import { createHmac, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text as readAll } from 'node:stream/consumers';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fetchHandler } from '../src/adapters/http/fetch.ts';
import { createAuth } from '../src/application/index.ts';
import {
  type Case,
  conformance,
  type ConformanceOptions,
  httpContract,
} from '../src/testing/index.ts';
import { fakePorts } from './support/fakes.ts';
import { HTTP_HOSTS } from './support/hosts.ts';
import { call } from './support/service.ts';

/** What each failing case said, by its name. */
async function failures(cases: readonly Case[]): Promise<Map<string, string>> {
  const failed = new Map<string, string>();
  for (const { name, run } of cases) {
    await run().catch((error: unknown) => failed.set(name, String(error)));
  }
  return failed;
}

const ours = suite('The HTTP contract');

for (const host of HTTP_HOSTS) {
  for (const usersAccess of ['public', 'authenticated', 'disabled'] as const) {
    const title = `is kept by ${host.name}, where the list of users is ${usersAccess}`;
    const test = () =>
      host.with({ env: { USERS_ACCESS: usersAccess } }, async ({ url, part }) => {
        const knex = part('knex');
        const deleteUser = async (email: string) => {
          if (knex) return knex('users').where({ email }).delete();
          const json = { email, password: 'conformance: 42 horses, stapled' };
          const { access_token: token } = (await call(url, 'POST /login', { json })).json as {
            access_token: string;
          };
          return call(url, 'DELETE /account', { token, json });
        };
        // An application of somebody else's says itself what is not there.
        const scope = host.isAlone ? 'everything' : 'document';
        const cases = conformance(url, { scope, usersAccess, deleteUser });
        assert.ok(cases.length > (scope === 'everything' ? 50 : 25), `${cases.length} cases`);
        assert.equal(await failures(cases), new Map());
        if (knex) assert.equal(await knex('users').pluck('email'), [], 'and nobody is left behind');
      });
    if (host.isAvailable) ours(title, test);
    else ours.skip(title, test);
  }
}

ours('can be run by all its cases at once, and twice in a row', async () => {
  const handler = fetchHandler(createAuth(fakePorts()));
  const send = (url: string, init: RequestInit) => handler(new Request(url, init));
  for (let i = 0; i < 2; i += 1) {
    const cases = conformance('https://example.com', { fetch: send, scope: 'everything' });
    await Promise.all(cases.map(({ run }) => run()));
  }
});

ours('is plain data, which comes through JSON as it is', () => {
  assert.equal(JSON.parse(JSON.stringify(httpContract)), httpContract);
  const names = httpContract.map(({ name }) => name);
  assert.is(new Set(names).size, names.length, 'each name is one case');
});

ours('is tried on nothing that is no address, and says where nobody answers', async () => {
  for (const url of ['', 'localhost:8000', '/auth', 'ftp://x', 'http://x?a', 'http://x#a']) {
    assert.throws(() => conformance(url), /^the base URL must be like/);
  }
  const [first] = conformance('http://127.0.0.1:9');
  const error = await first?.run().catch((fault: unknown) => fault);
  assert.match(String(error), 'http://127.0.0.1:9 does not answer');
});

ours.run();

// What it is worth: each of these servers is wrong in one thing, and must fail the cases that name it.

interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

interface Wrong {
  readonly name: string;
  readonly options?: ConformanceOptions;
  /** Changes an answer to a request, e.g. 'POST /login'. */
  readonly spoil: (answer: Answer, endpoint: string, body: string) => void;
  readonly fails: readonly string[];
}

function members(answer: Answer, change: (json: Record<string, unknown>) => void): void {
  const json = JSON.parse(answer.text) as Record<string, unknown>;
  change(json);
  answer.text = JSON.stringify(json);
}

const at = (wanted: string, status: number, change: (answer: Answer, body: string) => void) =>
  ((answer, endpoint, body) => {
    if (endpoint === wanted && answer.status === status) change(answer, body);
  }) satisfies Wrong['spoil'];

const everything = { scope: 'everything' } as const;

const WRONG: readonly Wrong[] = [
  {
    name: 'answers 200 to a registration',
    spoil: at('POST /register', 201, (answer) => (answer.status = 200)),
    fails: httpContract
      .filter(({ source, steps, usersAccess }) => {
        const registers = JSON.stringify(steps).includes('User created successfully');
        const deletes = steps.some((step) => 'deleteUser' in step);
        return source === 'document' && registers && !deletes && usersAccess !== 'disabled';
      })
      .map(({ name }) => name),
  },
  {
    name: 'writes another full stop',
    spoil: at('GET /protected', 401, (answer) => {
      answer.text = answer.text.replace('missing!', 'missing.');
    }),
    fails: ['GET /protected needs a token'],
  },
  {
    name: 'adds a member to a login',
    spoil: at('POST /login', 200, (answer) =>
      members(answer, (json) => (json['expires_in'] = 900)),
    ),
    fails: ['POST /login signs a user in'],
  },
  {
    name: 'leaves a member out of the user',
    spoil: at('POST /login', 200, (answer) =>
      members(answer, ({ user }) => Reflect.deleteProperty(user as object, 'date_created')),
    ),
    fails: ['POST /login signs a user in'],
  },
  {
    name: 'gives an id as a text',
    spoil: at('POST /login', 200, (answer) =>
      members(answer, ({ user }) => Reflect.set(user as object, 'id', '7')),
    ),
    fails: ['POST /login signs a user in'],
  },
  {
    name: 'has no milliseconds',
    options: everything,
    spoil: at('GET /account', 200, (answer) => {
      answer.text = answer.text.replace(/\.\d{3}Z/, 'Z');
    }),
    fails: ['A user sees and ends their sessions'],
  },
  {
    name: 'shows password hashes',
    options: everything,
    spoil: at('GET /users', 200, (answer) => {
      answer.text = answer.text.replaceAll('"password":"[REDACTED]"', '"password":"$argon2id$"');
    }),
    fails: ['GET /users shows no password'],
  },
  {
    name: 'says of a wrong password what it is',
    spoil: at('POST /login', 401, (answer, body) => {
      if (body.includes('wrong')) answer.text = '{"message":"Wrong password"}';
    }),
    fails: ['POST /login refuses a wrong password'],
  },
  {
    name: 'answers in HTML where a field is missing',
    spoil: at('POST /refresh', 400, (answer) => answer.headers.set('content-type', 'text/html')),
    fails: ['POST /refresh needs a refresh token'],
  },
  {
    name: 'gives a refresh token with each refresh',
    spoil: at('POST /refresh', 200, (answer) =>
      members(answer, (json) => (json['refresh_token'] = 'x')),
    ),
    fails: ['POST /refresh gives a new access token, which is good'],
  },
  {
    name: 'lets nobody know which methods there are',
    options: everything,
    spoil: (answer) => answer.headers.delete('allow'),
    fails: ['Other methods are refused, with those that there are'],
  },
  {
    name: 'lets replies be kept',
    options: everything,
    spoil: (answer) => answer.headers.delete('cache-control'),
    fails: ['Replies are JSON that nobody keeps, sniffs or frames'],
  },
  {
    name: 'challenges nobody',
    options: everything,
    spoil: (answer) => answer.headers.delete('www-authenticate'),
    fails: ['A refusal of a token carries a challenge'],
  },
  {
    name: 'cuts the list short without saying so',
    options: everything,
    spoil: (answer) => answer.headers.delete('link'),
    fails: ['GET /users lists a part, and says where the rest is'],
  },
  {
    name: 'has a user too few in its list',
    spoil: at('GET /users', 200, (answer) => (answer.text = '[]')),
    fails: ['GET /users lists every user'],
  },
  {
    name: 'takes no lower-case scheme',
    options: everything,
    spoil: (answer, endpoint, body) => {
      if (endpoint === 'GET /protected' && body.startsWith('bearer ')) {
        answer.status = 401;
        answer.text = '{"message":"Token is missing!"}';
      }
    },
    fails: [
      'Tokens are missing where there is no bearer, and invalid where there is more than one',
    ],
  },
];

const broken = suite('A server that is wrong');

for (const { name, options = {}, spoil, fails } of WRONG) {
  broken(`and ${name} fails the case that says so`, async () => {
    const handler = fetchHandler(createAuth(fakePorts()));
    const send = async (url: string, init: RequestInit) => {
      const request = new Request(url, init);
      const { pathname } = new URL(url);
      const sent = typeof init.body === 'string' ? init.body : '';
      const said = request.headers.get('authorization') ?? sent;
      const response = await handler(request);
      const { status, headers } = response;
      const answer = { status, headers: new Headers(headers), text: await response.text() };
      spoil(answer, `${request.method} ${pathname}`, said);
      const body = answer.status === 204 ? null : answer.text;
      return new Response(body, { status: answer.status, headers: answer.headers });
    };
    const failed = await failures(conformance('https://example.com', { ...options, fetch: send }));
    assert.equal([...failed.keys()], fails);
    for (const [title, text] of failed) {
      assert.match(text, title);
      assert.not.match(text, /eyJ[\w-]{20}/, 'no token');
    }
  });
}

broken('and registers an email twice when both come at once fails the race alone', async () => {
  const handler = fetchHandler(createAuth(fakePorts()));
  const underWay = new Map<string, number>();
  const send = async (url: string, init: RequestInit) => {
    const body = typeof init.body === 'string' ? init.body : '';
    const before = underWay.get(body) ?? 0;
    underWay.set(body, before + 1);
    const response = await handler(new Request(url, init));
    underWay.set(body, (underWay.get(body) ?? 1) - 1);
    // A look before an insert: who comes while another is under way gets through as well.
    if (!url.endsWith('/register') || response.status !== 400 || before === 0) return response;
    const json = { access_token: 'x.y.z', refresh_token: 'x.y.z' };
    return Response.json({ message: 'User created successfully', ...json }, { status: 201 });
  };
  const failed = await failures(conformance('https://example.com', { fetch: send }));
  const race = 'POST /register lets one of twenty through that come at once with one email';
  assert.equal([...failed.keys()], [race]);
});

broken.run();

/** Another product, made of nothing but the document. */
function documentedServer() {
  const key = randomBytes(32);
  interface User {
    readonly id: number;
    readonly username: string;
    readonly email: string;
    readonly date_created: string;
  }
  const users = new Map<string, User & { readonly password: string }>();
  const part = (json: object) => Buffer.from(JSON.stringify(json)).toString('base64url');
  const sign = (use: string, id: number, seconds: number) => {
    const exp = Math.floor(Date.now() / 1000) + seconds;
    const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ use, id, exp, jti: randomBytes(8).toString('hex') })}`;
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
  };
  const read = (use: string, token: unknown): number | undefined => {
    const [head = '', payload = '', signature] = String(token).split('.');
    const good = createHmac('sha256', key).update(`${head}.${payload}`).digest('base64url');
    if (signature !== good) return undefined;
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
      use: string;
      id: number;
    };
    return claims.use === use ? claims.id : undefined;
  };
  const tokens = (id: number) => ({
    access_token: sign('access', id, 900),
    refresh_token: sign('refresh', id, 90_000),
  });
  const find = (id: number | undefined) => [...users.values()].find((user) => user.id === id);
  let last = 0;
  const routes: Record<
    string,
    (body: Record<string, string>, request: IncomingMessage) => [number, object]
  > = {
    'POST /register'({ username, email, password, confirm_password }) {
      if (!username || !email || !password || !confirm_password) {
        return [400, { message: 'Missing required fields' }];
      }
      if (password !== confirm_password) return [400, { message: 'Passwords do not match' }];
      if (users.has(email)) {
        return [400, { message: 'Email already registered. Please try with different email.' }];
      }
      last += 1;
      const date_created = new Date().toISOString();
      users.set(email, {
        id: last,
        username,
        email,
        date_created,
        password,
      });
      return [201, { message: 'User created successfully', ...tokens(last) }];
    },
    'POST /login'({ email, password }) {
      if (!email || !password) return [400, { message: 'Missing email or password' }];
      const user = users.get(email);
      if (user?.password !== password) return [401, { message: 'Invalid email or password' }];
      const shown = { ...user, password: undefined };
      return [200, { message: 'Login successful', ...tokens(user.id), user: shown }];
    },
    'POST /refresh'({ refresh_token }) {
      if (!refresh_token) return [400, { message: 'Missing refresh token' }];
      const id = read('refresh', refresh_token);
      if (id === undefined) return [401, { message: 'Invalid or expired refresh token' }];
      if (!find(id)) return [404, { message: 'User not found' }];
      return [200, { access_token: tokens(id).access_token }];
    },
    'GET /protected'(_, { headers }) {
      const [, token] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
      if (!token) return [401, { message: 'Token is missing!' }];
      const id = read('access', token);
      if (id === undefined) return [401, { message: 'Token is invalid or expired!' }];
      const user = find(id);
      if (!user) return [404, { message: 'User not found' }];
      return [200, { message: `Hello, ${user.username}. This is a protected route.` }];
    },
    'GET /users'() {
      const list = [...users.values()].map((user) => ({
        ...user,
        password: '***',
        confirm_password: '***',
      }));
      return [200, list];
    },
  };
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const answer = async () => {
      const text = await readAll(request);
      const body = JSON.parse(text || '{}') as Record<string, string>;
      return routes[`${request.method} ${request.url}`]?.(body, request) ?? [404, {}];
    };
    void answer()
      .catch((): [number, object] => [500, { message: 'An error occurred' }])
      .then(([status, json]) =>
        response
          .writeHead(status, { 'Content-Type': 'application/json' })
          .end(JSON.stringify(json)),
      );
  });
  return { server, deleteUser: (email: string) => users.delete(email) };
}

const others = suite('Another server, made of the document alone');

others('keeps the contract of the document, and not what we have decided', async () => {
  const { server, deleteUser } = documentedServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as { port: number };
    const url = `http://localhost:${port}/`;
    assert.equal(await failures(conformance(url, { deleteUser })), new Map());
    const failed = await failures(conformance(url, { deleteUser, scope: 'everything' }));
    assert.ok(failed.size > 15, `${failed.size} decisions`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

others.run();
