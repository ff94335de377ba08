import { createHash, randomUUID } from 'node:crypto';
import type {
  AuditLog,
  AuditRecord,
  AuthEventName,
  AuthEvents,
  EmbeddedAuth,
} from '../../application/index.ts';

/** Records that wait to be written, at most: a log that takes none must not fill the memory. */
const MAX_WAITING = 10_000;
/** Records that are written at once, at most. */
const BATCH = 200;
/** Milliseconds in which records are gathered; and after a failure, before the next try. */
const GATHERING = 200;
const AFTER_FAILURE = 2_000;
/** Milliseconds for what is left, at the end. */
const LAST_TRY = 2_000;

/** What is kept. Not a refresh: it says no more than the sign-in before it, and there are many. */
const KEPT = [
  'registered',
  'loggedIn',
  'loginRejected',
  'refreshTokenReused',
  'loggedOut',
  'loggedOutEverywhere',
  'passwordChanged',
  'accountDeleted',
  'userCreated',
  'roleChanged',
  'userDisabled',
  'userEnabled',
  'passwordSet',
] as const;

export interface AuditTrailOptions {
  readonly log: AuditLog;
  readonly now: () => Date;
  readonly alert: (text: string) => void;
  readonly report: (fault: unknown) => void;
}

/**
 * Writes what has been committed into a log, after the fact and in batches: no request waits for it, and
 * none fails by it. What has not been written when the process is killed is lost, a fifth of a second of it
 * at most; and so is what comes while the log takes nothing and 10,000 records wait, which is told of.
 */
export class AuditTrail {
  readonly #options: AuditTrailOptions;
  readonly #waiting: AuditRecord[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<boolean> | undefined;
  #lost = 0;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
  }

  /** Writes of everything from now on. */
  listen(auth: Pick<EmbeddedAuth, 'on'>): void {
    for (const name of KEPT) {
      auth.on(name, (event) => this.#add(recordOf(name, event, this.#options.now())));
    }
  }

  /** Writes what is left, if it can be done soon. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    const end = performance.now() + LAST_TRY;
    while (this.#waiting.length > 0 && performance.now() < end) {
      if (!(await this.#write())) break;
    }
    this.#lost += this.#waiting.splice(0).length;
    this.#tellOfLoss();
  }

  #add(record: AuditRecord): void {
    if (this.#waiting.length >= MAX_WAITING) this.#lost += 1;
    else this.#waiting.push(record);
    this.#schedule(GATHERING);
  }

  #schedule(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, ms).unref();
  }

  /** One batch at a time; resolves to whether it is written. */
  #write(): Promise<boolean> {
    this.#writing ??= this.#writeBatch().finally(() => (this.#writing = undefined));
    return this.#writing;
  }

  async #writeBatch(): Promise<boolean> {
    const batch = this.#waiting.slice(0, BATCH);
    try {
      await this.#options.log.append(batch);
    } catch (fault) {
      this.#options.report(fault);
      this.#schedule(AFTER_FAILURE);
      return false;
    }
    this.#waiting.splice(0, batch.length);
    this.#tellOfLoss();
    if (this.#waiting.length > 0) this.#schedule(0);
    return true;
  }

  #tellOfLoss(): void {
    if (this.#lost > 0) this.#options.alert(`${this.#lost} audit records are lost`);
    this.#lost = 0;
  }
}

function recordOf(
  name: AuthEventName,
  event: AuthEvents[(typeof KEPT)[number]],
  date: Date,
): AuditRecord {
  const isFailure = name === 'loginRejected' || name === 'refreshTokenReused';
  const email = 'email' in event ? event.email : undefined;
  return {
    id: randomUUID(),
    date,
    event: name,
    outcome: isFailure ? 'failure' : 'success',
    reason: 'code' in event ? event.code : null,
    userId: 'user' in event ? event.user.id : 'userId' in event ? event.userId : null,
    account: email === undefined ? null : createHash('sha256').update(email).digest('hex'),
    sessionId: 'sessionId' in event ? event.sessionId : null,
    address: ('address' in event ? event.address : undefined) ?? null,
  };
}
