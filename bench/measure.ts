/** What the benchmarks share: a cheap HTTP client, and readings of a process. */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

export interface Reply {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** From the request being written to the reply being whole. */
  readonly ms: number;
}

/**
 * One keep-alive connection, one request at a time. Node's own client takes several times as long
 * for a request, and the service would share the cores with it.
 */
export class Connection {
  readonly #socket: Socket;
  #received = '';
  #written = 0;
  #waiting: { resolve: (reply: Reply) => void; reject: (fault: Error) => void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => this.#read(text));
    socket.on('error', (fault) => this.#waiting?.reject(fault));
    socket.on('close', () => this.#waiting?.reject(new Error('connection closed')));
  }

  static open(url: string): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.once('error', reject);
      socket.once('connect', () => resolve(new Connection(socket)));
    });
  }

  /** Whether it can still be sent on: neither side has closed it. */
  get isOpen(): boolean {
    return this.#socket.writable;
  }

  /** Only while it is open. */
  send(request: string): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('connection closed'));
      this.#waiting = { resolve, reject };
      this.#received = '';
      this.#written = performance.now();
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf('\r\n\r\n');
    if (end === -1) return;
    const head = this.#received.slice(0, end);
    const [, length = '0'] = /\r\ncontent-length: (\d+)/i.exec(head) ?? [];
    const body = this.#received.slice(end + 4);
    if (body.length < Number(length)) return;
    if (/\r\ntransfer-encoding: chunked/i.test(head) && !body.endsWith('0\r\n\r\n')) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    const ms = performance.now() - this.#written;
    waiting?.resolve({ status: Number(head.slice(9, 12)), head, body, ms });
  }
}

/** The text of a request; `json` is its body. */
export function requestText(
  endpoint: string,
  sent: { json?: unknown; token?: string } = {},
): string {
  const lines = [`${endpoint} HTTP/1.1`, 'Host: localhost'];
  if (sent.token !== undefined) lines.push(`Authorization: Bearer ${sent.token}`);
  if (sent.json === undefined) return [...lines, '', ''].join('\r\n');
  const body = JSON.stringify(sent.json);
  lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`);
  return [...lines, '', body].join('\r\n');
}

/** Resident memory of a process, in MB. */
export function memory(pid: number): number {
  return megabytes(pid, /VmRSS:\s+(\d+) kB/);
}

/** The most that it has been since `forgetPeak`, in MB: the kernel's own count, which misses nothing. */
export function peakMemory(pid: number): number {
  return megabytes(pid, /VmHWM:\s+(\d+) kB/);
}

export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** What a process holds open, each by its name: a path, or `socket:[inode]` and the like. */
export function openFiles(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((each) => {
    try {
      return [readlinkSync(`${folder}/${each}`)];
    } catch {
      return []; // Closed meanwhile.
    }
  });
}

/** How much a process holds open: files and sockets. */
export function handles(pid: number): { readonly all: number; readonly sockets: number } {
  const open = openFiles(pid);
  const sockets = open.filter((what) => what.startsWith('socket:'));
  return { all: open.length, sockets: sockets.length };
}

function megabytes(pid: number, line: RegExp): number {
  const [, kib = '0'] = line.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}

/** Seconds that a process and its children have spent on the cores so far: their user and system time. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // From the third on.
  const own = (Number(fields[11]) + Number(fields[12])) / 100; // Linux counts in hundredths for all.
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  return children.filter(Boolean).reduce((sum, child) => sum + cpuSeconds(Number(child)), own);
}

/** Seconds that the cores have worked so far, for whomever. */
export function busySeconds(): number {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split(/\s+/);
  return [user, nice, system, irq, softirq].reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

/** The value below which a share of the others is; 0.5: the median. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).toSorted();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Of an even number of values the mean of the two in the middle: rounds are few. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).toSorted();
  const [low, high] = [(sorted.length - 1) / 2, sorted.length / 2].map(Math.floor);
  return ((sorted[low ?? 0] ?? Number.NaN) + (sorted[high ?? 0] ?? Number.NaN)) / 2;
}
