import type { Auth, ListQuery, User, UserRecord } from '../../../application/index.ts';
import { type DateText, dateTexts } from './date-texts.ts';
import type { FieldName } from './schemas.ts';
import { type EndpointName, USERS_ACCESS, type UsersAccess } from './operations.ts';
import {
  FAILURE,
  JSON_HEADERS,
  json,
  NO_CONTENT,
  NOT_READY,
  PUBLIC_FOR_MINUTES,
  type Reply,
} from './reply.ts';

export type { EndpointName, UsersAccess };
export { FAILURE };

/** One row of the wire contract. */
interface Row {
  /** The members of the JSON body that are read, each a string. Absent: the body is not read. */
  readonly fields?: readonly FieldName[];
  /** What is said, with status 500, when a part of the system fails; `FAILURE` unless given. */
  readonly failure?: string;
  /**
   * What becomes of a refresh token that the client keeps in a cookie, if it all goes well: it is replaced
   * by the one of the reply, if there is one, or ended. Absent: no cookie has a part in it.
   */
  readonly refreshCookie?: 'replaced' | 'ended';
  readonly handle: (auth: Auth, input: Input) => Promise<EndpointReply>;
}

/** A reply, and what of it is for hosts to put where the client keeps it. */
export interface EndpointReply extends Reply {
  readonly refreshToken?: string;
}

/** A row of the wire contract, by method and path. */
export interface Endpoint extends Row {
  readonly method: string;
  readonly path: string;
  readonly failure: string;
}

/** What a request says, for an endpoint to act on. */
export interface Input {
  readonly accessToken: string;
  /** What the client calls itself. */
  readonly device: string;
  /** The IP address that it comes from; undefined where the host does not know. */
  readonly address: string | undefined;
  /** The endpoint's own; the empty string where the body holds no string for it. */
  readonly fields: Readonly<Record<string, string>>;
  /** The path as the client has it, with what the endpoints are mounted under. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The values of the path's `{names}`. */
  readonly params: Readonly<Record<string, string>>;
  /** Whether the client keeps its refresh token in a cookie, and is to see it nowhere else. */
  readonly hasRefreshCookie: boolean;
  /** Whether the client asks for what it has made (`Prefer: return=representation`, RFC 7240). */
  readonly wantsRepresentation: boolean;
  /** All values of a header, by its name in small letters, joined by commas. */
  readonly header: (name: string) => string | undefined;
}

/** Which endpoints there are, and who may use them. */
export interface EndpointOptions {
  /** The endpoints that there are, by their names; all of them unless given. */
  readonly only?: readonly EndpointName[];
  /** Who may read GET /users; `public`, as documented, unless given. */
  readonly usersAccess?: UsersAccess;
  /** JWKs (RFC 7517) for others to verify access tokens with. None, or not given: none are shown. */
  readonly publicKeys?: readonly Readonly<Record<string, string>>[];
  /**
   * Whether requests should come here: told at GET /health/ready. Not given, there is neither that nor
   * GET /health/live. It is asked at each request, so it should keep its answer for a moment.
   */
  readonly isReady?: () => Promise<boolean>;
}

/**
 * The wire contract as a table: what hosts mount, and what is documented of it.
 * @throws RangeError for a name of no endpoint, or a word that `usersAccess` does not know
 */
export function endpoints(options: EndpointOptions = {}): readonly Endpoint[] {
  const { only, usersAccess = 'public', publicKeys = [], isReady } = options;
  // A word that is misspelt must not show every user to everybody.
  if (!USERS_ACCESS.includes(usersAccess)) {
    throw new RangeError(`usersAccess cannot be ${usersAccess}`);
  }
  if (typeof only === 'string') throw new RangeError('only must be an array');
  let kept: readonly [before: string, after: string] | undefined;
  const describe: Describe = async (path) => {
    // Made when it is first asked for: few ever do.
    kept ??= await documentAround(table, usersAccess);
    const [before, after] = kept;
    return before + JSON.stringify(path.slice(0, -'/openapi.json'.length) || '/') + after;
  };
  const all = Object.entries(rows(usersAccess, publicKeys, isReady, describe));
  const unknown = only?.find((name) => all.every(([known]) => known !== name));
  if (unknown !== undefined) throw new RangeError(`no endpoint is named ${unknown}`);
  const absent = new Set<string>();
  if (usersAccess === 'disabled') absent.add('GET /users');
  if (publicKeys.length === 0) absent.add('GET /.well-known/jwks.json');
  if (isReady === undefined) for (const name of HEALTH) absent.add(name);
  const mounted: ReadonlySet<string> = new Set(only ?? all.map(([name]) => name));
  const table: readonly Endpoint[] = all
    .filter(([name]) => mounted.has(name) && !absent.has(name))
    .map(([name, row]) => {
      const [method = '', path = ''] = name.split(' ');
      return { failure: FAILURE, ...row, method, path };
    });
  return table;
}

const HEALTH: readonly EndpointName[] = ['GET /health/live', 'GET /health/ready'];

/** The text of the document of what is mounted, by the path at which it is asked for. */
type Describe = (path: string) => Promise<string>;

/**
 * The text of the document before and after the path that the endpoints are mounted under, which is all that
 * changes from one request to another. Clients can choose that path (`app.use('/:tenant', …)`), so whole
 * documents by their paths would fill the memory.
 */
async function documentAround(
  table: readonly Endpoint[],
  usersAccess: UsersAccess,
): Promise<readonly [before: string, after: string]> {
  const { openApi } = await import('../openapi/document.ts');
  const placeholder = '\0';
  const text = JSON.stringify(openApi(table, { usersAccess, mount: placeholder }));
  const [before = '', after = ''] = text.split(JSON.stringify(placeholder));
  return [before, after];
}

function rows(
  usersAccess: UsersAccess,
  publicKeys: NonNullable<EndpointOptions['publicKeys']>,
  isReady: EndpointOptions['isReady'],
  describe: Describe,
): Readonly<Record<EndpointName, Row>> {
  return {
    'POST /register': {
      fields: ['username', 'email', 'password', 'confirm_password'],
      failure: 'Database error occurred. Please try again.',
      refreshCookie: 'replaced',
      async handle(auth, input) {
        const { device, address, fields, wantsRepresentation } = input;
        const { username = '', email = '', password = '', ...rest } = fields;
        const { confirm_password: confirmPassword = '' } = rest;
        const given = { username, email, password, confirmPassword, device, address };
        const made = await auth.registerUser(given);
        const body = {
          message: 'User created successfully',
          access_token: made.accessToken,
          refresh_token: made.refreshToken,
        };
        if (!wantsRepresentation) return withRefreshToken(input, 201, body);
        const applied = { 'Preference-Applied': 'return=representation' };
        return withRefreshToken(input, 201, { ...body, user: shownUser(made.user) }, applied);
      },
    },
    'POST /login': {
      fields: ['email', 'password'],
      refreshCookie: 'replaced',
      async handle(auth, input) {
        const { device, address, fields } = input;
        const { email = '', password = '' } = fields;
        const signedIn = await auth.login({ email, password, device, address });
        const { accessToken, refreshToken, user } = signedIn;
        return withRefreshToken(input, 200, {
          message: 'Login successful',
          access_token: accessToken,
          refresh_token: refreshToken,
          user: shownUser(user),
        });
      },
    },
    'POST /refresh': {
      fields: ['refresh_token'],
      refreshCookie: 'replaced',
      async handle(auth, input) {
        const { refresh_token: presented = '' } = input.fields;
        const made = await auth.refreshToken({ refreshToken: presented, address: input.address });
        const { accessToken, refreshToken } = made;
        return withRefreshToken(input, 200, {
          access_token: accessToken,
          ...(refreshToken && { refresh_token: refreshToken }),
        });
      },
    },
    'GET /protected': {
      async handle(auth, { accessToken }) {
        const { user } = await auth.authorize({ accessToken });
        return json(200, { message: `Hello, ${user.username}. This is a protected route.` });
      },
    },
    'POST /logout': {
      fields: ['refresh_token'],
      refreshCookie: 'ended',
      async handle(auth, { fields: { refresh_token: refreshToken = '' } }) {
        await auth.logout({ refreshToken });
        return NO_CONTENT;
      },
    },
    'POST /logout-all': {
      refreshCookie: 'ended',
      async handle(auth, { accessToken }) {
        await auth.logoutAll({ accessToken });
        return NO_CONTENT;
      },
    },
    'GET /sessions': {
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
    'DELETE /sessions/{id}': {
      async handle(auth, { accessToken, params: { id: sessionId = '' } }) {
        await auth.endSession({ accessToken, sessionId });
        return NO_CONTENT;
      },
    },
    'POST /password': {
      fields: ['current_password', 'password', 'confirm_password'],
      async handle(auth, { accessToken, address, fields: { password = '', ...rest } }) {
        const { current_password: currentPassword = '' } = rest;
        const { confirm_password: confirmPassword = '' } = rest;
        const change = { currentPassword, password, confirmPassword };
        await auth.changePassword({ accessToken, ...change, address });
        return json(200, { message: 'Password changed' });
      },
    },
    'GET /account': {
      async handle(auth, { accessToken }) {
        const { user, sessionId } = await auth.authorize({ accessToken });
        return json(200, { user: shownRecord(user), session_id: sessionId });
      },
    },
    'DELETE /account': {
      fields: ['password'],
      refreshCookie: 'ended',
      async handle(auth, { accessToken, address, fields: { password = '' } }) {
        await auth.deleteAccount({ accessToken, password, address });
        return NO_CONTENT;
      },
    },
    'GET /users': {
      async handle(auth, { accessToken, query, path }) {
        if (usersAccess === 'authenticated') await auth.authorize({ accessToken });
        if (usersAccess === 'admin') await auth.authorize({ accessToken, role: 'admin' });
        const bounds = listQuery(query);
        const { pages, next } = await auth.listUsers(bounds);
        const reply = { status: 200, headers: JSON_HEADERS, body: userArray(pages) };
        if (next === undefined) return reply;
        const link = `<${path}?limit=${bounds.limit}&after=${next}>; rel="next"`;
        return { ...reply, headers: { ...JSON_HEADERS, Link: link } };
      },
    },
    'GET /.well-known/jwks.json': {
      handle: async () => json(200, { keys: publicKeys }, PUBLIC_FOR_MINUTES),
    },
    'GET /openapi.json': {
      async handle(_, { path }) {
        const headers = { ...JSON_HEADERS, ...PUBLIC_FOR_MINUTES };
        return { status: 200, headers, body: await describe(path) };
      },
    },
    'GET /health/live': { handle: async () => json(200, { message: 'Alive' }) },
    'GET /health/ready': {
      handle: async () => ((await isReady?.()) ? json(200, { message: 'Ready' }) : NOT_READY),
    },
  };
}

/** JSON with a refresh token, unless that is to be seen nowhere but in the client's cookie. */
function withRefreshToken(
  { hasRefreshCookie }: Input,
  status: number,
  body: { readonly refresh_token?: string; readonly [name: string]: unknown },
  headers?: Readonly<Record<string, string>>,
): EndpointReply {
  if (!hasRefreshCookie) return json(status, body, headers);
  const { refresh_token: refreshToken, ...rest } = body;
  return { ...json(status, rest, headers), ...(refreshToken && { refreshToken }) };
}

function shownUser({ id, username, email, dateCreated }: User) {
  return { id, username, email, date_created: dateCreated.toISOString() };
}

/** As they see themselves. That they are not disabled goes without saying. */
function shownRecord({ role, ...user }: UserRecord) {
  return { ...shownUser(user), role };
}

/** In the place of both passwords, for every user: what is stored of a password is never read here. */
const REDACTED = '[REDACTED]';

async function* userArray(pages: AsyncIterable<readonly User[]>): AsyncGenerator<string> {
  const dateText = dateTexts();
  let separator = '[';
  for await (const page of pages) {
    // As a whole: a text put together by hand takes an eighth less time, and 30 MB more.
    const text = JSON.stringify(page.map((user) => listedUser(user, dateText)));
    yield separator + text.slice(1, -1);
    separator = ',';
  }
  yield separator === '[' ? '[]' : ']';
}

function listedUser({ id, username, email, dateCreated }: User, dateText: DateText) {
  return {
    id,
    username,
    email,
    password: REDACTED,
    confirm_password: REDACTED,
    date_created: dateText(dateCreated),
  };
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
