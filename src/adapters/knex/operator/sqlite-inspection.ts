import type { Knex } from 'knex';
import type { EngineFacts } from './engine.ts';

export async function inspectSqlite(knex: Knex): Promise<EngineFacts> {
  const unique = await knex.raw<readonly object[]>(
    `SELECT 1 FROM pragma_index_list('users') list
      WHERE list."unique" = 1 AND list.partial = 0
        AND (SELECT group_concat(name) FROM pragma_index_info(list.name)) = 'email'`,
  );
  const [table] = await knex('sqlite_master')
    .where({ name: 'users' })
    .select<{ sql: string }[]>('sql');
  return {
    hasUniqueEmail: unique.length > 0,
    comparesBytes: !/collate/i.test(table?.sql ?? ''),
    isDurable: true, // Every connection of the service sets `synchronous = FULL`.
    cipher: undefined,
  };
}
