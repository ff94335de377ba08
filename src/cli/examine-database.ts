import { isIP } from 'node:net';
import { readCost } from '../adapters/argon2/phc.ts';
import { type Config, isBelowOwaspFloor } from '../adapters/config/config.ts';
import type { DatabaseFacts } from '../adapters/knex/operator/inspection.ts';
import { type Finding, note, ok, unsafe } from './finding.ts';

/** Judges what was found in the database. */
export function examineDatabase(config: Config, facts: DatabaseFacts): Finding[] {
  const { store } = config;
  const findings: Finding[] = [];
  const { pendingSteps, hasUsers, clockAhead, cipher } = facts;
  findings.push(
    pendingSteps.length === 0
      ? ok('the tables are up to date')
      : note(
          `${pendingSteps.join(', ')} still to be made: at the next start, or by npx portcullis migrate`,
        ),
  );
  if (hasUsers) findings.push(...examineUsers(config, facts));
  findings.push(...examineRoles(config, facts), ...examineAudit(config, facts));
  if ('hosts' in store) {
    findings.push(
      Math.abs(clockAhead) <= MAX_CLOCK_SKEW
        ? ok(`the clocks here and of the database are ${Math.abs(clockAhead).toFixed(1)} s apart`)
        : unsafe(
            `the database's clock is ${clockAhead.toFixed(0)} s ahead of this one: tokens and limits` +
              ' need clocks that agree; set both by NTP',
          ),
      facts.isDurable
        ? ok('what the database commits survives its crash')
        : unsafe(
            'innodb_flush_log_at_trx_commit is not 1: a crash loses accounts that were acknowledged',
          ),
      ...examineConnection(store, cipher),
    );
  }
  return findings;
}

function examineUsers(config: Config, facts: DatabaseFacts): Finding[] {
  const { hasUniqueEmail, comparesBytes, hashes } = facts;
  return [
    hasUniqueEmail
      ? ok('each email can be stored once')
      : unsafe(
          'users.email has no unique key, and can be registered twice: remove duplicates, then' +
            ' CREATE UNIQUE INDEX users_email ON users (email)',
        ),
    comparesBytes
      ? ok('emails are compared by their bytes')
      : unsafe(
          'users.email has a collation under which different emails are equal: make it' +
            ' utf8mb4_nopad_bin (MariaDB), utf8mb4_0900_bin (MySQL) or BINARY (SQLite)',
        ),
    ...examineHashes(config, hashes),
  ];
}

function examineRoles({ usersAccess }: Config, { roles }: DatabaseFacts): Finding[] {
  const findings: Finding[] = [];
  if (roles && roles.unknown > 0) {
    findings.push(
      note(
        `${roles.unknown} users have a role that is none, and count as user:` +
          ' npx portcullis users set-role USER user, or admin',
      ),
    );
  }
  if (usersAccess !== 'admin') return findings;
  if (roles && roles.admins > 0) return [...findings, ok(`${roles.admins} users are admin`)];
  const nobody = note(
    'USERS_ACCESS=admin, and no user is admin: npx portcullis users set-role USER admin makes the' +
      ' first of them, users create EMAIL NAME --role admin a new one',
  );
  return [...findings, nobody];
}

function examineAudit({ audit: kept }: Config, { audit }: DatabaseFacts): Finding[] {
  if (audit === undefined) {
    return kept === 'table' ? [note('audit_events is still to be made: at the next start')] : [];
  }
  if (kept !== 'table') {
    if (audit.isEmpty) return [];
    return [
      note(
        'audit_events holds records of before, and AUDIT is not table: nothing removes them after' +
          ' AUDIT_RETENTION; AUDIT=table npx portcullis sessions prune does, or drop the table',
      ),
    ];
  }
  if (audit.past === 0) return [ok('no audit record is older than AUDIT_RETENTION')];
  const count = audit.past < 10_000 ? audit.past : '10000 or more';
  return [
    note(
      `${count} audit records are older than AUDIT_RETENTION: the service removes them every hour,` +
        ' npx portcullis sessions prune now',
    ),
  ];
}

/** In seconds: the leeway that tokens have. */
const MAX_CLOCK_SKEW = 5;

function examineConnection(
  { hosts, tls }: Extract<Config['store'], { hosts: unknown }>,
  cipher: string | undefined,
): Finding[] {
  if (hosts.every(({ host }) => isLoopback(host))) return [ok('the database is on this machine')];
  if (cipher === undefined) {
    return [
      unsafe(
        'the connection to the database is not encrypted: add ?ssl-mode=VERIFY_IDENTITY to DATABASE_URL',
      ),
    ];
  }
  return tls?.verify === 'identity'
    ? [ok(`the connection to the database is encrypted (${cipher})`)]
    : [
        unsafe(
          'whoever is in between can pretend to be the database: ssl-mode=VERIFY_IDENTITY in DATABASE_URL',
        ),
      ];
}

function examineHashes(
  { argon2 }: Config,
  { areAll, unreadable, legacy, others }: DatabaseFacts['hashes'],
): Finding[] {
  const findings: Finding[] = [];
  const number = (count: number) => (areAll ? `${count}` : `${count} or more`);
  if (unreadable > 0) {
    findings.push(
      unsafe(
        `${number(unreadable)} users have a password_hash that cannot be read: they cannot sign in`,
      ),
    );
  }
  if (legacy > 0) {
    findings.push(
      note(
        `${number(legacy)} users have the hash of another system: renewed when they next sign in`,
      ),
    );
  }
  const costs = others.flatMap((beginning) => readCost(`${beginning}$`) ?? []);
  const dear = costs.filter(
    ({ memoryKib, passes, isCurrent }) =>
      isCurrent && memoryKib >= argon2.memoryKib && passes >= argon2.passes,
  );
  if (dear.length > 0) {
    findings.push(
      note(
        `${number(dear.length)} users have a dearer hash than ARGON2_* make: it is kept, and every` +
          ' refused sign-in takes as long as it does',
      ),
    );
  }
  const weak = costs.filter((cost) => !cost.isCurrent || isBelowOwaspFloor(cost));
  if (weak.length > 0) {
    findings.push(
      note(
        `${number(weak.length)} users have a hash below OWASP's floor: renewed when they next sign in`,
      ),
    );
  }
  if (findings.length === 0) findings.push(ok("stored hashes are at or above OWASP's floor"));
  return findings;
}

/** Whether a host is this machine. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
