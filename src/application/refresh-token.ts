import { isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { isExpired } from '../domain/session.ts';
import type { Ports } from './ports.ts';

/** Exchanges a refresh token, whose session still stands, for a new access token. */
export class RefreshToken {
  readonly #ports: Pick<Ports, 'users' | 'sessions' | 'tokens' | 'clock' | 'ids'>;

  constructor(ports: Pick<Ports, 'users' | 'sessions' | 'tokens' | 'clock' | 'ids'>) {
    this.#ports = ports;
  }

  /** @throws AuthError `missing_refresh_token`, `invalid_refresh_token`, `user_not_found` */
  async execute(input: { readonly refreshToken: string }): Promise<{
    readonly accessToken: string;
  }> {
    const { users, sessions, tokens, clock, ids } = this.#ports;
    if (isMissing(input.refreshToken)) throw new AuthError('missing_refresh_token');
    const now = clock.now();
    const claims = await tokens.verifyRefreshToken(input.refreshToken, now);
    if (claims === undefined) throw new AuthError('invalid_refresh_token');

    // The user first: a deleted user's sessions are gone too, and "User not found" says more.
    const user = await users.findById(claims.userId);
    if (user === undefined) throw new AuthError('user_not_found');
    const session = await sessions.find(claims.sessionId);
    if (session === undefined || session.userId !== user.id || isExpired(session, now)) {
      throw new AuthError('invalid_refresh_token');
    }
    const subject = { userId: user.id, sessionId: session.id, tokenId: ids.next() };
    return { accessToken: await tokens.issueAccessToken(subject, now) };
  }
}
