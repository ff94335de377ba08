import { withDeadline } from '../../../domain/calls.ts';
import type { ListedSession, SignedIn, User, UserRecord } from '../../../application/index.ts';
import { canonicalEmail } from '../../../domain/credentials.ts';
import { AuthError } from '../../../domain/errors.ts';
import { deviceLabel } from '../../../domain/session.ts';
import { isRole } from '../../../domain/user.ts';
import { jsonOf } from './request-bodies.ts';
import { refusalIn } from '../contract/messages.ts';

/** How a request leaves and its answer comes back: the global `fetch`, or any other of its form. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** An answer that is none of the contract's, or none at all. Nothing secret is in it. */
export class UnexpectedReplyError extends Error {
  override readonly name = 'UnexpectedReplyError';
  readonly method: string;
  /** The endpoint's, as in `/sessions/{id}`. */
  readonly path: string;
  /** Undefined where no answer came in time, or none that is HTTP. */
  readonly status: number | undefined;

  constructor(
    said: { readonly method: string; readonly path: string },
    status: number | undefined,
    cause?: unknown,
  ) {
    const what =
      status === undefined ? 'was not answered' : `was answered by ${status}, not as it should be`;
    super(`${said.method} ${said.path} ${what}`, { cause });
    this.method = said.method;
    this.path = said.path;
    this.status = status;
  }
}

/** A request to an endpoint. */
export interface Said {
  readonly method: string;
  readonly path: string;
  /** What takes the place of the path's `{id}`. */
  readonly id?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly accessToken?: string | undefined;
  /** What of it is no text is left out, and so is missing as it is in process. */
  readonly json?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly device?: string | undefined;
  readonly address?: string | undefined;
  /** Of its success; 200 unless given: a page that answers 200 to everything has done nothing. */
  readonly status?: number;
  /** Bytes of the answer that are read; 64 KiB unless given. */
  readonly maxLength?: number;
}

/** An answer that is no refusal. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined where there is none. */
  readonly json: unknown;
  /** What to throw where the JSON is not as the contract has it. */
  readonly unexpected: UnexpectedReplyError;
}

const MAX_LENGTH = 64 * 1024;

/**
 * Exchanges requests for answers, one each, in at most `timeout` milliseconds.
 * @throws AuthError for a refusal, UnexpectedReplyError for every other answer that is no success
 */
export function exchanger(baseUrl: string, fetch: Fetch, timeout: number) {
  return async (said: Said): Promise<Answer> => {
    const query = new URLSearchParams(said.query).toString();
    const url = baseUrl + said.path.replace('{id}', said.id ?? '') + (query && `?${query}`);
    const headers = headersOf(said);
    const body = said.json === undefined ? null : jsonOf(said.json);
    // Neither a password nor a token goes on to where somebody else points.
    const init = { method: said.method, headers, body, redirect: 'error' } as const;
    const work = async (signal: AbortSignal) => {
      const response = await fetch(url, { ...init, signal });
      const text = await readText(response, said.maxLength ?? MAX_LENGTH, signal);
      return { status: response.status, headers: response.headers, text };
    };
    const received = await inTime(timeout, work).catch((cause: unknown) => {
      throw new UnexpectedReplyError(said, undefined, cause);
    });
    return answerIn(said, received);
  };
}

/** @throws AuthError, UnexpectedReplyError */
function answerIn(
  said: Said,
  received: { readonly status: number; readonly headers: Headers; readonly text: string },
): Answer {
  const { status, headers, text } = received;
  const unexpected = new UnexpectedReplyError(said, status);
  const json = text === '' ? undefined : parse(text);
  if (status === (said.status ?? 200)) return { status, headers, json, unexpected };
  const message = memberOf(json, 'message');
  const retryAfter = headers.get('retry-after');
  throw (typeof message === 'string' && refusalIn(status, message, retryAfter)) || unexpected;
}

/** Settles as `work` does. After `ms` it aborts the signal of the work and rejects, at once. */
function inTime<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  return withDeadline(work(controller.signal), ms, () => {
    const error = new DOMException(`no answer within ${ms} ms`, 'TimeoutError');
    controller.abort(error);
    throw error;
  });
}

function headersOf({ accessToken, json, headers, device, address }: Said): Headers {
  const all = new Headers(headers);
  if (json !== undefined) all.set('Content-Type', 'application/json');
  if (typeof accessToken === 'string' && accessToken !== '') {
    // What no header can hold is no token; and the error of a header would show it.
    if (!isToken(accessToken)) throw new AuthError('invalid_access_token');
    all.set('Authorization', `Bearer ${accessToken}`);
  }
  const label = deviceLabel(device)?.replaceAll(/[^\x20-\x7e]/gu, '?');
  if (label) all.set('User-Agent', label);
  if (address !== undefined) all.set('X-Forwarded-For', forwarded(address));
  return all;
}

/** All that is no address is one and the same, as it is in process, and not this client's. */
function forwarded(address: unknown): string {
  const text = typeof address === 'string' ? address.trim() : '';
  return /^[\w.:%[\]-]{1,100}$/.test(text) ? text : 'unknown';
}

/** Whether it may be a token: no service gives any that is longer. */
export function isToken(text: string): boolean {
  return text.length <= 4096 && /^[\x21-\x2b\x2d-\x7e]+$/.test(text);
}

async function readText(
  { body }: Response,
  maxLength: number,
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
    if (length > maxLength) {
      await reader.cancel();
      throw new RangeError(`more than ${maxLength} bytes`);
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

/** A member of a JSON object; undefined where there is none. */
export function memberOf(json: unknown, name: string): unknown {
  const isObject = typeof json === 'object' && json !== null && Object.hasOwn(json, name);
  return isObject ? Reflect.get(json, name) : undefined;
}

/** @throws UnexpectedReplyError where there is no such text */
export function textIn({ json, unexpected }: Answer, name: string): string {
  const text = memberOf(json, name);
  if (typeof text !== 'string' || text === '') throw unexpected;
  return text;
}

/** @throws UnexpectedReplyError where it is none */
export function arrayIn({ json, unexpected }: Answer): readonly unknown[] {
  if (!Array.isArray(json)) throw unexpected;
  return json;
}

/** @throws UnexpectedReplyError where it is none */
export function signedInOf(answer: Answer): SignedIn {
  return {
    user: userOf(memberOf(answer.json, 'user'), answer),
    accessToken: textIn(answer, 'access_token'),
    refreshToken: textIn(answer, 'refresh_token'),
  };
}

/** @throws UnexpectedReplyError where it is none */
export function userOf(json: unknown, { unexpected }: Answer): User {
  const [id, username] = [memberOf(json, 'id'), memberOf(json, 'username')];
  const address = memberOf(json, 'email');
  const email = typeof address === 'string' ? canonicalEmail(address) : undefined;
  const dateCreated = dateOf(memberOf(json, 'date_created'));
  const isUser = typeof id === 'number' && Number.isSafeInteger(id) && typeof username === 'string';
  if (!isUser || email === undefined || dateCreated === undefined) throw unexpected;
  return { id, username, email, dateCreated };
}

/**
 * The user of a token that was taken, who so is not disabled; of a service of before there were roles, a
 * `user`.
 * @throws UnexpectedReplyError where it is none
 */
export function recordOf(json: unknown, answer: Answer): UserRecord {
  const role = memberOf(json, 'role') ?? 'user';
  if (!isRole(role)) throw answer.unexpected;
  return { ...userOf(json, answer), role, disabled: false };
}

/** @throws UnexpectedReplyError where it is none */
export function sessionOf(json: unknown, { unexpected }: Answer): ListedSession {
  const [id, device, current] = ['id', 'device', 'current'].map((name) => memberOf(json, name));
  const [dateCreated, lastUsed, expires] = ['date_created', 'last_used', 'expires'].map((name) =>
    dateOf(memberOf(json, name)),
  );
  if (typeof id !== 'string' || typeof current !== 'boolean') throw unexpected;
  if (device !== null && typeof device !== 'string') throw unexpected;
  if (!dateCreated || !lastUsed || !expires) throw unexpected;
  return { id, device, dateCreated, lastUsed, expires, current };
}

/** In the one form that the contract has: Date would read a year in any digit. */
function dateOf(text: unknown): Date | undefined {
  const isDate = typeof text === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text);
  const date = new Date(isDate ? text : Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
