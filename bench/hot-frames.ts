/** Summarizes a V8 CPU profile by function, and by where the functions come from. */
import { existsSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The parts of a .cpuprofile that matter here. */
export interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      /** Both from 0 on. */
      readonly lineNumber: number;
      readonly columnNumber: number;
    };
  }[];
  /** The top node of each sample, and the µs since the previous sample. */
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** A function and its self time: without the functions that it calls. */
export interface Frame {
  readonly name: string;
  /** `node:…`, a path in a package, or the path of a source file. */
  readonly file: string;
  readonly line: number;
  /** Node, a package, one of our folders, or an activity of V8 such as garbage collection. */
  readonly group: string;
  readonly microseconds: number;
}

export function readProfile(json: string): Profile {
  const found: unknown = JSON.parse(json);
  if (!isProfile(found)) throw new Error('this is no CPU profile');
  return found;
}

function isProfile(value: unknown): value is Profile {
  return typeof value === 'object' && value !== null && 'samples' in value && 'nodes' in value;
}

/** All functions of a profile, the hottest first. `root` is the folder of this repository. */
export function framesOf(profile: Profile, root: string): Frame[] {
  const self = new Map<number, number>();
  for (const [i, id] of profile.samples.entries()) {
    self.set(id, (self.get(id) ?? 0) + (profile.timeDeltas[i] ?? 0));
  }
  const frames = new Map<string, Frame>();
  for (const { id, callFrame } of profile.nodes) {
    if (callFrame.functionName === 'dispatch' && callFrame.url === '') continue; // The profiler.
    const { file, line } = whereIs(callFrame, root);
    const name = callFrame.functionName || '(anonymous)';
    const key = `${name} ${file}:${line}`;
    const microseconds = (frames.get(key)?.microseconds ?? 0) + (self.get(id) ?? 0);
    frames.set(key, { name, file, line, group: groupOf(name, file), microseconds });
  }
  return [...frames.values()].toSorted((a, b) => b.microseconds - a.microseconds);
}

/** Time by group, the largest first. */
export function sharesOf(frames: readonly Frame[]): [group: string, microseconds: number][] {
  const groups = new Map<string, number>();
  for (const { group, microseconds } of frames) {
    groups.set(group, (groups.get(group) ?? 0) + microseconds);
  }
  return [...groups].toSorted(([, a], [, b]) => b - a);
}

function whereIs(frame: Profile['nodes'][number]['callFrame'], root: string) {
  const { url, lineNumber, columnNumber } = frame;
  if (!url.startsWith('file:')) return { file: url, line: lineNumber + 1 };
  const path = fileURLToPath(url);
  const origin = mapOf(path)?.findEntry(lineNumber, columnNumber);
  if (origin && 'originalSource' in origin && origin.originalSource) {
    const source = posix.join(posix.dirname(path), origin.originalSource);
    return { file: shorten(source, root), line: origin.originalLine + 1 };
  }
  return { file: shorten(path, root), line: lineNumber + 1 };
}

function shorten(path: string, root: string): string {
  const [, inPackage] = /.*\/node_modules\/(.*)/.exec(path) ?? [];
  return inPackage ?? posix.relative(root, path);
}

const maps = new Map<string, SourceMap | undefined>();

function mapOf(path: string): SourceMap | undefined {
  if (!maps.has(path)) maps.set(path, readMap(path));
  return maps.get(path);
}

/** Undefined for packages: their functions are shown as installed. */
function readMap(path: string): SourceMap | undefined {
  const file = `${path}.map`;
  if (path.includes('/node_modules/') || !existsSync(file)) return undefined;
  const found: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return isSourceMap(found) ? new SourceMap(found) : undefined;
}

function isSourceMap(value: unknown): value is SourceMapPayload {
  return typeof value === 'object' && value !== null && 'mappings' in value;
}

const OF_V8: ReadonlyMap<string, string> = new Map([
  ['(garbage collector)', 'garbage collection'],
  ['(idle)', 'idle'],
  ['(program)', 'outside of JavaScript'],
  ['(root)', 'outside of JavaScript'],
]);

function groupOf(name: string, file: string): string {
  const ofV8 = OF_V8.get(name);
  if (ofV8 !== undefined) return ofV8;
  if (file === '') return 'native functions of Node and V8';
  if (file.startsWith('node:')) return 'Node';
  if (/^(?:src|bench|dist)\//.test(file)) return posix.dirname(file);
  return file
    .split('/')
    .slice(0, file.startsWith('@') ? 2 : 1)
    .join('/');
}
