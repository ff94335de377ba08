import { parseRegistration } from '../domain/credentials.ts';
import type { User } from '../domain/user.ts';
import { type AttemptLimiter, limiterOf, type LimiterPort } from './limits/attempts.ts';
import { registrationLimits } from './limits/policy.ts';
import { openFirstSession, type SignedIn, type SignInOrigin } from './open-session.ts';
import type { Policy, Ports } from './ports.ts';

/** The input of `RegisterUser`. */
export interface RegisterUserInput extends SignInOrigin {
  readonly username: string;
  readonly email: string;
  readonly password: string;
  readonly confirmPassword: string;
}

/** The ports of `RegisterUser`. */
export type RegisterPorts = Pick<
  Ports,
  'users' | 'hasher' | 'tokens' | 'attempts' | 'clock' | 'ids' | 'events'
>;

/** Creates an account and signs it in. */
export class RegisterUser {
  readonly #ports: RegisterPorts;
  readonly #policy: Policy;
  readonly #limiter: AttemptLimiter;

  constructor(ports: RegisterPorts & LimiterPort, policy: Policy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#limiter = limiterOf(ports);
  }

  /**
   * @throws AuthError `missing_fields`, `passwords_differ`, what `parseEmail`, `parseUsername` and
   * `checkNewPassword` refuse, `email_taken`, `too_many_attempts`, `service_busy`
   */
  async execute(input: RegisterUserInput): Promise<SignedIn> {
    const { password, ...identity } = parseRegistration(input, this.#policy);
    const limits = registrationLimits(input.address);
    return this.#limiter.run(limits, () => this.#create(identity, password, input));
  }

  async #create(
    identity: Pick<User, 'username' | 'email'>,
    password: string,
    origin: SignInOrigin,
  ): Promise<SignedIn> {
    // Nobody asks beforehand whether the email is free: the unique key decides, after the hash, so that
    // no race slips through.
    const passwordHash = await this.#ports.hasher.hash(password);
    return openFirstSession(this.#ports, { ...identity, passwordHash }, origin);
  }
}
