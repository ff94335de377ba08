import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
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
import { type Endpoint, type EndpointOptions, endpoints } from './endpoints.ts';
import { errorReply, type Reply, type TextReply } from './reply.ts';

export interface ExpressOptions extends EndpointOptions {
  /** Told of every fault that was answered with a 500. It may hold private data: do not print it whole. */
  readonly report?: (fault: unknown) => void;
  /**
   * Whose word on the client's address, in X-Forwarded-For, is taken: the number of proxies in front,
   * or their addresses and networks. Unless given nobody's: the address is the connection's.
   */
  readonly trustProxy?: number | readonly string[];
}

/** The endpoint table as an Express application. */
export function expressApp(auth: Auth, options: ExpressOptions = {}): Express {
  const { report = () => {} } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', options.trustProxy ?? false);
  app.enable('case sensitive routing');
  app.enable('strict routing');

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
    route.all((_, response) =>
      send(response, errorReply(405, 'Method not allowed', { Allow: allow }), report),
    );
  }
  app.use((_, response) => send(response, errorReply(404, 'Not found'), report));
  app.use(((error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    // A path whose escapes are no text: Express says 400, but what it names is not there.
    if (error instanceof URIError) return send(response, errorReply(404, 'Not found'), report);
    report(error);
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
    // Also where the client gave up: nobody reads the answer then.
    finished(request, () => resolve(Buffer.concat(chunks)));
  });
}

function isTooLarge({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) > MAX_BODY_LENGTH;
}

/** What a client that is still sending gets to do so, in ms: cut off at once, it may miss the reply. */
const LINGER = 500;

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

/** An HTTP server with limits on how long a client may take, whose own refusals are JSON too. */
export function httpServer(app: Express): Server {
  const limits = { headersTimeout: 10_000, requestTimeout: 15_000, requireHostHeader: false };
  const handle: Handle = app;
  const server = createServer(limits, (request, response) => {
    const hostless = request.headers.host === undefined && request.httpVersion === '1.1';
    if (hostless) return writeRefusal(response, errorReply(400, 'Bad request'));
    // What gets here has begun with its answer, and failed; or its target is no URL (`http://[`),
    // which Express shows to none of its handlers, ours for unknown paths among them.
    return handle(request, response, () => {
      if (response.headersSent) request.socket.destroy();
      else writeRefusal(response, errorReply(404, 'Not found'));
    });
  });
  server.on('checkContinue', (request, response) => {
    if (!isTooLarge(request)) response.writeContinue();
    server.emit('request', request, response);
  });
  server.on('checkExpectation', (_, response) => {
    writeRefusal(response, errorReply(417, 'Expectation failed'));
  });
  server.on('connect', (_, socket: Socket) => {
    // No method at all: what CONNECT names is no resource of this server (RFC 9110 §9.3.6, §10.2.1).
    endWith(socket, 405, 'Method not allowed', { Allow: '' });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket & HasResponse) => {
    // More of what has been refused already: `endWith` sees to its end.
    if (socket.writableEnded && !socket.destroyed) return;
    // In the middle of another answer on this connection, a refusal would be taken for its rest.
    if (error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage) socket.destroy();
    else if (error.code === 'HPE_HEADER_OVERFLOW') endWith(socket, 431, 'Header too large');
    else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') endWith(socket, 408, 'Request timeout');
    else endWith(socket, 400, 'Bad request');
  });
  return server;
}

type Handle = (request: IncomingMessage, response: ServerResponse, unhandled: () => void) => void;

interface HasResponse {
  /** Node notes here the response that a connection is busy with. */
  readonly _httpMessage?: ServerResponse;
}

function writeRefusal(response: ServerResponse, { status, headers, body }: TextReply): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { ...headers, 'Content-Length': length, Connection: 'close' });
  response.end(body);
}

function endWith(
  socket: Socket,
  status: number,
  message: string,
  special: Readonly<Record<string, string>> = {},
): void {
  const { headers, body } = errorReply(status, message, { ...special, Connection: 'close' });
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, `Content-Length: ${body.length}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  socket.end([...lines, '', body].join('\r\n'));
  // What a client still sends is read and dropped: unread it would keep the socket from ever closing
  // and the server from stopping, and cut off at once the client may miss the reply.
  const timer = setTimeout(() => socket.destroy(), LINGER);
  socket.resume().once('close', () => clearTimeout(timer));
}
