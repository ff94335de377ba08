import cluster, { type Address, type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds before a worker that ended is replaced; doubled while those in its place end soon, too. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;
/** A worker that lasted so long, in ms, had nothing wrong with its start. */
const STEADY = 10_000;
/** Milliseconds beyond the grace for what is left of a stop. */
const STOP_PATIENCE = 5_000;

/** What is told of workers, a line each. */
type Tell = (line: string) => void;

/** Processes of this same program that share one port; the system, not this one, does their work. */
export interface Workers {
  /** Where they listen. */
  readonly address: Address;
  /** Tells all to stop, and waits; those that take longer than `grace` seconds and some are ended. */
  readonly stop: (grace: number) => Promise<void>;
}

/** Whether this process is one that `startWorkers` started. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/** Has a worker stop, in its own time, when the process that started it is gone. Node would exit at once. */
export function stopWhenAlone(stop: () => void): void {
  const { worker } = cluster;
  worker?.once('disconnect', () => {
    worker.exitedAfterDisconnect = true;
    stop();
  });
}

/**
 * Starts `count` workers, the first one alone, so that what keeps all from starting is found, and said,
 * once. From then on a worker that ends is replaced.
 * @throws WorkerEnded where the first one ends before it listens
 */
export async function startWorkers(count: number, tell: Tell): Promise<Workers> {
  const workers = new Set<Worker>();
  const stopping = new AbortController();

  const replace = async (worker: Worker, pause: number, how: string) => {
    if (stopping.signal.aborted) return;
    tell(`worker ${worker.process.pid} ended (${how}); another starts in ${pause / 1000} s`);
    await sleep(pause, undefined, { signal: stopping.signal }).catch(() => {});
    if (!stopping.signal.aborted) void start(Math.min(2 * pause, LONGEST_PAUSE));
  };
  /** `pause`: before it is replaced, should it end soon. */
  const start = (pause = FIRST_PAUSE): Promise<Address> => {
    const worker = cluster.fork();
    const started = performance.now();
    workers.add(worker);
    const listening = new Promise<Address>((resolve, reject) => {
      worker.once('listening', resolve);
      worker.once('exit', (code, signal) => {
        workers.delete(worker);
        const isSteady = performance.now() - started > STEADY;
        const wait = isSteady ? FIRST_PAUSE : pause;
        if (isServing) void replace(worker, wait, signal || `code ${code}`);
        else if (signal) tell(`worker ${worker.process.pid} ended (${signal}) before it served`);
        reject(new WorkerEnded());
      });
    });
    listening.catch(() => {}); // Whoever waits for it is told.
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
    const timer = setTimeout(kill, grace * 1000 + STOP_PATIENCE);
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

/** A worker could not start; it has said why, or was ended by a signal that was told of. */
export class WorkerEnded extends Error {
  override readonly name = 'WorkerEnded';
}
