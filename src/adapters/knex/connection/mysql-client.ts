import MysqlDialect from 'knex/lib/dialects/mysql2/index.js';
import type { Connection, QueryError } from 'mysql2';
import { withDeadline } from '../../../domain/calls.ts';
import { type Disposable, loadMysql } from './drivers.ts';
import { RESTORE_MARK, UnfinishedRestore } from './restore-mark.ts';
import type { Fault } from './dialect.ts';
import { faultOf, markConnecting } from './faults.ts';
import { mysqlDialect } from './mysql-dialect.ts';
import { socketTo, tlsOptions } from './mysql-tls.ts';
import type { DatabaseTls } from './target.ts';

export interface MysqlSettings {
  /** Equal servers, of a cluster or by replication; the preferred one first. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls?: DatabaseTls;
  readonly queryTimeoutMs: number;
  /** Whether to connect also to a database whose restore was not finished. */
  readonly evenUnfinished?: boolean;
}

/** How long all hosts together are tried: less than a request waits for a connection. */
const CONNECT_TIMEOUT_MS = 1_800;

/** How long a host that failed is tried after the others. */
const AVOID_FAILED_HOST_MS = 5_000;

/** How long to wait for the server to close the connection. */
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * Statements wait until the Galera node has applied every earlier commit of any node: so a token
 * that another node stored is valid here, and no session begins with a password that was changed
 * there.
 */
const WSREP_SYNC_WAIT = 7;

/** `wsrep_local_state` of a node that has caught up, and is not the donor of a joining node. */
const WSREP_SYNCED = '4';

/**
 * The settings that statements rely on. The server, or its `init_connect`, may have set others:
 * without autocommit an acknowledged write is never committed, and another charset damages texts.
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
  'sql_big_selects = 1',
  'sql_select_limit = 18446744073709551615',
].join(', ');

/** Enough to sort texts. Only MariaDB reads this comment: on MySQL a user may need a privilege to set it. */
const SORT_BUFFER =
  '/*M!100000 , sort_buffer_size = GREATEST(@@SESSION.sort_buffer_size, 262144) */';

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

/**
 * The host and age of each connection. Not in the client: knex makes another one for a transaction.
 */
const origins = new WeakMap<Connection, { readonly host: Host; readonly since: number }>();

/** Takes a connection, and all others to its host, out of the pool: they would fail as well. */
function discard(connection: Disposable & Connection, error: unknown): void {
  connection.__knex__disposed = error;
  const origin = origins.get(connection);
  if (origin) origin.host.failed = performance.now();
}

/** mysql2 with limits on everything that can wait, several hosts, and real prepared statements. */
export class MysqlClient extends MysqlDialect<MysqlSettings> {
  readonly preparesValues = true;
  #hosts: readonly Host[] | undefined;

  /** The driver is loaded with the first pool: an installation without MySQL need not have it. */
  override _driver(): unknown {
    return {};
  }

  /** Connects to the first host that accepts writes, or else to one that at least can be read. */
  override async acquireRawConnection(): Promise<Connection> {
    const hosts = this.#inOrder();
    const faults: unknown[] = [];
    let readable: Connection | undefined;
    for (const host of hosts) {
      try {
        const { connection, isFit } = await this.#reach(host, CONNECT_TIMEOUT_MS / hosts.length);
        if (isFit || hosts.length === 1) {
          if (readable) await this.destroyRawConnection(readable);
          return connection;
        }
        if (readable) await this.destroyRawConnection(connection);
        else readable = connection;
      } catch (fault) {
        host.failed = performance.now();
        faults.push(fault);
      }
    }
    if (readable) return readable;
    throw faults.length === 1 ? faults[0] : new AggregateError(faults, 'no database host answers');
  }

  /** Hosts that failed a moment ago come last. */
  #inOrder(): readonly Host[] {
    this.#hosts ??= this.connectionSettings.hosts.map((host) => ({ ...host, failed: -Infinity }));
    const now = performance.now();
    const isAvoided = ({ failed }: Host) => Number(now - failed < AVOID_FAILED_HOST_MS);
    return this.#hosts.toSorted((one, other) => isAvoided(one) - isAvoided(other));
  }

  async #reach(host: Host, timeoutMs: number): Promise<Connected> {
    const connection = await this.#open(host, timeoutMs);
    try {
      const isFit = await withDeadline(this.#begin(connection), timeoutMs, () => {
        throw timeout('connecting timed out');
      });
      origins.set(connection, { host, since: performance.now() });
      return { connection, isFit };
    } catch (fault) {
      connection.destroy();
      throw fault instanceof Error ? markConnecting(fault) : fault;
    }
  }

  async #open({ host, port }: Host, timeoutMs: number): Promise<Connection & Disposable> {
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
      connectTimeout: Math.ceil(timeoutMs),
    });
    // Also what mysql2 reports between queries, e.g. that the server went away.
    connection.on('error', (error) => discard(connection, error));
    return connection;
  }

  /** Sets up the session; resolves to whether its server accepts writes and is up to date. */
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
    const syncWait = isGalera ? `, wsrep_sync_wait = ${WSREP_SYNC_WAIT}` : '';
    await this._query(connection, {
      sql: `SET SESSION ${SESSION_SETTINGS}${syncWait}${SORT_BUFFER}`,
    });
    const isWritable = settings.get('read_only') !== 'ON';
    if (!isGalera) return isWritable;
    const state = await this.#shown(connection, "STATUS LIKE 'wsrep_local_state'");
    return isWritable && state.get('wsrep_local_state') === WSREP_SYNCED;
  }

  /** A restore that begins later sees this connection, and stops. */
  async #refuseUnfinished(connection: Connection & Disposable): Promise<void> {
    const { response } = await this._query(connection, {
      sql: mysqlDialect.tableQuery(RESTORE_MARK),
    });
    if (!isSelected(response) || response[0].length === 0) return;
    const error = new UnfinishedRestore();
    discard(connection, error);
    throw error;
  }

  /**
   * Keeps one connection of the pool open, for as long as the pool lets one idle, so that the
   * server shows that the database is in use. Disconnects from a database that is being restored.
   */
  async keepAlive(): Promise<void> {
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

  /** Limits the time of a whole query, which mysql2 does not do. */
  override _query(connection: Connection & Disposable, query: KnexQuery): Promise<KnexQuery> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const error = timeout('query timed out');
        discard(connection, error);
        connection.destroy();
        reject(error);
      }, this.connectionSettings.queryTimeoutMs);
      const done = (error: QueryError | null, rows: unknown, fields: unknown) => {
        clearTimeout(timer);
        if (error) {
          if (mustDiscard(error, this.connectionSettings.hosts.length > 1))
            discard(connection, error);
          return reject(error);
        }
        query.response = [rows, fields];
        resolve(query);
      };
      // A statement with values is prepared, so that the server never reads a value as SQL. One
      // without is sent as text, because not every statement can be prepared.
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
    // A server that hangs would keep the socket open for good.
    const timer = setTimeout(() => connection.destroy(), CLOSE_TIMEOUT_MS).unref();
    connection.end(() => clearTimeout(timer));
  }
}

interface Shown {
  readonly Variable_name: string;
  readonly Value: string;
}

/** A driver's answer to SELECT or SHOW; the caller knows its columns. */
function isSelected<Row>(response: unknown): response is readonly [readonly Row[]] {
  return Array.isArray(response) && Array.isArray(response[0]);
}

/** Faults of one server out of several: another may do better. */
const ONE_SERVER_FAULTS: ReadonlySet<Fault> = new Set(['locked', 'readonly', 'unprepared']);

/**
 * Whether other connections to the server would fail too: it is gone; or it is one of several, and
 * was demoted, lacks our tables, or takes long, as a Galera node does that has lost its cluster.
 */
function mustDiscard(error: QueryError, isOneOfSeveral: boolean): boolean {
  const fault = faultOf(error);
  if (fault === 'unsent' || fault === 'lost') return true;
  return isOneOfSeveral && ONE_SERVER_FAULTS.has(fault);
}

function timeout(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}

/**
 * mysql2's code does not say what is wrong with a certificate; its message does, without secrets.
 */
function withReason(error: QueryError): Error {
  return error.code === 'HANDSHAKE_SSL_ERROR' ? new Error(`TLS: ${error.message}`) : error;
}
