import type { Json } from './contract.ts';

/** What names in double braces stand for, by name. */
export type Values = ReadonlyMap<string, string>;

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
export function fits(pattern: Json, seen: unknown, values: Values, at = 'it'): string | undefined {
  if (typeof pattern === 'string') {
    const isFit =
      WHOLE[pattern]?.(seen) ?? (typeof seen === 'string' && matches(pattern, seen, values));
    return isFit ? undefined : `${at} is ${shown(seen)}, not ${shown(pattern)}`;
  }
  if (typeof pattern !== 'object' || pattern === null) {
    return seen === pattern ? undefined : `${at} is ${shown(seen)}, not ${shown(pattern)}`;
  }
  if (Array.isArray(pattern)) return fitsArray(pattern, seen, values, at);
  const members = new Map(Object.entries(pattern));
  const [each, some] = [members.get('{{each}}'), members.get('{{some}}')];
  if (each !== undefined && some !== undefined) return fitsList(each, some, seen, values, at);
  if (typeof seen !== 'object' || seen === null || Array.isArray(seen)) {
    return `${at} is ${shown(seen)}, not an object`;
  }
  const found = new Map<string, unknown>(Object.entries(seen));
  for (const name of found.keys()) if (!members.has(name)) return `${at} has a member ${name}`;
  for (const [name, member] of members) {
    if (!found.has(name)) return `${at} has no member ${name}`;
    const fault = fits(member, found.get(name), values, name);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function fitsArray(
  patterns: readonly Json[],
  seen: unknown,
  values: Values,
  at: string,
): string | undefined {
  if (!Array.isArray(seen)) return `${at} is ${shown(seen)}, not an array`;
  if (seen.length !== patterns.length)
    return `${at} has ${seen.length} elements, not ${patterns.length}`;
  for (const [i, pattern] of patterns.entries()) {
    const fault = fits(pattern, seen[i], values, `element ${i}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function fitsList(
  each: Json,
  some: Json,
  seen: unknown,
  values: Values,
  at: string,
): string | undefined {
  if (!Array.isArray(seen)) return `${at} is ${shown(seen)}, not an array`;
  for (const [i, element] of seen.entries()) {
    const fault = fits(each, element, values, `element ${i}`);
    if (fault !== undefined) return `element ${i}: ${fault}`;
  }
  const isThere = seen.some((element) => fits(some, element, values) === undefined);
  return isThere ? undefined : `${at} does not hold what was made`;
}

function matches(pattern: string, seen: string, values: Values): boolean {
  const parts = pattern.split(/(\{\{\w+\}\})/).map((part) => {
    const [, name = ''] = /^\{\{(\w+)\}\}$/.exec(part) ?? [];
    return PARTS[name] ?? escaped(values.get(name) ?? part);
  });
  return new RegExp(`^${parts.join('')}$`, 's').test(seen);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

/** Short, and with nothing that can be used: of a token its beginning. */
function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'missing');
  return JSON.stringify(text.replaceAll(/(eyJ[\w-]{8})[\w.-]+/g, '$1…').slice(0, 200));
}
