import type { Endpoint } from '../contract/endpoints.ts';

/** The endpoints of one path. */
export interface Route {
  /** As the table has it, with its `{names}`. */
  readonly path: string;
  /** By method; HEAD stands beside GET. */
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  /** The methods that there are, as the Allow header has them. */
  readonly allow: string;
  /** The values of the path's `{names}`. */
  readonly params: Readonly<Record<string, string>>;
}

/**
 * Finds the endpoints of a path, the same way for every host: byte by byte as it was sent, so that case,
 * a slash at the end and an escape make it another path. Paths without `{names}` are looked up as they are.
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
