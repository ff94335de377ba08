import type { Auth } from '../../../application/index.ts';
import type { Input } from '../contract/endpoint.ts';
import type { Endpoint } from '../contract/endpoints.ts';

/**
 * The endpoints and the pages as one table. Where both have the same method and path, a client that
 * accepts `text/html` by that name, as browsers do, gets the page, and others the endpoint. A header
 * tells caches that the two differ.
 */
export function withPages(
  endpoints: readonly Endpoint[],
  pages: readonly Endpoint[],
): readonly Endpoint[] {
  const nameOf = ({ method, path }: Endpoint) => `${method} ${path}`;
  const shown = new Map(pages.map((page) => [nameOf(page), page]));
  const taken = new Set(endpoints.map(nameOf));
  return [
    ...endpoints.map((endpoint) => {
      const page = shown.get(nameOf(endpoint));
      return page === undefined ? endpoint : { ...endpoint, handle: either(endpoint, page) };
    }),
    ...pages.filter((page) => !taken.has(nameOf(page))),
  ];
}

function either(endpoint: Endpoint, page: Endpoint): Endpoint['handle'] {
  return async (auth: Auth, input: Input) => {
    const chosen = acceptsHtml(input.header('accept')) ? page : endpoint;
    const reply = await chosen.handle(auth, input);
    // Replaces the host's own Vary, so it names Origin too.
    return { ...reply, headers: { ...reply.headers, Vary: 'Accept, Origin' } };
  };
}

/** Only by its full name, as programs accept any type; and not with `q=0`, which rejects it. */
function acceptsHtml(accept = ''): boolean {
  return accept.split(',').some((each) => {
    const [type = '', ...parameters] = each.toLowerCase().split(';');
    return (
      type.trim() === 'text/html' && !parameters.some((one) => /^\s*q=0(?:\.0*)?\s*$/.test(one))
    );
  });
}
