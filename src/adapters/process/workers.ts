import cluster, { type Address, type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';

/** The backoff before a worker is restarted; doubled while workers end soon. */
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 10_000;
/** A worker that ran this long has started well: the backoff begins anew. */
const STEADY_MS = 10_000;
/** How much longer than the grace workers may take to stop. */
const STOP_MARGIN_MS = 5_000;

/** Reports what happens to workers, a line each. */
type Report = (line: string) => void;

/** Processes of this program that share one port. */
export interface Workers {
  /** Where they listen. */
  readonly address: Address;
  /** Stops all workers. Kills those that take more than `grace` seconds and a margin. */
  readonly stop: (grace: number) => Promise<void>;
}

/** Whether this process is one that `startWorkers` started. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/** Stops a worker gracefully when its parent process is gone. Node would exit at once. */
export function stopWhenAlone(stop: () => void): void {
  const { worker } = cluster;
  worker?.once('disconnect', () => {
    worker.exitedAfterDisconnect = true;
    stop();
  });
}

/**
 * Starts `count` workers: first one alone, so that a fault of all is reported once. From then on a
 * worker that ends is restarted.
 * @throws WorkerEnded if the first one ends before it listens
 */
export async function startWorkers(count: number, report: Report): Promise<Workers> {
  const workers = new Set<Worker>();
  const stopping = new AbortController();

  const replace = async (worker: Worker, pause: number, how: string) => {
    if (stopping.signal.aborted) return;
    report(`worker ${worker.process.pid} ended (${how}); another starts in ${pause / 1000} s`);
    await sleep(pause, undefined, { signal: stopping.signal }).catch(() => {});
    if (!stopping.signal.aborted) void start(Math.min(2 * pause, MAX_BACKOFF_MS));
  };
  /** @param pause the backoff if it ends soon, in ms */
  const start = (pause = MIN_BACKOFF_MS): Promise<Address> => {
    const worker = cluster.fork();
    const started = performance.now();
    workers.add(worker);
    const listening = new Promise<Address>((resolve, reject) => {
      worker.once('listening', resolve);
      worker.once('exit', (code, signal) => {
        workers.delete(worker);
        const isSteady = performance.now() - started > STEADY_MS;
        const wait = isSteady ? MIN_BACKOFF_MS : pause;
        if (isServing) void replace(worker, wait, signal || `code ${code}`);
        else if (signal) report(`worker ${worker.process.pid} ended (${signal}) before it served`);
        reject(new WorkerEnded());
      });
    });
    listening.catch(() => {}); // It may have no listener.
    return listening;
  };
  const stop = async (grace: number) => {
    stopping.abort();
    const ended = [...workers].map(
      (worker) => new Promise<void>((resolve) => worker.once('exit', () => resolve())),
    );
    for (const worker of workers) worker.process.kill('SIGTERM');
    const kill = () => {
      for (const worker of workers) worker.process.kill('SIGKILL');
    };
    const timer = setTimeout(kill, grace * 1000 + STOP_MARGIN_MS);
    await Promise.all(ended);
    clearTimeout(timer);
  };

  let isServing = false;
  try {
    const address = await start();
    isServing = true;
    await Promise.allSettled(Array.from({ length: count - 1 }, () => start()));
    return { address, stop };
  } catch (fault) {
    await stop(0);
    throw fault;
  }
}

/** A worker could not start. The reason has been printed already. */
export class WorkerEnded extends Error {
  override readonly name = 'WorkerEnded';
}
