/** The results of a section of the benchmark, and how they are computed from its rounds. */
import type { Reading } from './load.ts';
import { median } from './measure.ts';
import { NAMES, type Stage } from './stage.ts';

export const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
/** The duration of each visit. */
export const SECONDS = Number(process.env['SECONDS'] ?? 3);

/** Load before the first measurement, so that V8 has compiled the code. */
export const WARM_UP_SECONDS = 2;

/** A figure that must reach a bound. */
export interface Bar {
  readonly bar: string;
  readonly measured: number;
  /** The lowest and the highest value of the rounds. */
  readonly spread: readonly [least: number, most: number];
  readonly unit: string;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
}

export type Table = readonly Readonly<Record<string, string>>[];

export interface Findings {
  readonly bars: readonly Bar[];
  /** Further tables, by title. */
  readonly tables: Readonly<Record<string, Table>>;
}

export interface Section {
  readonly name: string;
  readonly run: (stage: Stage) => Promise<Findings>;
}

export function isMet({ measured, bound }: Bar): boolean {
  return 'atLeast' in bound ? measured >= bound.atLeast : measured <= bound.atMost;
}

/** A bar for the median of the values of all rounds. */
export function barOf(
  bar: string,
  values: readonly number[],
  unit: string,
  bound: Bar['bound'],
): Bar {
  const spread = [Math.min(...values), Math.max(...values)] as const;
  return { bar, measured: median(values), spread, unit, bound };
}

/** A bar for a ratio. It is computed within each round, so that other load affects both sides. */
export function ratioBar(
  bar: string,
  ours: readonly number[],
  theirs: readonly number[],
  bound: Bar['bound'],
): Bar {
  const ratios = ours.map((value, round) => value / (theirs[round] ?? Number.NaN));
  return barOf(bar, ratios, '×', bound);
}

/** The values of one visit in all rounds. */
export function roundsOf<Value>(
  found: ReadonlyMap<string, readonly Value[]>,
  name: string,
): readonly Value[] {
  const values = found.get(name);
  if (values === undefined) throw new Error(`${name} was not visited`);
  return values;
}

/** Requests per second in each round. */
export function rates(found: ReadonlyMap<string, readonly Reading[]>, name: string): number[] {
  return roundsOf(found, name).map(({ rate }) => rate);
}

/**
 * Makes all visits in each round, and every second round in reverse, so that no visit always
 * follows the same one. Returns the values of each visit, in the order of the rounds.
 */
export async function inRounds<Value>(
  visits: ReadonlyMap<string, () => Promise<Value>>,
  rounds: number = ROUNDS,
): Promise<ReadonlyMap<string, readonly Value[]>> {
  const found = new Map<string, Value[]>([...visits].map(([name]) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? [...visits] : [...visits].toReversed();
    for (const [name, visit] of order) found.get(name)?.push(await visit());
  }
  return found;
}

const SHOWN: ReadonlyMap<string, string> = new Map(Object.entries(NAMES));

/** The medians of readings, a line for each server. */
export function readingsTable(found: ReadonlyMap<string, readonly Reading[]>): Table {
  return [...found].map(([name, readings]) => {
    const of = (measure: (reading: Reading) => number) => median(readings.map(measure));
    return {
      server: SHOWN.get(name) ?? name,
      'a second': digits(of(({ rate }) => rate)),
      'p99 ms': digits(of(({ p99 }) => p99)),
      'CPU µs, server': digits(of(({ serverCpu }) => serverCpu)),
      'with database': digits(of(({ totalCpu }) => totalCpu)),
    };
  });
}

/** Formats a number with its significant digits. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Number.isInteger(value)) return value.toLocaleString('en');
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
