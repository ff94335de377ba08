import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import express, {
  type ErrorRequestHandler,
  type Express,
  type RequestHandler,
  type Response,
} from 'express';
import type { Auth } from '../../application/index.ts';
import {
  answer,
  type Endpoint,
  type EndpointOptions,
  endpoints,
  errorReply,
  MAX_BODY_LENGTH,
  type Reply,
} from './endpoints.ts';

export interface ExpressOptions extends EndpointOptions {
  /** Told of every fault that was answered with a 500. It may hold private data: do not print it whole. */
  readonly report?: (fault: unknown) => void;
}

/** The endpoint table as an Express application. */
export function expressApp(auth: Auth, options: ExpressOptions = {}): Express {
  const { report = () => {} } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');

  for (const [path, methods] of byPath(endpoints(options))) {
    const route = app.route(path);
    for (const endpoint of methods) {
      const handlers = endpoint.fields ? [readBody] : [];
      handlers.push(async (request, response) => {
        await send(response, await answer(endpoint, auth, httpRequest(request), report), report);
      });
      if (endpoint.method === 'GET') route.get(handlers);
      else route.post(handlers);
    }
    const allow = methods.map(({ method }) => (method === 'GET' ? 'GET, HEAD' : method)).join(', ');
    route.all((_, response) =>
      send(response, errorReply(405, 'Method not allowed', { Allow: allow }), report),
    );
  }
  app.use((_, response) => send(response, errorReply(404, 'Not found'), report));
  app.use(refuse(report));
  return app;
}

function byPath(table: readonly Endpoint[]): Map<string, Endpoint[]> {
  const paths = new Map<string, Endpoint[]>();
  for (const endpoint of table) {
    paths.set(endpoint.path, [...(paths.get(endpoint.path) ?? []), endpoint]);
  }
  return paths;
}

/** Bytes only: what they mean is for the endpoint to say, whatever their type. */
const readBody: RequestHandler = express.raw({
  type: () => true,
  limit: MAX_BODY_LENGTH,
  inflate: false,
});

function httpRequest(request: IncomingMessage & { body?: unknown }) {
  return {
    authorization: headerValues(request, 'authorization'),
    contentType: request.headers['content-type'],
    query: new URLSearchParams(request.url?.split('?', 2)[1]),
    body: request.body instanceof Uint8Array ? request.body : new Uint8Array(),
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

/** What Express and the body reader refuse before an endpoint sees it. */
function refuse(report: (fault: unknown) => void): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    const status = statusOf(error);
    if (status === 413) return send(response, errorReply(413, 'Request body is too large'), report);
    if (status === 415) return send(response, errorReply(415, 'Unsupported encoding'), report);
    if (status < 500) return send(response, errorReply(400, 'Bad request'), report);
    report(error);
    return send(response, errorReply(500, 'An error occurred'), report);
  };
}

function statusOf(error: unknown): number {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' ? status : 500;
}

/** An HTTP server with limits on how long a client may take, whose own refusals are JSON too. */
export function httpServer(app: Express): Server {
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 15_000 }, app);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const { status, reason, message } = protocolFault(error.code);
    const { headers, body } = errorReply(status, message, { Connection: 'close' });
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(
      `HTTP/1.1 ${status} ${reason}\r\nContent-Length: ${body.length}\r\n${lines.join('')}\r\n${body}`,
    );
  });
  return server;
}

function protocolFault(code: string | undefined) {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return { status: 431, reason: 'Request Header Fields Too Large', message: 'Header too large' };
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: 408, reason: 'Request Timeout', message: 'Request timeout' };
  }
  return { status: 400, reason: 'Bad Request', message: 'Bad request' };
}
