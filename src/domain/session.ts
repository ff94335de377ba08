import type { UserId } from './user.ts';

/**
 * One sign-in. Its refresh token works until the session ends. Nothing that is stored of a session can be
 * used as a token.
 */
export interface Session {
  /** Opaque, unguessable, unique. */
  readonly id: string;
  readonly userId: UserId;
  /** The name the client gave itself, such as its User-Agent; null if it gave none. */
  readonly device: string | null;
  readonly dateCreated: Date;
  /** The last use of its refresh token, to the minute. */
  readonly lastUsed: Date;
  /** When the session ends; use does not extend it. At this instant it has ended. */
  readonly expires: Date;
  /**
   * The id (`jti`) of the one valid refresh token. Null in sessions from before rotation existed: the
   * first token of the session that is used becomes the valid one.
   */
  readonly tokenId: string | null;
}

/** The session of a new account, which has no id yet. */
export type FirstSession = Omit<Session, 'userId'>;

/** A new session that ends `ttl` seconds after `now`. */
export function startSession(
  ids: { readonly id: string; readonly tokenId: string },
  device: string | null,
  now: Date,
  ttl: number,
): FirstSession & { readonly tokenId: string } {
  const expires = new Date(now.getTime() + ttl * 1000);
  return { ...ids, device, dateCreated: now, lastUsed: now, expires };
}

/** Whether a session has ended; at the instant of `expires` it has. */
export function isExpired(session: Session, now: Date): boolean {
  return session.expires.getTime() <= now.getTime();
}

/** Whether `now` is at most `seconds` after `start`. */
export function isWithin(seconds: number, start: Date, now: Date): boolean {
  return now.getTime() - start.getTime() <= seconds * 1000;
}

const MAX_DEVICE_LENGTH = 255;

/** The name of a session's client, from any value the client sent. */
export function deviceLabel(userAgent: unknown): string | null {
  if (typeof userAgent !== 'string') return null;
  const text = userAgent.replaceAll(/\p{Cc}+/gu, ' ').trim();
  return text.slice(0, MAX_DEVICE_LENGTH).toWellFormed() || null;
}
