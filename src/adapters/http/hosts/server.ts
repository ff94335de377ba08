import { readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions as NodeServerOptions,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import {
  BAD_REQUEST,
  EXPECTATION_FAILED,
  HEADERS_TOO_LARGE,
  NOT_FOUND,
  notAllowed,
  REQUEST_TIMEOUT,
  type TextReply,
} from '../contract/reply.ts';
import { isTooLarge, LINGER_MS } from './body-limits.ts';
import { knownRequestId, rawValues } from './incoming-message.ts';

// How long a client may take: for its headers, for a whole request, to read more of a reply, and
// between two requests.
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
const READ_TIMEOUT_MS = 16_000; // Node notices after twice that, if a part of the reply went out.
const IDLE_TIMEOUT_MS = 5_000;

/** Node silently drops headers beyond the 2,000th, such as a second Authorization. */
const MAX_HEADERS = 100;

/** How often Node looks for requests that take too long, and a full server for idle connections. */
const CHECK_INTERVAL_MS = 1_000;

/** Answers a request, or calls `unhandled`. */
type Handler = (request: IncomingMessage, response: ServerResponse, unhandled: () => void) => void;

export interface ServerOptions
  extends Pick<NodeServerOptions, 'IncomingMessage' | 'ServerResponse'> {
  /** How many connections may be open: others are closed as they come. Default: no limit. */
  readonly maxConnections?: number;
  /** Called for each request when its reply is out, or its client gone. */
  readonly onAnswered?: ((completed: CompletedRequest) => void) | undefined;
  /** Whether `onAnswered` needs the addresses of clients. */
  readonly withAddresses?: boolean;
}

/** A request that is over, and how it ended. */
export interface CompletedRequest {
  readonly method: string;
  /** The path of its endpoint, with `{names}`. Undefined if no endpoint has the path. */
  readonly route: string | undefined;
  /** Undefined if the client went away before the reply was out. */
  readonly status: number | undefined;
  /** Undefined if the request has got no id. */
  readonly requestId: string | undefined;
  /** The IP address of the client, as the application knows it. Undefined without `withAddresses`. */
  readonly address: string | undefined;
  readonly seconds: number;
}

/** An HTTP server that limits how long a client may take, and whose own refusals are JSON too. */
export function httpServer(
  app: Handler,
  { maxConnections, onAnswered, withAddresses = false, ...classes }: ServerOptions = {},
): Server {
  const limits = {
    ...classes,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    requireHostHeader: false,
  };
  const server = createServer(limits, (request, response) => {
    if (onAnswered !== undefined) watch(request, response, { onAnswered, withAddresses });
    if (request.rawHeaders.length > 2 * MAX_HEADERS) {
      writeRefusal(response, HEADERS_TOO_LARGE);
    } else if (!isHostClear(request)) {
      writeRefusal(response, BAD_REQUEST);
    } else {
      // Either the reply has begun, and failed; or the target is no URL (`http://[`), for which
      // Express calls none of its handlers, not even ours for unknown paths.
      app(request, response, () => {
        if (response.headersSent) request.socket.destroy();
        else writeRefusal(response, NOT_FOUND);
      });
    }
  });
  server.timeout = READ_TIMEOUT_MS;
  // A client that ends its side early (`nc -N`) still gets its replies, however long they take.
  Object.assign(server, { httpAllowHalfOpen: true });
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  limitIdling(server);
  makeRoom(server);
  server.on('checkContinue', (request, response) => {
    if (!isTooLarge(request.headers['content-length'])) response.writeContinue();
    server.emit('request', request, response);
  });
  server.on('checkExpectation', (_, response) => {
    writeRefusal(response, EXPECTATION_FAILED);
  });
  server.on('connect', (_, socket: Socket) => {
    // CONNECT names no resource of this server, so there is no method to allow (RFC 9110 §9.3.6).
    endWith(socket, notAllowed(''));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket & HasResponse) => {
    // This connection has been refused already, and `endWith` ends it.
    if (socket.writableEnded && !socket.destroyed) return;
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) socket.destroy();
    else if (error.code === 'HPE_HEADER_OVERFLOW') endWith(socket, HEADERS_TOO_LARGE);
    else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') endWith(socket, REQUEST_TIMEOUT);
    else endWith(socket, BAD_REQUEST);
  });
  return server;
}

function watch(
  request: IncomingMessage & { readonly route?: { readonly path?: unknown }; readonly ip?: string },
  response: ServerResponse,
  { onAnswered, withAddresses }: Required<Pick<ServerOptions, 'onAnswered' | 'withAddresses'>>,
): void {
  const began = performance.now();
  const address = withAddresses ? request.ip : undefined; // Gone once the connection is.
  response.on('close', () => {
    const { method = '', route } = request;
    onAnswered?.({
      method,
      route: typeof route?.path === 'string' ? route.path : undefined,
      requestId: knownRequestId(request),
      address,
      status: response.writableFinished ? response.statusCode : undefined,
      seconds: (performance.now() - began) / 1000,
    });
  });
}

/** How many connections to this server are open. */
export function openConnections(server: Server): number {
  return connections.get(server)?.size ?? 0;
}

/** The open connections of each server. */
const connections = new WeakMap<Server, Set<Socket>>();

/**
 * Ends a server once its requests are answered. It takes no more connections, and says on each answer that
 * it is the last of its connection (`Connection: close`, by the host). Those between two requests are
 * closed after `lastCall` milliseconds: Node would do so at once, and cut off requests that are on their
 * way. After `grace` milliseconds all are closed.
 */
export async function drain(server: Server, lastCall: number, grace: number): Promise<void> {
  const closed = new Promise((resolve) => NetServer.prototype.close.call(server, resolve));
  let idle: NodeJS.Timeout | undefined;
  const closeIdle = () => {
    server.closeIdleConnections();
    // To Node these are busy: a request could begin.
    for (const socket of connections.get(server) ?? []) if (!socket.bytesRead) socket.destroy();
  };
  const wait = setTimeout(() => {
    closeIdle();
    idle = setInterval(closeIdle, 50);
  }, lastCall);
  const end = setTimeout(() => server.closeAllConnections(), grace);
  await closed;
  clearTimeout(wait);
  clearInterval(idle);
  clearTimeout(end);
  server.close(); // What Node has running beside the connections.
}

/** Milliseconds for which a connection may be without a request whose headers are there. */
const MAX_IDLE_MS = IDLE_TIMEOUT_MS + HEADERS_TIMEOUT_MS + CHECK_INTERVAL_MS;

/**
 * Ends connections that wait for a request too long. Node's own limit begins anew with every byte,
 * and an empty line, of which a client can send one now and then for ever, begins no request.
 */
function limitIdling(server: Server): void {
  const lastUses = new WeakMap<Socket, number>();
  const open = new Set<Socket>();
  connections.set(server, open);
  server.on('connection', (socket: Socket & HasResponse) => {
    open.add(socket);
    lastUses.set(socket, performance.now());
    const look = () => {
      const idle = performance.now() - (lastUses.get(socket) ?? 0);
      // Noted, and not a timer set anew at each reply: next to none of them would ever fire.
      if (!socket._httpMessage && idle >= MAX_IDLE_MS) socket.destroy();
      else wait(socket._httpMessage ? MAX_IDLE_MS : MAX_IDLE_MS - idle);
    };
    let timer: NodeJS.Timeout;
    const wait = (ms: number) => (timer = setTimeout(look, ms).unref());
    wait(MAX_IDLE_MS);
    socket.once('close', () => {
      open.delete(socket);
      clearTimeout(timer);
    });
  });
  const noteUse = function (this: ServerResponse) {
    lastUses.set(this.req.socket, performance.now());
  };
  server.on('request', (_, response) => response.on('close', noteUse));
}

/** While all connections are taken, those between two requests give way to whoever comes next. */
function makeRoom(server: Server): void {
  let pause: NodeJS.Timeout | undefined;
  server.on('drop', () => {
    if (pause !== undefined) return; // To look at all of them for each that comes would be dear.
    server.closeIdleConnections();
    pause = setTimeout(() => (pause = undefined), CHECK_INTERVAL_MS).unref();
  });
}

/** One Host header, or none where the protocol is older than it: else hosts may differ on who is meant. */
function isHostClear(request: IncomingMessage): boolean {
  const hosts = rawValues(request, 'host').length;
  return hosts === 1 || (hosts === 0 && request.httpVersion !== '1.1');
}

interface HasResponse {
  /** Node notes here the response that a connection is busy with. */
  readonly _httpMessage?: ServerResponse & { readonly req: IncomingMessage };
}

/** Whether a refusal would be taken for an answer to another request, or for the rest of one. */
function isAnswering({ _httpMessage: response }: HasResponse): boolean {
  return response ? response.headersSent || response.req.complete : false;
}

function writeRefusal(response: ServerResponse, { status, headers, body }: TextReply): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { ...headers, 'Content-Length': length, Connection: 'close' });
  response.end(body);
}

function endWith(socket: Socket, { status, headers, body }: TextReply): void {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, `Content-Length: ${body.length}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  lines.push('Connection: close');
  socket.end([...lines, '', body].join('\r\n'));
  // A client need not close its side, and nothing else would end a connection that Node has let go.
  // What it still sends is read and dropped: cut off at once, it may miss the reply.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.resume().once('close', () => clearTimeout(timer));
}

/**
 * As many connections as are wanted, or as the system's limit on open files leaves room for: beyond
 * it the database could not be reached either. Where that limit cannot be told, as wanted.
 */
export function affordableConnections(wanted: number): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const [, openFiles] = /^Max open files +(\d+)/m.exec(limits) ?? [];
    return Math.min(wanted, Math.floor(Number(openFiles ?? Infinity) * 0.8));
  } catch {
    return wanted;
  }
}
