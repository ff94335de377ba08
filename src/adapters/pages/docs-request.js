/** A request that is tried: sent, shown as curl would send it, and its reply made readable. */

/**
 * @typedef {{ method: string, url: string, headers: Readonly<Record<string, string>>,
 *   body: string | undefined }} Tried
 * @typedef {{ ok: boolean, line: string, text: string, json: unknown }} Reply
 */

/** Characters of a reply that are shown: a list of users may have any length. */
const SHOWN = 20_000;

/**
 * Always an answer, if only a word on why there is none.
 * @param {Tried} tried
 * @returns {Promise<Reply>}
 */
export async function send({ method, url, headers, body }) {
  const started = performance.now();
  try {
    const reply = await fetch(url, { method, headers, body: body ?? null, cache: 'no-store' });
    const text = await reply.text();
    const ms = Math.round(performance.now() - started);
    const wait = reply.headers.get('retry-after');
    const words = [`${reply.status} ${reply.statusText}`.trim(), `${ms} ms`];
    if (wait !== null) words.push(`again in ${wait} s`);
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
  return whole.length > SHOWN ? `${whole.slice(0, SHOWN)}\n… and more` : whole;
}

/**
 * For a POSIX shell.
 * @param {Tried} tried
 */
export function curlOf({ method, url, headers, body }) {
  const words = [`curl -X ${method} ${quoted(url)}`];
  for (const [name, value] of Object.entries(headers))
    words.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== undefined) words.push(`-d ${quoted(body)}`);
  return words.join(' \\\n  ');
}

/** @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
