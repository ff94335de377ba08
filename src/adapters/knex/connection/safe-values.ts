import type { Knex } from 'knex';
import { sendsValuesApart } from '../tables.ts';

// A stock mysql2 writes values into the text of its queries, with `\` before what could end them. A
// server that takes a backslash for what it is, or a charset into which a letter becomes a quote (`ħ`
// in latin1), lets whoever registers write SQL. Told by what becomes of a backslash and such a letter.
const SENT = '\\Ł';
const RECEIVED = Buffer.from(SENT).toString('hex').toUpperCase();

interface Receipt {
  readonly received: string;
  readonly returned: string;
  readonly charset: string;
  readonly autocommit: number | string;
}

/**
 * Looks at a connection of somebody else's pool, whose settings are not ours to change.
 * @throws Error if a value could be read as SQL on the way to the database, or change on the way there or
 * back, or if nothing is committed unless somebody asks for it
 */
export async function refuseUnsafeValues(knex: Knex): Promise<void> {
  if (sendsValuesApart(knex)) return;
  const [[receipt]] = await knex.raw<readonly [readonly [Receipt]]>(
    `SELECT HEX(?) AS received, ? AS returned, @@character_set_client AS charset,
      @@autocommit AS autocommit`,
    [SENT, SENT],
  );
  const { received, returned, charset, autocommit } = receipt;
  if (received !== RECEIVED || returned !== SENT || charset !== 'utf8mb4') {
    throw new Error(
      "the knex's connections change texts, or could let one be read as SQL: they need the charset" +
        ' utf8mb4, and a sql_mode without NO_BACKSLASH_ESCAPES',
    );
  }
  if (Number(autocommit) !== 1) {
    throw new Error(
      "the knex's connections commit nothing by themselves: set autocommit = 1 in pool.afterCreate",
    );
  }
}

/** Resolves once no value is unsafe. The database is asked once, and again where it did not answer. */
export function safeValues(knex: Knex): () => Promise<void> {
  let safe: Promise<void> | undefined;
  return async () => {
    safe ??= refuseUnsafeValues(knex);
    await safe.catch((error: unknown) => {
      safe = undefined;
      throw error;
    });
  };
}

/** The same part, each method of which waits until it may go on. */
export function guarded<Part extends object>(part: Part, mayGoOn: () => Promise<void>): Part {
  return new Proxy(part, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      return async (...args: readonly unknown[]): Promise<unknown> => {
        await mayGoOn();
        return Reflect.apply(method, target, args) as unknown;
      };
    },
  });
}
