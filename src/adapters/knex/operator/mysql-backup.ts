import type { Knex } from 'knex';
import { type About, BackupRefused, firstFreeId, writeWhole } from './backup-file.ts';
import { openForMigration } from '../connection/open.ts';
import { MysqlPrograms } from './mysql-programs.ts';
import type { MysqlTarget } from '../connection/target.ts';
import { RESTORE_MARK, UnfinishedRestore } from '../connection/restore-mark.ts';
import { DEFAULT_TABLES, notesOf } from '../tables.ts';

/** The beginning and end of a backup's content, which is SQL, for `gunzip` and `mariadb`. */
export const MYSQL_BEGINNING = '-- Portcullis backup ';
export const MYSQL_END = '-- Portcullis backup: complete\n';

const { users, sessions, attempts } = DEFAULT_TABLES;
const NOTES = notesOf({ users });
/** Tables by which `migrate()` knows our database. They come last, so it rejects half a restore. */
export const SIGNS = [NOTES, `${NOTES}_lock`, `${NOTES}_lease`];

const DUMP = [
  '--single-transaction',
  '--quick',
  '--hex-blob',
  '--no-tablespaces',
  // An operator who loads the file by hand must not overwrite existing tables.
  '--skip-add-drop-table',
  '--skip-add-locks',
  '--skip-disable-keys',
];

/** Dumps the first host that has the tables, as of one moment, while others read and write. */
export async function backUpMysql(
  target: MysqlTarget,
  file: string,
  signal?: AbortSignal,
): Promise<About> {
  return withServer(target, openForMigration, signal, async (knex, programs) => {
    const about = await describe(knex);
    const names = (await contentsOf(knex)).map(({ name }) => name);
    const of = (wanted: readonly string[]) => names.filter((name) => wanted.includes(name));
    async function* content(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`${MYSQL_BEGINNING}${JSON.stringify(about)}\n`);
      // Counts of attempts are of that day alone, and hashes of whatever was typed: they stay out.
      if (of([attempts]).length > 0) yield* programs.dump([attempts], [...DUMP, '--no-data']);
      const others = names.filter((name) => name !== attempts && !SIGNS.includes(name));
      yield* programs.dump(others, DUMP);
      yield Buffer.from(settle(about));
      yield* programs.dump(of(SIGNS), DUMP);
      yield Buffer.from(MYSQL_END);
    }
    await writeWhole(file, content(), signal);
    return about;
  });
}

/**
 * SQL that applies the settings of a restore, or their defaults if an operator loads the file by
 * hand.
 */
function settle(about: About): string {
  const nextId = firstFreeId(about, new Date(about.taken));
  return `
SET @portcullis = CONCAT('ALTER TABLE \`${users}\` AUTO_INCREMENT = ', COALESCE(@portcullis_next_id, ${nextId}));
PREPARE portcullis FROM @portcullis;
EXECUTE portcullis;
DEALLOCATE PREPARE portcullis;
DELETE FROM \`${sessions}\` WHERE @portcullis_without_sessions = 1;
`;
}

async function describe(knex: Knex): Promise<About> {
  const taken = new Date().toISOString();
  if (!(await knex.schema.hasTable(users)) || !(await knex.schema.hasTable(NOTES))) {
    throw new UnfitHost('the database has no tables of the service: it has never run on it');
  }
  return {
    format: 1,
    taken,
    steps: await knex(NOTES).orderBy('id').pluck<string[]>('name'),
    users: Number((await knex(users).count({ count: '*' }))[0]?.['count'] ?? 0),
    nextId: await nextIdIn(knex),
  };
}

export interface Named {
  readonly name: string;
  /** `BASE TABLE`, `VIEW`, `SEQUENCE`. */
  readonly kind: string;
}

/** Tables, then views; without the mark of a restore. */
export async function contentsOf(knex: Knex): Promise<readonly Named[]> {
  const [found] = await knex.raw<readonly [readonly Named[]]>(
    `SELECT table_name AS name, table_type AS kind FROM information_schema.tables
      WHERE table_schema = DATABASE() AND table_name <> '${RESTORE_MARK}' ORDER BY table_type = 'VIEW', table_name`,
  );
  return found;
}

export async function nextIdIn(knex: Knex): Promise<number> {
  const [[row]] = await knex.raw<readonly [readonly [{ 'Create Table': string }]]>(
    `SHOW CREATE TABLE \`${users}\``,
  );
  const [, next = '1'] = /\bAUTO_INCREMENT=(\d+)/.exec(row['Create Table']) ?? [];
  return Number(next);
}

/** This host cannot do it; another one may. */
export class UnfitHost extends BackupRefused {}

/** Calls `use` for the first host that answers, or for the next one where it throws `UnfitHost`. */
export async function withServer<T>(
  target: MysqlTarget,
  open: (target: MysqlTarget) => Knex,
  signal: AbortSignal | undefined,
  use: (knex: Knex, programs: MysqlPrograms) => Promise<T>,
): Promise<T> {
  const faults: unknown[] = [];
  for (const host of target.hosts) {
    const one = { ...target, hosts: [host] };
    const knex = open(one);
    try {
      const version = await versionOf(knex).catch((fault: unknown) => {
        // The other hosts have the mark as well, or will have it in a moment.
        if (fault instanceof UnfinishedRestore) throw new BackupRefused(fault.message);
        faults.push(fault);
      });
      if (version === undefined) continue;
      const programs = new MysqlPrograms(one, version.includes('MariaDB'), signal);
      try {
        return await use(knex, programs);
      } catch (fault) {
        if (!(fault instanceof UnfitHost)) throw fault;
        faults.push(fault);
      } finally {
        programs.close();
      }
    } finally {
      await knex.destroy();
    }
  }
  throw faults.length === 1 ? faults[0] : new AggregateError(faults, 'no database host will do');
}

async function versionOf(knex: Knex): Promise<string> {
  const [[row]] = await knex.raw<readonly [readonly [{ version: string }]]>(
    'SELECT VERSION() AS version',
  );
  return row.version;
}
