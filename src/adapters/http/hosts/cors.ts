import { NO_CONTENT, type Reply } from '../contract/reply.ts';

/** The headers of a reply that a script may read. */
const EXPOSED_HEADERS = 'Link, Retry-After, WWW-Authenticate, X-Request-Id';
const ALLOWED_HEADERS = 'Authorization, Content-Type, Prefer, Refresh-Token-Mode';
/** How long a browser may keep the answer, in seconds. Chromium allows no more than two hours. */
const MAX_AGE = '7200';

/**
 * The headers by which a browser lets scripts of this origin read a reply. Undefined if the origin is not
 * allowed: origins are compared byte by byte. They allow cookies, which is safe: hosts read a cookie only
 * if the request has Refresh-Token-Mode.
 */
export function corsHeaders(
  allowed: readonly string[],
  origin: string | undefined,
): Readonly<Record<string, string>> | undefined {
  if (origin === undefined || !allowed.includes(origin)) return undefined;
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Expose-Headers': EXPOSED_HEADERS,
    'Access-Control-Allow-Credentials': 'true',
  };
}

/**
 * Whether a page of another origin that is not allowed sends this request. Another origin of the same site
 * counts too. Browsers tell by Sec-Fetch-Site. Those before 2023, and all where the service has no TLS, send
 * only Origin. A client that sends neither is no browser.
 */
export function isForeign(allowed: readonly string[], request: RequestSource): boolean {
  const origin = request.header('origin');
  if (origin !== undefined && allowed.includes(origin)) return false;
  const site = request.header('sec-fetch-site');
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  return origin !== undefined && !isAt(origin, request.host);
}

/** What tells which page sends a request. */
interface RequestSource {
  readonly header: (name: string) => string | undefined;
  /** The Host header: with the port, unless that is the default of the scheme. */
  readonly host: string | undefined;
}

function isAt(origin: string, host = ''): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: named } = new URL(origin);
  const own = `${protocol}//${host}`;
  return URL.canParse(own) && new URL(own).host === named;
}

/** The reply to the preflight request for a path with these methods. */
export function preflightReply(methods: string): Reply {
  const headers = {
    ...NO_CONTENT.headers,
    'Access-Control-Allow-Methods': methods,
    'Access-Control-Allow-Headers': ALLOWED_HEADERS,
    'Access-Control-Max-Age': MAX_AGE,
  };
  return { ...NO_CONTENT, headers };
}
