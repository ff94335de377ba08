/**
 * Runs thousands of seeded schedules against the invariants, then plants bugs, each of which must be
 * found. SEED=7 runs that one and prints its trace; SCHEDULES=100000 sets how many.
 */
import { REFUSALS } from './answers.ts';
import { PLANTED } from './planted.ts';
import { describe, scriptOf } from './script.ts';
import { find, shrink } from './search.ts';
import { type Report, simulate } from './world.ts';

const SCHEDULES = 10_000;
/** So many at most for each planted bug. */
const PLANTED_SCHEDULES = 5_000;
/** After so many there is nothing left that has not come about. */
const ALL_SEEN = 5_000;
/** Failures that are shown in full. */
const SHOWN = 3;

async function main(): Promise<number> {
  const { SEED: seed, SCHEDULES: schedules } = process.env;
  if (seed !== undefined) return replay(numberIn(seed));
  const failed = await runAll(schedules === undefined ? SCHEDULES : numberIn(schedules));
  const missed = await runPlanted();
  const all = 1 + PLANTED.length;
  const failures = (failed ? 1 : 0) + missed;
  console.log(`${all - failures} passed, ${failures} failed`);
  return failures > 0 ? 1 : 0;
}

/** @throws RangeError for what is no whole number from 1 on */
function numberIn(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new RangeError(`not a number: ${text}`);
  return number;
}

async function replay(seed: number): Promise<number> {
  const script = scriptOf(seed);
  const report = await simulate(script, seed);
  console.log([describe(script), ...report.trace].join('\n'));
  const isGood = report.violation === undefined;
  console.log(isGood ? '1 passed, 0 failed' : '0 passed, 1 failed');
  return isGood ? 0 : 1;
}

/** Resolves to whether anything was wrong. */
async function runAll(schedules: number): Promise<boolean> {
  const started = performance.now();
  const sum = { steps: 0, crashes: 0, faults: 0, requests: 0 };
  const seen = new Set<string>();
  let failures = 0;
  for (let seed = 1; seed <= schedules; seed += 1) {
    const report = await simulate(scriptOf(seed), seed);
    for (const name of ['steps', 'crashes', 'faults'] as const) sum[name] += report[name];
    sum.requests += report.outcomes.length;
    for (const outcome of report.outcomes) seen.add(outcome);
    if (report.violation === undefined) continue;
    failures += 1;
    if (failures <= SHOWN) await show(seed, report);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `${schedules} schedules, ${sum.requests} requests, ${sum.steps} steps, ${sum.crashes} ` +
      `crashes, ${sum.faults} faults injected, ${seconds} s: ${failures} violate an invariant`,
  );
  // What never came about has not been tried.
  const missing = schedules < ALL_SEEN ? [] : wanted().filter((outcome) => !seen.has(outcome));
  for (const outcome of missing) console.log(`FAIL never seen: ${outcome}`);
  return failures > 0 || missing.length > 0;
}

/** All that may come of a request: each must, in so many schedules. */
function wanted(): readonly string[] {
  return Object.entries(REFUSALS).flatMap(([kind, codes]) =>
    ['answered', 'failed', 'lost', ...codes]
      // What never is right is no sign-in.
      .filter((outcome) => kind !== 'guess' || outcome !== 'answered')
      .map((outcome) => `${kind} ${outcome}`),
  );
}

/** Prints what fails, as short as it can be made. */
async function show(seed: number, { violation }: Report): Promise<void> {
  const { script, order, report } = await shrink(scriptOf(seed), seed);
  console.log(`FAIL SEED=${seed}: ${violation}`);
  console.log(`as short as it was made, in order ${order}:\n${describe(script)}`);
  console.log(report.trace.join('\n'));
}

/** Resolves to the number of planted bugs that were not found. */
async function runPlanted(): Promise<number> {
  let missed = 0;
  console.log('\n| planted bug | found after schedules | by |\n|---|---|---|');
  for (const bug of PLANTED) {
    const found = await find(bug, PLANTED_SCHEDULES);
    if (found === undefined) missed += 1;
    const row = found ? [found.schedules, found.violation] : [`NOT in ${PLANTED_SCHEDULES}`, ''];
    console.log(`| ${[bug.title, ...row].join(' | ')} |`);
  }
  console.log('');
  return missed;
}

process.exitCode = await main();
