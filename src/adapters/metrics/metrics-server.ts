import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Readers at once: one or two are usual. */
const MAX_CONNECTIONS = 20;
const TIMEOUT_MS = 10_000;
const TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface MetricsServer {
  readonly address: AddressInfo | string | null;
  readonly close: () => Promise<void>;
}

/**
 * Serves the metrics at GET /metrics, on a port of their own, which clients of the API need not
 * reach. Concurrent readers share one reading. Rejects if the address cannot be used.
 */
export async function serveMetrics(
  { host, port }: { readonly host: string; readonly port: number },
  read: () => Promise<string>,
): Promise<MetricsServer> {
  let reading: Promise<string> | undefined;
  const readOnce = () => (reading ??= read().finally(() => (reading = undefined)));
  const limits = {
    headersTimeout: TIMEOUT_MS,
    requestTimeout: TIMEOUT_MS,
    keepAliveTimeout: 60_000,
  };
  const server = createServer(limits, (request, response) => {
    const [path] = (request.url ?? '').split('?');
    if (path !== '/metrics') return response.writeHead(404).end();
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return response.writeHead(405, { Allow: 'GET, HEAD' }).end();
    }
    readOnce().then(
      (text) => response.writeHead(200, { 'Content-Type': TYPE }).end(text),
      () => response.writeHead(500).end(),
    );
    return response;
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  return {
    address: server.address(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
