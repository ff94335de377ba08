import { connect, type Socket } from 'node:net';
import MysqlDialect from 'knex/lib/dialects/mysql2/index.js';
import type { Connection, QueryError, SslOptions } from 'mysql2';
import { type Disposable, loadMysql } from './drivers.ts';
import { SELECT_MARK, UnfinishedRestore } from './restore-mark.ts';
import { type Fault, faultOf, ofConnecting } from './retry.ts';
import type { DatabaseTls } from './target.ts';

export interface MysqlSettings {
  /** In the order in which they are preferred: equal servers, of a cluster or by replication. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls?: DatabaseTls;
  /** Milliseconds. */
  readonly queryTimeout: number;
  /** Whether to connect also to a database whose restore was not finished. */
  readonly evenUnfinished?: boolean;
}

/** Milliseconds in which all hosts are tried: less than a request waits for a connection. */
const CONNECT_TIMEOUT = 1_800;

/** Milliseconds for which a host that failed is the last to be tried. */
const AVOIDANCE = 5_000;

/** Milliseconds for which the server may take its leave. */
const LEAVE = 1_000;

/**
 * Reads, changes and inserts wait until the Galera node has applied all that was committed before, on
 * whichever node: a token made there holds here, and no session begins with a password that was changed.
 */
const CAUSAL = 7;

/** `wsrep_local_state` of a node that lags behind nobody and helps nobody to join. */
const SYNCED = '4';

/**
 * The settings that statements rely on. The server, or its `init_connect`, may have set others: without
 * autocommit an acknowledged write is never committed, and another charset damages texts.
 */
export const SESSION_SETTINGS = [
  // Strict, or MySQL cuts texts that are too long; no other mode, since some change what SQL means.
  "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
  'autocommit = 1',
  'completion_type = 0',
  'character_set_client = utf8mb4',
  'character_set_connection = utf8mb4',
  'character_set_results = utf8mb4',
  'foreign_key_checks = 1',
  'unique_checks = 1',
  'sql_safe_updates = 0',
  'sql_select_limit = 18446744073709551615',
  'sort_buffer_size = GREATEST(@@SESSION.sort_buffer_size, 262144)',
].join(', ');

/** One of the servers, and when it last failed. */
interface Host {
  readonly host: string;
  readonly port: number;
  /** As `performance.now()` has it. */
  failed: number;
}

/** A connection, and whether its server can be written to and is up to date. */
interface Connected {
  readonly connection: Connection & Disposable;
  readonly isFit: boolean;
}

/** Where connections go to, and since when; not in the client, of which knex makes another for a transaction. */
const origins = new WeakMap<Connection, { readonly host: Host; readonly since: number }>();

/** Takes a connection out of the pool, and with it all others to its server: they would fail as well. */
function leave(connection: Disposable & Connection, error: unknown): void {
  connection.__knex__disposed = error;
  const origin = origins.get(connection);
  if (origin) origin.host.failed = performance.now();
}

/** mysql2 with limits on everything that can wait, several hosts, and real prepared statements. */
export class MysqlClient extends MysqlDialect<MysqlSettings> {
  readonly preparesValues = true;
  #hosts: readonly Host[] | undefined;

  /** Loaded with the first pool: whoever has no MySQL need not have it. */
  override _driver(): unknown {
    return {};
  }

  /** The first host that can be written to; one that cannot is better than none, for those who read. */
  override async acquireRawConnection(): Promise<Connection> {
    const hosts = this.#inOrder();
    const faults: unknown[] = [];
    let spare: Connection | undefined;
    for (const host of hosts) {
      try {
        const { connection, isFit } = await this.#reach(host, CONNECT_TIMEOUT / hosts.length);
        if (isFit || hosts.length === 1) {
          if (spare) await this.destroyRawConnection(spare);
          return connection;
        }
        if (spare) await this.destroyRawConnection(connection);
        else spare = connection;
      } catch (fault) {
        host.failed = performance.now();
        faults.push(fault);
      }
    }
    if (spare) return spare;
    throw faults.length === 1 ? faults[0] : new AggregateError(faults, 'no database host answers');
  }

  /** Those that failed a moment ago come last. */
  #inOrder(): readonly Host[] {
    this.#hosts ??= this.connectionSettings.hosts.map((host) => ({ ...host, failed: -Infinity }));
    const now = performance.now();
    const isAvoided = ({ failed }: Host) => Number(now - failed < AVOIDANCE);
    return this.#hosts.toSorted((one, other) => isAvoided(one) - isAvoided(other));
  }

  /** Connects within so many milliseconds. */
  async #reach(host: Host, patience: number): Promise<Connected> {
    const connection = await this.#open(host, patience);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(timeout('connecting timed out')), patience);
    });
    try {
      const isFit = await Promise.race([this.#begin(connection), late]);
      origins.set(connection, { host, since: performance.now() });
      return { connection, isFit };
    } catch (fault) {
      connection.destroy();
      throw fault instanceof Error ? ofConnecting(fault) : fault;
    } finally {
      clearTimeout(timer);
    }
  }

  async #open({ host, port }: Host, patience: number): Promise<Connection & Disposable> {
    const { createConnection } = await loadMysql();
    const { user, password, database, tls } = this.connectionSettings;
    const connection: Connection & Disposable = createConnection({
      ...(tls && { ssl: tlsOptions(tls), stream: () => socketTo(host, port) }),
      host,
      port,
      user,
      password,
      database,
      charset: 'utf8mb4',
      connectTimeout: Math.ceil(patience),
    });
    // Also what mysql2 reports between queries, e.g. that the server went away.
    connection.on('error', (error) => leave(connection, error));
    return connection;
  }

  /** Makes the session what statements count on; resolves to whether its server is fit for all of them. */
  async #begin(connection: Connection): Promise<boolean> {
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error ? reject(withReason(error)) : resolve()));
    });
    if (!this.connectionSettings.evenUnfinished) await this.#refuseUnfinished(connection);
    const settings = await this.#shown(
      connection,
      "VARIABLES WHERE Variable_name IN ('wsrep_on', 'read_only')",
    );
    const isGalera = settings.get('wsrep_on') === 'ON';
    const causal = isGalera ? `, wsrep_sync_wait = ${CAUSAL}` : '';
    await this._query(connection, { sql: `SET SESSION ${SESSION_SETTINGS}${causal}` });
    const isWritable = settings.get('read_only') !== 'ON';
    if (!isGalera) return isWritable;
    const state = await this.#shown(connection, "STATUS LIKE 'wsrep_local_state'");
    return isWritable && state.get('wsrep_local_state') === SYNCED;
  }

  /** A restore that begins later sees this connection, and is refused. */
  async #refuseUnfinished(connection: Connection & Disposable): Promise<void> {
    const { response } = await this._query(connection, { sql: SELECT_MARK });
    if (!isSelected(response) || response[0].length === 0) return;
    const error = new UnfinishedRestore();
    leave(connection, error);
    throw error;
  }

  /**
   * Lets a server see that somebody is there, also where nobody has asked anything for long: the pool has a
   * connection from now on for as long as it lets one idle. Leaves a database that is being restored unseen.
   */
  async attend(): Promise<void> {
    const connection = await this.acquireConnection();
    try {
      await this.#refuseUnfinished(connection);
    } finally {
      await this.releaseConnection(connection);
    }
  }

  async #shown(connection: Connection, what: string): Promise<ReadonlyMap<string, string>> {
    const { response } = await this._query(connection, { sql: `SHOW ${what}` });
    const rows = isSelected<Shown>(response) ? response[0] : [];
    return new Map(rows.map((row) => [row.Variable_name, row.Value]));
  }

  /** mysql2 has no limit on a whole query: a server that stops answering would be waited for. */
  override _query(connection: Connection & Disposable, query: KnexQuery): Promise<KnexQuery> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const error = timeout('query timed out');
        leave(connection, error);
        connection.destroy();
        reject(error);
      }, this.connectionSettings.queryTimeout);
      const done = (error: QueryError | null, rows: unknown, fields: unknown) => {
        clearTimeout(timer);
        if (error) {
          if (mustLeave(error, this.connectionSettings.hosts.length > 1)) leave(connection, error);
          return reject(error);
        }
        query.response = [rows, fields];
        resolve(query);
      };
      // With values: prepared by the server, which then never reads a value as SQL. Without: as
      // text, since not every statement can be prepared.
      if (query.bindings?.length) connection.execute(query.sql, [...query.bindings], done);
      else connection.query(query.sql, done);
    });
  }

  override async validateConnection(connection: Connection): Promise<boolean> {
    const { host, since } = origins.get(connection) ?? {};
    const isOfNow = (since ?? 0) > (host?.failed ?? -Infinity);
    return isOfNow && super.validateConnection(connection);
  }

  override async destroyRawConnection(connection: Connection & Disposable): Promise<void> {
    if (connection.__knex__disposed) {
      connection.destroy();
      return;
    }
    // A server that hangs would keep the socket for good.
    const timer = setTimeout(() => connection.destroy(), LEAVE).unref();
    connection.end(() => clearTimeout(timer));
  }
}

interface Shown {
  readonly Variable_name: string;
  readonly Value: string;
}

/** What SELECT and SHOW give; whoever asks knows which columns. */
function isSelected<Row>(response: unknown): response is readonly [readonly Row[]] {
  return Array.isArray(response) && Array.isArray(response[0]);
}

/** Of several servers, those that say so are left: another may do better. */
const OF_ONE_SERVER: ReadonlySet<Fault> = new Set(['locked', 'readonly', 'unprepared']);

/**
 * Whether the server would fail others, too: it is gone; or there is another one, and it was demoted, has
 * not got our tables, or takes long. A Galera node that has lost its cluster says that to some as waiting too long.
 */
function mustLeave(error: QueryError, isOneOfSeveral: boolean): boolean {
  const fault = faultOf(error);
  if (fault === 'unsent' || fault === 'lost') return true;
  return isOneOfSeveral && OF_ONE_SERVER.has(fault);
}

function timeout(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}

/** mysql2's options. It has no fallback: a server without TLS is refused before anything is sent. */
function tlsOptions({ verify, ca }: DatabaseTls): SslOptions {
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verify !== 'nothing',
    verifyIdentity: verify === 'identity',
    ...(ca !== undefined && { ca }),
  };
}

/**
 * A socket that knows the address it goes to. Node compares a certificate with the name that it
 * noted on the socket; of an address it notes none, and would look for "localhost" in its place.
 */
function socketTo(host: string, port: number): Socket {
  return Object.assign(connect({ host, port, noDelay: true, keepAlive: true }), { _host: host });
}

/** What is wrong with a certificate is not in the code that mysql2 gives it, and holds no secret. */
function withReason(error: QueryError): Error {
  return error.code === 'HANDSHAKE_SSL_ERROR' ? new Error(`TLS: ${error.message}`) : error;
}
