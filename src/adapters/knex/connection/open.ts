import knex, { type Knex } from 'knex';
import { migratorConfig } from '../migrations.ts';
import { loadMysql, loadSqlite } from './drivers.ts';
import { MysqlClient, type MysqlSettings } from './mysql-client.ts';
import { createPrivately } from './private-file.ts';
import { SqliteClient, type SqliteSettings } from './sqlite-client.ts';
import type { DatabaseTarget, TargetsByKind } from './target.ts';

/** What a pool is opened for. */
interface PoolSettings {
  /** How long a caller waits for a connection; connecting is part of it. */
  readonly acquireTimeoutMs: number;
  readonly queryTimeoutMs: number;
  /** How long SQLite blocks the event loop on a lock. */
  readonly busyTimeoutMs: number;
  /** Connections to a server, at most. */
  readonly maxConnections: number;
  /** What a commit survives. Undefined: nothing is written, and no file is made. */
  readonly commitsSurvive: 'power loss' | 'process end' | undefined;
  /** Whether to connect to a database whose restore was not finished. */
  readonly evenUnfinished?: boolean;
}

/** A request answers within 5 s whatever the database does. These are its share. */
const FOR_REQUESTS: PoolSettings = {
  acquireTimeoutMs: 2_000,
  queryTimeoutMs: 3_000,
  busyTimeoutMs: 0,
  maxConnections: 10,
  commitsSurvive: 'power loss',
};

const FOR_MIGRATIONS: PoolSettings = {
  ...FOR_REQUESTS,
  acquireTimeoutMs: 10_000,
  queryTimeoutMs: 10 * 60_000,
  busyTimeoutMs: 10_000,
};

/**
 * Opens a pool that is fit to serve requests: everything that can wait has a limit, the next of
 * several hosts takes over, and every commit survives a loss of power. It connects when it is first
 * used, and makes a SQLite file that is not there; close it with `destroy()`. It needs the package
 * `mysql2` or `libsql`. `connections`: how many it opens to a server at most. Default: 10.
 */
export function openDatabase(
  target: DatabaseTarget,
  { connections = 10 }: { readonly connections?: number } = {},
): Knex {
  return knex(poolConfig(target, { ...FOR_REQUESTS, maxConnections: connections }));
}

/**
 * Opens a second pool for rows that may be lost with the power, but not with the process. Undefined
 * for a server: there a commit does not block the event loop while the disk writes.
 */
export function openForCounts(target: DatabaseTarget): Knex | undefined {
  if (!('path' in target)) return undefined;
  return knex(poolConfig(target, { ...FOR_REQUESTS, commitsSurvive: 'process end' }));
}

/** Opens a pool for migrations, which may take longer than any request, and wait for each other. */
export function openForMigration(target: DatabaseTarget): Knex {
  return knex(migrationConfig(target));
}

/** The configuration of `openForMigration`, for `knexfile.ts`. */
export function migrationConfig(target: DatabaseTarget): Knex.Config {
  return poolConfig(target, FOR_MIGRATIONS);
}

/** Opens a pool to restore a database, even one that an earlier restore left unfinished. */
export function openForRestore(target: DatabaseTarget): Knex {
  return knex(poolConfig(target, { ...FOR_MIGRATIONS, evenUnfinished: true }));
}

/** Opens a pool that only reads: it makes no SQLite file, and changes no setting of one. */
export function openForInspection(target: DatabaseTarget): Knex {
  return knex(poolConfig(target, { ...FOR_REQUESTS, commitsSurvive: undefined }));
}

/** Connections of a pool: in use, idle, and how many callers wait for one. */
export interface PoolLoad {
  readonly used: number;
  readonly free: number;
  readonly waiting: number;
}

/** Undefined if a knex has another kind of pool than its own. */
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

/** A pool closes a connection that idles for 30 s. */
const KEEP_ALIVE_INTERVAL_MS = 20_000;

/**
 * Keeps a pool of `openDatabase` connected, however little it is used, so that a restore sees that
 * the database is in use. A SQLite file shows it by its lock. Returns a function that stops it.
 */
export function keepAlive({ client }: Knex): () => void {
  const opened: unknown = client;
  if (!isKeptAlive(opened)) return () => {};
  const connect = () => void opened.keepAlive().catch(() => {}); // The next request fails as well.
  const timer = setInterval(connect, KEEP_ALIVE_INTERVAL_MS).unref();
  connect();
  return () => clearInterval(timer);
}

function isKeptAlive(client: unknown): client is Pick<MysqlClient, 'keepAlive'> {
  return typeof client === 'object' && client !== null && 'keepAlive' in client;
}

function poolConfig(target: DatabaseTarget, settings: PoolSettings): Knex.Config {
  return {
    acquireConnectionTimeout: settings.acquireTimeoutMs,
    // Error messages keep their `?`: with the values, emails and hashes would reach logs.
    compileSqlOnError: false,
    // The caller gets every error; knex's own warnings add nothing to it.
    log: { warn() {}, error() {}, deprecate() {}, debug() {} },
    migrations: migratorConfig(),
    ...clientConfig(target.kind, target, settings),
  };
}

function clientConfig<Kind extends DatabaseTarget['kind']>(
  kind: Kind,
  target: TargetsByKind[Kind],
  settings: PoolSettings,
): Knex.Config {
  return CLIENT_CONFIGS[kind](target, settings);
}

/** How knex connects to each engine. */
const CLIENT_CONFIGS: {
  readonly [Kind in DatabaseTarget['kind']]: (
    target: TargetsByKind[Kind],
    settings: PoolSettings,
  ) => Knex.Config;
} = {
  sqlite({ path: filename }, { commitsSurvive, busyTimeoutMs }) {
    void loadSqlite().catch(() => {}); // The first connection fails with the reason.
    if (commitsSurvive !== undefined) createPrivately(filename);
    const synchronous = commitsSurvive && SYNCHRONOUS[commitsSurvive];
    const connection: SqliteSettings = { filename, busyTimeoutMs, synchronous };
    return { client: SqliteClient, connection, useNullAsDefault: true };
  },
  mysql(server, { queryTimeoutMs, maxConnections, evenUnfinished = false }) {
    void loadMysql().catch(() => {});
    const connection: MysqlSettings = { ...server, queryTimeoutMs, evenUnfinished };
    return { client: MysqlClient, connection, pool: { min: 0, max: maxConnections } };
  },
};

const SYNCHRONOUS = { 'power loss': 'FULL', 'process end': 'NORMAL' } as const;
