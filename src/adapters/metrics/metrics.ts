import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { observeOutcome } from '../../domain/calls.ts';
import type { Interceptor } from '../../application/index.ts';
import type { CompletedRequest } from '../http/hosts/server.ts';
import type { PoolLoad } from '../knex/connection/open.ts';

type AnsweredRequest = Pick<CompletedRequest, 'method' | 'route' | 'status' | 'seconds'>;

/** The gauges, which are read when somebody reads the metrics. */
export interface Sources {
  readonly hashing: () => { readonly running: number; readonly waiting: number } | undefined;
  /** Undefined if there is no database. */
  readonly pool: () => PoolLoad | undefined;
  readonly connections: () => number;
  readonly maxConnections: number;
}

/** Histogram bounds in seconds: from the check of a token to the deadline of a request. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS']);

/** The Prometheus metrics of one process. No client can add values to the labels. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = this.#histogram(
    'http_server_request_duration_seconds',
    'From the headers of a request to the end of its answer',
    ['method', 'route', 'status'],
  );
  readonly #useCases = new Counter({
    name: 'portcullis_use_cases_total',
    help: 'Calls of the use cases, by what came of them: success, the code of a refusal, or fault',
    labelNames: ['use_case', 'outcome'],
    registers: [this.#registry],
  });
  readonly #hashWait = this.#histogram(
    'portcullis_hash_wait_seconds',
    'What hashes of passwords waited for their turn',
  );
  readonly #hash = this.#histogram(
    'portcullis_hash_duration_seconds',
    'What hashes of passwords took, without the wait',
  );

  constructor(version: string) {
    collectDefaultMetrics({ register: this.#registry });
    const buildInfo = new Gauge({
      name: 'portcullis_build_info',
      help: 'The version that runs',
      labelNames: ['version', 'node'],
      registers: [this.#registry],
      aggregator: 'first', // All workers have the same version: nothing to add up.
    });
    buildInfo.set({ version, node: process.versions.node }, 1);
    this.#gauge('portcullis_processes', 'Processes that serve').set(1);
  }

  /** For `intercept`. */
  readonly around: Interceptor = (useCase, call) =>
    observeOutcome(call, (outcome) => {
      this.#useCases.inc({ use_case: snakeCase(useCase), outcome });
    });

  /** For the `onAnswered` of `httpServer`. */
  readonly onAnswered = ({ method, route, status, seconds }: AnsweredRequest): void => {
    this.#requests.observe(
      {
        method: METHODS.has(method) ? method : 'other',
        route: route ?? 'none',
        status: status ?? 'gone',
      },
      seconds,
    );
  };

  readonly onHash = (waited: number, took: number): void => {
    this.#hashWait.observe(waited);
    this.#hash.observe(took);
  };

  watch({ hashing, pool, connections, maxConnections }: Sources): void {
    const gauges: readonly [name: string, help: string, read: () => number | undefined][] = [
      ['portcullis_hashes_running', 'Hashes being computed', () => hashing()?.running],
      ['portcullis_hashes_waiting', 'Hashes waiting for their turn', () => hashing()?.waiting],
      ['portcullis_database_pool_used', 'Connections to the database in use', () => pool()?.used],
      ['portcullis_database_pool_free', 'Idle connections to the database', () => pool()?.free],
      [
        'portcullis_database_pool_waiting',
        'Callers waiting for a connection to the database',
        () => pool()?.waiting,
      ],
      ['portcullis_connections', 'Open connections of clients', connections],
      ['portcullis_connections_max', 'Connections of clients at most', () => maxConnections],
    ];
    for (const [name, help, read] of gauges) {
      const gauge = this.#gauge(name, help, [], () => {
        const value = read();
        if (value !== undefined) gauge.set(value);
      });
    }
  }

  /** In the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** For the first process, which adds up those of all workers. */
  json(): Promise<readonly object[]> {
    return this.#registry.getMetricsAsJSON();
  }

  #histogram(name: string, help: string, labelNames: readonly string[] = []): Histogram {
    const buckets = BUCKETS;
    return new Histogram({ name, help, labelNames, buckets, registers: [this.#registry] });
  }

  #gauge(
    name: string,
    help: string,
    labelNames: readonly string[] = [],
    collect: () => void = () => {},
  ): Gauge {
    return new Gauge({ name, help, labelNames, collect, registers: [this.#registry] });
  }
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
