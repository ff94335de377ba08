import type { Action } from './history.ts';

const BUSY = '503 Service is busy. Please try again.';
const WAIT = '429 Too many attempts. Please try again later.';
const FAILED = '500 An error occurred';
const GONE = '404 User not found';

/** The answers of the contract to requests that are in order, written down here once more. */
const KNOWN: Readonly<Record<Action, readonly (string | RegExp)[]>> = {
  register: [
    '201 User created successfully',
    '400 Email already registered. Please try with different email.',
    '500 Database error occurred. Please try again.',
    WAIT,
    BUSY,
  ],
  login: ['200 Login successful', '401 Invalid email or password', FAILED, WAIT, BUSY],
  refresh: ['200 ', '401 Invalid or expired refresh token', GONE, FAILED],
  protected: [/^200 Hello, .+\. This is a protected route\.$/, GONE, FAILED],
  delete: ['204 ', GONE, '401 Invalid password', FAILED, WAIT, BUSY],
};

/** Whether the contract has this answer to a request in which everything is right. */
export function isKnownAnswer(action: Action, status: number, message: string): boolean {
  const answer = `${status} ${message}`;
  return KNOWN[action].some((known) =>
    typeof known === 'string' ? known === answer : known.test(answer),
  );
}
