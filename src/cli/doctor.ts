import { existsSync, readFileSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import {
  type Config,
  ConfigError,
  isBelowOwaspFloor,
  readConfig,
} from '../adapters/config/config.ts';
import { Argon2Hasher } from '../adapters/argon2/argon2-hasher.ts';
import { hashPrefix } from '../adapters/argon2/phc.ts';
import { developmentSecretPath } from '../adapters/config/kept-secret.ts';
import { openForInspection } from '../adapters/knex/connection/open.ts';
import { inspectDatabase } from '../adapters/knex/operator/inspection.ts';
import { legacyHashes } from '../adapters/argon2/legacy-hashes.ts';
import { nameFault } from '../adapters/log/faults.ts';
import { examineDatabase, isLoopback } from './examine-database.ts';
import { type Finding, note, ok, unsafe } from './finding.ts';
import type { Report } from './terminal.ts';

/** Examines the settings and the database they name, without changing anything. */
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

/** In development, reports what production would refuse; of a missing setting only a note. */
function examineProfile({ profile, warnings, notices }: Config, env: NodeJS.ProcessEnv): Finding[] {
  // The other notices are repeated by the examinations below.
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

/** Checks that only the owner can read the files that hold secrets. */
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

/** How late a record may be removed, in seconds: the service prunes every hour. */
const PRUNING_DELAY = 2 * 60 * 60;

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
    const auditBefore = new Date(Date.now() - (config.auditRetention + PRUNING_DELAY) * 1000);
    return examineDatabase(config, await inspectDatabase(knex, { prefix, reads, auditBefore }));
  } catch (fault) {
    return [unsafe(`DATABASE_URL cannot be used: ${nameFault(fault)}`)];
  } finally {
    await knex.destroy();
  }
}

/** Reports what is unsafe in the settings and the live database, without changing anything. */
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
