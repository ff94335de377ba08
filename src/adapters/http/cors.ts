import { NO_CONTENT, type Reply } from './reply.ts';

/** What a script may read of a reply beside its body. */
const EXPOSED = 'Link, Retry-After, WWW-Authenticate';
const ACCEPTED = 'Authorization, Content-Type, Prefer';
/** Seconds for which a browser need not ask again; none goes beyond two hours but one. */
const MAX_AGE = '7200';

/**
 * What a reply must say to a browser, so that it lets scripts of this origin read it; undefined where
 * the origin is not among those that are allowed, each compared byte by byte. No cookies are allowed:
 * nothing here takes any.
 */
export function corsHeaders(
  allowed: readonly string[],
  origin: string | undefined,
): Readonly<Record<string, string>> | undefined {
  if (origin === undefined || !allowed.includes(origin)) return undefined;
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Expose-Headers': EXPOSED,
  };
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
