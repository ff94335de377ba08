/**
 * The codes of all refusals. A code says what happened; the adapter that talks to the caller has the
 * sentence and the status for it (over HTTP: `adapters/http/contract/messages.ts`).
 */
export type AuthErrorCode =
  | 'missing_fields'
  | 'missing_credentials'
  | 'missing_refresh_token'
  | 'missing_access_token'
  | 'passwords_differ'
  | 'invalid_email'
  | 'invalid_username'
  | 'username_too_long'
  | 'invalid_password'
  | 'password_too_short'
  | 'password_too_long'
  | 'password_too_common'
  | 'invalid_role'
  | 'invalid_after'
  | 'invalid_limit'
  | 'email_taken'
  | 'invalid_credentials'
  | 'invalid_access_token'
  | 'invalid_refresh_token'
  | 'insufficient_role'
  | 'user_not_found'
  | 'session_not_found'
  | 'wrong_password'
  | 'too_many_attempts'
  | 'service_busy';

/** A refusal that the caller can act on. Anything else that is thrown is a fault of the system. */
export class AuthError extends Error {
  override readonly name = 'AuthError';
  readonly code: AuthErrorCode;
  /**
   * The bound that was broken, if the code has one, in characters, bytes or rows; with
   * `too_many_attempts` the seconds to wait.
   */
  readonly limit: number | undefined;

  constructor(code: AuthErrorCode, limit?: number) {
    super(code);
    this.code = code;
    this.limit = limit;
  }
}
