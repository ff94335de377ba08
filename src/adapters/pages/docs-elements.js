/** Creates elements from the texts of a document: always as text, never as HTML. */

/**
 * Creates an element.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Readonly<Record<string, string>>} attributes
 * @param {readonly (Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function make(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/**
 * Paragraphs, divided by blank lines. Text in backticks becomes `code` elements.
 * @param {string} text
 */
export function prose(text) {
  return text.split('\n\n').map((paragraph) => make('p', {}, ...withCode(paragraph)));
}

/**
 * The text, with parts in backticks as `code` elements.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function withCode(text) {
  return text.split('`').map((part, i) => (i % 2 === 1 ? make('code', {}, part) : part));
}

/**
 * An own member of an object; undefined if there is none.
 * @param {unknown} value
 * @param {string} name
 * @returns {unknown}
 */
export function memberOf(value, name) {
  const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  return isThere ? Reflect.get(value, name) : undefined;
}
