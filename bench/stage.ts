/** The servers to compare. Each is started at its first use, once, on a database of its own. */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import {
  findMariadb,
  type MariadbServer,
  mariadbServer,
  temporaryFolder,
} from '../tests/support/programs.ts';
import { BUILT, type Program, startProgram } from '../tests/support/service.ts';
import type { TokenFile, Workers } from './load.ts';
import { Connection, forgetPeak, peakMemory, requestText } from './measure.ts';

export const PEERS = join(import.meta.dirname, 'peers');

/** The names in the tables. Each peer has a file `peers/<key>.mjs`. */
export const NAMES = {
  service: 'Portcullis',
  bare: 'bare node:http',
  fastify: 'Fastify',
  express: 'Express, naive',
  passport: 'Express + passport',
  nest: 'NestJS + passport',
  'better-auth': 'Better Auth',
} as const;
export type ServerName = keyof typeof NAMES;

const ACCOUNTS = 64;
const PASSWORD = 'fourteen grey herons';

export interface Account {
  readonly email: string;
  readonly accessToken: string;
  /** Undefined for Better Auth, which has no refresh tokens. */
  readonly refreshToken: string | undefined;
}

export interface Server {
  readonly name: string;
  readonly url: string;
  readonly databaseUrl: string;
  readonly workers: Workers;
  readonly program: Program;
}

/** A server with accounts. */
export interface Peopled extends Server {
  readonly accounts: readonly Account[];
  /** The tokens of the accounts, used in turn. */
  readonly accessTokens: TokenFile;
  readonly refreshTokens: TokenFile;
}

export class Stage {
  /** The secret that signs the tokens of all servers. */
  readonly secret = randomBytes(32).toString('base64url');
  readonly folder = temporaryFolder();
  readonly database: MariadbServer;
  /** The peak memory of the service by section, in MB. */
  readonly peaks = new Map<string, number>();
  #peak = 0;
  /** Whether the current section uses the service. */
  #usesService = false;
  readonly #crowds = new Map<number, Promise<string>>();
  readonly #servers = new Map<ServerName, Promise<Peopled>>();
  readonly #services: Server[] = [];
  readonly #guests: Server[] = [];
  #count = 0;

  readonly #settings: Readonly<Record<string, string>>;

  private constructor(database: MariadbServer, settings: Readonly<Record<string, string>>) {
    this.database = database;
    this.#settings = settings;
  }

  /** @param settings of the service, besides those that it needs */
  static async open(settings: Readonly<Record<string, string>> = {}): Promise<Stage> {
    const daemon = findMariadb();
    if (daemon === undefined) throw new Error('the benchmarks need MariaDB');
    return new Stage(await mariadbServer(daemon, ['--innodb-buffer-pool-size=1G']), settings);
  }

  /** Starts a server with accounts, or returns the running one. It runs until `close`. */
  server(name: ServerName): Promise<Peopled> {
    if (name === 'service') this.#usesService = true;
    const found = this.#servers.get(name) ?? this.#startWithAccounts(name);
    this.#servers.set(name, found);
    return found;
  }

  /** Several servers, by name. */
  async servers<Name extends ServerName>(...names: Name[]): Promise<ReadonlyMap<Name, Peopled>> {
    const servers = new Map<Name, Peopled>();
    for (const name of names) servers.set(name, await this.server(name));
    return servers;
  }

  /** Starts another service on this database, with these settings, until the section ends. */
  async guest(databaseUrl: string, env: Readonly<Record<string, string>> = {}): Promise<Server> {
    const guest = await this.#start('service', databaseUrl, env);
    this.#usesService = true;
    this.#guests.push(guest);
    this.#services.push(guest);
    return guest;
  }

  async createDatabase(): Promise<string> {
    const name = `bench${(this.#count += 1)}`;
    await this.sql(`CREATE DATABASE ${name}`);
    return `${this.database.url}/${name}`;
  }

  /** A database with this many users, whose emails `crowdEmail` returns. */
  crowd(users: number): Promise<string> {
    const found = this.#crowds.get(users) ?? this.#fill(users);
    this.#crowds.set(users, found);
    return found;
  }

  async #fill(users: number): Promise<string> {
    const url = await this.createDatabase();
    const service = await this.#start('service', url); // Creates the tables.
    const [first] = await register(service.url, 1);
    await service.program.end('SIGTERM');
    await this.sql(
      `INSERT INTO users (username, email, password_hash, date_created)
       SELECT CONCAT('User ', seq), CONCAT('crowd', seq, '@example.com'), password_hash, date_created
       FROM seq_1_to_${users - 1}, (SELECT * FROM users WHERE email = '${first?.email}') AS first`,
      url,
    );
    await this.sql('ANALYZE TABLE users', url);
    return url;
  }

  /** Runs a statement on the server, or on the database of `url`. */
  async sql(statement: string, url: string = this.database.url): Promise<void> {
    const connection = await createConnection(url);
    try {
      await connection.query(statement);
    } finally {
      await connection.end();
    }
  }

  /** New tokens of these accounts, signed as the server signs, which it has never seen. */
  freshTokens({ accounts }: Peopled, count: number): TokenFile {
    const issued = accounts.map(({ accessToken }) => {
      const [header = '', payload = ''] = accessToken.split('.');
      const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
      return { header, claims: typeof claims === 'object' ? claims : {} };
    });
    const tokens = Array.from({ length: count }, (_, i) => {
      const { header = '', claims = {} } = issued[i % issued.length] ?? {};
      const payload = JSON.stringify({ ...claims, jti: randomUUID() });
      const signed = `${header}.${Buffer.from(payload).toString('base64url')}`;
      return `${signed}.${createHmac('sha256', this.secret).update(signed).digest('base64url')}`;
    });
    return this.tokenFile(tokens);
  }

  /** The peak memory of a server during `work`, in MB. */
  async peakOf({ workers }: Server, work: () => Promise<unknown>): Promise<number> {
    this.#peak = Math.max(this.#peak, peakMemory(workers.server));
    forgetPeak(workers.server);
    await work();
    return peakMemory(workers.server);
  }

  beginSection(): void {
    this.#usesService = false;
    this.#peak = 0;
    for (const { workers } of this.#services) forgetPeak(workers.server);
  }

  async endSection(section: string): Promise<void> {
    const peaks = this.#services.map(({ workers }) => peakMemory(workers.server));
    const most = Math.max(this.#peak, ...peaks);
    if (this.#usesService) this.peaks.set(section, most);
    for (const guest of this.#guests.splice(0)) {
      this.#services.splice(this.#services.indexOf(guest), 1);
      await guest.program.end('SIGTERM');
    }
  }

  async close(): Promise<void> {
    const started = await Promise.allSettled(this.#servers.values());
    for (const each of started) {
      if (each.status === 'fulfilled') await each.value.program.end('SIGKILL');
    }
    for (const guest of this.#guests) await guest.program.end('SIGKILL');
    await this.database.remove();
    this.folder.remove();
  }

  async #startWithAccounts(name: ServerName): Promise<Peopled> {
    const server = await this.#start(name, await this.createDatabase());
    if (name === 'service') this.#services.push(server);
    const accounts = await register(server.url, ACCOUNTS);
    return {
      ...server,
      accounts,
      accessTokens: this.tokenFile(accounts.map(({ accessToken }) => accessToken)),
      refreshTokens: this.tokenFile(accounts.map(({ refreshToken }) => refreshToken ?? '')),
    };
  }

  async #start(
    name: ServerName,
    databaseUrl: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Server> {
    const command = name === 'service' ? BUILT : [process.execPath, join(PEERS, `${name}.mjs`)];
    const env = {
      NODE_ENV: 'production',
      PORT: '0',
      DATABASE_URL: databaseUrl,
      JWT_SECRET: this.secret,
      ACCESS_TOKEN_TTL: '2h', // Longer than any run.
      ...(name === 'service' && { ...SERVICE_SETTINGS, ...this.#settings }),
      ...more,
    };
    const program = await startProgram(env, command);
    const onMariadb = databaseUrl.startsWith('mysql:');
    const database = onMariadb ? this.database.pid() : undefined;
    const workers = { server: program.process.pid ?? 0, database };
    return { name: NAMES[name], url: program.url, databaseUrl, workers, program };
  }

  tokenFile(tokens: readonly string[]): TokenFile {
    const path = join(this.folder.path, `tokens${(this.#count += 1)}`);
    writeFileSync(path, `${tokens.join('\n')}\n`);
    return { path, position: 0 };
  }
}

/** Rate limits stay on, as by default: the load maker sends each client's address in a header. */
const SERVICE_SETTINGS = { TRUST_PROXY: '1', USERS_ACCESS: 'public' } as const;

async function register(url: string, count: number): Promise<Account[]> {
  const accounts: Account[] = [];
  const connections = await Promise.all([Connection.open(url), Connection.open(url)]);
  const one = async (connection: Connection, from: number) => {
    for (let i = from; i < count; i += connections.length) {
      const email = `user${i}@example.com`;
      const { status, body } = await connection.send(registration(`User ${i}`, email));
      if (status !== 201) throw new Error(`registration: ${status} ${body}`);
      const [accessToken = '', refreshToken] = ['access_token', 'refresh_token'].map(
        (name) => new RegExp(`"${name}":"([^"]+)"`).exec(body)?.[1],
      );
      accounts.push({ email, accessToken, refreshToken });
    }
    connection.close();
  };
  await Promise.all(connections.map(one));
  return accounts;
}

/** The email of a random user of a crowd of this size. */
export function crowdEmail(users: number): string {
  return `crowd${1 + Math.floor(Math.random() * (users - 1))}@example.com`;
}

export function login(email: string): string {
  return requestText('POST /login', { json: { email, password: PASSWORD } });
}

/** A registration from a unique address, so that limits per address do not count. */
export function registration(username: string, email: string): string {
  const json = { username, email, password: PASSWORD, confirm_password: PASSWORD };
  const address = `X-Forwarded-For: 10.${randomBytes(3).join('.')}`;
  return requestText('POST /register', { json }).replace('\r\n', `\r\n${address}\r\n`);
}
