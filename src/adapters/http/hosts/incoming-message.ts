import type { IncomingMessage } from 'node:http';

/**
 * All values of a header. The name is in lower case. `headers` has the first value of some headers and
 * drops the others; `headersDistinct` makes an object of all headers to find one.
 */
export function rawValues({ rawHeaders }: IncomingMessage, name: string): readonly string[] {
  const values: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] ?? '';
    if (given.length !== name.length || given.toLowerCase() !== name) continue;
    values.push(rawHeaders[i + 1] ?? '');
  }
  return values;
}

/** All values of a header, joined by commas. Undefined if there is none. */
export function joinedValues(message: IncomingMessage, name: string): string | undefined {
  const [first, ...others] = rawValues(message, name);
  return others.length > 0 ? [first, ...others].join(', ') : first;
}

const ids = new WeakMap<IncomingMessage, string>();

/**
 * The id of a request in the log and in its reply. It is the one that the application has given it
 * (`request.id`, where pino-http and others keep it), or else the X-Request-Id of a trusted sender, or
 * else a new one.
 */
export function requestIdOf(
  request: IncomingMessage & { readonly id?: unknown },
  isTrusted: () => boolean,
): string {
  const known = ids.get(request);
  if (known !== undefined) return known;
  const sent = request.headers['x-request-id'];
  const id = asId(request.id) ?? (isTrusted() ? asId(sent) : undefined) ?? crypto.randomUUID();
  ids.set(request, id);
  return id;
}

/** The id of a request. Undefined if nobody has called `requestIdOf` for it. */
export function knownRequestId(request: IncomingMessage): string | undefined {
  return ids.get(request);
}

/** Accepts only what has no special meaning in a header or in a line of a log. */
function asId(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w.:+/=@-]{1,128}$/.test(value) ? value : undefined;
}
