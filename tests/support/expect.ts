import { AuthError, type AuthErrorCode } from '../../src/application/index.ts';
import * as assert from 'uvu/assert';

/** Waits for a refusal and holds it to its code. */
export async function rejectsWith(promise: Promise<unknown>, code: AuthErrorCode): Promise<void> {
  assert.is(await outcome(promise), code);
}

/** The code of a refusal, 'fault' for any other rejection, or the value. */
export async function outcome<T>(promise: Promise<T>): Promise<T | AuthErrorCode | 'fault'> {
  try {
    return await promise;
  } catch (error) {
    return error instanceof AuthError ? error.code : 'fault';
  }
}
