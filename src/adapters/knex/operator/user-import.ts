import type { Knex } from 'knex';
import type { NewAccount } from '../../../application/index.ts';
import { toNumber } from '../columns.ts';
import type { TableDefinition } from '../connection/dialect.ts';
import { dialectOf } from '../connection/dialects.ts';
import { isUniqueViolation } from '../connection/faults.ts';
import { writing } from '../connection/retry.ts';
import { placeholders } from '../connection/run.ts';
import { DEFAULT_TABLES } from '../tables.ts';
import { toRow } from '../user-row.ts';

/** A line of a file: its account, or the reason why it has none. */
export interface ImportedLine {
  readonly line: number;
  readonly account: (Omit<NewAccount, 'dateCreated'> & { readonly dateCreated?: Date }) | string;
}

/** The progress of an import, as stored in the database. */
export interface ImportProgress {
  /** The last line that was processed. */
  readonly line: number;
  readonly imported: number;
  readonly refused: number;
  readonly dateBegun: string;
  /** Null while there are lines left. */
  readonly dateDone: string | null;
}

/** A line without an account. The reason contains nothing of the line. */
export interface RefusedLine {
  readonly line: number;
  readonly reason: string;
}

/** Another process is importing the same file. */
export class ImportTaken extends Error {
  override readonly name = 'ImportTaken';
}

const IMPORTS = `${DEFAULT_TABLES.users}_imports`;
const REFUSALS = `${DEFAULT_TABLES.users}_import_refusals`;

/** Long, because the service may hold the lock, or the database be away for a moment. */
const RETRY_FOR_MS = 60_000;

/**
 * Imports the users of a file. Each batch of lines is stored in one transaction with the progress:
 * if a process dies, the next one continues at the same line.
 */
export class UserImport {
  readonly #knex: Knex;
  readonly #id: string;
  #progress: ImportProgress;

  private constructor(knex: Knex, id: string, progress: ImportProgress) {
    this.#knex = knex;
    this.#id = id;
    this.#progress = progress;
  }

  /**
   * `id`: identifies the file, such as a hash of its content. `again`: starts over. The tables for
   * the progress are made here and not by a migration, since few databases need them.
   */
  static async open(knex: Knex, id: string, again: boolean): Promise<UserImport> {
    for (const table of TABLES) {
      await write(knex, () => dialectOf(knex).createTable(knex, table));
    }
    if (again) {
      const forget = (trx: Knex) =>
        Promise.all([
          trx(REFUSALS).where({ import_id: id }).delete(),
          trx(IMPORTS).where({ id }).delete(),
        ]);
      await write(knex, () => knex.transaction(forget));
    }
    const row = { id, line: 0, imported: 0, refused: 0, date_begun: new Date().toISOString() };
    await write(knex, async () => knex(IMPORTS).insert(row).onConflict('id').ignore());
    const progress = await readProgress(knex, id);
    if (progress === undefined) throw new Error('the progress of the import is gone');
    return new UserImport(knex, id, progress);
  }

  get progress(): ImportProgress {
    return this.#progress;
  }

  /**
   * Stores the accounts of these lines, which follow the last one that was processed, and records
   * the others. An email that is taken is refused alone.
   * @throws ImportTaken
   */
  async add(lines: readonly ImportedLine[]): Promise<void> {
    const last = lines.at(-1)?.line ?? this.#progress.line;
    const before = this.#progress;
    const store = async (trx: Knex): Promise<ImportProgress> => {
      // First, so that another process with the same file waits here, and then finds the line
      // moved.
      const mine = trx(IMPORTS).where({ id: this.#id, line: before.line, date_done: null });
      if ((await mine.update({ line: last })) === 0) {
        throw new ImportTaken('another process imports this file');
      }
      const refusals = await storeLines(trx, lines);
      const rows = refusals.map(({ line, reason }) => ({ import_id: this.#id, line, reason }));
      for (const some of inPowersOfTwo(rows)) await insertRows(trx, REFUSALS, some);
      const counts = {
        imported: before.imported + lines.length - refusals.length,
        refused: before.refused + refusals.length,
      };
      await trx(IMPORTS).where({ id: this.#id }).update(counts);
      return { ...before, ...counts, line: last };
    };
    this.#progress = await writing(this.#knex, () => this.#knex.transaction(store), {
      found: () => this.#noted((noted) => noted.line === last),
      retryForMs: RETRY_FOR_MS,
    });
  }

  /** Records that no line is left. */
  async finish(): Promise<void> {
    const dateDone = new Date().toISOString();
    const done = { date_done: dateDone };
    await write(this.#knex, async () => this.#knex(IMPORTS).where({ id: this.#id }).update(done));
    this.#progress = { ...this.#progress, dateDone };
  }

  /** Every refused line, in the order of the file, in constant memory. */
  async *refusals(): AsyncGenerator<RefusedLine> {
    const limit = 1_000;
    for (let after = -1; ; ) {
      const page = await this.#knex(REFUSALS)
        .where({ import_id: this.#id })
        .where('line', '>', after)
        .orderBy('line')
        .limit(limit)
        .select<RefusedLine[]>('line', 'reason');
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < limit) return;
      after = last.line;
    }
  }

  async #noted(isIt: (noted: ImportProgress) => boolean): Promise<ImportProgress | undefined> {
    const noted = await readProgress(this.#knex, this.#id);
    return noted && isIt(noted) ? noted : undefined;
  }
}

const TABLES: readonly TableDefinition[] = [
  {
    name: IMPORTS,
    columns: [
      'id VARCHAR(64) NOT NULL PRIMARY KEY',
      'line INTEGER NOT NULL',
      'imported INTEGER NOT NULL',
      'refused INTEGER NOT NULL',
      'date_begun CHAR(24) NOT NULL',
      'date_done CHAR(24) NULL',
    ],
    charset: 'ascii',
  },
  {
    name: REFUSALS,
    columns: [
      'import_id VARCHAR(64) NOT NULL',
      'line INTEGER NOT NULL',
      'reason VARCHAR(255) NOT NULL',
      'PRIMARY KEY (import_id, line)',
    ],
    charset: 'ascii',
  },
];

function write<T>(knex: Knex, attempt: () => Promise<T>): Promise<T> {
  return writing(knex, attempt, { found: null, retryForMs: RETRY_FOR_MS });
}

async function readProgress(knex: Knex, id: string): Promise<ImportProgress | undefined> {
  const row = await knex(IMPORTS).where({ id }).first<Record<string, number | string | null>>();
  if (row === undefined) return undefined;
  const number = (name: string) => toNumber(row[name] ?? 0);
  return {
    line: number('line'),
    imported: number('imported'),
    refused: number('refused'),
    dateBegun: String(row['date_begun']),
    dateDone: row['date_done'] === null ? null : String(row['date_done']),
  };
}

/** Resolves to the lines whose account was not stored. */
async function storeLines(
  trx: Knex,
  lines: readonly ImportedLine[],
): Promise<readonly RefusedLine[]> {
  const now = new Date();
  const refusals: RefusedLine[] = [];
  const rows: NumberedRow[] = [];
  for (const { line, account } of lines) {
    if (typeof account === 'string') {
      refusals.push({ line, reason: account });
      continue;
    }
    rows.push({ line, row: toRow({ dateCreated: now, ...account }) });
  }
  for (const some of inPowersOfTwo(rows)) {
    for (const { line } of await insertNew(trx, some)) {
      refusals.push({ line, reason: 'Email already registered' });
    }
  }
  return refusals;
}

/** Values by column. All rows of one statement have the same columns, in the same order. */
type Row = Readonly<Record<string, string | number>>;

interface NumberedRow {
  readonly line: number;
  readonly row: Row;
}

/** Splits a list into a few sizes, so that a few prepared statements serve every number of rows. */
function* inPowersOfTwo<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; ) {
    const size = 2 ** Math.floor(Math.log2(all.length - from));
    yield all.slice(from, from + size);
    from += size;
  }
}

/**
 * Inserts rows, whose number is a power of two, in this order; resolves to those that the unique
 * key refuses. A refused statement is rolled back as a whole, so each half is tried again.
 */
async function insertNew(trx: Knex, rows: readonly NumberedRow[]): Promise<readonly NumberedRow[]> {
  try {
    await insertRows(
      trx,
      DEFAULT_TABLES.users,
      rows.map(({ row }) => row),
    );
    return [];
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    if (rows.length === 1) return rows;
    const half = rows.length / 2;
    return [
      ...(await insertNew(trx, rows.slice(0, half))),
      ...(await insertNew(trx, rows.slice(half))),
    ];
  }
}

async function insertRows(trx: Knex, table: string, rows: readonly Row[]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {});
  const row = `(${placeholders(columns.length)})`;
  await trx.raw(
    `INSERT INTO ${dialectOf(trx).quote(table)} (${columns.join(', ')})
      VALUES ${rows.map(() => row).join(', ')}`,
    rows.flatMap((values) => Object.values(values)),
  );
}
