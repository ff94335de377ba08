/** Linear regression of measurements over time. */

export interface Point {
  /** Hours. */
  readonly at: number;
  readonly value: number;
}

export interface Trend {
  /** The growth of the value per hour. */
  readonly slope: number;
  /** The standard error of the slope. Without growth, 95 % of slopes are within two errors of 0. */
  readonly error: number;
}

/** Least squares, for points with independent errors. NaN if there are too few points. */
export function trendOf(points: readonly Point[]): Trend {
  const n = points.length;
  const mean = (of: (point: Point) => number) => points.reduce((sum, p) => sum + of(p), 0) / n;
  const [at, value] = [mean((p) => p.at), mean((p) => p.value)];
  const spread = points.reduce((sum, p) => sum + (p.at - at) ** 2, 0);
  const slope = points.reduce((sum, p) => sum + (p.at - at) * (p.value - value), 0) / spread;
  const rest = points.reduce((sum, p) => sum + (p.value - value - slope * (p.at - at)) ** 2, 0);
  return { slope, error: n > 2 ? Math.sqrt(rest / (n - 2) / spread) : Number.NaN };
}
