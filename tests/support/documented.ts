import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { endpoints } from '../../src/adapters/http/contract/endpoints.ts';
import { openApi } from '../../src/adapters/http/openapi/document.ts';
import { NOT_FOUND } from '../../src/adapters/http/contract/reply.ts';
import { routesOf } from '../../src/adapters/http/hosts/routes.ts';
import { EVERYTHING } from '../../tools/openapi-record.ts';

// Holds every answer that a test sees to the OpenAPI document: status, headers and body.

/** All endpoints that there can be, each with all that it can answer. */
const TABLE = endpoints({ usersAccess: 'admin', ...EVERYTHING });
const DOCUMENT = openApi(TABLE, { mount: '' });
const find = routesOf(TABLE);

/** Endpoints that a setting takes away, or an option does not bring: then nothing is there. */
const REMOVABLE: readonly (string | undefined)[] = [
  '/users',
  '/.well-known/jwks.json',
  '/health/live',
  '/health/ready',
];

/** Headers that every reply of HTTP, of a browser's API, and of this service can have. */
const GENERAL: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'connection',
  'content-length',
  'content-security-policy',
  'content-type',
  'date',
  'keep-alive',
  'referrer-policy',
  'transfer-encoding',
  'vary',
  'x-content-type-options',
  'x-request-id',
]);

export interface Exchange {
  readonly method: string;
  /** Of the endpoint, without what it is mounted under, and without a query. */
  readonly path: string;
  readonly sent: Headers;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

const ID = 'urn:portcullis:openapi';
const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true });
formats.default(ajv);
ajv.addFormat('jwt', true); // Its pattern says more.
ajv.addFormat('idn-email', /^[^@\s]+@[^@\s]+\.[^@\s]+$/);
ajv.addVocabulary(['openapi', 'info', 'servers', 'tags', 'paths', 'components']);
ajv.addSchema({ ...DOCUMENT, $id: ID });
const compiled = new Map<string, ValidateFunction>();

let checked = 0;

/** How many answers have been held to the document so far. */
export function checkedAnswers(): number {
  return checked;
}

/** @throws Error naming everything in which the answer is not as documented */
export function assertDocumented(exchange: Exchange): void {
  const { method, path, status, text } = exchange;
  const faults = faultsOf(exchange);
  if (faults.length === 0) return;
  const said = `${status} ${text.slice(0, 300)}`;
  throw new Error(`${method} ${path} is not as documented: ${faults.join('; ')}: ${said}`);
}

/** A path as it is sent to a URL, without what all paths there have in front. */
export function pathAt(base: string, url: string): string {
  return new URL(url).pathname.slice(new URL(base).pathname.replace(/\/$/, '').length);
}

/** `fetch` for the endpoints at a URL, which rejects where an answer is not as documented. */
export function documentedFetch(base: string): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const { method, url, headers: sent } = request;
    const response = await fetch(request);
    const { status, headers } = response;
    const text = await response.clone().text();
    assertDocumented({ method, path: pathAt(base, url), sent, status, headers, text });
    return response;
  };
}

/** Answers of paths that no endpoint has are somebody else's: there is nothing to hold them to. */
export function faultsOf(exchange: Exchange): readonly string[] {
  const route = find(exchange.path);
  if (route === undefined || isPage(exchange)) return [];
  checked += 1;
  const { status, text } = exchange;
  const method = exchange.method === 'HEAD' ? 'GET' : exchange.method;
  const endpoint = route.endpoints.get(method);
  if (endpoint === undefined) {
    if (method === 'OPTIONS' && status === 204) return text === '' ? [] : ['a body'];
    const isNone = status === 404 && REMOVABLE.includes([...route.endpoints.values()][0]?.path);
    return responseFaults(['components', 'responses', isNone ? 'NotFound' : 'MethodNotAllowed'], {
      ...exchange,
      expected: isNone ? 404 : 405,
    });
  }
  const isNone = REMOVABLE.includes(endpoint.path) && text === NOT_FOUND.body;
  const responses = ['paths', endpoint.path, method.toLowerCase(), 'responses'];
  const place = isNone ? ['components', 'responses', 'NotFound'] : [...responses, String(status)];
  if (isNone ? status !== 404 : at(place) === undefined) return [`status ${status}`];
  const faults = responseFaults(place, exchange);
  if (faults.length > 0 || !['/register', '/login'].includes(endpoint.path)) return faults;
  const isByCookie = exchange.sent.get('refresh-token-mode') === 'cookie';
  const hasToken = status < 300 && text.includes('"refresh_token":');
  const hasCookie = refreshCookies(exchange.headers).length > 0;
  if (hasCookie !== (isByCookie && status < 300)) return ['a cookie, or none'];
  return hasToken === (!isByCookie && status < 300) ? [] : ['a refresh token, or none'];
}

/** The service has a page at one path of an endpoint, for who asks for `text/html`. */
function isPage({ path, sent, headers }: Exchange): boolean {
  const isHtml = headers.get('content-type')?.startsWith('text/html') ?? false;
  return path === '/account' && isHtml && /text\/html/i.test(sent.get('accept') ?? '');
}

function responseFaults(
  place: readonly string[],
  { method, status, headers, text, expected = status }: Exchange & { readonly expected?: number },
): string[] {
  if (status !== expected) return [`status ${status}, not ${expected}`];
  const [found, response] = resolved(place);
  const faults: string[] = [];
  const documented = new Set<string>();
  for (const name of Object.keys(member(response, 'headers') ?? {})) {
    documented.add(name.toLowerCase());
    const [where, header] = resolved([...found, 'headers', name]);
    // Others that stand beside ours are those of an application.
    const cookies = name === 'Set-Cookie' ? refreshCookies(headers) : undefined;
    const value = cookies === undefined ? headers.get(name) : (cookies[0] ?? null);
    if (cookies !== undefined && cookies.length > 1) faults.push('more than one of our cookies');
    if (value === null) {
      if (member(header, 'required') === true) faults.push(`no header ${name}`);
      continue;
    }
    const schema = [...where, 'schema'];
    const isNumber = at([...schema, 'type']) === 'integer';
    faults.push(...schemaFaults(schema, isNumber ? Number(value) : value, `header ${name}`));
  }
  if (!documented.has('set-cookie') && refreshCookies(headers).length > 0)
    faults.push('our cookie');
  for (const name of headers.keys()) {
    if (name === 'set-cookie') continue;
    if (!GENERAL.has(name) && !documented.has(name)) faults.push(`the header ${name}`);
  }
  const content = member(response, 'content');
  if (content === undefined || method === 'HEAD') {
    if (text !== '') faults.push('a body');
    if (content === undefined) return faults;
  }
  const type = headers.get('content-type') ?? 'none';
  if (type !== 'application/json; charset=utf-8') faults.push(`the type ${type}`);
  if (method === 'HEAD') return faults;
  const json = parse(text);
  if (json === undefined) return [...faults, 'no JSON'];
  const schema = [...found, 'content', 'application/json', 'schema'];
  return [...faults, ...schemaFaults(schema, json, 'body')];
}

function refreshCookies(headers: Headers): readonly string[] {
  return headers.getSetCookie().filter((cookie) => cookie.includes('portcullis_refresh_token='));
}

function schemaFaults(place: readonly string[], value: unknown, what: string): string[] {
  const pointer = place.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
  let validate = compiled.get(pointer);
  if (validate === undefined) {
    validate = ajv.compile({ $ref: `${ID}#/${encodeURI(pointer)}` });
    compiled.set(pointer, validate);
  }
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message = '' }) =>
    `${what}${instancePath} ${message}`.trim(),
  );
}

/** What is at a place of the document, or where a reference there leads to, with its place. */
function resolved(place: readonly string[]): [place: readonly string[], found: unknown] {
  const found = at(place);
  const reference = member(found, '$ref');
  if (typeof reference !== 'string') return [place, found];
  return resolved(reference.slice(2).split('/'));
}

function at(place: readonly string[]): unknown {
  return place.reduce<unknown>((part, name) => member(part, name), DOCUMENT);
}

function member(value: unknown, name: string): unknown {
  const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  return isThere ? Reflect.get(value, name) : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
