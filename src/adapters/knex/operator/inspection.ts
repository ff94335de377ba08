import type { Knex } from 'knex';
import { isRole } from '../../../domain/user.ts';
import { AUDIT_TABLE } from '../audit.ts';
import { pendingSteps } from '../migrate.ts';
import { isSqlite } from '../tables.ts';

/** What there is to know of a live database before it is trusted; nothing in it is changed. */
export interface DatabaseFacts {
  /** Steps of the schema that have not been made yet; the service makes them at its start. */
  readonly pendingSteps: readonly string[];
  /** Whether there is a table of users: without it, what is said of it means nothing. */
  readonly hasUsers: boolean;
  /** Whether the store itself lets each email in only once. */
  readonly hasUniqueEmail: boolean;
  /** Whether emails are compared by their bytes. */
  readonly comparesBytes: boolean;
  /** Seconds by which the database's clock is ahead of this one's. */
  readonly clockAhead: number;
  /** Whether what is committed survives a crash of the database. */
  readonly isDurable: boolean;
  /** The cipher of the connection; undefined where it is plain, or no connection at all. */
  readonly cipher: string | undefined;
  readonly hashes: HashFacts;
  /** Undefined where users have no roles yet. */
  readonly roles: RoleFacts | undefined;
  /** Undefined where there is no table of audit records. */
  readonly audit: AuditFacts | undefined;
}

export interface RoleFacts {
  /** Administrators who are not disabled. */
  readonly admins: number;
  /** Users of a role that is none. */
  readonly unknown: number;
}

export interface AuditFacts {
  readonly isEmpty: boolean;
  /** Records that should be gone, 10,000 at most. */
  readonly past: number;
}

/** Of up to 10,000 stored hashes that are not as the hasher makes them today. */
export interface HashFacts {
  /** Whether there are no more of them than were looked at. */
  readonly areAll: boolean;
  /** How many no password can be checked against. */
  readonly unreadable: number;
  /** How many are of another kind than argon2. */
  readonly legacy: number;
  /** The beginnings of the others, with their parameters. */
  readonly others: readonly string[];
}

const NO_HASHES: HashFacts = { areAll: true, unreadable: 0, legacy: 0, others: [] };

/** What is looked for. */
export interface Inspection {
  /** What hashes of today's parameters begin with, as in `$argon2id$v=19$m=19456,t=2,p=1$`. */
  readonly prefix: string;
  /** Whether a hash can be read at all. */
  readonly reads: (passwordHash: string) => boolean;
  /** Audit records that are older should be gone. */
  readonly auditBefore: Date;
}

/** Looks at the database. */
export async function inspectDatabase(
  knex: Knex,
  { prefix, reads, auditBefore }: Inspection,
): Promise<DatabaseFacts> {
  const pending = await pendingSteps(knex);
  const hasUsers = await knex.schema.hasTable('users');
  const facts = await (isSqlite(knex) ? inspectSqlite(knex) : inspectMysql(knex));
  const hashes = hasUsers ? await inspectHashes(knex, prefix, reads) : NO_HASHES;
  const roles = hasUsers ? await inspectRoles(knex) : undefined;
  const audit = await inspectAudit(knex, auditBefore);
  return { ...facts, pendingSteps: pending, hasUsers, hashes, roles, audit };
}

type EngineFacts = Omit<DatabaseFacts, 'pendingSteps' | 'hasUsers' | 'hashes' | 'roles' | 'audit'>;

async function inspectSqlite(knex: Knex): Promise<EngineFacts> {
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
    clockAhead: 0,
    isDurable: true, // Every connection of the service sees to it.
    cipher: undefined,
  };
}

async function inspectMysql(knex: Knex): Promise<EngineFacts> {
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
    clockAhead: await clockAhead(knex, () => new Date()),
    isDurable: (await variable('VARIABLES', 'innodb_flush_log_at_trx_commit')) === '1',
    cipher: (await variable('STATUS', 'Ssl_cipher')) || undefined,
  };
}

/** Seconds by which the database's clock is ahead of this one. A file has none. */
export async function clockAhead(knex: Knex, now: () => Date): Promise<number> {
  if (isSqlite(knex)) return 0;
  const sent = now().getTime();
  const [[time]] = await knex.raw<readonly [readonly { readonly seconds: string }[]]>(
    'SELECT UNIX_TIMESTAMP(NOW(6)) AS seconds',
  );
  return Number(time?.seconds) - (sent + now().getTime()) / 2000;
}

/** Kinds of hashes, at most: each is one more condition on every row after the first of its kind. */
const MOST_KINDS = 32;

/**
 * A stored hash of each kind that does not begin with `today`, 32 at most, in the order of their users. One look at
 * every row in all: each search goes on where the one before has found something.
 */
export async function otherHashes(knex: Knex, today: string): Promise<readonly string[]> {
  const found: string[] = [];
  const known = [today];
  for (let after = 0; found.length < MOST_KINDS; ) {
    const next = knex('users').where('id', '>', after).orderBy('id');
    for (const begin of known) void next.whereNot('password_hash', 'like', `${begin}%`);
    const row = await next.first<
      { readonly id: number; readonly password_hash: string } | undefined
    >('id', 'password_hash');
    if (row === undefined) break;
    found.push(row.password_hash);
    known.push(untilSalt(row.password_hash));
    after = row.id;
  }
  return found;
}

/** What a hash says of its kind and cost: all but salt and key, which come last, but for bcrypt and Django's scrypt. */
function untilSalt(hash: string): string {
  const parts = hash.split('$');
  if (parts.length < 3) return hash;
  return /^(?:\$2\w\$\d+|scrypt\$\d+)\$/.exec(hash)?.[0] ?? `${parts.slice(0, -2).join('$')}$`;
}

/** Looked at for what they are, at most. */
const MOST_HASHES = 10_000;

async function inspectHashes(
  knex: Knex,
  prefix: string,
  reads: (passwordHash: string) => boolean,
): Promise<HashFacts> {
  // Of the usual length: 16 bytes of salt, 32 of hash.
  const today = `${prefix}${'_'.repeat(22)}$${'_'.repeat(43)}`;
  const hashes = await knex<{ password_hash: string }>('users')
    .whereNot('password_hash', 'like', today)
    .limit(MOST_HASHES, { skipBinding: true })
    .pluck('password_hash');
  const areAll = hashes.length < MOST_HASHES;
  const readable = hashes.filter(reads);
  const ofArgon2 = readable.filter((hash) => hash.startsWith('$argon2'));
  // What makes a hash a hash does not leave this function.
  const others = ofArgon2.map((hash) => hash.split('$', 4).join('$'));
  const legacy = readable.length - ofArgon2.length;
  return { areAll, unreadable: hashes.length - readable.length, legacy, others };
}

async function inspectRoles(knex: Knex): Promise<RoleFacts | undefined> {
  if (!(await knex.schema.hasColumn('users', 'role'))) return undefined;
  // By its bytes, whatever the column's collation: `Admin` is no role.
  const groups = await knex('users')
    .select<
      readonly { readonly role: string; readonly disabled: number; readonly count: number }[]
    >('disabled', knex.raw('HEX(role) AS role'), knex.raw('COUNT(*) AS count'))
    .groupByRaw('HEX(role), disabled');
  let [admins, unknown] = [0, 0];
  for (const { role: hex, disabled, count } of groups) {
    const role = Buffer.from(hex, 'hex').toString();
    if (!isRole(role)) unknown += count;
    else if (role === 'admin' && !disabled) admins += count;
  }
  return { admins, unknown };
}

async function inspectAudit(knex: Knex, before: Date): Promise<AuditFacts | undefined> {
  if (!(await knex.schema.hasTable(AUDIT_TABLE))) return undefined;
  const one = await knex(AUDIT_TABLE).first<object | undefined>('id');
  const past = await knex(AUDIT_TABLE)
    .where('date_created', '<', before.toISOString())
    .limit(10_000, { skipBinding: true })
    .pluck<string[]>('id');
  return { isEmpty: one === undefined, past: past.length };
}
