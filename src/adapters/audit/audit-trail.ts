import { createHash, randomUUID } from 'node:crypto';
import { listenForAudit } from '../../application/audit.ts';
import { withDeadline } from '../../domain/calls.ts';
import type { AuditLog, AuditRecord, EmbeddedAuth } from '../../application/index.ts';

/** The most records that wait in memory while the log accepts none. */
const MAX_WAITING = 10_000;
/** The most records per call of `append`. */
const BATCH_SIZE = 200;
/** How long records are gathered before they are written. */
const GATHER_MS = 200;
/** The pause before the next try, after a failure. */
const RETRY_MS = 2_000;
/** How long `close` may take. */
const CLOSE_TIMEOUT_MS = 2_000;

export interface AuditTrailOptions {
  readonly log: AuditLog;
  readonly now: () => Date;
  readonly alert: (text: string) => void;
  readonly report: (fault: unknown) => void;
}

/**
 * Writes audit records into a log, in batches, after the request: no request waits for it or fails
 * with it. A killed process loses the records of the last 200 ms. While the log fails, 10,000
 * records wait; those beyond that are lost, and the loss is reported as an alert.
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

  /** Records the events of `auth` from now on. */
  listen(auth: Pick<EmbeddedAuth, 'on'>): void {
    listenForAudit(auth, sha256, (entry) => {
      const date = this.#options.now();
      this.#add({ id: this.#nextId(date), date, ...entry });
    });
  }

  /** Writes the records that wait, or gives up after two seconds: a log may never answer. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await withDeadline(this.#writeRest(), CLOSE_TIMEOUT_MS, () => undefined);
    this.#lost += this.#waiting.splice(0).length;
    this.#reportLoss();
  }

  async #writeRest(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (!(await this.#write())) return;
    }
  }

  #add(record: AuditRecord): void {
    if (this.#waiting.length >= MAX_WAITING) this.#lost += 1;
    else this.#waiting.push(record);
    this.#schedule(GATHER_MS);
  }

  #schedule(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, ms).unref();
  }

  /** Writes one batch at a time. Resolves to whether it was written. */
  #write(): Promise<boolean> {
    this.#writing ??= this.#writeBatch().finally(() => (this.#writing = undefined));
    return this.#writing;
  }

  async #writeBatch(): Promise<boolean> {
    const batch = this.#waiting.slice(0, BATCH_SIZE);
    try {
      await this.#options.log.append(batch);
    } catch (fault) {
      this.#options.report(fault);
      this.#schedule(RETRY_MS);
      return false;
    }
    this.#waiting.splice(0, batch.length);
    this.#reportLoss();
    if (this.#waiting.length > 0) this.#schedule(0);
    return true;
  }

  #reportLoss(): void {
    if (this.#lost > 0) this.#options.alert(`${this.#lost} audit records are lost`);
    this.#lost = 0;
  }
}

/**
 * Makes UUIDs of version 7 (RFC 9562), each greater than the one before. They keep the records of
 * one millisecond in order, and are cheap to insert, at the end of the index.
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

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
