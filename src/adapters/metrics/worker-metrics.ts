import cluster, { type Worker } from 'node:cluster';
import { AggregatorRegistry, type Registry } from 'prom-client';

const ASK = 'portcullis:metrics?';
const ANSWER = 'portcullis:metrics';

/** Milliseconds for a worker to answer; of one that is busier what it last said is shown. */
const PATIENCE = 1_000;

interface Metric {
  readonly type?: unknown;
}

/** Has a worker tell the first process what it has measured, when that asks. */
export function answerWith(read: () => Promise<readonly object[]>): void {
  process.on('message', (message) => {
    if (message !== ASK) return;
    void read().then((metrics) => process.send?.({ [ANSWER]: metrics }));
  });
}

/**
 * What all workers have measured, added up. What a worker had counted when it was last asked stays in the
 * sums after its end: a sum that falls would be taken for a restart, and all of it counted once more.
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

/** Resolves when it has answered, or will not. */
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
    const late = setTimeout(end, PATIENCE);
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
