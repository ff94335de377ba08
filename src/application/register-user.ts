import {
  canonicalPassword,
  checkNewPassword,
  isBlank,
  isMissing,
  parseEmail,
  parseUsername,
} from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { deviceLabel, startSession } from '../domain/session.ts';
import type { User } from '../domain/user.ts';
import type { Policy, Ports } from './ports.ts';
import { issueTokens, type TokenPair } from './tokens.ts';

export interface Registration {
  readonly username: string;
  readonly email: string;
  readonly password: string;
  readonly confirmPassword: string;
  /** What is signing in, such as its User-Agent: a label of the session. */
  readonly device?: string;
}

/** Creates an account and signs it in. */
export class RegisterUser {
  readonly #ports: Pick<Ports, 'users' | 'hasher' | 'tokens' | 'clock' | 'ids'>;
  readonly #policy: Policy;

  constructor(ports: Pick<Ports, 'users' | 'hasher' | 'tokens' | 'clock' | 'ids'>, policy: Policy) {
    this.#ports = ports;
    this.#policy = policy;
  }

  /**
   * @throws AuthError `missing_fields`, `passwords_differ`, what `parseEmail`, `parseUsername` and
   * `checkNewPassword` refuse, `email_taken`, `service_busy`
   */
  async execute(registration: Registration): Promise<TokenPair & { readonly user: User }> {
    const { users, hasher, tokens, clock, ids } = this.#ports;
    const { username, email, password, confirmPassword } = registration;
    if (isBlank(username) || isBlank(email) || isMissing(password) || isMissing(confirmPassword)) {
      throw new AuthError('missing_fields');
    }
    const secret = canonicalPassword(password);
    if (secret !== canonicalPassword(confirmPassword)) throw new AuthError('passwords_differ');
    const identity = { email: parseEmail(email), username: parseUsername(username) };
    checkNewPassword(secret, this.#policy);

    // Whether the email is free is not asked beforehand: the unique key decides, after the hash, so
    // that no race slips through.
    const passwordHash = await hasher.hash(secret);
    const now = clock.now();
    const sessionIds = { id: ids.next(), tokenId: ids.next() };
    const device = deviceLabel(registration.device);
    const session = startSession(sessionIds, device, now, tokens.refreshTokenTtl);
    const user = await users.insert({ ...identity, passwordHash, dateCreated: now }, session);
    return { user, ...(await issueTokens(this.#ports, { ...session, userId: user.id }, now)) };
  }
}
