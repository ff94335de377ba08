import { isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { includesRole, type Role, type UserRecord } from '../domain/user.ts';
import type { Ports } from './ports.ts';

/** The bearer of an access token. */
export interface Bearer {
  readonly accessToken: string;
}

/** The input of `Authorize`. */
export interface AuthorizeInput extends Bearer {
  /** The least role that the user must have; any unless given. */
  readonly role?: Role | undefined;
}

/** A user who acts, and in which session. Only a verified token says who that is. */
export interface Identity {
  readonly user: UserRecord;
  readonly sessionId: string;
}

/** The ports that `identify` needs. */
export type IdentifyPorts = Pick<Ports, 'users' | 'tokens' | 'clock'>;

/**
 * Finds the user of an access token. The user is looked up on each call, so a deletion, a new role or
 * being disabled takes effect at once, whatever the token says.
 * @throws AuthError `missing_access_token`, `invalid_access_token` (also a disabled user's),
 * `user_not_found`, `insufficient_role`
 */
export async function identify(
  { users, tokens, clock }: IdentifyPorts,
  { accessToken, role }: AuthorizeInput,
): Promise<Identity> {
  if (isMissing(accessToken)) throw new AuthError('missing_access_token');
  const claims = await tokens.verifyAccessToken(accessToken, clock.now());
  if (claims === undefined) throw new AuthError('invalid_access_token');
  const user = await users.findById(claims.userId);
  if (user === undefined) throw new AuthError('user_not_found');
  if (user.disabled) throw new AuthError('invalid_access_token');
  if (role !== undefined && !includesRole(user.role, role)) {
    throw new AuthError('insufficient_role');
  }
  return { user, sessionId: claims.sessionId };
}

/** Finds the user of an access token, and checks their role. */
export class Authorize {
  readonly #ports: IdentifyPorts;

  constructor(ports: IdentifyPorts) {
    this.#ports = ports;
  }

  /** @throws AuthError as `identify` does */
  execute(input: AuthorizeInput): Promise<Identity> {
    return identify(this.#ports, input);
  }
}
