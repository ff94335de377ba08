/** How a request leaves and its answer comes back. */
export type Send = (url: string, init: RequestInit) => Promise<Response>;

/** The whole of an answer. */
export interface Received {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Reads a body to its end, or as far as need be. */
export type Read = (response: Response) => Promise<string>;

/** Nobody has answered, or not in time; or with more than can be an answer. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/** Milliseconds for an exchange. */
const TIMEOUT = 10_000;
const MAX_LENGTH = 1024 * 1024;

/**
 * Sends a request and reads its answer, within ten seconds or as many milliseconds as are given.
 * @throws NoAnswer with a word on why
 */
export async function ask(
  send: Send,
  url: string,
  init: RequestInit,
  { read = readText, timeout = TIMEOUT }: { readonly read?: Read; readonly timeout?: number } = {},
): Promise<Received> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new NoAnswer(`no answer within ${timeout / 1000} s`);
      reject(error);
      controller.abort(error);
    }, timeout);
  });
  const exchange = async (): Promise<Received> => {
    const response = await send(url, { ...init, redirect: 'manual', signal: controller.signal });
    const { status, headers, body } = response;
    if (controller.signal.aborted) await body?.cancel();
    return { status, headers, text: await read(response) };
  };
  try {
    // Who heeds no signal is not waited for either.
    return await Promise.race([exchange(), late]);
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
    if (length > MAX_LENGTH) throw new NoAnswer('more than 1 MiB in an answer');
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}

/** A body in parts; whoever takes no more ends it. */
export async function* partsOf(body: Response['body']): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** What fetch says is wrong stands in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { cause } = error;
  if (cause instanceof Error) {
    return 'code' in cause ? String(cause.code) : cause.message;
  }
  return `${error.name}: ${error.message}`;
}

/** Milliseconds: for so long a server that did not answer is not asked again. */
const DOWN = 5_000;

/**
 * Asks a server, once for all cases, whether it is there. It is said in one line, to who asks first; the
 * others fail without a word on it, and without waiting.
 */
export function reacher(base: string, send: Send): () => Promise<void> {
  let [asked, until] = [undefined as Promise<unknown> | undefined, 0];
  return async () => {
    const isFirst = asked === undefined || Date.now() > until;
    if (isFirst) {
      until = Number.POSITIVE_INFINITY;
      asked = ask(send, `${base}/protected`, { method: 'GET' });
    }
    try {
      await asked;
    } catch (error) {
      if (isFirst) until = Date.now() + DOWN;
      const why = isFirst && error instanceof NoAnswer ? ` (${error.message})` : '';
      throw line(isFirst ? `${base} does not answer${why}` : 'not tried: nobody answers');
    }
  };
}

/** An error whose stack says no more than its message. */
function line(message: string): Error {
  const error = new Error(message);
  error.stack = message;
  return error;
}
