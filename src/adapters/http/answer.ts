import { type Auth, AuthError } from '../../application/index.ts';
import type { Endpoint, Input } from './endpoints.ts';
import { answerTo } from './messages.ts';
import { errorReply, type Reply } from './reply.ts';

/** A request as every host can give it. */
export interface HttpRequest extends Pick<Input, 'address' | 'query' | 'params'> {
  /** All values of the header, joined by commas; undefined where there is none. */
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly userAgent: string | undefined;
  /** Empty where there is none. Undecoded: hosts pass no compressed bodies. */
  readonly body: Uint8Array;
}

/** Bytes; hosts refuse more with status 413. */
export const MAX_BODY_LENGTH = 16 * 1024;

/**
 * Milliseconds in which a request is answered, whatever the parts of the system do: less than the
 * promised 5 s, by what reading the request and sending the reply may take.
 */
const DEADLINE = 4_500;

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
  const { address, query, params, userAgent: device = '' } = request;
  const accessToken = bearerToken(request.authorization);
  return endpoint.handle(auth, { accessToken, device, address, fields, query, params });
}

/**
 * The token of an Authorization header: '' where there is no bearer token ("missing"), and a text
 * that is no token where there is more, or something else, than exactly one ("invalid").
 */
function bearerToken(authorization = ''): string {
  // White space is these two (RFC 9110 §5.6.3): \s would also pass over a no-break space.
  const [, token] = /^[ \t]*bearer +([^\s,]+)[ \t]*$/i.exec(authorization) ?? [];
  if (token !== undefined) return token;
  const alone = /^[ \t]*bearer[ \t]*$/i.test(authorization);
  const among = /(?:^|,)[ \t]*bearer(?=[\s,]|$)/i.test(authorization);
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
