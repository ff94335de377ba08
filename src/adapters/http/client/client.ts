import type {
  AccountDeletion,
  Auth,
  Authorization,
  Bearer,
  Identity,
  ListedSession,
  ListQuery,
  PasswordChanging,
  Refreshed,
  Refreshing,
  SessionEnding,
  UserList,
} from '../../../application/index.ts';
import { AuthError, type AuthErrorCode } from '../../../domain/errors.ts';
import { includesRole } from '../../../domain/user.ts';
import { checkOptions } from '../../../application/options.ts';
import { changeBody, credentialsBody, deletionBody, registrationBody } from './request-bodies.ts';
import {
  arrayIn,
  exchanger,
  type Fetch,
  isToken,
  memberOf,
  recordOf,
  sessionOf,
  signedInOf,
  textIn,
  UnexpectedReplyError,
} from './round-trip.ts';
import { KeptTokens, memoryTokens, type TokenStorage } from './token-store.ts';
import { listUsers } from './list-users.ts';

export { AuthError, type AuthErrorCode, type Fetch, memoryTokens, type TokenStorage };
export { UnexpectedReplyError };

/** Where the service is, and how to talk to it. */
export interface ClientOptions {
  /** Of the service, with what its endpoints are mounted under: `https://example.com/api/auth`. */
  readonly baseUrl: string;
  /**
   * Where the tokens of `registerUser` and `login` are kept, such as `memoryTokens()`: for a client of one
   * user. Unless given they are not: whoever serves many must not take one for another.
   */
  readonly tokens?: TokenStorage;
  /** How requests leave; the global `fetch` unless given. */
  readonly fetch?: Fetch;
  /** Milliseconds for one exchange; 10,000 unless given. */
  readonly timeout?: number;
  /** Origins beside that of `baseUrl` that `fetch` may send the access token to; none unless given. */
  readonly origins?: readonly string[];
}

/** An input whose token may be left out, which is not to be given as undefined: then it is the kept one. */
export type Kept<Input, Token extends keyof Input> = Omit<Input, Token> & {
  readonly [Name in Token]?: Input[Name];
};

/**
 * The use cases at a service. An `AuthError` is a refusal, with the very code and limit that it has in
 * process; an `UnexpectedReplyError` is a fault: of the service, or of the way to it.
 *
 * With `tokens`, `registerUser` and `login` keep those that they return. Where a token is left out it is
 * the kept one, and a kept access token that has expired is refreshed: once for any number of calls
 * at once, each of which is then repeated, for the sign-in that it was made for. A token that is given
 * is used as it is, undefined too.
 *
 * An input's `device` is sent as the User-Agent; its `address` as X-Forwarded-For, which the
 * service believes only of those whom it is told to trust.
 */
export interface AuthClient extends Auth {
  readonly authorize: (authorization?: Kept<Authorization, 'accessToken'>) => Promise<Identity>;
  readonly refreshToken: (refreshing?: Kept<Refreshing, 'refreshToken'>) => Promise<Refreshed>;
  /** Also where the service cannot be reached, the kept tokens are gone afterwards. */
  readonly logout: (
    token?: Kept<Pick<Refreshing, 'refreshToken'>, 'refreshToken'>,
  ) => Promise<void>;
  readonly logoutAll: (bearer?: Kept<Bearer, 'accessToken'>) => Promise<void>;
  readonly listSessions: (
    bearer?: Kept<Bearer, 'accessToken'>,
  ) => Promise<readonly ListedSession[]>;
  readonly endSession: (ending: Kept<SessionEnding, 'accessToken'>) => Promise<void>;
  readonly changePassword: (change: Kept<PasswordChanging, 'accessToken'>) => Promise<void>;
  readonly deleteAccount: (deletion: Kept<AccountDeletion, 'accessToken'>) => Promise<void>;
  /** Sent with the kept access token, where there is one: the list may be for users alone. */
  readonly listUsers: (query?: ListQuery) => Promise<UserList>;
  /**
   * `fetch` for other resources that take this access token: it is sent along and, after a 401,
   * refreshed and the request repeated once, unless its body is a stream.
   * @throws TypeError for another origin than that of `baseUrl` and those of `origins`; AuthError where no
   * token is kept, or none can be had any more
   */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
}

const NOTHING_KEPT: TokenStorage = { get: () => undefined, set: () => {} };

/**
 * The same use cases as `createAuth`, at a service: `Auth` in, `Auth` out.
 * @throws TypeError for a base URL or an origin that is none, RangeError for such a timeout or option
 */
export function createClient(options: ClientOptions): AuthClient {
  checkOptions(options, ['baseUrl', 'tokens', 'fetch', 'timeout', 'origins']);
  const { timeout = 10_000, origins = [], tokens = NOTHING_KEPT } = options;
  // Looked up at each call: a test may have replaced it.
  const { fetch: send = (input, init) => globalThis.fetch(input, init) } = options;
  if (!(timeout >= 1 && timeout < 2 ** 31))
    throw new RangeError('the timeout must be milliseconds');
  const base = parseBaseUrl(options.baseUrl);
  const trusted = new Set([base, ...origins].map((origin) => new URL(parseBaseUrl(origin)).origin));
  const exchange = exchanger(base, send, timeout);

  const refresh = async (given: Refreshing): Promise<Refreshed> => {
    const { refreshToken: refresh_token, address } = given;
    if (isTooLong(refresh_token)) throw new AuthError('invalid_refresh_token');
    const json = { refresh_token };
    const answer = await exchange({ method: 'POST', path: '/refresh', json, address });
    const successor = memberOf(answer.json, 'refresh_token');
    return {
      accessToken: textIn(answer, 'access_token'),
      ...(successor !== undefined && { refreshToken: textIn(answer, 'refresh_token') }),
    };
  };
  const kept = new KeptTokens(tokens, (refreshToken) => refresh({ refreshToken }));

  /**
   * Calls with the token that is given, or else with the kept one. Afterwards, where the call has ended
   * what that token is of, it is kept no longer; but what somebody has signed in with since then is.
   */
  const withAccess = async <T>(
    input: object,
    call: (accessToken: string) => Promise<T>,
    { ends = false } = {},
  ): Promise<T> => {
    const moment = kept.snapshot();
    const { generation } = await moment;
    const isKept = !Object.hasOwn(input, 'accessToken');
    const given = memberOf(input, 'accessToken');
    const token = typeof given === 'string' ? given : '';
    const result = await (isKept ? kept.use(call, moment) : call(token));
    if (ends) {
      await kept.drop(({ accessToken }, now) =>
        isKept ? now === generation : accessToken === given,
      );
    }
    return result;
  };

  /** A body; where it is refused before it is sent, then as in process: first goes whose token it is. */
  const bodyFor = async (accessToken: string, make: () => object): Promise<object> => {
    try {
      return make();
    } catch (refusal) {
      await exchange({ method: 'GET', path: '/account', accessToken });
      throw refusal;
    }
  };

  const login: Auth['login'] = async (credentials) => {
    const { device, address } = credentials;
    const json = credentialsBody(credentials);
    const answer = await exchange({ method: 'POST', path: '/login', json, device, address });
    const signedIn = signedInOf(answer);
    await kept.keep(signedIn);
    return signedIn;
  };

  return {
    login,

    async registerUser(registration) {
      const { device, address } = registration;
      const json = registrationBody(registration);
      const headers = { Prefer: 'return=representation' };
      const said = {
        method: 'POST',
        path: '/register',
        json,
        headers,
        device,
        address,
        status: 201,
      };
      const answer = await exchange(said);
      if (memberOf(answer.json, 'user') === undefined) {
        // A service that has nothing beyond the document tells of the user at a login. If that fails
        // the account is there all the same, and its tokens are kept.
        const accessToken = textIn(answer, 'access_token');
        await kept.keep({ accessToken, refreshToken: textIn(answer, 'refresh_token') });
        return login(registration);
      }
      const signedIn = signedInOf(answer);
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
        const answer = await exchange({ method: 'GET', path: '/account', accessToken });
        const user = recordOf(memberOf(answer.json, 'user'), answer);
        const { role } = authorization;
        if (role !== undefined && !includesRole(user.role, role)) {
          throw new AuthError('insufficient_role');
        }
        return { user, sessionId: textIn(answer, 'session_id') };
      }),

    async listUsers(query = {}) {
      const { pair } = await kept.snapshot();
      return listUsers(query, (said) => {
        if (pair === undefined) return exchange(said);
        return kept.use((accessToken) => exchange({ ...said, accessToken }));
      });
    },

    async logout(token = {}) {
      const { pair, generation } = await kept.snapshot();
      const isKept = !Object.hasOwn(token, 'refreshToken');
      const refresh_token = isKept ? pair?.refreshToken : token.refreshToken;
      if (refresh_token === undefined) throw new AuthError('missing_refresh_token');
      try {
        const said = { method: 'POST', path: '/logout', json: { refresh_token }, status: 204 };
        if (!isTooLong(refresh_token)) await exchange(said);
      } finally {
        // By its sign-in: a refresh that was under way may have replaced it.
        await kept.drop((now, of) =>
          isKept ? of === generation : now.refreshToken === refresh_token,
        );
      }
    },

    async logoutAll(bearer = {}) {
      const call = (accessToken: string) =>
        exchange({ method: 'POST', path: '/logout-all', accessToken, status: 204 });
      await withAccess(bearer, call, { ends: true });
    },

    listSessions: (bearer = {}) =>
      withAccess(bearer, async (accessToken) => {
        const maxLength = 16 * 1024 * 1024;
        const said = { method: 'GET', path: '/sessions', accessToken, maxLength };
        const answer = await exchange(said);
        return arrayIn(answer).map((each) => sessionOf(each, answer));
      }),

    async endSession(ending) {
      const { sessionId } = ending;
      // No id has another form; and what is none might be a path.
      const id = typeof sessionId === 'string' && /^[\w-]{1,64}$/.test(sessionId) ? sessionId : '-';
      await withAccess(ending, (accessToken) =>
        exchange({ method: 'DELETE', path: '/sessions/{id}', id, accessToken, status: 204 }),
      );
    },

    async changePassword(change) {
      const { address } = change;
      await withAccess(change, async (accessToken) => {
        const json = await bodyFor(accessToken, () => changeBody(change));
        const said = { method: 'POST', path: '/password', accessToken, json, address };
        textIn(await exchange(said), 'message');
      });
    },

    async deleteAccount(deletion) {
      const { address } = deletion;
      const call = async (accessToken: string) => {
        const json = await bodyFor(accessToken, () => deletionBody(deletion));
        const said = { method: 'DELETE', path: '/account', json, address };
        return exchange({ ...said, accessToken, status: 204 });
      };
      await withAccess(deletion, call, { ends: true });
    },

    async fetch(input, init = {}) {
      const request = input instanceof Request ? input : undefined;
      const url = input instanceof Request ? new URL(input.url) : new URL(input, `${base}/`);
      if (!trusted.has(url.origin)) {
        throw new TypeError(`${url.origin} is none of the origins that get the access token`);
      }
      const headers = new Headers(init.headers ?? request?.headers);
      if (headers.has('authorization')) return send(request ?? url, init);
      const isStream = isOnlyOnce(init.body);
      const call = (accessToken: string) => {
        if (!isToken(accessToken)) throw new AuthError('invalid_access_token');
        headers.set('Authorization', `Bearer ${accessToken}`);
        return send(request ? request.clone() : url, { ...init, headers });
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
        // Somebody else has signed in since: it is not for them to repeat.
        const isRefused = error instanceof AuthError && error.code === 'invalid_access_token';
        if (refused && isRefused) return refused;
        throw error;
      }
    },
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

/** No service gives a token that is so long: it need not be asked. */
function isTooLong(token: unknown): boolean {
  return typeof token === 'string' && token.length > 4096;
}

/** Whether a body can be sent but once: a stream, or what is iterated. */
function isOnlyOnce(body: unknown): boolean {
  return (
    typeof body === 'object' &&
    body !== null &&
    ('getReader' in body || Symbol.asyncIterator in body)
  );
}
