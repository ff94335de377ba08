import { canonicalEmail, type Email, isBlank, isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { type AttemptLimiter, limiterOf, type LimiterPort } from './limits/attempts.ts';
import { passwordLimits } from './limits/policy.ts';
import { openSession, type SignedIn, type SignInOrigin } from './open-session.ts';
import type { Ports } from './ports.ts';
import { provePassword } from './prove-password.ts';

/** The input of `Login`. */
export interface LoginInput extends SignInOrigin {
  readonly email: string;
  readonly password: string;
}

/** Checks a password and starts a session. */
export class Login {
  readonly #ports: Ports;
  readonly #limiter: AttemptLimiter;

  constructor(ports: Ports & LimiterPort) {
    this.#ports = ports;
    this.#limiter = limiterOf(ports);
  }

  /**
   * Every rejected sign-in costs exactly one `hasher.verify`, whether the account exists or not and
   * whatever the password looks like. Beyond the limits on attempts, right and wrong passwords alike
   * are refused without any.
   * @throws AuthError `missing_credentials`, `invalid_credentials`, `too_many_attempts`,
   * `service_busy`
   */
  async execute(input: LoginInput): Promise<SignedIn> {
    if (isBlank(input.email) || isMissing(input.password)) {
      throw new AuthError('missing_credentials');
    }
    const email = canonicalEmail(input.email);
    // A text that is no address is counted all the same: nobody must be able to tell the two apart.
    const limits = passwordLimits(email ?? input.email, input.address);
    try {
      return await this.#limiter.run(limits, () => this.#signIn(email, input));
    } catch (error) {
      this.#publishRejection(email, input.address, error);
      throw error;
    }
  }

  async #signIn(email: Email | undefined, input: LoginInput): Promise<SignedIn> {
    const proof = await provePassword(this.#ports, { email, password: input.password });
    // A disabled user gets the reply of a wrong password, and counts as one.
    if (proof.kind !== 'proved') throw new AuthError('invalid_credentials');
    const signedIn = await openSession(this.#ports, proof.account, input);
    if (proof.needsRehash) await this.#rehash(proof);
    return signedIn;
  }

  /** Best effort: the old hash still works, and the next login tries again. */
  async #rehash({ account, password }: RightPassword): Promise<void> {
    const { users, hasher } = this.#ports;
    const { user, passwordHash } = account;
    try {
      await users.replacePasswordHash(user.id, passwordHash, await hasher.hash(password));
    } catch {
      // Nothing is lost.
    }
  }

  #publishRejection(email: Email | undefined, address: string | undefined, error: unknown): void {
    if (!(error instanceof AuthError)) return;
    const { code } = error;
    if (code !== 'invalid_credentials' && code !== 'too_many_attempts') return;
    this.#ports.events.publish('loginRejected', { email, code, address });
  }
}

type RightPassword = Extract<Awaited<ReturnType<typeof provePassword>>, { kind: 'proved' }>;
