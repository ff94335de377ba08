import { isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { includesRole, type Role, type UserRecord } from '../domain/user.ts';
import type { Ports } from './ports.ts';

/** Who asks, by the access token that proves it. */
export interface Bearer {
  readonly accessToken: string;
}

/** Who asks, and who may. */
export interface Authorization extends Bearer {
  /** What the user must be at least; anybody unless given. */
  readonly role?: Role | undefined;
}

/** Who is acting, and in which session. Nothing but the verified token says who that is. */
export interface Identity {
  readonly user: UserRecord;
  readonly sessionId: string;
}

/**
 * Tells whose access token this is. The user is looked up on each call, so it is seen at once that one has
 * been deleted, disabled or given another role, whatever the token says.
 */
export class Authorize {
  readonly #ports: Pick<Ports, 'users' | 'tokens' | 'clock'>;

  constructor(ports: Pick<Ports, 'users' | 'tokens' | 'clock'>) {
    this.#ports = ports;
  }

  /**
   * @throws AuthError `missing_access_token`, `invalid_access_token` (also a disabled user's),
   * `user_not_found`, `insufficient_role`
   */
  async execute(input: Authorization): Promise<Identity> {
    const { users, tokens, clock } = this.#ports;
    if (isMissing(input.accessToken)) throw new AuthError('missing_access_token');
    const claims = await tokens.verifyAccessToken(input.accessToken, clock.now());
    if (claims === undefined) throw new AuthError('invalid_access_token');
    const user = await users.findById(claims.userId);
    if (user === undefined) throw new AuthError('user_not_found');
    if (user.disabled) throw new AuthError('invalid_access_token');
    if (input.role !== undefined && !includesRole(user.role, input.role)) {
      throw new AuthError('insufficient_role');
    }
    return { user, sessionId: claims.sessionId };
  }
}
