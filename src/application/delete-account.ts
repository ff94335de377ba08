import { isMissing } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { type Bearer, identify } from './authorize.ts';
import { type AttemptLimiter, limiterOf, type LimiterPort } from './limits/attempts.ts';
import {
  type AccountPorts,
  confirmPassword,
  overtakenRefusal,
  publishRejection,
} from './prove-password.ts';

/** The input of `DeleteAccount`. */
export interface DeleteAccountInput extends Bearer {
  readonly password: string;
  /** The IP address it comes from. Without one, attempts are counted by account alone. */
  readonly address?: string | undefined;
}

/** Erases the bearer's account. */
export class DeleteAccount {
  readonly #ports: AccountPorts;
  readonly #limiter: AttemptLimiter;

  constructor(ports: AccountPorts & LimiterPort) {
    this.#ports = ports;
    this.#limiter = limiterOf(ports);
  }

  /**
   * The user and their sessions are gone when it resolves.
   * @throws AuthError `missing_fields`, `wrong_password`, `too_many_attempts`, `service_busy`; and as
   * `Authorize` does
   */
  async execute({ accessToken, password, address }: DeleteAccountInput): Promise<void> {
    const { users, events } = this.#ports;
    const { user, sessionId } = await identify(this.#ports, { accessToken });
    if (isMissing(password)) throw new AuthError('missing_fields');
    const origin = address && { address };
    const event = { user, sessionId, ...origin };
    try {
      const account = await confirmPassword(this.#ports, this.#limiter, event, password);
      const isDeleted = await users.delete(user.id, account.passwordVersion);
      if (!isDeleted) throw await overtakenRefusal(this.#ports, user);
    } catch (error) {
      publishRejection(this.#ports, 'accountDeletionRejected', event, error);
      throw error;
    }
    events.publish('accountDeleted', { user, ...origin });
  }
}
