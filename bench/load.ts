/** Puts load on a server, and measures rate, latency and CPU at the same time. */
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { program } from '../tests/support/programs.ts';
import { Connection, cpuSeconds, quantile, type Reply, requestText } from './measure.ts';

const WRK_SCRIPT = join(import.meta.dirname, 'wrk.lua');

export interface Reading {
  /** Requests per second. */
  readonly rate: number;
  /** Milliseconds. */
  readonly p99: number;
  /** CPU microseconds per request: of the server, and of the server and the database together. */
  readonly serverCpu: number;
  readonly totalCpu: number;
}

/** The ids of the processes that serve a request. */
export interface Workers {
  readonly server: number;
  readonly database: number | undefined;
}

/** A file of tokens, one a line, and how far it has been used. */
export interface TokenFile {
  readonly path: string;
  /** In bytes. */
  position: number;
}

export interface WrkOptions {
  readonly url: string;
  readonly kind: 'protected' | 'refresh';
  readonly tokens: TokenFile;
  readonly connections: number;
  readonly seconds: number;
}

export function requireWrk(): void {
  // wrk has no option that does nothing and exits with 0.
  if (program(['sh'], ['-c', 'command -v wrk'], 'wrk') === undefined) {
    throw new Error('the benchmarks need wrk');
  }
}

/**
 * A closed loop by wrk on one thread: each connection sends its next request, with the next token,
 * as soon as it has a reply.
 * @throws Error if a request failed
 */
export async function wrk(options: WrkOptions, workers: Workers): Promise<Reading> {
  const { url, kind, tokens, connections, seconds } = options;
  const before = cpuOf(workers);
  const target = `http://127.0.0.1:${new URL(url).port}`;
  const size = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout=10s'];
  const script = [kind, tokens.path, `${tokens.position}`];
  const args = [...size, '-s', WRK_SCRIPT, target, '--', ...script];
  const { stdout } = await promisify(execFile)('wrk', args);
  const after = cpuOf(workers);
  const last = stdout.trim().split('\n').at(-1) ?? '';
  const found = readNumbers(last);
  if (found('requests') === 0 || found('failed') > 0) {
    throw new Error(`${kind} at ${connections} connections: ${last}`);
  }
  tokens.position = found('position');
  return {
    rate: found('requests') / (found('microseconds') / 1e6),
    p99: found('p99') / 1000,
    ...cpuEach(before, after, found('requests')),
  };
}

/** The numbers of an object in JSON, by their names. */
export function readNumbers(json: string): (name: string) => number {
  const found: unknown = JSON.parse(json);
  const entries = new Map(Object.entries(typeof found === 'object' && found ? found : {}));
  return (name) => {
    const value: unknown = entries.get(name);
    if (typeof value !== 'number') throw new Error(`no ${name} in ${json}`);
    return value;
  };
}

export interface Loop {
  readonly url: string;
  readonly inFlight: number;
  readonly seconds: number;
  readonly next: () => string;
  /** The status of a reply to count; any other is a fault. */
  readonly status: number;
}

/** A closed loop by `Connection`, for expensive requests, of which there are few. */
export async function closedLoop(loop: Loop, workers: Workers): Promise<Reading> {
  const { url, inFlight, seconds, next, status } = loop;
  const replies: Reply[] = [];
  const connections = await openAll(url, inFlight);
  const before = cpuOf(workers);
  const started = performance.now();
  const until = started + seconds * 1000;
  const one = async (connection: Connection) => {
    while (performance.now() < until) {
      const reply = await connection.send(next());
      if (reply.status !== status) throw new Error(`${reply.status} ${reply.body}`);
      if (performance.now() < until) replies.push(reply);
    }
    connection.close();
  };
  const work = Promise.all(connections.map(one));
  // The race rejects as soon as a request fails, not when the time is up.
  await Promise.race([sleep(until - performance.now()), work]);
  const after = cpuOf(workers);
  const elapsed = (performance.now() - started) / 1000;
  await work;
  return {
    rate: replies.length / elapsed,
    p99: p99(replies),
    ...cpuEach(before, after, replies.length),
  };
}

/** An open loop at `rate` a second, in which each reply must be 200. */
export async function paced(
  url: string,
  rate: number,
  seconds: number,
  next: () => string,
): Promise<readonly Reply[]> {
  const replies: Reply[] = [];
  const idle = await openAll(url, 4);
  const until = performance.now() + seconds * 1000;
  await offer({ url, rate, until, next, idle }, (reply) => {
    if (reply.status !== 200) throw new Error(`${reply.status} ${reply.body}`);
    replies.push(reply);
  });
  return replies;
}

/** The parameters of an open loop. */
export interface Offer {
  readonly url: string;
  /** Requests per second. */
  readonly rate: number;
  /** The end, in milliseconds of `performance.now()`. */
  readonly until: number;
  readonly next: () => string;
  /** Open connections to start with. More are opened as needed; all are closed at the end. */
  readonly idle?: Connection[];
}

/** Sends at `rate` a second whether replies come or not, then waits for the last reply. */
export async function offer(
  { url, rate, until, next, idle = [] }: Offer,
  take: (reply: Reply) => void,
): Promise<void> {
  const pending = new Set<Promise<void>>();
  const one = async () => {
    const connection = idle.pop() ?? (await Connection.open(url));
    take(await connection.send(next()));
    idle.push(connection);
  };
  const started = performance.now();
  for (let sent = 0; performance.now() < until; ) {
    const due = ((performance.now() - started) / 1000) * rate;
    for (; sent < due; sent += 1) {
      const sending = one().finally(() => pending.delete(sending));
      pending.add(sending);
    }
    await sleep(1);
  }
  await Promise.all(pending);
  for (const connection of idle) connection.close();
}

/**
 * Reads the reply to a GET to its end, without keeping it. After `stopAt` bytes, pauses until
 * `stop` resolves.
 * @throws Error if the reply is not whole, or too short to stop in
 */
export function readToEnd(
  url: string,
  stopAt = 0,
  stop: () => Promise<void> = async () => {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const { port, pathname, search } = new URL(url);
    let length = 0;
    let isStopped = false;
    let tail = '';
    const socket = connect(Number(port), '127.0.0.1');
    const request = requestText(`GET ${pathname}${search}`);
    socket.write(request.replace('\r\n', '\r\nConnection: close\r\n'));
    socket.on('data', (chunk: Buffer) => {
      length += chunk.length;
      tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 5))).slice(-5);
      if (isStopped || length < stopAt) return;
      isStopped = true;
      socket.pause();
      stop().then(() => socket.resume(), reject);
    });
    socket.on('error', reject);
    socket.on('close', () => {
      if (tail === '0\r\n\r\n' && isStopped) resolve();
      else reject(new Error(`${url}: the reply ended with ${JSON.stringify(tail)}`));
    });
  });
}

function openAll(url: string, count: number): Promise<Connection[]> {
  return Promise.all(Array.from({ length: count }, () => Connection.open(url)));
}

/** Milliseconds. */
export function p99(replies: readonly Reply[]): number {
  return quantile(
    replies.map(({ ms }) => ms),
    0.99,
  );
}

interface Cpu {
  readonly server: number;
  readonly database: number;
}

function cpuOf({ server, database }: Workers): Cpu {
  return {
    server: cpuSeconds(server),
    database: database === undefined ? 0 : cpuSeconds(database),
  };
}

function cpuEach(before: Cpu, after: Cpu, requests: number) {
  const server = ((after.server - before.server) / requests) * 1e6;
  const database = ((after.database - before.database) / requests) * 1e6;
  return { serverCpu: server, totalCpu: server + database };
}
