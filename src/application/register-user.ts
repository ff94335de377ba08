import { parseRegistration } from '../domain/credentials.ts';
import { deviceLabel, startSession } from '../domain/session.ts';
import { publicUser, type User } from '../domain/user.ts';
import { PasswordAttempts, registrationLimits } from './attempts.ts';
import type { Policy, Ports } from './ports.ts';
import { issueTokens, type SignedIn } from './tokens.ts';

/** What a new account is made of, as the user gives it. */
export interface Registration {
  readonly username: string;
  readonly email: string;
  readonly password: string;
  readonly confirmPassword: string;
  /** What is signing in, such as its User-Agent: a label of the session. */
  readonly device?: string | undefined;
  /** The IP address that it comes from. Without it attempts are not counted. */
  readonly address?: string | undefined;
}

/** What registering needs of the world. */
export type RegisterPorts = Pick<
  Ports,
  'users' | 'hasher' | 'tokens' | 'attempts' | 'clock' | 'ids' | 'events'
>;

/** Creates an account and signs it in. */
export class RegisterUser {
  readonly #ports: RegisterPorts;
  readonly #policy: Policy;
  readonly #attempts: PasswordAttempts;

  constructor(ports: RegisterPorts, policy: Policy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#attempts = new PasswordAttempts(ports);
  }

  /**
   * @throws AuthError `missing_fields`, `passwords_differ`, what `parseEmail`, `parseUsername` and
   * `checkNewPassword` refuse, `email_taken`, `too_many_attempts`, `service_busy`
   */
  async execute(registration: Registration): Promise<SignedIn> {
    const { password, ...identity } = parseRegistration(registration, this.#policy);
    const limits = registrationLimits(registration.address);
    const device = deviceLabel(registration.device);
    return this.#attempts.within(limits, () =>
      this.#create(identity, password, device, registration.address),
    );
  }

  async #create(
    identity: Pick<User, 'username' | 'email'>,
    password: string,
    device: string | null,
    address: string | undefined,
  ): Promise<SignedIn> {
    const { users, hasher, tokens, clock, ids, events } = this.#ports;
    // Whether the email is free is not asked beforehand: the unique key decides, after the hash, so
    // that no race slips through.
    const passwordHash = await hasher.hash(password);
    const now = clock.now();
    const sessionIds = { id: ids.next(), tokenId: ids.next() };
    const session = startSession(sessionIds, device, now, tokens.refreshTokenTtl);
    const user = await users.insert({ ...identity, passwordHash, dateCreated: now }, session);
    events.publish('registered', { user, sessionId: session.id, ...(address && { address }) });
    const pair = await issueTokens(this.#ports, { ...session, userId: user.id }, user, now);
    return { user: publicUser(user), ...pair };
  }
}
