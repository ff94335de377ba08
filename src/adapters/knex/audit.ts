import type { Knex } from 'knex';
import type { AuditLog, AuditRecord } from '../../application/index.ts';
import type { TableDefinition } from './connection/dialect.ts';
import { dialectOf } from './connection/dialects.ts';
import { reading, writing } from './connection/retry.ts';

export const AUDIT_TABLE = 'audit_events';
const MAX_ADDRESS_LENGTH = 100;

/** The audit log in a table that no migration makes: only a service that keeps a log has it. */
export class KnexAudit implements AuditLog {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** Any number of processes can make it at once, and again. */
  async makeTable(): Promise<void> {
    await dialectOf(this.#knex).createTable(this.#knex, TABLE);
  }

  hasTable(): Promise<boolean> {
    return this.#knex.schema.hasTable(AUDIT_TABLE);
  }

  async append(records: readonly AuditRecord[]): Promise<void> {
    if (records.length === 0) return;
    const rows = records.map(rowOf);
    const insert = () =>
      this.#knex.transaction(async (transaction) => {
        // In powers of two: MySQL keeps a prepared statement for each number of rows.
        for (let begin = 0; begin < rows.length; ) {
          const size = 2 ** Math.floor(Math.log2(rows.length - begin));
          const some = rows.slice(begin, begin + size);
          // A retry does not store again what an attempt stored whose answer was lost.
          await transaction(AUDIT_TABLE).insert(some).onConflict('id').ignore();
          begin += size;
        }
      });
    await writing(this.#knex, insert, { found: null });
  }

  async prune(before: Date, limit: number): Promise<number> {
    const old = () => this.#knex(AUDIT_TABLE).where('date_created', '<', before.toISOString());
    const last = await reading(this.#knex, async () =>
      old()
        .orderBy('date_created')
        .offset(limit - 1)
        .first<{ readonly date_created: string } | undefined>('date_created'),
    );
    const remove = async () =>
      last === undefined
        ? old().delete()
        : this.#knex(AUDIT_TABLE).where('date_created', '<=', last.date_created).delete();
    return writing(this.#knex, remove, { found: null });
  }
}

function rowOf(record: AuditRecord): Readonly<Record<string, string | number | null>> {
  const { id, date, event, outcome, reason, userId, account, sessionId, address } = record;
  return {
    id,
    date_created: date.toISOString(),
    event,
    outcome,
    reason,
    user_id: userId,
    account,
    session_id: sessionId,
    address: address === null ? null : address.slice(0, MAX_ADDRESS_LENGTH),
  };
}

const TABLE: TableDefinition = {
  name: AUDIT_TABLE,
  columns: [
    'id VARCHAR(36) NOT NULL PRIMARY KEY',
    'date_created CHAR(24) NOT NULL',
    'event VARCHAR(40) NOT NULL',
    'outcome VARCHAR(10) NOT NULL',
    'reason VARCHAR(40) NULL',
    'user_id BIGINT NULL', // No foreign key: records outlive the user.
    'account CHAR(64) NULL',
    'session_id VARCHAR(64) NULL',
    `address VARCHAR(${MAX_ADDRESS_LENGTH}) NULL`,
  ],
  indexes: Object.fromEntries(
    ['date_created', 'user_id', 'account'].map((column) => [`${AUDIT_TABLE}_${column}`, column]),
  ),
  charset: 'utf8mb4',
};
