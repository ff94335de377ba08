import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashPrefix } from './adapters/argon2/phc.ts';
import { isWorker } from './adapters/process/workers.ts';
import { type Config, ConfigError } from './adapters/config/config.ts';
import { messageClasses } from './adapters/http/hosts/express.ts';
import {
  affordableConnections,
  type CompletedRequest,
  drain,
  httpServer,
  openConnections,
} from './adapters/http/hosts/server.ts';
import { keepAlive, openForMigration, poolLoad } from './adapters/knex/connection/open.ts';
import { otherHashes } from './adapters/knex/operator/inspection.ts';
import { KnexAudit } from './adapters/knex/audit.ts';
import { migrate } from './adapters/knex/migrate.ts';
import type { Metrics } from './adapters/metrics/metrics.ts';
import { nameFault } from './adapters/log/faults.ts';
import type { Log } from './adapters/log/log.ts';
import { ClocksApart } from './application/index.ts';
import { compose, type GetPart, type Parts } from './composition.ts';

const HOUR_MS = 60 * 60 * 1000;

export interface Service {
  readonly url: string;
  /** Undefined if metrics are off, or if the first process shows those of this worker. */
  readonly metricsUrl: string | undefined;
  readonly part: GetPart;
  /**
   * Reports not ready, waits for SHUTDOWN_DELAY, lets open requests finish within SHUTDOWN_GRACE,
   * then closes everything. Open connections may send new requests for `lastCallMs` (default: 0).
   */
  readonly stop: (lastCallMs?: number) => Promise<void>;
}

/** Migrates the database and serves. */
export async function serve(config: Config, overrides: Partial<Parts> = {}): Promise<Service> {
  const { store, host, port, shutdownDelay, shutdownGrace, workers } = config;
  const composition = await compose(config, overrides);
  if (store.kind !== 'memory') {
    await migrateStore(store, config.audit === 'table').catch((cause: unknown) => {
      throw new ConfigError([`DATABASE_URL cannot be used: ${nameFault(cause)}`]);
    });
  }
  await measureStoredHashes(config, composition.part);
  const maxConnections = affordableConnections(Math.ceil(config.maxConnections / workers));
  const app = composition.part('app');
  const metrics = composition.part('metrics');
  const log = composition.part('log');
  const server = httpServer(app, {
    maxConnections,
    onAnswered: config.accessLog ? withAccessLog(log, metrics?.onAnswered) : metrics?.onAnswered,
    withAddresses: config.accessLog,
    ...messageClasses(app),
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  }).catch((cause: unknown) => {
    throw new ConfigError([`HOST ${host}, PORT ${port} cannot be used: ${nameFault(cause)}`]);
  });
  const knex = composition.part('knex');
  metrics?.watch({
    hashing: () => composition.part('hasher').load,
    pool: () => knex && poolLoad(knex),
    connections: () => openConnections(server),
    maxConnections,
  });
  const shown = metrics && (await showMetrics(config, metrics));
  const stopPruning = pruneEveryHour(composition.part);
  const stopKeepAlive = knex && keepAlive(knex);
  return {
    url: urlOf(server.address()),
    metricsUrl: shown?.url,
    part: composition.part,
    async stop(lastCallMs = 0) {
      stopPruning();
      composition.part('readiness').stop();
      if (shutdownDelay > 0) await sleep(shutdownDelay * 1000);
      stopKeepAlive?.();
      await drain(server, lastCallMs, shutdownGrace * 1000);
      await composition.close();
      await shown?.close();
    },
  };
}

/** Prunes now and every hour; returns how to stop it. */
function pruneEveryHour(part: GetPart): () => void {
  const pruneAll = part('pruneAll');
  const log = part('log');
  let isStopped = false;
  let isRunning = false;
  const prune = async () => {
    if (isRunning) return;
    isRunning = true;
    try {
      await pruneAll.execute(() => isStopped);
    } catch (fault) {
      if (fault instanceof ClocksApart) log.alert(`${fault.message}: nothing is pruned`);
      else log.error(fault);
    } finally {
      isRunning = false;
    }
  };
  const timer = setInterval(() => void prune(), HOUR_MS).unref();
  void prune();
  return () => {
    isStopped = true;
    clearInterval(timer);
  };
}

/** Measures foreign hashes before the first request, so that no refusal is faster than others. */
async function measureStoredHashes({ argon2 }: Config, part: GetPart): Promise<void> {
  const knex = part('knex');
  if (knex === undefined) return;
  try {
    await part('hasher').measure?.(await otherHashes(knex, hashPrefix(argon2)));
  } catch (fault) {
    part('log').error(fault);
  }
}

/** Logs a line for each request. It holds nothing that a client has written. */
function withAccessLog(
  log: Log,
  onAnswered: (answered: CompletedRequest) => void = () => {},
): typeof onAnswered {
  return (answered) => {
    const { seconds, ...fields } = answered;
    log.info('request', { ...fields, milliseconds: seconds * 1000 });
    onAnswered(answered);
  };
}

export interface ShownMetrics {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** Shows the metrics on a port of their own. A worker sends them to the first process instead. */
async function showMetrics(config: Config, metrics: Metrics): Promise<ShownMetrics | undefined> {
  if (!isWorker()) return showText(config, () => metrics.text());
  const { answerWith } = await import('./adapters/metrics/worker-metrics.ts');
  answerWith(() => metrics.json());
  return undefined;
}

/** Serves a text to Prometheus, if METRICS_PORT is set. */
export async function showText(
  { metrics: target }: Config,
  text: () => Promise<string>,
): Promise<ShownMetrics | undefined> {
  if (target === undefined) return undefined;
  const { serveMetrics } = await import('./adapters/metrics/metrics-server.ts');
  const { address, close } = await serveMetrics(target, text).catch((cause: unknown) => {
    const where = `METRICS_HOST ${target.host}, METRICS_PORT ${target.port}`;
    throw new ConfigError([`${where} cannot be used: ${nameFault(cause)}`]);
  });
  return { url: `${urlOf(address)}/metrics`, close };
}

/** Uses a pool of its own, without the time limits of requests. */
async function migrateStore(
  store: Exclude<Config['store'], { kind: 'memory' }>,
  withAudit: boolean,
): Promise<void> {
  const knex = openForMigration(store);
  try {
    await migrate(knex);
    if (withAudit) await new KnexAudit(knex).makeTable();
  } finally {
    await knex.destroy();
  }
}

/** The URL of an address, as a person would type it. */
export function urlOf(address: string | AddressInfo | null): string {
  if (address === null || typeof address === 'string') return String(address);
  const { address: host, family, port } = address;
  if (host === '127.0.0.1') return `http://localhost:${port}`;
  return `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`;
}
