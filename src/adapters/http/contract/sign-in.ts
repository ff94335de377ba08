import { MAX_USERNAME_LENGTH } from '../../../domain/credentials.ts';
import { endpoint, type EndpointReply, type Input } from './endpoint.ts';
import { HASHING_ERRORS, NEW_PASSWORD_ERRORS } from './messages.ts';
import type { Reply } from './reply.ts';
import {
  ACCESS_EXAMPLE,
  ACCESS_TOKEN,
  CONFIRM_PASSWORD_FIELD,
  constant,
  EMAIL_FIELD,
  NEXT_REFRESH_TOKEN,
  optional,
  PASSWORD_FIELD,
  REFRESH_EXAMPLE,
  REFRESH_TOKEN,
  REFRESH_TOKEN_FIELD,
  USERNAME,
} from './schemas.ts';
import { shownUser, USER, USER_EXAMPLE } from './shown-user.ts';

const tag = {
  name: 'Sign in',
  description: 'Registration, sign-in, and the tokens that come of them.',
};

const REPRESENTATION = 'return=representation';
const EXAMPLE_TOKENS = { access_token: ACCESS_EXAMPLE, refresh_token: REFRESH_EXAMPLE };

export const signIn = {
  'POST /register': endpoint({
    id: 'registerUser',
    tag,
    summary: 'Register a new user',
    description: 'The user is signed in at once, by the two tokens of the reply.',
    parameters: [
      {
        name: 'Prefer',
        part: {
          name: 'Prefer',
          in: 'header',
          description: `\`${REPRESENTATION}\` has the reply show the user, too (RFC 7240).`,
          schema: { type: 'string', pattern: '^[ -~]*$', maxLength: 255 },
          example: REPRESENTATION,
        },
      },
    ],
    fields: {
      username: {
        ...USERNAME,
        description: 'Trimmed. It need not be unique.',
        example: USER_EXAMPLE.username,
      },
      email: EMAIL_FIELD,
      password: PASSWORD_FIELD,
      confirm_password: CONFIRM_PASSWORD_FIELD,
    },
    refreshCookie: 'replaced',
    failure: 'Database error occurred. Please try again.',
    success: {
      status: 201,
      description: 'The user has been created and is signed in.',
      message: 'User created successfully',
      body: {
        name: 'Registered',
        members: {
          access_token: ACCESS_TOKEN,
          refresh_token: optional(REFRESH_TOKEN),
          user: optional({
            ...USER,
            description: `Where the request prefers \`${REPRESENTATION}\`.`,
          }),
        },
        example: EXAMPLE_TOKENS,
      },
      headers: {
        'Preference-Applied': {
          name: 'PreferenceApplied',
          part: {
            description: 'Where the reply shows the user.',
            schema: constant(REPRESENTATION),
          },
        },
      },
    },
    refusals: [
      'missing_fields',
      'invalid_username',
      'username_too_long',
      'invalid_email',
      ...NEW_PASSWORD_ERRORS,
      'email_taken',
      ...HASHING_ERRORS,
    ],
    async handle(auth, input, { reply }) {
      const { address, fields } = input;
      const { username, email, password, confirm_password: confirmPassword } = fields;
      const registration = { username, email, password, confirmPassword };
      const signedIn = await auth.registerUser({
        ...registration,
        device: deviceOf(input),
        address,
      });
      const { accessToken, refreshToken, user } = signedIn;
      const tokens = { access_token: accessToken, refresh_token: refreshToken };
      if (!prefersRepresentation(input)) return withRefreshToken(input, tokens, reply.json);
      return withRefreshToken(input, { ...tokens, user: shownUser(user) }, (members) =>
        reply.json(members, { 'Preference-Applied': REPRESENTATION }),
      );
    },
  }),

  'POST /login': endpoint({
    id: 'login',
    tag,
    summary: 'Sign in an existing user',
    description:
      'A wrong password and an unknown email are answered alike. Ten attempts at an account, then one ' +
      'after each wait.',
    fields: { email: EMAIL_FIELD, password: PASSWORD_FIELD },
    refreshCookie: 'replaced',
    success: {
      status: 200,
      description: 'The user is signed in.',
      message: 'Login successful',
      body: {
        name: 'SignedIn',
        members: {
          access_token: ACCESS_TOKEN,
          refresh_token: optional(REFRESH_TOKEN),
          user: USER,
        },
        example: { ...EXAMPLE_TOKENS, user: USER_EXAMPLE },
      },
    },
    refusals: ['missing_credentials', 'invalid_credentials', ...HASHING_ERRORS],
    async handle(auth, input, { reply }) {
      const { address, fields } = input;
      const { email, password } = fields;
      const signedIn = await auth.login({ email, password, device: deviceOf(input), address });
      const { accessToken, refreshToken, user } = signedIn;
      const tokens = { access_token: accessToken, refresh_token: refreshToken };
      return withRefreshToken(input, { ...tokens, user: shownUser(user) }, reply.json);
    },
  }),

  'POST /refresh': endpoint({
    id: 'refreshToken',
    tag,
    summary: 'Exchange a refresh token for a new access token',
    description:
      'The same refresh token is good until its session ends. Where the service replaces refresh ' +
      'tokens, the reply also has the one to use from then on.',
    fields: { refresh_token: REFRESH_TOKEN_FIELD },
    refreshCookie: 'replaced',
    success: {
      status: 200,
      description: 'A new access token.',
      body: {
        name: 'Refreshed',
        members: { access_token: ACCESS_TOKEN, refresh_token: optional(NEXT_REFRESH_TOKEN) },
        example: { access_token: ACCESS_EXAMPLE },
      },
    },
    refusals: [
      'missing_refresh_token',
      'invalid_refresh_token',
      'user_not_found',
      'too_many_attempts',
    ],
    async handle(auth, input, { reply }) {
      const { address, fields } = input;
      const refreshed = await auth.refreshToken({ refreshToken: fields.refresh_token, address });
      const { accessToken, refreshToken } = refreshed;
      const members = {
        access_token: accessToken,
        ...(refreshToken && { refresh_token: refreshToken }),
      };
      return withRefreshToken(input, members, reply.json);
    },
  }),

  'GET /protected': endpoint({
    id: 'getProtected',
    tag,
    summary: 'Reach a route that wants an access token',
    description: 'With a good token of a user who still exists, it greets that user.',
    bearer: 'user',
    success: {
      status: 200,
      description: 'The token is good.',
      body: {
        name: 'Greeting',
        members: {
          message: {
            type: 'string',
            // [^]: a username is shown as it is stored.
            pattern: `^${greeting('[^]+').replaceAll('.', '\\.')}$`,
            maxLength: MAX_USERNAME_LENGTH + 38,
          },
        },
        example: { message: greeting(USER_EXAMPLE.username) },
      },
    },
    refusals: [],
    async handle(auth, { accessToken }, { reply }) {
      const { user } = await auth.authorize({ accessToken });
      return reply.json({ message: greeting(user.username) });
    },
  }),
};

function greeting(username: string): string {
  return `Hello, ${username}. This is a protected route.`;
}

/** What the client calls itself, for the list of sessions. */
function deviceOf(input: Input): string {
  return input.header('user-agent') ?? '';
}

/** Whether the client asks to see the user that it has created (RFC 7240). */
function prefersRepresentation(input: Input): boolean {
  return /(?:^|[,\s])return=representation(?=$|[,;\s])/i.test(input.header('prefer') ?? '');
}

/** In cookie mode, hands the refresh token to the host and leaves it out of the body. */
function withRefreshToken(
  { hasRefreshCookie }: Input,
  members: { readonly refresh_token?: string; readonly [name: string]: unknown },
  replyWith: (members: object) => Reply,
): EndpointReply {
  if (!hasRefreshCookie) return replyWith(members);
  const { refresh_token: refreshToken, ...rest } = members;
  return { ...replyWith(rest), ...(refreshToken && { refreshToken }) };
}
