import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Readers at once: one or two are usual. */
const MAX_CONNECTIONS = 20;
const TIMEOUT = 10_000;
const TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface MetricsServer {
  readonly address: AddressInfo | string | null;
  readonly close: () => Promise<void>;
}

/**
 * Shows the metrics at GET /metrics, on a port of its own: they are nobody's business who uses the API.
 * Whoever reads while another reads gets the same.
 * @throws where nothing can listen there
 */
export async function serveMetrics(
  { host, port }: { readonly host: string; readonly port: number },
  read: () => Promise<string>,
): Promise<MetricsServer> {
  let reading: Promise<string> | undefined;
  const readOnce = () => (reading ??= read().finally(() => (reading = undefined)));
  const limits = { headersTimeout: TIMEOUT, requestTimeout: TIMEOUT, keepAliveTimeout: 60_000 };
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
