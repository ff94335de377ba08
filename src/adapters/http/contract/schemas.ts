import {
  MAX_EMAIL_LENGTH,
  MAX_PASSWORD_BYTES,
  MAX_USERNAME_LENGTH,
} from '../../../domain/credentials.ts';
import { JSON_HEADERS, PUBLIC_FOR_MINUTES } from './reply.ts';

/** A part of the document: JSON. */
export type Part = Readonly<Record<string, unknown>>;

const TOKEN = {
  type: 'string',
  format: 'jwt',
  pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$',
  maxLength: 4096,
};
const DATE = { type: 'string', format: 'date-time', maxLength: 24 };
const ID = { type: 'integer', format: 'int64', minimum: 1, maximum: Number.MAX_SAFE_INTEGER };
const SESSION_ID = { type: 'string', pattern: '^[!-~]+$', maxLength: 255 };
/** Text without control characters. */
const PLAIN = '^[^\\u0000-\\u001f\\u007f-\\u009f]+$';
const USERNAME = { type: 'string', pattern: PLAIN, maxLength: MAX_USERNAME_LENGTH };
/** RFC 6531: other letters than those of ASCII, too. */
const EMAIL = { type: 'string', format: 'idn-email', maxLength: MAX_EMAIL_LENGTH };
const PASSWORD = {
  type: 'string',
  format: 'password',
  minLength: 1,
  maxLength: MAX_PASSWORD_BYTES,
};
const REDACTED = { type: 'string', const: '[REDACTED]' };

const ACCESS_TOKEN = {
  ...TOKEN,
  description: 'Send it as `Authorization: Bearer …`. It is good for minutes.',
};
const REFRESH_TOKEN = {
  ...TOKEN,
  description: 'For /refresh and /logout. Absent in cookie mode: then it is in the cookie.',
};

// Tokens in examples have the form of one, and are none.
const ACCESS_EXAMPLE = 'eyJhY2Nlc3M.eyJzdWIi.c2lnbmVk';
const REFRESH_EXAMPLE = 'eyJyZWZyZXNo.eyJzdWIi.c2lnbmVk';
const SESSION_EXAMPLE = '0f8fad5b-d9cb-469f-a165-70867728950e';
const USER_EXAMPLE = {
  id: 1,
  username: 'Ada',
  email: 'ada@example.com',
  date_created: '2026-01-02T03:04:05.678Z',
};

const OWN_USER_EXAMPLE = { ...USER_EXAMPLE, role: 'user' };

/** An object of these members and no others, all of them there but for the optional ones. */
export function closed(properties: Part, optional: readonly string[] = []): Part {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required, additionalProperties: false };
}

const ROLE = { type: 'string', enum: ['user', 'admin'] };
const USER = { id: ID, username: USERNAME, email: EMAIL, date_created: DATE };

export function refTo(
  kind: 'schemas' | 'responses' | 'headers' | 'parameters',
  name: string,
): Part {
  return { $ref: `#/components/${kind}/${name}` };
}

function said(message: string): Part {
  return { type: 'string', const: message };
}

/** What a success says, by the names that `Operation` has for it, each with an example. */
export const SCHEMAS = {
  User: { ...closed(USER), examples: [USER_EXAMPLE] },
  OwnUser: { ...closed({ ...USER, role: ROLE }), examples: [OWN_USER_EXAMPLE] },
  Registered: {
    ...closed(
      {
        message: said('User created successfully'),
        access_token: ACCESS_TOKEN,
        refresh_token: REFRESH_TOKEN,
        user: {
          ...refTo('schemas', 'User'),
          description: 'Where the request prefers `return=representation`.',
        },
      },
      ['refresh_token', 'user'],
    ),
    examples: [
      {
        message: 'User created successfully',
        access_token: ACCESS_EXAMPLE,
        refresh_token: REFRESH_EXAMPLE,
      },
    ],
  },
  SignedIn: {
    ...closed(
      {
        message: said('Login successful'),
        access_token: ACCESS_TOKEN,
        refresh_token: REFRESH_TOKEN,
        user: refTo('schemas', 'User'),
      },
      ['refresh_token'],
    ),
    examples: [
      {
        message: 'Login successful',
        access_token: ACCESS_EXAMPLE,
        refresh_token: REFRESH_EXAMPLE,
        user: USER_EXAMPLE,
      },
    ],
  },
  Refreshed: {
    ...closed(
      {
        access_token: ACCESS_TOKEN,
        refresh_token: {
          ...TOKEN,
          description: 'The one to use from now on, where refresh tokens are replaced.',
        },
      },
      ['refresh_token'],
    ),
    examples: [{ access_token: ACCESS_EXAMPLE }],
  },
  Greeting: {
    ...closed({
      message: {
        type: 'string',
        // [^]: a username is shown as it is.
        pattern: '^Hello, [^]+\\. This is a protected route\\.$',
        maxLength: MAX_USERNAME_LENGTH + 38,
      },
    }),
    examples: [{ message: 'Hello, Ada. This is a protected route.' }],
  },
  UserList: {
    type: 'array',
    items: closed({
      id: ID,
      username: USERNAME,
      email: EMAIL,
      password: REDACTED,
      confirm_password: REDACTED,
      date_created: DATE,
    }),
    examples: [[{ ...USER_EXAMPLE, password: REDACTED.const, confirm_password: REDACTED.const }]],
  },
  SessionList: {
    type: 'array',
    items: closed({
      id: SESSION_ID,
      device: {
        type: ['string', 'null'],
        pattern: PLAIN,
        maxLength: 255,
        description: 'What signed in, as it calls itself.',
      },
      date_created: DATE,
      last_used: { ...DATE, description: 'To the minute.' },
      expires: { ...DATE, description: 'Use does not extend it.' },
      current: { type: 'boolean', description: 'Whether it is that of the access token.' },
    }),
    examples: [
      [
        {
          id: SESSION_EXAMPLE,
          device: 'curl/8.5.0',
          date_created: '2026-01-02T03:04:05.678Z',
          last_used: '2026-01-02T03:04:05.678Z',
          expires: '2026-02-01T03:04:05.678Z',
          current: true,
        },
      ],
    ],
  },
  Identity: {
    ...closed({ user: refTo('schemas', 'OwnUser'), session_id: SESSION_ID }),
    examples: [{ user: OWN_USER_EXAMPLE, session_id: SESSION_EXAMPLE }],
  },
  PasswordChanged: {
    ...closed({ message: said('Password changed') }),
    examples: [{ message: 'Password changed' }],
  },
  KeySet: {
    ...closed({
      keys: {
        type: 'array',
        items: {
          type: 'object',
          description: 'A JSON Web Key (RFC 7517): members go by its `kty`.',
          properties: {
            kty: { type: 'string', enum: ['RSA', 'EC'] },
            use: { type: 'string', const: 'sig' },
            alg: { type: 'string', enum: ['RS256', 'ES256'] },
            kid: { type: 'string', pattern: '^[!-~]+$', maxLength: 255 },
          },
          required: ['kty', 'alg', 'kid'],
          additionalProperties: { type: 'string', pattern: '^[A-Za-z0-9_-]+$', maxLength: 2048 },
        },
      },
    }),
    examples: [
      {
        keys: [{ kty: 'EC', crv: 'P-256', x: 'eA', y: 'eQ', use: 'sig', alg: 'ES256', kid: 'aQ' }],
      },
    ],
  },
  Alive: { ...closed({ message: said('Alive') }), examples: [{ message: 'Alive' }] },
  Ready: { ...closed({ message: said('Ready') }), examples: [{ message: 'Ready' }] },
  Document: {
    type: 'object',
    description: 'What it may hold is for the OpenAPI Specification to say.',
    properties: { openapi: { type: 'string', pattern: '^3\\.1\\.\\d+$', maxLength: 10 } },
    required: ['openapi'],
    additionalProperties: true,
    examples: [{ openapi: '3.1.0', info: { title: 'Portcullis', version: '0.1.0' }, paths: {} }],
  },
} satisfies Readonly<Record<string, Part>>;

/** Members of requests, each a string; one of another type counts as missing. */
export const FIELDS = {
  username: { ...USERNAME, description: 'Trimmed. It need not be unique.', example: 'Ada' },
  email: { ...EMAIL, description: 'Trimmed, in lower case.', example: 'ada@example.com' },
  password: {
    ...PASSWORD,
    description: `At most ${MAX_PASSWORD_BYTES} bytes of UTF-8; a new one 8 characters or more.`,
    example: 'correct horse',
  },
  confirm_password: { ...PASSWORD, description: 'The same again.', example: 'correct horse' },
  current_password: { ...PASSWORD, example: 'correct horse' },
  refresh_token: { ...TOKEN, example: REFRESH_EXAMPLE },
} satisfies Readonly<Record<string, Part>>;

export type FieldName = keyof typeof FIELDS;

/** Parameters in the query, in the path and in headers. */
export const PARAMETERS = {
  id: {
    name: 'id',
    in: 'path',
    required: true,
    description: 'Of the session, as GET /sessions has it.',
    schema: SESSION_ID,
    example: SESSION_EXAMPLE,
  },
  limit: {
    name: 'limit',
    in: 'query',
    description: 'As many users at most; a `Link` leads to the rest.',
    schema: { type: 'integer', format: 'int32', minimum: 1, maximum: 10_000 },
  },
  after: {
    name: 'after',
    in: 'query',
    description: 'Only users of higher ids.',
    schema: { ...ID, minimum: 0 },
  },
  email: {
    name: 'email',
    in: 'query',
    description: 'Only the user of this email.',
    schema: EMAIL,
  },
  Prefer: {
    name: 'Prefer',
    in: 'header',
    description: '`return=representation` has the reply show the user, too (RFC 7240).',
    schema: { type: 'string', pattern: '^[ -~]*$', maxLength: 255 },
    example: 'return=representation',
  },
  'Refresh-Token-Mode': {
    name: 'Refresh-Token-Mode',
    in: 'header',
    description:
      'Has the refresh token travel in a cookie that scripts cannot read, and never in a body. ' +
      'Without it no cookie is looked at.',
    schema: { type: 'string', enum: ['cookie'] },
  },
} satisfies Readonly<Record<string, Part>>;

/** Headers of replies, by the names that `Operation` has for them. */
export const HEADERS = {
  NoStore: {
    description: 'Nobody is to keep it.',
    required: true,
    schema: { type: 'string', const: JSON_HEADERS['Cache-Control'] },
  },
  PublicForMinutes: {
    description: 'It may be some minutes old.',
    required: true,
    schema: { type: 'string', const: PUBLIC_FOR_MINUTES['Cache-Control'] },
  },
  Link: {
    description: 'To the rest of the list (RFC 8288), where `limit` has cut it.',
    schema: { type: 'string', pattern: '^<[^>]+>; rel="next"$', maxLength: 2048 },
    example: '</users?limit=100&after=100>; rel="next"',
  },
  PreferenceApplied: {
    description: 'Where the reply shows the user.',
    schema: { type: 'string', const: 'return=representation' },
  },
  SetCookie: {
    description:
      'In cookie mode: the refresh token, or the end of its cookie (`Max-Age=0`). HttpOnly, ' +
      'SameSite=Strict, for as long as the token is good.',
    schema: {
      type: 'string',
      pattern: '^(?:__Host-)?portcullis_refresh_token=[^;]*; ',
      maxLength: 8192,
    },
  },
} satisfies Readonly<Record<string, Part>>;
