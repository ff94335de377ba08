import type { IncomingMessage } from 'node:http';

const ids = new WeakMap<IncomingMessage, string>();

/**
 * What a request is called in the log and in its reply: as the application around calls it (`request.id`, where
 * pino-http and others keep it), else, where who sent it is trusted, as its X-Request-Id says, else by an id made here.
 */
export function requestIdOf(
  request: IncomingMessage & { readonly id?: unknown },
  isTrusted: () => boolean,
): string {
  const known = ids.get(request);
  if (known !== undefined) return known;
  const said = request.headers['x-request-id'];
  const id = asId(request.id) ?? (isTrusted() ? asId(said) : undefined) ?? crypto.randomUUID();
  ids.set(request, id);
  return id;
}

/** Undefined where nobody has asked for one. */
export function knownRequestId(request: IncomingMessage): string | undefined {
  return ids.get(request);
}

/** What can be in a header and a line of a log, and means nothing there. */
function asId(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w.:+/=@-]{1,128}$/.test(value) ? value : undefined;
}
