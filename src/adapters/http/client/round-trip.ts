import { withDeadline } from '../../../domain/calls.ts';
import type { ListedSession, SignedIn, User, UserRecord } from '../../../application/index.ts';
import { canonicalEmail } from '../../../domain/credentials.ts';
import { AuthError } from '../../../domain/errors.ts';
import { deviceLabel } from '../../../domain/session.ts';
import { isRole } from '../../../domain/user.ts';
import type { EndpointName, StatusOf } from '../contract/endpoints.ts';
import { parseError } from '../contract/messages.ts';
import { type BodyOf, jsonOf } from './request-bodies.ts';

/** Sends a request and receives its response: the global `fetch`, or a function like it. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** A response that the contract does not have, or no response. It holds nothing secret. */
export class UnexpectedReplyError extends Error {
  override readonly name = 'UnexpectedReplyError';
  readonly method: string;
  /** The endpoint's, as in `/sessions/{id}`. */
  readonly path: string;
  /** Undefined where no response came in time, or none that is HTTP. */
  readonly status: number | undefined;

  constructor(
    { method, path }: { readonly method: string; readonly path: string },
    status: number | undefined,
    cause?: unknown,
  ) {
    const what =
      status === undefined ? 'was not answered' : `was answered by ${status}, not as it should be`;
    super(`${method} ${path} ${what}`, { cause });
    this.method = method;
    this.path = path;
    this.status = status;
  }
}

/** A request to an endpoint. */
export interface ApiRequest<Name extends EndpointName = EndpointName> {
  /** Replaces the path's `{id}`. */
  readonly id?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly accessToken?: string | undefined;
  /** A member that is not a string is left out, so that it is missing, as it is in process. */
  readonly json?: BodyOf<Name>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly device?: string | undefined;
  readonly address?: string | undefined;
  /** How much of the response is read. Default: 64 KiB. */
  readonly maxBytes?: number;
}

/** The response of a success. */
export interface ApiResponse {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined if there is none. */
  readonly json: unknown;
  /** What to throw if the JSON is not as the contract has it. */
  readonly unexpected: UnexpectedReplyError;
}

/**
 * Calls an endpoint. `status` is that of its success: a page that answers 200 to everything has done
 * nothing.
 * @throws AuthError for a refusal, UnexpectedReplyError for every other response, and for none
 */
export type ApiCall = <Name extends EndpointName>(
  endpoint: Name,
  status: StatusOf<Name>,
  request?: ApiRequest<Name>,
) => Promise<ApiResponse>;

const MAX_BYTES = 64 * 1024;

/** Makes the function that calls the endpoints of a service, each time in at most `timeoutMs`. */
export function apiCaller(baseUrl: string, fetch: Fetch, timeoutMs: number): ApiCall {
  return async (endpoint, status, request = {}) => {
    const [method = '', path = ''] = endpoint.split(' ');
    const query = new URLSearchParams(request.query).toString();
    const url = baseUrl + path.replace('{id}', request.id ?? '') + (query && `?${query}`);
    const headers = headersOf(request);
    const body = request.json === undefined ? null : jsonOf(request.json);
    // A redirect must not take a password or a token elsewhere.
    const init = { method, headers, body, redirect: 'error' } as const;
    const work = async (signal: AbortSignal) => {
      const response = await fetch(url, { ...init, signal });
      const text = await readText(response, request.maxBytes ?? MAX_BYTES, signal);
      return { status: response.status, headers: response.headers, text };
    };
    const received = await inTime(timeoutMs, work).catch((cause: unknown) => {
      throw new UnexpectedReplyError({ method, path }, undefined, cause);
    });
    const unexpected = new UnexpectedReplyError({ method, path }, received.status);
    return parseResponse(received, status, unexpected);
  };
}

/** @throws AuthError, UnexpectedReplyError */
function parseResponse(
  received: { readonly status: number; readonly headers: Headers; readonly text: string },
  successStatus: number,
  unexpected: UnexpectedReplyError,
): ApiResponse {
  const { status, headers, text } = received;
  const json = text === '' ? undefined : parse(text);
  if (status === successStatus) return { status, headers, json, unexpected };
  const message = memberOf(json, 'message');
  const retryAfter = headers.get('retry-after');
  throw (typeof message === 'string' && parseError(status, message, retryAfter)) || unexpected;
}

/** Settles as `work` does. After `ms` it aborts the signal of the work and rejects, at once. */
function inTime<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  return withDeadline(work(controller.signal), ms, () => {
    const error = new DOMException(`no response within ${ms} ms`, 'TimeoutError');
    controller.abort(error);
    throw error;
  });
}

function headersOf({ accessToken, json, headers, device, address }: ApiRequest): Headers {
  const all = new Headers(headers);
  if (json !== undefined) all.set('Content-Type', 'application/json');
  if (typeof accessToken === 'string' && accessToken !== '') {
    // A text that fits into no header is no token. The error of `Headers` would show it.
    if (!isToken(accessToken)) throw new AuthError('invalid_access_token');
    all.set('Authorization', `Bearer ${accessToken}`);
  }
  const label = deviceLabel(device)?.replaceAll(/[^\x20-\x7e]/gu, '?');
  if (label) all.set('User-Agent', label);
  if (address !== undefined) all.set('X-Forwarded-For', forwarded(address));
  return all;
}

/** Whatever is no address counts as one and the same, as it does in process, and not as this client's. */
function forwarded(address: unknown): string {
  const text = typeof address === 'string' ? address.trim() : '';
  return /^[\w.:%[\]-]{1,100}$/.test(text) ? text : 'unknown';
}

/** Whether a text may be a token. No service gives a longer one. */
export function isToken(text: string): boolean {
  return text.length <= 4096 && /^[\x21-\x2b\x2d-\x7e]+$/.test(text);
}

async function readText(
  { body }: Response,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string> {
  if (body === null) return '';
  const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  const decoder = new TextDecoder();
  let text = '';
  for (let length = 0; ; ) {
    const part = await reader.read();
    if (part.done) return text + decoder.decode();
    length += part.value.length;
    if (length > maxBytes) {
      await reader.cancel();
      throw new RangeError(`more than ${maxBytes} bytes`);
    }
    text += decoder.decode(part.value, { stream: true });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A member of a JSON object. Undefined if there is none. */
export function memberOf(json: unknown, name: string): unknown {
  const isObject = typeof json === 'object' && json !== null && Object.hasOwn(json, name);
  return isObject ? Reflect.get(json, name) : undefined;
}

/** @throws UnexpectedReplyError if there is no such text */
export function textIn({ json, unexpected }: ApiResponse, name: string): string {
  const text = memberOf(json, name);
  if (typeof text !== 'string' || text === '') throw unexpected;
  return text;
}

/** @throws UnexpectedReplyError if the JSON is another */
export function arrayIn({ json, unexpected }: ApiResponse): readonly unknown[] {
  if (!Array.isArray(json)) throw unexpected;
  return json;
}

/** @throws UnexpectedReplyError if the JSON is another */
export function signedInOf(response: ApiResponse): SignedIn {
  return {
    user: userOf(memberOf(response.json, 'user'), response),
    accessToken: textIn(response, 'access_token'),
    refreshToken: textIn(response, 'refresh_token'),
  };
}

/** @throws UnexpectedReplyError if the JSON is another */
export function userOf(json: unknown, { unexpected }: ApiResponse): User {
  const [id, username] = [memberOf(json, 'id'), memberOf(json, 'username')];
  const address = memberOf(json, 'email');
  const email = typeof address === 'string' ? canonicalEmail(address) : undefined;
  const dateCreated = dateOf(memberOf(json, 'date_created'));
  const isUser = typeof id === 'number' && Number.isSafeInteger(id) && typeof username === 'string';
  if (!isUser || email === undefined || dateCreated === undefined) throw unexpected;
  return { id, username, email, dateCreated };
}

/**
 * The user of an accepted access token, who is therefore not disabled. A service of before there were
 * roles shows none: then the role is `user`.
 * @throws UnexpectedReplyError if the JSON is another
 */
export function recordOf(json: unknown, response: ApiResponse): UserRecord {
  const role = memberOf(json, 'role') ?? 'user';
  if (!isRole(role)) throw response.unexpected;
  return { ...userOf(json, response), role, disabled: false };
}

/** @throws UnexpectedReplyError if the JSON is another */
export function sessionOf(json: unknown, { unexpected }: ApiResponse): ListedSession {
  const [id, device, current] = ['id', 'device', 'current'].map((name) => memberOf(json, name));
  const [dateCreated, lastUsed, expires] = ['date_created', 'last_used', 'expires'].map((name) =>
    dateOf(memberOf(json, name)),
  );
  if (typeof id !== 'string' || typeof current !== 'boolean') throw unexpected;
  if (device !== null && typeof device !== 'string') throw unexpected;
  if (!dateCreated || !lastUsed || !expires) throw unexpected;
  return { id, device, dateCreated, lastUsed, expires, current };
}

/** Accepts only the form that the contract has: `Date` would read many others. */
function dateOf(text: unknown): Date | undefined {
  const isDate = typeof text === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text);
  const date = new Date(isDate ? text : Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
