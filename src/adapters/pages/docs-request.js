/** Sends the requests of the forms, formats the replies, and writes the same request for curl. */

/**
 * @typedef {{ method: string, url: string, headers: Readonly<Record<string, string>>,
 *   body: string | undefined }} ApiRequest
 * @typedef {{ ok: boolean, line: string, text: string, json: unknown }} Reply
 */

/** Characters of a reply to show: a list of users may have any length. */
const MAX_SHOWN_LENGTH = 20_000;

/**
 * Sends a request. Never rejects: without a response, `line` says that there was none.
 * @param {ApiRequest} request
 * @returns {Promise<Reply>}
 */
export async function send({ method, url, headers, body }) {
  const started = performance.now();
  try {
    const reply = await fetch(url, { method, headers, body: body ?? null, cache: 'no-store' });
    const text = await reply.text();
    const ms = Math.round(performance.now() - started);
    const retryAfter = reply.headers.get('retry-after');
    const words = [`${reply.status} ${reply.statusText}`.trim(), `${ms} ms`];
    if (retryAfter !== null) words.push(`again in ${retryAfter} s`);
    return { ok: reply.ok, line: words.join(', '), text, json: parse(text) };
  } catch {
    const line = 'No answer: the service cannot be reached';
    return { ok: false, line, text: '', json: undefined };
  }
}

/**
 * @param {string} text
 * @returns {unknown}
 */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {Reply} reply */
export function textOf({ json, text }) {
  const whole = json === undefined ? text : JSON.stringify(json, undefined, 2);
  return whole.length > MAX_SHOWN_LENGTH
    ? `${whole.slice(0, MAX_SHOWN_LENGTH)}\n… and more`
    : whole;
}

/**
 * The curl command of a request, for a POSIX shell.
 * @param {ApiRequest} request
 */
export function curlOf({ method, url, headers, body }) {
  const words = [`curl -X ${method} ${quoteForShell(url)}`];
  for (const [name, value] of Object.entries(headers))
    words.push(`-H ${quoteForShell(`${name}: ${value}`)}`);
  if (body !== undefined) words.push(`-d ${quoteForShell(body)}`);
  return words.join(' \\\n  ');
}

/** @param {string} text */
function quoteForShell(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
