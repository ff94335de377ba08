import type { Knex } from 'knex';
import {
  type About,
  BackupRefused,
  damaged,
  firstFreeId,
  type Opened,
  readAbout,
  readWhole,
  type RestoreSettings,
  writeWhole,
} from './backup-file.ts';
import { openForMigration } from './database.ts';
import { MysqlPrograms, type MysqlTarget } from './mysql-programs.ts';
import { DEFAULT_TABLES, notesOf } from './tables.ts';

/** What the content of a backup begins and ends with: it is SQL, for `gunzip` and `mariadb`. */
export const MYSQL_BEGINNING = '-- Portcullis backup ';
const END = '-- Portcullis backup: complete\n';

const { users, sessions, attempts } = DEFAULT_TABLES;
const NOTES = notesOf({ users });
/** What `migrate()` tells a database of ours by. They come last: it takes none that is half there. */
const MARKS = [NOTES, `${NOTES}_lock`, `${NOTES}_lease`];

const DUMP = [
  '--single-transaction',
  '--quick',
  '--hex-blob',
  '--no-tablespaces',
  // Whoever gives it to a database by hand must not overwrite what is there.
  '--skip-add-drop-table',
  '--skip-add-locks',
  '--skip-disable-keys',
];

/** A dump as of one moment, while others go on reading and writing. */
export async function backUpMysql(
  target: MysqlTarget,
  file: string,
  signal?: AbortSignal,
): Promise<About> {
  return withServer(target, signal, async (knex, programs) => {
    const about = await describe(knex);
    const names = (await contentsOf(knex)).map(({ name }) => name);
    const of = (wanted: readonly string[]) => names.filter((name) => wanted.includes(name));
    async function* content(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`${MYSQL_BEGINNING}${JSON.stringify(about)}\n`);
      // Counts of attempts are of that day alone, and hashes of whatever was typed: they stay out.
      if (of([attempts]).length > 0) yield* programs.dump([attempts], [...DUMP, '--no-data']);
      const others = names.filter((name) => name !== attempts && !MARKS.includes(name));
      yield* programs.dump(others, DUMP);
      yield Buffer.from(settle(about));
      yield* programs.dump(of(MARKS), DUMP);
      yield Buffer.from(END);
    }
    await writeWhole(file, content(), signal);
    return about;
  });
}

/** What a restore asks for, between the rows and what makes them count; done by hand: a gap in the ids. */
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
    throw new BackupRefused('the database has no tables of the service: it has never run on it');
  }
  return {
    format: 1,
    taken,
    steps: await knex(NOTES).orderBy('id').pluck<string[]>('name'),
    users: Number((await knex(users).count({ count: '*' }))[0]?.['count'] ?? 0),
    nextId: await nextIdIn(knex),
  };
}

/** In several steps, each of which is done before the next: a database that is half there is not served. */
export async function restoreMysql(
  target: MysqlTarget,
  file: string,
  settings: RestoreSettings,
): Promise<Opened> {
  const about = readAbout(await check(file), settings.knownSteps);
  return withServer(target, settings.signal, async (knex, programs) => {
    const contents = await contentsOf(knex);
    if (contents.length > 0 && !settings.replace) {
      throw new BackupRefused('the database is not empty: --replace throws away what is in it');
    }
    const others = (await knex.schema.hasTable(users)) ? await nextIdIn(knex) : 0;
    const nextId = firstFreeId(about, settings.now, others);
    if (contents.length > 0) await empty(knex, contents);
    const withoutSessions = settings.withoutSessions ? 1 : 0;
    async function* sql(): AsyncGenerator<string | Uint8Array> {
      yield `SET @portcullis_next_id = ${nextId}, @portcullis_without_sessions = ${withoutSessions};\n`;
      yield* readWhole(file);
    }
    try {
      await programs.run(sql());
    } catch (fault) {
      if (!(fault instanceof BackupRefused)) throw fault;
      throw new BackupRefused(
        `${fault.message}; the database may be half there, and is not served: restore with --replace`,
      );
    }
    return { about, nextId };
  });
}

/** Reads it all, before anything is changed; resolves to what it says of itself. */
async function check(file: string): Promise<string> {
  let head = Buffer.alloc(0);
  let tail = Buffer.alloc(0);
  for await (const part of readWhole(file)) {
    if (!head.includes('\n')) head = Buffer.concat([head, part]);
    tail = Buffer.concat([tail, part]).subarray(-END.length);
  }
  const [line = ''] = head.toString().split('\n', 1);
  if (!line.startsWith(MYSQL_BEGINNING) || tail.toString() !== END) throw damaged(file);
  return line.slice(MYSQL_BEGINNING.length);
}

interface Named {
  readonly name: string;
  /** `BASE TABLE`, `VIEW`, `SEQUENCE`. */
  readonly kind: string;
}

/** Tables before what is made of them. */
async function contentsOf(knex: Knex): Promise<readonly Named[]> {
  const [found] = await knex.raw<readonly [readonly Named[]]>(
    `SELECT table_name AS name, table_type AS kind FROM information_schema.tables
      WHERE table_schema = DATABASE() ORDER BY table_type = 'VIEW', table_name`,
  );
  return found;
}

/** What the service tells its database by goes first: it takes none that is half gone. */
async function empty(knex: Knex, contents: readonly Named[]): Promise<void> {
  const [[row]] = await knex.raw<readonly [readonly [{ count: number | string }]]>(
    `SELECT COUNT(*) AS count FROM information_schema.processlist
      WHERE db = DATABASE() AND id <> CONNECTION_ID()`,
  );
  if (Number(row.count) > 0) {
    throw new BackupRefused(
      'the database is in use: stop the service, and whatever else is connected to it',
    );
  }
  const isMark = ({ name }: Named) => MARKS.includes(name);
  const ordered = [
    ...contents.filter(isMark),
    ...contents.filter((each) => !isMark(each)).toReversed(),
  ];
  // On one connection, of which the first statement is to hold for the others.
  await knex.transaction(async (one) => {
    await one.raw('SET foreign_key_checks = 0');
    for (const { name, kind } of ordered) {
      const what = kind === 'VIEW' || kind === 'SEQUENCE' ? kind : 'TABLE';
      await one.raw(`DROP ${what} ??`, [name]);
    }
    await one.raw('SET foreign_key_checks = 1');
  });
}

async function nextIdIn(knex: Knex): Promise<number> {
  const [[row]] = await knex.raw<readonly [readonly [{ 'Create Table': string }]]>(
    `SHOW CREATE TABLE \`${users}\``,
  );
  const [, next = '1'] = /\bAUTO_INCREMENT=(\d+)/.exec(row['Create Table']) ?? [];
  return Number(next);
}

/** At the first of the hosts that answers. */
async function withServer<T>(
  target: MysqlTarget,
  signal: AbortSignal | undefined,
  use: (knex: Knex, programs: MysqlPrograms) => Promise<T>,
): Promise<T> {
  const faults: unknown[] = [];
  for (const host of target.hosts) {
    const one = { ...target, hosts: [host] };
    const knex = openForMigration(one);
    try {
      const version = await versionOf(knex).catch((fault: unknown) => {
        faults.push(fault);
      });
      if (version === undefined) continue;
      const programs = new MysqlPrograms(one, version.includes('MariaDB'), signal);
      try {
        return await use(knex, programs);
      } finally {
        programs.close();
      }
    } finally {
      await knex.destroy();
    }
  }
  throw faults.length === 1 ? faults[0] : new AggregateError(faults, 'no database host answers');
}

async function versionOf(knex: Knex): Promise<string> {
  const [[row]] = await knex.raw<readonly [readonly [{ version: string }]]>(
    'SELECT VERSION() AS version',
  );
  return row.version;
}
