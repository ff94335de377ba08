import { Authorize } from './authorize.ts';
import { ListUsers } from './list-users.ts';
import { Login } from './login.ts';
import { Logout, LogoutAll } from './logout.ts';
import { ChangePassword, DeleteAccount } from './manage-account.ts';
import { EndSession, ListSessions, PruneSessions } from './manage-sessions.ts';
import type { Policy, Ports } from './ports.ts';
import { RefreshToken } from './refresh-token.ts';
import { RegisterUser } from './register-user.ts';

export { canonicalEmail, type Email } from '../domain/credentials.ts';
export { AuthError, type AuthErrorCode } from '../domain/errors.ts';
export { type FirstSession, isExpired, isWithin, type Session } from '../domain/session.ts';
export type { Account, NewAccount, User, UserId } from '../domain/user.ts';
export { Authorize, type Identity } from './authorize.ts';
export { type ListQuery, ListUsers, type UserList } from './list-users.ts';
export { type Credentials, Login } from './login.ts';
export { Logout, LogoutAll } from './logout.ts';
export { ChangePassword, DeleteAccount } from './manage-account.ts';
export {
  EndSession,
  type ListedSession,
  ListSessions,
  PruneSessions,
} from './manage-sessions.ts';
export type {
  AttemptCounter,
  Clock,
  Count,
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
export { type Refreshed, RefreshToken } from './refresh-token.ts';
export { RegisterUser, type Registration } from './register-user.ts';
export type { TokenPair } from './tokens.ts';

/** What development does: passwords of 8 characters, no list of common ones, no rotation. */
export const defaultPolicy: Policy = { passwordMinLength: 8 };

/** The use cases, ready to call. */
export type Auth = ReturnType<typeof createAuth>;

/** The library's face: every use case on one set of ports, under one policy. */
export function createAuth(ports: Ports, policy: Policy = defaultPolicy) {
  const registerUser = new RegisterUser(ports, policy);
  const login = new Login(ports);
  const refreshToken = new RefreshToken(ports, policy);
  const authorize = new Authorize(ports);
  const listUsers = new ListUsers(ports);
  const logout = new Logout(ports);
  const logoutAll = new LogoutAll(ports);
  const listSessions = new ListSessions(ports);
  const endSession = new EndSession(ports);
  const pruneSessions = new PruneSessions(ports);
  const changePassword = new ChangePassword(ports, policy);
  const deleteAccount = new DeleteAccount(ports);
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
    pruneSessions: pruneSessions.execute.bind(pruneSessions),
    changePassword: changePassword.execute.bind(changePassword),
    deleteAccount: deleteAccount.execute.bind(deleteAccount),
  };
}
