import { scriptOf } from './script.ts';
import { simulate } from './world.ts';
const n = Number(process.env['SCHEDULES'] ?? 500);
const t = performance.now();
const sum = { steps: 0, crashes: 0, faults: 0, operations: 0 };
const bad = new Map<string, number[]>();
const codes = new Map<string, number>();
for (let seed = Number(process.env['SEED'] ?? 1), i = 0; i < n; i += 1, seed += 1) {
  const r = await simulate(scriptOf(seed), seed);
  sum.steps += r.steps; sum.crashes += r.crashes; sum.faults += r.faults; sum.operations += r.operations;
  if (r.violation) { const l = bad.get(r.violation) ?? []; l.push(seed); bad.set(r.violation, l); }
  const kinds = new Map<string,string>();
  for (const line of r.trace) { let m = /op-(\d+) at .*?: (\w+)/.exec(line); if (m) kinds.set(m[1]!, m[2]!);
    else if ((m = /^  op-(\d+) (\w+)/.exec(line))) { const k = kinds.get(m[1]!) + ' ' + m[2]; codes.set(k, (codes.get(k) ?? 0) + 1); } }
  if (process.env['SEED']) console.log(r.trace.join('\n'));
}
console.log(sum, ((performance.now() - t) / 1000).toFixed(1), 's');
console.log(bad);
console.log([...codes].sort().map(([k, v]) => `${k}: ${v}`).join('\n'));
