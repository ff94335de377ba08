import { type Auth, AuthError, type Identity, type Role } from '../../../application/index.ts';
import { isRole } from '../../../domain/user.ts';
import { checkOptions, isOrigin } from '../../../application/options.ts';
import { COOKIE_MODE, MODE_HEADER, refreshCookie } from './cookies.ts';
import { isForeign } from './cors.ts';
import { type Endpoint, type EndpointOptions, FAILURE, type Input } from '../contract/endpoints.ts';
import { answerTo } from '../contract/messages.ts';
import { type FailedRequest, type ReportOptions, tell } from './report.ts';
import {
  CROSS_ORIGIN,
  errorReply,
  INVALID_MODE,
  MALFORMED,
  NOT_JSON,
  type Reply,
  type TextReply,
} from '../contract/reply.ts';

/** A request as every host can give it. */
export interface HttpRequest extends Pick<Input, 'address' | 'path' | 'query' | 'params'> {
  /** All values of the header, joined by commas; undefined where there is none. */
  readonly authorization: string | undefined;
  /** Where the client means to be, as its Host header says. */
  readonly host: string | undefined;
  /** All values of any other header, given in small letters; undefined where there is none. */
  readonly header: (name: string) => string | undefined;
  /** What it is called in the log and in its reply; made when it is asked for. */
  readonly id?: string;
  /** Empty where there is none. Undecoded: hosts pass no compressed bodies. */
  readonly body: Uint8Array | ParsedBody;
}

/** A body that something in front of the host has read. */
export interface ParsedBody {
  readonly value: unknown;
}

/** Whom `requireUser` lets through, and who is told where it cannot tell. */
export interface RequireOptions extends ReportOptions {
  /** What the user must be at least: others get 403. Any user unless given. */
  readonly role?: Role;
}

/** What every host can be told. */
export interface HostOptions extends EndpointOptions, ReportOptions {
  /** Origins (`https://app.example.com`) whose scripts may use the API in a browser; none unless given. */
  readonly corsOrigins?: readonly string[];
  /**
   * Whether cookies go without TLS, under a name that neighbours can set too: for development on
   * http://localhost. Unless given they are `Secure` and `__Host-`.
   */
  readonly insecureCookies?: boolean;
}

const HOST_OPTIONS = [
  'only',
  'usersAccess',
  'publicKeys',
  'isReady',
  'report',
  'corsOrigins',
  'insecureCookies',
];

/**
 * For those whom no compiler tells: a name that is misspelt would be an option that does not hold.
 * @throws TypeError where there are no use cases, RangeError for an option that is none
 */
export function checkHost(auth: Auth, options: object, own: readonly string[] = []): void {
  if (typeof auth?.login !== 'function') throw new TypeError('there are no use cases to mount');
  checkOptions(options, [...HOST_OPTIONS, ...own]);
  // A text such as 'false' would be taken for true.
  const given: { [name in keyof HostOptions]?: unknown } = options;
  const { insecureCookies = false, isReady, corsOrigins = [] } = given;
  if (typeof insecureCookies !== 'boolean') {
    throw new RangeError('insecureCookies must be true or false');
  }
  if (isReady !== undefined && typeof isReady !== 'function') {
    throw new RangeError('isReady must be a function');
  }
  // A text has each part of itself among its members, and a page of one would be let in with its cookies.
  if (!Array.isArray(corsOrigins) || !corsOrigins.every(isOrigin)) {
    throw new RangeError('corsOrigins must be a list of origins such as https://app.example.com');
  }
}

/**
 * For those whom no compiler tells: a role that is misspelt must not be none.
 * @throws TypeError where there is nobody to ask, RangeError for an option that is none
 */
export function checkGuard(auth: Pick<Auth, 'authorize'>, options: RequireOptions): void {
  if (typeof auth?.authorize !== 'function') throw new TypeError('there are no use cases to ask');
  checkOptions(options, ['report', 'role']);
  if ('role' in options && !isRole(options.role)) {
    throw new RangeError(`role cannot be ${String(options.role)}`);
  }
}

/** Bytes; hosts refuse more with status 413. */
export const MAX_BODY_LENGTH = 16 * 1024;

/** What a client that is still sending gets to do so, in ms: cut off at once, it may miss the reply. */
export const LINGER = 500;

/**
 * Milliseconds in which a request is answered, whatever the parts of the system do: less than the
 * promised 5 s, by what reading the request and sending the reply may take.
 */
const DEADLINE = 4_500;

/**
 * Answers a request to an endpoint: always, and in time. Refusals get their documented answer; a
 * fault of a part, or a part that does not answer, gets the endpoint's own 500 and is reported.
 */
export function answer(
  endpoint: Endpoint,
  auth: Auth,
  request: HttpRequest,
  options: HostOptions,
): Promise<Reply> {
  const work = () => handle(endpoint, auth, request, options);
  const { method, path: route, failure } = endpoint;
  const about = () => ({ id: request.id, method, route });
  return inTime<Reply>(work, (reply) => reply, { ...options, failure, about });
}

/** Tells whose request this is, or how it is to be answered. */
export function authorize(
  auth: Pick<Auth, 'authorize'>,
  authorization: string | undefined,
  { report, role }: RequireOptions,
): Promise<Identity | { readonly reply: TextReply }> {
  const work = () => auth.authorize({ accessToken: bearerToken(authorization), role });
  return inTime<Identity | { readonly reply: TextReply }>(work, (reply) => ({ reply }), {
    failure: FAILURE,
    ...(report && { report }),
  });
}

/** What is done about a fault. */
interface Failing extends ReportOptions {
  readonly failure: string;
  readonly about?: () => FailedRequest;
}

async function inTime<T>(
  work: () => Promise<T>,
  refused: (reply: TextReply) => T,
  { failure, about, report }: Failing,
): Promise<T> {
  try {
    return await withDeadline(work());
  } catch (error) {
    if (error instanceof AuthError) return refused(refusal(error));
    const failed = about?.();
    tell(report, error, failed);
    const id = failed?.id;
    return refused(errorReply(500, failure, id === undefined ? undefined : { 'X-Request-Id': id }));
  }
}

function refusal(error: AuthError): TextReply {
  const { status, message, headers } = answerTo(error);
  return errorReply(status, message, headers);
}

/** Rejects where the work takes longer. (`Promise.race` would make four promises more.) */
function withDeadline<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('deadline exceeded')), DEADLINE);
    const settle =
      <A>(pass: (outcome: A) => void) =>
      (outcome: A) => {
        clearTimeout(timer);
        pass(outcome);
      };
    work.then(settle(resolve), settle(reject));
  });
}

async function handle(
  endpoint: Endpoint,
  auth: Auth,
  request: HttpRequest,
  options: HostOptions,
): Promise<Reply> {
  const mode = endpoint.refreshCookie && request.header(MODE_HEADER);
  if (mode !== undefined && mode !== COOKIE_MODE) return INVALID_MODE;
  if (mode !== undefined && isForeign(options.corsOrigins ?? [], request)) return CROSS_ORIGIN;
  if (endpoint.fields === undefined && mode === undefined) {
    return endpoint.handle(auth, new RequestInput(request, {}));
  }
  const body = readJson(request);
  if ('reply' in body) return body.reply;
  const fields: Record<string, string> = {};
  for (const name of endpoint.fields ?? []) fields[name] = textOf(body.value, name);
  if (mode === undefined) return endpoint.handle(auth, new RequestInput(request, fields));
  return handleWithCookie(endpoint, auth, request, fields, options);
}

/** The refusals after which a refresh token is good for nothing. */
const ENDS: ReadonlySet<string> = new Set(['invalid_refresh_token', 'user_not_found']);

/** A request whose refresh token is in the cookie, and nowhere else. */
async function handleWithCookie(
  endpoint: Endpoint,
  auth: Auth,
  request: HttpRequest,
  fields: Readonly<Record<string, string>>,
  { insecureCookies = false }: HostOptions,
): Promise<Reply> {
  const cookie = refreshCookie(insecureCookies);
  const presented = cookie.read(request.header('cookie'));
  const isPresented = 'refresh_token' in fields;
  const given = isPresented ? { refresh_token: presented } : fields;
  try {
    const made = await endpoint.handle(auth, new RequestInput(request, given, true));
    const { refreshToken, ...reply } = made;
    if (endpoint.refreshCookie === 'ended') return { ...reply, cookie: cookie.removal };
    if (refreshToken === undefined) return reply;
    // A sign-in: the token that it replaces is nowhere else, so nobody could end its session (V7.2.4).
    // It is done for tidiness, and no reason to take back what is done.
    if (!isPresented && presented !== '') {
      await auth.logout({ refreshToken: presented }).catch(() => {});
    }
    return { ...reply, cookie: cookie.keep(refreshToken) };
  } catch (error) {
    if (!isPresented || !(error instanceof AuthError) || !ENDS.has(error.code)) throw error;
    return { ...refusal(error), cookie: cookie.removal };
  }
}

/** Each part is made when an endpoint asks for it: most ask for one or two. */
class RequestInput implements Input {
  readonly #request: HttpRequest;
  readonly fields: Readonly<Record<string, string>>;
  readonly hasRefreshCookie: boolean;

  constructor(request: HttpRequest, fields: Input['fields'], hasRefreshCookie = false) {
    this.#request = request;
    this.fields = fields;
    this.hasRefreshCookie = hasRefreshCookie;
  }

  get accessToken(): string {
    return bearerToken(this.#request.authorization);
  }

  get device(): string {
    return this.#request.header('user-agent') ?? '';
  }

  get address(): string | undefined {
    return this.#request.address;
  }

  get path(): string {
    return this.#request.path;
  }

  get query(): URLSearchParams {
    return this.#request.query;
  }

  get params(): Readonly<Record<string, string>> {
    return this.#request.params;
  }

  header(name: string): string | undefined {
    return this.#request.header(name);
  }

  get wantsRepresentation(): boolean {
    return /(?:^|[,\s])return=representation(?=$|[,;\s])/i.test(
      this.#request.header('prefer') ?? '',
    );
  }
}

/** What the body says; undefined, which has no members, where there is none. */
function readJson(request: HttpRequest): ParsedBody | { readonly reply: TextReply } {
  const { body } = request;
  if (body instanceof Uint8Array && body.length === 0) return { value: undefined };
  if (!isJson(request.header('content-type'))) return { reply: NOT_JSON };
  if (!(body instanceof Uint8Array)) return body;
  return parseJson(body) ?? { reply: MALFORMED };
}

/**
 * The token of an Authorization header: '' where there is no bearer token ("missing"), and a text
 * that is no token where there is more, or something else, than exactly one ("invalid").
 */
function bearerToken(authorization = ''): string {
  // White space is these two (RFC 9110 §5.6.3): \s would also pass over a no-break space.
  const [, token] = /^[ \t]*bearer +([^\s,]+)[ \t]*$/i.exec(authorization) ?? [];
  if (token !== undefined) return token;
  const alone = /^[ \t]*bearer[ \t]*$/i.test(authorization);
  const among = /(?:^|,)[ \t]*bearer(?=[\s,]|$)/i.test(authorization);
  return among && !alone ? 'not one token' : '';
}

/** JSON is UTF-8 (RFC 8259 §8.1): a charset that says otherwise is another type. */
function isJson(contentType = ''): boolean {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  return (
    type.trim() === 'application/json' &&
    parameters.every((parameter) => !/^\s*charset\b(?!="?utf-?8"?\s*$)/.test(parameter))
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Undefined when the bytes are no UTF-8 or the text no JSON; else whatever JSON value it is. */
function parseJson(bytes: Uint8Array): ParsedBody | undefined {
  try {
    return { value: JSON.parse(utf8.decode(bytes)) };
  } catch {
    return undefined;
  }
}

/** A string member; '', which counts as missing, for a member of another type or none. */
function textOf(body: unknown, name: string): string {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return '';
  const value: unknown = Reflect.get(body, name);
  return typeof value === 'string' ? value : '';
}
