import { AuthError, type AuthErrorCode } from '../../../domain/errors.ts';

interface Answer {
  readonly status: number;
  /** A sentence of the document, or one that names the bound which was broken. */
  readonly message: string | ((limit: number | undefined) => string);
  readonly headers?: Headers | ((limit: number | undefined) => Headers);
}

type Headers = Readonly<Record<string, string>>;

// RFC 6750 §3: a challenge with every 401; `error` only where a token was sent.
const CHALLENGE = { 'WWW-Authenticate': 'Bearer' };
// RFC 6750 §3.1: a role is what a scope would be to a token of a third party.
const CHALLENGE_INSUFFICIENT = { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' };
const CHALLENGE_INVALID = { 'WWW-Authenticate': 'Bearer error="invalid_token"' };

/** What is said over HTTP for each refusal. A new code does not compile without its sentence. */
const ANSWERS: Readonly<Record<AuthErrorCode, Answer>> = {
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

/** The status, headers and sentence for a refusal. */
export function answerTo({ code, limit }: AuthError) {
  const { status, message, headers } = ANSWERS[code];
  return {
    status,
    message: typeof message === 'string' ? message : message(limit),
    headers: typeof headers === 'function' ? headers(limit) : headers,
  };
}

/** The refusal that a reply tells of: what `answerTo` said. Undefined where it is none. */
export function refusalIn(
  status: number,
  message: string,
  retryAfter: string | null,
): AuthError | undefined {
  for (const [code, answer] of Object.entries(ANSWERS)) {
    if (answer.status !== status || !isCode(code)) continue;
    if (typeof answer.message === 'string') {
      if (answer.message !== message) continue;
      const waits = typeof answer.headers === 'function' && retryAfter !== null;
      // A proxy may have made a date of the seconds.
      const seconds = waits && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined;
      return new AuthError(code, seconds);
    }
    const [before = '', after = ''] = answer.message(Number.NaN).split('NaN');
    const bound = message.slice(before.length, message.length - after.length);
    if (/^\d+$/.test(bound) && message === before + bound + after) {
      return new AuthError(code, Number(bound));
    }
  }
  return undefined;
}

function isCode(code: string): code is AuthErrorCode {
  return Object.hasOwn(ANSWERS, code);
}
