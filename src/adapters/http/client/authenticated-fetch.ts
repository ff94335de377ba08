import { AuthError } from '../../../domain/errors.ts';
import { type Fetch, isToken } from './round-trip.ts';
import type { KeptTokens } from './token-store.ts';

/** Where a fetch with an access token goes. */
interface FetchTarget {
  readonly baseUrl: string;
  /** The origins that may get the access token. */
  readonly trusted: ReadonlySet<string>;
  readonly fetch: Fetch;
}

/**
 * Makes the `fetch` of a client, which sends the kept access token. After a 401 it refreshes the token and
 * repeats the request once, unless the body of that is a stream.
 */
export function authenticatedFetch(
  { baseUrl, trusted, fetch }: FetchTarget,
  kept: KeptTokens,
): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  return async (input, init = {}) => {
    const request = input instanceof Request ? input : undefined;
    const url = input instanceof Request ? new URL(input.url) : new URL(input, `${baseUrl}/`);
    if (!trusted.has(url.origin)) {
      throw new TypeError(`${url.origin} is none of the origins that get the access token`);
    }
    const headers = new Headers(init.headers ?? request?.headers);
    if (headers.has('authorization')) return fetch(request ?? url, init);
    const isStream = isOnlyOnce(init.body);
    const call = (accessToken: string) => {
      if (!isToken(accessToken)) throw new AuthError('invalid_access_token');
      headers.set('Authorization', `Bearer ${accessToken}`);
      return fetch(request ? request.clone() : url, { ...init, headers });
    };
    let refused: Response | undefined;
    try {
      return await kept.use(async (accessToken) => {
        const response = await call(accessToken);
        if (response.status !== 401 || refused || isStream) return response;
        refused = response;
        throw new AuthError('invalid_access_token');
      });
    } catch (error) {
      // Somebody else has signed in since, and the request is not repeated for them.
      const isRefused = error instanceof AuthError && error.code === 'invalid_access_token';
      if (refused && isRefused) return refused;
      throw error;
    }
  };
}

/** Whether a body can be sent only once: a stream, or an async iterable. */
function isOnlyOnce(body: unknown): boolean {
  return (
    typeof body === 'object' &&
    body !== null &&
    ('getReader' in body || Symbol.asyncIterator in body)
  );
}
