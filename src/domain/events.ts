import type { Email } from './credentials.ts';
import type { UserId, UserRecord } from './user.ts';

/** An event of a user in one of their sessions. */
export interface SessionEvent {
  readonly user: UserRecord;
  readonly sessionId: string;
  /** The IP address it came from, if the caller gave one. */
  readonly address?: string;
}

/** An event of a user; `user` is their state after it. */
export interface UserEvent {
  /** The IP address it came from, if the caller gave one. */
  readonly address?: string;
  readonly user: UserRecord;
}

/** The end of a session. */
export interface SessionEnd {
  readonly userId: UserId;
  readonly sessionId: string;
}

/** A refused sign-in. It holds nothing of the password. */
export interface LoginRejection {
  /** The canonical email; undefined if the typed text is no address, since it may be a password. */
  readonly email: Email | undefined;
  readonly code: 'invalid_credentials' | 'too_many_attempts';
  /** The IP address it came from, if the caller gave one. */
  readonly address: string | undefined;
}

/** A signed-in user's request that was refused because of the password in it. */
export interface PasswordRejection extends SessionEvent {
  readonly code: 'wrong_password' | 'too_many_attempts';
}

/** A listener that threw or rejected. */
export interface ListenerFailure {
  readonly event: AuthEventName;
  readonly error: unknown;
}

/** The events, by name. Each is published after the store has committed it. */
export interface AuthEvents {
  readonly registered: SessionEvent;
  readonly loggedIn: SessionEvent;
  readonly loginRejected: LoginRejection;
  readonly refreshed: SessionEvent;
  /** A replaced refresh token was used again. It may be stolen, so its session has ended. */
  readonly refreshTokenReused: SessionEvent;
  /** One session has ended, by its refresh token or by its id. */
  readonly loggedOut: SessionEnd;
  /** Every session of the user has ended. */
  readonly loggedOutEverywhere: UserEvent;
  readonly passwordChanged: SessionEvent;
  readonly passwordChangeRejected: PasswordRejection;
  /** By its owner or by an operator. */
  readonly accountDeleted: UserEvent;
  readonly accountDeletionRejected: PasswordRejection;
  /** An operator has created an account. */
  readonly userCreated: UserEvent;
  readonly roleChanged: UserEvent;
  /** The user is disabled, and all their sessions have ended. */
  readonly userDisabled: UserEvent;
  readonly userEnabled: UserEvent;
  /** An operator has set another password, and every session of the user has ended. */
  readonly passwordSet: UserEvent;
  readonly listenerFailed: ListenerFailure;
}

/** The name of an event, such as `registered`. */
export type AuthEventName = keyof AuthEvents;
