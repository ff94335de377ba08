import { type Script, scriptOf, shorter } from './script.ts';
import { type Plant, simulate } from './world.ts';

/** So many orders are tried for each script that might be shorter. */
const ORDERS = 40;

/** Leaves out what is not needed for a schedule to fail, in whatever order of its calls. */
export async function shrink(script: Script, seed: number, plant?: Plant) {
  let found = { script, order: seed, report: await simulate(script, seed, plant) };
  for (let next; (next = await shorterFailing(found.script, seed, plant)); ) found = next;
  return found;
}

async function shorterFailing(script: Script, seed: number, plant?: Plant) {
  for (const candidate of shorter(script)) {
    for (let order = seed; order < seed + ORDERS; order += 1) {
      const report = await simulate(candidate, order, plant);
      if (report.violation !== undefined) return { script: candidate, order, report };
    }
  }
  return undefined;
}

/** The first schedule that shows a planted bug: one in which nothing is wrong without it. */
export async function find(plant: Plant, schedules: number) {
  for (let seed = 1; seed <= schedules; seed += 1) {
    const script = scriptOf(seed);
    const { violation } = await simulate(script, seed, plant);
    if (violation === undefined) continue;
    const sound = await simulate(script, seed);
    if (sound.violation === undefined) return { schedules: seed, violation };
  }
  return undefined;
}
