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
import { attend, openForMigration, poolLoad } from './adapters/knex/connection/open.ts';
import { otherHashes } from './adapters/knex/operator/inspection.ts';
import { KnexAudit } from './adapters/knex/audit.ts';
import { migrate } from './adapters/knex/migrate.ts';
import type { Metrics } from './adapters/metrics/metrics.ts';
import { nameFault } from './adapters/log/faults.ts';
import type { Log } from './adapters/log/log.ts';
import { compose, type Part, type Parts } from './composition.ts';

export interface Service {
  readonly url: string;
  /** Where Prometheus reads; undefined where it does not, or where the first process shows it. */
  readonly metricsUrl: string | undefined;
  readonly part: Part;
  /**
   * Says that it is not ready, goes on for the delay of the settings, lets requests under way finish, within
   * their grace, and closes everything. For
   * `lastCall` milliseconds, none unless given, it still answers what comes on its connections.
   */
  readonly stop: (lastCall?: number) => Promise<void>;
}

/** Brings the database up to date and serves. */
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
    onAnswered: config.accessLog ? alsoLogging(log, metrics?.onAnswered) : metrics?.onAnswered,
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
  const stopPruning = composition.part('pruning').start();
  const stopAttending = knex && attend(knex);
  return {
    url: urlOf(server.address()),
    metricsUrl: shown?.url,
    part: composition.part,
    async stop(lastCall = 0) {
      stopPruning();
      composition.part('readiness').stop();
      if (shutdownDelay > 0) await sleep(shutdownDelay * 1000);
      stopAttending?.();
      await drain(server, lastCall, shutdownGrace * 1000);
      await composition.close();
      await shown?.close();
    },
  };
}

/** Before the first request, whose time is to tell nothing. The service does without where it cannot be done. */
async function measureStoredHashes({ argon2 }: Config, part: Part): Promise<void> {
  const knex = part('knex');
  if (knex === undefined) return;
  try {
    await part('hasher').measure?.(await otherHashes(knex, hashPrefix(argon2)));
  } catch (fault) {
    part('log').error(fault);
  }
}

/** A line for each request, of nothing that a client has written. */
function alsoLogging(
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

/** On a port of their own; a worker tells the first process, which shows those of all. */
async function showMetrics(config: Config, metrics: Metrics): Promise<ShownMetrics | undefined> {
  if (!isWorker()) return showText(config, () => metrics.text());
  const { answerWith } = await import('./adapters/metrics/worker-metrics.ts');
  answerWith(() => metrics.json());
  return undefined;
}

/** Shows a text to Prometheus, where the settings say. */
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

/** On a pool of its own, since a migration may take longer than any request. */
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

/** As a person would type it. */
export function urlOf(address: string | AddressInfo | null): string {
  if (address === null || typeof address === 'string') return String(address);
  const { address: host, family, port } = address;
  if (host === '127.0.0.1') return `http://localhost:${port}`;
  return `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`;
}
