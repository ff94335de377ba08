import { statSync } from 'node:fs';
import knex, { type Knex } from 'knex';
import SqliteDialect from 'knex/lib/dialects/better-sqlite3/index.js';
import type Database from 'libsql';
import { type Disposable, loadMysql, loadSqlite } from './drivers.ts';
import { migratorConfig } from '../migrations.ts';
import { createPrivately } from './private-file.ts';
import { MysqlClient, type MysqlSettings } from './mysql-client.ts';
import { faultOf, writing } from './retry.ts';
import type { DatabaseTarget } from './target.ts';

// A request answers within 5 s whatever the database does: these are the shares of it, in ms.
// Connecting comes within acquiring, and takes less of it.
const ACQUIRE_TIMEOUT = 2_000;
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
 * package `mysql2` or `libsql`. To a server it opens up to `connections` at once, 10 unless given.
 */
export function openDatabase(
  target: DatabaseTarget,
  { connections = 10 }: { readonly connections?: number } = {},
): Knex {
  const config = knexConfig(target, PATIENCE);
  return knex(
    target.kind === 'sqlite' ? config : { ...config, pool: { min: 0, max: connections } },
  );
}

/**
 * Opens a SQLite file for what may be lost with the power, but not with the process: commits that do
 * not wait for the disk, since each would stop the event loop for milliseconds.
 */
export function openWithoutSync(target: Extract<DatabaseTarget, { kind: 'sqlite' }>): Knex {
  return knex(knexConfig(target, PATIENCE, 'NORMAL'));
}

/** Connections of a pool: in use, idle, and how many callers wait for one. */
export interface PoolLoad {
  readonly used: number;
  readonly free: number;
  readonly waiting: number;
}

/** Undefined where a knex keeps its connections in another way than it does by itself. */
export function poolLoad(opened: Knex): PoolLoad | undefined {
  const client: unknown = opened.client;
  const pool: unknown = Reflect.get(Object(client), 'pool');
  if (!isTarnPool(pool)) return undefined;
  return { used: pool.numUsed(), free: pool.numFree(), waiting: pool.numPendingAcquires() };
}

interface TarnPool {
  numUsed(): number;
  numFree(): number;
  numPendingAcquires(): number;
}

function isTarnPool(pool: unknown): pool is TarnPool {
  const names = ['numUsed', 'numFree', 'numPendingAcquires'];
  return typeof pool === 'object' && pool !== null && names.every((name) => name in pool);
}

/** Opens a pool for migrations, which may take longer than any request, and wait for each other. */
export function openForMigration(target: DatabaseTarget): Knex {
  return knex(migrationConfig(target));
}

/** Opens a pool to restore a database, also one that a restore before has left unfinished. */
export function openForRestore(target: DatabaseTarget): Knex {
  const config = migrationConfig(target);
  const connection = Object.assign({}, config.connection, { evenUnfinished: true });
  return knex({ ...config, connection });
}

/** Milliseconds; a pool lets a connection idle for 30 s. */
const ATTENDANCE = 20_000;

/**
 * Keeps a pool of `openDatabase` connected, so that a restore sees that the database is in use, however little it is.
 * Of a SQLite file the lock tells as much. Returns how to stop.
 */
export function attend({ client }: Knex): () => void {
  if (!(client instanceof MysqlClient)) return () => {};
  const come = () => void client.attend().catch(() => {}); // Requests will tell.
  const timer = setInterval(come, ATTENDANCE).unref();
  come();
  return () => clearInterval(timer);
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
    const refuseReplaced = () => {
      if (statSync(filename, { throwIfNoEntry: false })?.ino === ino) return;
      db.close();
      throw new Error('the database file was replaced while it was being opened');
    };
    refuseReplaced(); // It would have made an empty one, had the file been taken away since.
    if (synchronous !== 'as it is') {
      const begin = async () => {
        // Waits for a restore, which puts another file here. A log of this one would be read into that.
        db.exec('SELECT 1 FROM sqlite_master');
        refuseReplaced();
        db.exec('PRAGMA journal_mode = WAL');
      };
      await writing({}, begin, { found: null });
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
  override async _query(db: Database.Database & Disposable, query: KnexQuery): Promise<KnexQuery> {
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
      if (faultOf(error) === 'busy') db.__knex__disposed = error;
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
