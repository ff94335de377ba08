import { withDeadline } from '../../../domain/calls.ts';
import { type Auth, AuthError, type Identity } from '../../../application/index.ts';
import type { Endpoint } from '../contract/endpoints.ts';
import { mapError } from '../contract/messages.ts';
import {
  CROSS_ORIGIN,
  errorReply,
  FAILURE,
  INVALID_MODE,
  type Reply,
  type TextReply,
} from '../contract/reply.ts';
import { isDeadRefreshToken } from '../contract/tokens.ts';
import { COOKIE_MODE, MODE_HEADER, refreshCookie } from './cookies.ts';
import { isForeign } from './cors.ts';
import type { HostOptions, RequireOptions } from './options.ts';
import { type FailedRequest, reportFault, type ReportOptions } from './report.ts';
import { bearerToken, fieldsIn, type HttpRequest, readJson } from './request.ts';

/**
 * How long the parts of the system may take for one request. It is less than the promised 5 s by the
 * time that reading the request and sending the reply may take.
 */
const DEADLINE_MS = 4_500;

/**
 * Responds to a request to an endpoint: always, and in time. A refusal gets its documented reply. A
 * fault of a part, or a part that takes too long, gets the endpoint's 500 and is reported.
 */
export function respond(
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

/** Tells whose access token an Authorization header has, or which reply refuses it. */
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

/** What to reply to a fault, and whom to tell. */
interface FaultOptions extends ReportOptions {
  readonly failure: string;
  readonly about?: () => FailedRequest;
}

async function inTime<T>(
  work: () => Promise<T>,
  refused: (reply: TextReply) => T,
  { failure, about, report }: FaultOptions,
): Promise<T> {
  try {
    return await withDeadline(work(), DEADLINE_MS, deadlineExceeded);
  } catch (error) {
    if (error instanceof AuthError) return refused(refusal(error));
    const failed = about?.();
    reportFault(report, error, failed);
    const id = failed?.id;
    return refused(errorReply(500, failure, id === undefined ? undefined : { 'X-Request-Id': id }));
  }
}

function refusal(error: AuthError): TextReply {
  const { status, message, headers } = mapError(error);
  return errorReply(status, message, headers);
}

function deadlineExceeded(): never {
  throw new Error('deadline exceeded');
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
  if (endpoint.fields === undefined && mode === undefined) return endpoint.handle(auth, request);
  const json = readJson(request);
  if ('status' in json) return json;
  request.fields = fieldsIn(json.value, endpoint.fields ?? []);
  if (mode === undefined) return endpoint.handle(auth, request);
  return handleWithCookie(endpoint, auth, request, options);
}

/** Handles a request of cookie mode: its refresh token is the cookie's, whatever the body has. */
async function handleWithCookie(
  endpoint: Endpoint,
  auth: Auth,
  request: HttpRequest,
  { insecureCookies = false }: HostOptions,
): Promise<Reply> {
  const cookie = refreshCookie(insecureCookies);
  const kept = cookie.read(request.header('cookie'));
  const takesToken = 'refresh_token' in request.fields;
  if (takesToken) request.fields = { refresh_token: kept };
  request.hasRefreshCookie = true;
  try {
    const { refreshToken, ...reply } = await endpoint.handle(auth, request);
    if (endpoint.refreshCookie === 'ended') return { ...reply, cookie: cookie.removal };
    if (refreshToken === undefined) return reply;
    // A sign-in replaces the token of the cookie, and then nobody has that any more to end its session
    // with (ASVS V7.2.4). If ending it fails, the sign-in is good all the same.
    if (!takesToken && kept !== '') await auth.logout({ refreshToken: kept }).catch(() => {});
    return { ...reply, cookie: cookie.keep(refreshToken) };
  } catch (error) {
    if (!takesToken || !isDeadRefreshToken(error)) throw error;
    return { ...refusal(error), cookie: cookie.removal };
  }
}
