import type { Email } from './credentials.ts';
import type { UserId, UserRecord } from './user.ts';

/** Whom and which of their sessions an event is about. */
export interface SessionEvent {
  readonly user: UserRecord;
  readonly sessionId: string;
  /** The IP address that it came from, where the caller said. */
  readonly address?: string;
}

/** Whom an event is about, as they are since. */
export interface UserEvent {
  /** The IP address that it came from, where the caller said. */
  readonly address?: string;
  readonly user: UserRecord;
}

/** A session that has ended, and whose it was. */
export interface SessionEnd {
  readonly userId: UserId;
  readonly sessionId: string;
}

/** A sign-in that was refused. Nothing of the password is in it. */
export interface LoginRejection {
  /** The canonical address; undefined where what was typed is none: it may be a password. */
  readonly email: Email | undefined;
  readonly code: 'invalid_credentials' | 'too_many_attempts';
  /** The IP address that it came from, where the caller said. */
  readonly address: string | undefined;
}

/** Something of a signed-in user's that was refused for the password that was given with it. */
export interface PasswordRejection extends SessionEvent {
  readonly code: 'wrong_password' | 'too_many_attempts';
}

/** A listener that threw or rejected. */
export interface ListenerFailure {
  readonly event: AuthEventName;
  readonly error: unknown;
}

/** What can be listened to, by its name. Each is told after the store has committed it. */
export interface AuthEvents {
  readonly registered: SessionEvent;
  readonly loggedIn: SessionEvent;
  readonly loginRejected: LoginRejection;
  readonly refreshed: SessionEvent;
  /** A replaced refresh token came again: it may have been stolen, and its session has ended. */
  readonly refreshTokenReused: SessionEvent;
  /** One session was ended, by its refresh token or from the list of sessions. */
  readonly loggedOut: SessionEnd;
  /** Every session of the user was ended. */
  readonly loggedOutEverywhere: UserEvent;
  readonly passwordChanged: SessionEvent;
  readonly passwordChangeRejected: PasswordRejection;
  /** By its owner, or by whoever runs the service. */
  readonly accountDeleted: UserEvent;
  readonly accountDeletionRejected: PasswordRejection;
  /** An account was made without a sign-in. */
  readonly userCreated: UserEvent;
  readonly roleChanged: UserEvent;
  /** The user is shut out, and every session of theirs has ended. */
  readonly userDisabled: UserEvent;
  readonly userEnabled: UserEvent;
  /** Another password was set by whoever runs the service, and every session of the user has ended. */
  readonly passwordSet: UserEvent;
  readonly listenerFailed: ListenerFailure;
}

/** The name of an event, such as `registered`. */
export type AuthEventName = keyof AuthEvents;
