const INTERVAL = 60 * 60 * 1000;
const BATCH = 1_000;
/** At most so many batches at a time: the next hour, or another process, takes the rest. */
const BATCHES = 1_000;
/** Seconds by which the clocks here and of the database may differ. */
export const CLOCKS_APART = 60;

/** What is to be pruned, and who is told. */
export interface Pruning {
  /** Removes up to so many; resolves to how many it was. */
  readonly prune: (limit: number) => Promise<number>;
  /** Seconds by which the database's clock is ahead of this one. */
  readonly clockAhead: () => Promise<number>;
  readonly alert: (text: string) => void;
  readonly report: (fault: unknown) => void;
}

/** Removes what has passed, now and every hour; returns how to stop it. */
export function pruneRegularly({ prune, clockAhead, alert, report }: Pruning): () => void {
  let stopped = false;
  const pruneAll = async () => {
    const ahead = await clockAhead();
    if (Math.abs(ahead) > CLOCKS_APART) {
      // By a clock that is wrong here, sessions that stand would be gone for good.
      alert(`the database's clock is ${ahead.toFixed(0)} s ahead of this one: nothing is pruned`);
      return;
    }
    for (let batch = 0; batch < BATCHES && !stopped; batch += 1) {
      if ((await prune(BATCH)) < BATCH) break;
    }
  };
  const run = () => void pruneAll().catch(report);
  const timer = setInterval(run, INTERVAL).unref();
  run();
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}
