import type { Knex } from 'knex';
import { checkOptions } from '../../domain/options.ts';
import { dialectOf } from './connection/dialects.ts';

/** The tables, by what is in them. */
export interface TableNames {
  readonly users: string;
  readonly sessions: string;
  readonly attempts: string;
}

/** Where in a database the tables are. */
export interface KnexOptions {
  /**
   * Other names for them: at most 40 letters, digits and `_`, all different. Default: `users`,
   * `sessions`, `attempts`. Indexes and the record of migrations are named after them, so that
   * several sets of tables can live in one database.
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
 * The names to use: those given, and defaults for the others.
 * @throws RangeError for a name or a knex that cannot be used
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

/** The table that records which migrations have been made. */
export function notesOf({ users }: Pick<TableNames, 'users'>): string {
  return `${users}_migrations`;
}

/** Other tables and indexes, named after the tables; on SQLite all of these share one namespace. */
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

function checkKnex(knex: HasConfig): void {
  dialectOf(knex);
  const { wrapIdentifier, postProcessResponse } = knex.client.config;
  if (wrapIdentifier || postProcessResponse) {
    throw new RangeError(
      'a knex with wrapIdentifier or postProcessResponse renames columns: make one without them',
    );
  }
}

/** What knex knows of its client, and does not say in its types. */
interface HasConfig {
  readonly client: {
    readonly driverName: string;
    readonly config: { readonly wrapIdentifier?: unknown; readonly postProcessResponse?: unknown };
  };
}
