import type { AuthEventName } from '../domain/events.ts';
import type { UserId } from '../domain/user.ts';

/** What is kept of an event: who, what, when, and how it ended. No name, no email, no token, no password. */
export interface AuditRecord {
  /** Its own: a record that is appended twice is kept once. */
  readonly id: string;
  readonly date: Date;
  /** As `auth.on` knows it. */
  readonly event: AuthEventName;
  readonly outcome: 'success' | 'failure';
  /** Why it failed: the code of the refusal. */
  readonly reason: string | null;
  /** Whom it is about; null where no account was proved. */
  readonly userId: UserId | null;
  /** Of a sign-in that was refused: the SHA-256 of the canonical email, in hexadecimal. */
  readonly account: string | null;
  readonly sessionId: string | null;
  /** The IP address that it came from, where that is known. */
  readonly address: string | null;
}

/** Keeps records, for those who have to look into what has happened. */
export interface AuditLog {
  /** Keeps all of them, or none and rejects. */
  append(records: readonly AuditRecord[]): Promise<void>;
  /**
   * Removes the oldest `limit` records that are older than `before`, and those of the same millisecond as the
   * last of them; resolves to how many it were.
   */
  prune(before: Date, limit: number): Promise<number>;
}
