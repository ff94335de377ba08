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
import { LINGER, MAX_BODY_LENGTH } from './respond.ts';
import { knownRequestId } from './request-id.ts';
import {
  BAD_REQUEST,
  HEADERS_TOO_LARGE,
  LATE,
  NOT_FOUND,
  notAllowed,
  type TextReply,
  UNEXPECTED,
} from '../contract/reply.ts';

// What a client may take, in ms: for its headers, for a whole request, before it takes more of a
// reply, and between two requests.
const HEADERS_TIMEOUT = 10_000;
const REQUEST_TIMEOUT = 15_000;
const READ_TIMEOUT = 16_000; // Node notices after twice that, if a part of the reply went out.
const IDLE_TIMEOUT = 5_000;

/** Node drops those beyond the 2,000th silently, such as a second Authorization. */
const MAX_HEADERS = 100;

/** How often, in ms, Node looks for requests that took too long, and a full server for room. */
const CHECK_INTERVAL = 1_000;

/** What answers requests; it says where it does not. */
type Handler = (request: IncomingMessage, response: ServerResponse, unhandled: () => void) => void;

export interface ServerOptions
  extends Pick<NodeServerOptions, 'IncomingMessage' | 'ServerResponse'> {
  /** At once; more are closed as they come. As many as there are, unless given. */
  readonly maxConnections?: number;
  /** Told of each request when its answer is out, or its client gone. */
  readonly onAnswered?: ((answered: Answered) => void) | undefined;
  /** Whether that is to be told of addresses, too. */
  readonly withAddresses?: boolean;
}

/** A request, and what has become of it. */
export interface Answered {
  readonly method: string;
  /** The path of its row in the table of endpoints, with `{names}`; undefined where it is of none. */
  readonly route: string | undefined;
  /** Undefined where the client was gone before the answer was out. */
  readonly status: number | undefined;
  /** Undefined where no id was asked for. */
  readonly requestId: string | undefined;
  /** The IP address of the client, as the application knows it; undefined where it was not asked for. */
  readonly address: string | undefined;
  readonly seconds: number;
}

/** An HTTP server with limits on how long a client may take, whose own refusals are JSON too. */
export function httpServer(
  app: Handler,
  { maxConnections, onAnswered, withAddresses = false, ...classes }: ServerOptions = {},
): Server {
  const limits = {
    ...classes,
    headersTimeout: HEADERS_TIMEOUT,
    requestTimeout: REQUEST_TIMEOUT,
    keepAliveTimeout: IDLE_TIMEOUT,
    connectionsCheckingInterval: CHECK_INTERVAL,
    requireHostHeader: false,
  };
  const server = createServer(limits, (request, response) => {
    if (onAnswered !== undefined) watch(request, response, { onAnswered, withAddresses });
    if (request.rawHeaders.length > 2 * MAX_HEADERS) {
      writeRefusal(response, HEADERS_TOO_LARGE);
    } else if (!isHostClear(request)) {
      writeRefusal(response, BAD_REQUEST);
    } else {
      // What gets here has begun with its answer, and failed; or its target is no URL (`http://[`),
      // which Express shows to none of its handlers, ours for unknown paths among them.
      app(request, response, () => {
        if (response.headersSent) request.socket.destroy();
        else writeRefusal(response, NOT_FOUND);
      });
    }
  });
  server.timeout = READ_TIMEOUT;
  // Who has said all that he wants to (`nc -N`) still gets his answers, however long one takes.
  Object.assign(server, { httpAllowHalfOpen: true });
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  limitIdling(server);
  makeRoom(server);
  server.on('checkContinue', (request, response) => {
    if (!isTooLarge(request)) response.writeContinue();
    server.emit('request', request, response);
  });
  server.on('checkExpectation', (_, response) => {
    writeRefusal(response, UNEXPECTED);
  });
  server.on('connect', (_, socket: Socket) => {
    // No method at all: what CONNECT names is no resource of this server (RFC 9110 §9.3.6, §10.2.1).
    endWith(socket, notAllowed(''));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket & HasResponse) => {
    // More of what has been refused already: `endWith` sees to its end.
    if (socket.writableEnded && !socket.destroyed) return;
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) socket.destroy();
    else if (error.code === 'HPE_HEADER_OVERFLOW') endWith(socket, HEADERS_TOO_LARGE);
    else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') endWith(socket, LATE);
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
  const address = withAddresses ? request.ip : undefined; // Of a connection that is gone there is none.
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

/** How many connections to a server are open. */
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
const REQUESTLESS = IDLE_TIMEOUT + HEADERS_TIMEOUT + CHECK_INTERVAL;

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
      if (!socket._httpMessage && idle >= REQUESTLESS) socket.destroy();
      else wait(socket._httpMessage ? REQUESTLESS : REQUESTLESS - idle);
    };
    let timer: NodeJS.Timeout;
    const wait = (ms: number) => (timer = setTimeout(look, ms).unref());
    wait(REQUESTLESS);
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
    pause = setTimeout(() => (pause = undefined), CHECK_INTERVAL).unref();
  });
}

/** One Host header, or none where the protocol is older than it: else hosts may differ on who is meant. */
function isHostClear(request: IncomingMessage): boolean {
  const hosts = rawValues(request, 'host').length;
  return hosts === 1 || (hosts === 0 && request.httpVersion !== '1.1');
}

/**
 * All values of a header, given in small letters. `headers` has the first of some and drops the others;
 * `headersDistinct` makes an object of all headers to find one.
 */
export function rawValues({ rawHeaders }: IncomingMessage, name: string): readonly string[] {
  const values: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] ?? '';
    if (given.length !== name.length || given.toLowerCase() !== name) continue;
    values.push(rawHeaders[i + 1] ?? '');
  }
  return values;
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
  const timer = setTimeout(() => socket.destroy(), LINGER);
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

export function isTooLarge({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) > MAX_BODY_LENGTH;
}
