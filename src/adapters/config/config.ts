import type { KeyObject } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { defaultPolicy } from '../../application/index.ts';
import {
  ACCESS_TOKEN_TTL,
  HASH_COST,
  HASH_QUEUE,
  REFRESH_TOKEN_TTL,
} from '../../domain/defaults.ts';
import type { UsersAccess } from '../http/contract/users-access.ts';
import type { LogLevel } from '../log/log.ts';
import type { StoreTarget } from './database-url.ts';
import { isPem, weaknessOfSecret } from './key-files.ts';
import { isListable, Reader } from './reader.ts';

export type Profile = 'development' | 'production';

/** Every setting, checked. Times in seconds. */
export interface Config {
  readonly profile: Profile;
  readonly host: string;
  readonly port: number;
  /** In all workers together. */
  readonly maxConnections: number;
  /** Processes that serve. */
  readonly workers: number;
  /** Where metrics are served; undefined: nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  readonly store: StoreTarget;
  /** Connections to MySQL or MariaDB at once, of each worker. */
  readonly databasePool: number;
  /** The signing key: private, or a secret. Undefined in development if a secret is to be made. */
  readonly jwtKey: KeyObject | string | undefined;
  /** Secrets and public keys that only verify. */
  readonly jwtPreviousKeys: readonly (KeyObject | string)[];
  readonly jwtIssuer: string;
  readonly jwtAudience: string;
  readonly accessTokenTtl: number;
  readonly refreshTokenTtl: number;
  readonly refreshRotation: boolean;
  readonly usersAccess: UsersAccess;
  /** Exact origins, such as `https://app.example.com`. */
  readonly corsOrigins: readonly string[];
  readonly passwordMinLength: number;
  readonly passwordBlocklist: boolean;
  readonly argon2: {
    readonly memoryKib: number;
    readonly passes: number;
    readonly parallelism: number;
    readonly concurrency: number;
    readonly queue: number;
  };
  /** `auto`: JSON in production, unless the output is a terminal. */
  readonly logFormat: 'text' | 'json' | 'auto';
  readonly logLevel: LogLevel;
  /** Where audit records go. */
  readonly audit: 'off' | 'log' | 'table';
  readonly auditRetention: number;
  /** Whether each request is a line of the log. */
  readonly accessLog: boolean;
  /** Whether the hosted pages are served beside the API. */
  readonly pages: boolean;
  /** Whether attempts are limited. */
  readonly rateLimit: boolean;
  /**
   * The number of proxies in front whose X-Forwarded-For is believed, or their addresses (0: none).
   */
  readonly trustProxy: number | readonly string[];
  /** From reporting not ready until the server stops listening. */
  readonly shutdownDelay: number;
  readonly shutdownGrace: number;
  /** What production would refuse, a sentence each. */
  readonly warnings: readonly string[];
  /** What may be a mistake in either profile, a sentence each. */
  readonly notices: readonly string[];
}

/** The faults of the settings: a line each, which names the variable and shows no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/** OWASP's minimum for argon2id: memory in KiB by number of passes. */
const OWASP_FLOOR: Readonly<Record<number, number>> = {
  1: 47_104,
  2: 19_456,
  3: 12_288,
  4: 9_216,
};
const OWASP_FLOOR_MANY_PASSES = 7_168;

/**
 * Reads all settings from the environment. An empty value counts as not set.
 * @throws ConfigError
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  return configOf(new Reader(env), { signs: true });
}

/** The settings that commands on users and sessions read. They need no key, port or origin. */
const ADMINISTRATION_SETTINGS =
  /^(?:NODE_ENV|DATABASE_|PASSWORD_|ARGON2_|HASH_|AUDIT|RATE_LIMIT$|LOG_LEVEL$)/;

/**
 * Reads the settings that commands on users and sessions need, and ignores all others.
 * @throws ConfigError
 */
export function readAdministrationConfig(env: NodeJS.ProcessEnv): Config {
  const used = Object.entries(env).filter(([name]) => ADMINISTRATION_SETTINGS.test(name));
  return configOf(new Reader(Object.fromEntries(used)), { signs: false });
}

function configOf(read: Reader, { signs }: { readonly signs: boolean }): Config {
  const profile = read.one('NODE_ENV', ['development', 'production', 'test'], 'development');
  const production = profile === 'production';

  const secret = read.optional('JWT_SECRET');
  const previousSecrets = read.list('JWT_PREVIOUS_SECRETS');
  const hasKeyFile = read.optional('JWT_PRIVATE_KEY_FILE') !== undefined;

  const workers = read.workers('WORKERS');
  const metrics = {
    host: read.text('METRICS_HOST', '127.0.0.1'),
    port: read.integer('METRICS_PORT', 0, 0, 65_535),
  };

  const config = {
    profile: production ? 'production' : 'development',
    host: read.text('HOST', '127.0.0.1'),
    port: read.integer('PORT', 8000, 0, 65_535),
    maxConnections: read.integer('MAX_CONNECTIONS', 10_000, 1, 1_000_000),
    databasePool: read.integer('DATABASE_POOL', 10, 1, 1_000),
    workers,
    metrics: read.optional('METRICS_PORT') === undefined ? undefined : metrics,
    store: read.store('DATABASE_URL'),
    jwtKey: hasKeyFile ? read.privateKey('JWT_PRIVATE_KEY_FILE') : secret,
    jwtPreviousKeys: [...previousSecrets, ...read.publicKeys('JWT_PREVIOUS_KEY_FILES')],
    jwtIssuer: read.text('JWT_ISSUER', 'portcullis'),
    jwtAudience: read.text('JWT_AUDIENCE', 'portcullis'),
    accessTokenTtl: read.duration('ACCESS_TOKEN_TTL', ACCESS_TOKEN_TTL),
    refreshTokenTtl: read.duration('REFRESH_TOKEN_TTL', REFRESH_TOKEN_TTL),
    refreshRotation: read.one('REFRESH_ROTATION', ['on', 'off'], 'off') === 'on',
    usersAccess: read.one(
      'USERS_ACCESS',
      ['public', 'authenticated', 'admin', 'disabled'],
      production ? 'authenticated' : 'public',
    ),
    corsOrigins: read.origins('CORS_ORIGINS'),
    passwordMinLength: read.integer(
      'PASSWORD_MIN_LENGTH',
      defaultPolicy.passwordMinLength,
      production ? defaultPolicy.passwordMinLength : 1,
      256,
    ),
    passwordBlocklist:
      read.one('PASSWORD_BLOCKLIST', ['on', 'off'], production ? 'on' : 'off') === 'on',
    argon2: {
      memoryKib: read.integer('ARGON2_MEMORY_KIB', HASH_COST.memoryKib, 8, 4 * 1024 * 1024),
      passes: read.integer('ARGON2_PASSES', HASH_COST.passes, 1, 1_000),
      parallelism: read.integer('ARGON2_PARALLELISM', HASH_COST.parallelism, 1, 255),
      concurrency: read.integer(
        'HASH_CONCURRENCY',
        Math.max(1, Math.floor(availableParallelism() / workers)),
        1,
        1_024,
      ),
      queue: read.integer('HASH_QUEUE', HASH_QUEUE, 0, 1_000_000),
    },
    logFormat: read.one('LOG_FORMAT', ['text', 'json', 'auto'], 'auto'),
    logLevel: read.one('LOG_LEVEL', ['error', 'warn', 'info'], 'info'),
    audit: read.one('AUDIT', ['off', 'log', 'table'], 'off'),
    auditRetention: read.duration('AUDIT_RETENTION', 365 * 86_400),
    accessLog: read.one('ACCESS_LOG', ['on', 'off'], 'off') === 'on',
    pages: read.one('PAGES', ['on', 'off'], 'on') === 'on',
    rateLimit: read.one('RATE_LIMIT', ['on', 'off'], 'on') === 'on',
    trustProxy: read.proxies('TRUST_PROXY'),
    shutdownDelay: read.duration('SHUTDOWN_DELAY', 0, 0),
    shutdownGrace: read.duration('SHUTDOWN_GRACE', 10),
  } as const;

  if (config.argon2.memoryKib < 8 * config.argon2.parallelism && !read.hasFault('ARGON2')) {
    read.fault('ARGON2_MEMORY_KIB', 'must be at least 8 times ARGON2_PARALLELISM');
  }
  if (config.refreshTokenTtl < config.accessTokenTtl && !read.hasFault('ACCESS_', 'REFRESH_')) {
    read.fault('REFRESH_TOKEN_TTL', 'must not be shorter than ACCESS_TOKEN_TTL');
  }
  const warnings: string[] = [];
  const notices: string[] = [];
  if (hasKeyFile && secret !== undefined) {
    notices.push(
      'JWT_SECRET is not used, since JWT_PRIVATE_KEY_FILE signs: JWT_PREVIOUS_SECRETS keeps its tokens good',
    );
  } else if (production && signs && secret === undefined && !hasKeyFile) {
    read.fault('JWT_SECRET', 'must be set in production (or JWT_PRIVATE_KEY_FILE)');
  } else if (secret !== undefined && !isListable(secret)) {
    notices.push(
      'JWT_SECRET holds a comma, or begins or ends with white space: it cannot be among JWT_PREVIOUS_SECRETS,' +
        ' and a new key signs everybody out',
    );
  }
  const secrets = [
    ...(secret === undefined ? [] : [['JWT_SECRET', secret, !hasKeyFile] as const]),
    ...previousSecrets.map((each, i) => [`JWT_PREVIOUS_SECRETS (${i + 1})`, each, true] as const),
  ];
  // Development accepts what production refuses, with a warning of the same words.
  const refuse = (name: string, problem: string) => {
    if (production) read.fault(name, problem);
    else warnings.push(`${name} ${problem}`);
  };
  for (const [name, each, isUsed] of secrets) {
    const weakness = isUsed && weaknessOfSecret(each);
    if (isPem(each)) read.fault(name, HOLDS_KEY);
    else if (weakness) refuse(name, weakness);
  }
  if (isBelowOwaspFloor(config.argon2)) {
    refuse(
      'ARGON2_MEMORY_KIB',
      "with ARGON2_PASSES is below OWASP's floor (19456 KiB with 2 passes); refused in production",
    );
  }
  if (production && config.store?.kind === 'memory') {
    read.fault('DATABASE_URL', 'memory: loses every user at a restart; refused in production');
  }
  if (config.audit === 'table' && config.store?.kind === 'memory') {
    read.fault('AUDIT', 'cannot be table with memory: there are no tables');
  }
  if (workers > 1 && config.store?.kind === 'memory') {
    read.fault('WORKERS', 'must be 1 with memory: each process would have users of its own');
  }
  if (!config.rateLimit) {
    notices.push('anybody may guess passwords without a limit (RATE_LIMIT=off)');
  }
  if (config.usersAccess === 'public') {
    const warning = 'GET /users shows every name and email to anybody (USERS_ACCESS=public)';
    (production ? notices : warnings).push(warning);
  }
  if (read.faults.length > 0 || config.store === undefined) throw new ConfigError(read.faults);
  return { ...config, store: config.store, warnings, notices };
}

const HOLDS_KEY = 'holds a key: JWT_PRIVATE_KEY_FILE takes the path of its file';

/** Whether a hash is weaker than OWASP's minimum. */
export function isBelowOwaspFloor({
  memoryKib,
  passes,
}: Pick<Config['argon2'], 'memoryKib' | 'passes'>): boolean {
  return memoryKib < (OWASP_FLOOR[passes] ?? OWASP_FLOOR_MANY_PASSES);
}
