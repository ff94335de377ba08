import * as assert from 'uvu/assert';
import type { AuthErrorCode } from '../../src/application/index.ts';
import { outcome } from '../../src/testing/case.ts';

export { outcome };

/** Waits for a refusal and holds it to its code. */
export async function rejectsWith(promise: Promise<unknown>, code: AuthErrorCode): Promise<void> {
  assert.is(await outcome(promise), code);
}
