/** JSON, as it is sent, or as a pattern of what must come. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/** A request, and what must come of it. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body, as JSON; or as it is in `text`, with a Content-Type among the headers. */
  readonly json?: Json;
  readonly text?: string;
  readonly answer: ExpectedAnswer;
  /**
   * It only prepares for the rest, or asks whether at all: `answer` is what is promised, but any 2xx will do
   * that has what is kept. Another case is about that answer.
   */
  readonly setUp?: true;
  /**
   * Its answer must be that of the exchange before, header by header but for Date and
   * those of the connection; to HEAD with no body.
   */
  readonly asBefore?: true;
  /** Sent so often at once: one gets `answer`, and each of the others this. */
  readonly race?: { readonly times: number; readonly others: ExpectedAnswer };
  /** What is kept of the body, by the name of its member: a text. */
  readonly keep?: readonly string[];
  /** What its one cookie is kept as, to be sent back: its name and value, as in `a=b`. */
  readonly keepCookie?: string;
}

/** An answer: no other will do. */
export interface ExpectedAnswer {
  readonly status: number;
  /** The whole of the body; absent: there is none. */
  readonly body?: Json;
  /** Patterns of headers, in lower case; null: there must be none of that name. */
  readonly headers?: Readonly<Record<string, string | null>>;
}

/** Something else than an exchange. */
export type Step =
  | Exchange
  /** Whoever runs the contract deletes the user of this email: not by the API. */
  | { readonly deleteUser: string }
  /** The first token must be good for longer than the second. */
  | { readonly outlives: readonly [longer: string, shorter: string] }
  /** What a token says, as patterns. */
  | { readonly token: string; readonly header: Json; readonly payload: Json };

/**
 * One promise, and how to try it. Texts in it, sent and expected, hold names in double braces:
 * - `{{email}}`, `{{email2}}`: addresses that nobody has, other ones at each run; `{{EMAIL}}` the first
 *   in capitals; `{{password}}` one that every policy takes, and that nobody could guess;
 * - `{{base}}`: the path that the endpoints are under, without a slash at its end;
 * - what has been kept, as `{{access_token}}`; `{{unsigned access_token}}` with `alg` none and no
 *   signature, `{{changed access_token}}` with another user in its payload.
 *
 * And in what is expected: `{{integer}}`, `{{string}}`, `{{jwt}}`, `{{date}}`, `{{digits}}`; as the members
 * of a body `{{each}}` and `{{some}}`, what each element of an array, and at least one of them, must be.
 */
export interface ContractCase {
  readonly name: string;
  /** Who says so: the document, or the decisions where it is silent. */
  readonly source: 'document' | 'portcullis';
  /** Only where GET /users is so. */
  readonly usersAccess?: 'public' | 'authenticated' | 'admin' | 'disabled';
  readonly steps: readonly Step[];
}

/** A case as the lists of a source have it. */
export type UnsourcedCase = Omit<ContractCase, 'source'>;

/** A registration that every policy takes. */
export const REGISTRATION = {
  username: 'Ada',
  email: '{{email}}',
  password: '{{password}}',
  confirm_password: '{{password}}',
};
export const CREDENTIALS = { email: '{{email}}', password: '{{password}}' };

export const TOKENS = { access_token: '{{jwt}}', refresh_token: '{{jwt}}' };
export const CREATED = { status: 201, body: { message: 'User created successfully', ...TOKENS } };
export const TAKEN = say(400, 'Email already registered. Please try with different email.');
export const USER = {
  id: '{{integer}}',
  username: 'Ada',
  email: '{{email}}',
  date_created: '{{date}}',
};
export const LISTED = { password: '{{string}}', confirm_password: '{{string}}' };

export function say(
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

export const register = settingUp(
  post('/register', REGISTRATION, CREATED, ['access_token', 'refresh_token']),
);
export const hello = say(200, 'Hello, Ada. This is a protected route.');

export function settingUp(exchange: Exchange): Exchange {
  return { ...exchange, setUp: true };
}

/** The same without one member. */
export function without(json: Readonly<Record<string, string>>, name: string): Json {
  return Object.fromEntries(Object.entries(json).filter(([each]) => each !== name));
}

/** A registration with some of its fields as given, and what is said to it. */
export function registering(
  fields: Readonly<Record<string, Json>>,
  answer: ExpectedAnswer,
): Exchange {
  return post('/register', { ...REGISTRATION, ...fields }, answer);
}
