import type { Auth } from '../../../application/index.ts';
import type { Endpoint, Input } from '../contract/endpoints.ts';

/**
 * The endpoints and the pages as one table. Where both have a row of one method and path, a page is for whoever
 * asks for `text/html` by that name, as browsers do for what they are to show; all others get what the
 * endpoint says. A cache is told that the two differ.
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
    const chosen = namesHtml(input.header('accept')) ? page : endpoint;
    const reply = await chosen.handle(auth, input);
    // Instead of what a host says of origins, so that is said again.
    return { ...reply, headers: { ...reply.headers, Vary: 'Accept, Origin' } };
  };
}

/** Not so for `*∕*`, which programs send; nor where it is named as what is not wanted (`q=0`). */
function namesHtml(accept = ''): boolean {
  return accept.split(',').some((each) => {
    const [type = '', ...parameters] = each.toLowerCase().split(';');
    return (
      type.trim() === 'text/html' && !parameters.some((one) => /^\s*q=0(?:\.0*)?\s*$/.test(one))
    );
  });
}
