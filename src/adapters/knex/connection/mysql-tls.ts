import { connect, type Socket } from 'node:net';
import type { SslOptions } from 'mysql2';
import type { DatabaseTls } from './target.ts';

/** For mysql2, which refuses a server without TLS before it sends anything. */
export function tlsOptions({ verify, ca }: DatabaseTls): SslOptions {
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verify !== 'nothing',
    verifyIdentity: verify === 'identity',
    ...(ca !== undefined && { ca }),
  };
}

/**
 * Opens a socket whose server's certificate Node checks against `host`. Node compares it with the
 * name that it stored on the socket; for an IP address it stores none, and would expect
 * "localhost".
 */
export function socketTo(host: string, port: number): Socket {
  return Object.assign(connect({ host, port, noDelay: true, keepAlive: true }), { _host: host });
}
