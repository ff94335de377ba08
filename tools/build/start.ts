/**
 * Runs the bundle with the code that V8 compiled during the build, which saves a third of the time
 * to the first reply. Another version of Node compiles the bundle again. Node does not map stack
 * traces of code that is run this way to its sources, so this file does, when a stack is first
 * read.
 */
import { readFileSync } from 'node:fs';
import { createRequire, SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

const PATH = fileURLToPath(import.meta.url);
const BUNDLE = join(dirname(PATH), 'bundle.cjs');
const HEAD = '(function (exports, require, module, __filename, __dirname) {';

/** Exported for the build, which stores its compiled code. */
export const script = new Script(`${HEAD}${readFileSync(BUNDLE, 'latin1')}\n})`, {
  filename: BUNDLE,
  columnOffset: -HEAD.length,
  cachedData: readIfThere(`${BUNDLE}.cache`),
});

interface Printable {
  toString(): string;
}

let map: SourceMap | undefined;
Error.prepareStackTrace = (error, calls: readonly (NodeJS.CallSite & Printable)[]) => {
  const lines = calls.map((call) => {
    const text = call.toString();
    if (call.getFileName() !== BUNDLE) return text;
    return text.replace(/[^ (]+:(\d+):(\d+)(?=\)?$)/, toSourcePosition);
  });
  return [String(error), ...lines].join('\n    at ');
};

function toSourcePosition(place: string, line: string, column: string): string {
  try {
    map ??= new SourceMap(readMap());
    const found = map.findEntry(Number(line) - 1, Number(column) - 1);
    if (!('originalSource' in found)) return place;
    const { originalSource, originalLine, originalColumn } = found;
    return `${join(dirname(PATH), originalSource)}:${originalLine + 1}:${originalColumn + 1}`;
  } catch {
    return place;
  }
}

function readMap(): SourceMapPayload {
  const payload: unknown = JSON.parse(readFileSync(`${BUNDLE}.map`, 'utf8'));
  if (!isPayload(payload)) throw new Error('no source map');
  return payload;
}

function isPayload(value: unknown): value is SourceMapPayload {
  return typeof value === 'object' && value !== null && 'mappings' in value;
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

const bundle: unknown = script.runInThisContext();
if (typeof bundle !== 'function') throw new Error('the bundle is none');
Reflect.apply(bundle, undefined, [{}, createRequire(PATH), { exports: {} }, PATH, dirname(PATH)]);
