import type { Knex } from 'knex';
import {
  BackupRefused,
  damaged,
  firstFreeId,
  type Opened,
  readAbout,
  readWhole,
  type RestoreSettings,
} from './backup-file.ts';
import { openForRestore } from '../connection/open.ts';
import {
  contentsOf,
  SIGNS,
  MYSQL_BEGINNING,
  MYSQL_END,
  type Named,
  nextIdIn,
  UnfitHost,
  withServer,
} from './mysql-backup.ts';
import type { MysqlTarget } from '../connection/target.ts';
import { RESTORE_MARK } from '../connection/restore-mark.ts';
import { faultOf } from '../connection/faults.ts';
import { DEFAULT_TABLES } from '../tables.ts';

const { users } = DEFAULT_TABLES;

/** The first line, which describes the backup. */
const MAX_HEAD_BYTES = 64 * 1024;
/**
 * A dump's statements have 1 MB, or one row: at most 24 MB, where each byte takes two characters.
 */
const MAX_STATEMENT_BYTES = 64 * 1024 * 1024;

/**
 * Restores in several steps, one after the other. A table marks the database until the last one.
 */
export async function restoreMysql(
  target: MysqlTarget,
  file: string,
  settings: RestoreSettings,
): Promise<Opened> {
  const { replace, signal, now } = settings;
  const about = readAbout(await check(file, signal), settings.knownSteps);
  return withServer(target, openForRestore, signal, async (knex, programs) => {
    const wasMarked = await knex.schema.hasTable(RESTORE_MARK);
    if (!replace && wasMarked) {
      throw new BackupRefused('a restore of the database was not finished: --replace begins again');
    }
    if (!replace && (await contentsOf(knex)).length > 0) {
      throw new BackupRefused('the database is not empty: --replace throws away what is in it');
    }
    const refuseUse = useRefusal(target, knex);
    await refuseUse();
    signal?.throwIfAborted();
    const others = await mark(knex);
    try {
      await refuseUse(); // A connection that is opened later sees the mark.
    } catch (fault) {
      if (!wasMarked) await knex.schema.dropTable(RESTORE_MARK);
      throw fault;
    }
    await empty(knex, await contentsOf(knex));
    const nextId = firstFreeId(about, now, others);
    const withoutSessions = settings.withoutSessions ? 1 : 0;
    async function* sql(): AsyncGenerator<string | Uint8Array> {
      yield `SET @portcullis_next_id = ${nextId}, @portcullis_without_sessions = ${withoutSessions};\n`;
      yield* readStatements(file, signal);
    }
    try {
      await programs.run(sql());
    } catch (fault) {
      if (!(fault instanceof BackupRefused)) throw fault;
      throw new BackupRefused(
        `${fault.message}; the database may be half there, and is not served: restore with --replace`,
      );
    }
    await knex.schema.dropTable(RESTORE_MARK);
    return { about, nextId };
  });
}

/** Reads the whole file before anything is changed; resolves to its description. */
async function check(file: string, signal: AbortSignal | undefined): Promise<string> {
  let head = Buffer.alloc(0);
  let tail = Buffer.alloc(0);
  for await (const part of readStatements(file, signal)) {
    if (head.length < MAX_HEAD_BYTES && !head.includes('\n')) head = Buffer.concat([head, part]);
    tail = Buffer.concat([tail, part]).subarray(-MYSQL_END.length);
  }
  const [line = '', ...more] = head.toString().split('\n', 2);
  const isBegun = line.startsWith(MYSQL_BEGINNING) && more.length > 0;
  if (!isBegun || tail.toString() !== MYSQL_END) throw damaged(file);
  return line.slice(MYSQL_BEGINNING.length);
}

/**
 * Limits the length of a statement, which the client holds in memory: a small compressed file can
 * hold an endless one.
 * @throws BackupRefused
 */
async function* readStatements(
  file: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  let length = 0;
  let before = Buffer.alloc(0);
  for await (const part of readWhole(file, signal)) {
    const joined = Buffer.concat([before, part]); // An end can be in two parts.
    const end = joined.lastIndexOf(';\n');
    length = end === -1 ? length + part.length : joined.length - end;
    if (length > MAX_STATEMENT_BYTES) throw damaged(file);
    before = joined.subarray(-1);
    yield part;
  }
}

/**
 * Marks the database. Resolves to the id that its next user would have got, or would have got
 * before an earlier restore that was not finished.
 * @throws UnfitHost if the host accepts no writes
 */
async function mark(knex: Knex): Promise<number> {
  try {
    await knex.raw(
      `CREATE TABLE IF NOT EXISTS ${RESTORE_MARK} (next_id BIGINT UNSIGNED NOT NULL PRIMARY KEY) ENGINE = InnoDB`,
    );
  } catch (fault) {
    throw faultOf(fault) === 'readonly' ? new UnfitHost('the database takes no writes') : fault;
  }
  const nextId = (await knex.schema.hasTable(users)) ? await nextIdIn(knex) : 0;
  await knex(RESTORE_MARK).insert({ next_id: nextId }).onConflict('next_id').ignore();
  const [row] = await knex(RESTORE_MARK).max({ next_id: 'next_id' });
  return Number(row?.['next_id'] ?? 0);
}

interface Thread {
  readonly id: number;
  /** Where the client is, with its port. */
  readonly host: string;
  readonly isOwn: number;
}

/**
 * Asks every host who is connected to the database: a service at another host would write to this
 * one too, or read half a restore. Without the privilege PROCESS, a server shows only our own
 * account.
 */
function useRefusal(target: MysqlTarget, knex: Knex): () => Promise<void> {
  const nameOf = ({ id, host }: Thread) => `${id} ${host}`;
  // Connections of this restore, open or just closed: two hosts can be one server.
  const own = new Set<string>();
  return async () => {
    const threads = [...(await threadsAt(knex))];
    for (const host of target.hosts)
      threads.push(...(await threadsOf({ ...target, hosts: [host] })));
    for (const thread of threads) if (thread.isOwn) own.add(nameOf(thread));
    if (threads.every((thread) => own.has(nameOf(thread)))) return;
    throw new BackupRefused(
      'the database is in use: stop the service, and whatever else is connected to it',
    );
  };
}

async function threadsOf(target: MysqlTarget): Promise<readonly Thread[]> {
  const knex = openForRestore(target);
  try {
    return await threadsAt(knex);
  } catch (fault) {
    if (isEmptyHost(fault)) return [];
    const [{ host, port } = { host: '', port: 0 }] = target.hosts;
    throw new BackupRefused(
      `${host}:${port} does not tell who is connected to it: let it answer, or leave it out of DATABASE_URL`,
    );
  } finally {
    await knex.destroy();
  }
}

async function threadsAt(knex: Knex): Promise<readonly Thread[]> {
  // `system user` replicates from another server.
  const [threads] = await knex.raw<readonly [readonly Thread[]]>(
    `SELECT id AS id, host AS host, id = CONNECTION_ID() AS isOwn FROM information_schema.processlist
      WHERE db = DATABASE() AND user <> 'system user'`,
  );
  return threads;
}

/** Errors of a host without a server, or without this database for this account. */
const EMPTY_HOST_CODES = ['ECONNREFUSED', 'ER_BAD_DB_ERROR', 'ER_DBACCESS_DENIED_ERROR'];

function isEmptyHost(fault: unknown): boolean {
  return fault instanceof Error && 'code' in fault && EMPTY_HOST_CODES.includes(String(fault.code));
}

/** Drops all tables, first those by which the service knows its database: it rejects the rest. */
async function empty(knex: Knex, contents: readonly Named[]): Promise<void> {
  const isMark = ({ name }: Named) => SIGNS.includes(name);
  const ordered = [
    ...contents.filter(isMark),
    ...contents.filter((each) => !isMark(each)).toReversed(),
  ];
  // On one connection, because the first statement applies to it alone.
  await knex.transaction(async (one) => {
    await one.raw('SET foreign_key_checks = 0');
    for (const { name, kind } of ordered) {
      const what = kind === 'VIEW' || kind === 'SEQUENCE' ? kind : 'TABLE';
      await one.raw(`DROP ${what} ??`, [name]);
    }
    await one.raw('SET foreign_key_checks = 1');
  });
}
