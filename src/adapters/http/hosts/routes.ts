import type { Endpoint } from '../contract/endpoints.ts';
import { notAllowed, type Reply } from '../contract/reply.ts';
import { preflightReply } from './cors.ts';
import type { HttpRequest } from './request.ts';

/** The endpoints of one path. */
export interface Route {
  /** The path with its `{names}`. */
  readonly path: string;
  /** By method. HEAD is there wherever GET is. */
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  /** The methods, as the Allow header has them. */
  readonly allow: string;
  /** The values of the path's `{names}`. */
  readonly params: Readonly<Record<string, string>>;
}

/**
 * Makes the function that finds the endpoints of a path, which is the same for every host. It compares
 * paths byte by byte as they were sent: another case, a slash at the end or an escape makes another path.
 * Paths without `{names}` are keys of a map.
 */
export function routesOf(table: readonly Endpoint[]): (path: string) => Route | undefined {
  const paths = new Map<string, Endpoint[]>();
  for (const endpoint of table) {
    paths.set(endpoint.path, [...(paths.get(endpoint.path) ?? []), endpoint]);
  }
  const plain = new Map<string, Route>();
  const patterns: { readonly pattern: RegExp; readonly route: Route }[] = [];
  for (const [path, list] of paths) {
    const methods = new Map<string, Endpoint>();
    for (const endpoint of list) {
      methods.set(endpoint.method, endpoint);
      if (endpoint.method === 'GET') methods.set('HEAD', endpoint);
    }
    const route = { path, endpoints: methods, allow: [...methods.keys()].join(', '), params: {} };
    if (!path.includes('{')) {
      plain.set(path, route);
      continue;
    }
    const pattern = path.replaceAll('.', '\\.').replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)');
    patterns.push({ pattern: new RegExp(`^${pattern}$`), route });
  }
  return (path) => {
    const found = plain.get(path);
    if (found !== undefined) return found;
    for (const { pattern, route } of patterns) {
      const groups = pattern.exec(path)?.groups;
      if (groups === undefined) continue;
      const params = decode(groups);
      return params && { ...route, params };
    }
    return undefined;
  };
}

/**
 * The endpoint of a route that a request is for. If the route has no such method, the reply: to the
 * preflight request of an allowed origin, or else 405.
 */
export function dispatch(
  { endpoints, allow }: Route,
  request: Pick<HttpRequest, 'method' | 'header'>,
  isOriginAllowed: boolean,
): Endpoint | Reply {
  const endpoint = endpoints.get(request.method);
  if (endpoint !== undefined) return endpoint;
  const isPreflight =
    request.method === 'OPTIONS' && request.header('access-control-request-method') !== undefined;
  return isPreflight && isOriginAllowed ? preflightReply(allow) : notAllowed(allow);
}

/** Undefined where an escape is not UTF-8: then the path names nothing. */
function decode(
  groups: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> | undefined {
  try {
    return Object.fromEntries(
      Object.entries(groups).map(([name, text]) => [name, decodeURIComponent(text)]),
    );
  } catch {
    return undefined;
  }
}
