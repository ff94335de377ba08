import type { AuthErrorCode } from '../../../domain/errors.ts';
import type { HEADERS, PARAMETERS, SCHEMAS } from './schemas.ts';
import { NOT_READY, type TextReply } from './reply.ts';

/** What an endpoint is known by: its method and path, which may hold `{names}`, each for one segment. */
export type EndpointName =
  | 'POST /register'
  | 'POST /login'
  | 'POST /refresh'
  | 'GET /protected'
  | 'GET /users'
  | 'POST /logout'
  | 'POST /logout-all'
  | 'GET /sessions'
  | 'DELETE /sessions/{id}'
  | 'GET /account'
  | 'DELETE /account'
  | 'POST /password'
  | 'GET /.well-known/jwks.json'
  | 'GET /openapi.json'
  | 'GET /health/live'
  | 'GET /health/ready';

/** Who may read GET /users: anybody, every user, or administrators alone; `disabled`: it is not there. */
export type UsersAccess = 'public' | 'authenticated' | 'admin' | 'disabled';

/** Every word for it. */
export const USERS_ACCESS: readonly UsersAccess[] = [
  'public',
  'authenticated',
  'admin',
  'disabled',
];

/** What endpoints are sorted by. */
export const TAGS = {
  'Sign in': 'Registration, sign-in, and the tokens that come of them.',
  Sessions: 'One for each sign-in. Its refresh token is good for as long as it lasts.',
  Account: 'What belongs to the user of the access token.',
  Users: 'All of them.',
  Service: 'What the service says of itself.',
};

/** What the document says of an endpoint beside what the table does. */
export interface Operation {
  /** What generated clients call it; where there is one, as the library does. */
  readonly id: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly description: string;
  /** Whether it wants an access token. */
  readonly bearer?: true;
  /** Parameters in the query and in headers, by their names in `PARAMETERS`. */
  readonly parameters?: readonly (keyof typeof PARAMETERS)[];
  readonly success: {
    readonly status: number;
    readonly description: string;
    /** Its name in `SCHEMAS`; none: there is no body. */
    readonly schema?: keyof typeof SCHEMAS;
    /** Beside those of every reply: by their own names, and their names in `HEADERS`. */
    readonly headers?: Readonly<Record<string, keyof typeof HEADERS>>;
  };
  /** What its use case refuses, beside what the bearer's token is refused for. */
  readonly refusals: readonly AuthErrorCode[];
  /** What the endpoint itself says instead of a success, by the name that its example has. */
  readonly replies?: Readonly<Record<string, TextReply>>;
}

const NEW_PASSWORD: readonly AuthErrorCode[] = [
  'passwords_differ',
  'invalid_password',
  'password_too_short',
  'password_too_long',
  'password_too_common',
];
const ATTEMPTS: readonly AuthErrorCode[] = ['too_many_attempts', 'service_busy'];

/** A new endpoint does not compile without its description. */
export const OPERATIONS: Readonly<Record<EndpointName, Operation>> = {
  'POST /register': {
    id: 'registerUser',
    tag: 'Sign in',
    summary: 'Register a new user',
    description: 'The user is signed in at once, by the two tokens of the reply.',
    parameters: ['Prefer'],
    success: {
      status: 201,
      description: 'The user has been created and is signed in.',
      schema: 'Registered',
      headers: { 'Preference-Applied': 'PreferenceApplied' },
    },
    refusals: [
      'missing_fields',
      'invalid_username',
      'username_too_long',
      'invalid_email',
      ...NEW_PASSWORD,
      'email_taken',
      ...ATTEMPTS,
    ],
  },
  'POST /login': {
    id: 'login',
    tag: 'Sign in',
    summary: 'Sign in an existing user',
    description:
      'A wrong password and an unknown email are answered alike. Ten attempts at an account, then one ' +
      'after each wait.',
    success: { status: 200, description: 'The user is signed in.', schema: 'SignedIn' },
    refusals: ['missing_credentials', 'invalid_credentials', ...ATTEMPTS],
  },
  'POST /refresh': {
    id: 'refreshToken',
    tag: 'Sign in',
    summary: 'Exchange a refresh token for a new access token',
    description:
      'The same refresh token is good until its session ends. Where the service replaces refresh ' +
      'tokens, the reply also has the one to use from then on.',
    success: { status: 200, description: 'A new access token.', schema: 'Refreshed' },
    refusals: [
      'missing_refresh_token',
      'invalid_refresh_token',
      'user_not_found',
      'too_many_attempts',
    ],
  },
  'GET /protected': {
    id: 'getProtected',
    tag: 'Sign in',
    summary: 'Reach a route that wants an access token',
    description: 'With a good token of a user who still exists, it greets that user.',
    bearer: true,
    success: { status: 200, description: 'The token is good.', schema: 'Greeting' },
    refusals: [],
  },
  'GET /users': {
    id: 'listUsers',
    tag: 'Users',
    summary: 'List all registered users',
    description:
      'Without `limit` the list is whole, however long. No password is ever shown: both members ' +
      'are `[REDACTED]` for every user.',
    parameters: ['limit', 'after', 'email'],
    success: {
      status: 200,
      description: 'The users, by rising ids.',
      schema: 'UserList',
      headers: { Link: 'Link' },
    },
    refusals: ['invalid_after', 'invalid_limit', 'invalid_email'],
  },
  'POST /logout': {
    id: 'logout',
    tag: 'Sessions',
    summary: 'End the session of a refresh token',
    description: 'A token that has ended, or never was, is answered in the same way.',
    success: { status: 204, description: 'The session has ended.' },
    refusals: ['missing_refresh_token'],
  },
  'POST /logout-all': {
    id: 'logoutAll',
    tag: 'Sessions',
    summary: 'End every session of the user',
    description: 'Access tokens go on until they expire.',
    bearer: true,
    success: { status: 204, description: 'Every session of the user has ended.' },
    refusals: [],
  },
  'GET /sessions': {
    id: 'listSessions',
    tag: 'Sessions',
    summary: 'List the sessions of the user',
    description: 'Those that have neither ended nor expired.',
    bearer: true,
    success: { status: 200, description: 'The sessions.', schema: 'SessionList' },
    refusals: [],
  },
  'DELETE /sessions/{id}': {
    id: 'endSession',
    tag: 'Sessions',
    summary: 'End one session of the user',
    description:
      "Its refresh token is good for nothing from then on. Another user's session is not found.",
    bearer: true,
    success: { status: 204, description: 'The session has ended.' },
    refusals: ['session_not_found'],
  },
  'GET /account': {
    id: 'getAccount',
    tag: 'Account',
    summary: 'Show whose access token it is',
    description: 'Whoever the token names, as the user stands now.',
    bearer: true,
    success: { status: 200, description: 'The user, and the session.', schema: 'Identity' },
    refusals: [],
  },
  'DELETE /account': {
    id: 'deleteAccount',
    tag: 'Account',
    summary: 'Delete the user',
    description: 'Tokens of a deleted user are good for nothing.',
    bearer: true,
    success: { status: 204, description: 'The user and their sessions are gone.' },
    refusals: ['missing_fields', 'wrong_password', ...ATTEMPTS],
  },
  'POST /password': {
    id: 'changePassword',
    tag: 'Account',
    summary: 'Change the password',
    description: 'Every other session of the user ends.',
    bearer: true,
    success: { status: 200, description: 'It is changed.', schema: 'PasswordChanged' },
    refusals: ['missing_fields', ...NEW_PASSWORD, 'wrong_password', ...ATTEMPTS],
  },
  'GET /.well-known/jwks.json': {
    id: 'getPublicKeys',
    tag: 'Service',
    summary: 'Get the keys to verify access tokens with',
    description: 'A JSON Web Key Set (RFC 7517). Fetch it again at a `kid` that is not in it.',
    success: {
      status: 200,
      description: 'The public keys.',
      schema: 'KeySet',
      headers: { 'Cache-Control': 'PublicForMinutes' },
    },
    refusals: [],
  },
  'GET /openapi.json': {
    id: 'getOpenApi',
    tag: 'Service',
    summary: 'Get this document',
    description: 'It describes the endpoints that are there, as they are set up.',
    success: {
      status: 200,
      description: 'An OpenAPI 3.1 document.',
      schema: 'Document',
      headers: { 'Cache-Control': 'PublicForMinutes' },
    },
    refusals: [],
  },
  'GET /health/live': {
    id: 'getLiveness',
    tag: 'Service',
    summary: 'Tell that the process answers',
    description:
      'It looks at nothing else. Where there is no answer, the process is to be replaced.',
    success: { status: 200, description: 'It answers.', schema: 'Alive' },
    refusals: [],
  },
  'GET /health/ready': {
    id: 'getReadiness',
    tag: 'Service',
    summary: 'Tell whether requests should come here',
    description:
      'Not while the database does not answer, nor once the service has been told to stop. The ' +
      'database is asked once a second at most, however many ask.',
    success: { status: 200, description: 'Requests should come.', schema: 'Ready' },
    refusals: [],
    replies: { not_ready: NOT_READY },
  },
};
