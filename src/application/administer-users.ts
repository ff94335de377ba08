import { parseEmail, parseNewPassword, parseRegistration } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import { isRole, type Role, type UserId, type UserRecord } from '../domain/user.ts';
import type { Policy, Ports } from './ports.ts';

// What an operator does with users. None of it asks for a token: it is for the owner of the process, such
// as the command line, and no endpoint leads here.

/** A user, named by their id or by any spelling of their email. */
export type UserRef = { readonly id: UserId } | { readonly email: string };

/** The input of `DisableUser`, `EnableUser` and `DeleteUser`. */
export interface UserIdInput {
  readonly userId: UserId;
}

/** The input of `CreateUser`. */
export interface CreateUserInput {
  readonly username: string;
  readonly email: string;
  readonly password: string;
  /** `user` unless given. */
  readonly role?: Role | undefined;
}

/** The input of `SetRole`. */
export interface SetRoleInput extends UserIdInput {
  readonly role: Role;
}

/** The input of `SetPassword`. */
export interface SetPasswordInput extends UserIdInput {
  readonly password: string;
}

/** The ports of `CreateUser`. */
export type UserCreationPorts = Pick<Ports, 'users' | 'hasher' | 'clock' | 'events'>;

/** Creates an account without signing it in. */
export class CreateUser {
  readonly #ports: UserCreationPorts;
  readonly #policy: Policy;

  constructor(ports: UserCreationPorts, policy: Policy) {
    this.#ports = ports;
    this.#policy = policy;
  }

  /**
   * @throws AuthError `invalid_role`, `missing_fields`, what `parseEmail`, `parseUsername` and
   * `checkNewPassword` refuse, `email_taken`, `service_busy`
   */
  async execute({ role = 'user', ...given }: CreateUserInput): Promise<UserRecord> {
    const { users, hasher, clock, events } = this.#ports;
    checkRole(role);
    const fields = { ...given, confirmPassword: given.password };
    const { password, ...identity } = parseRegistration(fields, this.#policy);
    const passwordHash = await hasher.hash(password);
    const dateCreated = clock.now();
    const user = await users.insert({ ...identity, role, passwordHash, dateCreated });
    events.publish('userCreated', { user });
    return user;
  }
}

/** Finds one user. */
export class FindUser {
  readonly #ports: Pick<Ports, 'users'>;

  constructor(ports: Pick<Ports, 'users'>) {
    this.#ports = ports;
  }

  /** @throws AuthError `user_not_found`, `invalid_email` */
  async execute(ref: UserRef): Promise<UserRecord> {
    if ('id' in ref) return userOf(this.#ports, ref.id);
    const account = await this.#ports.users.findByEmail(parseEmail(ref.email));
    if (account === undefined) throw new AuthError('user_not_found');
    return account.user;
  }
}

/** Gives a user a role. It takes effect with their next request. */
export class SetRole {
  readonly #ports: Pick<Ports, 'users' | 'events'>;

  constructor(ports: Pick<Ports, 'users' | 'events'>) {
    this.#ports = ports;
  }

  /**
   * Access tokens issued before keep claiming the old role until they expire; only services that do not
   * look users up believe them.
   * @throws AuthError `invalid_role`, `user_not_found`
   */
  async execute({ userId, role }: SetRoleInput): Promise<UserRecord> {
    const { users, events } = this.#ports;
    checkRole(role);
    const before = await userOf(this.#ports, userId);
    if (!(await users.setRole(userId, role))) throw new AuthError('user_not_found');
    const user = { ...before, role };
    if (before.role !== role) events.publish('roleChanged', { user });
    return user;
  }
}

/** Disables a user. */
export class DisableUser {
  readonly #ports: Pick<Ports, 'users' | 'events'>;

  constructor(ports: Pick<Ports, 'users' | 'events'>) {
    this.#ports = ports;
  }

  /**
   * When it resolves, all their sessions have ended, and none of their tokens or passwords works.
   * @throws AuthError `user_not_found`
   */
  execute({ userId }: UserIdInput): Promise<UserRecord> {
    return setDisabled(this.#ports, userId, true);
  }
}

/** Enables a disabled user. */
export class EnableUser {
  readonly #ports: Pick<Ports, 'users' | 'events'>;

  constructor(ports: Pick<Ports, 'users' | 'events'>) {
    this.#ports = ports;
  }

  /**
   * They have to sign in: no earlier session works again.
   * @throws AuthError `user_not_found`
   */
  execute({ userId }: UserIdInput): Promise<UserRecord> {
    return setDisabled(this.#ports, userId, false);
  }
}

/** Gives a user another password. */
export class SetPassword {
  readonly #ports: Pick<Ports, 'users' | 'hasher' | 'events'>;
  readonly #policy: Policy;

  constructor(ports: Pick<Ports, 'users' | 'hasher' | 'events'>, policy: Policy) {
    this.#ports = ports;
    this.#policy = policy;
  }

  /**
   * All their sessions have ended when it resolves.
   * @throws AuthError `missing_fields`, what `checkNewPassword` refuses, `user_not_found`, `service_busy`
   */
  async execute({ userId, password }: SetPasswordInput): Promise<UserRecord> {
    const { users, hasher, events } = this.#ports;
    const parsed = parseNewPassword(password, this.#policy);
    const user = await userOf(this.#ports, userId);
    const passwordHash = await hasher.hash(parsed);
    if (!(await users.changePassword({ userId, passwordHash }))) {
      throw new AuthError('user_not_found');
    }
    events.publish('passwordSet', { user });
    return user;
  }
}

/** Erases a user. */
export class DeleteUser {
  readonly #ports: Pick<Ports, 'users' | 'events'>;

  constructor(ports: Pick<Ports, 'users' | 'events'>) {
    this.#ports = ports;
  }

  /**
   * The user and their sessions are gone when it resolves.
   * @throws AuthError `user_not_found`
   */
  async execute({ userId }: UserIdInput): Promise<void> {
    const { users, events } = this.#ports;
    const user = await userOf(this.#ports, userId);
    if (!(await users.delete(userId))) throw new AuthError('user_not_found');
    events.publish('accountDeleted', { user });
  }
}

async function setDisabled(
  { users, events }: Pick<Ports, 'users' | 'events'>,
  userId: UserId,
  disabled: boolean,
): Promise<UserRecord> {
  const before = await userOf({ users }, userId);
  if (!(await users.setDisabled(userId, disabled))) throw new AuthError('user_not_found');
  const user = { ...before, disabled };
  if (before.disabled !== disabled) {
    events.publish(disabled ? 'userDisabled' : 'userEnabled', { user });
  }
  return user;
}

/** @throws AuthError `user_not_found`, also for a value that is no id */
async function userOf({ users }: Pick<Ports, 'users'>, id: UserId): Promise<UserRecord> {
  const user = Number.isSafeInteger(id) ? await users.findById(id) : undefined;
  if (user === undefined) throw new AuthError('user_not_found');
  return user;
}

/** Checks callers without TypeScript. @throws AuthError `invalid_role` */
function checkRole(role: unknown): void {
  if (!isRole(role)) throw new AuthError('invalid_role');
}
