import {
  canonicalEmail,
  canonicalPassword,
  type Email,
  isBlank,
  isMissing,
  isPassword,
} from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { deviceLabel, type Session, startSession } from '../domain/session.ts';
import { type Account, publicUser } from '../domain/user.ts';
import { PasswordAttempts, passwordLimits } from './attempts.ts';
import { checkVerdict, type Ports, StoreUnwritable } from './ports.ts';
import { issueTokens, type SignedIn } from './tokens.ts';

/** What a user signs in with. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
  /** What is signing in, such as its User-Agent: a label of the session. */
  readonly device?: string | undefined;
  /** The IP address that it signs in from. Without it attempts are counted by account alone. */
  readonly address?: string | undefined;
}

/** Checks a password and starts a session. */
export class Login {
  readonly #ports: Ports;
  readonly #attempts: PasswordAttempts;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#attempts = new PasswordAttempts(ports);
  }

  /**
   * Every rejection of given credentials costs exactly one `hasher.verify`, whether the account
   * exists or not and whatever the password looks like; beyond the limits on attempts, right and
   * wrong ones alike are turned away without any.
   * @throws AuthError `missing_credentials`, `invalid_credentials`, `too_many_attempts`,
   * `service_busy`
   */
  async execute(credentials: Credentials): Promise<SignedIn> {
    const { password, address } = credentials;
    if (isBlank(credentials.email) || isMissing(password)) {
      throw new AuthError('missing_credentials');
    }
    const email = canonicalEmail(credentials.email);
    // A text that is no address is counted all the same: nobody must be able to tell the two apart.
    const limits = passwordLimits(email ?? credentials.email, address);
    try {
      return await this.#attempts.within(limits, () => this.#signIn(email, credentials));
    } catch (error) {
      this.#tellOfRejection(email, address, error);
      throw error;
    }
  }

  #tellOfRejection(email: Email | undefined, address: string | undefined, error: unknown): void {
    if (!(error instanceof AuthError)) return;
    const { code } = error;
    if (code !== 'invalid_credentials' && code !== 'too_many_attempts') return;
    this.#ports.events.publish('loginRejected', { email, code, address });
  }

  async #signIn(email: Email | undefined, credentials: Credentials): Promise<SignedIn> {
    const { users, hasher, tokens, clock, ids, events } = this.#ports;
    const password = canonicalPassword(credentials.password);
    const account = email === undefined ? undefined : await users.findByEmail(email);

    const hash = isPassword(password) ? account?.passwordHash : undefined;
    const verdict = checkVerdict(await hasher.verify(hash, password));
    // A disabled user is told nothing that one with a wrong password is not, and counts as one.
    if (account === undefined || verdict === 'wrong' || account.user.disabled) {
      throw new AuthError('invalid_credentials');
    }

    const now = clock.now();
    const { user } = account;
    const sessionIds = { id: ids.next(), tokenId: ids.next() };
    const device = deviceLabel(credentials.device);
    const started = startSession(sessionIds, device, now, tokens.refreshTokenTtl);
    const session = { ...started, userId: user.id };
    const stands = await this.#store(session, account.passwordVersion);
    if (!stands) throw new AuthError('invalid_credentials');
    const { address } = credentials;
    events.publish('loggedIn', { user, sessionId: session.id, ...(address && { address }) });
    if (verdict === 'outdated') await this.#upgrade(account, password);
    return { user: publicUser(user), ...(await issueTokens(this.#ports, session, user, now)) };
  }

  /**
   * Resolves to false if the password was changed while it was being checked, or its account deleted or
   * disabled. A
   * store that takes no writes keeps nobody out: the access token is good for as long as any, the
   * refresh token for nothing, since its session is not there.
   */
  async #store(session: Session, passwordVersion: number): Promise<boolean> {
    try {
      return await this.#ports.sessions.insert(session, passwordVersion);
    } catch (error) {
      if (error instanceof StoreUnwritable) return true;
      throw error;
    }
  }

  /** Best effort: a login that is right stands, and the next one tries again. */
  async #upgrade({ user, passwordHash }: Account, password: string): Promise<void> {
    const { users, hasher } = this.#ports;
    try {
      await users.replacePasswordHash(user.id, passwordHash, await hasher.hash(password));
    } catch {
      // Nothing is lost: the old hash is still there and still right.
    }
  }
}
