import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ADA,
  type Answer,
  assertMessage,
  call,
  rawRequest,
  registered,
  type ServiceOptions,
  withService,
} from '../support/service.ts';

const APP = 'https://app.example.com';
const LOCAL = 'http://localhost:5173';
const ALLOWED = { env: { CORS_ORIGINS: `${APP},${LOCAL}` } };

/** None of them is an allowed one, however much it looks like it. */
const OTHERS = [
  'https://evil.com',
  'https://app.example.com.evil.com',
  'https://evil.com/https://app.example.com',
  'https://evilapp.example.com',
  'https://x.app.example.com',
  'https://example.com',
  'https://app.example.co',
  'http://app.example.com',
  'https://app.example.com:443',
  'https://app.example.com:8443',
  'https://APP.example.com',
  'https://app.example.com/',
  'https://app.example.com.',
  'https://app-example.com',
  `${APP},${LOCAL}`,
  `${APP}, ${APP}`,
  'http://localhost',
  'http://localhost:5174',
  'null',
  '*',
  '',
];

/** The headers of CORS, by name. */
function corsOf({ headers }: Answer): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')));
}

function grants(origin: string): Record<string, string> {
  return {
    'access-control-allow-credentials': 'true',
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'Link, Retry-After, WWW-Authenticate, X-Request-Id',
  };
}

/** One request for each way that a request can end, and the status that says so. */
async function everyEnd(url: string, headers: Record<string, string>): Promise<Answer[]> {
  const json = { 'Content-Type': 'application/json', ...headers };
  const answers: [number, Promise<Answer>][] = [
    [200, call(url, 'GET /users', { headers })],
    [200, call(url, 'HEAD /users', { headers })],
    [200, call(url, 'POST /login', { json: ADA, headers })],
    [204, call(url, 'POST /logout', { json: { refresh_token: 'x' }, headers })],
    [400, call(url, 'POST /register', { json: {}, headers })],
    [400, call(url, 'POST /login', { body: '{', headers: json })],
    [401, call(url, 'GET /protected', { headers })],
    [404, call(url, 'GET /nothing', { headers })],
    [404, call(url, 'GET /%zz', { headers })],
    [404, call(url, 'OPTIONS /nothing', { headers })],
    [405, call(url, 'PUT /login', { headers })],
    [405, call(url, 'OPTIONS /login', { headers })],
    [413, call(url, 'POST /login', { body: 'x'.repeat(20_000), headers: json })],
    [415, call(url, 'POST /login', { body: '{}', headers: { ...headers, 'Content-Type': 'a/b' } })],
    [415, call(url, 'POST /login', { body: '{}', headers: { ...json, 'Content-Encoding': 'br' } })],
    [500, call(url, 'GET /users?after=500', { headers })],
  ];
  return Promise.all(
    answers.map(async ([status, answer]) => {
      assert.is((await answer).status, status);
      return answer;
    }),
  );
}

/** A service on which Ada is registered, and which fails to list users after the 500th. */
async function withCors(options: ServiceOptions, use: (url: string) => Promise<void>) {
  await withService('memory', options, async ({ url, part }) => {
    await registered(url);
    const { users } = part('repositories');
    const page = users.page.bind(users);
    users.page = async (query) => {
      if (query.after === 500) throw new Error('no database');
      return page(query);
    };
    await use(url);
  });
}

const cors = suite('CORS');

cors('lets scripts of an allowed origin read every reply, refusals too', () =>
  withCors(ALLOWED, async (url) => {
    for (const Origin of [APP, LOCAL]) {
      for (const answer of await everyEnd(url, { Origin })) {
        assert.equal(corsOf(answer), grants(Origin));
        assert.is(answer.headers.get('vary'), 'Origin');
      }
    }
  }),
);

cors('says nothing to any other origin, however similar, nor where there is none', () =>
  withCors(ALLOWED, async (url) => {
    for (const headers of [{ Origin: 'https://evil.com' }, {}]) {
      for (const answer of await everyEnd(url, headers)) {
        assert.equal(corsOf(answer), {});
        assert.is(answer.headers.get('vary'), 'Origin');
      }
    }
    for (const Origin of OTHERS) {
      const asked = { Origin, 'Access-Control-Request-Method': 'POST' };
      const preflight = await call(url, 'OPTIONS /login', { headers: asked });
      assertMessage(preflight, 405, 'Method not allowed');
      assert.equal(corsOf(preflight), {}, Origin);
      assert.equal(corsOf(await call(url, 'GET /users', { headers: { Origin } })), {}, Origin);
    }
    const twice = `GET /users HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: ${APP}\r\nOrigin: ${APP}\r\n\r\n`;
    assert.not.match(await rawRequest(url, twice), /access-control/i);
  }),
);

cors('answers the question before a request for the methods of its path', () =>
  withCors(ALLOWED, async (url) => {
    const paths = { '/login': 'POST', '/users': 'GET, HEAD', '/account': 'GET, HEAD, DELETE' };
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of ['GET', 'POST', 'DELETE', 'PUT']) {
        const headers = {
          Origin: APP,
          'Access-Control-Request-Method': method,
          'Access-Control-Request-Headers': 'authorization,content-type,x-other',
        };
        const answer = await call(url, `OPTIONS ${path}`, { headers });
        assert.is(answer.status, 204);
        assert.is(answer.text, '');
        assert.equal(corsOf(answer), {
          ...grants(APP),
          'access-control-allow-methods': methods,
          'access-control-allow-headers': 'Authorization, Content-Type, Prefer, Refresh-Token-Mode',
          'access-control-max-age': '7200',
        });
        assert.is(answer.headers.get('vary'), 'Origin');
        assert.is(answer.headers.get('cache-control'), 'no-store');
      }
    }
  }),
);

cors('is not there at all unless it is set', () =>
  withCors({}, async (url) => {
    for (const headers of [{ Origin: APP }, { Origin: 'null' }, {}]) {
      for (const answer of await everyEnd(url, headers)) {
        assert.equal(corsOf(answer), {});
        assert.is(answer.headers.get('vary'), null);
      }
    }
    const headers = { Origin: APP, 'Access-Control-Request-Method': 'POST' };
    const preflight = await call(url, 'OPTIONS /login', { headers });
    assertMessage(preflight, 405, 'Method not allowed');
    assert.equal(corsOf(preflight), {});
  }),
);

cors.run();
