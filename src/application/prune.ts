import type { Ports } from './ports.ts';

/** The input of `PruneExpired`. */
export interface PruneExpiredInput {
  /** Sessions, and as many counts of attempts; 1,000 unless given. */
  readonly limit?: number;
}

/** Removes what has expired, a bounded part at a time; any number of processes may run it. */
export class PruneExpired {
  readonly #ports: Pick<Ports, 'sessions' | 'attempts' | 'clock'>;

  constructor(ports: Pick<Ports, 'sessions' | 'attempts' | 'clock'>) {
    this.#ports = ports;
  }

  /** Resolves to the number of sessions and counts it removed: less than `limit` if none are left. */
  async execute({ limit = 1_000 }: PruneExpiredInput = {}): Promise<number> {
    const { sessions, attempts, clock } = this.#ports;
    const [endedSessions, expiredCounts] = await Promise.all([
      sessions.removeExpired(clock.now(), limit),
      attempts.removeExpired(limit),
    ]);
    return endedSessions + expiredCounts;
  }
}
