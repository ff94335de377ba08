import { Authorize } from './authorize.ts';
import { ListUsers } from './list-users.ts';
import { Login } from './login.ts';
import type { Policy, Ports } from './ports.ts';
import { RefreshToken } from './refresh-token.ts';
import { RegisterUser } from './register-user.ts';

export { canonicalEmail, type Email } from '../domain/credentials.ts';
export { AuthError, type AuthErrorCode } from '../domain/errors.ts';
export type { FirstSession, Session } from '../domain/session.ts';
export type { Account, NewAccount, User, UserId } from '../domain/user.ts';
export { Authorize, type Identity } from './authorize.ts';
export { type ListQuery, ListUsers, type UserList } from './list-users.ts';
export { type Credentials, Login } from './login.ts';
export type {
  Clock,
  IdGenerator,
  PasswordHasher,
  Policy,
  Ports,
  SessionRepository,
  TokenClaims,
  TokenIssuer,
  UserRepository,
  Verdict,
} from './ports.ts';
export { RefreshToken } from './refresh-token.ts';
export { RegisterUser, type Registration } from './register-user.ts';
export type { TokenPair } from './tokens.ts';

/** The documented settings: access tokens last 15 minutes, sessions 30 days, passwords have 8 characters. */
export const defaultPolicy: Policy = {
  accessTokenTtl: 15 * 60,
  refreshTokenTtl: 30 * 24 * 60 * 60,
  passwordMinLength: 8,
};

/** The five use cases, ready to call. */
export type Auth = ReturnType<typeof createAuth>;

/** The library's face: every use case on one set of ports, under one policy. */
export function createAuth(ports: Ports, policy: Policy = defaultPolicy) {
  const registerUser = new RegisterUser(ports, policy);
  const login = new Login(ports, policy);
  const refreshToken = new RefreshToken(ports);
  const authorize = new Authorize(ports);
  const listUsers = new ListUsers(ports);
  return {
    registerUser: registerUser.execute.bind(registerUser),
    login: login.execute.bind(login),
    refreshToken: refreshToken.execute.bind(refreshToken),
    authorize: authorize.execute.bind(authorize),
    listUsers: listUsers.execute.bind(listUsers),
  };
}
