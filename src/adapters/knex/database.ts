import { statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import knex, { type Knex } from 'knex';
import SqliteDialect from 'knex/lib/dialects/better-sqlite3/index.js';
import MysqlDialect from 'knex/lib/dialects/mysql2/index.js';
import type Database from 'libsql';
import type { Connection, QueryError, SslOptions } from 'mysql2';
import { loadMysql, loadSqlite } from './drivers.ts';
import { migratorConfig } from './migrations.ts';
import { createPrivately } from './private-file.ts';
import { isBusy, whileBusy } from './retry.ts';

/** Where the rows are: a file, or one of several equal servers. */
export type DatabaseTarget =
  | { readonly kind: 'sqlite'; readonly path: string }
  | {
      readonly kind: 'mysql';
      readonly hosts: readonly { readonly host: string; readonly port: number }[];
      readonly user: string;
      readonly password: string;
      readonly database: string;
      /** Absent: nothing is encrypted. */
      readonly tls?: DatabaseTls;
    };

/** How the connection to MySQL or MariaDB is encrypted. */
export interface DatabaseTls {
  /** What must be right about the server's certificate: nothing, who signed it, or its name as well. */
  readonly verify: 'nothing' | 'authority' | 'identity';
  /** Whose signature counts, in PEM; without it that of any authority that Node knows. */
  readonly ca?: string;
}

// A request answers within 5 s whatever the database does: these are the shares of it, in ms.
// Connecting comes within acquiring, and the hosts share it: the last must be tried in time, too.
const ACQUIRE_TIMEOUT = 2_000;
const CONNECT_TIMEOUT = 1_800;
const QUERY_TIMEOUT = 3_000;

const PATIENCE: Patience = {
  acquireTimeout: ACQUIRE_TIMEOUT,
  queryTimeout: QUERY_TIMEOUT,
  busyTimeout: 0,
};

/**
 * Opens a pool that is fit to serve requests: it has limits on everything that can wait, goes on to
 * the next of several hosts, and commits nothing that the loss of power could take back. Connects
 * when first used, and makes a SQLite file that is not there; end it with `destroy()`. Needs the
 * package `mysql2` or `libsql`.
 */
export function openDatabase(target: DatabaseTarget): Knex {
  return knex(knexConfig(target, PATIENCE));
}

/**
 * Opens a SQLite file for what may be lost with the power, but not with the process: commits that do
 * not wait for the disk, since each would stop the event loop for milliseconds.
 */
export function openWithoutSync(target: Extract<DatabaseTarget, { kind: 'sqlite' }>): Knex {
  return knex(knexConfig(target, PATIENCE, 'NORMAL'));
}

/** Opens a pool for migrations, which may take longer than any request, and wait for each other. */
export function openForMigration(target: DatabaseTarget): Knex {
  return knex(migrationConfig(target));
}

/** What `openForMigration` opens, for `knexfile.ts`. */
export function migrationConfig(target: DatabaseTarget): Knex.Config {
  return knexConfig(target, {
    acquireTimeout: 10_000,
    queryTimeout: 10 * 60_000,
    busyTimeout: 10_000,
  });
}

/** In ms: what a connection and a query may take, and how long SQLite blocks on a lock. */
interface Patience {
  readonly acquireTimeout: number;
  readonly queryTimeout: number;
  readonly busyTimeout: number;
}

/** Opens a pool to look at what is there: it makes no file, and leaves that of SQLite as it is. */
export function openForInspection(target: DatabaseTarget): Knex {
  return knex(knexConfig(target, PATIENCE, 'as it is'));
}

function knexConfig(
  target: DatabaseTarget,
  patience: Patience,
  synchronous: SqliteSettings['synchronous'] = 'FULL',
): Knex.Config {
  const shared: Knex.Config = {
    acquireConnectionTimeout: patience.acquireTimeout,
    // Messages with `?` in them: with the values they would carry emails and hashes into logs.
    compileSqlOnError: false,
    // What goes wrong is in the error that the caller gets; knex's own warnings add nothing to it.
    log: { warn() {}, error() {}, deprecate() {}, debug() {} },
    migrations: migratorConfig(),
  };
  if (target.kind === 'mysql') {
    void loadMysql().catch(() => {}); // Whoever connects is told.
    const { kind: _, ...settings } = target;
    const connection: MysqlSettings = { ...settings, queryTimeout: patience.queryTimeout };
    return { ...shared, client: MysqlClient, connection, pool: { min: 0, max: 10 } };
  }
  void loadSqlite().catch(() => {});
  if (synchronous !== 'as it is') createPrivately(target.path);
  const { busyTimeout } = patience;
  const settings: SqliteSettings = { filename: target.path, busyTimeout, synchronous };
  return {
    ...shared,
    client: SqliteClient,
    connection: settings,
    useNullAsDefault: true,
  };
}

/** A single write, under the lock for it. */
async function inTransaction<T>(db: Database.Database, write: () => Promise<T>): Promise<T> {
  db.exec('BEGIN IMMEDIATE');
  try {
    const written = await write();
    db.exec('COMMIT');
    return written;
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

const WRITE = /^\s*(?:insert|update|delete|create|alter|drop)\b/i;

/** knex takes a connection with this mark out of the pool. */
type Disposable<Connected> = Connected & { __knex__disposed?: unknown };

interface SqliteSettings {
  readonly filename: string;
  /** FULL: a commit survives the loss of power, too. */
  readonly synchronous: 'FULL' | 'NORMAL' | 'as it is';
  readonly busyTimeout: number;
}

/** libsql in the place of better-sqlite3: the same interface, installed without a compiler. */
class SqliteClient extends SqliteDialect<SqliteSettings> {
  readonly #inodes = new WeakMap<Database.Database, number>();

  /** Loaded with the first pool: whoever has no SQLite need not have it. */
  override _driver(): unknown {
    return {};
  }

  override async acquireRawConnection(): Promise<Database.Database> {
    const { default: SqliteDatabase } = await loadSqlite();
    const { filename, busyTimeout, synchronous } = this.connectionSettings;
    const { ino } = statSync(filename); // A file that is gone is a fault, not a reason for an empty database.
    const db = new SqliteDatabase(filename, { timeout: busyTimeout });
    // It would have made an empty one, had the file been taken away since.
    if (statSync(filename, { throwIfNoEntry: false })?.ino !== ino) {
      db.close();
      throw new Error('the database file was replaced while it was being opened');
    }
    if (synchronous !== 'as it is') {
      await whileBusy(async () => db.exec('PRAGMA journal_mode = WAL'));
      db.exec(`PRAGMA synchronous = ${synchronous}`);
    }
    db.exec('PRAGMA foreign_keys = ON');
    reuseStatements(db);
    this.#inodes.set(db, ino);
    return db;
  }

  /**
   * Every write begins by taking the lock, and by `exec`. A prepared statement that meets another
   * connection's lock is left unfinished by libsql, and its connection cannot commit any more:
   * what it then took for written would be lost.
   */
  override async _query(db: Disposable<Database.Database>, query: KnexQuery): Promise<KnexQuery> {
    if (query.sql === 'BEGIN;') {
      db.exec('BEGIN IMMEDIATE');
      return query;
    }
    if (!db.inTransaction && WRITE.test(query.sql)) {
      return inTransaction(db, () => super._query(db, query));
    }
    try {
      return await super._query(db, query);
    } catch (error) {
      if (isBusy(error)) db.__knex__disposed = error;
      throw error;
    }
  }

  /**
   * A file that was deleted or replaced must not go on taking rows that nobody will see again; nor
   * may a connection that somehow came back in the middle of a transaction.
   */
  override async validateConnection(db: Database.Database): Promise<boolean> {
    const file = statSync(this.connectionSettings.filename, { throwIfNoEntry: false });
    return file?.ino === this.#inodes.get(db) && !db.inTransaction;
  }
}

/**
 * knex prepares each query anew, and libsql frees a statement only when it is collected: 270 MB for
 * 50,000 queries in a row. Kept statements take 9 µs a query in the place of 15, in flat memory.
 */
function reuseStatements(db: Database.Database): void {
  const prepare = db.prepare.bind(db);
  const statements = new Map<string, Database.Statement>();
  Object.assign(db, {
    prepare(sql: string): Database.Statement {
      let statement = statements.get(sql);
      if (statement === undefined) {
        if (statements.size === 100) statements.clear();
        statement = prepare(sql);
        statements.set(sql, statement);
      }
      return statement;
    },
  });
}

interface MysqlSettings {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls?: DatabaseTls;
  readonly queryTimeout: number;
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

/** mysql2 with limits on everything that can wait, several hosts, and real prepared statements. */
class MysqlClient extends MysqlDialect<MysqlSettings> {
  readonly preparesValues = true;

  /** Loaded with the first pool: whoever has no MySQL need not have it. */
  override _driver(): unknown {
    return {};
  }

  override async acquireRawConnection(): Promise<Connection> {
    const { hosts } = this.connectionSettings;
    const faults: unknown[] = [];
    for (const host of hosts) {
      try {
        return await this.#connect(host);
      } catch (fault) {
        faults.push(fault);
      }
    }
    throw faults.length === 1 ? faults[0] : new AggregateError(faults, 'no database host answers');
  }

  async #connect({ host, port }: { host: string; port: number }): Promise<Connection> {
    const { createConnection } = await loadMysql();
    const { user, password, database, tls } = this.connectionSettings;
    const connection: Disposable<Connection> = createConnection({
      ...(tls && { ssl: tlsOptions(tls), stream: () => socketTo(host, port) }),
      host,
      port,
      user,
      password,
      database,
      charset: 'utf8mb4',
      connectTimeout: Math.ceil(CONNECT_TIMEOUT / this.connectionSettings.hosts.length),
    });
    // Also what mysql2 reports between queries, e.g. that the server went away.
    connection.on('error', (error) => {
      connection.__knex__disposed = error;
    });
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error ? reject(withReason(error)) : resolve()));
    });
    // Strict, or MySQL cuts what is too long; nothing else, or the server's own modes would change
    // what SQL means.
    await this._query(connection, {
      sql: "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    });
    return connection;
  }

  /** mysql2 has no limit on a whole query: a server that stops answering would be waited for. */
  override _query(connection: Disposable<Connection>, query: KnexQuery): Promise<KnexQuery> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const error = Object.assign(new Error('query timed out'), { code: 'ETIMEDOUT' });
        connection.__knex__disposed = error;
        connection.destroy();
        reject(error);
      }, this.connectionSettings.queryTimeout);
      const done = (error: QueryError | null, rows: unknown, fields: unknown) => {
        clearTimeout(timer);
        if (error) return reject(error);
        query.response = [rows, fields];
        resolve(query);
      };
      // With values: prepared by the server, which then never reads a value as SQL. Without: as
      // text, since not every statement can be prepared.
      if (query.bindings?.length) connection.execute(query.sql, [...query.bindings], done);
      else connection.query(query.sql, done);
    });
  }

  override async destroyRawConnection(connection: Disposable<Connection>): Promise<void> {
    if (connection.__knex__disposed) connection.destroy();
    else connection.end(() => {});
  }
}

/** What is wrong with a certificate is not in the code that mysql2 gives it, and holds no secret. */
function withReason(error: QueryError): Error {
  return error.code === 'HANDSHAKE_SSL_ERROR' ? new Error(`TLS: ${error.message}`) : error;
}
