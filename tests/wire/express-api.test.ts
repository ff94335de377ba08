import { AsyncLocalStorage } from 'node:async_hooks';
import {
  createServer,
  IncomingMessage,
  type RequestListener,
  ServerResponse,
  type ServerOptions,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import express, { type Express, type RequestHandler } from 'express';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { authRouter, messageClasses, requireUser } from '../../src/adapters/http/hosts/express.ts';
import { httpServer } from '../../src/adapters/http/hosts/server.ts';
import { withAda } from '../support/fakes.ts';
import { rawRequest } from '../support/service.ts';

// Messages that are made with an application's prototypes must be what Express makes of any others: each
// of its members is tried on both, and what goes over the wire compared.

/** For each member of Express's request, something that shows what it gives. */
const OF_REQUESTS: Readonly<Record<string, RequestHandler>> = {
  header: show((request) => [request.header('X-One'), request.header('Referrer')]),
  get: show((request) => [request.get('x-one'), request.get('host')]),
  accepts: show((request) => [request.accepts('html', 'json'), request.accepts('text/nothing')]),
  acceptsEncodings: show((request) => request.acceptsEncodings('gzip', 'identity')),
  acceptsCharsets: show((request) => request.acceptsCharsets('utf-8')),
  acceptsLanguages: show((request) => request.acceptsLanguages('de', 'en')),
  range: show((request) => request.range(1000)),
  query: show((request) => request.query),
  is: show((request) => [request.is('json'), request.is('text/*')]),
  protocol: show((request) => request.protocol),
  secure: show((request) => request.secure),
  ip: show((request) => request.ip),
  ips: show((request) => request.ips),
  subdomains: show((request) => request.subdomains),
  path: show((request) => request.path),
  host: show((request) => request.host),
  hostname: show((request) => request.hostname),
  fresh: show((request) => request.fresh),
  stale: show((request) => request.stale),
  xhr: show((request) => request.xhr),
};

const OF_RESPONSES: Readonly<Record<string, RequestHandler>> = {
  status: (_, response) => void response.status(418).send('teapot'),
  links: (_, response) => void response.links({ next: '/2' }).end(),
  send: (_, response) => void response.send(Buffer.from('bytes')),
  json: (_, response) => void response.json({ a: [1, null, 'ä'] }),
  jsonp: (_, response) => void response.jsonp({ a: 1 }),
  sendStatus: (_, response) => void response.sendStatus(404),
  sendFile: (_, response) => response.sendFile(join(process.cwd(), 'LICENSE')),
  download: (_, response) => response.download(join(process.cwd(), 'LICENSE'), 'terms.txt'),
  type: (_, response) => void response.type('.png').end(),
  contentType: (_, response) => void response.contentType('text/x-own').end(),
  format: (_, response) => void response.format({ json: () => response.json(1) }),
  attachment: (_, response) => void response.attachment('a.pdf').end(),
  append: (_, response) => void response.append('X-A', '1').append('X-A', '2').end(),
  header: (_, response) => void response.header('X-B', '1').end(),
  set: (_, response) => void response.set({ 'X-C': '1', 'X-D': '2' }).end(),
  get: (_, response) => void response.set('X-E', 'e').send(response.get('x-e')),
  clearCookie: (_, response) => void response.clearCookie('a').end(),
  cookie: (_, response) => void response.cookie('a', 'b', { httpOnly: true }).end(),
  location: (_, response) => void response.location('/there').end(),
  redirect: (_, response) => response.redirect(307, '/there'),
  vary: (_, response) => void response.vary('Accept').end(),
  render: (_, response) => response.render('page', { name: 'Ada' }),
};

/** What is no single member: how an application, its routers and its sub-applications hang together. */
const OTHERS: Readonly<Record<string, RequestHandler>> = {
  chains: (request, response) => {
    const own = [request.res === response, response.req === request, request.app === response.app];
    void response.json([...own, request.app.get('marked'), Object.keys(response.locals)]);
  },
  streams: (_, response) => {
    response.write('one');
    response.write('two');
    response.end('three');
  },
  throws: () => {
    throw Object.assign(new Error('thrown'), { status: 422 });
  },
  rejects: () => Promise.reject(Object.assign(new Error('rejected'), { status: 409 })),
  extended: (request, response) => {
    const { shout } = request as typeof request & { shout?: () => string };
    void response.send(shout?.call(request));
  },
  continues: (_request, _response, next) => next(),
};

function show(read: (request: Parameters<RequestHandler>[0]) => unknown): RequestHandler {
  return (request, response) => void response.json({ shown: read(request) });
}

function newApp(): Express {
  const app = express();
  app.set('marked', 'the outer');
  app.set('trust proxy', true);
  app.engine('own', (_path, options, done) =>
    done(null, `for ${String(Reflect.get(options, 'name'))}`),
  );
  app.set('views', join(process.cwd(), 'tests/support'));
  app.set('view engine', 'own');
  app.set('view', RenderedView);
  Object.assign(app.request, { shout: () => 'loud' });
  const sub = express().set('marked', 'the inner');
  const routes = express.Router();
  for (const [kind, probes] of Object.entries({ OF_REQUESTS, OF_RESPONSES, OTHERS })) {
    for (const [name, handler] of Object.entries(probes)) {
      app.get(`/${kind}/${name}`, handler);
      sub.get(`/${kind}/${name}`, handler);
      routes.get(`/${kind}/${name}`, handler);
    }
  }
  app.use('/sub', sub);
  app.use('/router', routes);
  // After a sub-application the messages are the outer's again.
  app.use((request, response) => {
    void response
      .status(404)
      .json([request.app.get('marked'), request.baseUrl, request.originalUrl]);
  });
  app.use(((error: { status?: number; message: string }, _request, response, _next) => {
    void response.status(error.status ?? 500).json(error.message);
  }) satisfies express.ErrorRequestHandler);
  return app;
}

/** In the place of files with templates. */
class RenderedView {
  readonly path = 'page';

  render(options: object, done: (error: null, text: string) => void): void {
    done(null, `for ${String(Reflect.get(options, 'name'))}`);
  }
}

async function withServer(
  classes: Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'>,
  app: RequestListener,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer(classes, app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

function requestText(path: string): string {
  const lines = [
    `GET ${path}?a=1&b[]=x&callback=f HTTP/1.1`,
    'Host: api.tests.example.com:81',
    'X-One: 1',
    'Referer: http://from.example.com',
    'Accept: application/json;q=0.5, text/html',
    'Accept-Encoding: gzip',
    'Accept-Charset: utf-8',
    'Accept-Language: en',
    'Range: bytes=0-9',
    'Content-Type: application/json',
    'Content-Length: 2',
    'X-Forwarded-For: 10.1.2.3, 10.1.2.4',
    'X-Forwarded-Proto: https',
    'X-Requested-With: XMLHttpRequest',
    'Connection: close',
  ];
  return [...lines, '', '{}'].join('\r\n');
}

const api = suite("Express's own API on messages made with its prototypes");

api('is tried member by member', () => {
  const members = (kind: object) => Object.getOwnPropertyNames(kind).toSorted();
  assert.equal(members(express.request), Object.keys(OF_REQUESTS).toSorted());
  assert.equal(members(express.response), Object.keys(OF_RESPONSES).toSorted());
});

api('is the same, byte for byte, in an app, in a sub-app and in a router', async () => {
  const plain = newApp();
  const fast = newApp();
  let compared = 0;
  await withServer({}, plain, (plainUrl) =>
    withServer(messageClasses(fast), fast, async (fastUrl) => {
      for (const [kind, probes] of Object.entries({ OF_REQUESTS, OF_RESPONSES, OTHERS })) {
        for (const name of Object.keys(probes)) {
          for (const place of ['', '/sub', '/router']) {
            const text = requestText(`${place}/${kind}/${name}`);
            const [expected, actual] = await Promise.all([
              rawRequest(plainUrl, text),
              rawRequest(fastUrl, text),
            ]);
            assert.is(undated(actual), undated(expected), `${place}/${kind}/${name}`);
            assert.match(expected, 'HTTP/1.1 ');
            compared += 1;
          }
        }
      }
    }),
  );
  assert.is(compared, 3 * (20 + 22 + 6));
});

function undated(text: string): string {
  return text.replaceAll(/^(?:Date|Last-Modified|ETag): .*\r\n/gm, '');
}

api('leaves the prototypes as they are, which is what makes it fast', async () => {
  const app = express();
  const classes = messageClasses(app);
  const prototypes: unknown[] = [];
  app.use((incoming, response) => {
    prototypes.push(Object.getPrototypeOf(incoming), Object.getPrototypeOf(response));
    response.end();
  });
  let changes = 0;
  const { setPrototypeOf } = Object;
  Object.setPrototypeOf = (target: object, prototype: object | null) => {
    const isMessage = target instanceof IncomingMessage || target instanceof ServerResponse;
    if (isMessage && Object.getPrototypeOf(target) !== prototype) changes += 1;
    const changed: unknown = setPrototypeOf(target, prototype);
    return changed;
  };
  try {
    await withServer(classes, app, async (url) => void (await fetch(url)));
  } finally {
    Object.setPrototypeOf = setPrototypeOf;
  }
  assert.is(prototypes[0], classes.IncomingMessage.prototype);
  assert.is(prototypes[1], classes.ServerResponse.prototype);
  assert.is(changes, 0);
});

api('middleware of an embedder works before and after the endpoints, and around them', async () => {
  const { auth, ada } = await withAda();
  const app = express();
  const seen: string[] = [];
  app.use((incoming, response, next) => {
    response.setHeader('X-Before', 'yes');
    response.locals['began'] = true;
    response.on('finish', () =>
      seen.push(`${incoming.method} ${incoming.originalUrl} ${response.statusCode}`),
    );
    next();
  });
  app.use(express.json(), express.urlencoded());
  app.use('/auth', authRouter(auth));
  app.get('/mine', requireUser(auth), (incoming, response) => {
    void response.json({ name: incoming.user?.username, began: response.locals['began'] === true });
  });
  app.use((_, response) => void response.status(404).send('after'));
  const server = httpServer(app, messageClasses(app));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const headers = { Authorization: `Bearer ${ada.accessToken}` };
    const hello = await fetch(`${url}/auth/protected`, { headers });
    assert.is(hello.status, 200);
    assert.is(hello.headers.get('x-before'), 'yes');
    assert.is(hello.headers.get('x-powered-by'), null);
    assert.equal(await hello.json(), { message: 'Hello, Ada. This is a protected route.' });
    const mine = await fetch(`${url}/mine`, { headers });
    assert.equal(await mine.json(), { name: 'Ada', began: true });
    assert.is((await fetch(`${url}/mine`)).status, 401);
    assert.is(await (await fetch(`${url}/elsewhere`)).text(), 'after');
    const expected = [
      'GET /auth/protected 200',
      'GET /mine 200',
      'GET /mine 401',
      'GET /elsewhere 404',
    ];
    assert.equal(seen, expected);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

api(
  'each reply is written in the context of its own request, also where many are at once',
  async () => {
    const { auth } = await withAda();
    const context = new AsyncLocalStorage<string>();
    const found: string[] = [];
    const app = express();
    app.use((incoming, response, next) => {
      context.run(incoming.originalUrl, () => {
        // As what times replies, keeps sessions or compresses does.
        const end = response.end.bind(response);
        response.end = (...sent: readonly unknown[]) => {
          found.push(`${incoming.originalUrl} in ${context.getStore()}`);
          return Reflect.apply(end, undefined, sent) as typeof response;
        };
        next();
      });
    });
    app.use('/auth', authRouter(auth));
    app.use(requireUser(auth));
    await withServer(messageClasses(app), app, async (url) => {
      const paths = Array.from(
        { length: 8 },
        (_, i) => `/${i % 2 ? 'auth/protected' : 'mine'}?${i}`,
      );
      // In one packet, so that all are answered in one turn.
      const head = 'HTTP/1.1\r\nHost: x\r\n';
      const requests = [...paths, '/last'].map((path) => `GET ${path} ${head}\r\n`).join('');
      await rawRequest(url, requests.replace(/\r\n$/, 'Connection: close\r\n\r\n'));
      assert.equal(
        found.toSorted(),
        [...paths, '/last'].map((path) => `${path} in ${path}`).toSorted(),
      );
    });
  },
);

api('an answer of the app, which would not wait any longer, stands', async () => {
  const { auth, ada } = await withAda();
  const faults: unknown[] = [];
  const app = express();
  app.use((_, response, next) => {
    next();
    response.status(503).send('too late');
  });
  app.use(authRouter(auth, { report: (fault) => faults.push(fault) }));
  await withServer(messageClasses(app), app, async (url) => {
    const headers = { Authorization: `Bearer ${ada.accessToken}` };
    const response = await fetch(`${url}/protected`, { headers });
    assert.is(response.status, 503);
    assert.is(await response.text(), 'too late');
    assert.is((await fetch(`${url}/protected`, { headers })).status, 503);
  });
  assert.equal(faults, []);
});

api.run();
