import type { Auth, UserRecord } from '../../../application/index.ts';
import type { EndpointName, EndpointOptions } from '../contract/endpoints.ts';
import {
  BODY_TOO_LARGE,
  errorReply,
  FAILURE,
  INCOMPLETE_BODY,
  NOT_FOUND,
  type Reply,
  REQUEST_TIMEOUT,
  type TextReply,
  UNSUPPORTED_ENCODING,
} from '../contract/reply.ts';
import type { UsersAccess } from '../contract/users-access.ts';
import { isTooLarge, LINGER_MS, MAX_BODY_BYTES } from './body-limits.ts';
import { corsHeaders } from './cors.ts';
import { endpointsWithDocument } from './openapi-json.ts';
import { checkGuard, checkHost, type HostOptions, type RequireOptions } from './options.ts';
import { reportFault, type ReportOptions } from './report.ts';
import { bearerToken, type HttpRequest, NO_BODY, NO_FIELDS } from './request.ts';
import { authorize, respond } from './respond.ts';
import { dispatch, routesOf } from './routes.ts';

export type {
  EndpointName,
  EndpointOptions,
  HostOptions,
  ReportOptions,
  RequireOptions,
  UsersAccess,
};

/** The options of a fetch handler. */
export interface FetchOptions extends HostOptions {
  /** What the endpoints' paths come after, such as `/api/auth`. Default: nothing. */
  readonly prefix?: string;
  /**
   * The IP address that a request comes from, which a `Request` does not tell: that of the connection, or
   * what a trusted proxy says, never what a client can write itself. Without it, or where it is undefined,
   * attempts at passwords are counted by account alone.
   */
  readonly address?: (request: Request) => string | undefined;
}

/**
 * The endpoints as a function from `Request` to `Response`, for every host that has these: Hono, Next.js,
 * Deno, Bun, workers, node:http by an adapter. It answers every request, other paths with 404, and
 * never rejects. The body of a request must not have been read before.
 * @throws RangeError for a name of no endpoint, or a prefix that is not a path like `/api/auth`
 */
export function fetchHandler(
  auth: Auth,
  options: FetchOptions = {},
): (request: Request) => Promise<Response> {
  checkHost(auth, options, ['prefix', 'address']);
  const { prefix = '', report, corsOrigins = [] } = options;
  if (!/^(?:\/[\w.~-]*[\w~-][\w.~-]*)*$/.test(prefix))
    throw new RangeError('prefix must be like /api/auth, without a slash at its end');
  const find = routesOf(endpointsWithDocument(options));

  const replyTo = async (request: Request, url: URL, isOriginAllowed: boolean): Promise<Reply> => {
    const path = url.pathname.startsWith(`${prefix}/`) ? url.pathname.slice(prefix.length) : '';
    const route = find(path);
    if (route === undefined) return NOT_FOUND;
    const input = new FetchRequest(request, url, route.params);
    const found = dispatch(route, input, isOriginAllowed);
    if ('status' in found) return found;
    if (found.fields) {
      const body = await readBody(request);
      if ('status' in body) return body;
      input.body = body;
    }
    input.address = options.address?.(request);
    return respond(found, auth, input, options);
  };

  return async (request) => {
    const url = new URL(request.url);
    const origin = request.headers.get('origin') ?? undefined;
    const cors = corsHeaders(corsOrigins, origin);
    const reply = await replyTo(request, url, cors !== undefined).catch((fault: unknown) => {
      reportFault(report, fault);
      return errorReply(500, FAILURE);
    });
    const vary = corsOrigins.length > 0 ? { Vary: 'Origin' } : undefined;
    const cookie = reply.cookie === undefined ? undefined : { 'Set-Cookie': reply.cookie };
    const headers = { ...reply.headers, ...vary, ...cors, ...cookie };
    return toResponse({ ...reply, headers }, request.method, report);
  };
}

/**
 * Makes a function that tells whose access token a request has: the user, or the response that refuses
 * it, which is the documented 401 or 404, or 403 if the user lacks the role. It looks the user up at each
 * request, so a deletion, a disabling or a change of role counts at once.
 * @throws TypeError without use cases, RangeError for an unknown option or role
 */
export function requireUser(
  auth: Pick<Auth, 'authorize'>,
  options: RequireOptions = {},
): (request: Request) => Promise<UserRecord | Response> {
  checkGuard(auth, options);
  return async (request) => {
    const identity = await authorize(auth, authorizationOf(request), options);
    if ('user' in identity) return identity.user;
    return toResponse(identity.reply, request.method, options.report);
  };
}

function authorizationOf({ headers }: Request): string | undefined {
  return headers.get('authorization') ?? undefined;
}

/** Reads each part of the request when it is needed: most endpoints need one or two. */
class FetchRequest implements HttpRequest {
  readonly #request: Request;
  readonly #url: URL;
  readonly params: HttpRequest['params'];
  address: HttpRequest['address'];
  body: HttpRequest['body'] = NO_BODY;
  fields: HttpRequest['fields'] = NO_FIELDS;
  hasRefreshCookie = false;
  #id: string | undefined;

  constructor(request: Request, url: URL, params: HttpRequest['params']) {
    this.#request = request;
    this.#url = url;
    this.params = params;
  }

  get method(): string {
    return this.#request.method;
  }

  get accessToken(): string {
    return bearerToken(authorizationOf(this.#request));
  }

  /** Whatever made the `Request` may have moved the header into the URL. */
  get host(): string | undefined {
    return this.header('host') ?? this.#url.host;
  }

  get id(): string {
    return (this.#id ??= crypto.randomUUID());
  }

  get path(): string {
    return this.#url.pathname;
  }

  get query(): URLSearchParams {
    return this.#url.searchParams;
  }

  header(name: string): string | undefined {
    return this.#request.headers.get(name) ?? undefined;
  }
}

/** Reads the bytes of a body, or refuses one that is compressed, too large or too slow. */
async function readBody(request: Request): Promise<Uint8Array | TextReply> {
  const { headers, body } = request;
  if (request.bodyUsed) throw new TypeError('the body of the request has been read before');
  if (body === null) return NO_BODY;
  const reader: BodyReader = body.getReader();
  const refuse = (refusal: TextReply) => {
    void readOn(reader);
    return refusal;
  };
  if ((headers.get('content-encoding') ?? 'identity') !== 'identity') {
    return refuse(UNSUPPORTED_ENCODING);
  }
  if (isTooLarge(headers.get('content-length'))) return refuse(BODY_TOO_LARGE);
  const timer = setTimeout(() => void reader.cancel().catch(() => {}), BODY_TIMEOUT_MS);
  const started = performance.now();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    // A client that gives up has requested nothing, even if its bytes up to there are JSON.
    const part = await reader.read().catch(() => undefined);
    if (part === undefined || part.done) clearTimeout(timer);
    if (part === undefined) return INCOMPLETE_BODY;
    if (performance.now() - started > BODY_TIMEOUT_MS) return refuse(REQUEST_TIMEOUT);
    if (part.done) return joined(chunks, length);
    length += part.value.length;
    if (length > MAX_BODY_BYTES) {
      clearTimeout(timer);
      return refuse(BODY_TOO_LARGE);
    }
    chunks.push(part.value);
  }
}

/** How long a body may take to arrive, where the host has no limit of its own. */
const BODY_TIMEOUT_MS = 15_000;

type BodyReader = ReadableStreamDefaultReader<Uint8Array>;

/** How much of a refused body is still read. */
const MAX_DROPPED_BYTES = 64 * MAX_BODY_BYTES;

/** Drops what a refused client still sends, within limits. Cut off at once, it may miss the reply. */
async function readOn(reader: BodyReader): Promise<void> {
  const cancel = () => reader.cancel().catch(() => {});
  const timer = setTimeout(() => void cancel(), LINGER_MS);
  try {
    for (let length = 0; length < MAX_DROPPED_BYTES; ) {
      const part = await reader.read();
      if (part.done) return;
      length += part.value.length;
    }
    await cancel();
  } catch {
    // The client has gone away.
  } finally {
    clearTimeout(timer);
  }
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function toResponse(
  { status, headers, body }: Reply,
  method: string,
  report: ReportOptions['report'],
): Response {
  if (status === 204 || method === 'HEAD') return new Response(null, { status, headers });
  if (typeof body === 'string') return new Response(body, { status, headers });
  return new Response(streamOf(body, report), { status, headers });
}

/** The parts of a body, each made when the client has taken the one before. */
function streamOf(
  body: AsyncIterable<string>,
  report: ReportOptions['report'],
): ReadableStream<Uint8Array> {
  const parts = body[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const part = await parts.next();
          if (part.done) controller.close();
          else controller.enqueue(encoder.encode(part.value));
        } catch (fault) {
          // The status is out: an error of the stream tells the client that the body is not whole.
          reportFault(report, fault);
          controller.error(fault);
        }
      },
      async cancel() {
        await parts.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
