import type {
  DeleteAccountInput,
  Auth,
  AuthorizeInput,
  Bearer,
  Identity,
  ListedSession,
  ListUsersInput,
  ChangePasswordInput,
  Refreshed,
  RefreshTokenInput,
  EndSessionInput,
  UserList,
} from '../../../application/index.ts';
import { AuthError, type AuthErrorCode } from '../../../domain/errors.ts';
import { includesRole } from '../../../domain/user.ts';
import { checkOptions } from '../../../domain/options.ts';
import { authenticatedFetch } from './authenticated-fetch.ts';
import { listUsers } from './list-users.ts';
import { changeBody, credentialsBody, deletionBody, registrationBody } from './request-bodies.ts';
import {
  apiCaller,
  arrayIn,
  type Fetch,
  memberOf,
  recordOf,
  sessionOf,
  signedInOf,
  textIn,
  UnexpectedReplyError,
} from './round-trip.ts';
import { KeptTokens, memoryTokens, type TokenStorage } from './token-store.ts';

export { AuthError, type AuthErrorCode, type Fetch, memoryTokens, type TokenStorage };
export { UnexpectedReplyError };

/** Where the service is, and how to talk to it. */
export interface ClientOptions {
  /** The URL that the service's endpoints are mounted under: `https://example.com/api/auth`. */
  readonly baseUrl: string;
  /**
   * Keeps the tokens of `registerUser` and `login`, such as `memoryTokens()`: for a client of one user.
   * By default they are not kept: a client that serves many users must not take one for another.
   */
  readonly tokens?: TokenStorage;
  /** Sends requests. Default: the global `fetch`. */
  readonly fetch?: Fetch;
  /** How long one request may take, in milliseconds. Default: 10,000. */
  readonly timeout?: number;
  /** Origins besides that of `baseUrl` to which `fetch` may send the access token. Default: none. */
  readonly origins?: readonly string[];
}

/** An input whose token may be left out: then the kept one is used. It may not be undefined. */
export type Kept<Input, Token extends keyof Input> = Omit<Input, Token> & {
  readonly [Name in Token]?: Input[Name];
};

/**
 * The use cases at a service. An `AuthError` is a refusal, with the same code and limit as in process. An
 * `UnexpectedReplyError` is a fault of the service, or of the way to it.
 *
 * With `tokens`, `registerUser` and `login` keep the tokens that they return. Where a token is left out,
 * the kept one is used. A kept access token that has expired is refreshed: once for any number of calls
 * at once, each of which is then repeated, for the sign-in that it was made for. A token that is given
 * is used as it is, even undefined.
 *
 * An input's `device` is sent as the User-Agent, its `address` as X-Forwarded-For. The service believes
 * that only of proxies that it trusts.
 */
export interface AuthClient extends Auth {
  readonly authorize: (authorization?: Kept<AuthorizeInput, 'accessToken'>) => Promise<Identity>;
  readonly refreshToken: (
    refreshing?: Kept<RefreshTokenInput, 'refreshToken'>,
  ) => Promise<Refreshed>;
  /** Removes the kept tokens, even if the service cannot be reached. */
  readonly logout: (
    token?: Kept<Pick<RefreshTokenInput, 'refreshToken'>, 'refreshToken'>,
  ) => Promise<void>;
  readonly logoutAll: (bearer?: Kept<Bearer, 'accessToken'>) => Promise<void>;
  readonly listSessions: (
    bearer?: Kept<Bearer, 'accessToken'>,
  ) => Promise<readonly ListedSession[]>;
  readonly endSession: (ending: Kept<EndSessionInput, 'accessToken'>) => Promise<void>;
  readonly changePassword: (change: Kept<ChangePasswordInput, 'accessToken'>) => Promise<void>;
  readonly deleteAccount: (deletion: Kept<DeleteAccountInput, 'accessToken'>) => Promise<void>;
  /** Sends the kept access token, if there is one: the list may be for users only. */
  readonly listUsers: (query?: ListUsersInput) => Promise<UserList>;
  /**
   * `fetch` for other resources that take this access token. After a 401 it refreshes the token and
   * repeats the request once, unless the body of that is a stream.
   * @throws TypeError for another origin than that of `baseUrl` and those of `origins`; AuthError if no
   * token is kept, or it can no longer be refreshed
   */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
}

const NOTHING_KEPT: TokenStorage = { get: () => undefined, set: () => {} };

/**
 * The same use cases as `createAuth` makes, at a service.
 * @throws TypeError for a malformed base URL or origin, RangeError for a bad timeout or unknown option
 */
export function createClient(options: ClientOptions): AuthClient {
  checkOptions(options, ['baseUrl', 'tokens', 'fetch', 'timeout', 'origins']);
  const { timeout = 10_000, origins = [], tokens = NOTHING_KEPT } = options;
  // Looked up at each request: a test may have replaced it.
  const { fetch: send = (input, init) => globalThis.fetch(input, init) } = options;
  if (!(timeout >= 1 && timeout < 2 ** 31))
    throw new RangeError('the timeout must be milliseconds');
  const base = parseBaseUrl(options.baseUrl);
  const trusted = new Set([base, ...origins].map((origin) => new URL(parseBaseUrl(origin)).origin));
  const call = apiCaller(base, send, timeout);

  const refresh = async (given: RefreshTokenInput): Promise<Refreshed> => {
    const { refreshToken: refresh_token, address } = given;
    if (isTooLong(refresh_token)) throw new AuthError('invalid_refresh_token');
    const response = await call('POST /refresh', 200, { json: { refresh_token }, address });
    const successor = memberOf(response.json, 'refresh_token');
    return {
      accessToken: textIn(response, 'access_token'),
      ...(successor !== undefined && { refreshToken: textIn(response, 'refresh_token') }),
    };
  };
  const kept = new KeptTokens(tokens, (refreshToken) => refresh({ refreshToken }));

  /**
   * Calls with the token that is given, or else with the kept one. If the call `ends` the session of that
   * token, the token is kept no longer; but that of a later sign-in is.
   */
  const withAccess = async <T>(
    input: object,
    use: (accessToken: string) => Promise<T>,
    { ends = false } = {},
  ): Promise<T> => {
    const moment = kept.snapshot();
    const { generation } = await moment;
    const isKept = !Object.hasOwn(input, 'accessToken');
    const given = memberOf(input, 'accessToken');
    const token = typeof given === 'string' ? given : '';
    const result = await (isKept ? kept.use(use, moment) : use(token));
    if (ends) {
      await kept.drop(({ accessToken }, now) =>
        isKept ? now === generation : accessToken === given,
      );
    }
    return result;
  };

  /** Makes a body. If that throws, the access token is checked before, as it is in process. */
  const bodyFor = async <Body>(accessToken: string, make: () => Body): Promise<Body> => {
    try {
      return make();
    } catch (refusal) {
      await call('GET /account', 200, { accessToken });
      throw refusal;
    }
  };

  const login: Auth['login'] = async (credentials) => {
    const { device, address } = credentials;
    const json = credentialsBody(credentials);
    const signedIn = signedInOf(await call('POST /login', 200, { json, device, address }));
    await kept.keep(signedIn);
    return signedIn;
  };

  return {
    login,

    async registerUser(registration) {
      const { device, address } = registration;
      const json = registrationBody(registration);
      const headers = { Prefer: 'return=representation' };
      const response = await call('POST /register', 201, { json, headers, device, address });
      if (memberOf(response.json, 'user') === undefined) {
        // A service that has nothing beyond the document shows the user only at a login. If that fails,
        // the account is there all the same, and its tokens are kept.
        const accessToken = textIn(response, 'access_token');
        await kept.keep({ accessToken, refreshToken: textIn(response, 'refresh_token') });
        return login(registration);
      }
      const signedIn = signedInOf(response);
      await kept.keep(signedIn);
      return signedIn;
    },

    async refreshToken(refreshing = {}) {
      if (Object.hasOwn(refreshing, 'refreshToken')) {
        const { refreshToken = '', address } = refreshing;
        const refreshed = await refresh({ refreshToken, address });
        await kept.replace(refreshToken, { refreshToken, ...refreshed });
        return refreshed;
      }
      const now = await kept.snapshot();
      const pair = await kept.refresh(now);
      if (pair === undefined) throw new AuthError('missing_refresh_token');
      const { accessToken, refreshToken } = pair;
      return refreshToken === now.pair?.refreshToken
        ? { accessToken }
        : { accessToken, refreshToken };
    },

    authorize: (authorization = {}) =>
      withAccess(authorization, async (accessToken) => {
        const response = await call('GET /account', 200, { accessToken });
        const user = recordOf(memberOf(response.json, 'user'), response);
        const { role } = authorization;
        if (role !== undefined && !includesRole(user.role, role)) {
          throw new AuthError('insufficient_role');
        }
        return { user, sessionId: textIn(response, 'session_id') };
      }),

    async listUsers(query = {}) {
      const { pair } = await kept.snapshot();
      return listUsers(query, (request) => {
        if (pair === undefined) return call('GET /users', 200, request);
        return kept.use((accessToken) => call('GET /users', 200, { ...request, accessToken }));
      });
    },

    async logout(token = {}) {
      const { pair, generation } = await kept.snapshot();
      const isKept = !Object.hasOwn(token, 'refreshToken');
      const refresh_token = isKept ? pair?.refreshToken : token.refreshToken;
      if (refresh_token === undefined) throw new AuthError('missing_refresh_token');
      try {
        const json = { refresh_token };
        if (!isTooLong(refresh_token)) await call('POST /logout', 204, { json });
      } finally {
        // Compares the sign-in: a refresh that was under way may have replaced the token.
        await kept.drop((now, of) =>
          isKept ? of === generation : now.refreshToken === refresh_token,
        );
      }
    },

    async logoutAll(bearer = {}) {
      const logoutAll = (accessToken: string) => call('POST /logout-all', 204, { accessToken });
      await withAccess(bearer, logoutAll, { ends: true });
    },

    listSessions: (bearer = {}) =>
      withAccess(bearer, async (accessToken) => {
        const maxBytes = 16 * 1024 * 1024;
        const response = await call('GET /sessions', 200, { accessToken, maxBytes });
        return arrayIn(response).map((each) => sessionOf(each, response));
      }),

    async endSession(ending) {
      const { sessionId } = ending;
      // No id has another form, and another text might be a path.
      const id = typeof sessionId === 'string' && /^[\w-]{1,64}$/.test(sessionId) ? sessionId : '-';
      await withAccess(ending, (accessToken) =>
        call('DELETE /sessions/{id}', 204, { id, accessToken }),
      );
    },

    async changePassword(change) {
      const { address } = change;
      await withAccess(change, async (accessToken) => {
        const json = await bodyFor(accessToken, () => changeBody(change));
        textIn(await call('POST /password', 200, { accessToken, json, address }), 'message');
      });
    },

    async deleteAccount(deletion) {
      const { address } = deletion;
      const deleteAccount = async (accessToken: string) => {
        const json = await bodyFor(accessToken, () => deletionBody(deletion));
        return call('DELETE /account', 204, { accessToken, json, address });
      };
      await withAccess(deletion, deleteAccount, { ends: true });
    },

    fetch: authenticatedFetch({ baseUrl: base, trusted, fetch: send }, kept),
  };
}

/** @throws TypeError */
function parseBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url && !url.search && !url.hash && !url.username && !url.password;
  if (!isPlain || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('a base URL or origin must be like https://example.com');
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/** No service gives a token that is so long, so there is no need to send it. */
function isTooLong(token: unknown): boolean {
  return typeof token === 'string' && token.length > 4096;
}
