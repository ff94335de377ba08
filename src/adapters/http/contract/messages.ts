import { AuthError, type AuthErrorCode } from '../../../domain/errors.ts';

/** The reply to a refusal. */
interface ErrorMapping {
  readonly status: number;
  /** The message, or how to make it of the bound that was broken. */
  readonly message: string | ((limit: number | undefined) => string);
  readonly headers?: Headers | ((limit: number | undefined) => Headers);
}

type Headers = Readonly<Record<string, string>>;

// RFC 6750 §3: every 401 has a challenge, with `error` only where a token was sent.
const CHALLENGE = { 'WWW-Authenticate': 'Bearer' };
// RFC 6750 §3.1: a role is to our tokens what a scope is to those of a third party.
const CHALLENGE_INSUFFICIENT = { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' };
const CHALLENGE_INVALID = { 'WWW-Authenticate': 'Bearer error="invalid_token"' };

/** The HTTP reply to each error code. A new code does not compile without its message. */
const ERRORS: Readonly<Record<AuthErrorCode, ErrorMapping>> = {
  missing_fields: { status: 400, message: 'Missing required fields' },
  missing_credentials: { status: 400, message: 'Missing email or password' },
  missing_refresh_token: { status: 400, message: 'Missing refresh token' },
  passwords_differ: { status: 400, message: 'Passwords do not match' },
  invalid_email: { status: 400, message: 'Invalid email address' },
  invalid_username: { status: 400, message: 'Invalid username' },
  username_too_long: {
    status: 400,
    message: (limit) => `Username must be at most ${limit} characters`,
  },
  invalid_password: { status: 400, message: 'Invalid password' },
  password_too_short: {
    status: 400,
    message: (limit) => `Password must be at least ${limit} characters`,
  },
  password_too_long: {
    status: 400,
    message: (limit) => `Password must be at most ${limit} bytes`,
  },
  password_too_common: { status: 400, message: 'Password is too common' },
  invalid_role: { status: 400, message: 'Invalid role' },
  invalid_after: { status: 400, message: 'Invalid after' },
  invalid_limit: { status: 400, message: (limit) => `Limit must be between 1 and ${limit}` },
  email_taken: {
    status: 400,
    message: 'Email already registered. Please try with different email.',
  },
  missing_access_token: { status: 401, message: 'Token is missing!', headers: CHALLENGE },
  invalid_access_token: {
    status: 401,
    message: 'Token is invalid or expired!',
    headers: CHALLENGE_INVALID,
  },
  invalid_credentials: { status: 401, message: 'Invalid email or password', headers: CHALLENGE },
  invalid_refresh_token: {
    status: 401,
    message: 'Invalid or expired refresh token',
    headers: CHALLENGE,
  },
  insufficient_role: {
    status: 403,
    message: 'Insufficient role',
    headers: CHALLENGE_INSUFFICIENT,
  },
  user_not_found: { status: 404, message: 'User not found' },
  session_not_found: { status: 404, message: 'Session not found' },
  wrong_password: { status: 401, message: 'Invalid password', headers: CHALLENGE },
  too_many_attempts: {
    status: 429,
    message: 'Too many attempts. Please try again later.',
    headers: (seconds) => ({ 'Retry-After': String(seconds) }),
  },
  service_busy: {
    status: 503,
    message: 'Service is busy. Please try again.',
    headers: { 'Retry-After': '1' },
  },
};

/** The errors of an endpoint that takes a new password. */
export const NEW_PASSWORD_ERRORS: readonly AuthErrorCode[] = [
  'passwords_differ',
  'invalid_password',
  'password_too_short',
  'password_too_long',
  'password_too_common',
];

/** The errors of an endpoint that hashes a password. */
export const HASHING_ERRORS: readonly AuthErrorCode[] = ['too_many_attempts', 'service_busy'];

/** The status, message and headers of the reply to an error. */
export function mapError({ code, limit }: AuthError) {
  const { status, message, headers } = ERRORS[code];
  return {
    status,
    message: typeof message === 'string' ? message : message(limit),
    headers: typeof headers === 'function' ? headers(limit) : headers,
  };
}

/** The error that `mapError` made a reply of. Undefined if the reply is of no error. */
export function parseError(
  status: number,
  message: string,
  retryAfter: string | null,
): AuthError | undefined {
  for (const [code, mapping] of Object.entries(ERRORS)) {
    if (mapping.status !== status || !isCode(code)) continue;
    if (typeof mapping.message === 'string') {
      if (mapping.message !== message) continue;
      const waits = typeof mapping.headers === 'function' && retryAfter !== null;
      // A proxy may have replaced the seconds by a date.
      const seconds = waits && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined;
      return new AuthError(code, seconds);
    }
    const [before = '', after = ''] = mapping.message(Number.NaN).split('NaN');
    const bound = message.slice(before.length, message.length - after.length);
    if (/^\d+$/.test(bound) && message === before + bound + after) {
      return new AuthError(code, Number(bound));
    }
  }
  return undefined;
}

function isCode(code: string): code is AuthErrorCode {
  return Object.hasOwn(ERRORS, code);
}
