/** Sends a request, as the global `fetch` does. */
export type Send = (url: string, init: RequestInit) => Promise<Response>;

/** A response that was read to its end. */
export interface Received {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Reads the body of a response, or the part of it that matters. */
export type Read = (response: Response) => Promise<string>;

/** No response came, or none in time, or one that is too large. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

const TIMEOUT_MS = 10_000;
const MAX_BODY_BYTES = 1024 * 1024;

/**
 * Sends a request and reads the response, within `timeoutMs` (10 seconds by default).
 * @throws NoAnswer, whose message names the reason
 */
export async function sendRequest(
  send: Send,
  url: string,
  init: RequestInit,
  {
    read = readText,
    timeoutMs = TIMEOUT_MS,
  }: { readonly read?: Read; readonly timeoutMs?: number } = {},
): Promise<Received> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timedOut = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new NoAnswer(`no answer within ${timeoutMs / 1000} s`);
      reject(error);
      controller.abort(error);
    }, timeoutMs);
  });
  const exchange = async (): Promise<Received> => {
    const response = await send(url, { ...init, redirect: 'manual', signal: controller.signal });
    const { status, headers, body } = response;
    if (controller.signal.aborted) await body?.cancel();
    return { status, headers, text: await read(response) };
  };
  try {
    // The race also ends a `send` that ignores the signal.
    return await Promise.race([exchange(), timedOut]);
  } catch (error) {
    throw error instanceof NoAnswer ? error : new NoAnswer(reasonOf(error));
  } finally {
    clearTimeout(timer);
  }
}

/** @throws NoAnswer for more than 1 MiB */
export async function readText({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let [text, length] = ['', 0];
  for await (const part of partsOf(body)) {
    length += part.length;
    if (length > MAX_BODY_BYTES) throw new NoAnswer('more than 1 MiB in an answer');
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}

/** Yields the chunks of a body. Cancels the body when the caller stops iterating. */
export async function* partsOf(body: Response['body']): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Why a request failed. An error of `fetch` has the reason in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { cause } = error;
  if (cause instanceof Error) {
    return 'code' in cause ? String(cause.code) : cause.message;
  }
  return `${error.name}: ${error.message}`;
}

/** The cookies that a response sets, in the form that a client sends back: `name=value`. */
export function cookiesIn({ headers }: Received): string[] {
  return headers.getSetCookie().map((cookie) => cookie.replace(/;.*$/s, ''));
}

export function isJson(headers: Headers): boolean {
  return /^application\/json\b/.test(headers.get('content-type') ?? '');
}

/** How long to wait before a server that did not respond is tried again. */
const RETRY_AFTER_MS = 5_000;

/**
 * Returns a function that rejects if the server does not respond. All cases share one request: the
 * first caller gets an error that names the reason; the others wait for the same request and fail
 * with a short one.
 */
export function reachabilityCheck(base: string, send: Send): () => Promise<void> {
  let [request, expires] = [undefined as Promise<unknown> | undefined, 0];
  return async () => {
    const isFirst = request === undefined || Date.now() > expires;
    if (isFirst) {
      expires = Number.POSITIVE_INFINITY;
      request = sendRequest(send, `${base}/protected`, { method: 'GET' });
    }
    try {
      await request;
    } catch (error) {
      if (isFirst) expires = Date.now() + RETRY_AFTER_MS;
      const why = isFirst && error instanceof NoAnswer ? ` (${error.message})` : '';
      throw errorOfOneLine(isFirst ? `${base} does not answer${why}` : 'not tried: nobody answers');
    }
  };
}

/** An error without a stack, so that a test runner prints its message alone. */
function errorOfOneLine(message: string): Error {
  const error = new Error(message);
  error.stack = message;
  return error;
}
