import type { UserRecord } from '../domain/user.ts';
import {
  CreateUser,
  DeleteUser,
  DisableUser,
  EnableUser,
  FindUser,
  SetPassword,
  SetRole,
} from './administer-users.ts';
import { Authorize } from './authorize.ts';
import { ChangePassword } from './change-password.ts';
import { DeleteAccount } from './delete-account.ts';
import { EndSession } from './end-session.ts';
import { AttemptLimiter } from './limits/attempts.ts';
import { Listeners } from './listeners.ts';
import { ListSessions } from './list-sessions.ts';
import { ListUsers, type ListUsersInput, type UserList } from './list-users.ts';
import { Login } from './login.ts';
import { Logout, LogoutAll } from './logout.ts';
import type { Clock, IdGenerator, Policy, Ports } from './ports.ts';
import { PruneExpired } from './prune.ts';
import { RefreshToken } from './refresh-token.ts';
import { RegisterUser } from './register-user.ts';

export { canonicalEmail, type Email, type PasswordPolicy } from '../domain/credentials.ts';
export { AuthError, type AuthErrorCode, StoreUnwritable } from '../domain/errors.ts';
export type * from '../domain/events.ts';
export { type FirstSession, isExpired, isWithin, type Session } from '../domain/session.ts';
export type { Account, NewAccount, Role, User, UserId, UserRecord } from '../domain/user.ts';
export * from './administer-users.ts';
export {
  Authorize,
  type Authorization,
  type AuthorizeInput,
  type Bearer,
  type IdentifyPorts,
  type Identity,
} from './authorize.ts';
export {
  ChangePassword,
  type PasswordChanging,
  type ChangePasswordInput,
} from './change-password.ts';
export { DeleteAccount, type AccountDeletion, type DeleteAccountInput } from './delete-account.ts';
export { EndSession, type SessionEnding, type EndSessionInput } from './end-session.ts';
export { AttemptLimiter, type LimiterPort } from './limits/attempts.ts';
export type { Limit } from './limits/policy.ts';
export { type AuthListener, Listeners } from './listeners.ts';
export { type ListedSession, ListSessions } from './list-sessions.ts';
export { ListUsers, type ListQuery, type ListUsersInput, type UserList } from './list-users.ts';
export { Login, type Credentials, type LoginInput } from './login.ts';
export { Logout, LogoutAll, type LogoutInput } from './logout.ts';
export type { SignedIn, SignInOrigin, TokenPair } from './open-session.ts';
export type {
  AccessClaims,
  AttemptCounter,
  AuditLog,
  AuditRecord,
  Clock,
  Count,
  EventPublisher,
  IdGenerator,
  PageQuery,
  PasswordChange,
  PasswordHasher,
  Policy,
  Ports,
  Rotation,
  RotationOutcome,
  SessionRepository,
  TokenClaims,
  TokenIssuer,
  UserRepository,
  Verdict,
} from './ports.ts';
export type { AccountPorts } from './prove-password.ts';
export {
  ClocksApart,
  PruneAll,
  type PruneAllPorts,
  type Pruned,
  PruneExpired,
  type Pruning,
  type PruneExpiredInput,
} from './prune.ts';
export {
  type Refreshed,
  type RefreshPorts,
  RefreshToken,
  type Refreshing,
  type RefreshTokenInput,
} from './refresh-token.ts';
export {
  type RegisterPorts,
  RegisterUser,
  type Registration,
  type RegisterUserInput,
} from './register-user.ts';

/** The policy of development: passwords of 8 characters, no list of common ones, no rotation. */
export const defaultPolicy: Policy = { passwordMinLength: 8 };

/** The time of this machine. */
export const systemClock: Clock = { now: () => new Date() };

/** Random ids (UUID, version 4). */
export const randomIds: IdGenerator = { next: () => crypto.randomUUID() };

/** The use cases of a service's clients, and of embedders. A new one is added here, and nowhere else. */
const USE_CASES = {
  /** Creates an account and signs it in. */
  registerUser: RegisterUser,
  /** Checks a password and starts a session. */
  login: Login,
  /** Exchanges a refresh token, whose session has not ended, for a new access token. */
  refreshToken: RefreshToken,
  /** Finds the user of an access token, and checks their role. */
  authorize: Authorize,
  /** Lists users, however many there are, in constant memory. */
  listUsers: ListUsers,
  /** Ends the session of a refresh token. */
  logout: Logout,
  /** Ends every session of the bearer, this one included. */
  logoutAll: LogoutAll,
  /** Lists the sessions of the bearer, the oldest first. */
  listSessions: ListSessions,
  /** Ends one session of the bearer. */
  endSession: EndSession,
  /** Gives the bearer's account a new password, and ends every other session. */
  changePassword: ChangePassword,
  /** Erases the bearer's account. */
  deleteAccount: DeleteAccount,
};

/** The use cases that ask for no token: for the owner of the process alone. */
const OPERATOR_USE_CASES = {
  /** Creates an account without signing it in: the first admin, for one. */
  createUser: CreateUser,
  /** Finds one user, by id or email. */
  findUser: FindUser,
  /** Gives a user a role. It takes effect with their next request. */
  setRole: SetRole,
  /** Disables a user, and ends all their sessions. */
  disableUser: DisableUser,
  /** Enables a disabled user, who has to sign in. */
  enableUser: EnableUser,
  /** Gives a user another password, and ends all their sessions. */
  setPassword: SetPassword,
  /** Erases a user. */
  deleteUser: DeleteUser,
  /**
   * Removes expired sessions and counts of attempts; resolves to their number. Call it now and then, and
   * again at once while it removes as many as its limit (1,000) or more.
   */
  pruneExpired: PruneExpired,
};

/** A use case by its class: its `execute`, bound. */
type Bound<Classes extends UseCaseClasses> = {
  readonly [Name in keyof Classes]: InstanceType<Classes[Name]>['execute'];
};

type UseCaseClasses = Readonly<
  Record<
    string,
    new (
      ports: Ports & { readonly limiter: AttemptLimiter },
      policy: Policy,
    ) => UseCase
  >
>;

interface UseCase {
  execute(...input: never[]): Promise<unknown>;
}

/** The use cases of a service's clients and of embedders, by name. */
export type UseCases = Bound<typeof USE_CASES>;

/** The use cases of operators, by name. */
export type OperatorUseCases = Bound<typeof OPERATOR_USE_CASES>;

/**
 * The use cases, ready to call: in this process (`createAuth`) or at a service (`createClient`). A use
 * case refuses by throwing an `AuthError`, whose `code` says why; anything else it throws is a fault of a
 * part of the system. The class of each, such as `RegisterUser`, lists what it refuses.
 */
export interface Auth extends Omit<UseCases, 'listUsers'> {
  /** Lists users, however many there are, in constant memory. */
  readonly listUsers: (input?: ListUsersInput) => Promise<UserList>;
}

/** The use cases in this process, with those that only their owner may call. */
export interface EmbeddedAuth extends UseCases, OperatorUseCases, Pick<Listeners, 'on'> {
  /** Lists users with what an operator may know of them. */
  readonly listUsers: (input?: ListUsersInput) => Promise<UserList<UserRecord>>;
}

/** Does something around the call of a use case; it must pass on what the call returns or throws. */
export type Interceptor = <T>(useCase: keyof Auth, call: () => Promise<T>) => Promise<T>;

/** @deprecated Use `Interceptor`. */
export type Around = Interceptor;

/** The same use cases, with an interceptor around each call: to measure, trace or log it. */
export function intercept<A extends Auth>(auth: A, interceptor: Interceptor): A {
  const calls = Object.keys(USE_CASES)
    .filter(isUseCase)
    .map((name) => {
      const execute: UseCase['execute'] = auth[name];
      const call: UseCase['execute'] = (...input) => interceptor(name, () => execute(...input));
      return [name, call] as const;
    });
  return { ...auth, ...Object.fromEntries(calls) };
}

function isUseCase(name: string): name is keyof typeof USE_CASES {
  return Object.hasOwn(USE_CASES, name);
}

/** The ports of `createAuth`. Time and ids are this machine's unless given. */
export interface GivenPorts
  extends Omit<Ports, 'clock' | 'ids' | 'events'>,
    Partial<Pick<Ports, 'clock' | 'ids'>> {}

const REQUIRED_PORTS = ['users', 'sessions', 'hasher', 'tokens', 'attempts'] as const;

/**
 * Makes every use case on one set of ports, under `defaultPolicy` with the given changes.
 * @throws TypeError for a missing port, RangeError for a policy that cannot be
 */
export function createAuth(given: GivenPorts, changes: Partial<Policy> = {}): EmbeddedAuth {
  const policy = policyOf(changes);
  for (const name of REQUIRED_PORTS) {
    if (typeof given?.[name] !== 'object' || given[name] === null) {
      throw new TypeError(`createAuth needs the port ${name}`);
    }
  }
  const events = new Listeners();
  const { clock = systemClock, ids = randomIds } = given;
  // One limiter, so that the use cases count together.
  const ports = { ...given, clock, ids, events, limiter: new AttemptLimiter(given) };
  return {
    ...bind(USE_CASES, ports, policy),
    ...bind(OPERATOR_USE_CASES, ports, policy),
    on: events.on.bind(events),
  };
}

function bind<Classes extends UseCaseClasses>(
  classes: Classes,
  ...given: ConstructorParameters<UseCaseClasses[string]>
): Bound<Classes> {
  const bound: object = Object.fromEntries(
    Object.entries(classes).map(([name, UseCase]) => {
      const useCase = new UseCase(...given);
      return [name, useCase.execute.bind(useCase)];
    }),
  );
  if (!isBound(bound, classes)) throw new TypeError('a use case is missing');
  return bound;
}

/** The types of the members are those of their classes. */
function isBound<Classes extends UseCaseClasses>(
  bound: object,
  classes: Classes,
): bound is Bound<Classes> {
  return Object.keys(classes).every((name) => Object.hasOwn(bound, name));
}

/** Whether a value can be that member of a policy. */
const POLICY_CHECKS: Readonly<Record<keyof Policy, (value: unknown) => boolean>> = {
  passwordMinLength: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
  isCommonPassword: (value) => typeof value === 'function',
  refreshRotation: (value) => typeof value === 'boolean',
};

function policyOf(changes: Partial<Policy>): Policy {
  const members = Object.entries(changes).filter(([, value]) => value !== undefined);
  const checks = new Map(Object.entries(POLICY_CHECKS));
  for (const [name, value] of members) {
    const check = checks.get(name);
    if (check === undefined) throw new RangeError(`the policy has no member ${name}`);
    if (!check(value)) throw new RangeError(`${name} of the policy cannot be ${String(value)}`);
  }
  return { ...defaultPolicy, ...Object.fromEntries(members) };
}
