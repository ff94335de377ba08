import type { Input } from '../contract/endpoint.ts';
import { MALFORMED_JSON, type TextReply, UNSUPPORTED_TYPE } from '../contract/reply.ts';

/** A request as each host makes it. Endpoints see the same object, as an `Input`. */
export interface HttpRequest extends Input {
  readonly method: string;
  /** The Host header: which server the client means. */
  readonly host: string | undefined;
  /** The id of the request in the log and in its reply, made when it is first read. */
  readonly id?: string;
  /** Empty if there is none. Undecoded: hosts refuse compressed bodies. */
  readonly body: Uint8Array | ParsedBody;
  /** Set by `respond`, before the endpoint sees the request. */
  fields: Input['fields'];
  /** Set by `respond`, before the endpoint sees the request. */
  hasRefreshCookie: boolean;
}

/** A body that the application in front of the host has read. */
export interface ParsedBody {
  readonly value: unknown;
}

export const NO_BODY = new Uint8Array();
export const NO_FIELDS: Input['fields'] = {};

/**
 * The token of an Authorization header: '' where there is no bearer token ("missing"), and a text
 * that is no token where there is more, or something else, than exactly one ("invalid").
 */
export function bearerToken(authorization = ''): string {
  // White space is these two (RFC 9110 §5.6.3): \s would also match a no-break space.
  const [, token] = /^[ \t]*bearer +([^\s,]+)[ \t]*$/i.exec(authorization) ?? [];
  if (token !== undefined) return token;
  const isAlone = /^[ \t]*bearer[ \t]*$/i.test(authorization);
  const isAmongOthers = /(?:^|,)[ \t]*bearer(?=[\s,]|$)/i.test(authorization);
  return isAmongOthers && !isAlone ? 'not one token' : '';
}

/** The JSON of a body, or the reply that refuses it. An absent body is `undefined`. */
export function readJson(request: HttpRequest): ParsedBody | TextReply {
  const { body } = request;
  if (body instanceof Uint8Array && body.length === 0) return { value: undefined };
  if (!isJson(request.header('content-type'))) return UNSUPPORTED_TYPE;
  if (!(body instanceof Uint8Array)) return body;
  return parseJson(body) ?? MALFORMED_JSON;
}

/** JSON is UTF-8 (RFC 8259 §8.1): a charset that says otherwise makes it another type. */
function isJson(contentType = ''): boolean {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  return (
    type.trim() === 'application/json' &&
    parameters.every((parameter) => !/^\s*charset\b(?!="?utf-?8"?\s*$)/.test(parameter))
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Undefined when the bytes are not UTF-8 or the text is not JSON. */
function parseJson(bytes: Uint8Array): ParsedBody | undefined {
  try {
    return { value: JSON.parse(utf8.decode(bytes)) };
  } catch {
    return undefined;
  }
}

/** The string members of these names: '', which counts as missing, for one that is not there. */
export function fieldsIn(json: unknown, names: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const name of names) fields[name] = stringIn(json, name);
  return fields;
}

function stringIn(json: unknown, name: string): string {
  if (typeof json !== 'object' || json === null || !Object.hasOwn(json, name)) return '';
  const value: unknown = Reflect.get(json, name);
  return typeof value === 'string' ? value : '';
}
