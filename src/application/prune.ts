import type { AuditLog, Ports } from './ports.ts';

/**
 * Sessions, counts or records per batch: the database holds no lock for longer than one batch
 * takes.
 */
const BATCH_SIZE = 1_000;
/** Seconds by which the clocks of the store and of this process may differ. */
const MAX_CLOCK_SKEW = 60;

/** The input of `PruneExpired`. */
export interface PruneExpiredInput {
  /** The most sessions to remove, and as many counts of attempts. Default: 1,000. */
  readonly limit?: number;
}

/** @deprecated Use `PruneExpiredInput`. */
export type Pruning = PruneExpiredInput;

/** Removes one batch of what has expired. Any number of processes may run it. */
export class PruneExpired {
  readonly #ports: Pick<Ports, 'sessions' | 'attempts' | 'clock'>;

  constructor(ports: Pick<Ports, 'sessions' | 'attempts' | 'clock'>) {
    this.#ports = ports;
  }

  /** Resolves to how many sessions and counts it removed. If fewer than `limit`, none are left. */
  async execute({ limit = BATCH_SIZE }: PruneExpiredInput = {}): Promise<number> {
    const now = this.#ports.clock.now();
    const removed = await Promise.all([
      this.#ports.sessions.removeExpired(now, limit),
      this.#ports.attempts.removeExpired(limit),
    ]);
    return removed[0] + removed[1];
  }
}

/** What `PruneAll` works on. */
export interface PruneAllPorts extends Pick<Ports, 'sessions' | 'attempts' | 'clock'> {
  /** Undefined if no audit records are kept. */
  readonly auditLog: AuditLog | undefined;
  /** Seconds by which the store's clock is ahead of `clock`. */
  readonly clockAhead: () => Promise<number>;
}

/** How many of each kind were removed. */
export interface Pruned {
  readonly sessions: number;
  /** Counts of attempts. */
  readonly attempts: number;
  readonly auditRecords: number;
}

/**
 * The clocks differ too much, and nothing was removed: a wrong clock would remove live sessions.
 */
export class ClocksApart extends Error {
  override readonly name = 'ClocksApart';
}

/**
 * Removes everything that has expired, and the audit records past their retention. The service runs
 * it every hour. Any number of processes may run it.
 */
export class PruneAll {
  readonly #ports: PruneAllPorts;
  readonly #auditRetention: number;

  /** @param auditRetention how long audit records are kept, in seconds */
  constructor(ports: PruneAllPorts, auditRetention: number) {
    this.#ports = ports;
    this.#auditRetention = auditRetention;
  }

  /**
   * Removes batch after batch until nothing is left, or until `isStopped` returns true.
   * @throws ClocksApart
   */
  async execute(isStopped: () => boolean = () => false): Promise<Pruned> {
    const { sessions, attempts, clock, auditLog, clockAhead } = this.#ports;
    const ahead = await clockAhead();
    if (Math.abs(ahead) > MAX_CLOCK_SKEW) {
      throw new ClocksApart(`the database's clock is ${ahead.toFixed(0)} s ahead of this one`);
    }
    const now = clock.now();
    const auditBefore = new Date(now.getTime() - this.#auditRetention * 1000);
    return {
      sessions: await removeAll((limit) => sessions.removeExpired(now, limit), isStopped),
      attempts: await removeAll((limit) => attempts.removeExpired(limit), isStopped),
      auditRecords: auditLog
        ? await removeAll((limit) => auditLog.prune(auditBefore, limit), isStopped)
        : 0,
    };
  }
}

async function removeAll(
  removeBatch: (limit: number) => Promise<number>,
  isStopped: () => boolean,
): Promise<number> {
  let total = 0;
  while (!isStopped()) {
    const removed = await removeBatch(BATCH_SIZE);
    total += removed;
    if (removed < BATCH_SIZE) break;
  }
  return total;
}
