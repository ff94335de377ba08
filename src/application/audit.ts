import type { AuthEventName, AuthEvents } from '../domain/events.ts';
import type { Listeners } from './listeners.ts';
import type { AuditRecord } from './ports.ts';

/**
 * How each event is recorded; null: it is not. A new event does not compile until it is named here.
 */
const OUTCOMES: Readonly<Record<AuthEventName, AuditRecord['outcome'] | null>> = {
  registered: 'success',
  loggedIn: 'success',
  loginRejected: 'failure',
  refreshed: null, // There are many, and each says no more than the sign-in before it.
  refreshTokenReused: 'failure',
  loggedOut: 'success',
  loggedOutEverywhere: 'success',
  passwordChanged: 'success',
  passwordChangeRejected: 'failure',
  accountDeleted: 'success',
  accountDeletionRejected: 'failure',
  userCreated: 'success',
  roleChanged: 'success',
  userDisabled: 'success',
  userEnabled: 'success',
  passwordSet: 'success',
  listenerFailed: null, // It is a fault of the program, not an act of anybody.
};

/** A record without its id and date, which the writer of the log gives. */
export type AuditEntry = Omit<AuditRecord, 'id' | 'date'>;

/**
 * Calls `keep` for each event that is to be recorded, from now on.
 * @param sha256 returns the SHA-256 of a text, in hexadecimal
 */
export function listenForAudit(
  events: Pick<Listeners, 'on'>,
  sha256: (text: string) => string,
  keep: (entry: AuditEntry) => void,
): void {
  for (const [name, outcome] of Object.entries(OUTCOMES)) {
    if (!isEventName(name) || outcome === null) continue;
    events.on(name, (event) => keep(entryOf(name, outcome, event, sha256)));
  }
}

function isEventName(name: string): name is AuthEventName {
  return Object.hasOwn(OUTCOMES, name);
}

function entryOf(
  name: AuthEventName,
  outcome: AuditRecord['outcome'],
  event: AuthEvents[AuthEventName],
  sha256: (text: string) => string,
): AuditEntry {
  const email = 'email' in event ? event.email : undefined;
  return {
    event: name,
    outcome,
    reason: 'code' in event ? event.code : null,
    userId: 'user' in event ? event.user.id : 'userId' in event ? event.userId : null,
    account: email === undefined ? null : sha256(email),
    sessionId: 'sessionId' in event ? event.sessionId : null,
    address: ('address' in event ? event.address : undefined) ?? null,
  };
}
