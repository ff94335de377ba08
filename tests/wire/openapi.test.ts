import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import express from 'express';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Endpoint,
  type EndpointOptions,
  endpoints,
} from '../../src/adapters/http/contract/endpoints.ts';
import { authRouter } from '../../src/adapters/http/hosts/express.ts';
import { fetchHandler } from '../../src/adapters/http/hosts/fetch.ts';
import { endpointsWithDocument } from '../../src/adapters/http/hosts/openapi-json.ts';
import { openApi } from '../../src/adapters/http/openapi/document.ts';
import { NOT_FOUND } from '../../src/adapters/http/contract/reply.ts';
import { isOptional } from '../../src/adapters/http/contract/schemas.ts';
import { createAuth } from '../../src/application/index.ts';
import { breakingChanges } from '../support/breaking-changes.ts';
import { checkedAnswers, faultsOf } from '../support/documented.ts';
import { fakePorts } from '../support/fakes.ts';
import { HTTP_HOSTS } from '../support/hosts.ts';
import { currentDocument, EVERYTHING, recordedDocument } from '../../tools/openapi-record.ts';
import { temporaryFolder } from '../support/programs.ts';
import { call, registered } from '../support/service.ts';

interface Operation {
  readonly operationId: string;
  readonly security: readonly object[];
  readonly responses: Readonly<Record<string, object>>;
  readonly requestBody?: {
    readonly content: Readonly<
      Record<string, { readonly schema: { readonly required: string[] } }>
    >;
  };
}

interface Document {
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

function routesIn({ paths }: Document): string[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

function documentOf(options: EndpointOptions = {}, mount = ''): Document {
  const document: unknown = openApi(endpoints(options), { mount });
  return document as Document;
}

const described = suite('The OpenAPI document');

described('has what is mounted, and nothing else, whatever the options', () => {
  const keys = [{ kty: 'EC' }];
  const all: readonly EndpointOptions[] = [
    {},
    { publicKeys: keys },
    { isReady: async () => true },
    { usersAccess: 'disabled' },
    { usersAccess: 'authenticated', publicKeys: keys },
    { only: ['POST /login', 'GET /openapi.json'] },
  ];
  for (const options of all) {
    const mounted = endpoints(options).map(({ method, path }) => `${method} ${path}`);
    assert.ok(mounted.length > 1);
    assert.equal(routesIn(documentOf(options)).toSorted(), mounted.toSorted());
  }
  assert.is(routesIn(documentOf(EVERYTHING)).length, endpoints(EVERYTHING).length);
});

described('refers to nothing that is not there', () => {
  const document: unknown = JSON.parse(currentDocument());
  const references = [...currentDocument().matchAll(/"\$ref": "#\/([^"]+)"/g)];
  assert.ok(references.length > 100);
  for (const [, place = ''] of references) {
    const named = place
      .split('/')
      .reduce<unknown>((part, key) => part && Reflect.get(part, key), document);
    assert.type(named, 'object', place);
  }
});

described('leaves out what nothing there refers to', () => {
  const text = JSON.stringify(documentOf({ only: ['POST /logout-all'] }));
  assert.match(text, '"NotFound"');
  assert.not.match(text, /"(?:User|Registered|limit|Prefer|ServiceBusy|SessionList)"/);
});

described('says who must prove who they are', () => {
  const security = (options: EndpointOptions, path: string, method: string) =>
    documentOf(options).paths[path]?.[method]?.security;
  assert.equal(security({}, '/users', 'get'), []);
  for (const usersAccess of ['authenticated', 'admin'] as const) {
    assert.equal(security({ usersAccess }, '/users', 'get'), [{ bearer: [] }]);
    const responses = documentOf({ usersAccess }).paths['/users']?.['get']?.responses ?? {};
    assert.is('401' in responses, true);
    assert.is('403' in responses, usersAccess === 'admin');
  }
  assert.equal(security({}, '/protected', 'get'), [{ bearer: [] }]);
  assert.equal(security({}, '/refresh', 'post'), [{}, { refreshCookie: [] }]);
});

described('takes the members of requests from the table', () => {
  let fields = 0;
  for (const { method, path, fields: named, definition } of endpoints()) {
    const body = documentOf().paths[path]?.[method.toLowerCase()]?.requestBody;
    const needed = named?.filter((name) => !isOptional(definition.fields?.[name]));
    assert.equal(body?.content['application/json']?.schema.required, needed, path);
    fields += named?.length ?? 0;
  }
  assert.ok(fields > 10);
});

described('has the version of the package', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.match(currentDocument(), `"version": "${version}"`);
});

described('has every sentence of the contract, under its endpoint and status', () => {
  const contract = readFileSync('docs/api.txt', 'utf8').split('Example Usage')[0] ?? '';
  const { paths } = JSON.parse(currentDocument()) as {
    paths: Record<string, Record<string, { responses: Record<string, { $ref?: string }> }>>;
  };
  const { components } = JSON.parse(currentDocument()) as {
    components: { responses: Record<string, unknown>; schemas: Record<string, unknown> };
  };
  let sentences = 0;
  for (const part of contract.split(/^URL: /m).slice(1)) {
    const [, path = '', method = ''] = /^(\S+)\nMethod: (\w+)/.exec(part) ?? [];
    const responses = paths[path]?.[method.toLowerCase()]?.responses ?? {};
    for (const [, status = '', texts = ''] of part.matchAll(
      /^(\d{3}) [\w ]+:\n([^]*?)(?=^\d{3} |$(?![^]))/gm,
    )) {
      const response = responses[status] ?? {};
      const name = /^#\/components\/responses\/(\w+)$/.exec(response.$ref ?? '')?.[1];
      const said = JSON.stringify(name === undefined ? response : components.responses[name]);
      for (const [, message = ''] of texts.matchAll(/"message": "([^"]+)"/g)) {
        const sought = message.replace('username', 'Ada');
        assert.ok(said.includes(JSON.stringify(sought)), `${method} ${path} ${status}: ${message}`);
        sentences += 1;
      }
    }
  }
  assert.is(sentences, 19);
});

for (const host of HTTP_HOSTS.filter(({ store }) => store === 'memory')) {
  described(`is served by ${host.name}, for the path that it is mounted under`, () =>
    host.with({}, async ({ url }) => {
      const answer = await call(url, 'GET /openapi.json');
      assert.is(answer.status, 200);
      assert.is(answer.headers.get('cache-control'), 'public, max-age=300');
      assert.is(answer.headers.get('content-type'), 'application/json; charset=utf-8');
      const served = answer.json as Document;
      assert.is(served.servers[0]?.url, new URL(url).pathname);
      assert.is((await call(url, 'GET /openapi.json')).text, answer.text);
      const base = url.replace(/\/$/, '');
      // What is documented is there: an unknown path or method would be 404 "Not found" or 405.
      for (const route of routesIn(served)) {
        const { status, text } = await call(base, route.replace('{id}', 'x'));
        assert.ok(status !== 405 && text !== NOT_FOUND.body, `${route}: ${status}`);
      }
      // And what is there is documented.
      for (const { path } of endpoints()) {
        const sent = await call(base, `PUT ${path.replace('{id}', 'x')}`);
        const allowed = (sent.headers.get('allow') ?? '').split(', ').filter((m) => m !== 'HEAD');
        const documented = Object.keys(served.paths[path] ?? {}).map((m) => m.toUpperCase());
        assert.equal(allowed.toSorted(), documented.toSorted(), path);
      }
    }),
  );
}

described('is as the options of its host say', async () => {
  const handler = fetchHandler(createAuth(fakePorts()), {
    prefix: '/a/b',
    only: ['POST /register', 'GET /openapi.json'],
  });
  const response = await handler(new Request('http://x/a/b/openapi.json'));
  const served = (await response.json()) as Document;
  assert.equal(routesIn(served), ['POST /register', 'GET /openapi.json']);
  assert.equal(served.servers[0]?.url, '/a/b');
});

described(
  'is made once for all requests, whatever path they say that it is mounted under',
  async () => {
    const handler = authRouter(createAuth(fakePorts()));
    const app = express().use('/:tenant', handler).use('/a/:tenant', handler);
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      for (const mount of ['/one', '/two', '/a/$&', '/%22', "/$'", '/one']) {
        const response = await fetch(`http://127.0.0.1:${port}${mount}/openapi.json`);
        const text = await response.text();
        const expected = openApi(endpoints(), { mount });
        assert.is(text, JSON.stringify(expected));
      }
    } finally {
      server.close();
    }

    const served = endpointsWithDocument({}).find(({ path }) => path === '/openapi.json');
    const ask = async (path: string) =>
      served?.handle(createAuth(fakePorts()), { path } as Parameters<Endpoint['handle']>[1]);
    await ask('/openapi.json');
    const before = process.cpuUsage();
    for (let i = 0; i < 100; i += 1) await ask(`/${i}/openapi.json`);
    const { user, system } = process.cpuUsage(before);
    // Microseconds. To make it takes some milliseconds each time.
    assert.ok((user + system) / 100 < 1_000, `${(user + system) / 100} µs each`);
  },
);

described.run();

const record = suite('The document on record');

record('is what the code says', () => {
  assert.is(
    recordedDocument(),
    currentDocument(),
    'npx tsx tools/openapi-record.ts writes it anew',
  );
});

record('is written anew where nothing breaks, and left as it is where something would', () => {
  const folder = temporaryFolder();
  try {
    const path = join(folder.path, 'openapi.json');
    const write = (...args: string[]) => {
      const program = ['--import', 'tsx', 'tools/openapi-record.ts', ...args, path];
      return spawnSync(process.execPath, program, { encoding: 'utf8', timeout: 60_000 });
    };
    const before = currentDocument();
    const fewer = before.replaceAll('"Invalid after",', '');
    assert.is.not(fewer, before);
    writeFileSync(path, fewer);
    assert.is(write().status, 0);
    assert.is(readFileSync(path, 'utf8'), before);
    const more = before.replaceAll('"Invalid after",', '"Invalid after", "Too early",');
    writeFileSync(path, more);
    const refused = write();
    assert.is(refused.status, 1);
    assert.match(refused.stderr, 'breaks: GET /users: 400: no more “Too early”');
    assert.is(readFileSync(path, 'utf8'), more);
    assert.is(write('--breaking').status, 0);
    assert.is(readFileSync(path, 'utf8'), before);
  } finally {
    folder.remove();
  }
});

/** Where in the document (the keys, with spaces between them), and what stands there afterwards. */
type Edit = readonly [place: string, change: (value: unknown) => unknown];

const GONE = Symbol('gone');
const to = (value: unknown) => () => value;
const gone = to(GONE);
const without = (name: string) => (value: unknown) =>
  Array.isArray(value) ? value.filter((each) => each !== name) : GONE;
const withAlso = (added: unknown) => (value: unknown) => {
  if (Array.isArray(value)) return [...(value as unknown[]), added];
  return { ...(value as object), ...(added as object) };
};

function edited(document: unknown, edits: readonly Edit[]): unknown {
  const copy = structuredClone(document);
  for (const [place, change] of edits) {
    const keys = place.split(' ');
    const last = keys.pop() ?? '';
    const parent = keys.reduce<unknown>((part, key) => Reflect.get(part as object, key), copy);
    const value = change(Reflect.get(parent as object, last));
    if (value !== GONE) Reflect.set(parent as object, last, value);
    else if (!Reflect.deleteProperty(parent as object, last)) throw new Error(`no ${place}`);
  }
  return copy;
}

const BODY = 'content application/json schema';
const LOGIN = `paths /login post requestBody ${BODY}`;
const REGISTER = `paths /register post requestBody ${BODY}`;
const SCHEMAS = 'components schemas';

const BREAKS: readonly (readonly [what: string, said: string, ...edits: Edit[]])[] = [
  ['a path that is gone', 'GET /users is gone', ['paths /users', gone]],
  ['a method that is gone', 'DELETE /account is gone', ['paths /account delete', gone]],
  [
    'another operationId',
    'POST /login: another operationId',
    ['paths /login post operationId', to('signIn')],
  ],
  [
    'a status that is gone',
    'POST /refresh: no status 404',
    ['paths /refresh post responses 404', gone],
  ],
  [
    'a sentence that is gone',
    'POST /login: 401: no more “Invalid email or password”',
    [`paths /login post responses 401 ${BODY} properties message enum`, to([])],
  ],
  [
    'a sentence of a shared response that is another',
    'GET /protected: 401: no more “Token is missing!”',
    [`components responses Unauthorized ${BODY} properties message enum 0`, to('No token!')],
  ],
  [
    'a sentence with a bound that is another',
    'POST /password: 400: no more “^Password must be at least \\d+ characters$”',
    [`paths /password post responses 400 ${BODY} properties message anyOf 1 pattern`, to('^x$')],
  ],
  [
    'a member of a reply that is gone',
    'POST /register: 201: body.user is gone',
    [`${SCHEMAS} Registered properties user`, gone],
  ],
  [
    'a member of a reply that may be missing',
    'POST /login: 200: body.user is not required',
    [`${SCHEMAS} SignedIn required`, without('user')],
  ],
  [
    'a member of a reply that has another type',
    'POST /login: 200: body.user.id: another type',
    [`${SCHEMAS} User properties id type`, to('string')],
  ],
  [
    'a member of a reply that may be null',
    'POST /login: 200: body.user.username: another type',
    [`${SCHEMAS} User properties username type`, to(['string', 'null'])],
  ],
  [
    'a member of the replies in a list that is another constant',
    'GET /users: 200: body[].password: another const',
    [`${SCHEMAS} UserList items properties password const`, to('')],
  ],
  [
    'a member of a reply that has another format',
    'POST /login: 200: body.user.date_created: another format',
    [`${SCHEMAS} User properties date_created format`, to('date')],
  ],
  [
    'a member of a reply without its bound',
    'POST /login: 200: body.user.username: another maxLength',
    [`${SCHEMAS} User properties username maxLength`, gone],
  ],
  [
    'a reply without a body',
    'GET /sessions: 200: no application/json',
    ['paths /sessions get responses 200 content', gone],
  ],
  [
    'a reply with a body',
    'POST /logout: 204: a body',
    ['paths /logout post responses 204 content', to({})],
  ],
  [
    'a header that is gone',
    'GET /users: 200: the header Link may be missing',
    ['paths /users get responses 200 headers Link', gone],
  ],
  [
    'a header that may be missing',
    'POST /login: 429: the header Retry-After may be missing',
    ['components responses TooManyAttempts headers Retry-After required', to(false)],
  ],
  [
    'a new member of a request that is required',
    'POST /login: body.code is required',
    [`${LOGIN} properties`, withAlso({ code: { type: 'string' } })],
    [`${LOGIN} required`, withAlso('code')],
  ],
  [
    'a member of a request that is no longer read',
    'POST /register: body: username is not read',
    [`${REGISTER} properties username`, gone],
    [`${REGISTER} required`, without('username')],
  ],
  [
    'a member of a request that has another type',
    'POST /login: body.email: another type',
    [`${LOGIN} properties email type`, to('object')],
  ],
  [
    'a member of a request that must be shorter',
    'POST /login: body.password: another maxLength',
    [`${LOGIN} properties password maxLength`, to(72)],
  ],
  [
    'a request that may have no other members',
    'POST /login: body: other members are refused',
    [`${LOGIN} additionalProperties`, to(false)],
  ],
  [
    'a request of another kind',
    'POST /login: no body of application/json',
    ['paths /login post requestBody content', to({ 'text/plain': {} })],
  ],
  [
    'a body that is required',
    'POST /refresh: a body is required',
    ['paths /refresh post requestBody required', to(true)],
  ],
  [
    'an enumeration that is narrower',
    'POST /login: parameter Refresh-Token-Mode: another enum',
    ['components parameters Refresh-Token-Mode schema enum', to(['token'])],
  ],
  [
    'a bound that is lower',
    'GET /users: parameter limit: another maximum',
    ['components parameters limit schema maximum', to(100)],
  ],
  [
    'a parameter that is gone',
    'GET /users: the parameter limit is gone',
    ['paths /users get parameters', to([])],
  ],
  [
    'a parameter that is required',
    'GET /users: after is required',
    ['components parameters after required', to(true)],
  ],
  [
    'an endpoint that wants a token',
    'GET /users: who was let in may be no more',
    ['paths /users get security', to([{ bearer: [] }])],
  ],
  [
    'a keyword that it does not know',
    'GET /users: parameter limit: another multipleOf',
    ['components parameters limit schema multipleOf', to(10)],
  ],
];

for (const [what, said, ...edits] of BREAKS) {
  record(`is broken by ${what}`, () => {
    const before: unknown = JSON.parse(recordedDocument());
    const found = breakingChanges(before, edited(before, edits));
    assert.ok(found.includes(said), `${said}: ${JSON.stringify(found)}`);
  });
}

const ADDITIONS: readonly (readonly [what: string, ...edits: Edit[]])[] = [
  ['a path', ['paths /new', to({ get: {} })]],
  ['a method', ['paths /users delete', to({})]],
  ['a status', ['paths /users get responses 429', to({ description: '' })]],
  [
    'a sentence',
    [`paths /login post responses 401 ${BODY} properties message enum`, withAlso('No')],
  ],
  [
    'a member of a reply',
    [`${SCHEMAS} User properties`, withAlso({ locale: { type: 'string' } })],
    [`${SCHEMAS} User required`, withAlso('locale')],
  ],
  ['a header', ['paths /users get responses 200 headers', withAlso({ 'X-Total': { schema: {} } })]],
  [
    'a member of a request that may be missing',
    [`${LOGIN} properties`, withAlso({ code: { type: 'string' } })],
  ],
  [
    'a member of a request that may be longer',
    [`${LOGIN} properties password maxLength`, to(2048)],
  ],
  ['a member of a request of any length', [`${LOGIN} properties password maxLength`, gone]],
  ['a member of a reply that is shorter', [`${SCHEMAS} User properties username maxLength`, to(9)]],
  [
    'a parameter',
    ['paths /login post parameters', withAlso({ in: 'query', name: 'x', schema: {} })],
  ],
  [
    'a wider enumeration',
    ['components parameters Refresh-Token-Mode schema enum', withAlso('body')],
  ],
  ['another way to prove oneself', ['paths /protected get security', withAlso({ key: [] })]],
  ['no more need to', ['paths /protected get security', to([])]],
  ['other words', ['paths /login post summary', to('')], ['info description', to('')]],
];

for (const [what, ...edits] of ADDITIONS) {
  record(`is not broken by ${what}`, () => {
    const before: unknown = JSON.parse(recordedDocument());
    const after = edited(before, edits);
    assert.is.not(JSON.stringify(after), JSON.stringify(before));
    assert.equal(breakingChanges(before, after), []);
  });
}

record.run();

const held = suite('An answer that is held to the document');

interface Said {
  readonly endpoint: string;
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly sent?: Readonly<Record<string, string>>;
}

const JSON_REPLY = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
};
const TOKENS = { access_token: 'a.b.c', refresh_token: 'a.b.c' };
const LIMITED = { ...JSON_REPLY, 'retry-after': '30' };
const USER = {
  id: 1,
  username: 'Ada',
  email: 'ada@example.com',
  date_created: '2026-01-02T03:04:05.678Z',
};
const OWN_USER = { ...USER, role: 'user' };
const MADE = { message: 'User created successfully', ...TOKENS };
const BY_COOKIE = { 'refresh-token-mode': 'cookie' };
const COOKIE = '__Host-portcullis_refresh_token=a.b.c; Path=/; Secure; HttpOnly; SameSite=Strict';

function faultsIn({ endpoint, status, body, headers = JSON_REPLY, sent = {} }: Said) {
  const [method = '', path = ''] = endpoint.split(' ');
  const text = body === undefined ? '' : JSON.stringify(body);
  const all = { method, path, sent: new Headers(sent), headers: new Headers(headers) };
  return faultsOf({ ...all, status, text });
}

const RIGHT: readonly Said[] = [
  { endpoint: 'POST /register', status: 201, body: MADE },
  { endpoint: 'POST /register', status: 400, body: { message: 'Password is too common' } },
  {
    endpoint: 'POST /register',
    status: 400,
    body: { message: 'Password must be at least 12 characters' },
  },
  {
    endpoint: 'POST /register',
    status: 201,
    body: { message: MADE.message, access_token: 'a.b.c' },
    headers: { ...JSON_REPLY, 'set-cookie': COOKIE },
    sent: BY_COOKIE,
  },
  {
    endpoint: 'POST /login',
    status: 429,
    body: { message: 'Too many attempts. Please try again later.' },
    headers: LIMITED,
  },
  { endpoint: 'GET /account', status: 200, body: { user: OWN_USER, session_id: 'x' } },
  {
    endpoint: 'DELETE /users',
    status: 405,
    body: { message: 'Method not allowed' },
    headers: { ...JSON_REPLY, allow: 'GET, HEAD' },
  },
  {
    endpoint: 'POST /logout',
    status: 204,
    body: undefined,
    headers: { 'cache-control': 'no-store' },
  },
  { endpoint: 'HEAD /protected', status: 200, body: undefined },
];

held('is fine where it is as documented', () => {
  for (const said of RIGHT) {
    const before = checkedAnswers();
    assert.equal(faultsIn(said), [], said.endpoint);
    assert.is(checkedAnswers(), before + 1, 'and it was looked at');
  }
});

const WRONG: readonly (readonly [fault: string, said: Said])[] = [
  ['status 202', { endpoint: 'POST /register', status: 202, body: MADE }],
  [
    'body/message must be equal to one of the allowed values',
    { endpoint: 'GET /protected', status: 404, body: { message: 'No user' } },
  ],
  [
    'body must NOT have additional properties',
    { endpoint: 'POST /register', status: 201, body: { ...MADE, id: 1 } },
  ],
  [
    "body must have required property 'access_token'",
    {
      endpoint: 'POST /register',
      status: 201,
      body: { message: MADE.message, refresh_token: 'a.b.c' },
    },
  ],
  [
    'a refresh token, or none',
    {
      endpoint: 'POST /register',
      status: 201,
      body: { message: MADE.message, access_token: 'a.b.c' },
    },
  ],
  [
    'a cookie, or none',
    {
      endpoint: 'POST /register',
      status: 201,
      body: MADE,
      headers: { ...JSON_REPLY, 'set-cookie': COOKIE },
    },
  ],
  [
    'a refresh token, or none',
    {
      endpoint: 'POST /register',
      status: 201,
      body: MADE,
      headers: { ...JSON_REPLY, 'set-cookie': COOKIE },
      sent: BY_COOKIE,
    },
  ],
  [
    'body/user/id must be integer',
    {
      endpoint: 'GET /account',
      status: 200,
      body: { user: { ...OWN_USER, id: '1' }, session_id: 'x' },
    },
  ],
  [
    'body/user/date_created must match format "date-time"',
    {
      endpoint: 'GET /account',
      status: 200,
      body: { user: { ...OWN_USER, date_created: '2026-01-02 03:04' }, session_id: 'x' },
    },
  ],
  [
    'no header Retry-After',
    {
      endpoint: 'POST /login',
      status: 429,
      body: { message: 'Too many attempts. Please try again later.' },
    },
  ],
  [
    'header Retry-After must be integer',
    {
      endpoint: 'POST /login',
      status: 429,
      body: { message: 'Too many attempts. Please try again later.' },
      headers: { ...LIMITED, 'retry-after': 'soon' },
    },
  ],
  [
    'no header WWW-Authenticate',
    { endpoint: 'GET /protected', status: 401, body: { message: 'Token is missing!' } },
  ],
  [
    'the header x-powered-by',
    {
      endpoint: 'POST /register',
      status: 201,
      body: MADE,
      headers: { ...JSON_REPLY, 'x-powered-by': 'Express' },
    },
  ],
  [
    'header Cache-Control must be equal to constant',
    {
      endpoint: 'POST /register',
      status: 201,
      body: MADE,
      headers: { ...JSON_REPLY, 'cache-control': 'public' },
    },
  ],
  [
    'the type text/html',
    {
      endpoint: 'POST /register',
      status: 201,
      body: MADE,
      headers: { ...JSON_REPLY, 'content-type': 'text/html' },
    },
  ],
  [
    'our cookie',
    {
      endpoint: 'GET /sessions',
      status: 200,
      body: [],
      headers: { ...JSON_REPLY, 'set-cookie': COOKIE },
    },
  ],
  ['no JSON', { endpoint: 'POST /register', status: 201, body: undefined }],
  [
    'a body',
    {
      endpoint: 'POST /logout',
      status: 204,
      body: {},
      headers: { 'cache-control': 'no-store' },
    },
  ],
  ['a body', { endpoint: 'HEAD /protected', status: 200, body: { message: 'Hello' } }],
  [
    'status 404, not 405',
    { endpoint: 'DELETE /login', status: 404, body: { message: 'Not found' } },
  ],
  [
    'body/message must be equal to one of the allowed values',
    { endpoint: 'GET /protected', status: 404, body: { message: 'Not found' } },
  ],
];

for (const [fault, said] of WRONG) {
  held(`is found out: ${fault}, of ${said.endpoint}`, () => {
    assert.ok(faultsIn(said).includes(fault), JSON.stringify(faultsIn(said)));
  });
}

held('is let through where no endpoint has the path', () => {
  const before = checkedAnswers();
  assert.equal(faultsIn({ endpoint: 'GET /login/', status: 500, body: 'x' }), []);
  assert.is(checkedAnswers(), before);
});

held('is found out by the call of every test', async () => {
  const host = HTTP_HOSTS.find(({ name }) => name === 'a fetch handler on node:http');
  await host?.with({}, async ({ url, part }) => {
    const before = checkedAnswers();
    const { access_token: token } = await registered(url);
    assert.is(checkedAnswers(), before + 1);
    const users = part('users');
    const findById = users.findById.bind(users);
    users.findById = async (id) => {
      const found = await findById(id);
      return found && { ...found, id: 0.5 };
    };
    const fault = await call(url, 'GET /account', { token }).catch((error: unknown) => error);
    assert.match(String(fault), 'body/user/id must be integer');
  });
});

held.run();
