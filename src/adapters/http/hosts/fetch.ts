import type { Auth, UserRecord } from '../../../application/index.ts';
import {
  answer,
  authorize,
  checkGuard,
  checkHost,
  type HostOptions,
  type HttpRequest,
  LINGER,
  MAX_BODY_LENGTH,
  type RequireOptions,
} from './respond.ts';
import { type ReportOptions, tell } from './report.ts';
import { corsHeaders, preflightReply } from './cors.ts';
import {
  type EndpointName,
  type EndpointOptions,
  endpoints,
  FAILURE,
  type UsersAccess,
} from '../contract/endpoints.ts';
import {
  COMPRESSED,
  errorReply,
  INCOMPLETE,
  LATE,
  NOT_FOUND,
  notAllowed,
  type Reply,
  type TextReply,
  TOO_LARGE,
} from '../contract/reply.ts';
import { routesOf } from './routes.ts';

export type {
  EndpointName,
  EndpointOptions,
  HostOptions,
  ReportOptions,
  RequireOptions,
  UsersAccess,
};

/** What a fetch handler is told besides. */
export interface FetchOptions extends HostOptions {
  /** What the endpoints' paths come after, such as `/api/auth`; nothing unless given. */
  readonly prefix?: string;
  /**
   * The IP address that a request comes from, which a `Request` does not say: of the connection, or what
   * a proxy in front says of it, never what a client can write itself. Unless given, or where it is
   * undefined, attempts at passwords are counted by account alone.
   */
  readonly address?: (request: Request) => string | undefined;
}

/**
 * The endpoints as a function from `Request` to `Response`, for every host that has these: Hono, Next.js,
 * Deno, Bun, workers, node:http by an adapter. It answers whatever it is given, 404 elsewhere, and
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
  const find = routesOf(endpoints(options));

  const reply = async (request: Request, url: URL, isAllowed: boolean): Promise<Reply> => {
    const path = url.pathname.startsWith(`${prefix}/`) ? url.pathname.slice(prefix.length) : '';
    const route = find(path);
    if (route === undefined) return NOT_FOUND;
    const endpoint = route.endpoints.get(request.method);
    if (endpoint === undefined) {
      const asks = request.headers.has('access-control-request-method');
      const isPreflight = request.method === 'OPTIONS' && asks && isAllowed;
      return isPreflight ? preflightReply(route.allow) : notAllowed(route.allow);
    }
    const body = endpoint.fields ? await readBody(request) : new Uint8Array();
    if (!(body instanceof Uint8Array)) return body;
    const address = options.address?.(request);
    const said = new FetchRequest(request, url, { address, params: route.params, body });
    return answer(endpoint, auth, said, options);
  };

  return async (request) => {
    const url = new URL(request.url);
    const origin = request.headers.get('origin') ?? undefined;
    const cors = corsHeaders(corsOrigins, origin);
    const said = await reply(request, url, cors !== undefined).catch((fault: unknown) => {
      tell(report, fault);
      return errorReply(500, FAILURE);
    });
    const vary = corsOrigins.length > 0 ? { Vary: 'Origin' } : undefined;
    const cookie = said.cookie === undefined ? undefined : { 'Set-Cookie': said.cookie };
    const headers = { ...said.headers, ...vary, ...cors, ...cookie };
    return toResponse({ ...said, headers }, request.method, report);
  };
}

/**
 * Tells whose request this is, by its access token: the user, or the documented 401 or 404 to answer
 * with, or 403 where the user lacks the role. The user is looked up at each request, so it is seen at once
 * that one is deleted, disabled or of another role.
 * @throws TypeError where there are no use cases, RangeError for an option or role that is none
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

/** Each part is made when it is asked for. */
class FetchRequest implements HttpRequest {
  readonly #request: Request;
  readonly #url: URL;
  readonly address: HttpRequest['address'];
  readonly params: HttpRequest['params'];
  readonly body: Uint8Array;
  #id: string | undefined;

  constructor(
    request: Request,
    url: URL,
    { address, params, body }: Pick<FetchRequest, 'address' | 'params' | 'body'>,
  ) {
    this.#request = request;
    this.#url = url;
    this.address = address;
    this.params = params;
    this.body = body;
  }

  get authorization(): string | undefined {
    return authorizationOf(this.#request);
  }

  /** What makes a `Request` may have taken the header into the URL, and itself out of it. */
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

/** The bytes of a body, whatever they mean; or the refusal of one that is compressed or too large. */
async function readBody(request: Request): Promise<Uint8Array | TextReply> {
  const { headers, body } = request;
  if (request.bodyUsed) throw new TypeError('the body of the request has been read before');
  if (body === null) return new Uint8Array();
  const reader: BodyReader = body.getReader();
  const refuse = (refusal: TextReply) => {
    void readOn(reader);
    return refusal;
  };
  if ((headers.get('content-encoding') ?? 'identity') !== 'identity') return refuse(COMPRESSED);
  if (Number(headers.get('content-length') ?? 0) > MAX_BODY_LENGTH) return refuse(TOO_LARGE);
  const late = setTimeout(() => void reader.cancel().catch(() => {}), REQUEST_TIMEOUT);
  const started = performance.now();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    // A client that gave up in the middle asked for nothing, whatever its bytes up to there mean.
    const part = await reader.read().catch(() => undefined);
    if (part === undefined || part.done) clearTimeout(late);
    if (part === undefined) return INCOMPLETE;
    if (performance.now() - started > REQUEST_TIMEOUT) return refuse(LATE);
    if (part.done) return joined(chunks, length);
    length += part.value.length;
    if (length > MAX_BODY_LENGTH) {
      clearTimeout(late);
      return refuse(TOO_LARGE);
    }
    chunks.push(part.value);
  }
}

/** Milliseconds that a body may take, where the host has no limit of its own. */
const REQUEST_TIMEOUT = 15_000;

type BodyReader = ReadableStreamDefaultReader<Uint8Array>;

/** Bytes of a refused body that are read on, at most. */
const READ_ON = 64 * MAX_BODY_LENGTH;

/** Drops what a refused client still sends, within limits: cut off at once, it may miss the reply. */
async function readOn(reader: BodyReader): Promise<void> {
  const cancel = () => reader.cancel().catch(() => {});
  const timer = setTimeout(() => void cancel(), LINGER);
  try {
    for (let length = 0; length < READ_ON; ) {
      const part = await reader.read();
      if (part.done) return;
      length += part.value.length;
    }
    await cancel();
  } catch {
    // It has gone away.
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

/** The parts of a body, each made when the one before has been taken. */
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
          // The status is out: all that can still be said is that the body is not whole.
          tell(report, fault);
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
