import { isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import type { User } from '../domain/user.ts';
import type { Ports } from './ports.ts';

/** Who asks, by the access token that proves it. */
export interface Bearer {
  readonly accessToken: string;
}

/** Who is acting, and in which session. Nothing but the verified token says who that is. */
export interface Identity {
  readonly user: User;
  readonly sessionId: string;
}

/** Tells whose access token this is. The user is looked up on each call, so a deletion is seen at once. */
export class Authorize {
  readonly #ports: Pick<Ports, 'users' | 'tokens' | 'clock'>;

  constructor(ports: Pick<Ports, 'users' | 'tokens' | 'clock'>) {
    this.#ports = ports;
  }

  /** @throws AuthError `missing_access_token`, `invalid_access_token`, `user_not_found` */
  async execute(input: Bearer): Promise<Identity> {
    const { users, tokens, clock } = this.#ports;
    if (isMissing(input.accessToken)) throw new AuthError('missing_access_token');
    const claims = await tokens.verifyAccessToken(input.accessToken, clock.now());
    if (claims === undefined) throw new AuthError('invalid_access_token');
    const user = await users.findById(claims.userId);
    if (user === undefined) throw new AuthError('user_not_found');
    return { user, sessionId: claims.sessionId };
  }
}
