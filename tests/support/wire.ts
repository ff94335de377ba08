import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

/** An answer as its bytes say it. */
export interface WireAnswer {
  readonly status: number;
  /** By lower-case name; a name that came twice is a fault. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** The statuses, such as 100, of what came before it. */
  readonly informational: readonly number[];
  /** Whether the connection is over with this answer. */
  readonly last: boolean;
}

const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [ -~]+$/;
const HEADER_LINE = /^([\w-]+): ?([ -~]*)$/;

/**
 * A client that sends bytes as they are, and reads answers by the letter of RFC 9112: what a
 * friendlier one would repair is an error here.
 */
export class Wire {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #over = false;
  #wake = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    const end = () => {
      this.#over = true;
      this.#wake();
    };
    // A reset is an end without an answer: what matters is what had come before.
    socket
      .on('error', () => {})
      .on('end', end)
      .on('close', end);
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
  }

  static async open(url: string): Promise<Wire> {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    });
    socket.setNoDelay(true);
    return new Wire(socket);
  }

  /** Whether another request can be sent. */
  get isOpen(): boolean {
    return !this.#over && this.#socket.writable;
  }

  /** What has come and belongs to no answer that was asked for. */
  get unread(): string {
    return this.#received.toString('latin1');
  }

  /** Sends in so many pieces, each in a packet of its own. */
  async send(bytes: Buffer, pieces = 1): Promise<void> {
    const size = Math.ceil(bytes.length / pieces) || 1;
    for (let at = 0; at < bytes.length; at += size) {
      if (at > 0) await turn();
      this.#socket.write(bytes.subarray(at, at + size));
    }
  }

  /** Says that nothing more will be sent. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * The next answer, to a request of this method. Undefined when the connection ends, or the time
   * (ms) passes, without a byte of one.
   * @throws Error when the answer breaks off or breaks the rules
   */
  async answer(method: string, patience = 8_000): Promise<WireAnswer | undefined> {
    const until = performance.now() + patience;
    const informational: number[] = [];
    for (;;) {
      const head = await this.#head(until);
      if (head === undefined) return undefined;
      const { status, headers } = readHead(head);
      if (status < 200) {
        informational.push(status);
        continue;
      }
      const { body, cut } = await this.#body(method, status, headers, until);
      const last = cut || headers.get('connection') === 'close';
      return { status, headers, body, informational, last };
    }
  }

  async #head(until: number): Promise<string | undefined> {
    let end = -1;
    for (;;) {
      end = this.#received.indexOf('\r\n\r\n');
      if (end >= 0) break;
      if (!(await this.#more(until))) {
        if (this.#received.length === 0) return undefined;
        throw new Error(`broken off in the head: ${JSON.stringify(this.unread)}`);
      }
    }
    const head = this.#received.toString('latin1', 0, end);
    this.#received = this.#received.subarray(end + 4);
    return head;
  }

  async #body(
    method: string,
    status: number,
    headers: ReadonlyMap<string, string>,
    until: number,
  ): Promise<{ readonly body: string; readonly cut: boolean }> {
    if (method === 'HEAD' || status === 204) return { body: '', cut: false };
    const length = headers.get('content-length');
    if (length !== undefined) {
      return { body: (await this.#take(Number(length), until)).toString(), cut: false };
    }
    if (headers.get('transfer-encoding') === 'chunked') {
      const chunks: Buffer[] = [];
      for (;;) {
        const size = Number.parseInt(await this.#line(until), 16);
        chunks.push(await this.#take(size, until));
        if ((await this.#line(until)) !== '') throw new Error('a chunk is longer than it says');
        if (size === 0) return { body: Buffer.concat(chunks).toString(), cut: false };
      }
    }
    while (await this.#more(until));
    const body = this.#received.toString();
    this.#received = Buffer.alloc(0);
    return { body, cut: true };
  }

  async #line(until: number): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\r\n');
      if (end < 0) {
        if (!(await this.#more(until))) throw new Error('broken off in a chunk');
        continue;
      }
      const line = this.#received.toString('latin1', 0, end);
      this.#received = this.#received.subarray(end + 2);
      return line;
    }
  }

  async #take(length: number, until: number): Promise<Buffer> {
    if (!Number.isSafeInteger(length)) throw new Error('a length that is no number');
    while (this.#received.length < length) {
      if (!(await this.#more(until))) throw new Error(`broken off in the body: ${this.unread}`);
    }
    const bytes = Buffer.from(this.#received.subarray(0, length));
    this.#received = this.#received.subarray(length);
    return bytes;
  }

  /** Waits for more; false when there is none. */
  async #more(until: number): Promise<boolean> {
    if (this.#over) return false;
    const before = this.#received.length;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, Math.max(0, until - performance.now()));
    });
    clearTimeout(timer);
    return this.#received.length > before;
  }
}

function readHead(head: string) {
  const [first = '', ...lines] = head.split('\r\n');
  const [, status] = STATUS_LINE.exec(first) ?? [];
  if (status === undefined) throw new Error(`no status line: ${JSON.stringify(head)}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = HEADER_LINE.exec(line) ?? [];
    const key = name.toLowerCase();
    if (key === '' || headers.has(key)) throw new Error(`bad header ${JSON.stringify(line)}`);
    headers.set(key, value);
  }
  if (headers.has('content-length') && headers.has('transfer-encoding')) {
    throw new Error('two lengths of one body');
  }
  return { status: Number(status), headers };
}
