/** Straight lines through measurements over time. */

export interface Point {
  /** Hours. */
  readonly at: number;
  readonly value: number;
}

export interface Trend {
  /** By which the value grows in an hour. */
  readonly slope: number;
  /** Its standard error: of no growth at all, two slopes in three are within it, nineteen in twenty within two. */
  readonly error: number;
}

/** By least squares, as if each point erred by itself; not a number where there are too few. */
export function trendOf(points: readonly Point[]): Trend {
  const n = points.length;
  const mean = (of: (point: Point) => number) => points.reduce((sum, p) => sum + of(p), 0) / n;
  const [at, value] = [mean((p) => p.at), mean((p) => p.value)];
  const spread = points.reduce((sum, p) => sum + (p.at - at) ** 2, 0);
  const slope = points.reduce((sum, p) => sum + (p.at - at) * (p.value - value), 0) / spread;
  const rest = points.reduce((sum, p) => sum + (p.value - value - slope * (p.at - at)) ** 2, 0);
  return { slope, error: n > 2 ? Math.sqrt(rest / (n - 2) / spread) : Number.NaN };
}
