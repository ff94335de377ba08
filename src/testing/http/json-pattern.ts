import type { Json } from './contract.ts';
import type { Secrets } from './secrets.ts';

/** What patterns are read by, and what must not be shown of what does not fit them. */
export interface Terms {
  /** What names in double braces stand for, by name. */
  readonly values: ReadonlyMap<string, string>;
  readonly secrets: Secrets;
}

const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** What a text in braces takes as the whole of a value. */
const WHOLE: Readonly<Record<string, (seen: unknown) => boolean>> = {
  '{{integer}}': (seen) => Number.isSafeInteger(seen),
  '{{string}}': (seen) => typeof seen === 'string' && seen !== '',
  '{{date}}': (seen) => typeof seen === 'string' && DATE.test(seen),
  '{{jwt}}': (seen) => typeof seen === 'string' && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(seen),
};

/** And as a part of a text. */
const PARTS: Readonly<Record<string, string>> = { digits: String.raw`\d+`, string: '.+' };

/** What is wrong with a value by its pattern; undefined where it fits. */
export function fits(pattern: Json, seen: unknown, terms: Terms, at = 'it'): string | undefined {
  const is = (what: string) => `${at} is ${shown(seen, terms)}, not ${what}`;
  if (typeof pattern === 'string') {
    const isFit =
      WHOLE[pattern]?.(seen) ?? (typeof seen === 'string' && matches(pattern, seen, terms));
    return isFit ? undefined : is(JSON.stringify(pattern));
  }
  if (typeof pattern !== 'object' || pattern === null) {
    return seen === pattern ? undefined : is(JSON.stringify(pattern));
  }
  if (Array.isArray(pattern)) return fitsArray(pattern, seen, terms, at);
  if (typeof seen !== 'object' || seen === null || Array.isArray(seen)) return is('an object');
  const members = new Map(Object.entries(pattern));
  const found = new Map<string, unknown>(Object.entries(seen));
  const extra = [...found.keys()].find((name) => !members.has(name));
  if (extra !== undefined) return `${at} has a member ${terms.secrets.shown(extra)}`;
  for (const [name, member] of members) {
    if (!found.has(name)) return `${at} has no member ${name}`;
    const fault = fits(member, found.get(name), terms, name);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function fitsArray(
  patterns: readonly Json[],
  seen: unknown,
  terms: Terms,
  at: string,
): string | undefined {
  if (!Array.isArray(seen)) return `${at} is ${shown(seen, terms)}, not an array`;
  if (seen.length !== patterns.length)
    return `${at} has ${seen.length} elements, not ${patterns.length}`;
  for (const [i, pattern] of patterns.entries()) {
    const fault = fits(pattern, seen[i], terms, `element ${i}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** What each element of a list must be, and at least one of them. */
export interface ListPattern {
  readonly each: Json;
  readonly some: Json;
}

/** The pattern of a body that is a list of any length; undefined for any other. */
export function listPatternIn(body: Json | undefined): ListPattern | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const members = new Map(Object.entries(body));
  const [each, some] = [members.get('{{each}}'), members.get('{{some}}')];
  return each === undefined || some === undefined ? undefined : { each, some };
}

/** What is wrong with a list, whose elements are looked at as they come and let go. */
export async function fitsList(
  { each, some }: ListPattern,
  elements: AsyncIterable<unknown>,
  terms: Terms,
): Promise<string | undefined> {
  let [index, isThere] = [0, false];
  for await (const element of elements) {
    if (fits(each, element, terms) !== undefined) {
      terms.secrets.note(element);
      return `element ${index}: ${fits(each, element, terms)}`;
    }
    isThere ||= fits(some, element, terms) === undefined;
    index += 1;
  }
  return isThere ? undefined : 'it does not hold what was made';
}

function matches(pattern: string, seen: string, { values }: Terms): boolean {
  const parts = pattern.split(/(\{\{\w+\}\})/).map((part) => {
    const [, name = ''] = /^\{\{(\w+)\}\}$/.exec(part) ?? [];
    return PARTS[name] ?? escaped(values.get(name) ?? part);
  });
  return new RegExp(`^${parts.join('')}$`, 's').test(seen);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

function shown(value: unknown, { secrets }: Terms): string {
  return JSON.stringify(secrets.shownValue(value));
}
