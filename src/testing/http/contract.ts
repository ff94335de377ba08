/** A JSON value to send, or the pattern of one that is expected. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/** A request and its expected response. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body, sent as JSON. A raw body is in `text`, and its Content-Type in `headers`. */
  readonly json?: Json;
  readonly text?: string;
  readonly answer: ExpectedAnswer;
  /**
   * The exchange only prepares the case. `answer` is the documented response, but any 2xx that has
   * the members of `keep` will do: other cases test that response.
   */
  readonly setUp?: true;
  /**
   * The response must equal the previous one, except for Date and the headers of the connection.
   * The response to HEAD has no body.
   */
  readonly asBefore?: true;
  /** Sends the request `times` times at once. One response must be `answer`, the rest `others`. */
  readonly race?: { readonly times: number; readonly others: ExpectedAnswer };
  /** The string members of the body to keep, as values for the steps that follow. */
  readonly keep?: readonly string[];
  /** The name under which to keep the one cookie of the response, as `name=value`. */
  readonly keepCookie?: string;
}

/** The only response that is right. */
export interface ExpectedAnswer {
  readonly status: number;
  /** The pattern of the whole body. If absent, there must be no body. */
  readonly body?: Json;
  /** Patterns of headers, by lower-case name. Null: the response must not have this header. */
  readonly headers?: Readonly<Record<string, string | null>>;
}

/** One step of a case. */
export type Step =
  | Exchange
  /** The runner deletes the user with this email, without the API. */
  | { readonly deleteUser: string }
  /** The first token must expire later than the second. */
  | { readonly outlives: readonly [longer: string, shorter: string] }
  /** The patterns of a token's header and payload. */
  | { readonly token: string; readonly header: Json; readonly payload: Json };

/**
 * One promise, and the steps that test it. The runner replaces names in double braces, in requests
 * and in expected responses:
 * - `{{email}}`, `{{email2}}`: unused addresses, new in each run;
 * - `{{EMAIL}}`: the first address in capitals;
 * - `{{password}}`: a random password that every policy accepts;
 * - `{{base}}`: the path of the base URL, without a slash at its end;
 * - `{{access_token}}` and the like: a value that an earlier step kept;
 * - `{{unsigned access_token}}`: that token with `alg` none and no signature;
 * - `{{changed access_token}}`: that token with another user in its payload.
 *
 * Only expected responses contain `{{integer}}`, `{{string}}`, `{{jwt}}`, `{{date}}` and
 * `{{digits}}`. A body of any length is an object with the members `{{each}}`, the pattern of every
 * element, and `{{some}}`, that of at least one.
 */
export interface ContractCase {
  readonly name: string;
  /** Whether the document promises this, or Portcullis where the document is silent. */
  readonly source: 'document' | 'portcullis';
  /** The case applies only to servers with this access to GET /users. Absent: to all. */
  readonly usersAccess?: 'public' | 'authenticated' | 'admin' | 'disabled';
  readonly steps: readonly Step[];
}

/** A case in one of the lists below, which all have the same source. */
export type UnsourcedCase = Omit<ContractCase, 'source'>;

/** A registration that every policy accepts. */
export const REGISTRATION = {
  username: 'Ada',
  email: '{{email}}',
  password: '{{password}}',
  confirm_password: '{{password}}',
};
export const CREDENTIALS = { email: '{{email}}', password: '{{password}}' };

export const TOKENS = { access_token: '{{jwt}}', refresh_token: '{{jwt}}' };
export const CREATED = { status: 201, body: { message: 'User created successfully', ...TOKENS } };
export const EMAIL_TAKEN = messageReply(
  400,
  'Email already registered. Please try with different email.',
);
export const USER = {
  id: '{{integer}}',
  username: 'Ada',
  email: '{{email}}',
  date_created: '{{date}}',
};
/** The fields that a listed user has besides those of `USER`. */
export const LISTED_PASSWORDS = { password: '{{string}}', confirm_password: '{{string}}' };

/** A response whose body is a message alone. */
export function messageReply(
  status: number,
  message: string,
  headers?: ExpectedAnswer['headers'],
): ExpectedAnswer {
  return { status, body: { message }, ...(headers && { headers }) };
}

export function post(
  path: string,
  json: Json,
  answer: ExpectedAnswer,
  keep: readonly string[] = [],
): Exchange {
  return { method: 'POST', path, json, answer, keep };
}

export function get(path: string, answer: ExpectedAnswer, authorization?: string): Exchange {
  const headers = authorization === undefined ? {} : { authorization };
  return { method: 'GET', path, headers, answer };
}

export const register = asSetUp(
  post('/register', REGISTRATION, CREATED, ['access_token', 'refresh_token']),
);
export const HELLO = messageReply(200, 'Hello, Ada. This is a protected route.');

/** The exchange as a preparation: see `Exchange.setUp`. */
export function asSetUp(exchange: Exchange): Exchange {
  return { ...exchange, setUp: true };
}

/** A copy without one member. */
export function without(json: Readonly<Record<string, string>>, name: string): Json {
  return Object.fromEntries(Object.entries(json).filter(([each]) => each !== name));
}

/** A registration with these fields changed, and its expected response. */
export function registerWith(
  fields: Readonly<Record<string, Json>>,
  answer: ExpectedAnswer,
): Exchange {
  return post('/register', { ...REGISTRATION, ...fields }, answer);
}
