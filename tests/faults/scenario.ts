/** What one fault test has measured, beside the bound that it must keep within. */
export interface Figure {
  readonly what: string;
  readonly bound: string;
  /** With its unit. */
  readonly measured: string;
  readonly isMet: boolean;
  /** A ratio of speeds, which says as much of the machine as of the product: it fails nothing. */
  readonly isForTheRecord?: boolean;
}

/** How much is done: in a bounded run enough to tell, within minutes; in a long one ten times as much. */
export interface Effort {
  readonly isLong: boolean;
}

/** One fault, done to real processes. */
export interface Scenario {
  /** Its number in the list of faults in docs/reliability.md. */
  readonly number: number;
  readonly title: string;
  /** Rejects where it could not be tried; whatever was measured out of bounds is a figure. */
  readonly run: (effort: Effort) => Promise<readonly Figure[]>;
}

/** A number that must be so large at most, or at least. */
export function figure(
  what: string,
  value: number,
  unit: string,
  bound: { readonly atMost: number } | { readonly atLeast: number },
): Figure {
  const [sign, limit] = 'atMost' in bound ? ['≤', bound.atMost] : ['≥', bound.atLeast];
  // Not a number is out of every bound.
  const isMet = 'atMost' in bound ? value <= limit : value >= limit;
  const suffix = unit === '' ? '' : ` ${unit}`;
  return { what, bound: `${sign} ${limit}${suffix}`, measured: `${digits(value)}${suffix}`, isMet };
}

/** A number that must be exactly this. */
export function exactly(what: string, value: number, wanted: number): Figure {
  return { what, bound: `= ${wanted}`, measured: digits(value), isMet: value === wanted };
}

function digits(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed() : value.toPrecision(3);
}
