import type { Knex } from 'knex';
import { dialectOf } from './dialects.ts';

/** Whether values go to the database apart from the SQL text, so that none can be read as SQL. */
export function sendsValuesApart(knex: Knex): boolean {
  const client: unknown = knex.client;
  return dialectOf(knex).sendsValuesApart(client);
}

/**
 * Checks a connection of a host's pool, whose settings are not ours to change.
 * @throws Error if a value could be read as SQL, or change, on its way to the database or back, or
 * if statements are not committed at once
 */
export async function refuseUnsafeValues(knex: Knex): Promise<void> {
  if (!sendsValuesApart(knex)) await dialectOf(knex).refuseUnsafeSettings(knex);
}

/** Resolves once values are known to be safe. Asks the database once, or until it answers. */
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

/** The same part, whose methods begin by waiting for `mayGoOn`. */
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
