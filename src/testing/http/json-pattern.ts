import type { Json } from './contract.ts';
import type { Secrets } from './secrets.ts';

/** The values that patterns refer to, and the secrets that no message may show. */
export interface MatchContext {
  /** The values of the names in double braces. */
  readonly values: ReadonlyMap<string, string>;
  readonly secrets: Secrets;
}

const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** The placeholders that stand for a whole value. */
const VALUE_CHECKS: Readonly<Record<string, (seen: unknown) => boolean>> = {
  '{{integer}}': (seen) => Number.isSafeInteger(seen),
  '{{string}}': (seen) => typeof seen === 'string' && seen !== '',
  '{{date}}': (seen) => typeof seen === 'string' && DATE.test(seen),
  '{{jwt}}': (seen) => typeof seen === 'string' && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(seen),
};

/** The placeholders that stand for a part of a string, as regular expressions. */
const TEXT_PATTERNS: Readonly<Record<string, string>> = { digits: String.raw`\d+`, string: '.+' };

/** Says how a value differs from a pattern; undefined if it matches. `at` names the value. */
export function findMismatch(
  pattern: Json,
  seen: unknown,
  context: MatchContext,
  at = 'it',
): string | undefined {
  const mismatch = (what: string) => `${at} is ${show(seen, context)}, not ${what}`;
  if (typeof pattern === 'string') {
    const isMatch =
      VALUE_CHECKS[pattern]?.(seen) ??
      (typeof seen === 'string' && matches(pattern, seen, context));
    return isMatch ? undefined : mismatch(JSON.stringify(pattern));
  }
  if (typeof pattern !== 'object' || pattern === null) {
    return seen === pattern ? undefined : mismatch(JSON.stringify(pattern));
  }
  if (Array.isArray(pattern)) return findArrayMismatch(pattern, seen, context, at);
  if (typeof seen !== 'object' || seen === null || Array.isArray(seen))
    return mismatch('an object');
  const members = new Map(Object.entries(pattern));
  const found = new Map<string, unknown>(Object.entries(seen));
  const extra = [...found.keys()].find((name) => !members.has(name));
  if (extra !== undefined) return `${at} has a member ${context.secrets.redact(extra)}`;
  for (const [name, member] of members) {
    if (!found.has(name)) return `${at} has no member ${name}`;
    const fault = findMismatch(member, found.get(name), context, name);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function findArrayMismatch(
  patterns: readonly Json[],
  seen: unknown,
  context: MatchContext,
  at: string,
): string | undefined {
  if (!Array.isArray(seen)) return `${at} is ${show(seen, context)}, not an array`;
  if (seen.length !== patterns.length)
    return `${at} has ${seen.length} elements, not ${patterns.length}`;
  for (const [i, pattern] of patterns.entries()) {
    const fault = findMismatch(pattern, seen[i], context, `element ${i}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** `each` is the pattern of every element, `some` that of at least one. */
export interface ListPattern {
  readonly each: Json;
  readonly some: Json;
}

/** The list pattern in the pattern of a body; undefined if the body is no list of any length. */
export function listPatternIn(body: Json | undefined): ListPattern | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const members = new Map(Object.entries(body));
  const [each, some] = [members.get('{{each}}'), members.get('{{some}}')];
  return each === undefined || some === undefined ? undefined : { each, some };
}

/** Says how a list differs from a pattern; undefined if it matches. Keeps no element in memory. */
export async function findListMismatch(
  { each, some }: ListPattern,
  elements: AsyncIterable<unknown>,
  context: MatchContext,
): Promise<string | undefined> {
  let [index, isThere] = [0, false];
  for await (const element of elements) {
    if (findMismatch(each, element, context) !== undefined) {
      context.secrets.addFrom(element); // Before the message is made: it must not show them.
      return `element ${index}: ${findMismatch(each, element, context)}`;
    }
    isThere ||= findMismatch(some, element, context) === undefined;
    index += 1;
  }
  return isThere ? undefined : 'it does not hold what was made';
}

function matches(pattern: string, seen: string, { values }: MatchContext): boolean {
  const parts = pattern.split(/(\{\{\w+\}\})/).map((part) => {
    const [, name = ''] = /^\{\{(\w+)\}\}$/.exec(part) ?? [];
    return TEXT_PATTERNS[name] ?? escapeRegExp(values.get(name) ?? part);
  });
  return new RegExp(`^${parts.join('')}$`, 's').test(seen);
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

function show(value: unknown, { secrets }: MatchContext): string {
  return JSON.stringify(secrets.redactValue(value));
}

/** The member of this name if it is a string; '' otherwise. */
export function memberOf(json: unknown, name: string): string {
  const member: unknown = typeof json === 'object' && json ? Reflect.get(json, name) : undefined;
  return typeof member === 'string' ? member : '';
}

export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
