const [QUOTE, COMMA, BACKSLASH] = [0x22, 0x2c, 0x5c];
const [OPEN_LIST, CLOSE_LIST, OPEN, CLOSE] = [0x5b, 0x5d, 0x7b, 0x7d];

const MAX_ELEMENT = 64 * 1024;

/**
 * The elements of a JSON array as they come, so that one of any length can be read in flat memory.
 * @throws SyntaxError where it is none, RangeError for an element of more than 64 KiB
 */
export async function* elementsOf(parts: AsyncIterable<Uint8Array>): AsyncGenerator {
  const decoder = new TextDecoder();
  let [depth, count, element] = [0, 0, ''];
  let [isText, isEscaped, isOver] = [false, false, false];
  for await (const part of parts) {
    const text = decoder.decode(part, { stream: true });
    let start = 0;
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      if (isText) {
        if (isEscaped) isEscaped = false;
        else if (code === BACKSLASH) isEscaped = true;
        else if (code === QUOTE) isText = false;
      } else if (depth === 0) {
        if (isWhite(code)) continue;
        if (code !== OPEN_LIST || isOver) throw noList();
        depth = 1;
        start = i + 1;
      } else if (code === QUOTE) isText = true;
      else if (code === OPEN_LIST || code === OPEN) depth += 1;
      else if (depth === 1 && (code === COMMA || code === CLOSE_LIST)) {
        element += text.slice(start, i);
        start = i + 1;
        isOver = code === CLOSE_LIST;
        if (isOver) depth = 0;
        if (isOver && count === 0 && element.trim() === '') continue;
        yield parseElement(element);
        count += 1;
        element = '';
      } else if (code === CLOSE_LIST || code === CLOSE) {
        depth -= 1;
        if (depth === 0) throw noList();
      }
    }
    if (depth > 0) element += text.slice(start);
    if (element.length > MAX_ELEMENT) throw tooLong();
  }
  if (!isOver) throw noList();
}

/** Of JSON: space, tab, line feed, carriage return. */
function isWhite(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

/** The error of JSON.parse would show what it is about. */
function parseElement(text: string): unknown {
  if (text.length > MAX_ELEMENT) throw tooLong();
  try {
    return JSON.parse(text);
  } catch {
    throw noList();
  }
}

function tooLong(): RangeError {
  return new RangeError('an element of more than 64 KiB');
}

function noList(): SyntaxError {
  return new SyntaxError('no JSON array');
}
