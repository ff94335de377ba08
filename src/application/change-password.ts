import { parsePasswordChange } from '../domain/credentials.ts';
import { type Bearer, identify } from './authorize.ts';
import { type AttemptLimiter, limiterOf, type LimiterPort } from './limits/attempts.ts';
import type { Policy } from './ports.ts';
import {
  type AccountPorts,
  confirmPassword,
  overtakenRefusal,
  publishRejection,
} from './prove-password.ts';

/** The input of `ChangePassword`. */
export interface ChangePasswordInput extends Bearer {
  readonly currentPassword: string;
  readonly password: string;
  readonly confirmPassword: string;
  /** The IP address it comes from. Without one, attempts are counted by account alone. */
  readonly address?: string | undefined;
}

/** Gives the bearer's account a new password. */
export class ChangePassword {
  readonly #ports: AccountPorts;
  readonly #policy: Policy;
  readonly #limiter: AttemptLimiter;

  constructor(ports: AccountPorts & LimiterPort, policy: Policy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#limiter = limiterOf(ports);
  }

  /**
   * Ends every session but the one that asks.
   * @throws AuthError `missing_fields`, `passwords_differ`, what `checkNewPassword` refuses,
   * `wrong_password`, `too_many_attempts`, `service_busy`; and as `Authorize` does
   */
  async execute(input: ChangePasswordInput): Promise<void> {
    const { users, hasher, events } = this.#ports;
    const { accessToken, currentPassword, address } = input;
    const { user, sessionId } = await identify(this.#ports, { accessToken });
    const password = parsePasswordChange(input, this.#policy);
    const event = { user, sessionId, ...(address && { address }) };
    try {
      const account = await confirmPassword(this.#ports, this.#limiter, event, currentPassword);
      const isChanged = await users.changePassword({
        userId: user.id,
        version: account.passwordVersion,
        passwordHash: await hasher.hash(password),
        keep: sessionId,
      });
      if (!isChanged) throw await overtakenRefusal(this.#ports, user);
    } catch (error) {
      publishRejection(this.#ports, 'passwordChangeRejected', event, error);
      throw error;
    }
    events.publish('passwordChanged', event);
  }
}
