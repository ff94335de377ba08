import type { Auth, ListQuery, User } from '../../application/index.ts';
import { json, NO_CONTENT, type Reply, JSON_HEADERS } from './reply.ts';

/** One row of the wire contract. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** May hold `{names}`, each for one segment. */
  readonly path: string;
  /** The members of the JSON body that are read, each a string. Absent: the body is not read. */
  readonly fields?: readonly string[];
  /** What is said, with status 500, when a part of the system fails. */
  readonly failure: string;
  readonly handle: (auth: Auth, input: Input) => Promise<Reply>;
}

/** What a request says, for an endpoint to act on. */
export interface Input {
  readonly accessToken: string;
  /** What the client calls itself. */
  readonly device: string;
  /** The IP address that it comes from. */
  readonly address: string;
  /** The endpoint's own; the empty string where the body holds no string for it. */
  readonly fields: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The values of the path's `{names}`. */
  readonly params: Readonly<Record<string, string>>;
}

export interface EndpointOptions {
  /** Who may read GET /users; `public`, as documented, unless given. */
  readonly usersAccess?: 'public' | 'authenticated' | 'disabled';
  /** JWKs (RFC 7517) for others to verify access tokens with. None, or not given: none are shown. */
  readonly publicKeys?: readonly Readonly<Record<string, string>>[];
}

const FAILURE = 'An error occurred';

/** The wire contract as a table: what hosts mount, and what is documented of it. */
export function endpoints(options: EndpointOptions = {}): readonly Endpoint[] {
  const { usersAccess = 'public', publicKeys = [] } = options;
  const table: Endpoint[] = [
    {
      method: 'POST',
      path: '/register',
      fields: ['username', 'email', 'password', 'confirm_password'],
      failure: 'Database error occurred. Please try again.',
      async handle(
        auth,
        { device, address, fields: { username = '', email = '', password = '', ...rest } },
      ) {
        const { confirm_password: confirmPassword = '' } = rest;
        const given = { username, email, password, confirmPassword, device, address };
        const made = await auth.registerUser(given);
        return json(201, {
          message: 'User created successfully',
          access_token: made.accessToken,
          refresh_token: made.refreshToken,
        });
      },
    },
    {
      method: 'POST',
      path: '/login',
      fields: ['email', 'password'],
      failure: FAILURE,
      async handle(auth, { device, address, fields: { email = '', password = '' } }) {
        const signedIn = await auth.login({ email, password, device, address });
        const { accessToken, refreshToken, user } = signedIn;
        return json(200, {
          message: 'Login successful',
          access_token: accessToken,
          refresh_token: refreshToken,
          user: {
            id: user.id,
            username: user.username,
            email: user.email,
            date_created: user.dateCreated.toISOString(),
          },
        });
      },
    },
    {
      method: 'POST',
      path: '/refresh',
      fields: ['refresh_token'],
      failure: FAILURE,
      async handle(auth, { address, fields: { refresh_token: refreshToken = '' } }) {
        const refreshed = await auth.refreshToken({ refreshToken, address });
        return json(200, {
          access_token: refreshed.accessToken,
          ...(refreshed.refreshToken && { refresh_token: refreshed.refreshToken }),
        });
      },
    },
    {
      method: 'GET',
      path: '/protected',
      failure: FAILURE,
      async handle(auth, { accessToken }) {
        const { user } = await auth.authorize({ accessToken });
        return json(200, { message: `Hello, ${user.username}. This is a protected route.` });
      },
    },
    {
      method: 'POST',
      path: '/logout',
      fields: ['refresh_token'],
      failure: FAILURE,
      async handle(auth, { fields: { refresh_token: refreshToken = '' } }) {
        await auth.logout({ refreshToken });
        return NO_CONTENT;
      },
    },
    {
      method: 'POST',
      path: '/logout-all',
      failure: FAILURE,
      async handle(auth, { accessToken }) {
        await auth.logoutAll({ accessToken });
        return NO_CONTENT;
      },
    },
    {
      method: 'GET',
      path: '/sessions',
      failure: FAILURE,
      async handle(auth, { accessToken }) {
        const sessions = await auth.listSessions({ accessToken });
        return json(
          200,
          sessions.map(({ id, device, dateCreated, lastUsed, expires, current }) => ({
            id,
            device,
            date_created: dateCreated.toISOString(),
            last_used: lastUsed.toISOString(),
            expires: expires.toISOString(),
            current,
          })),
        );
      },
    },
    {
      method: 'DELETE',
      path: '/sessions/{id}',
      failure: FAILURE,
      async handle(auth, { accessToken, params: { id: sessionId = '' } }) {
        await auth.endSession({ accessToken, sessionId });
        return NO_CONTENT;
      },
    },
    {
      method: 'POST',
      path: '/password',
      fields: ['current_password', 'password', 'confirm_password'],
      failure: FAILURE,
      async handle(auth, { accessToken, address, fields: { password = '', ...rest } }) {
        const { current_password: currentPassword = '' } = rest;
        const { confirm_password: confirmPassword = '' } = rest;
        const change = { currentPassword, password, confirmPassword };
        await auth.changePassword({ accessToken, ...change, address });
        return json(200, { message: 'Password changed' });
      },
    },
    {
      method: 'DELETE',
      path: '/account',
      fields: ['password'],
      failure: FAILURE,
      async handle(auth, { accessToken, address, fields: { password = '' } }) {
        await auth.deleteAccount({ accessToken, password, address });
        return NO_CONTENT;
      },
    },
  ];
  if (usersAccess !== 'disabled') {
    table.push({
      method: 'GET',
      path: '/users',
      failure: FAILURE,
      async handle(auth, { accessToken, query }) {
        if (usersAccess === 'authenticated') await auth.authorize({ accessToken });
        const bounds = listQuery(query);
        const { pages, next } = await auth.listUsers(bounds);
        const reply = { status: 200, headers: JSON_HEADERS, body: userArray(pages) };
        if (next === undefined) return reply;
        const link = `</users?limit=${bounds.limit}&after=${next}>; rel="next"`;
        return { ...reply, headers: { ...JSON_HEADERS, Link: link } };
      },
    });
  }
  if (publicKeys.length > 0) {
    // The one reply that is everybody's, and may be some minutes old: a key is shown before it signs.
    const shared = json(200, { keys: publicKeys }, { 'Cache-Control': 'public, max-age=300' });
    table.push({
      method: 'GET',
      path: '/.well-known/jwks.json',
      failure: FAILURE,
      handle: () => Promise.resolve(shared),
    });
  }
  return table;
}

/** In the place of both passwords, for every user: what is stored of a password is never read here. */
const REDACTED = '[REDACTED]';

async function* userArray(pages: AsyncIterable<readonly User[]>): AsyncGenerator<string> {
  let separator = '[';
  for await (const page of pages) {
    yield separator + page.map(userObject).join(',');
    separator = ',';
  }
  yield separator === '[' ? '[]' : ']';
}

function userObject({ id, username, email, dateCreated }: User): string {
  return JSON.stringify({
    id,
    username,
    email,
    password: REDACTED,
    confirm_password: REDACTED,
    date_created: dateCreated.toISOString(),
  });
}

function listQuery(query: URLSearchParams): ListQuery {
  const after = query.get('after');
  const limit = query.get('limit');
  const email = query.get('email');
  return {
    ...(after !== null && { after: wholeNumber(after) }),
    ...(limit !== null && { limit: wholeNumber(limit) }),
    ...(email !== null && { email }),
  };
}

/** NaN, which the use case refuses, for everything but digits. */
function wholeNumber(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}
