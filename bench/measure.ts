/** A cheap HTTP client, and measurements of a process. */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

export interface Reply {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** From writing the request to the end of the reply. */
  readonly ms: number;
}

/**
 * A keep-alive connection for one request at a time. Node's own client needs several times the CPU
 * for a request, on cores that it would share with the service.
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

  /** True if neither side has closed the connection. */
  get isOpen(): boolean {
    return this.#socket.writable;
  }

  /** Sends a request. Rejects if the connection is closed. */
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

/** The peak memory since `forgetPeak`, in MB, as the kernel counts it. */
export function peakMemory(pid: number): number {
  return megabytes(pid, /VmHWM:\s+(\d+) kB/);
}

export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** The open files of a process: paths, or names such as `socket:[inode]`. */
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

/** The number of open files of a process, and how many of them are sockets. */
export function handles(pid: number): { readonly all: number; readonly sockets: number } {
  const open = openFiles(pid);
  const sockets = open.filter((what) => what.startsWith('socket:'));
  return { all: open.length, sockets: sockets.length };
}

function megabytes(pid: number, line: RegExp): number {
  const [, kib = '0'] = line.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}

/** The user and system time so far of a process and its children, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // Starts at the third field.
  const own = (Number(fields[11]) + Number(fields[12])) / 100; // Ticks of 10 ms.
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  return children.filter(Boolean).reduce((sum, child) => sum + cpuSeconds(Number(child)), own);
}

/** The time so far that the cores were busy, for all processes, in seconds. */
export function busySeconds(): number {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split(/\s+/);
  return [user, nice, system, irq, softirq].reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

/** The value below which this share (0 to 1) of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).toSorted();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** The median. For an even number of values, the mean of the middle two: there are few rounds. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).toSorted();
  const [low, high] = [(sorted.length - 1) / 2, sorted.length / 2].map(Math.floor);
  return ((sorted[low ?? 0] ?? Number.NaN) + (sorted[high ?? 0] ?? Number.NaN)) / 2;
}
