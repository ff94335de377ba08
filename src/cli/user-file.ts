import { isUtf8 } from 'node:buffer';
import { parse } from 'csv-parse/sync';
import { Refused } from './terminal.ts';
import { FIELD_NAMES, type Fields, REQUIRED_FIELDS } from './user-fields.ts';

export type Format = 'csv' | 'jsonl';

/** A line of the file: the fields of a user by name, or what is wrong with the line. */
export interface FileLine {
  readonly line: number;
  readonly fields: Fields | string;
  /** The size of the file up to the end of this line. */
  readonly bytes: number;
}

/** Lines per batch. */
const BATCH_SIZE = 256;
/** More than all fields together can have. */
const MAX_LINE_BYTES = 16 * 1024;

/**
 * Reads the users of a file in batches, in flat memory. Each line is a user, and no field can hold
 * a line break, so an unclosed quote affects its own line only.
 * @throws Refused for a CSV file without the required columns, and for a JSON array
 */
export async function* readUserFile(
  source: AsyncIterable<Buffer>,
  format: Format | undefined,
): AsyncGenerator<readonly FileLine[]> {
  let read: ((lines: readonly RawLine[]) => readonly FileLine[]) | undefined;
  for await (const batch of inBatches(source)) {
    let lines = batch;
    if (read === undefined) {
      const [first, ...rest] = lines;
      if (first === undefined) continue;
      if (first.text === undefined)
        throw new Refused(`line ${first.line} cannot be read: ${UNREADABLE}`);
      if (first.text.trimStart().startsWith('[')) {
        throw new Refused(
          'the file is a JSON array: JSON Lines are wanted, an object on each line',
        );
      }
      const isJson = (format ?? sniff(first)) === 'jsonl';
      if (!isJson) lines = rest;
      read = isJson ? readJson : csvReader(first);
    }
    yield read(lines);
  }
  if (read === undefined) throw new Refused('there is nothing in the file');
}

function sniff({ text }: RawLine): Format {
  return text?.trimStart().startsWith('{') ? 'jsonl' : 'csv';
}

interface RawLine {
  readonly line: number;
  readonly bytes: number;
  /** Undefined if the line is too long, or not UTF-8. */
  readonly text: string | undefined;
}

/** Skips empty lines. */
async function* inBatches(source: AsyncIterable<Buffer>): AsyncGenerator<RawLine[]> {
  let lines: RawLine[] = [];
  for await (const line of split(source)) {
    if (line.text?.trim() === '') continue;
    lines.push(line);
    if (lines.length < BATCH_SIZE) continue;
    yield lines;
    lines = [];
  }
  if (lines.length > 0) yield lines;
}

async function* split(source: AsyncIterable<Buffer>): AsyncGenerator<RawLine> {
  let line = 0;
  let bytes = 0;
  let rest: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer): RawLine => {
    const whole =
      length + part.length > MAX_LINE_BYTES ? undefined : Buffer.concat([...rest, part]);
    rest = [];
    length = 0;
    line += 1;
    const text = whole && isUtf8(whole) ? whole.toString('utf8') : undefined;
    // Some programs begin a file with a byte order mark.
    return { line, bytes, text: line === 1 ? text?.replace(/^\uFEFF/, '') : text };
  };
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      const part = chunk.subarray(from, end);
      bytes += part.length + 1;
      yield take(part);
      from = end + 1;
    }
    const tail = chunk.subarray(from);
    bytes += tail.length;
    length += tail.length;
    if (length <= MAX_LINE_BYTES) rest.push(tail);
    else rest = [];
  }
  if (length > 0) yield take(Buffer.alloc(0));
}

const UNREADABLE = `it is no UTF-8, or longer than ${MAX_LINE_BYTES} bytes`;

function csvReader(header: RawLine): (lines: readonly RawLine[]) => readonly FileLine[] {
  const [names = []] = records([header.text ?? '']) ?? [];
  const unknown = names.find((name) => !FIELD_NAMES.some((known) => known === name));
  if (unknown !== undefined) {
    throw new Refused(
      `the first line must name the columns, of ${FIELD_NAMES.join(', ')}: ${JSON.stringify(unknown)} is none`,
    );
  }
  const missing = REQUIRED_FIELDS.filter((name) => !names.includes(name));
  if (missing.length > 0) throw new Refused(`the first line must name ${missing.join(', ')}`);
  if (new Set(names).size < names.length) throw new Refused('the first line names a column twice');
  const fieldsOf = (record: readonly string[] | undefined): Fields | string => {
    if (record === undefined) return 'its quotes are not those of CSV';
    if (record.length !== names.length) {
      return `it has ${record.length} fields, and the first line ${names.length}`;
    }
    return new Map(names.map((name, i) => [name, record[i] ?? '']));
  };
  return (lines) => {
    const texts = lines.map(({ text }) => text ?? '?');
    const all = records(texts);
    return lines.map(({ line, bytes, text }, i) => {
      if (text === undefined) return { line, bytes, fields: UNREADABLE };
      const record = all ? all[i] : records([text])?.[0];
      return { line, bytes, fields: fieldsOf(record) };
    });
  };
}

/** The record of each line; undefined if a line is not a whole record. */
function records(lines: readonly string[]): readonly (readonly string[])[] | undefined {
  try {
    const found: readonly (readonly string[])[] = parse(
      lines.map((line) => line.replace(/\r$/, '')).join('\n'),
      { record_delimiter: '\n', relax_column_count: true },
    );
    return found.length === lines.length ? found : undefined;
  } catch {
    return undefined;
  }
}

function readJson(lines: readonly RawLine[]): readonly FileLine[] {
  return lines.map(({ line, bytes, text }) => ({ line, bytes, fields: fieldsOfJson(text) }));
}

function fieldsOfJson(text: string | undefined): Fields | string {
  if (text === undefined) return UNREADABLE;
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'it is no JSON object';
  }
  const fields = new Map<string, string>();
  for (const [name, member] of Object.entries<unknown>({ ...value })) {
    if (!FIELD_NAMES.some((known) => known === name))
      return `it has a member that is none of ${FIELD_NAMES.join(', ')}`;
    if (member === null) continue; // Many exports write null for a missing value.
    const isWhole = typeof member === 'number' && Number.isSafeInteger(member);
    if (typeof member !== 'string' && typeof member !== 'boolean' && !isWhole) {
      return `${name} must be a text`;
    }
    fields.set(name, String(member));
  }
  return fields;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Quotes a field for CSV (RFC 4180), if it needs that. */
export function csvField(text: string): string {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
