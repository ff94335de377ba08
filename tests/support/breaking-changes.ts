// What breaks those who use an API, between two OpenAPI documents, in the subset that openapi.ts writes. A
// change of a keyword that it does not know counts as one. (No package in use does this for OpenAPI 3.1.)

type Part = Readonly<Record<string, unknown>>;

/** A sentence for each change on which a client of `before` could stumble at `after`. */
export function breakingChanges(before: unknown, after: unknown): readonly string[] {
  const [old, current] = [inlined(before, before), inlined(after, after)];
  const found: string[] = [];
  for (const [path, methods] of Object.entries(partOf(old, 'paths'))) {
    for (const [method, operation] of Object.entries(methods as Part)) {
      const name = `${method.toUpperCase()} ${path}`;
      const successor = partOf(partOf(current, 'paths'), path)[method];
      if (successor === undefined) found.push(`${name} is gone`);
      else found.push(...operationChanges(operation, successor).map((text) => `${name}: ${text}`));
    }
  }
  return found;
}

/** The document with what its references lead to in their place. */
function inlined(part: unknown, root: unknown): unknown {
  if (Array.isArray(part)) return part.map((each) => inlined(each, root));
  if (typeof part !== 'object' || part === null) return part;
  const { $ref: reference, ...own } = part as Part;
  const target =
    typeof reference === 'string'
      ? reference
          .slice(2)
          .split('/')
          .reduce<unknown>((found, name) => partOf(found, name), root)
      : {};
  const all = { ...(target as Part), ...own };
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [key, inlined(value, root)]));
}

function operationChanges(before: unknown, after: unknown): string[] {
  const found: string[] = [];
  if (at(before, 'operationId') !== at(after, 'operationId')) found.push('another operationId');
  const allowed = listOf(at(after, 'security')).map((each) => JSON.stringify(each));
  const isOpen = allowed.length === 0 || allowed.includes('{}');
  const ways = listOf(at(before, 'security')).map((each) => JSON.stringify(each));
  if (!isOpen && (ways.length === 0 || ways.some((way) => !allowed.includes(way)))) {
    found.push('who was let in may be no more');
  }
  found.push(...parameterChanges(before, after));
  found.push(...bodyChanges(partOf(before, 'requestBody'), partOf(after, 'requestBody')));
  for (const [status, response] of Object.entries(partOf(before, 'responses'))) {
    const successor = partOf(after, 'responses')[status];
    if (successor === undefined) found.push(`no status ${status}`);
    else {
      const changes = responseChanges(response, successor, Number(status) >= 400);
      found.push(...changes.map((text) => `${status}: ${text}`));
    }
  }
  return found;
}

function parameterChanges(before: unknown, after: unknown): string[] {
  const byName = (operation: unknown) =>
    new Map(listOf(at(operation, 'parameters')).map((each) => [String(at(each, 'name')), each]));
  const [old, current] = [byName(before), byName(after)];
  const found: string[] = [];
  for (const [name, parameter] of old) {
    const successor = current.get(name);
    if (successor === undefined || at(successor, 'in') !== at(parameter, 'in')) {
      found.push(`the parameter ${name} is gone`);
      continue;
    }
    found.push(...narrowed(at(parameter, 'schema'), at(successor, 'schema'), `parameter ${name}`));
  }
  for (const [name, parameter] of current) {
    const wasRequired = at(old.get(name), 'required') === true;
    if (at(parameter, 'required') === true && !wasRequired) found.push(`${name} is required`);
  }
  return found;
}

function bodyChanges(before: Part, after: Part): string[] {
  const found: string[] = [];
  if (after['required'] === true && before['required'] !== true) found.push('a body is required');
  for (const [type, content] of Object.entries(partOf(before, 'content'))) {
    const successor = partOf(after, 'content')[type];
    if (successor === undefined) {
      if (Object.keys(after).length > 0) found.push(`no body of ${type}`);
      continue;
    }
    const [old, current] = [at(content, 'schema'), at(successor, 'schema')];
    for (const name of Object.keys(partOf(old, 'properties'))) {
      if (!(name in partOf(current, 'properties'))) found.push(`body: ${name} is not read`);
    }
    found.push(...narrowed(old, current, 'body'));
  }
  return found;
}

function responseChanges(before: unknown, after: unknown, isRefusal: boolean): string[] {
  const found: string[] = [];
  for (const [name, header] of Object.entries(partOf(before, 'headers'))) {
    const successor = partOf(after, 'headers')[name];
    const isKept = successor !== undefined;
    if (!isKept || (at(header, 'required') === true && at(successor, 'required') !== true)) {
      found.push(`the header ${name} may be missing`);
    } else if (!isRefusal) {
      found.push(...widened(at(header, 'schema'), at(successor, 'schema'), `header ${name}`));
    }
  }
  const contents = Object.entries(partOf(before, 'content'));
  if (contents.length === 0 && 'content' in (after as Part)) found.push('a body');
  for (const [type, content] of contents) {
    const successor = partOf(after, 'content')[type];
    const [old, current] = [at(content, 'schema'), at(successor, 'schema')];
    if (successor === undefined) found.push(`no ${type}`);
    else if (isRefusal) found.push(...sentenceChanges(old, current));
    else found.push(...widened(old, current, 'body'));
  }
  return found;
}

/** Refusals are one member, whose sentences are promised; more of them break nobody. */
function sentenceChanges(before: unknown, after: unknown): string[] {
  const sentencesOf = (schema: unknown): string[] => {
    const message = partOf(schema, 'properties')['message'];
    const choices = listOf(at(message, 'anyOf') ?? [message]);
    return choices.flatMap((each) => [
      ...listOf(at(each, 'enum')).map(String),
      ...listOf([at(each, 'pattern')].filter((pattern) => pattern !== undefined)).map(String),
    ]);
  };
  const current = sentencesOf(after);
  return sentencesOf(before)
    .filter((sentence) => !current.includes(sentence))
    .map((sentence) => `no more “${sentence}”`);
}

/** Why what `after` allows may be nothing that `before` allowed. New members break nobody. */
function widened(before: unknown, after: unknown, where: string): string[] {
  const found = narrowed(after, before, where, 'response');
  const [old, current] = [partOf(before, 'properties'), partOf(after, 'properties')];
  for (const [name, schema] of Object.entries(old)) {
    if (name in current) found.push(...widened(schema, current[name], `${where}.${name}`));
    else found.push(`${where}.${name} is gone`);
  }
  const [item, successor] = [at(before, 'items'), at(after, 'items')];
  if (item !== undefined && successor !== undefined) {
    found.push(...widened(item, successor, `${where}[]`));
  }
  return found;
}

const SAID: ReadonlySet<string> = new Set(['description', 'examples', 'title']);
const MEMBERS: readonly string[] = ['properties', 'items', 'required', 'additionalProperties'];
const LOWER: readonly string[] = ['minLength', 'minimum', 'minItems'];
const UPPER: readonly string[] = ['maxLength', 'maximum', 'maxItems'];

/** Why what the one schema allows may be refused by the other. */
function narrowed(
  from: unknown,
  to: unknown,
  where: string,
  of: 'request' | 'response' = 'request',
): string[] {
  const found: string[] = [];
  const [wide, narrow] = [from as Part, to as Part];
  for (const keyword of new Set([...Object.keys(wide ?? {}), ...Object.keys(narrow ?? {})])) {
    if (SAID.has(keyword) || MEMBERS.includes(keyword)) continue;
    const [a, b] = [at(wide, keyword), at(narrow, keyword)];
    if (JSON.stringify(a) === JSON.stringify(b) || b === undefined) continue;
    if (keyword === 'type' || keyword === 'enum') {
      const allowed = Array.isArray(b) ? b : [b];
      const given = Array.isArray(a) ? a : [a];
      if (given.some((each) => !allowed.includes(each))) found.push(`${where}: another ${keyword}`);
    } else if (LOWER.includes(keyword)) {
      if (typeof a !== 'number' || a < Number(b)) found.push(`${where}: another ${keyword}`);
    } else if (UPPER.includes(keyword)) {
      if (typeof a !== 'number' || a > Number(b)) found.push(`${where}: another ${keyword}`);
    } else found.push(`${where}: another ${keyword}`);
  }
  const given = listOf(at(wide, 'required'));
  for (const name of listOf(at(narrow, 'required')).map(String)) {
    if (!given.includes(name))
      found.push(`${where}.${name} is ${of === 'request' ? '' : 'not '}required`);
  }
  if (of === 'response') return found;
  const isOpen = (schema: unknown) => at(schema, 'additionalProperties') !== false;
  if (isOpen(wide) && !isOpen(narrow)) found.push(`${where}: other members are refused`);
  for (const [name, schema] of Object.entries(partOf(wide, 'properties'))) {
    const successor = partOf(narrow, 'properties')[name];
    if (successor !== undefined) found.push(...narrowed(schema, successor, `${where}.${name}`));
  }
  const [item, successor] = [at(wide, 'items'), at(narrow, 'items')];
  if (successor !== undefined) found.push(...narrowed(item ?? {}, successor, `${where}[]`));
  return found;
}

function at(part: unknown, name: string): unknown {
  const isThere = typeof part === 'object' && part !== null && Object.hasOwn(part, name);
  return isThere ? Reflect.get(part, name) : undefined;
}

function partOf(part: unknown, name: string): Part {
  const found = at(part, name);
  return typeof found === 'object' && found !== null ? (found as Part) : {};
}

function listOf(part: unknown): readonly unknown[] {
  return Array.isArray(part) ? part : [];
}
