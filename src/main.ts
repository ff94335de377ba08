import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { lowerPoolPriority, sizeThreadPool } from './adapters/process/thread-pool.ts';
import { isWorker, startWorkers, stopWhenAlone, WorkerEnded } from './adapters/process/workers.ts';
import { type Config, ConfigError, readConfig } from './adapters/config/config.ts';
import { summaryOf } from './adapters/config/summary.ts';
import { affordableConnections } from './adapters/http/hosts/server.ts';
import { describeFault, printable } from './adapters/log/faults.ts';
import { type Log, textLog } from './adapters/log/log.ts';
import { openLog } from './composition.ts';
import { serve, type Service, showText, urlOf } from './serve.ts';

/** How long requests may be under way that clients have sent already. */
const LAST_CALL_MS = 300;

/** Serves until SIGTERM or SIGINT. A second signal ends the process at once. */
async function main(): Promise<void> {
  // The log shows three frames. Each refusal is an Error, and each frame costs time.
  Error.stackTraceLimit = 3;
  // A closed output pipe must not end the service.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => {});
  // Node would print the whole error, which may hold private data.
  let log = textLog();
  process.on('uncaughtException', (fault) => {
    log.error(fault);
    process.exit(1);
  });
  const config = readConfig(process.env);
  sizeThreadPool(config.argon2.concurrency);
  log = await openLog(config);
  const isFirst = config.workers > 1 && !isWorker();
  const serving = isFirst ? superviseWorkers(config, log) : serve(config, { log });
  let stopping = false;
  const stop = () => {
    if (stopping) process.exit(1);
    stopping = true;
    if (!isWorker()) log.info('Stopping');
    serving.then((service) => service.stop(LAST_CALL_MS)).then(() => process.exit(0), fail);
  };
  if (isWorker()) {
    // It comes twice if the whole group is signalled: the first process passes it on.
    process.once('SIGTERM', stop).on('SIGTERM', () => {});
    process.on('SIGINT', () => {}); // A terminal sends it to the whole group.
    stopWhenAlone(stop);
  } else {
    process.on('SIGTERM', stop).on('SIGINT', stop);
  }
  const { url, metricsUrl } = await serving;
  lowerPoolPriority().catch((fault: unknown) => log.error(fault)); // Optional.
  if (!stopping && !isWorker()) {
    const connections = affordableConnections(config.maxConnections);
    const summary = summaryOf(config, { url, metricsUrl, connections });
    for (const line of summary) log.info(line);
  }
}

/** Serves with worker processes that share only the port and the database. */
async function superviseWorkers(
  config: Config,
  log: Log,
): Promise<Pick<Service, 'url' | 'metricsUrl' | 'stop'>> {
  const { workers, host, shutdownDelay, shutdownGrace } = config;
  const { address, stop } = await startWorkers(workers, (line) => log.alert(line));
  const { port, addressType } = address;
  const family = addressType === 6 ? 'IPv6' : 'IPv4';
  const shown = config.metrics && (await showText(config, await textOfWorkers()));
  return {
    metricsUrl: shown?.url,
    url: urlOf({ address: address.address ?? host, port, family }),
    stop: () => stop(shutdownDelay + shutdownGrace),
  };
}

async function textOfWorkers(): Promise<() => Promise<string>> {
  const { WorkerMetrics } = await import('./adapters/metrics/worker-metrics.ts');
  const workers = new WorkerMetrics();
  return () => workers.text();
}

function fail(error: unknown): never {
  if (error instanceof ConfigError) {
    for (const fault of error.faults) console.error(printable(fault));
  } else if (!(error instanceof WorkerEnded)) {
    console.error(`Portcullis cannot start: ${describeFault(error)}`);
  }
  process.exit(1);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch(fail);
}
