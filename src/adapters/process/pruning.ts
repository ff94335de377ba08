import type { AuditLog, Ports } from '../../application/index.ts';

const INTERVAL = 60 * 60 * 1000;
/** What is removed at a time: no lock on the database lasts for longer than that takes. */
const BATCH = 1_000;
/** Seconds by which the clocks here and of the database may differ. */
const CLOCKS_APART = 60;

/** What is pruned, and who is told. */
export interface PrunerOptions extends Pick<Ports, 'sessions' | 'attempts' | 'clock'> {
  /** Undefined where no audit records are kept. */
  readonly auditLog: AuditLog | undefined;
  /** Seconds for which audit records are kept. */
  readonly auditRetention: number;
  /** Seconds by which the database's clock is ahead of this one. */
  readonly clockAhead: () => Promise<number>;
  readonly alert: (text: string) => void;
  readonly report: (fault: unknown) => void;
}

/** How many of each were removed. */
export interface Pruned {
  readonly sessions: number;
  /** Counts of attempts. */
  readonly attempts: number;
  readonly auditRecords: number;
}

/** By a clock that is wrong here, sessions that stand would be gone for good: nothing has been removed. */
export class ClocksApart extends Error {
  override readonly name = 'ClocksApart';
}

/**
 * Removes what has passed, for the service; any number of processes may do so. The use case `PruneExpired`
 * is for those who embed: it gives the sum of a batch. Here each kind has its own count, audit records are
 * removed too, and nothing is before the clocks have been compared.
 */
export class Pruner {
  readonly #options: PrunerOptions;

  constructor(options: PrunerOptions) {
    this.#options = options;
  }

  /**
   * Removes all of it, batch by batch, until `isStopped` says that it is enough.
   * @throws ClocksApart
   */
  async prune(isStopped: () => boolean = () => false): Promise<Pruned> {
    const { sessions, attempts, clock, auditLog, auditRetention, clockAhead } = this.#options;
    const ahead = await clockAhead();
    if (Math.abs(ahead) > CLOCKS_APART) {
      throw new ClocksApart(`the database's clock is ${ahead.toFixed(0)} s ahead of this one`);
    }
    const all = async (remove: (limit: number) => Promise<number>) => {
      let removed = 0;
      for (let batch = BATCH; batch >= BATCH && !isStopped(); ) {
        batch = await remove(BATCH);
        removed += batch;
      }
      return removed;
    };
    const now = clock.now();
    const before = new Date(now.getTime() - auditRetention * 1000);
    return {
      sessions: await all((limit) => sessions.removeExpired(now, limit)),
      attempts: await all((limit) => attempts.removeExpired(limit)),
      auditRecords: await all(async (limit) => (await auditLog?.prune(before, limit)) ?? 0),
    };
  }

  /** Does so now and every hour; returns how to stop it. */
  start(): () => void {
    const { alert, report } = this.#options;
    let isStopped = false;
    let isRunning = false;
    const run = async () => {
      if (isRunning) return;
      isRunning = true;
      try {
        await this.prune(() => isStopped);
      } catch (fault) {
        if (fault instanceof ClocksApart) alert(`${fault.message}: nothing is pruned`);
        else report(fault);
      } finally {
        isRunning = false;
      }
    };
    const timer = setInterval(() => void run(), INTERVAL).unref();
    void run();
    return () => {
      isStopped = true;
      clearInterval(timer);
    };
  }
}
