/**
 * Measures the service side by side with what it is compared to, and says which bars it reaches.
 * Prints tables, and writes them with a plot to bench/results/. Asserts nothing, because the result
 * depends on the machine. Runs `ROUNDS` (5) rounds of `SECONDS` (3) each, of all sections or of
 * those named.
 *
 *   npm run bench
 *   ROUNDS=3 SECONDS=2 npm run bench -- protected login
 *
 * Four more programs have no bars, so they are no sections. Each documents its own settings:
 *
 *   npm run bench -- overload       or soak, timing, profile /protected
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bar, type Findings, isMet, type Section } from './findings.ts';
import { requireWrk } from './load.ts';
import { drawBars } from './plot.ts';
import { figure, markdown } from './report.ts';
import { floodSection } from './sections/flood.ts';
import { helloSection } from './sections/hello.ts';
import { memorySection } from './sections/memory.ts';
import { loginSection, registerSection } from './sections/passwords.ts';
import { protectedSection } from './sections/protected.ts';
import { refreshSection } from './sections/refresh.ts';
import { scaleSection } from './sections/scale.ts';
import { startSection } from './sections/start.ts';
import { usersSection } from './sections/users.ts';
import { workersSection } from './sections/workers.ts';
import { PEERS, Stage } from './stage.ts';

const SECTIONS: readonly Section[] = [
  protectedSection,
  refreshSection,
  loginSection,
  registerSection,
  floodSection,
  helloSection,
  startSection,
  scaleSection,
  usersSection,
  workersSection,
  memorySection,
];
const RESULTS = join(import.meta.dirname, 'results');

const [program = '', ...rest] = process.argv.slice(2);
if (['overload', 'profile', 'soak', 'timing'].includes(program)) {
  process.argv.splice(2, Infinity, ...rest);
  await import(`./${program}.ts`);
  process.exit();
}
const wanted = process.argv.slice(2);
const names = SECTIONS.map(({ name }) => name);
const unknownName = wanted.find((name) => !names.includes(name));
if (unknownName !== undefined) {
  console.error(`there is no section ${unknownName}, only ${names.join(', ')}`);
  process.exit(2);
}
requireWrk();
if (!existsSync(join(PEERS, 'node_modules'))) {
  console.log('Installing what the service is compared to');
  const options = ['--prefix', PEERS, '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', ['ci', ...options], { stdio: 'inherit' });
}

const found = new Map<string, Findings>();
const stage = await Stage.open();
try {
  for (const section of SECTIONS) {
    if (wanted.length === 0 || wanted.includes(section.name)) await measure(section);
  }
} finally {
  await stage.close();
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, 'latest.md'), markdown(found));
  writeFileSync(join(RESULTS, 'latest.svg'), drawBars(found));
}
const bars = [...found.values()].flatMap((findings) => findings.bars);
console.log('\nAll of them');
console.table(bars.map(line));
console.log(`${bars.filter(isMet).length} of ${bars.length} bars met`);

/** Measures one section. A section that fails does not stop the others. */
async function measure({ name, run }: Section): Promise<void> {
  const started = performance.now();
  stage.beginSection();
  try {
    const findings = await run(stage);
    found.set(name, findings);
    console.log(`\n${name} (${((performance.now() - started) / 1000).toFixed(0)} s)`);
    for (const [title, table] of Object.entries(findings.tables)) {
      console.log(title);
      console.table(table);
    }
    console.table(findings.bars.map(line));
  } catch (fault) {
    console.error(`${name} could not be measured:`, fault);
    process.exitCode = 1;
  } finally {
    await stage.endSection(name);
  }
}

function line(bar: Bar) {
  const { measured, bound, met } = figure(bar);
  return { bar: bar.bar, measured, bound, met };
}
