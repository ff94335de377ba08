import { AuthError, type AuthErrorCode } from './errors.ts';

/**
 * Settles as `work` does; after `ms` milliseconds as `expire` does, which may throw. The work
 * itself goes on. Costs one promise and one timer: every HTTP request passes through here.
 */
export function withDeadline<T>(work: Promise<T>, ms: number, expire: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve((async () => expire())()), ms);
    const settle =
      <Outcome>(pass: (outcome: Outcome) => void) =>
      (outcome: Outcome) => {
        clearTimeout(timer);
        pass(outcome);
      };
    work.then(settle(resolve), settle(reject));
  });
}

/**
 * How the call of a use case ended: well, with a refusal, or with a fault of a part of the system.
 */
export type CallOutcome = 'success' | AuthErrorCode | 'fault';

/** Makes a call and passes on what it gives or throws, after telling `observe` how it ended. */
export async function observeOutcome<T>(
  call: () => Promise<T>,
  observe: (outcome: CallOutcome) => void,
): Promise<T> {
  let outcome: CallOutcome = 'fault';
  try {
    const result = await call();
    outcome = 'success';
    return result;
  } catch (error) {
    if (error instanceof AuthError) outcome = error.code;
    throw error;
  } finally {
    observe(outcome);
  }
}
