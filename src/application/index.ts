import {
  CreateUser,
  DeleteUser,
  DisableUser,
  EnableUser,
  FindUser,
  type PasswordSetting,
  type RoleChange,
  SetPassword,
  SetRole,
  type UserChange,
  type UserCreation,
  type UserName,
} from './administer-users.ts';
import { type Authorization, Authorize, type Bearer, type Identity } from './authorize.ts';
import type { AuthEventName } from '../domain/events.ts';
import type { UserRecord } from '../domain/user.ts';
import { type AuthListener, Listeners } from './listeners.ts';
import { type ListQuery, ListUsers, type UserList } from './list-users.ts';
import { type Credentials, Login } from './login.ts';
import { Logout, LogoutAll } from './logout.ts';
import {
  type AccountDeletion,
  ChangePassword,
  DeleteAccount,
  type PasswordChanging,
} from './manage-account.ts';
import {
  EndSession,
  type ListedSession,
  ListSessions,
  type SessionEnding,
} from './manage-sessions.ts';
import type { Clock, IdGenerator, Policy, Ports } from './ports.ts';
import { PruneExpired, type Pruning } from './prune.ts';
import { type Refreshed, type Refreshing, RefreshToken } from './refresh-token.ts';
import { RegisterUser, type Registration } from './register-user.ts';
import type { SignedIn } from './tokens.ts';

export { canonicalEmail, type Email, type PasswordPolicy } from '../domain/credentials.ts';
export { AuthError, type AuthErrorCode } from '../domain/errors.ts';
export type {
  AuthEventName,
  AuthEvents,
  ListenerFailure,
  LoginRejection,
  PasswordRejection,
  SessionEnd,
  SessionEvent,
  UserEvent,
} from '../domain/events.ts';
export { type FirstSession, isExpired, isWithin, type Session } from '../domain/session.ts';
export type { Account, NewAccount, Role, User, UserId, UserRecord } from '../domain/user.ts';
export {
  CreateUser,
  DeleteUser,
  DisableUser,
  EnableUser,
  FindUser,
  type PasswordSetting,
  type RoleChange,
  SetPassword,
  SetRole,
  type UserChange,
  type UserCreation,
  type UserCreationPorts,
  type UserName,
} from './administer-users.ts';
export { type Authorization, Authorize, type Bearer, type Identity } from './authorize.ts';
export { type ListQuery, ListUsers, type UserList } from './list-users.ts';
export { type AuthListener, Listeners } from './listeners.ts';
export { type Credentials, Login } from './login.ts';
export { Logout, LogoutAll } from './logout.ts';
export {
  type AccountDeletion,
  type AccountPorts,
  ChangePassword,
  DeleteAccount,
  type PasswordChanging,
} from './manage-account.ts';
export {
  EndSession,
  type ListedSession,
  ListSessions,
  type SessionEnding,
} from './manage-sessions.ts';
export { StoreUnwritable } from './ports.ts';
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
export {
  ClocksApart,
  PruneAll,
  type PruneAllPorts,
  type Pruned,
  PruneExpired,
  type Pruning,
} from './prune.ts';
export {
  type Refreshed,
  type Refreshing,
  type RefreshPorts,
  RefreshToken,
} from './refresh-token.ts';
export { type RegisterPorts, RegisterUser, type Registration } from './register-user.ts';
export type { SignedIn, TokenPair } from './tokens.ts';

/** What development does: passwords of 8 characters, no list of common ones, no rotation. */
export const defaultPolicy: Policy = { passwordMinLength: 8 };

/** The time of this machine. */
export const systemClock: Clock = { now: () => new Date() };

/** Random ids (UUID, version 4). */
export const randomIds: IdGenerator = { next: () => crypto.randomUUID() };

/**
 * The use cases, ready to call: in this process (`createAuth`) or at a service (`createClient`).
 * Each refuses by an `AuthError` whose `code` says why; whatever else it throws is a fault of a part
 * of the system. What each refuses stands at its class, such as `RegisterUser`.
 */
export interface Auth {
  /** Creates an account and signs it in. */
  readonly registerUser: (registration: Registration) => Promise<SignedIn>;
  /** Checks a password and starts a session. */
  readonly login: (credentials: Credentials) => Promise<SignedIn>;
  /** Exchanges a refresh token, whose session still stands, for a new access token. */
  readonly refreshToken: (refreshing: Refreshing) => Promise<Refreshed>;
  /** Tells whose access token this is, and whether they are what they must be. */
  readonly authorize: (authorization: Authorization) => Promise<Identity>;
  /** All users, or a part of them, in flat memory. */
  readonly listUsers: (query?: ListQuery) => Promise<UserList>;
  /** Ends the session of a refresh token. */
  readonly logout: (token: Pick<Refreshing, 'refreshToken'>) => Promise<void>;
  /** Ends every session of the bearer, this one included. */
  readonly logoutAll: (bearer: Bearer) => Promise<void>;
  /** The sessions of the bearer, the oldest first. */
  readonly listSessions: (bearer: Bearer) => Promise<readonly ListedSession[]>;
  /** Ends one session of the bearer. */
  readonly endSession: (ending: SessionEnding) => Promise<void>;
  /** Gives the bearer's account a new password, and ends every other session. */
  readonly changePassword: (change: PasswordChanging) => Promise<void>;
  /** Erases the bearer's account. */
  readonly deleteAccount: (deletion: AccountDeletion) => Promise<void>;
}

/** The use cases in this process, with what only their owner can ask for. */
export interface EmbeddedAuth extends Auth {
  /** All users, or a part of them, with what whoever runs the service may know of them. */
  readonly listUsers: (query?: ListQuery) => Promise<UserList<UserRecord>>;
  /** Creates an account without signing it in: the first admin, for one. */
  readonly createUser: (creation: UserCreation) => Promise<UserRecord>;
  /** Finds one user, by id or email. */
  readonly findUser: (name: UserName) => Promise<UserRecord>;
  /** Gives a user a role, which holds from their next request on. */
  readonly setRole: (change: RoleChange) => Promise<UserRecord>;
  /** Shuts a user out, and ends every session of theirs. */
  readonly disableUser: (change: UserChange) => Promise<UserRecord>;
  /** Lets a user in again, who has to sign in. */
  readonly enableUser: (change: UserChange) => Promise<UserRecord>;
  /** Gives a user another password, and ends every session of theirs. */
  readonly setPassword: (setting: PasswordSetting) => Promise<UserRecord>;
  /** Erases a user. */
  readonly deleteUser: (change: UserChange) => Promise<void>;
  /**
   * Removes sessions and counts of attempts that have expired; resolves to their number. Call it now
   * and then, again at once while it removes as many as its limit (1,000) or more.
   */
  readonly pruneExpired: (pruning?: Pruning) => Promise<number>;
  /**
   * Calls `listener` after each event of this name has been committed; returns how to end that. A
   * listener cannot delay or break a request: what it throws is told to `listenerFailed`.
   */
  readonly on: <Name extends AuthEventName>(name: Name, listener: AuthListener<Name>) => () => void;
}

/** What is done around the call of a use case; what the call gives, or throws, it passes on. */
export type Around = <T>(useCase: keyof Auth, call: () => Promise<T>) => Promise<T>;

/** The same use cases with something done around each call: to measure, trace or note it. */
export function intercept<A extends Auth>(auth: A, around: Around): A {
  // Written out, so that a use case which is left out does not compile.
  const intercepted: Auth = {
    registerUser: (given) => around('registerUser', () => auth.registerUser(given)),
    login: (given) => around('login', () => auth.login(given)),
    refreshToken: (given) => around('refreshToken', () => auth.refreshToken(given)),
    authorize: (given) => around('authorize', () => auth.authorize(given)),
    listUsers: (given) => around('listUsers', () => auth.listUsers(given)),
    logout: (given) => around('logout', () => auth.logout(given)),
    logoutAll: (given) => around('logoutAll', () => auth.logoutAll(given)),
    listSessions: (given) => around('listSessions', () => auth.listSessions(given)),
    endSession: (given) => around('endSession', () => auth.endSession(given)),
    changePassword: (given) => around('changePassword', () => auth.changePassword(given)),
    deleteAccount: (given) => around('deleteAccount', () => auth.deleteAccount(given)),
  };
  return { ...auth, ...intercepted };
}

const NEEDED = ['users', 'sessions', 'hasher', 'tokens', 'attempts'] as const;

/** The parts that `createAuth` is given; time and ids are this machine's unless given. */
export interface GivenPorts
  extends Omit<Ports, 'clock' | 'ids' | 'events'>,
    Partial<Pick<Ports, 'clock' | 'ids'>> {}

/**
 * The library's face: every use case on one set of ports, under one policy: `defaultPolicy`, but for what
 * is chosen.
 * @throws TypeError where a port is missing, RangeError for a policy that is none: for those whom no
 * compiler tells
 */
export function createAuth(given: GivenPorts, chosen: Partial<Policy> = {}): EmbeddedAuth {
  const policy = policyOf(chosen);
  for (const name of NEEDED) {
    if (typeof given?.[name] !== 'object' || given[name] === null) {
      throw new TypeError(`createAuth needs the port ${name}`);
    }
  }
  const events = new Listeners();
  const { clock = systemClock, ids = randomIds } = given;
  const ports: Ports = { ...given, clock, ids, events };
  const registerUser = new RegisterUser(ports, policy);
  const login = new Login(ports);
  const refreshToken = new RefreshToken(ports, policy);
  const authorize = new Authorize(ports);
  const listUsers = new ListUsers(ports);
  const logout = new Logout(ports);
  const logoutAll = new LogoutAll(ports);
  const listSessions = new ListSessions(ports);
  const endSession = new EndSession(ports);
  const pruneExpired = new PruneExpired(ports);
  const changePassword = new ChangePassword(ports, policy);
  const deleteAccount = new DeleteAccount(ports);
  const createUser = new CreateUser(ports, policy);
  const findUser = new FindUser(ports);
  const setRole = new SetRole(ports);
  const disableUser = new DisableUser(ports);
  const enableUser = new EnableUser(ports);
  const setPassword = new SetPassword(ports, policy);
  const deleteUser = new DeleteUser(ports);
  return {
    registerUser: registerUser.execute.bind(registerUser),
    login: login.execute.bind(login),
    refreshToken: refreshToken.execute.bind(refreshToken),
    authorize: authorize.execute.bind(authorize),
    listUsers: listUsers.execute.bind(listUsers),
    logout: logout.execute.bind(logout),
    logoutAll: logoutAll.execute.bind(logoutAll),
    listSessions: listSessions.execute.bind(listSessions),
    endSession: endSession.execute.bind(endSession),
    pruneExpired: pruneExpired.execute.bind(pruneExpired),
    changePassword: changePassword.execute.bind(changePassword),
    deleteAccount: deleteAccount.execute.bind(deleteAccount),
    createUser: createUser.execute.bind(createUser),
    findUser: findUser.execute.bind(findUser),
    setRole: setRole.execute.bind(setRole),
    disableUser: disableUser.execute.bind(disableUser),
    enableUser: enableUser.execute.bind(enableUser),
    setPassword: setPassword.execute.bind(setPassword),
    deleteUser: deleteUser.execute.bind(deleteUser),
    on: events.on.bind(events),
  };
}

/** What each member of a policy must be. */
const POLICY: Readonly<Record<keyof Policy, (value: unknown) => boolean>> = {
  passwordMinLength: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
  isCommonPassword: (value) => typeof value === 'function',
  refreshRotation: (value) => typeof value === 'boolean',
};

function policyOf(chosen: Partial<Policy>): Policy {
  const members = Object.entries(chosen).filter(([, value]) => value !== undefined);
  const checks = new Map(Object.entries(POLICY));
  for (const [name, value] of members) {
    const check = checks.get(name);
    if (check === undefined) throw new RangeError(`the policy has no member ${name}`);
    if (!check(value)) throw new RangeError(`${name} of the policy cannot be ${String(value)}`);
  }
  return { ...defaultPolicy, ...Object.fromEntries(members) };
}
