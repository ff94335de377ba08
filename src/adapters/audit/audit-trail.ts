import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
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
  'passwordChangeRejected',
  'accountDeleted',
  'accountDeletionRejected',
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
  readonly #nextId = orderedIds();
  #lost = 0;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
  }

  /** Writes of everything from now on. */
  listen(auth: Pick<EmbeddedAuth, 'on'>): void {
    for (const name of KEPT) {
      auth.on(name, (event) => {
        const date = this.#options.now();
        this.#add({ id: this.#nextId(date), date, ...recordOf(name, event) });
      });
    }
  }

  /** Writes what is left, if it can be done soon. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    const late = new AbortController();
    const end = sleep(LAST_TRY, undefined, { signal: late.signal }).catch(() => {});
    await Promise.race([this.#writeRest(), end]); // A log can be one that never answers.
    late.abort();
    this.#lost += this.#waiting.splice(0).length;
    this.#tellOfLoss();
  }

  async #writeRest(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (!(await this.#write())) return;
    }
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

/**
 * UUIDs of version 7 (RFC 9562), each greater than the one before: in their order are the records of one
 * millisecond as well, and they are added at the end of an index.
 */
function orderedIds(): (date: Date) => string {
  let time = 0;
  let count = 0;
  return (date) => {
    const isLater = date.getTime() > time;
    count = isLater ? 0 : (count + 1) % 0x1000;
    if (isLater) time = date.getTime();
    else if (count === 0) time += 1;
    const times = time.toString(16).padStart(12, '0');
    const counts = count.toString(16).padStart(3, '0');
    return `${times.slice(0, 8)}-${times.slice(8)}-7${counts}${randomUUID().slice(18)}`;
  };
}

function recordOf(
  name: AuthEventName,
  event: AuthEvents[(typeof KEPT)[number]],
): Omit<AuditRecord, 'id' | 'date'> {
  const isFailure = 'code' in event || name === 'refreshTokenReused';
  const email = 'email' in event ? event.email : undefined;
  return {
    event: name,
    outcome: isFailure ? 'failure' : 'success',
    reason: 'code' in event ? event.code : null,
    userId: 'user' in event ? event.user.id : 'userId' in event ? event.userId : null,
    account: email === undefined ? null : createHash('sha256').update(email).digest('hex'),
    sessionId: 'sessionId' in event ? event.sessionId : null,
    address: ('address' in event ? event.address : undefined) ?? null,
  };
}
