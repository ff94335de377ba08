/** Draws the bars of a run as SVG: by how far each was reached or missed. */
import { type Bar, type Findings, isMet } from './findings.ts';
import { figure } from './report.ts';

const ROW = 22;
const TOP = 64;
const LABELS = 420;
const PLOT = 420;
const FIGURES = 210;
const WIDTH = LABELS + PLOT + FIGURES;
/** The ends of the axis, in multiples of the bar. */
const [FROM, TO] = [1 / 4, 8];
const TICKS = [
  [1 / 4, '¼'],
  [1 / 2, '½'],
  [1, 'the bar'],
  [2, '2'],
  [4, '4'],
  [8, '8'],
] as const;
const MET = '#1a6faf';
const MISSED = '#c2410c';

/**
 * One line for each bar, on a logarithmic axis of multiples of the bar. A value to its right meets
 * the bar, for "at least" and "at most" alike. Discs are met, diamonds missed; lines span the
 * rounds.
 */
export function drawBars(found: ReadonlyMap<string, Findings>): string {
  const lines = [...found].flatMap(([section, { bars }]) => bars.map((bar) => ({ section, bar })));
  const bottom = TOP + lines.length * ROW;
  const height = bottom + 24;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}"`,
    `  width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="12">`,
    '<title>Each bar against what was measured</title>',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="12" y="24" font-size="15" font-weight="600" fill="#222">The bars, measured</text>`,
    text(LABELS, 24, 'multiples of the bar; right of it: met', 'start', '#555'),
    ...TICKS.map(([at, label]) => tick(at, label, bottom)),
    ...lines.map(({ section, bar }, i) => {
      const isFirst = lines[i - 1]?.section !== section;
      return row(bar, isFirst ? section : '', TOP + i * ROW);
    }),
    '</svg>',
    '',
  ].join('\n');
}

function tick(at: number, label: string, bottom: number): string {
  const look = at === 1 ? 'stroke="#222" stroke-width="1.5"' : 'stroke="#ddd"';
  const line = `<line x1="${x(at)}" x2="${x(at)}" y1="${TOP - 8}" y2="${bottom}" ${look}/>`;
  return line + text(x(at), TOP - 14, label, 'middle', '#555');
}

function row(bar: Bar, section: string, top: number): string {
  const y = top + ROW / 2;
  const [one, other] = bar.spread.map((value) => x(multiple(bar, value)));
  const at = x(multiple(bar, bar.measured));
  const { measured, bound } = figure(bar);
  const isGood = isMet(bar);
  const color = isGood ? MET : MISSED;
  const mark = isGood
    ? `<circle cx="${at}" cy="${y}" r="4.5" fill="${color}"/>`
    : `<path d="M${at} ${y - 6}l6 6l-6 6l-6 -6z" fill="#fff" stroke="${color}" stroke-width="2"/>`;
  return [
    section && `<line x1="12" x2="${WIDTH - 12}" y1="${top}" y2="${top}" stroke="#eee"/>`,
    text(12, y + 4, section, 'start', '#222', 600),
    text(LABELS - 12, y + 4, bar.bar, 'end', '#222'),
    `<line x1="${one}" x2="${other}" y1="${y}" y2="${y}" stroke="${color}" stroke-width="2"/>`,
    mark,
    text(LABELS + PLOT + 14, y + 4, `${measured} (${bound})`, 'start', color),
  ].join('');
}

function multiple({ bound }: Bar, value: number): number {
  if ('atLeast' in bound) return value / bound.atLeast;
  if (bound.atMost === 0) return value > 0 ? 0 : 1;
  return value > 0 ? bound.atMost / value : TO;
}

/** The x coordinate of a value. Values beyond the axis are drawn at its end. */
function x(multipleOfBar: number): string {
  const within = Number.isNaN(multipleOfBar) ? FROM : Math.min(Math.max(multipleOfBar, FROM), TO);
  return (LABELS + (PLOT * Math.log(within / FROM)) / Math.log(TO / FROM)).toFixed(1);
}

function text(
  at: number | string,
  y: number,
  words: string,
  anchor: 'start' | 'middle' | 'end',
  color: string,
  weight = 400,
): string {
  const look = `fill="${color}" text-anchor="${anchor}" font-weight="${weight}"`;
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<text x="${at}" y="${y}" ${look}>${escaped}</text>`;
}
