import { setImmediate as turn } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import type { AuthErrorCode } from '../../src/application/index.ts';
import { outcome } from '../../src/testing/case.ts';

export { outcome };

/** Waits for a refusal and holds it to its code. */
export async function rejectsWith(promise: Promise<unknown>, code: AuthErrorCode): Promise<void> {
  assert.is(await outcome(promise), code);
}

/** What is printed on the standard error output meanwhile, each line as one text. */
export async function printedErrors(work: () => Promise<void>): Promise<string[]> {
  const { error } = console;
  const lines: string[] = [];
  console.error = (...line: unknown[]) => void lines.push(line.join(' '));
  try {
    await work();
    await turn();
  } finally {
    console.error = error;
  }
  return lines;
}
