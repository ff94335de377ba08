/**
 * For those whom no compiler tells: a name that is misspelt would be an option that does not hold.
 * @throws RangeError for what is no object, or has another member than these
 */
export function checkOptions(options: object, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null)
    throw new RangeError('options must be an object');
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new RangeError(`there is no option ${unknown}`);
}

/**
 * An origin as browsers write that of a page; not `null`, which all sandboxed frames and files are, nor `*`: whoever
 * is allowed can send cookies.
 */
export function isOrigin(value: unknown): value is string {
  return typeof value === 'string' && /^https?:[^*]+$/.test(value) && originOf(value) === value;
}

function originOf(text: string): string | undefined {
  return URL.canParse(text) ? new URL(text).origin : undefined;
}
