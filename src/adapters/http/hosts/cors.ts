import { NO_CONTENT, type Reply } from '../contract/reply.ts';

/** What a script may read of a reply beside its body. */
const EXPOSED = 'Link, Retry-After, WWW-Authenticate, X-Request-Id';
const ACCEPTED = 'Authorization, Content-Type, Prefer, Refresh-Token-Mode';
/** Seconds for which a browser need not ask again; none goes beyond two hours but one. */
const MAX_AGE = '7200';

/**
 * What a reply must say to a browser, so that it lets scripts of this origin read it; undefined where
 * the origin is not among those that are allowed, each compared byte by byte. Cookies are allowed with it:
 * of a request without the header that asks for them none is looked at.
 */
export function corsHeaders(
  allowed: readonly string[],
  origin: string | undefined,
): Readonly<Record<string, string>> | undefined {
  if (origin === undefined || !allowed.includes(origin)) return undefined;
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Expose-Headers': EXPOSED,
    'Access-Control-Allow-Credentials': 'true',
  };
}

/**
 * Whether a request that has a cookie with it comes from a page of another origin, another one of the same
 * site included, which is not among those that are allowed. Browsers say so themselves; those before 2023,
 * and others of a service without TLS, say the origin alone. A client that says neither is no browser.
 */
export function isForeign(allowed: readonly string[], request: WhereFrom): boolean {
  const origin = request.header('origin');
  if (origin !== undefined && allowed.includes(origin)) return false;
  const site = request.header('sec-fetch-site');
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  return origin !== undefined && !isAt(origin, request.host);
}

/** What tells where a request comes from. */
interface WhereFrom {
  readonly header: (name: string) => string | undefined;
  /** As the client names the server, with the port unless it is that of the scheme. */
  readonly host: string | undefined;
}

function isAt(origin: string, host = ''): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: named } = new URL(origin);
  const own = `${protocol}//${host}`;
  return URL.canParse(own) && new URL(own).host === named;
}

/** The answer to a browser that asks, before it sends a request to a path with these methods. */
export function preflightReply(methods: string): Reply {
  const headers = {
    ...NO_CONTENT.headers,
    'Access-Control-Allow-Methods': methods,
    'Access-Control-Allow-Headers': ACCEPTED,
    'Access-Control-Max-Age': MAX_AGE,
  };
  return { ...NO_CONTENT, headers };
}
