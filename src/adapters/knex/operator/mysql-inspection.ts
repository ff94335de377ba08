import type { Knex } from 'knex';
import type { EngineFacts } from './engine.ts';

export async function inspectMysql(knex: Knex): Promise<EngineFacts> {
  const ask = async <Row>(sql: string): Promise<Row | undefined> => {
    const [rows] = await knex.raw<readonly [readonly Row[]]>(sql);
    return rows[0];
  };
  const variable = async (kind: 'STATUS' | 'VARIABLES', name: string) =>
    (await ask<{ Value: string }>(`SHOW SESSION ${kind} LIKE '${name}'`))?.Value;
  const key = await ask(
    `SELECT index_name FROM information_schema.statistics
      WHERE table_schema = DATABASE() AND table_name = 'users' AND non_unique = 0
      GROUP BY index_name HAVING GROUP_CONCAT(column_name) = 'email' AND COUNT(sub_part) = 0`,
  );
  const column = await ask<{ collation: string }>(
    `SELECT collation_name AS collation FROM information_schema.columns
      WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'email'`,
  );
  return {
    hasUniqueEmail: key !== undefined,
    comparesBytes: /^utf8mb4_(?:nopad_bin|0900_bin)$/.test(column?.collation ?? ''),
    isDurable: (await variable('VARIABLES', 'innodb_flush_log_at_trx_commit')) === '1',
    cipher: (await variable('STATUS', 'Ssl_cipher')) || undefined,
  };
}
