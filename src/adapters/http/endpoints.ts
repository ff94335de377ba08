import { type Auth, AuthError, type ListQuery, type User } from '../../application/index.ts';
import { answerTo } from './messages.ts';

/** A request as every host can give it. */
export interface HttpRequest {
  /** All values of the header, joined by commas; undefined where there is none. */
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly userAgent: string | undefined;
  readonly query: URLSearchParams;
  /** The values of the path's `{names}`. */
  readonly params: Readonly<Record<string, string>>;
  /** Empty where there is none. Undecoded: hosts pass no compressed bodies. */
  readonly body: Uint8Array;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The whole body, or its parts in turn, to be asked for only as fast as they are taken. */
  readonly body: string | AsyncIterable<string>;
}

export type TextReply = Reply & { readonly body: string };

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

interface Input extends Pick<HttpRequest, 'query' | 'params'> {
  readonly accessToken: string;
  /** What the client calls itself. */
  readonly device: string;
  /** Every field of the endpoint; the empty string where the body holds no string for it. */
  readonly fields: Readonly<Record<string, string>>;
}

export interface EndpointOptions {
  /** Who may read GET /users; `public`, as documented, unless given. */
  readonly usersAccess?: 'public' | 'authenticated' | 'disabled';
}

/** Bytes; hosts refuse more with status 413. */
export const MAX_BODY_LENGTH = 16 * 1024;

/**
 * Milliseconds in which a request is answered, whatever the parts of the system do: less than the
 * promised 5 s, by what reading the request and sending the reply may take.
 */
const DEADLINE = 4_500;

const FAILURE = 'An error occurred';

/** The wire contract as a table: what hosts mount, and what is documented of it. */
export function endpoints({ usersAccess = 'public' }: EndpointOptions = {}): readonly Endpoint[] {
  const table: Endpoint[] = [
    {
      method: 'POST',
      path: '/register',
      fields: ['username', 'email', 'password', 'confirm_password'],
      failure: 'Database error occurred. Please try again.',
      async handle(
        auth,
        { device, fields: { username = '', email = '', password = '', ...rest } },
      ) {
        const { confirm_password: confirmPassword = '' } = rest;
        const given = { username, email, password, confirmPassword, device };
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
      async handle(auth, { device, fields: { email = '', password = '' } }) {
        const signedIn = await auth.login({ email, password, device });
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
      async handle(auth, { fields: { refresh_token: refreshToken = '' } }) {
        const refreshed = await auth.refreshToken({ refreshToken });
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
      async handle(auth, { accessToken, fields: { password = '', ...rest } }) {
        const { current_password: currentPassword = '' } = rest;
        const { confirm_password: confirmPassword = '' } = rest;
        await auth.changePassword({ accessToken, currentPassword, password, confirmPassword });
        return json(200, { message: 'Password changed' });
      },
    },
    {
      method: 'DELETE',
      path: '/account',
      fields: ['password'],
      failure: FAILURE,
      async handle(auth, { accessToken, fields: { password = '' } }) {
        await auth.deleteAccount({ accessToken, password });
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
        const reply = { status: 200, headers: REPLY_HEADERS, body: userArray(pages) };
        if (next === undefined) return reply;
        const link = `</users?limit=${bounds.limit}&after=${next}>; rel="next"`;
        return { ...reply, headers: { ...REPLY_HEADERS, Link: link } };
      },
    });
  }
  return table;
}

/**
 * Answers a request to an endpoint: always, and in time. Refusals get their documented answer; a
 * fault of a part, or a part that does not answer, gets the endpoint's own 500 and is reported.
 */
export async function answer(
  endpoint: Endpoint,
  auth: Auth,
  request: HttpRequest,
  report: (fault: unknown) => void,
): Promise<Reply> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('deadline exceeded')), DEADLINE);
  });
  try {
    return await Promise.race([handle(endpoint, auth, request), deadline]);
  } catch (error) {
    if (error instanceof AuthError) {
      const { status, message, headers } = answerTo(error);
      return errorReply(status, message, headers);
    }
    report(error);
    return errorReply(500, endpoint.failure);
  } finally {
    clearTimeout(timer);
  }
}

async function handle(endpoint: Endpoint, auth: Auth, request: HttpRequest): Promise<Reply> {
  const fields: Record<string, string> = {};
  if (endpoint.fields && request.body.length > 0) {
    if (!isJson(request.contentType)) {
      return errorReply(415, 'Content-Type must be application/json');
    }
    const body = parseJson(request.body);
    if (body === undefined) return errorReply(400, 'Malformed JSON');
    for (const name of endpoint.fields) fields[name] = textOf(body.value, name);
  }
  const { query, params, userAgent: device = '' } = request;
  const accessToken = bearerToken(request.authorization);
  return endpoint.handle(auth, { accessToken, device, fields, query, params });
}

/** The one shape of an error, for endpoints and for the hosts' own refusals. */
export function errorReply(
  status: number,
  message: string,
  headers?: Readonly<Record<string, string>>,
): TextReply {
  return json(status, { message }, headers);
}

/** On every reply: it is JSON, it is nobody else's, and no browser should make more of it. */
const REPLY_HEADERS = {
  'Content-Type': 'application/json; charset=utf-8',
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

function json(status: number, body: object, headers?: Readonly<Record<string, string>>): TextReply {
  return { status, headers: { ...REPLY_HEADERS, ...headers }, body: JSON.stringify(body) };
}

/** Done, and nothing to say. */
const NO_CONTENT: Reply = {
  status: 204,
  headers: Object.fromEntries(
    Object.entries(REPLY_HEADERS).filter(([name]) => name !== 'Content-Type'),
  ),
  body: '',
};

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

/**
 * The token of an Authorization header: '' where there is no bearer token ("missing"), and a text
 * that is no token where there is more, or something else, than exactly one ("invalid").
 */
function bearerToken(authorization = ''): string {
  const [, token] = /^\s*bearer +([^\s,]+)\s*$/i.exec(authorization) ?? [];
  if (token !== undefined) return token;
  const alone = /^\s*bearer\s*$/i.test(authorization);
  const among = /(?:^|,)\s*bearer(?=[\s,]|$)/i.test(authorization);
  return among && !alone ? 'not one token' : '';
}

/** JSON is UTF-8 (RFC 8259 §8.1): a charset that says otherwise is another type. */
function isJson(contentType = ''): boolean {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  return (
    type.trim() === 'application/json' &&
    parameters.every((parameter) => !/^\s*charset\b(?!="?utf-?8"?\s*$)/.test(parameter))
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Undefined when the bytes are no UTF-8 or the text no JSON; else whatever JSON value it is. */
function parseJson(bytes: Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(utf8.decode(bytes)) };
  } catch {
    return undefined;
  }
}

/** A string member; '', which counts as missing, for a member of another type or none. */
function textOf(body: unknown, name: string): string {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return '';
  const value: unknown = Reflect.get(body, name);
  return typeof value === 'string' ? value : '';
}
