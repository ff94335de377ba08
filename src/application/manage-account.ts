import {
  canonicalPassword,
  isMissing,
  isPassword,
  parsePasswordChange,
} from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import type { PasswordRejection, SessionEvent } from '../domain/events.ts';
import type { Account, User, UserRecord } from '../domain/user.ts';
import { PasswordAttempts, passwordLimits } from './attempts.ts';
import { Authorize, type Bearer } from './authorize.ts';
import { checkVerdict, type Policy, type Ports } from './ports.ts';

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
    const { events } = this.#ports;
    const { user, sessionId } = await this.#authorize.execute(input);
    const password = parsePasswordChange(input, this.#policy);
    const event = eventOf(user, sessionId, input.address);
    try {
      await this.#change(event, password, input);
    } catch (error) {
      const code = rejectionOf(error);
      if (code) events.publish('passwordChangeRejected', { ...event, code });
      throw error;
    }
    events.publish('passwordChanged', event);
  }

  async #change(
    { user, sessionId }: SessionEvent,
    password: string,
    { currentPassword, address }: PasswordChanging,
  ): Promise<void> {
    const { users, hasher } = this.#ports;
    const { passwordVersion } = await this.#attempts.within(
      passwordLimits(user.email, address),
      () => provePassword(this.#ports, user, currentPassword),
    );
    const changed = await users.changePassword({
      userId: user.id,
      version: passwordVersion,
      passwordHash: await hasher.hash(password),
      keep: sessionId,
    });
    if (!changed) throw await overtaken(this.#ports, user);
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
    const { events } = this.#ports;
    const { user, sessionId } = await this.#authorize.execute(input);
    if (isMissing(input.password)) throw new AuthError('missing_fields');
    const { address } = input;
    try {
      await this.#delete(user, input);
    } catch (error) {
      const code = rejectionOf(error);
      const event = eventOf(user, sessionId, address);
      if (code) events.publish('accountDeletionRejected', { ...event, code });
      throw error;
    }
    events.publish('accountDeleted', { user, ...(address && { address }) });
  }

  async #delete(user: User, { password, address }: AccountDeletion): Promise<void> {
    const { passwordVersion } = await this.#attempts.within(
      passwordLimits(user.email, address),
      () => provePassword(this.#ports, user, password),
    );
    const deleted = await this.#ports.users.delete(user.id, passwordVersion);
    if (!deleted) throw await overtaken(this.#ports, user);
  }
}

function eventOf(user: UserRecord, sessionId: string, address: string | undefined): SessionEvent {
  return { user, sessionId, ...(address && { address }) };
}

/** Of what was thrown, what says that somebody guesses: undefined for every other refusal or fault. */
function rejectionOf(error: unknown): PasswordRejection['code'] | undefined {
  if (!(error instanceof AuthError)) return undefined;
  const { code } = error;
  return code === 'wrong_password' || code === 'too_many_attempts' ? code : undefined;
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
  const verdict = checkVerdict(await hasher.verify(hash, password));
  if (verdict === 'wrong') throw new AuthError('wrong_password');
  if (account.user.disabled) throw new AuthError('invalid_access_token');
  return account;
}
