const [QUOTE, COMMA, BACKSLASH] = [0x22, 0x2c, 0x5c];
const [OPEN_LIST, CLOSE_LIST, OPEN, CLOSE] = [0x5b, 0x5d, 0x7b, 0x7d];

/** In UTF-16 code units. */
const MAX_ELEMENT_LENGTH = 64 * 1024;

/**
 * Yields the elements of a JSON array while it arrives, so that a list of any length takes little
 * memory.
 * @throws SyntaxError if the text is no JSON array, RangeError for an element of more than 64 KiB
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
        if (isWhiteSpace(code)) continue;
        if (code !== OPEN_LIST || isOver) throw notAnArray();
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
        if (depth === 0) throw notAnArray();
      }
    }
    if (depth > 0) element += text.slice(start);
    if (element.length > MAX_ELEMENT_LENGTH) throw tooLong();
  }
  if (!isOver) throw notAnArray();
}

/** The white space of JSON: space, tab, line feed, carriage return. */
function isWhiteSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

/** Hides the error of JSON.parse, which quotes the text: it may hold a secret. */
function parseElement(text: string): unknown {
  if (text.length > MAX_ELEMENT_LENGTH) throw tooLong();
  try {
    return JSON.parse(text);
  } catch {
    throw notAnArray();
  }
}

function tooLong(): RangeError {
  return new RangeError('an element of more than 64 KiB');
}

function notAnArray(): SyntaxError {
  return new SyntaxError('no JSON array');
}
