import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnwritable } from '../../../application/index.ts';

/** Milliseconds after which nothing is begun again; with what came before it, in time for a request. */
const PATIENCE = 2_500;

/** So often, and so long (at most, in ms, before each), a statement is tried again. */
const PAUSES = [10, 40, 120, 200];

/** Milliseconds between two looks at a lock of SQLite. */
const BUSY_PAUSE = 10;

/** What an error says of the statement, or transaction, that it ends. */
export type Fault =
  /** SQLite: another connection holds the lock for writing. Nothing was done. */
  | 'busy'
  /** Undone, since others changed the same rows: a deadlock, or what another node had committed. */
  | 'undone'
  /** Undone, since others have locked the rows for long. */
  | 'locked'
  /** It reached no server that takes statements. */
  | 'unsent'
  /** The connection is gone. It may have been done. */
  | 'lost'
  /** The server has no such database, table or column, or none for us: not one of ours, or not yet. */
  | 'unprepared'
  /** The server took too long, and ended it. */
  | 'slow'
  /** A server, a schema or a file that takes no writes. */
  | 'readonly'
  /** A disk that is full or fails, or whatever else bounds what is stored. */
  | 'full'
  /** All else, which would come again. */
  | 'final';

/** By MySQL's and MariaDB's numbers, Node's and the driver's codes, and SQLSTATE: some errors have only one. */
const FAULTS: readonly (readonly [Fault, readonly (number | string)[]])[] = [
  ['undone', [1213, 'ER_LOCK_DEADLOCK', 1020, 'ER_CHECKREAD', '40001']],
  // Group Replication's and TiDB's words for what another node was first to change.
  ['undone', [3101, 'ER_TRANSACTION_ROLLBACK_DURING_COMMIT', 8002, 8005]],
  ['locked', [1205, 'ER_LOCK_WAIT_TIMEOUT']],
  // Too many connections, and a Galera node that is alone or not ready.
  ['unsent', [1040, 'ER_CON_COUNT_ERROR', 1203, 'ER_TOO_MANY_USER_CONNECTIONS', '08004']],
  ['unsent', [1047, 'ER_UNKNOWN_COM_ERROR', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH']],
  ['unsent', ['ENOTFOUND', 'EAI_AGAIN', 'EADDRNOTAVAIL']],
  ['lost', [2006, 2013, 'PROTOCOL_CONNECTION_LOST', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT']],
  // A commit that failed on its way through a cluster, a server that ends, a connection that was ended.
  ['lost', [1180, 'ER_ERROR_DURING_COMMIT', 1053, 'ER_SERVER_SHUTDOWN']],
  ['lost', [1927, 'ER_CONNECTION_KILLED', '08S01']],
  // --read-only, a read-only schema, a transaction that may not write.
  ['readonly', [1290, 1836, 1792]],
  // A disk, a table's file or a storage engine.
  ['full', [1021, 1114, 'SQLITE_FULL']],
  ['unprepared', [1049, 1146, 1054, 1044, 1142]],
  ['slow', [3024, 'ER_QUERY_TIMEOUT', 1969, 'ER_STATEMENT_TIMEOUT']],
];

const FAULT_BY_SIGN: ReadonlyMap<unknown, Fault> = new Map(
  FAULTS.flatMap(([fault, signs]) => signs.map((sign) => [sign, fault] as const)),
);

/** Faults of connecting. Whatever else they say, no statement was sent. */
const whileConnecting = new WeakSet<Error>();

/** The same error, known from now on as one of connecting. */
export function ofConnecting<T extends Error>(error: T): T {
  whileConnecting.add(error);
  return error;
}

/** What an error of the database says. */
export function faultOf(error: unknown): Fault {
  if (!(error instanceof Error)) return 'final';
  if (error instanceof AggregateError) {
    return error.errors.some((each) => faultOf(each) === 'unsent') ? 'unsent' : 'final';
  }
  const signOf = (name: string): unknown => (name in error ? Reflect.get(error, name) : undefined);
  const code = signOf('code');
  if (typeof code === 'string') {
    if (code.startsWith('SQLITE_BUSY')) return 'busy';
    if (code.startsWith('SQLITE_READONLY')) return 'readonly';
    if (code.startsWith('SQLITE_IOERR')) return 'full';
  }
  // The driver says this alone, without a code, of a connection that had ended before.
  if (code === undefined && signOf('fatal') === true) return 'unsent';
  const signs = [signOf('errno'), code, signOf('sqlState')];
  const known = signs.find((sign) => FAULT_BY_SIGN.has(sign));
  const fault = FAULT_BY_SIGN.get(known) ?? 'final';
  const isConnecting = signOf('syscall') === 'connect' || whileConnecting.has(error);
  return fault === 'lost' && isConnecting ? 'unsent' : fault;
}

/** How often it is tried again, as a read and as a write. */
const RETRIES: Readonly<Record<Exclude<Fault, 'busy'>, readonly [read: number, write: number]>> = {
  undone: [PAUSES.length, PAUSES.length],
  locked: [1, 1],
  unsent: [PAUSES.length, PAUSES.length],
  lost: [PAUSES.length, PAUSES.length],
  unprepared: [1, 1],
  slow: [1, 0],
  readonly: [0, 0],
  full: [0, 0],
  final: [0, 0],
};

/** What can be tried again: not a part of a host's transaction, of which the rest would be missing. */
interface Retried {
  readonly isTransaction?: boolean | undefined;
}

/** Reads, again where that helps. `attempt` holds no connection when it is over. */
export async function reading<T>(knex: Retried, attempt: () => Promise<T>): Promise<T> {
  return repeating(knex, attempt, PATIENCE, undefined);
}

/** How a write is told from one that was not made. */
export interface Write<T> {
  /**
   * Looks at what the attempt before has done whose answer was lost, by what only it can have written:
   * its result, or undefined where nothing of it is there. Null: it may be done twice.
   */
  readonly found: (() => Promise<T | undefined>) | null;
  /** Milliseconds after which nothing is begun again. */
  readonly patience?: number;
}

/**
 * Writes, and again where that helps: `attempt` is a whole statement or transaction, which holds no
 * connection when it is over, so that reads need not wait for a write that does.
 *
 * Of an answer that was lost it finds out what it was. From then on what is in the database decides,
 * and no refusal: that the email is taken, or that there is no such row, can be one's own doing.
 * @throws StoreUnwritable, and whatever else the database says
 */
export async function writing<T>(
  knex: Retried,
  attempt: () => Promise<T>,
  { found, patience = PATIENCE }: Write<T>,
): Promise<T> {
  return repeating(knex, attempt, patience, found);
}

async function repeating<T>(
  knex: Retried,
  attempt: () => Promise<T>,
  patience: number,
  found: Write<T>['found'] | undefined,
): Promise<T> {
  if (knex.isTransaction) return attempt();
  const isRead = found === undefined;
  const end = performance.now() + patience;
  let isInDoubt = false;
  const ours = async () => (isInDoubt && found ? reading(knex, found) : undefined);
  for (let tries = 0; ; ) {
    try {
      const result = await attempt();
      return (await ours()) ?? result;
    } catch (error) {
      const fault = faultOf(error);
      isInDoubt ||= fault === 'lost';
      const result = await ours();
      if (result !== undefined) return result;
      const isUnwritable = fault === 'readonly' || fault === 'full';
      if (isUnwritable && !isRead) throw new StoreUnwritable(error);
      if (performance.now() > end) throw error;
      if (fault === 'busy') {
        await sleep(1 + Math.random() * BUSY_PAUSE);
        continue;
      }
      const [asRead, asWrite] = RETRIES[fault];
      if (tries >= (isRead ? asRead : asWrite)) throw error;
      await sleep(Math.random() * (PAUSES[tries] ?? 0));
      tries += 1;
    }
  }
}
