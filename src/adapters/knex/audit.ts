import type { Knex } from 'knex';
import type { AuditLog, AuditRecord } from '../../application/index.ts';
import { reading, writing } from './connection/retry.ts';
import { isSqlite } from './tables.ts';

/** Where audit records are. */
export const AUDIT_TABLE = 'audit_events';
const MAX_ADDRESS = 100;

/** The table of audit records. It is made apart from the others: who keeps no records has no such table. */
export class KnexAudit implements AuditLog {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** Any number of processes can do so at once, and again. */
  async makeTable(): Promise<void> {
    for (const statement of isSqlite(this.#knex) ? SQLITE : MYSQL) await this.#knex.raw(statement);
  }

  hasTable(): Promise<boolean> {
    return this.#knex.schema.hasTable(AUDIT_TABLE);
  }

  async append(records: readonly AuditRecord[]): Promise<void> {
    if (records.length === 0) return;
    const rows = records.map(rowOf);
    const insert = () =>
      this.#knex.transaction(async (transaction) => {
        // By powers of two: each number of rows is a statement of its own, which MySQL keeps.
        for (let begin = 0; begin < rows.length; ) {
          const size = 2 ** Math.floor(Math.log2(rows.length - begin));
          const some = rows.slice(begin, begin + size);
          // Where they were stored although the answer was lost, they are not stored twice.
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
    address: address === null ? null : address.slice(0, MAX_ADDRESS),
  };
}

// No key leads to the user: what was done is on record when they are gone.
const COLUMNS = `
  id VARCHAR(36) NOT NULL PRIMARY KEY,
  date_created CHAR(24) NOT NULL,
  event VARCHAR(40) NOT NULL,
  outcome VARCHAR(10) NOT NULL,
  reason VARCHAR(40) NULL,
  user_id BIGINT NULL,
  account CHAR(64) NULL,
  session_id VARCHAR(64) NULL,
  address VARCHAR(${MAX_ADDRESS}) NULL`;

const SQLITE = [
  `CREATE TABLE IF NOT EXISTS ${AUDIT_TABLE} (${COLUMNS})`,
  `CREATE INDEX IF NOT EXISTS ${AUDIT_TABLE}_date_created ON ${AUDIT_TABLE} (date_created)`,
  `CREATE INDEX IF NOT EXISTS ${AUDIT_TABLE}_user_id ON ${AUDIT_TABLE} (user_id)`,
  `CREATE INDEX IF NOT EXISTS ${AUDIT_TABLE}_account ON ${AUDIT_TABLE} (account)`,
];

const MYSQL = [
  `CREATE TABLE IF NOT EXISTS ${AUDIT_TABLE} (${COLUMNS},
    INDEX ${AUDIT_TABLE}_date_created (date_created),
    INDEX ${AUDIT_TABLE}_user_id (user_id),
    INDEX ${AUDIT_TABLE}_account (account)
  ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4`,
];
