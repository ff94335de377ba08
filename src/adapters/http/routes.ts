import type { Endpoint } from './endpoints.ts';

/** The endpoints of one path. */
export interface Route {
  /** By method; HEAD stands beside GET. */
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  /** The methods that there are, as the Allow header has them. */
  readonly allow: string;
  /** The values of the path's `{names}`. */
  readonly params: Readonly<Record<string, string>>;
}

/**
 * Finds the endpoints of a path, the same way for every host: byte by byte as it was sent, so that case,
 * a slash at the end and an escape make it another path.
 */
export function routesOf(table: readonly Endpoint[]): (path: string) => Route | undefined {
  const paths = new Map<string, Endpoint[]>();
  for (const endpoint of table) {
    paths.set(endpoint.path, [...(paths.get(endpoint.path) ?? []), endpoint]);
  }
  const routes = [...paths].map(([path, list]) => {
    const endpoints = new Map<string, Endpoint>();
    for (const endpoint of list) {
      endpoints.set(endpoint.method, endpoint);
      if (endpoint.method === 'GET') endpoints.set('HEAD', endpoint);
    }
    const pattern = path.replaceAll('.', '\\.').replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)');
    return {
      pattern: new RegExp(`^${pattern}$`),
      endpoints,
      allow: [...endpoints.keys()].join(', '),
    };
  });
  return (path) => {
    for (const { pattern, ...route } of routes) {
      const found = pattern.exec(path);
      if (found === null) continue;
      const params = decode(found.groups ?? {});
      return params && { ...route, params };
    }
    return undefined;
  };
}

/** Undefined where an escape is no text: what it names is not there. */
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
