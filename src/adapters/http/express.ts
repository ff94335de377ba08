import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { finished, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import type { Auth } from '../../application/index.ts';
import { answer, type HttpRequest, MAX_BODY_LENGTH } from './answer.ts';
import { corsHeaders, preflightReply } from './cors.ts';
import { type Endpoint, type EndpointOptions, endpoints } from './endpoints.ts';
import { errorReply, type Reply, type TextReply } from './reply.ts';
import { isTooLarge, LINGER } from './server.ts';

export interface ExpressOptions extends EndpointOptions {
  /** Told of every fault that was answered with a 500. It may hold private data: do not print it whole. */
  readonly report?: (fault: unknown) => void;
  /**
   * Whose word on the client's address, in X-Forwarded-For, is taken: the number of proxies in front,
   * or their addresses and networks. Unless given nobody's: the address is the connection's.
   */
  readonly trustProxy?: number | readonly string[];
  /** Origins (`https://app.example.com`) whose scripts may use the API in a browser; none unless given. */
  readonly corsOrigins?: readonly string[];
}

/** The endpoint table as an Express application. */
export function expressApp(auth: Auth, options: ExpressOptions = {}): Express {
  const { report = () => {}, corsOrigins = [] } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', options.trustProxy ?? false);
  app.enable('case sensitive routing');
  app.enable('strict routing');
  if (corsOrigins.length > 0) {
    app.use((request, response, next) => {
      response.setHeader('Vary', 'Origin');
      const headers = corsHeaders(corsOrigins, request.headers.origin);
      if (headers) response.setHeaders(new Map(Object.entries(headers)));
      next();
    });
  }

  for (const [path, methods] of byPath(endpoints(options))) {
    const route = app.route(path.replaceAll(/\{(\w+)\}/g, ':$1'));
    for (const endpoint of methods) {
      const handler: RequestHandler = async (request, response) => {
        const body = endpoint.fields ? await readBody(request) : new Uint8Array();
        if (!(body instanceof Uint8Array)) return refuseBody(request, response, body);
        const reply = await answer(endpoint, auth, httpRequest(request, body), report);
        await send(response, reply, report);
      };
      if (endpoint.method === 'GET') route.get(handler);
      else if (endpoint.method === 'POST') route.post(handler);
      else route.delete(handler);
    }
    const allow = methods.map(({ method }) => (method === 'GET' ? 'GET, HEAD' : method)).join(', ');
    route.options((request, response, next) => {
      const asks = request.headers['access-control-request-method'] !== undefined;
      if (!asks || !response.hasHeader('Access-Control-Allow-Origin')) return next();
      return send(response, preflightReply(allow), report);
    });
    route.all((_, response) =>
      send(response, errorReply(405, 'Method not allowed', { Allow: allow }), report),
    );
  }
  app.use((_, response) => send(response, errorReply(404, 'Not found'), report));
  app.use(((error: unknown, _request, response, _next) => {
    // A path whose escapes are no text: Express says 400, but what it names is not there.
    const isPath = error instanceof URIError && !response.headersSent;
    if (isPath) return send(response, errorReply(404, 'Not found'), report);
    report(error);
    // Not on to Express, which would print the error as it is.
    if (response.headersSent) return response.destroy();
    return send(response, errorReply(500, 'An error occurred'), report);
  }) satisfies ErrorRequestHandler);
  return app;
}

function byPath(table: readonly Endpoint[]): Map<string, Endpoint[]> {
  const paths = new Map<string, Endpoint[]>();
  for (const endpoint of table) {
    paths.set(endpoint.path, [...(paths.get(endpoint.path) ?? []), endpoint]);
  }
  return paths;
}

const COMPRESSED = errorReply(415, 'Unsupported encoding', { Connection: 'close' });
const INCOMPLETE = errorReply(400, 'Incomplete request body', { Connection: 'close' });
const TOO_LARGE = errorReply(413, 'Request body is too large', { Connection: 'close' });

/**
 * The bytes of a body, whatever they mean; or the refusal of one that is compressed (its true size
 * is anybody's guess) or too large, as soon as that is known: the usual readers take the whole of
 * it in before they say so, or wait for the rest of it in vain.
 */
async function readBody(request: IncomingMessage): Promise<Uint8Array | TextReply> {
  if ((request.headers['content-encoding'] ?? 'identity') !== 'identity') return COMPRESSED;
  if (isTooLarge(request)) return TOO_LARGE;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_BODY_LENGTH) chunks.push(chunk);
      else resolve(TOO_LARGE);
    });
    // A client that gave up in the middle asked for nothing, whatever its bytes up to there may mean.
    finished(request, (fault) => resolve(fault ? INCOMPLETE : Buffer.concat(chunks)));
  });
}

function refuseBody(request: IncomingMessage, response: Response, reply: TextReply): void {
  const length = Buffer.byteLength(reply.body);
  response.writeHead(reply.status, { ...reply.headers, 'Content-Length': length });
  response.write(reply.body);
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, LINGER);
  finished(request.resume(), end);
}

function httpRequest(request: Request, body: Uint8Array): HttpRequest {
  return {
    authorization: headerValues(request, 'authorization'),
    contentType: request.headers['content-type'],
    userAgent: request.headers['user-agent'],
    address: request.ip ?? '', // None when the client is gone already.
    query: new URLSearchParams(request.url?.replace(/^[^?]*/, '')),
    params: Object.fromEntries(
      Object.entries(request.params).map(([name, value]) => [name, String(value)]),
    ),
    body,
  };
}

/** Node keeps the first of several Authorization headers and drops the others silently. */
function headerValues({ rawHeaders }: IncomingMessage, name: string): string | undefined {
  const values = rawHeaders.filter((_, i) => rawHeaders[i - 1]?.toLowerCase() === name && i % 2);
  return values.length > 0 ? values.join(', ') : undefined;
}

async function send(
  response: Response,
  { status, headers, body }: Reply,
  report: (fault: unknown) => void,
): Promise<void> {
  if (isClosing(response.req.socket)) response.shouldKeepAlive = false;
  if (status === 204) {
    response.writeHead(status, headers).end();
    return;
  }
  if (typeof body === 'string') {
    response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) }).end(body);
    return;
  }
  response.writeHead(status, headers);
  if (response.req.method === 'HEAD') {
    response.end();
    return;
  }
  try {
    await pipeline(Readable.from(body, { highWaterMark: 1 }), response);
  } catch (fault) {
    // The status is out: all that can still be said is that the body is not whole, by breaking the
    // connection, which `pipeline` has done. A reader that went away is nobody's fault.
    if (!isPrematureClose(fault)) report(fault);
  }
}

/** Whether the server of this socket, which Node notes on it, takes no more connections. */
function isClosing(socket: Socket & { readonly server?: Server }): boolean {
  return socket.server?.listening === false;
}

function isPrematureClose(fault: unknown): boolean {
  return fault instanceof Error && 'code' in fault && fault.code === 'ERR_STREAM_PREMATURE_CLOSE';
}
