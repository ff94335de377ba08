import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a MySQL or MariaDB server on which answers can be lost. */
export interface LossyProxy {
  readonly port: number;
  /** Answers that were lost so far. */
  readonly lost: number;
  /** Lets the next commit reach the server, waits for its answer and ends the client's connection without it. */
  loseNextAnswer(): void;
  close(): Promise<void>;
}

export async function lossyProxy(serverPort: number): Promise<LossyProxy> {
  let isArmed = false;
  let lost = 0;
  const sockets = new Set<Socket>();

  const proxy = createServer((client) => {
    const server = connect(serverPort, '127.0.0.1');
    const commits = commitsOf();
    let isLosing = false;
    client.on('data', (bytes) => {
      // Looked at even while nothing is to be lost: what a statement is, is said only once.
      const isCommit = commits.sent(bytes);
      if (isCommit && isArmed) {
        isArmed = false;
        isLosing = true;
      }
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      commits.answered(bytes);
      if (isLosing) {
        lost += 1;
        client.resetAndDestroy();
        server.end();
      } else client.write(bytes);
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(one.on('error', () => {}));
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const address = proxy.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    get lost() {
      return lost;
    },
    loseNextAnswer() {
      isArmed = true;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}

// Commands of the protocol, each the first byte of a packet that begins a conversation.
const QUERY = 0x03;
const PREPARE = 0x16;
const EXECUTE = 0x17;

/** Tells which of a client's packets make the server commit: COMMIT, and each write outside a transaction. */
function commitsOf() {
  const requests = packetsOf();
  const replies = packetsOf();
  const statements = new Map<number, string>();
  let prepared: string | undefined;
  let inTransaction = false;

  const commits = (sql: string): boolean => {
    if (/^BEGIN/i.test(sql)) inTransaction = true;
    else if (/^ROLLBACK\b(?! TO)/i.test(sql)) inTransaction = false;
    else if (/^COMMIT/i.test(sql)) {
      inTransaction = false;
      return true;
    }
    return !inTransaction && /^(?:INSERT|UPDATE|DELETE)/i.test(sql);
  };

  return {
    /** Whether any of it makes the server commit. */
    sent(bytes: Buffer): boolean {
      let found = false;
      for (const { isFirst, body } of requests(bytes)) {
        if (!isFirst) continue;
        const text = body.subarray(1).toString();
        if (body[0] === QUERY) found ||= commits(text);
        else if (body[0] === PREPARE) prepared = text;
        else if (body[0] === EXECUTE) found ||= commits(statements.get(body.readUInt32LE(1)) ?? '');
      }
      return found;
    },
    answered(bytes: Buffer): void {
      for (const { body } of replies(bytes)) {
        if (prepared === undefined) continue;
        if (body[0] === 0) statements.set(body.readUInt32LE(1), prepared);
        prepared = undefined;
      }
    },
  };
}

/** Reads a stream of bytes as packets: a length of three bytes, a number of one, a body. */
function packetsOf() {
  let rest = Buffer.alloc(0);
  return function* (
    bytes: Buffer,
  ): Generator<{ readonly isFirst: boolean; readonly body: Buffer }> {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUIntLE(0, 3)) {
      const end = 4 + rest.readUIntLE(0, 3);
      yield { isFirst: rest[3] === 0, body: rest.subarray(4, end) };
      rest = rest.subarray(end);
    }
  };
}
