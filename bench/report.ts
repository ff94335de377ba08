/** The results of a run as a Markdown page. */
import { availableParallelism } from 'node:os';
import { type Bar, digits, type Findings, isMet, ROUNDS, SECONDS, type Table } from './findings.ts';

/** The figures of a bar as text. */
export function figure(bar: Bar) {
  const { bound, unit, measured, spread } = bar;
  const limit = 'atLeast' in bound ? `>= ${bound.atLeast}` : `<= ${digits(bound.atMost)}`;
  return {
    measured: `${digits(measured)} ${unit}`.trim(),
    spread: spread.map(digits).join(' … '),
    bound: `${limit} ${unit}`.trim(),
    met: isMet(bar) ? 'yes' : 'NO',
  };
}

export function markdown(found: ReadonlyMap<string, Findings>): string {
  const bars = [...found].flatMap(([section, findings]) =>
    findings.bars.map((bar) => ({ section, bar: bar.bar, ...figure(bar) })),
  );
  const met = bars.filter((bar) => bar.met === 'yes').length;
  return [
    '# The bars, measured',
    '',
    `${met} of ${bars.length} met; rounds: ${ROUNDS}, of ${SECONDS} s a visit, on ${machine()}. Written by`,
    '`npm run bench`. Load maker, servers and database share the cores: ratios, taken within a',
    'round, say more than rates. "measured" is the median of the rounds, "spread" the least and the most.',
    '',
    '![each bar against what was measured](latest.svg)',
    '',
    ...rows(bars),
    ...[...found].flatMap(([section, findings]) =>
      Object.entries(findings.tables).flatMap(([title, table]) => [
        `\n## ${section}: ${title}\n`,
        ...rows(table),
      ]),
    ),
    '',
  ].join('\n');
}

function machine(): string {
  return `${availableParallelism()} cores, Node ${process.versions.node}`;
}

function rows(table: Table): string[] {
  const [first] = table;
  if (first === undefined) return ['Nothing.'];
  const columns = Object.keys(first);
  return [
    `| ${columns.join(' | ')} |`,
    `|${columns.map(() => '---').join('|')}|`,
    ...table.map((row) => `| ${columns.map((column) => row[column]).join(' | ')} |`),
  ];
}
