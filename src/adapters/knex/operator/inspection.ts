import type { Knex } from 'knex';
import { isRole } from '../../../domain/user.ts';
import { AUDIT_TABLE } from '../audit.ts';
import { dialectOf, rowsOf } from '../connection/dialects.ts';
import { pendingSteps } from '../migrate.ts';
import type { EngineFacts } from './engine.ts';
import { engineOf } from './engines.ts';

/** The facts about a live database on which it can be trusted. */
export interface DatabaseFacts extends EngineFacts {
  /** Migrations that have not been made yet; the service makes them when it starts. */
  readonly pendingSteps: readonly string[];
  /** Whether there is a table of users: without it, the facts about users mean nothing. */
  readonly hasUsers: boolean;
  /** Seconds by which the database's clock is ahead of this one's. */
  readonly clockAhead: number;
  readonly hashes: HashFacts;
  /** Undefined if users have no roles yet. */
  readonly roles: RoleFacts | undefined;
  /** Undefined if there is no table of audit records. */
  readonly audit: AuditFacts | undefined;
}

export interface RoleFacts {
  /** Administrators who are not disabled. */
  readonly admins: number;
  /** Users whose role is unknown. */
  readonly unknown: number;
}

export interface AuditFacts {
  readonly isEmpty: boolean;
  /** Records older than they should be kept, counted up to 10,000. */
  readonly past: number;
}

/** About up to 10,000 stored hashes that do not have today's parameters. */
export interface HashFacts {
  /** Whether all of them were inspected. */
  readonly areAll: boolean;
  /** How many the hasher cannot read. */
  readonly unreadable: number;
  /** How many are not argon2. */
  readonly legacy: number;
  /** The others, up to their parameters. */
  readonly others: readonly string[];
}

const NO_HASHES: HashFacts = { areAll: true, unreadable: 0, legacy: 0, others: [] };

/** What an inspection compares with. */
export interface Inspection {
  /** The beginning of a hash with today's parameters: `$argon2id$v=19$m=19456,t=2,p=1$`. */
  readonly prefix: string;
  /** Whether the hasher can read a hash. */
  readonly reads: (passwordHash: string) => boolean;
  /** Audit records are kept from this date on. */
  readonly auditBefore: Date;
}

/** Reads the facts about a database, and changes nothing in it. */
export async function inspectDatabase(
  knex: Knex,
  { prefix, reads, auditBefore }: Inspection,
): Promise<DatabaseFacts> {
  const pending = await pendingSteps(knex);
  const hasUsers = await knex.schema.hasTable('users');
  const facts = await engineOf(dialectOf(knex).kind).inspect(knex);
  const ahead = await clockAhead(knex, () => new Date());
  const hashes = hasUsers ? await inspectHashes(knex, prefix, reads) : NO_HASHES;
  const roles = hasUsers ? await inspectRoles(knex) : undefined;
  const audit = await inspectAudit(knex, auditBefore);
  return { ...facts, pendingSteps: pending, hasUsers, clockAhead: ahead, hashes, roles, audit };
}

/** Seconds by which the database's clock is ahead of this one's; 0 for a file. */
export async function clockAhead(knex: Knex, now: () => Date): Promise<number> {
  const { clockQuery } = dialectOf(knex);
  if (clockQuery === undefined) return 0;
  const sentMs = now().getTime();
  const [row] = rowsOf(knex, await knex.raw<unknown>(clockQuery));
  const seconds = Number(Reflect.get(Object(row), 'seconds'));
  return seconds - (sentMs + now().getTime()) / 2000;
}

/** Each kind of hash is one more condition on every row after the first of its kind. */
const MAX_HASH_KINDS = 32;

/**
 * One stored hash of each kind that does not begin with `today`, 32 at most, by ascending user id.
 * Reads each row once: every search continues after the row that the previous one found.
 */
export async function otherHashes(knex: Knex, today: string): Promise<readonly string[]> {
  const found: string[] = [];
  const known = [today];
  for (let after = 0; found.length < MAX_HASH_KINDS; ) {
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

/** A hash without salt and key, which come last except in bcrypt and Django's scrypt. */
function untilSalt(hash: string): string {
  const parts = hash.split('$');
  if (parts.length < 3) return hash;
  return /^(?:\$2\w\$\d+|scrypt\$\d+)\$/.exec(hash)?.[0] ?? `${parts.slice(0, -2).join('$')}$`;
}

/** Hashes that an inspection reads. */
const MAX_HASHES = 10_000;

async function inspectHashes(
  knex: Knex,
  prefix: string,
  reads: (passwordHash: string) => boolean,
): Promise<HashFacts> {
  // Base64 of 16 bytes of salt and 32 bytes of hash.
  const today = `${prefix}${'_'.repeat(22)}$${'_'.repeat(43)}`;
  const hashes = await knex<{ password_hash: string }>('users')
    .whereNot('password_hash', 'like', today)
    .limit(MAX_HASHES, { skipBinding: true })
    .pluck('password_hash');
  const areAll = hashes.length < MAX_HASHES;
  const readable = hashes.filter(reads);
  const ofArgon2 = readable.filter((hash) => hash.startsWith('$argon2'));
  // Salts and keys do not leave this function.
  const others = ofArgon2.map((hash) => hash.split('$', 4).join('$'));
  const legacy = readable.length - ofArgon2.length;
  return { areAll, unreadable: hashes.length - readable.length, legacy, others };
}

async function inspectRoles(knex: Knex): Promise<RoleFacts | undefined> {
  if (!(await knex.schema.hasColumn('users', 'role'))) return undefined;
  // By bytes, whatever the column's collation: `Admin` is not a role.
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
