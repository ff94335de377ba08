/**
 * Rejects unknown options, for callers without TypeScript: a misspelt option would otherwise be ignored
 * silently.
 * @throws RangeError for a value that is no object, or has another member than `names`
 */
export function checkOptions(options: object, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null)
    throw new RangeError('options must be an object');
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new RangeError(`there is no option ${unknown}`);
}

/**
 * Whether a value is an origin as browsers write that of a page. Not `null`, the origin of every sandboxed
 * frame and file, nor `*`: an allowed origin can send cookies.
 */
export function isOrigin(value: unknown): value is string {
  return typeof value === 'string' && /^https?:[^*]+$/.test(value) && originOf(value) === value;
}

function originOf(text: string): string | undefined {
  return URL.canParse(text) ? new URL(text).origin : undefined;
}
