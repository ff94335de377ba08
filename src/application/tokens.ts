import type { Session } from '../domain/session.ts';
import type { Ports } from './ports.ts';

export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** The two tokens of a session that has just begun; the refresh token is the one it names. */
export async function issueTokens(
  { tokens, ids }: Pick<Ports, 'tokens' | 'ids'>,
  session: Session & { readonly tokenId: string },
  now: Date,
): Promise<TokenPair> {
  const subject = { userId: session.userId, sessionId: session.id };
  const [accessToken, refreshToken] = await Promise.all([
    tokens.issueAccessToken({ ...subject, tokenId: ids.next() }, now),
    tokens.issueRefreshToken({ ...subject, tokenId: session.tokenId }, now, session.expires),
  ]);
  return { accessToken, refreshToken };
}
