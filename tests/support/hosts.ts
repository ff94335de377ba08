import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import express from 'express';
import { Hono } from 'hono';
import { readConfig } from '../../src/adapters/config/config.ts';
import { authRouter, type HostOptions } from '../../src/adapters/http/hosts/express.ts';
import { fetchHandler } from '../../src/adapters/http/hosts/fetch.ts';
import type { Auth } from '../../src/application/index.ts';
import { compose } from '../../src/composition.ts';
import { type Service } from '../../src/serve.ts';
import { type ServiceOptions, TEST_ENV, withService } from './service.ts';
import { isAvailable, STORE_NAMES } from './stores.ts';

/** Something that serves the endpoint table. */
export interface HttpHost {
  readonly name: string;
  readonly store: (typeof STORE_NAMES)[number];
  readonly isAvailable: boolean;
  /** Whether what it does not know itself, and bodies that are none, are answered by the table. */
  readonly isAlone: boolean;
  readonly with: (options: ServiceOptions, use: UseHost) => Promise<void>;
}

export type UseHost = (host: Pick<Service, 'url' | 'part'>) => Promise<void>;

/** Where embedded hosts have the endpoints. */
const PREFIX = '/api/auth';

type MakeListener = (
  auth: Auth,
  options: HostOptions,
) => (request: IncomingMessage, response: ServerResponse) => unknown;

function embedded(name: string, isAlone: boolean, make: MakeListener): HttpHost {
  return {
    name,
    store: 'memory',
    isAvailable: true,
    isAlone,
    async with({ env, overrides }, use) {
      const config = readConfig({ ...TEST_ENV, DATABASE_URL: 'memory:', ...env });
      const composition = await compose(config, overrides);
      const { usersAccess, corsOrigins } = config;
      const insecureCookies = config.profile === 'development';
      const options = { usersAccess, corsOrigins, insecureCookies, report: () => {} };
      const server = createServer();
      const listener = make(composition.part('auth'), options);
      server.on('request', (request, response) => void listener(request, response));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      const port = typeof address === 'object' ? address?.port : 0;
      try {
        await use({ url: `http://127.0.0.1:${port}${PREFIX}`, part: composition.part });
      } finally {
        server.close();
        server.closeAllConnections();
        await composition.close();
      }
    },
  };
}

/** The service on each store, and every way to embed the same table. */
export const HTTP_HOSTS: readonly HttpHost[] = [
  ...STORE_NAMES.map(
    (store): HttpHost => ({
      name: `the service on ${store}`,
      store,
      isAvailable: isAvailable(store),
      isAlone: true,
      with: (options, use) => withService(store, options, use),
    }),
  ),
  embedded('a router in an Express app', false, (auth, options) =>
    express().use('/api', express.Router().use('/auth', authRouter(auth, options))),
  ),
  embedded('a router behind the parsers of an Express app', false, (auth, options) => {
    const app = express();
    app.use(express.json({ strict: false }), express.urlencoded(), express.text());
    return app.use(PREFIX, authRouter(auth, options));
  }),
  embedded('a fetch handler on node:http', true, (auth, options) => {
    const handler = fetchHandler(auth, { ...options, prefix: PREFIX });
    return (request, response) => void handler(toRequest(request)).then(sendTo(response));
  }),
  embedded('a fetch handler in Hono', true, (auth, options) => {
    const handler = fetchHandler(auth, { ...options, prefix: PREFIX });
    const app = new Hono().all(`${PREFIX}/*`, ({ req }) => handler(req.raw));
    return getRequestListener(app.fetch);
  }),
  embedded('route handlers as of Next.js', true, (auth, options) => {
    const handler = fetchHandler(auth, { ...options, prefix: PREFIX });
    const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
    const module = new Map(methods.map((method) => [method, handler as RouteHandler]));
    return (incoming, response) => {
      const request = toRequest(incoming);
      const all = new URL(request.url).pathname.split('/').slice(3);
      const answer = module.get(request.method)?.(request, { params: Promise.resolve({ all }) });
      void (answer ?? Promise.resolve(new Response(null, { status: 405 }))).then(sendTo(response));
    };
  }),
];

/** One host of each adapter of HTTP, for what every host of the adapter passes on as it comes. */
export const ONE_HOST_PER_ADAPTER: readonly HttpHost[] = [
  'a router in an Express app',
  'a fetch handler on node:http',
].map((name) => {
  const host = HTTP_HOSTS.find((each) => each.name === name);
  if (host === undefined) throw new Error(`no host ${name}`);
  return host;
});

type RouteHandler = (
  request: Request,
  context: { readonly params: Promise<{ readonly all: readonly string[] }> },
) => Promise<Response>;

/** What adapters of node:http make of a request. */
function toRequest(incoming: IncomingMessage): Request {
  const { method = 'GET', url = '/', rawHeaders } = incoming;
  const headers = new Headers();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    headers.append(rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '');
  }
  const hasBody = method !== 'GET' && method !== 'HEAD';
  const body = hasBody ? (Readable.toWeb(incoming) as ReadableStream) : null;
  return new Request(`http://${incoming.headers.host}${url}`, {
    method,
    headers,
    body,
    ...(hasBody && { duplex: 'half' }),
  });
}

function sendTo(response: ServerResponse): (answer: Response) => Promise<void> {
  return async ({ status, headers, body }) => {
    response.writeHead(status, [...headers].flat());
    if (body === null) {
      response.end();
      return;
    }
    try {
      for await (const part of body) {
        if (!response.write(part)) await new Promise((resolve) => response.once('drain', resolve));
      }
      response.end();
    } catch {
      response.destroy();
    }
  };
}
