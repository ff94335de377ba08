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

/** Milliseconds in which requests that clients have sent already are on their way. */
const LAST_CALL = 300;

/** Run directly: serves until SIGTERM or SIGINT; a second one ends at once. */
async function main(): Promise<void> {
  // As many frames as the line of a fault shows. A refusal is an error too, and each frame costs.
  Error.stackTraceLimit = 3;
  // A reader of the output that went away must not take the service with it.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => {});
  // What nobody caught: Node would print all of it, as it is.
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
    serving.then((service) => service.stop(LAST_CALL)).then(() => process.exit(0), fail);
  };
  if (isWorker()) {
    // Twice where all processes of the service get it: from whoever stops them, and from the first one.
    process.once('SIGTERM', stop).on('SIGTERM', () => {});
    process.on('SIGINT', () => {}); // Of a terminal, which sends it to the whole group.
    stopWhenAlone(stop); // Nobody is left to replace this one, or to stop it.
  } else {
    process.on('SIGTERM', stop).on('SIGINT', stop);
  }
  const { url, metricsUrl } = await serving;
  lowerPoolPriority().catch((fault: unknown) => log.error(fault)); // It serves without, too.
  if (!stopping && !isWorker()) {
    const connections = affordableConnections(config.maxConnections);
    const summary = summaryOf(config, { url, metricsUrl, connections });
    for (const line of summary) log.info(line);
  }
}

/** Serves by processes that share nothing but the port and the database. */
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
