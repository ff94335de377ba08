import { AuthError } from '../domain/errors.ts';
import { deviceLabel, type Session, startSession } from '../domain/session.ts';
import {
  type Account,
  type NewAccount,
  publicUser,
  type User,
  type UserRecord,
} from '../domain/user.ts';
import { StoreUnwritable } from './errors.ts';
import type { Ports } from './ports.ts';

/** The two tokens of a session. */
export interface TokenPair {
  /** For every request, until it expires. */
  readonly accessToken: string;
  /** For a new access token, until its session ends. */
  readonly refreshToken: string;
}

/** A user who has just signed in, with the tokens of the new session. */
export interface SignedIn extends TokenPair {
  readonly user: User;
}

/** Where a sign-in comes from. */
export interface SignInOrigin {
  /** The client that signs in, such as its User-Agent: a label of the session. */
  readonly device?: string | undefined;
  /** The IP address it comes from. Without one, attempts are counted by account alone. */
  readonly address?: string | undefined;
}

// Every session is made here, and nowhere else.

type SessionPorts = Pick<Ports, 'tokens' | 'clock' | 'ids' | 'events'>;

/**
 * Signs the owner of an account in, by the password of `account.passwordVersion`.
 * @throws AuthError `invalid_credentials` if that password was changed meanwhile, or the account was
 * deleted or disabled
 */
export async function openSession(
  ports: SessionPorts & Pick<Ports, 'sessions'>,
  { user, passwordVersion }: Account,
  origin: SignInOrigin,
): Promise<SignedIn> {
  const session = { ...beginSession(ports, origin), userId: user.id };
  if (!(await isStored(ports.sessions.insert(session, passwordVersion)))) {
    throw new AuthError('invalid_credentials');
  }
  return signIn(ports, 'loggedIn', user, session, origin);
}

/**
 * Stores a new account with its first session, both or neither, and signs its owner in.
 * @throws AuthError `email_taken`
 */
export async function openFirstSession(
  ports: SessionPorts & Pick<Ports, 'users'>,
  account: Omit<NewAccount, 'dateCreated'>,
  origin: SignInOrigin,
): Promise<SignedIn> {
  const session = beginSession(ports, origin);
  const user = await ports.users.insert({ ...account, dateCreated: session.dateCreated }, session);
  return signIn(ports, 'registered', user, { ...session, userId: user.id }, origin);
}

function beginSession({ tokens, clock, ids }: SessionPorts, { device }: SignInOrigin) {
  const sessionIds = { id: ids.next(), tokenId: ids.next() };
  return startSession(sessionIds, deviceLabel(device), clock.now(), tokens.refreshTokenTtl);
}

/**
 * A store that takes no writes keeps nobody out: the access token works as usual, the refresh token does
 * not, since its session is not stored.
 */
async function isStored(inserted: Promise<boolean>): Promise<boolean> {
  try {
    return await inserted;
  } catch (error) {
    if (error instanceof StoreUnwritable) return true;
    throw error;
  }
}

async function signIn(
  { tokens, ids, events }: SessionPorts,
  event: 'registered' | 'loggedIn',
  user: UserRecord,
  { id: sessionId, userId, tokenId, dateCreated: now, expires }: NewSession,
  { address }: SignInOrigin,
): Promise<SignedIn> {
  events.publish(event, { user, sessionId, ...(address && { address }) });
  const subject = { userId, sessionId };
  const [accessToken, refreshToken] = await Promise.all([
    tokens.issueAccessToken({ ...subject, tokenId: ids.next(), role: user.role }, now),
    tokens.issueRefreshToken({ ...subject, tokenId }, now, expires),
  ]);
  return { user: publicUser(user), accessToken, refreshToken };
}

/** Its refresh token is the one that it names. */
type NewSession = Session & { readonly tokenId: string };
