import { MAX_PASSWORD_BYTES, MAX_USERNAME_LENGTH } from '../../../domain/credentials.ts';
import { AuthError, type AuthErrorCode } from '../../../domain/errors.ts';
import { mapError } from '../contract/messages.ts';
import type { DescribedEndpoint } from '../contract/endpoints.ts';
import { closed, type Part, refTo } from '../contract/schemas.ts';
import {
  BAD_REQUEST,
  UNSUPPORTED_ENCODING,
  CROSS_ORIGIN,
  errorReply,
  FAILURE,
  HEADERS_TOO_LARGE,
  INCOMPLETE_BODY,
  INVALID_MODE,
  REQUEST_TIMEOUT,
  MALFORMED_JSON,
  NOT_FOUND,
  UNSUPPORTED_TYPE,
  notAllowed,
  type TextReply,
  BODY_TOO_LARGE,
  EXPECTATION_FAILED,
} from '../contract/reply.ts';

/** The bounds in the examples of messages that name one. Of a policy's bound it is the default. */
const LIMITS: Partial<Record<AuthErrorCode, number>> = {
  username_too_long: MAX_USERNAME_LENGTH,
  password_too_short: 8,
  password_too_long: MAX_PASSWORD_BYTES,
  invalid_limit: 10_000,
  too_many_attempts: 30,
};

/** A reply that is no success, with the name of its example. */
interface Refusal {
  readonly name: string;
  readonly reply: TextReply;
  /** A pattern of the message, if that names a bound. */
  readonly pattern?: string;
}

const BEARER: readonly AuthErrorCode[] = [
  'missing_access_token',
  'invalid_access_token',
  'user_not_found',
];

/** The replies of the server itself, whatever the endpoint. */
const SERVER_REPLIES: Readonly<Record<string, TextReply>> = {
  bad_request: BAD_REQUEST,
  request_timeout: REQUEST_TIMEOUT,
  expectation_failed: EXPECTATION_FAILED,
  headers_too_large: HEADERS_TOO_LARGE,
};
const BODY_REPLIES: Readonly<Record<string, TextReply>> = {
  incomplete_body: INCOMPLETE_BODY,
  malformed_json: MALFORMED_JSON,
  body_too_large: BODY_TOO_LARGE,
  compressed_body: UNSUPPORTED_ENCODING,
  no_json: UNSUPPORTED_TYPE,
};
const COOKIE_MODE_REPLIES: Readonly<Record<string, TextReply>> = {
  invalid_mode: INVALID_MODE,
  cross_origin: CROSS_ORIGIN,
};

const STATUS: Readonly<Record<string, string>> = {
  400: 'The request cannot be accepted.',
  401: 'What should prove the user does not.',
  403: 'A page of another origin asks, or a user who lacks the role.',
  404: 'What is asked for is not there.',
  405: 'The path has other methods, which `Allow` names.',
  408: 'The request took more than 15 s to arrive, or its headers more than 10 s.',
  413: 'The body is larger than 16 KiB.',
  415: 'The body is not plain JSON in UTF-8.',
  417: 'An `Expect` header asks for more than there is.',
  429: 'Too many attempts: wait for `Retry-After`.',
  431: 'There are more than 100 headers, or more than 16 KiB of them.',
  500: 'A part of the system has failed.',
  503: 'The service cannot do it for now.',
};

/** Whether a refresh token is sent: in cookie mode it is the cookie's. */
export function takesRefreshToken({ fields = [], refreshCookie }: DescribedEndpoint): boolean {
  return refreshCookie !== undefined && fields.includes('refresh_token');
}

/** Responses that many endpoints share, and those of unknown paths and methods. */
export function sharedResponses(): Part {
  const failure = errorReply(500, FAILURE, REQUEST_ID);
  return {
    NotFound: responseOf('404', [{ name: 'unknown_path', reply: NOT_FOUND }]),
    MethodNotAllowed: responseOf('405', [{ name: 'other_method', reply: notAllowed('GET') }]),
    Unauthorized: responseOf('401', BEARER.slice(0, 2).map(refusalOf)),
    UserNotFound: responseOf('404', [refusalOf('user_not_found')]),
    CrossOrigin: responseOf('403', named({ cross_origin: CROSS_ORIGIN })),
    BadRequest: responseOf('400', named({ bad_request: BAD_REQUEST })),
    RequestTimeout: responseOf('408', named({ request_timeout: REQUEST_TIMEOUT })),
    BodyTooLarge: responseOf('413', named({ body_too_large: BODY_TOO_LARGE })),
    NoJson: responseOf(
      '415',
      named({ compressed_body: UNSUPPORTED_ENCODING, no_json: UNSUPPORTED_TYPE }),
    ),
    ExpectationFailed: responseOf('417', named({ expectation_failed: EXPECTATION_FAILED })),
    TooManyAttempts: responseOf('429', [refusalOf('too_many_attempts')]),
    HeadersTooLarge: responseOf('431', named({ headers_too_large: HEADERS_TOO_LARGE })),
    Failure: responseOf('500', named({ failure })),
    ServiceBusy: responseOf('503', [refusalOf('service_busy')]),
  };
}

function named(replies: Readonly<Record<string, TextReply>>): Refusal[] {
  return Object.entries(replies).map(([name, reply]) => ({ name, reply }));
}

/** The responses of an endpoint that are no success, by their status. */
export function refusalsOf(endpoint: DescribedEndpoint): Part {
  const { bearer, fields, refreshCookie, failure, definition } = endpoint;
  const codes = new Set([
    ...(bearer ? BEARER : []),
    ...definition.refusals,
    ...(bearer === 'admin' ? (['insufficient_role'] as const) : []),
  ]);
  const all = [
    ...[...codes].map(refusalOf),
    ...named(definition.replies ?? {}),
    ...(fields ? named(BODY_REPLIES) : []),
    ...(refreshCookie ? named(COOKIE_MODE_REPLIES) : []),
    ...named(SERVER_REPLIES),
    ...named({ failure: errorReply(500, failure, REQUEST_ID) }),
  ];
  const byStatus = new Map<string, Refusal[]>();
  for (const refusal of all) {
    const status = String(refusal.reply.status);
    byStatus.set(status, [...(byStatus.get(status) ?? []), refusal]);
  }
  const shared = Object.entries(sharedResponses()).map(
    ([name, response]) => [JSON.stringify(response), name] as const,
  );
  const names = new Map(shared);
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => {
      // A cookie whose token can never be used again is removed.
      const setsCookie = takesRefreshToken(endpoint) && ['401', '404'].includes(status);
      const response = responseOf(status, some, setsCookie);
      const name = names.get(JSON.stringify(response));
      return [status, name === undefined ? response : refTo('responses', name)];
    }),
  );
}

function refusalOf(code: AuthErrorCode): Refusal {
  const { status, message, headers } = mapError(new AuthError(code, LIMITS[code]));
  const general = mapError(new AuthError(code, Number.NaN)).message;
  const reply = errorReply(status, message, headers);
  if (!general.includes('NaN')) return { name: code, reply };
  return { name: code, reply, pattern: `^${general.replace('NaN', '\\d+')}$` };
}

function responseOf(status: string, refusals: readonly Refusal[], setsCookie = false): Part {
  const messages = refusals.filter(({ pattern }) => pattern === undefined).map(messageOf);
  const patterns = refusals.flatMap(({ pattern }) => pattern ?? []);
  const choices: Part[] = patterns.map((pattern) => ({
    type: 'string',
    pattern,
    maxLength: 255,
  }));
  if (messages.length > 0) {
    choices.unshift({
      type: 'string',
      enum: [...new Set(messages)],
    });
  }
  const message = choices.length === 1 ? choices[0] : { anyOf: choices };
  return {
    description: STATUS[status],
    headers: {
      'Cache-Control': refTo('headers', 'NoStore'),
      ...headersOf(refusals),
      ...(setsCookie && { 'Set-Cookie': refTo('headers', 'SetCookie') }),
    },
    content: {
      'application/json': {
        schema: closed({ message }),
        examples: Object.fromEntries(
          refusals.map((each) => [each.name, { value: { message: messageOf(each) } }] as const),
        ),
      },
    },
  };
}

function messageOf({ reply }: Refusal): unknown {
  const body: unknown = JSON.parse(reply.body);
  return typeof body === 'object' && body !== null ? Reflect.get(body, 'message') : undefined;
}

/** Example headers of a 500 reply. */
const REQUEST_ID = { 'X-Request-Id': '0f8fad5b-d9cb-469f-a165-70867728950e' };

const SCHEMA_OF_HEADER: Readonly<Record<string, Part>> = {
  'Retry-After': { type: 'integer', format: 'int32', minimum: 1, maximum: 86_400 },
  'X-Request-Id': { type: 'string', pattern: '^[\\w.:+/=@-]+$', maxLength: 128 },
  Allow: { type: 'string', pattern: '^[A-Z]+(?:, [A-Z]+)*$', maxLength: 255 },
};
const MEANING_OF_HEADER: Readonly<Record<string, string>> = {
  'Retry-After': 'Seconds to wait.',
  Allow: 'The methods that there are.',
  'X-Request-Id': 'What the request is called in the log of the service.',
  'WWW-Authenticate': 'The challenge of RFC 6750, with `error` where a token was sent.',
};

/** The headers that these refusals have besides those of every reply. */
function headersOf(refusals: readonly Refusal[]): Part {
  const found: Record<string, Part> = {};
  for (const [name, description] of Object.entries(MEANING_OF_HEADER)) {
    const values = refusals.flatMap(({ reply }) => reply.headers[name] ?? []);
    if (values.length === 0) continue;
    const schema = SCHEMA_OF_HEADER[name] ?? { type: 'string', enum: [...new Set(values)] };
    found[name] = {
      description,
      required: values.length === refusals.length && name !== 'X-Request-Id',
      schema,
    };
  }
  return found;
}
