import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../src/adapters/metrics/metrics.ts';
import { ADA, call, registered, withService } from '../support/service.ts';

// The dashboard and the alert rules in docs/ops are held to what the service really exports.

/** The labels of each name that a service shows, after it has been used. */
async function exported(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const labels = new Map<string, Set<string>>([['up', new Set()]]);
  await withService('SQLite', { env: { METRICS_PORT: '0' } }, async ({ url, metricsUrl = '' }) => {
    await registered(url);
    await call(url, 'POST /login', { json: ADA });
    const text = await (await fetch(metricsUrl)).text();
    for (const line of text.split('\n')) {
      const [, name, inside = ''] = /^([a-z]\w*)(?:\{(.*)\})? /.exec(line) ?? [];
      if (name === undefined) continue;
      const known = labels.get(name) ?? new Set();
      for (const [, label = ''] of inside.matchAll(/(\w+)="/g)) known.add(label);
      labels.set(name, known);
    }
  });
  return labels;
}

/** Words of PromQL, and what Grafana puts in. */
const WORDS = new Set(
  'sum max avg min by and or rate increase histogram_quantile avg_over_time label_values'.split(
    ' ',
  ),
);
/** What Prometheus itself adds. */
const ADDED = new Set(['job', 'instance', 'le']);

/** What of an expression the service does not export. */
function unknownIn(expr: string, known: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const faults: string[] = [];
  const used: string[] = [];
  for (const [, name = '', inside = ''] of expr.matchAll(/([a-z]\w+)\{([^}]*)\}/g)) {
    for (const [, label = ''] of inside.matchAll(/(\w+)(?:=|!)/g)) {
      if (!ADDED.has(label) && !known.get(name)?.has(label)) faults.push(`${name}{${label}}`);
    }
  }
  const plain = expr.replaceAll(/\{[^}]*\}|\[[^\]]*\]|"[^"]*"/g, '');
  for (const [, group = ''] of plain.matchAll(/\bby \(([^)]*)\)/g)) used.push(...group.split(', '));
  const names = plain.replaceAll(/\bby \([^)]*\)/g, '').match(/[a-z]\w*/g) ?? [];
  const metrics = names.filter((name) => !WORDS.has(name) && !ADDED.has(name));
  assert.ok(metrics.length > 0, expr);
  for (const name of metrics) if (!known.has(name)) faults.push(name);
  for (const label of used) {
    const isThere = metrics.some((name) => known.get(name)?.has(label));
    if (!ADDED.has(label) && !isThere) faults.push(`by (${label})`);
  }
  return faults;
}

interface Dashboard {
  readonly templating: { readonly list: readonly { readonly query: string }[] };
  readonly panels: readonly {
    readonly title: string;
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

function dashboard(): Dashboard {
  return JSON.parse(readFileSync('docs/ops/grafana-dashboard.json', 'utf8')) as Dashboard;
}

function alerts(): readonly string[] {
  const text = readFileSync('docs/ops/prometheus-alerts.yml', 'utf8');
  return [...text.matchAll(/^ {8}expr: (.+)$/gm)].map(([, expr = '']) => expr);
}

const ops = suite('The dashboard and the alert rules');

ops('name metrics and labels that the service exports, and no others', async () => {
  const known = await exported();
  const shown = dashboard().panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  assert.ok(shown.length > 15);
  assert.is(
    alerts().length,
    readFileSync('docs/ops/prometheus-alerts.yml', 'utf8').split('- alert:').length - 1,
  );
  for (const expr of [...shown, ...alerts()]) assert.equal(unknownIn(expr, known), [], expr);
  assert.equal(
    unknownIn(
      'sum by (nobody) (rate(portcullis_use_cases_total{whose="x"}[5m])) / portcullis_lost',
      known,
    ),
    ['portcullis_use_cases_total{whose}', 'portcullis_lost', 'by (nobody)'],
  );
});

ops('show every metric of our own, and docs/operating.md says what it is', async () => {
  const metrics = new Metrics('1');
  metrics.watch({
    hashing: () => undefined,
    pool: () => undefined,
    connections: () => 0,
    maxConnections: 0,
  });
  const names = [...(await metrics.text()).matchAll(/^# TYPE (\w+)/gm)].map(
    ([, name = '']) => name,
  );
  const ours = names.filter((name) => /^(?:portcullis|http)_/.test(name));
  assert.ok(ours.length > 10);
  const shown = JSON.stringify(dashboard());
  const told = readFileSync('docs/operating.md', 'utf8');
  for (const name of ours) {
    assert.ok(shown.includes(name), name);
    const ending = name.replace('portcullis_database_pool', '');
    assert.ok(told.includes(`\`${name}\``) || told.includes(`\`${ending}\``), name);
  }
});

ops.run();
