import { IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import type { Auth, UserRecord } from '../../../application/index.ts';
import {
  answer,
  authorize,
  checkGuard,
  checkHost,
  type HostOptions,
  type HttpRequest,
  type RequireOptions,
} from './respond.ts';
import { type FailedRequest, type ReportOptions, tell } from './report.ts';
import { thisTurn, writeTogether } from './write-batch.ts';
import { corsHeaders, preflightReply } from './cors.ts';
import {
  type Endpoint,
  type EndpointName,
  type EndpointOptions,
  endpoints,
  FAILURE,
  type UsersAccess,
} from '../contract/endpoints.ts';
import { withPages } from './negotiation.ts';
import { errorReply, NOT_FOUND, notAllowed, type Reply } from '../contract/reply.ts';
import { readBody, refuseBody } from './express-body.ts';
import { requestIdOf } from './request-id.ts';
import { routesOf } from './routes.ts';
import { rawValues } from './server.ts';

export type {
  EndpointName,
  EndpointOptions,
  FailedRequest,
  HostOptions,
  ReportOptions,
  RequireOptions,
  UsersAccess,
};

declare global {
  namespace Express {
    interface User extends UserRecord {}

    interface Request {
      /** Who asks, where `requireUser` has let the request through. */
      user?: User | undefined;
    }
  }
}

/** What an application of its own is told besides. */
export interface ExpressOptions extends HostOptions {
  /**
   * Whose word on the client's address, in X-Forwarded-For, is taken: the number of proxies in front,
   * or their addresses and networks. Unless given nobody's: the address is the connection's.
   */
  readonly trustProxy?: number | readonly string[];
  /**
   * Pages for people, beside the endpoints; none unless given.
   * @internal Only the service has any.
   */
  readonly pages?: readonly Endpoint[];
  /**
   * Whether each reply says what its request is called in the log (`X-Request-Id`), and not only those to faults.
   * @internal
   */
  readonly requestIds?: boolean;
  /**
   * Around the answer to each request, by its headers; nothing unless given.
   * @internal
   */
  readonly around?: ((headers: IncomingMessage['headers'], work: () => void) => void) | undefined;
}

/**
 * The endpoints, to mount in an Express 5 application under any path: before its body parsers, or it is they
 * that answer for bodies which are broken or too large. Paths that are none of the endpoints' go on to what is mounted after it; other methods of
 * the endpoints' paths do not (405). The application's `trust proxy` says whose word on the client's
 * address is taken: limits on attempts go by it.
 * @throws RangeError for an option or endpoint that is none
 */
export function authRouter(auth: Auth, options: HostOptions = {}): RequestHandler {
  checkHost(auth, options);
  return router(auth, options, endpoints(options));
}

function router(auth: Auth, options: HostOptions, table: readonly Endpoint[]): RequestHandler {
  const { report, corsOrigins = [] } = options;
  const find = routesOf(table);
  // A function, not a Router: Express would walk through a second one on each request.
  return async (request, response, next) => {
    const route = find(request.path);
    if (route === undefined) return next();
    request.route = route; // As Express's own routes do: whoever measures wants `request.route.path`.
    const isAllowed = allowOrigin(corsOrigins, request, response);
    const arrival = thisTurn();
    const endpoint = route.endpoints.get(request.method);
    if (endpoint === undefined) {
      const asks = request.headers['access-control-request-method'] !== undefined;
      const isPreflight = request.method === 'OPTIONS' && asks && isAllowed;
      const reply = isPreflight ? preflightReply(route.allow) : notAllowed(route.allow);
      return send(response, reply, report);
    }
    const body = endpoint.fields ? await readBody(request) : new Uint8Array();
    if ('status' in body) return refuseBody(request, response, body);
    const reply = await answer(
      endpoint,
      auth,
      new ExpressRequest(request, body, route.params),
      options,
    );
    if (reply.cookie !== undefined && !response.headersSent) {
      response.appendHeader('Set-Cookie', reply.cookie);
    }
    return send(response, reply, report, arrival);
  };
}

/**
 * Lets a request through that has an access token, with its user in `request.user`; others get the
 * documented 401 or 404, and 403 where the user lacks the role. The user is looked up at each request, so
 * it is seen at once that one is deleted, disabled or of another role.
 * @throws TypeError where there are no use cases, RangeError for an option or role that is none
 */
export function requireUser(
  auth: Pick<Auth, 'authorize'>,
  options: RequireOptions = {},
): RequestHandler {
  checkGuard(auth, options);
  return async (request, response, next) => {
    const identity = await authorize(auth, headerValues(request, 'authorization'), options);
    if ('reply' in identity) return send(response, identity.reply, options.report);
    request.user = identity.user;
    return next();
  };
}

/** For those whom no compiler tells: `true` would believe whatever a client says of its address. */
function proxies(trusted: ExpressOptions['trustProxy'] = 0): number | string[] {
  if (typeof trusted === 'number' && Number.isSafeInteger(trusted) && trusted >= 0) return trusted;
  if (typeof trusted === 'object' && Symbol.iterator in trusted) return [...trusted];
  throw new RangeError(
    'trustProxy must be the number of proxies in front, or a list of their addresses',
  );
}

/** The endpoints as an application of their own, which finds nothing elsewhere: 404, in JSON too. */
export function expressApp(auth: Auth, options: ExpressOptions = {}): Express {
  checkHost(auth, options, ['trustProxy', 'pages', 'requestIds', 'around']);
  const { report, corsOrigins = [], pages = [], around } = options;
  const app = express();
  app.disable('x-powered-by'); // Also where Express answers itself, or hands on.
  app.disable('etag');
  app.set('trust proxy', proxies(options.trustProxy));
  if (around) app.use((request, _response, next) => around(request.headers, next));
  if (options.requestIds) {
    app.use((request, response, next) => {
      response.setHeader('X-Request-Id', idOf(request));
      next();
    });
  }
  app.use(router(auth, options, withPages(endpoints(options), pages)));
  app.use((request, response) => {
    allowOrigin(corsOrigins, request, response);
    return send(response, NOT_FOUND, report);
  });
  app.use(((error: unknown, _request, response, _next) => {
    tell(report, error);
    // Not on to Express, which would print the error as it is.
    if (response.headersSent) return response.destroy();
    return send(response, errorReply(500, FAILURE), report);
  }) satisfies ErrorRequestHandler);
  return app;
}

/**
 * The classes that a server of an application should make its messages of (`createServer(classes, app)`).
 * Express gives every message the prototype of its application, and a change of prototype takes V8's
 * shortcuts from the object: all that Node does with it afterwards is several times as dear. Messages
 * that have the prototype from the start are left as they are.
 */
export function messageClasses(app: Express): {
  readonly IncomingMessage: typeof IncomingMessage;
  readonly ServerResponse: typeof ServerResponse;
} {
  class AppRequest extends IncomingMessage {}
  class AppResponse<R extends IncomingMessage = IncomingMessage> extends ServerResponse<R> {}
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  Object.assign(app, { request: AppRequest.prototype, response: AppResponse.prototype });
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** Says to a browser whether it may let this origin's scripts read the reply. */
function allowOrigin(origins: readonly string[], request: Request, response: Response): boolean {
  if (origins.length === 0) return false;
  response.vary('Origin');
  const headers = corsHeaders(origins, request.headers.origin);
  if (headers) response.setHeaders(new Map(Object.entries(headers)));
  return headers !== undefined;
}

/** Each part is made when it is asked for. */
class ExpressRequest implements HttpRequest {
  readonly #request: Request;
  readonly body: HttpRequest['body'];
  readonly params: HttpRequest['params'];

  constructor(request: Request, body: HttpRequest['body'], params: HttpRequest['params']) {
    this.#request = request;
    this.body = body;
    this.params = params;
  }

  get authorization(): string | undefined {
    return headerValues(this.#request, 'authorization');
  }

  /** Of X-Forwarded-Host, where the application trusts who says it. */
  get host(): string | undefined {
    return this.#request.host;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join() : value;
  }

  get address(): string {
    return this.#request.ip ?? ''; // None when the client is gone already.
  }

  get id(): string {
    return idOf(this.#request);
  }

  get path(): string {
    return this.#request.baseUrl + this.#request.path;
  }

  get query(): URLSearchParams {
    return new URLSearchParams(this.#request.url?.replace(/^[^?]*/, ''));
  }
}

function idOf(request: Request): string {
  return requestIdOf(request, () => {
    const isTrusted: unknown = request.app.get('trust proxy fn');
    const isFunction = typeof isTrusted === 'function';
    return (
      isFunction && Reflect.apply(isTrusted, undefined, [request.socket.remoteAddress, 0]) === true
    );
  });
}

/** Node keeps the first of several Authorization headers and drops the others silently. */
function headerValues(request: IncomingMessage, name: string): string | undefined {
  const [first, ...others] = rawValues(request, name);
  return others.length > 0 ? [first, ...others].join(', ') : first;
}

function send(
  response: Response,
  reply: Reply,
  report: ReportOptions['report'],
  arrival = thisTurn(),
): Promise<void> | undefined {
  const { status, headers, body } = reply;
  if (typeof body !== 'string' && response.req.method !== 'HEAD') {
    prepare(response);
    response.writeHead(status, headers);
    return sendParts(response, body, report);
  }
  const write = () => {
    if (response.headersSent) return; // By the application, which would wait no longer.
    try {
      prepare(response);
      sendWhole(response, reply);
    } catch (fault) {
      tell(report, fault);
      response.destroy();
    }
  };
  if (arrival === thisTurn()) writeTogether(write);
  else write();
  return undefined;
}

function sendWhole(response: Response, { status, headers, body }: Reply): void {
  if (body === '' || typeof body !== 'string') {
    response.writeHead(status, headers).end();
  } else {
    response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) }).end(body);
  }
}

function prepare(response: Response): void {
  response.removeHeader('X-Powered-By'); // An application that has it on need not say so here.
  // Node would let a client of a server that stops send one more request, and drop it.
  const socket: Socket & { readonly server?: Server } = response.req.socket;
  if (socket.server?.listening === false) response.shouldKeepAlive = false;
}

async function sendParts(
  response: Response,
  parts: AsyncIterable<string>,
  report: ReportOptions['report'],
): Promise<void> {
  try {
    const body = resettingAtFault(parts, response.req.socket);
    await pipeline(Readable.from(body, { highWaterMark: 1 }), response);
  } catch (fault) {
    // A reader that went away is nobody's fault.
    if (!isPrematureClose(fault)) tell(report, fault);
  }
}

/**
 * The status is out: all that can still be said is that the body is not whole. By a reset, since clients
 * take a connection that ends, as it was to do, for the end of its last body.
 */
async function* resettingAtFault(
  parts: AsyncIterable<string>,
  socket: Socket,
): AsyncGenerator<string> {
  try {
    yield* parts;
  } catch (fault) {
    socket.resetAndDestroy();
    throw fault;
  }
}

function isPrematureClose(fault: unknown): boolean {
  return fault instanceof Error && 'code' in fault && fault.code === 'ERR_STREAM_PREMATURE_CLOSE';
}
