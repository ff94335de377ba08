import { suite } from 'uvu';
import type { Case } from '../../src/testing/index.ts';

/** Runs a contract as a uvu suite; skips it, in plain sight, where its adapter has nothing to run on. */
export function runContract(title: string, cases: readonly Case[], available = true): void {
  const contract = suite(title);
  for (const { name, run } of cases) {
    if (available) contract(name, run);
    else contract.skip(name, run);
  }
  contract.run();
}

/** The names of the cases that an adapter fails. */
export async function failedCases(cases: readonly Case[]): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, run } of cases) {
    await run().catch(() => failed.push(name));
  }
  return failed;
}
