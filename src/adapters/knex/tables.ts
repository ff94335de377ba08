import type { Knex } from 'knex';
import { checkOptions } from '../../application/options.ts';

/** The tables, by what is in them. */
export interface TableNames {
  readonly users: string;
  readonly sessions: string;
  readonly attempts: string;
}

/** Where in a database the tables are. */
export interface KnexOptions {
  /**
   * Other names for them: at most 40 letters, digits and `_`, all different. `users`, `sessions` and
   * `attempts` unless given. What else is made in the database (indexes, the notes on which steps have
   * been made) is named after them, so that several sets can live in one database.
   */
  readonly tables?: Partial<TableNames>;
}

export const DEFAULT_TABLES: TableNames = {
  users: 'users',
  sessions: 'sessions',
  attempts: 'attempts',
};

const NAME = /^[a-z_]\w{0,39}$/i;

/**
 * The names in force, if they and the knex that they are for can be used.
 * @throws RangeError
 */
export function tablesOf(knex: Knex, options: KnexOptions): TableNames {
  checkKnex(knex);
  checkOptions(options, ['tables']);
  const { tables = {} } = options;
  const names = { ...DEFAULT_TABLES, ...withoutUndefined(tables) };
  for (const [what, name] of Object.entries(names)) {
    if (!Object.hasOwn(DEFAULT_TABLES, what)) throw new RangeError(`tables.${what}: no such table`);
    if (typeof name !== 'string' || !NAME.test(name)) {
      throw new RangeError(
        `tables.${what} must be at most 40 letters, digits and _, no digit first`,
      );
    }
  }
  const all = [...Object.values(names), ...derivedNames(names)];
  if (new Set(all.map((name) => name.toLowerCase())).size < all.length) {
    throw new RangeError(`tables must all have different names: there will be ${all.join(', ')}`);
  }
  return names;
}

/** Where it is noted which migrations have been made. */
export function notesOf({ users }: Pick<TableNames, 'users'>): string {
  return `${users}_migrations`;
}

/** What is made beside the tables, in the same room of names on SQLite. */
function derivedNames({ users, sessions, attempts }: TableNames): readonly string[] {
  const notes = notesOf({ users });
  return [
    notes,
    `${notes}_lock`,
    `${notes}_lease`,
    `${sessions}_user_id`,
    `${sessions}_expires`,
    `${attempts}_expires`,
  ];
}

function withoutUndefined(tables: Partial<TableNames>): Partial<TableNames> {
  return Object.fromEntries(Object.entries(tables).filter(([, name]) => name !== undefined));
}

const DRIVERS = ['mysql2', 'better-sqlite3'];

function checkKnex({ client: { driverName, config } }: HasClient): void {
  if (!DRIVERS.includes(driverName)) {
    throw new RangeError(`knex must have ${DRIVERS.join(' or ')} as its client, not ${driverName}`);
  }
  if (config.wrapIdentifier || config.postProcessResponse) {
    throw new RangeError(
      'a knex with wrapIdentifier or postProcessResponse renames columns: make one without them',
    );
  }
}

/** What knex knows of its client, of which it says nothing in its types. */
interface HasClient {
  readonly client: {
    readonly driverName: string;
    readonly config: { readonly wrapIdentifier?: unknown; readonly postProcessResponse?: unknown };
    /** Of our own client: its values never are part of a statement's text. */
    readonly preparesValues?: boolean;
  };
}

/** Whether values go to the database apart from the text of a statement, so that none can be read as SQL. */
export function sendsValuesApart({ client }: HasClient): boolean {
  return client.driverName === 'better-sqlite3' || client.preparesValues === true;
}

export function isSqlite({ client }: HasClient): boolean {
  return client.driverName === 'better-sqlite3';
}
