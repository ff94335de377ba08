import type { UserId } from './user.ts';

/**
 * One sign-in. It is what a refresh token stands for: the token is good for nothing once its
 * session has ended, and nothing that is stored of a session can be used as a token.
 */
export interface Session {
  /** Opaque, unguessable, unique. */
  readonly id: string;
  readonly userId: UserId;
  /** What signed in, as it calls itself; null where it did not say. */
  readonly device: string | null;
  readonly dateCreated: Date;
  /** Of its refresh token, to the minute. */
  readonly lastUsed: Date;
  /** Absolute: use does not extend it. At this instant the session is over. */
  readonly expires: Date;
  /**
   * The id (`jti`) of the one refresh token that is good now. Null in sessions of before rotation
   * was known: they take the first one that comes.
   */
  readonly tokenId: string | null;
}

/** A session of an account that is being made, and so has no number yet. */
export type FirstSession = Omit<Session, 'userId'>;

/** Starts a session that lasts `ttl` seconds from `now`. */
export function startSession(
  ids: { readonly id: string; readonly tokenId: string },
  device: string | null,
  now: Date,
  ttl: number,
): FirstSession & { readonly tokenId: string } {
  const expires = new Date(now.getTime() + ttl * 1000);
  return { ...ids, device, dateCreated: now, lastUsed: now, expires };
}

/** Whether a session is over: at the instant of `expires` it is. */
export function isExpired(session: Session, now: Date): boolean {
  return session.expires.getTime() <= now.getTime();
}

/** Whether `now` is at most so many seconds after `start`. */
export function isWithin(seconds: number, start: Date, now: Date): boolean {
  return now.getTime() - start.getTime() <= seconds * 1000;
}

const MAX_DEVICE_LENGTH = 255;

/** What a session is shown as, from what a client says of itself: anything at all, or nothing. */
export function deviceLabel(userAgent: unknown): string | null {
  if (typeof userAgent !== 'string') return null;
  const text = userAgent.replaceAll(/\p{Cc}+/gu, ' ').trim();
  return text.slice(0, MAX_DEVICE_LENGTH).toWellFormed() || null;
}
