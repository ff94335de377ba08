/** A reply that every host can send. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The whole body, or its parts: a host asks for the next one when the client has taken one. */
  readonly body: string | AsyncIterable<string>;
  /** The value of a Set-Cookie header, in addition to those that the application sets. */
  readonly cookie?: string;
}

export type TextReply = Reply & { readonly body: string };

/** An error, which has the same form from endpoints and from hosts. */
export function errorReply(
  status: number,
  message: string,
  headers?: Readonly<Record<string, string>>,
): TextReply {
  return json(status, { message }, headers);
}

/** The headers of every reply: no cache keeps it, and no browser runs, frames or sniffs it. */
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

export const NO_CONTENT: Reply = { status: 204, headers: HEADERS, body: '' };

/** For what is the same for everybody. Some minutes do no harm: a key is shown before it signs. */
export const PUBLIC_FOR_MINUTES = { 'Cache-Control': 'public, max-age=300' };

/** The default message of a 500 reply. */
export const FAILURE = 'An error occurred';

// The hosts' own replies, to requests that no endpoint sees.
export const NOT_FOUND = errorReply(404, 'Not found');
export const BAD_REQUEST = errorReply(400, 'Bad request');
export const INCOMPLETE_BODY = errorReply(400, 'Incomplete request body');
export const MALFORMED_JSON = errorReply(400, 'Malformed JSON');
export const REQUEST_TIMEOUT = errorReply(408, 'Request timeout');
export const BODY_TOO_LARGE = errorReply(413, 'Request body is too large');
export const UNSUPPORTED_ENCODING = errorReply(415, 'Unsupported encoding');
export const UNSUPPORTED_TYPE = errorReply(415, 'Content-Type must be application/json');
export const EXPECTATION_FAILED = errorReply(417, 'Expectation failed');
export const HEADERS_TOO_LARGE = errorReply(431, 'Header too large');

export function notAllowed(allow: string): TextReply {
  return errorReply(405, 'Method not allowed', { Allow: allow });
}

/** The reply of GET /health/ready while no requests should come. */
export const NOT_READY = errorReply(503, 'Not ready');

/** The replies to another value of Refresh-Token-Mode, and to that header from a foreign page. */
export const INVALID_MODE = errorReply(400, 'Invalid Refresh-Token-Mode');
export const CROSS_ORIGIN = errorReply(403, 'Cross-origin request refused');
