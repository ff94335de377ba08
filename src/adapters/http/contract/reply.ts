/** An answer as every host can send it. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The whole body, or its parts in turn, to be asked for only as fast as they are taken. */
  readonly body: string | AsyncIterable<string>;
  /** The value of a Set-Cookie header, which goes beside those that others set. */
  readonly cookie?: string;
}

export type TextReply = Reply & { readonly body: string };

/** The one shape of an error, for endpoints and for the hosts' own refusals. */
export function errorReply(
  status: number,
  message: string,
  headers?: Readonly<Record<string, string>>,
): TextReply {
  return json(status, { message }, headers);
}

/** On every reply: it is nobody else's, and no browser should make more of it than it is. */
const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

export const JSON_HEADERS = { 'Content-Type': 'application/json; charset=utf-8', ...HEADERS };

export function json(
  status: number,
  body: object,
  headers?: Readonly<Record<string, string>>,
): TextReply {
  const all = headers === undefined ? JSON_HEADERS : { ...JSON_HEADERS, ...headers };
  return { status, headers: all, body: JSON.stringify(body) };
}

/** Done, and nothing to say. */
export const NO_CONTENT: Reply = { status: 204, headers: HEADERS, body: '' };

/** On what is everybody's and may be some minutes old: a key is shown before it signs. */
export const PUBLIC_FOR_MINUTES = { 'Cache-Control': 'public, max-age=300' };

/** What most endpoints say, with status 500, when a part of the system fails. */
export const FAILURE = 'An error occurred';

/** What hosts say themselves, before it is an endpoint's business. */
export const NOT_FOUND = errorReply(404, 'Not found');
export const BAD_REQUEST = errorReply(400, 'Bad request');
export const INCOMPLETE = errorReply(400, 'Incomplete request body');
export const MALFORMED = errorReply(400, 'Malformed JSON');
export const LATE = errorReply(408, 'Request timeout');
export const TOO_LARGE = errorReply(413, 'Request body is too large');
export const COMPRESSED = errorReply(415, 'Unsupported encoding');
export const NOT_JSON = errorReply(415, 'Content-Type must be application/json');
export const UNEXPECTED = errorReply(417, 'Expectation failed');
export const HEADERS_TOO_LARGE = errorReply(431, 'Header too large');

export function notAllowed(allow: string): TextReply {
  return errorReply(405, 'Method not allowed', { Allow: allow });
}

/** What is said where no requests should come for now. */
export const NOT_READY = errorReply(503, 'Not ready');

/** What is said of the header Refresh-Token-Mode, and to pages of others that send it. */
export const INVALID_MODE = errorReply(400, 'Invalid Refresh-Token-Mode');
export const CROSS_ORIGIN = errorReply(403, 'Cross-origin request refused');
