import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { defaultPolicy } from '../../application/index.ts';
import { readStore, type StoreTarget } from './database-url.ts';
import { isPem, readKeyFile, weaknessOfSecret } from './keys.ts';

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
  readonly store: StoreTarget;
  /** Connections to MySQL or MariaDB at once, of each worker. */
  readonly databasePool: number;
  /** What signs: a private key, or a secret. Undefined in development only: then a secret is made and kept. */
  readonly jwtKey: KeyObject | string | undefined;
  /** What only verifies: secrets, and public keys. */
  readonly jwtPreviousKeys: readonly (KeyObject | string)[];
  readonly jwtIssuer: string;
  readonly jwtAudience: string;
  readonly accessTokenTtl: number;
  readonly refreshTokenTtl: number;
  readonly refreshRotation: boolean;
  readonly usersAccess: 'public' | 'authenticated' | 'admin' | 'disabled';
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
  /** Whether there are pages for people, beside the API. */
  readonly pages: boolean;
  /** Whether attempts are limited. */
  readonly rateLimit: boolean;
  /** The number of proxies in front whose X-Forwarded-For is believed, or their addresses (0: none). */
  readonly trustProxy: number | readonly string[];
  readonly shutdownGrace: number;
  /** What is good enough for development only, a sentence each. */
  readonly warnings: readonly string[];
  /** What may not have been meant so, in either profile; a sentence each. */
  readonly notices: readonly string[];
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

/**
 * Reads the settings of the README from the environment. An empty value is one that is not set.
 * @throws ConfigError
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const read = new Reader(env);
  const profile = read.one('NODE_ENV', ['development', 'production', 'test'], 'development');
  const production = profile === 'production';

  const secret = read.optional('JWT_SECRET');
  const previousSecrets = read.list('JWT_PREVIOUS_SECRETS');
  const hasKeyFile = read.optional('JWT_PRIVATE_KEY_FILE') !== undefined;

  const workers = read.workers('WORKERS');

  const config = {
    profile: production ? 'production' : 'development',
    host: read.text('HOST', '127.0.0.1'),
    port: read.integer('PORT', 8000, 0, 65_535),
    maxConnections: read.integer('MAX_CONNECTIONS', 10_000, 1, 1_000_000),
    databasePool: read.integer('DATABASE_POOL', 10, 1, 1_000),
    workers,
    store: read.store('DATABASE_URL'),
    jwtKey: hasKeyFile ? read.privateKey('JWT_PRIVATE_KEY_FILE') : secret,
    jwtPreviousKeys: [...previousSecrets, ...read.publicKeys('JWT_PREVIOUS_KEY_FILES')],
    jwtIssuer: read.text('JWT_ISSUER', 'portcullis'),
    jwtAudience: read.text('JWT_AUDIENCE', 'portcullis'),
    accessTokenTtl: read.duration('ACCESS_TOKEN_TTL', 15 * 60),
    refreshTokenTtl: read.duration('REFRESH_TOKEN_TTL', 30 * 86_400),
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
      memoryKib: read.integer('ARGON2_MEMORY_KIB', 19_456, 8, 4 * 1024 * 1024),
      passes: read.integer('ARGON2_PASSES', 2, 1, 1_000),
      parallelism: read.integer('ARGON2_PARALLELISM', 1, 1, 255),
      concurrency: read.integer(
        'HASH_CONCURRENCY',
        Math.max(1, Math.floor(availableParallelism() / workers)),
        1,
        1_024,
      ),
      queue: read.integer('HASH_QUEUE', 64, 0, 1_000_000),
    },
    pages: read.one('PAGES', ['on', 'off'], 'on') === 'on',
    rateLimit: read.one('RATE_LIMIT', ['on', 'off'], 'on') === 'on',
    trustProxy: read.proxies('TRUST_PROXY'),
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
  } else if (production && secret === undefined && !hasKeyFile) {
    read.fault('JWT_SECRET', 'must be set in production (or JWT_PRIVATE_KEY_FILE)');
  }
  const secrets = [
    ...(secret === undefined ? [] : [['JWT_SECRET', secret, !hasKeyFile] as const]),
    ...previousSecrets.map((each, i) => [`JWT_PREVIOUS_SECRETS (${i + 1})`, each, true] as const),
  ];
  // What production refuses, development takes with a warning of the same words.
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
  if (workers > 1 && config.store?.kind === 'memory') {
    read.fault('WORKERS', 'must be 1 with memory: each process would have users of its own');
  }
  if (!config.rateLimit) {
    notices.push('anybody may guess passwords without a limit (RATE_LIMIT=off)');
  }
  if (config.usersAccess === 'public') {
    const said = 'GET /users shows every name and email to anybody (USERS_ACCESS=public)';
    (production ? notices : warnings).push(said);
  }
  if (read.faults.length > 0 || config.store === undefined) throw new ConfigError(read.faults);
  return { ...config, store: config.store, warnings, notices };
}

const HOLDS_KEY = 'holds a key: JWT_PRIVATE_KEY_FILE takes the path of its file';

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

  /** The items of a list, which commas alone part: white space could as well be of an item. */
  list(name: string): readonly string[] {
    const items = this.optional(name)?.split(',') ?? [];
    if (items.every((item) => item !== '' && item === item.trim())) return items;
    this.fault(name, 'must be a list parted by commas alone: nothing empty, no white space');
    return [];
  }

  /** The key in the file that is named. */
  privateKey(name: string): KeyObject | undefined {
    const path = this.optional(name);
    return path === undefined ? undefined : this.#key(name, path, 'private');
  }

  /** The keys in a list of files, of private ones their public half. */
  publicKeys(name: string): readonly KeyObject[] {
    const paths = this.list(name);
    return paths.flatMap((path, i) => this.#key(`${name} (${i + 1})`, path, 'public') ?? []);
  }

  #key(name: string, path: string, type: 'private' | 'public'): KeyObject | undefined {
    const key = readKeyFile(path, type);
    if (typeof key !== 'string') return key;
    this.fault(name, key);
    return undefined;
  }

  one<T extends string>(name: string, choices: readonly T[], otherwise: T): T {
    const value = this.optional(name);
    if (value === undefined) return otherwise;
    const choice = choices.find((known) => known === value);
    if (choice === undefined) this.fault(name, `must be one of ${choices.join(', ')}`);
    return choice ?? otherwise;
  }

  integer(name: string, otherwise: number, min: number, max: number, or = ''): number {
    const value = this.optional(name);
    if (value === undefined) return otherwise;
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    this.fault(name, `must be a whole number from ${min} to ${max}${or}`);
    return otherwise;
  }

  workers(name: string): number {
    if (this.optional(name) === 'auto') return availableParallelism();
    return this.integer(name, 1, 1, 1_024, " or 'auto', one for each core");
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

  /** A number of proxies, or a list of addresses and networks. */
  proxies(name: string): number | readonly string[] {
    const value = this.optional(name);
    if (value === undefined) return 0;
    if (/^\d$/.test(value)) return Number(value);
    const proxies = value.split(',').map((proxy) => proxy.trim());
    if (proxies.every(isNetwork)) return proxies;
    this.fault(
      name,
      'must be the number of proxies in front (0 to 9), or their addresses or networks with commas' +
        ' between (10.0.0.1, 10.1.0.0/16), none larger than one can own (/8, or /7 of IPv6)',
    );
    return 0;
  }

  /** Names separated by commas, each written as a browser writes the origin of a page. */
  origins(name: string): readonly string[] {
    const origins = this.optional(name)?.split(',') ?? [];
    const wrong = origins.findIndex((origin) => !isOrigin(origin)) + 1;
    if (wrong === 0) return origins;
    this.fault(
      name,
      `(${wrong}) is no origin such as https://app.example.com: no path, no slash at its end, no *;` +
        ' commas alone between several',
    );
    return [];
  }

  store(name: string): StoreTarget | undefined {
    const store = readStore(this.#env);
    if (typeof store !== 'string') return store;
    this.fault(name, store);
    return undefined;
  }
}

/**
 * An IP address, or a network of them that can be somebody's own: no larger than 10.0.0.0/8 or
 * fc00::/7, and nowhere near all of IPv4 in its IPv6 form.
 */
function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  const [least, most] = version === 4 ? [8, 32] : address.startsWith('::') ? [104, 128] : [7, 128];
  return /^[1-9]\d{0,2}$/.test(bits) && Number(bits) >= least && Number(bits) <= most;
}

/** Neither `null`, which any page can be, nor anything with `*`: who may use the API is said by name. */
function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const MAX_DURATION = 3_650 * 86_400;

/** Whether a hash is cheaper than OWASP's cheapest sound choice. */
export function isBelowOwaspFloor({
  memoryKib,
  passes,
}: Pick<Config['argon2'], 'memoryKib' | 'passes'>): boolean {
  return memoryKib < (OWASP_FLOOR[passes] ?? OWASP_FLOOR_MANY_PASSES);
}
