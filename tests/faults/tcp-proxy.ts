import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a server on which the network can fail. */
export interface TcpProxy {
  readonly port: number;
  /** Connections from clients that are open now. */
  readonly connections: number;
  /** Lets new connections through again, and what is sent on those that have lost nothing. */
  pass(): Promise<void>;
  /**
   * Takes new connections and whatever is sent, in both directions, and gives nothing on. What has lost
   * bytes stays silent after `pass`, too, as behind a firewall that has forgotten it; but an end is told
   * then, as its packet is sent again and again.
   */
  blackHole(): void;
  /** Refuses new connections; those that are open stay. */
  refuse(): Promise<void>;
  /** Holds what is sent back for so many milliseconds, in each direction. */
  delay(milliseconds: number): void;
  /** Resets every connection, on both sides; returns how many there were. */
  resetAll(): number;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket | undefined;
  /** Ends what is left of it. */
  readonly end: () => void;
}

export async function tcpProxy(serverPort: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  /** Of which one side has ended, while nothing could be told to the other. */
  const untold = new Set<Pair>();
  let isBlackHole = false;
  let delay = 0;

  const join = (client: Socket) => {
    // What connects into a black hole never gets anywhere.
    const server = isBlackHole ? undefined : connect(serverPort, '127.0.0.1');
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      server?.destroy();
    };
    const pair = { client, server, end };
    pairs.add(pair);
    const close = () => {
      if (isBlackHole) untold.add(pair);
      else end();
    };
    client.on('error', () => {}).on('close', close);
    client.setNoDelay(true);
    if (server === undefined) {
      client.resume();
      return;
    }
    server.setNoDelay(true);
    // Else the client could not tell a refusal from an end.
    server.on('error', () => isBlackHole || client.resetAndDestroy()).on('close', close);
    let isLost = false;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const send = later(to, () => delay);
      from.on('data', (bytes) => {
        isLost ||= isBlackHole;
        if (!isLost) send(bytes);
      });
    }
  };

  let listener = await listen(0, join);
  const address = listener.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const resetAll = () => {
    const open = [...pairs];
    for (const { client, server } of open) {
      client.resetAndDestroy();
      server?.resetAndDestroy();
    }
    return open.length;
  };
  return {
    port,
    get connections() {
      return pairs.size;
    },
    async pass() {
      isBlackHole = false;
      for (const { end } of untold) end();
      untold.clear();
      if (!listener.listening) listener = await listen(port, join);
    },
    blackHole() {
      isBlackHole = true;
    },
    async refuse() {
      // Resolves only when the open connections have ended; the port is free at once.
      listener.close();
    },
    delay(milliseconds) {
      delay = milliseconds;
    },
    resetAll,
    async close() {
      resetAll();
      if (!listener.listening) return;
      listener.close();
      await once(listener, 'close');
    },
  };
}

async function listen(port: number, join: (client: Socket) => void): Promise<Server> {
  const server = createServer(join).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Writes to a socket after a while, and in order however the while changes. */
function later(to: Socket, delay: () => number): (bytes: Buffer) => void {
  const waiting: Buffer[] = [];
  return (bytes) => {
    if (delay() === 0 && waiting.length === 0) {
      to.write(bytes);
      return;
    }
    waiting.push(bytes);
    setTimeout(() => {
      const first = waiting.shift();
      if (first !== undefined && to.writable) to.write(first);
    }, delay());
  };
}
