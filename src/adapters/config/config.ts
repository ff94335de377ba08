import { availableParallelism } from 'node:os';
import { defaultPolicy } from '../../application/index.ts';
import { parseStore, type StoreTarget } from './database-url.ts';

export type Profile = 'development' | 'production';

/** Every setting, checked. Times in seconds. */
export interface Config {
  readonly profile: Profile;
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly store: StoreTarget;
  /** Undefined in development only: then one is made and kept. */
  readonly jwtSecret: string | undefined;
  readonly jwtIssuer: string;
  readonly jwtAudience: string;
  readonly accessTokenTtl: number;
  readonly refreshTokenTtl: number;
  readonly refreshRotation: boolean;
  readonly usersAccess: 'public' | 'authenticated' | 'disabled';
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
  readonly shutdownGrace: number;
  /** What is good enough for development only, a sentence each. */
  readonly warnings: readonly string[];
}

/** Every fault of the settings, a line each that names the variable and shows no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/** OWASP's weakest sound choices for argon2id, as memory in KiB by number of passes. */
const OWASP_FLOOR: Readonly<Record<number, number>> = {
  1: 47_104,
  2: 19_456,
  3: 12_288,
  4: 9_216,
};
const OWASP_FLOOR_MANY_PASSES = 7_168;

const MIN_SECRET_BYTES = 32;

/**
 * Reads the settings of the README from the environment. An empty value is one that is not set.
 * @throws ConfigError
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const read = new Reader(env);
  const profile = read.one('NODE_ENV', ['development', 'production', 'test'], 'development');
  const production = profile === 'production';

  const config = {
    profile: production ? 'production' : 'development',
    host: read.text('HOST', '127.0.0.1'),
    port: read.integer('PORT', 8000, 0, 65_535),
    maxConnections: read.integer('MAX_CONNECTIONS', 10_000, 1, 1_000_000),
    store: read.store('DATABASE_URL', production ? undefined : DEVELOPMENT_DATABASE),
    jwtSecret: read.optional('JWT_SECRET'),
    jwtIssuer: read.text('JWT_ISSUER', 'portcullis'),
    jwtAudience: read.text('JWT_AUDIENCE', 'portcullis'),
    accessTokenTtl: read.duration('ACCESS_TOKEN_TTL', 15 * 60),
    refreshTokenTtl: read.duration('REFRESH_TOKEN_TTL', 30 * 86_400),
    refreshRotation: read.one('REFRESH_ROTATION', ['on', 'off'], 'off') === 'on',
    usersAccess: read.one(
      'USERS_ACCESS',
      ['public', 'authenticated', 'disabled'],
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
      memoryKib: read.integer('ARGON2_MEMORY_KIB', 19_456, 8, 4 * 1024 * 1024),
      passes: read.integer('ARGON2_PASSES', 2, 1, 1_000),
      parallelism: read.integer('ARGON2_PARALLELISM', 1, 1, 255),
      concurrency: read.integer('HASH_CONCURRENCY', availableParallelism(), 1, 1_024),
      queue: read.integer('HASH_QUEUE', 64, 0, 1_000_000),
    },
    shutdownGrace: read.duration('SHUTDOWN_GRACE', 10),
  } as const;

  if (config.argon2.memoryKib < 8 * config.argon2.parallelism && !read.hasFault('ARGON2')) {
    read.fault('ARGON2_MEMORY_KIB', 'must be at least 8 times ARGON2_PARALLELISM');
  }
  if (config.refreshTokenTtl < config.accessTokenTtl && !read.hasFault('ACCESS_', 'REFRESH_')) {
    read.fault('REFRESH_TOKEN_TTL', 'must not be shorter than ACCESS_TOKEN_TTL');
  }
  const weakness = weaknessOfSecret(config.jwtSecret);
  const warnings: string[] = [];
  if (production) {
    if (config.store?.kind === 'memory') {
      read.fault('DATABASE_URL', 'memory: loses every user at a restart; refused in production');
    }
    if (weakness) read.fault('JWT_SECRET', weakness);
    if (isBelowOwaspFloor(config.argon2)) {
      read.fault(
        'ARGON2_MEMORY_KIB',
        "with ARGON2_PASSES is below OWASP's floor (19456 KiB with 2 passes); refused in production",
      );
    }
  } else {
    if (config.jwtSecret !== undefined && weakness) warnings.push(`JWT_SECRET ${weakness}`);
    if (config.usersAccess === 'public') {
      warnings.push('GET /users shows every name and email to anybody (USERS_ACCESS=public)');
    }
  }
  if (read.faults.length > 0 || config.store === undefined) throw new ConfigError(read.faults);
  return { ...config, store: config.store, warnings };
}

const DEVELOPMENT_DATABASE = 'sqlite:data/portcullis.sqlite';

/** Reads variables one by one and gathers what is wrong with them. */
class Reader {
  readonly faults: string[] = [];
  readonly #env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** Whether a variable whose name starts so has a fault: then there is no sense in comparing it. */
  hasFault(...names: readonly string[]): boolean {
    return this.faults.some((fault) => names.some((name) => fault.startsWith(name)));
  }

  fault(name: string, problem: string): void {
    this.faults.push(`${name} ${problem}`);
  }

  optional(name: string): string | undefined {
    return this.#env[name] === '' ? undefined : this.#env[name];
  }

  text(name: string, otherwise: string): string {
    return this.optional(name) ?? otherwise;
  }

  one<T extends string>(name: string, choices: readonly T[], otherwise: T): T {
    const value = this.optional(name);
    if (value === undefined) return otherwise;
    const choice = choices.find((known) => known === value);
    if (choice === undefined) this.fault(name, `must be one of ${choices.join(', ')}`);
    return choice ?? otherwise;
  }

  integer(name: string, otherwise: number, min: number, max: number): number {
    const value = this.optional(name);
    if (value === undefined) return otherwise;
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    this.fault(name, `must be a whole number from ${min} to ${max}`);
    return otherwise;
  }

  /** Seconds, from a number with a unit: 90s, 15m, 12h, 30d. */
  duration(name: string, otherwise: number): number {
    const value = this.optional(name);
    if (value === undefined) return otherwise;
    const [, digits, unit] = /^(\d{1,9})([smhd])$/.exec(value) ?? [];
    const seconds = Number(digits) * (SECONDS[unit ?? ''] ?? 0);
    if (seconds >= 1 && seconds <= MAX_DURATION) return seconds;
    this.fault(name, 'must be a time from 1s to 3650d, such as 90s, 15m, 12h or 30d');
    return otherwise;
  }

  /** Names separated by commas, each written as a browser writes the origin of a page. */
  origins(name: string): readonly string[] {
    const origins = this.optional(name)?.split(',') ?? [];
    if (origins.every(isOrigin)) return origins;
    this.fault(name, 'must be origins such as https://app.example.com, separated by commas alone');
    return [];
  }

  store(name: string, otherwise: string | undefined): StoreTarget | undefined {
    const value = this.optional(name) ?? otherwise;
    const store = value === undefined ? 'must be set in production' : parseStore(value);
    if (typeof store !== 'string') return store;
    this.fault(name, store);
    return undefined;
  }
}

/** Neither `null`, which any page can be, nor anything with `*`: who may use the API is said by name. */
function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const MAX_DURATION = 3_650 * 86_400;

/** Secrets of tutorials and samples, which is where an attacker starts. */
const KNOWN_SECRETS =
  /change.?me|your.{0,20}(secret|key)|(super|very|top).?secret|secret.?key|my.?secret|jwt.?secret|a-string-secret|256.?bit|at-least-(32|256)|example|replace|insecure|password/i;

/** Why a secret is not safe to sign with; undefined when it is. */
function weaknessOfSecret(secret: string | undefined): string | undefined {
  if (secret === undefined) return 'must be set in production';
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    return `must have at least ${MIN_SECRET_BYTES} bytes (try: openssl rand -base64 48)`;
  }
  if (KNOWN_SECRETS.test(secret) || new Set(secret).size < 5) {
    return 'is a known sample or easy to guess (try: openssl rand -base64 48)';
  }
  return undefined;
}

function isBelowOwaspFloor({ memoryKib, passes }: Config['argon2']): boolean {
  return memoryKib < (OWASP_FLOOR[passes] ?? OWASP_FLOOR_MANY_PASSES);
}
