import { execFileSync } from 'node:child_process';
import { freePort } from './programs.ts';

/** Where a node listens: for clients on `host`, for the other nodes on `group`. */
export interface Place {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly group: string;
  readonly groupPort: number;
  readonly istPort: number;
  readonly sstPort: number;
}

export interface Network {
  readonly kind: 'network namespaces' | 'gmcast.isolate';
  readonly places: readonly Place[];
  /** What starts a program at this place, before its name. */
  prefix(name: string): readonly string[];
  groupAddresses(): string;
  /** Cuts a node off from the others, or no longer; `query` runs a statement on it. */
  cut(place: Place, isCut: boolean, query: (sql: string) => Promise<void>): Promise<void>;
  remove(): void;
}

export async function makeNetwork(size: number): Promise<Network> {
  try {
    return namespaces(size);
  } catch {
    return loopback(size); // Only root may have others.
  }
}

/** All nodes on the loopback interface: a node is cut off by what Galera offers to tests. */
async function loopback(size: number): Promise<Network> {
  const places: Place[] = [];
  for (let index = 0; index < size; index += 1) {
    const [port, groupPort, istPort, sstPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const addresses = { host: '127.0.0.1', group: '127.0.0.1' };
    places.push({ name: `node${index + 1}`, port, groupPort, istPort, sstPort, ...addresses });
  }
  return {
    kind: 'gmcast.isolate',
    places,
    prefix: () => [],
    groupAddresses: () => places.map(({ group, groupPort }) => `${group}:${groupPort}`).join(','),
    async cut(_, isCut, query) {
      await query(`SET GLOBAL wsrep_provider_options = 'gmcast.isolate=${isCut ? 1 : 0}'`);
    },
    remove() {},
  };
}

/**
 * Each node in a network namespace of its own, with a way to its clients and another to the other nodes,
 * through a bridge: what is cut drops packets without a word, as a broken switch does.
 */
function namespaces(size: number): Network {
  const id = process.pid.toString(36);
  const bridge = `pcb${id}`;
  // 198.18.0.0/15 is for tests of networks (RFC 2544), and so nobody's.
  const net = process.pid % 256;
  const places = Array.from({ length: size }, (_, index): Place => {
    const ports = { port: 3306, groupPort: 4567, istPort: 4568, sstPort: 4444 };
    const host = `198.18.${net}.${4 * index + 2}`;
    return { name: `pc${index + 1}${id}`, host, group: `198.19.${net}.${index + 1}`, ...ports };
  });
  const remove = () => {
    process.off('exit', remove);
    for (const { name } of places) ip(`netns del ${name}`, true);
    ip(`link del ${bridge}`, true);
  };
  process.once('exit', remove);
  try {
    ip(`link add ${bridge} type bridge`);
    ip(`link set ${bridge} up`);
    for (const [index, { name, host, group }] of places.entries()) {
      const [clients, nodes] = [`c${name}`, `g${name}`];
      ip(`netns add ${name}`);
      ip(`-n ${name} link set lo up`);
      ip(`link add ${clients} type veth peer name clients netns ${name}`);
      ip(`link add ${nodes} type veth peer name nodes netns ${name}`);
      ip(`addr add 198.18.${net}.${4 * index + 1}/30 dev ${clients}`);
      ip(`link set ${clients} up`);
      ip(`link set ${nodes} master ${bridge} up`);
      ip(`-n ${name} addr add ${host}/30 dev clients`);
      ip(`-n ${name} addr add ${group}/24 dev nodes`);
      ip(`-n ${name} link set clients up`);
      ip(`-n ${name} link set nodes up`);
    }
  } catch (error) {
    remove();
    throw error;
  }
  return {
    kind: 'network namespaces',
    places,
    prefix: (name) => ['ip', 'netns', 'exec', name],
    groupAddresses: () => places.map(({ group }) => group).join(','),
    async cut({ name }, isCut) {
      ip(`link set g${name} ${isCut ? 'down' : 'up'}`);
    },
    remove,
  };
}

function ip(args: string, isTolerant = false): void {
  try {
    execFileSync('ip', args.split(' '), { stdio: 'pipe' });
  } catch (error) {
    if (!isTolerant) throw error;
  }
}
