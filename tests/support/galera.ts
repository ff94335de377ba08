import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { makeNetwork, type Network, type Place } from './galera-network.ts';
import { findMariadb, program, temporaryFolder } from './programs.ts';

/** One server of a cluster; every server holds all rows. */
export interface GaleraNode {
  readonly host: string;
  readonly port: number;
  /** Without a database name. */
  readonly url: string;
  /** Ends it as the loss of its machine would. */
  kill(): Promise<void>;
  /** Starts it again, and resolves when it has caught up with the others. */
  start(): Promise<void>;
  /** Stops its process where it stands: its sockets stay open, and nothing answers. */
  freeze(): void;
  thaw(): void;
  /** Cuts it off from the other nodes, but not from its clients. */
  isolate(): Promise<void>;
  rejoin(): Promise<void>;
  /** Runs one statement as one who may do anything, on a connection of its own. */
  query(sql: string): Promise<void>;
}

export interface GaleraCluster {
  readonly nodes: readonly [GaleraNode, GaleraNode, GaleraNode];
  /** How nodes are cut off from each other: packets are dropped, or Galera is told to ignore them. */
  readonly partitions: Network['kind'];
  /** The nodes' hosts as DATABASE_URL lists them, the node of this index first. */
  hosts(first?: number): string;
  /** Resolves when all nodes are one cluster again. @throws Error where they are not within `ms` */
  settled(ms?: number): Promise<void>;
  /** The end of what each node has logged. */
  logs(): string;
  /** Ends the nodes and removes their data. */
  remove(): Promise<void>;
}

// Its copies go through rsync, which as root would write as nobody.
const AS_USER = process.getuid?.() === 0 ? ['--user=mysql'] : [];

/** Where Galera's library is, or undefined where it cannot be had. */
export function findGalera(): string | undefined {
  if (program(['rsync'], ['--version'], 'rsync') === undefined) return undefined;
  if (program(['lsof'], ['-v'], 'lsof') === undefined) return undefined; // For wsrep_sst_rsync.
  return ['/usr/lib/galera/libgalera_smm.so', '/usr/lib/libgalera_smm.so'].find(existsSync);
}

/**
 * Three real nodes with Galera's own timeouts (a silent node is suspected after 5 s), that keep a commit
 * through a loss of power. Takes some 15 s.
 * @param options further options of mariadbd
 */
export async function galeraCluster(options: readonly string[] = []): Promise<GaleraCluster> {
  const daemon = findMariadb();
  const library = findGalera();
  if (daemon === undefined || library === undefined) throw new Error('no MariaDB with Galera');
  const folder = temporaryFolder();
  const network = await makeNetwork(3);
  try {
    const common = [...options, `--wsrep-provider=${library}`];
    chmodSync(folder.path, 0o755); // For the nodes' user.
    const nodes: Node[] = [];
    for (const place of network.places) {
      nodes.push(new Node(daemon, join(folder.path, place.name), place, network, common));
    }
    const [one, two, three] = nodes;
    if (one === undefined || two === undefined || three === undefined) throw new Error('no nodes');
    const logs = () => nodes.map((node) => node.log()).join('\n\n');
    const remove = async () => {
      await Promise.all(nodes.map((node) => node.kill()));
      network.remove();
      folder.remove();
    };
    try {
      one.install();
      await one.begin();
      await two.start();
      await three.start();
    } catch (error) {
      const text = logs();
      await remove();
      throw new Error(`the cluster did not start:\n${text}`, { cause: error });
    }
    return {
      nodes: [one, two, three],
      partitions: network.kind,
      hosts(first = 0) {
        const ordered = [...nodes.slice(first), ...nodes.slice(0, first)];
        return ordered.map(({ host, port }) => `${host}:${port}`).join(',');
      },
      settled: (ms = 60_000) => settled(nodes, ms),
      logs,
      remove,
    };
  } catch (error) {
    network.remove();
    folder.remove();
    throw error;
  }
}

/** Resolves when every node says that it is in step with all the others. */
async function settled(nodes: readonly Node[], ms: number): Promise<void> {
  const end = performance.now() + ms;
  for (const node of nodes) {
    while (!(await node.isSynced(nodes.length))) {
      if (performance.now() > end) throw new Error(`not one cluster again:\n${node.log()}`);
      await sleep(200);
    }
  }
}

class Node implements GaleraNode {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly #daemon: string;
  readonly #folder: string;
  readonly #place: Place;
  readonly #network: Network;
  readonly #common: readonly string[];
  #server: ReturnType<typeof spawn> | undefined;

  constructor(
    daemon: string,
    folder: string,
    place: Place,
    network: Network,
    common: readonly string[],
  ) {
    this.#daemon = daemon;
    this.#folder = folder;
    this.#place = place;
    this.#network = network;
    this.#common = common;
    this.host = place.host;
    this.port = place.port;
    this.url = `mysql://tester:tester@${place.host}:${place.port}`;
    mkdirSync(join(folder, 'data'), { recursive: true });
    if (AS_USER.length > 0) execFileSync('chown', ['-R', 'mysql', folder]);
  }

  /** Makes the first node's data; the others get a copy of it when they join. */
  install(): void {
    const data = join(this.#folder, 'data');
    const args = ['--no-defaults', ...AS_USER, `--datadir=${data}`, `--tmpdir=${this.#folder}`];
    const authentication = '--auth-root-authentication-method=normal';
    execFileSync('mariadb-install-db', [...args, authentication], { stdio: 'ignore' });
    // `client` may do what the service may: not write while the server is read-only.
    const users = ['tester', 'client']
      .map((name) => `CREATE USER IF NOT EXISTS ${name}@'%' IDENTIFIED BY '${name}';`)
      .join('\n');
    const rights =
      "GRANT ALL ON *.* TO tester@'%' WITH GRANT OPTION;\n" +
      "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON *.* TO client@'%';\n";
    writeFileSync(join(this.#folder, 'init.sql'), `${users}\n${rights}`);
  }

  begin(): Promise<void> {
    return this.#run(['--wsrep-new-cluster', `--init-file=${join(this.#folder, 'init.sql')}`]);
  }

  start(): Promise<void> {
    return this.#run([]);
  }

  async #run(more: readonly string[]): Promise<void> {
    const { name, group, groupPort, istPort, sstPort, host, port } = this.#place;
    const provider = [
      `gmcast.listen_addr=tcp://${group}:${groupPort}`,
      `ist.recv_addr=${group}:${istPort}`,
      'gcache.size=32M',
    ];
    const [file, ...prefix] = [...this.#network.prefix(name), this.#daemon] as const;
    const options = {
      datadir: join(this.#folder, 'data'),
      socket: join(this.#folder, 'socket'),
      tmpdir: this.#folder,
      'log-error': join(this.#folder, 'log.err'),
      'pid-file': join(this.#folder, 'pid'),
      port: String(port),
      'bind-address': host,
      'max-connections': '500',
      'binlog-format': 'ROW',
      'innodb-autoinc-lock-mode': '2',
      'innodb-flush-log-at-trx-commit': '1',
      'wsrep-on': 'ON',
      'wsrep-cluster-name': 'portcullis',
      'wsrep-node-name': name,
      'wsrep-node-address': `${group}:${groupPort}`,
      'wsrep-sst-method': 'rsync',
      'wsrep-sst-receive-address': `${group}:${sstPort}`,
      'wsrep-cluster-address': `gcomm://${this.#network.groupAddresses()}`,
      'wsrep-provider-options': provider.join(';'),
    };
    const args = Object.entries(options).map(([option, value]) => `--${option}=${value}`);
    const all = ['--no-defaults', ...AS_USER, '--skip-name-resolve', ...args, ...this.#common];
    const server = spawn(file, [...prefix, ...all, ...more], { stdio: 'ignore' });
    this.#server = server;
    const kill = () => server.kill('SIGKILL');
    process.once('exit', kill); // Whatever becomes of the test.
    server.once('exit', () => process.off('exit', kill));
    const end = performance.now() + 60_000;
    while (!(await this.isSynced(1))) {
      if (performance.now() > end || server.exitCode !== null) throw new Error(this.log());
      await sleep(100);
    }
  }

  log(): string {
    const file = join(this.#folder, 'log.err');
    return existsSync(file) ? readFileSync(file, 'utf8').slice(-8_000) : '(no log)';
  }

  /** Whether it answers, and says that it is in step with so many nodes at least, itself included. */
  async isSynced(size: number): Promise<boolean> {
    let connection: Connection | undefined;
    try {
      connection = await createConnection({ uri: this.url, connectTimeout: 1_000 });
      connection.on('error', () => {});
      const [rows] = await connection.query<{ Variable_name: string; Value: string }[] & []>(
        "SHOW STATUS WHERE Variable_name IN ('wsrep_local_state_comment', 'wsrep_cluster_size')",
      );
      const status = new Map(rows.map(({ Variable_name, Value }) => [Variable_name, Value]));
      const isSynced = status.get('wsrep_local_state_comment') === 'Synced';
      return isSynced && Number(status.get('wsrep_cluster_size')) >= size;
    } catch {
      return false;
    } finally {
      connection?.destroy();
    }
  }

  async query(sql: string): Promise<void> {
    const connection = await createConnection(this.url);
    try {
      await connection.query(sql);
    } finally {
      connection.destroy();
    }
  }

  async kill(): Promise<void> {
    const server = this.#server;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGKILL');
    await ended;
  }

  freeze(): void {
    this.#server?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#server?.kill('SIGCONT');
  }

  isolate(): Promise<void> {
    return this.#network.cut(this.#place, true, (sql) => this.query(sql));
  }

  rejoin(): Promise<void> {
    return this.#network.cut(this.#place, false, (sql) => this.query(sql));
  }
}
