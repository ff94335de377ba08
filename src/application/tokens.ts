import type { Session } from '../domain/session.ts';
import type { User, UserRecord } from '../domain/user.ts';
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

/** The two tokens of a session that has just begun; the refresh token is the one it names. */
export async function issueTokens(
  { tokens, ids }: Pick<Ports, 'tokens' | 'ids'>,
  session: Session & { readonly tokenId: string },
  { role }: UserRecord,
  now: Date,
): Promise<TokenPair> {
  const subject = { userId: session.userId, sessionId: session.id };
  const [accessToken, refreshToken] = await Promise.all([
    tokens.issueAccessToken({ ...subject, tokenId: ids.next(), role }, now),
    tokens.issueRefreshToken({ ...subject, tokenId: session.tokenId }, now, session.expires),
  ]);
  return { accessToken, refreshToken };
}
