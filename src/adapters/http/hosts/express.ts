import { IncomingMessage, ServerResponse } from 'node:http';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import type { Auth, UserRecord } from '../../../application/index.ts';
import type { Endpoint, EndpointName, EndpointOptions } from '../contract/endpoints.ts';
import { errorReply, FAILURE, NOT_FOUND } from '../contract/reply.ts';
import type { UsersAccess } from '../contract/users-access.ts';
import { corsHeaders } from './cors.ts';
import { readBody, refuseBody } from './express-body.ts';
import { send } from './express-send.ts';
import { joinedValues, requestIdOf } from './incoming-message.ts';
import { withPages } from './negotiation.ts';
import { endpointsWithDocument } from './openapi-json.ts';
import { checkGuard, checkHost, type HostOptions, type RequireOptions } from './options.ts';
import { type FailedRequest, reportFault, type ReportOptions } from './report.ts';
import { bearerToken, type HttpRequest, NO_BODY, NO_FIELDS } from './request.ts';
import { authorize, respond } from './respond.ts';
import { dispatch, routesOf } from './routes.ts';
import { thisTurn } from './write-batch.ts';

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
      /** The user whose access token the request has, after `requireUser` has let it through. */
      user?: User | undefined;
    }
  }
}

/** The options of an application of its own. */
export interface ExpressOptions extends HostOptions {
  /**
   * Whose X-Forwarded-For is believed: the number of proxies in front, or their addresses and networks.
   * Default: nobody's, so that the client's address is the connection's.
   */
  readonly trustProxy?: number | readonly string[];
  /**
   * Pages for people, besides the endpoints. Default: none.
   * @internal Only the service has any.
   */
  readonly pages?: readonly Endpoint[];
  /**
   * Whether each reply has the id that its request has in the log (`X-Request-Id`), and not only a 500.
   * @internal
   */
  readonly requestIds?: boolean;
  /**
   * Wraps the work on each request, given its headers.
   * @internal
   */
  readonly around?: ((headers: IncomingMessage['headers'], work: () => void) => void) | undefined;
}

/**
 * The endpoints, to mount in an Express 5 application under any path. Mount them before body parsers:
 * otherwise it is those that answer for bodies which are broken or too large. A path that is none of the
 * endpoints' goes on to what is mounted after them; another method of an endpoint's path does not (405).
 * The application's `trust proxy` decides which address the limits on attempts see.
 * @throws RangeError for an unknown option or endpoint
 */
export function authRouter(auth: Auth, options: HostOptions = {}): RequestHandler {
  checkHost(auth, options);
  return router(auth, options, endpointsWithDocument(options));
}

function router(auth: Auth, options: HostOptions, table: readonly Endpoint[]): RequestHandler {
  const { report, corsOrigins = [] } = options;
  const find = routesOf(table);
  // A function, not a Router: Express would walk through a second one on each request.
  return async (request, response, next) => {
    const route = find(request.path);
    if (route === undefined) return next();
    request.route = route; // As Express's own routes do, for those who measure `request.route.path`.
    const isOriginAllowed = allowOrigin(corsOrigins, request, response);
    const arrival = thisTurn();
    const input = new ExpressRequest(request, route.params);
    const found = dispatch(route, input, isOriginAllowed);
    if ('status' in found) return send(response, found, report);
    if (found.fields) {
      const body = await readBody(request);
      if ('status' in body) return refuseBody(request, response, body);
      input.body = body;
    }
    const reply = await respond(found, auth, input, options);
    if (reply.cookie !== undefined && !response.headersSent) {
      response.appendHeader('Set-Cookie', reply.cookie);
    }
    return send(response, reply, report, arrival);
  };
}

/**
 * Lets a request through that has a valid access token, with its user in `request.user`. Others get the
 * documented 401 or 404, or 403 if the user lacks the role. It looks the user up at each request, so a
 * deletion, a disabling or a change of role counts at once.
 * @throws TypeError without use cases, RangeError for an unknown option or role
 */
export function requireUser(
  auth: Pick<Auth, 'authorize'>,
  options: RequireOptions = {},
): RequestHandler {
  checkGuard(auth, options);
  return async (request, response, next) => {
    const identity = await authorize(auth, joinedValues(request, 'authorization'), options);
    if ('reply' in identity) return send(response, identity.reply, options.report);
    request.user = identity.user;
    return next();
  };
}

/** Rejects `true`, for callers without TypeScript: any client could choose its address. */
function proxies(trusted: ExpressOptions['trustProxy'] = 0): number | string[] {
  if (typeof trusted === 'number' && Number.isSafeInteger(trusted) && trusted >= 0) return trusted;
  if (typeof trusted === 'object' && Symbol.iterator in trusted) return [...trusted];
  throw new RangeError(
    'trustProxy must be the number of proxies in front, or a list of their addresses',
  );
}

/** The endpoints as an application of their own. Other paths are answered with 404, in JSON too. */
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
  app.use(router(auth, options, withPages(endpointsWithDocument(options), pages)));
  app.use((request, response) => {
    allowOrigin(corsOrigins, request, response);
    return send(response, NOT_FOUND, report);
  });
  app.use(((error: unknown, _request, response, _next) => {
    reportFault(report, error);
    // Express itself would print the whole error.
    if (response.headersSent) return response.destroy();
    return send(response, errorReply(500, FAILURE), report);
  }) satisfies ErrorRequestHandler);
  return app;
}

/**
 * The classes that a server of this application should make its messages of (`createServer(classes, app)`).
 * Express gives every message the prototype of its application. V8 then treats the object as a slow one,
 * and all that Node does with it takes several times as long. A message that has the prototype from the
 * start stays fast.
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

/** Tells a browser whether this origin's scripts may read the reply. */
function allowOrigin(origins: readonly string[], request: Request, response: Response): boolean {
  if (origins.length === 0) return false;
  response.vary('Origin');
  const headers = corsHeaders(origins, request.headers.origin);
  if (headers) response.setHeaders(new Map(Object.entries(headers)));
  return headers !== undefined;
}

/** Reads each part of the request when it is needed: most endpoints need one or two. */
class ExpressRequest implements HttpRequest {
  readonly #request: Request;
  readonly params: HttpRequest['params'];
  body: HttpRequest['body'] = NO_BODY;
  fields: HttpRequest['fields'] = NO_FIELDS;
  hasRefreshCookie = false;

  constructor(request: Request, params: HttpRequest['params']) {
    this.#request = request;
    this.params = params;
  }

  get method(): string {
    return this.#request.method;
  }

  /** Node's `headers` would have the first of several Authorization headers, and drop the others. */
  get accessToken(): string {
    return bearerToken(joinedValues(this.#request, 'authorization'));
  }

  /** From X-Forwarded-Host, if the application trusts the proxy that sent it. */
  get host(): string | undefined {
    return this.#request.host;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join() : value;
  }

  get address(): string {
    return this.#request.ip ?? ''; // Undefined if the client is gone already.
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
