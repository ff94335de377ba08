import { AuthError } from '../../../domain/errors.ts';

/** Whether a refresh token that was answered like this can never be used again. */
export function isDeadRefreshToken(error: unknown): error is AuthError {
  if (!(error instanceof AuthError)) return false;
  return error.code === 'invalid_refresh_token' || error.code === 'user_not_found';
}

/** The claims of a JWT, without a check of its signature. Undefined where it has none. */
export function unverifiedClaims(token: string): object | undefined {
  try {
    const [, payload = ''] = token.split('.');
    const json: unknown = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    return typeof json === 'object' && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
}
