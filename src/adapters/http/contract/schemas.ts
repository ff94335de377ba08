import {
  MAX_EMAIL_LENGTH,
  MAX_PASSWORD_BYTES,
  MAX_USERNAME_LENGTH,
} from '../../../domain/credentials.ts';

/** A part of the OpenAPI document: JSON. */
export type Part = Readonly<Record<string, unknown>>;

/** A part that the document shows once, among its components, and refers to by name. */
export interface Component {
  readonly name: string;
  readonly part: Part;
}

/** A member of a request body: a string. Other types count as missing. */
export type Field = Part & { readonly example: string };

const OPTIONAL = Symbol('optional');

/** Marks a member that a body may lack. */
export function optional<P extends Part>(part: P): P {
  return { ...part, [OPTIONAL]: true };
}

export function isOptional(part: unknown): boolean {
  return typeof part === 'object' && part !== null && OPTIONAL in part;
}

/** An object of these members and no others. All are required, except `optional` ones. */
export function closed(properties: Part): Part {
  const required = Object.entries(properties)
    .filter(([, part]) => !isOptional(part))
    .map(([name]) => name);
  return { type: 'object', properties, required, additionalProperties: false };
}

/** A string that is always the same. */
export function constant(text: string): Part {
  return { type: 'string', const: text };
}

export function refTo(
  kind: 'schemas' | 'responses' | 'headers' | 'parameters',
  name: string,
): Part {
  return { $ref: `#/components/${kind}/${name}` };
}

// What several endpoints take or show.

const TOKEN = {
  type: 'string',
  format: 'jwt',
  pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$',
  maxLength: 4096,
};
const PASSWORD = {
  type: 'string',
  format: 'password',
  minLength: 1,
  maxLength: MAX_PASSWORD_BYTES,
};

export const DATE = { type: 'string', format: 'date-time', maxLength: 24 };
export const ID = {
  type: 'integer',
  format: 'int64',
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
};
export const SESSION_ID = { type: 'string', pattern: '^[!-~]+$', maxLength: 255 };
/** Matches text without control characters. */
export const PLAIN_TEXT = '^[^\\u0000-\\u001f\\u007f-\\u009f]+$';
export const USERNAME = { type: 'string', pattern: PLAIN_TEXT, maxLength: MAX_USERNAME_LENGTH };
/** RFC 6531: letters beyond ASCII are allowed. */
export const EMAIL = { type: 'string', format: 'idn-email', maxLength: MAX_EMAIL_LENGTH };

export const ACCESS_TOKEN = {
  ...TOKEN,
  description: 'Send it as `Authorization: Bearer …`. It is good for minutes.',
};
export const REFRESH_TOKEN = {
  ...TOKEN,
  description: 'For /refresh and /logout. Absent in cookie mode: then it is in the cookie.',
};
/** The refresh token of a reply to /refresh. */
export const NEXT_REFRESH_TOKEN = {
  ...TOKEN,
  description: 'The one to use from now on, where refresh tokens are replaced.',
};

// Examples of tokens have the form of one, but no key has signed them.
export const ACCESS_EXAMPLE = 'eyJhY2Nlc3M.eyJzdWIi.c2lnbmVk';
export const REFRESH_EXAMPLE = 'eyJyZWZyZXNo.eyJzdWIi.c2lnbmVk';
export const SESSION_EXAMPLE = '0f8fad5b-d9cb-469f-a165-70867728950e';
const PASSWORD_EXAMPLE = 'correct horse';

export const EMAIL_FIELD = {
  ...EMAIL,
  description: 'Trimmed, in lower case.',
  example: 'ada@example.com',
};
export const PASSWORD_FIELD = {
  ...PASSWORD,
  description: `At most ${MAX_PASSWORD_BYTES} bytes of UTF-8; a new one 8 characters or more.`,
  example: PASSWORD_EXAMPLE,
};
export const CONFIRM_PASSWORD_FIELD = {
  ...PASSWORD,
  description: 'The same again.',
  example: PASSWORD_EXAMPLE,
};
export const CURRENT_PASSWORD_FIELD = { ...PASSWORD, example: PASSWORD_EXAMPLE };
export const REFRESH_TOKEN_FIELD = { ...TOKEN, example: REFRESH_EXAMPLE };
