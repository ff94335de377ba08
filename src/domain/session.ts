import type { UserId } from './user.ts';

/**
 * One sign-in. It is what a refresh token stands for: the token is good for nothing once its
 * session has ended, and nothing that is stored of a session can be used as a token.
 */
export interface Session {
  /** Opaque, unguessable, unique. */
  readonly id: string;
  readonly userId: UserId;
  readonly dateCreated: Date;
  /** Absolute: use does not extend it. At this instant the session is over. */
  readonly expires: Date;
}

/** A session of an account that is being made, and so has no number yet. */
export type FirstSession = Omit<Session, 'userId'>;

/** Starts a session that lasts `ttl` seconds from `now`. */
export function startSession(id: string, now: Date, ttl: number): FirstSession {
  return { id, dateCreated: now, expires: new Date(now.getTime() + ttl * 1000) };
}

export function isExpired(session: Session, now: Date): boolean {
  return session.expires.getTime() <= now.getTime();
}
