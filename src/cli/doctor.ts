import { existsSync, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { totalmem } from 'node:os';
import {
  type Config,
  ConfigError,
  isBelowOwaspFloor,
  readConfig,
} from '../adapters/config/config.ts';
import { Argon2Hasher } from '../adapters/argon2/argon2-hasher.ts';
import { hashPrefix, readCost } from '../adapters/argon2/phc.ts';
import { developmentSecretPath } from '../adapters/config/kept-secret.ts';
import { openForInspection } from '../adapters/knex/connection/open.ts';
import { type DatabaseFacts, inspectDatabase } from '../adapters/knex/operator/inspection.ts';
import { legacyHashes } from '../adapters/argon2/legacy-hashes.ts';
import { nameFault } from '../adapters/log/faults.ts';
import type { Report } from './terminal.ts';

/** Something that was looked at. What is unsafe, or may be, says how to mend it. */
interface Finding {
  readonly grade: 'ok' | 'note' | 'UNSAFE';
  readonly text: string;
}

const ok = (text: string): Finding => ({ grade: 'ok', text });
const note = (text: string): Finding => ({ grade: 'note', text });
const unsafe = (text: string): Finding => ({ grade: 'UNSAFE', text });

/** Looks at the settings and at the database behind them, and changes nothing. */
async function examine(env: NodeJS.ProcessEnv): Promise<readonly Finding[]> {
  let config: Config;
  try {
    config = readConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.map(unsafe);
  }
  return [
    ...examineProfile(config, env),
    ...examineSettings(config),
    ...examineFiles(config, env),
    ...(await examineStore(config)),
  ];
}

/** In development: what production would refuse. What has been chosen is judged, what is missing told. */
function examineProfile({ profile, warnings, notices }: Config, env: NodeJS.ProcessEnv): Finding[] {
  // The others are examined with what they are of.
  const told = notices.filter((notice) => notice.startsWith('JWT_')).map(note);
  if (profile === 'production') return [ok('NODE_ENV is production'), ...told];
  const findings = [note('NODE_ENV is not production: what is unsafe is taken, with a warning')];
  const faults: string[] = [];
  try {
    readConfig({ ...env, NODE_ENV: 'production' });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    faults.push(...error.faults);
  }
  for (const fault of faults) {
    const [name = ''] = fault.split(' ', 1);
    findings.push(env[name] ? unsafe(fault) : note(`${fault}: production does not start`));
  }
  const others = warnings.filter((warning) => !faults.includes(warning));
  return [...findings, ...told, ...others.map(note)];
}

function examineSettings(config: Config): Finding[] {
  const { argon2, host, profile, rateLimit, trustProxy, usersAccess } = config;
  const findings: Finding[] = [];
  const hashes = `argon2id with ${argon2.memoryKib} KiB, ${argon2.passes} passes`;
  findings.push(
    isBelowOwaspFloor(argon2)
      ? unsafe(`${hashes}: below OWASP's floor; unset ARGON2_MEMORY_KIB and ARGON2_PASSES`)
      : ok(hashes),
  );
  const memory = argon2.concurrency * argon2.memoryKib * 1024;
  if (memory > totalmem() / 2) {
    findings.push(note('HASH_CONCURRENCY hashes at once take more than half of the memory here'));
  }
  findings.push(
    rateLimit
      ? ok('attempts at passwords are limited')
      : unsafe('RATE_LIMIT=off: anybody may guess passwords without a limit; unset it'),
  );
  if (usersAccess === 'authenticated') {
    findings.push(
      note(
        'every user can read the name and email of every other at GET /users: USERS_ACCESS=admin ends that',
      ),
    );
  }
  if (usersAccess === 'public' && profile === 'production') {
    findings.push(unsafe('USERS_ACCESS=public: GET /users shows every name and email; unset it'));
  }
  if (trustProxy === 0) {
    findings.push(
      isLoopback(host)
        ? note('TRUST_PROXY is not set: if a proxy is in front, all clients count as one; name it')
        : ok('X-Forwarded-For is believed of nobody'),
    );
  } else if (typeof trustProxy === 'number' && !isLoopback(host)) {
    findings.push(
      note(
        `TRUST_PROXY=${trustProxy} believes whoever reaches ${host}: let only the proxy reach it,` +
          ' or name the proxy by its address',
      ),
    );
  } else if (typeof trustProxy === 'number') {
    findings.push(
      note(
        `TRUST_PROXY=${trustProxy} must be exactly the number of proxies in front: one more, and clients` +
          ' choose their address; to name the proxies is safer',
      ),
    );
  } else {
    findings.push(ok(`X-Forwarded-For is believed of ${trustProxy.join(', ')}`));
  }
  return findings;
}

/** Files that hold secrets are their owner's alone. */
function examineFiles({ store, jwtKey }: Config, env: NodeJS.ProcessEnv): Finding[] {
  const files: string[] = [];
  if ('path' in store) files.push(store.path);
  files.push(...(env['JWT_PREVIOUS_KEY_FILES'] ?? '').split(',').filter(holdsPrivateKey));
  if (env['JWT_PRIVATE_KEY_FILE']) files.push(env['JWT_PRIVATE_KEY_FILE']);
  else if (jwtKey === undefined && store.kind !== 'memory')
    files.push(developmentSecretPath(store));
  return files.filter(existsSync).map((file) => {
    const others = (statSync(file).mode & 0o007) !== 0;
    return others
      ? unsafe(`${file} can be read by every user of this machine: chmod 600 ${file}`)
      : ok(`${file} is not everybody's to read`);
  });
}

function holdsPrivateKey(path: string): boolean {
  return existsSync(path) && readFileSync(path, 'utf8').includes('PRIVATE KEY-----');
}

async function examineStore(config: Config): Promise<Finding[]> {
  const { store } = config;
  if (store.kind === 'memory') return [note('memory: every user is lost at a restart')];
  if ('path' in store && !existsSync(store.path)) {
    return [note(`${store.path} is not there yet: the first start makes it`)];
  }
  const knex = openForInspection(store);
  try {
    const prefix = hashPrefix(config.argon2);
    const hasher = new Argon2Hasher({ ...config.argon2, legacyHashes: legacyHashes() });
    const reads = (hash: string) => hasher.reads(hash);
    const auditBefore = new Date(Date.now() - (config.auditRetention + PRUNED_WITHIN) * 1000);
    return examineDatabase(config, await inspectDatabase(knex, { prefix, reads, auditBefore }));
  } catch (fault) {
    return [unsafe(`DATABASE_URL cannot be used: ${nameFault(fault)}`)];
  } finally {
    await knex.destroy();
  }
}

/** Seconds: the service does so every hour. */
const PRUNED_WITHIN = 2 * 60 * 60;

function examineDatabase(config: Config, facts: DatabaseFacts): Finding[] {
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
      Math.abs(clockAhead) <= CLOCKS_APART
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

/** Seconds: the leeway that tokens have. */
const CLOCKS_APART = 5;

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

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/** Says what is unsafe in the settings and the live database, and changes nothing. */
export async function examineAll(env: NodeJS.ProcessEnv): Promise<Report> {
  const findings = await examine(env);
  const count = (grade: Finding['grade']) =>
    findings.filter((found) => found.grade === grade).length;
  const counts = { unsafe: count('UNSAFE'), notes: count('note'), in_order: count('ok') };
  return {
    lines: [
      ...findings.map(({ grade, text }) => `${grade.padEnd(8)}${text}`),
      `${counts.unsafe} unsafe, ${counts.notes} notes, ${counts.in_order} in order`,
    ],
    data: { ...counts, findings },
    failed: counts.unsafe > 0,
  };
}
