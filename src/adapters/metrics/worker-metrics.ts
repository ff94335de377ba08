import cluster, { type Worker } from 'node:cluster';
import { AggregatorRegistry, type Registry } from 'prom-client';

const ASK = 'portcullis:metrics?';
const ANSWER = 'portcullis:metrics';

/** How long a worker may take to answer. Of one that is busier, the last answer is shown. */
const ANSWER_TIMEOUT_MS = 1_000;

interface Metric {
  readonly type?: unknown;
}

/** Makes a worker send its metrics to the first process when that asks. */
export function answerWith(read: () => Promise<readonly object[]>): void {
  process.on('message', (message) => {
    if (message !== ASK) return;
    void read().then((metrics) => process.send?.({ [ANSWER]: metrics }));
  });
}

/**
 * The sum of the metrics of all workers. The last counts of a worker that ended stay in the sum:
 * Prometheus would take a counter that falls for a restart.
 */
export class WorkerMetrics {
  readonly #last = new Map<number, readonly Metric[]>();
  #ended: Promise<readonly Metric[]> = Promise.resolve([]);

  constructor() {
    cluster.on('message', ({ id }, message: unknown) => {
      const metrics = metricsIn(message);
      if (metrics) this.#last.set(id, metrics);
    });
    cluster.on('exit', ({ id }) => {
      const last = this.#last.get(id) ?? [];
      this.#last.delete(id);
      const counts = last.filter(({ type }) => type === 'counter' || type === 'histogram');
      this.#ended = this.#ended.then((ended) => sumOf([ended, counts]).getMetricsAsJSON());
    });
  }

  async text(): Promise<string> {
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    await Promise.all(workers.filter((worker) => worker.isConnected()).map(ask));
    return sumOf([await this.#ended, ...this.#last.values()]).metrics();
  }
}

function sumOf(all: readonly (readonly Metric[])[]): Registry {
  return AggregatorRegistry.aggregate([...all]);
}

/** Resolves when the worker has answered, ended or timed out. */
function ask(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(late);
      worker.off('message', listen);
      worker.off('exit', end);
      resolve();
    };
    const listen = (message: unknown) => {
      if (metricsIn(message)) end();
    };
    const late = setTimeout(end, ANSWER_TIMEOUT_MS);
    worker
      .on('message', listen)
      .once('exit', end)
      .send(ASK, () => {});
  });
}

function metricsIn(message: unknown): readonly Metric[] | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  const metrics: unknown = Reflect.get(message, ANSWER);
  return Array.isArray(metrics) ? metrics : undefined;
}
