import {
  canonicalPassword,
  isMissing,
  isPassword,
  parsePasswordChange,
} from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import type { Account, User } from '../domain/user.ts';
import { PasswordAttempts, passwordLimits } from './attempts.ts';
import { Authorize, type Bearer } from './authorize.ts';
import type { Policy, Ports } from './ports.ts';

/** What changing and erasing an account needs of the world. */
export type AccountPorts = Pick<
  Ports,
  'users' | 'hasher' | 'tokens' | 'attempts' | 'clock' | 'events'
>;

/** A new password, and what proves that it is its owner who wants it. */
export interface PasswordChanging extends Bearer {
  readonly currentPassword: string;
  readonly password: string;
  readonly confirmPassword: string;
  /** The IP address that it comes from. Without it attempts are counted by account alone. */
  readonly address?: string | undefined;
}

/** What proves that it is its owner who wants an account erased. */
export interface AccountDeletion extends Bearer {
  readonly password: string;
  /** The IP address that it comes from. Without it attempts are counted by account alone. */
  readonly address?: string | undefined;
}

/** Gives the bearer's account a new password. */
export class ChangePassword {
  readonly #ports: AccountPorts;
  readonly #policy: Policy;
  readonly #authorize: Authorize;
  readonly #attempts: PasswordAttempts;

  constructor(ports: AccountPorts, policy: Policy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#authorize = new Authorize(ports);
    this.#attempts = new PasswordAttempts(ports);
  }

  /**
   * Ends every session but the one that asks.
   * @throws AuthError `missing_fields`, `passwords_differ`, what `checkNewPassword` refuses,
   * `wrong_password`, `too_many_attempts`, `service_busy`, and what `Authorize` throws
   */
  async execute(input: PasswordChanging): Promise<void> {
    const { users, hasher, events } = this.#ports;
    const { user, sessionId } = await this.#authorize.execute(input);
    const password = parsePasswordChange(input, this.#policy);

    const { passwordVersion } = await this.#attempts.within(
      passwordLimits(user.email, input.address),
      () => provePassword(this.#ports, user, input.currentPassword),
    );
    const changed = await users.changePassword({
      userId: user.id,
      version: passwordVersion,
      passwordHash: await hasher.hash(password),
      keep: sessionId,
    });
    if (!changed) throw await overtaken(this.#ports, user);
    const { address } = input;
    events.publish('passwordChanged', { user, sessionId, ...(address && { address }) });
  }
}

/** Erases the bearer's account. */
export class DeleteAccount {
  readonly #ports: AccountPorts;
  readonly #authorize: Authorize;
  readonly #attempts: PasswordAttempts;

  constructor(ports: AccountPorts) {
    this.#ports = ports;
    this.#authorize = new Authorize(ports);
    this.#attempts = new PasswordAttempts(ports);
  }

  /**
   * The user and their sessions are gone when it resolves.
   * @throws AuthError `missing_fields`, `wrong_password`, `too_many_attempts`, `service_busy`, and
   * what `Authorize` throws
   */
  async execute(input: AccountDeletion): Promise<void> {
    const { user } = await this.#authorize.execute(input);
    if (isMissing(input.password)) throw new AuthError('missing_fields');
    const { passwordVersion } = await this.#attempts.within(
      passwordLimits(user.email, input.address),
      () => provePassword(this.#ports, user, input.password),
    );
    const deleted = await this.#ports.users.delete(user.id, passwordVersion);
    if (!deleted) throw await overtaken(this.#ports, user);
    const { address } = input;
    this.#ports.events.publish('accountDeleted', { user, ...(address && { address }) });
  }
}

/** Another change came first: what was proved is no longer the password, or the account's is no more. */
async function overtaken({ users }: Pick<Ports, 'users'>, { id }: User): Promise<AuthError> {
  const user = await users.findById(id);
  if (user === undefined) return new AuthError('user_not_found');
  return new AuthError(user.disabled ? 'invalid_access_token' : 'wrong_password');
}

/** @throws AuthError `wrong_password`, `user_not_found`, `invalid_access_token`, `service_busy` */
async function provePassword(
  { users, hasher }: Pick<Ports, 'users' | 'hasher'>,
  user: User,
  given: string,
): Promise<Account> {
  const account = await users.findByEmail(user.email);
  // Deleted since the token was checked; and registered anew, it would be another account.
  if (account?.user.id !== user.id) throw new AuthError('user_not_found');
  const password = canonicalPassword(given);
  const hash = isPassword(password) ? account.passwordHash : undefined;
  if ((await hasher.verify(hash, password)) === 'wrong') throw new AuthError('wrong_password');
  if (account.user.disabled) throw new AuthError('invalid_access_token');
  return account;
}
