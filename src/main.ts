import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { realpathSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Express } from 'express';
import type { Knex } from 'knex';
import { container, type DependencyContainer, instanceCachingFactory } from 'tsyringe';
import { lowerPoolPriority } from './adapters/process/pool-priority.ts';
import { isWorker, startWorkers, stopWhenAlone, WorkerEnded } from './adapters/process/workers.ts';
import { Argon2Hasher } from './adapters/argon2/argon2-hasher.ts';
import { commonPasswords } from './adapters/blocklist/common-passwords.ts';
import { type Config, ConfigError, readConfig } from './adapters/config/config.ts';
import { developmentSecretPath, keptSecret } from './adapters/config/kept-secret.ts';
import type { EndpointOptions } from './adapters/http/endpoints.ts';
import { expressApp, messageClasses } from './adapters/http/express.ts';
import { affordableConnections, drain, httpServer } from './adapters/http/server.ts';
import { JwtIssuer } from './adapters/jwt/jwt-issuer.ts';
import { legacyHashes } from './adapters/legacy-hashes/legacy-hashes.ts';
import {
  attend,
  openDatabase,
  openForMigration,
  openWithoutSync,
} from './adapters/knex/database.ts';
import { clockAhead } from './adapters/knex/inspection.ts';
import { knexRepositories } from './adapters/knex/knex-repositories.ts';
import { migrate } from './adapters/knex/migrations.ts';
import { pages } from './adapters/pages/pages.ts';
import { describeFault, nameFault, print, printable } from './adapters/log/faults.ts';
import {
  memoryRepositories,
  noAttempts,
  withSpare,
} from './adapters/memory/memory-repositories.ts';

import {
  createAuth,
  type EmbeddedAuth,
  type Policy,
  type Ports,
  randomIds,
  systemClock,
} from './application/index.ts';

/** What a composition holds, by name. */
export interface Parts extends Omit<Ports, 'events'> {
  /** Its public keys, if it has any, are those that the service shows. */
  readonly tokens: Ports['tokens'] & Pick<EndpointOptions, 'publicKeys'>;
  /** Undefined where the store is memory. */
  readonly knex: Knex | undefined;
  /** Where attempts are counted, if not by `knex`: the same database, by commits that cost less. */
  readonly counts: Knex | undefined;
  readonly repositories: Pick<Ports, 'users' | 'sessions' | 'attempts'>;
  readonly policy: Policy;
  readonly auth: EmbeddedAuth;
  readonly app: Express;
}

/**
 * Puts the product together: every part as the settings say, unless `overrides` has another.
 * Each composition has a container of its own, so that any number can live in one process.
 */
export async function compose(
  config: Config,
  overrides: Partial<Parts> = {},
): Promise<Composition> {
  const { store, argon2, databasePool: connections } = config;
  const isCommonPassword = config.passwordBlocklist ? await commonPasswords() : () => false;
  const recipes: Recipes = {
    knex: () => (store.kind === 'memory' ? undefined : openDatabase(store, { connections })),
    counts: () => (store.kind === 'sqlite' ? openWithoutSync(store) : undefined),
    repositories: (part) => {
      const knex = part('knex');
      return knex ? knexRepositories(knex) : memoryRepositories();
    },
    users: (part) => part('repositories').users,
    sessions: (part) => part('repositories').sessions,
    hasher: () =>
      new Argon2Hasher({
        ...argon2,
        legacyHashes: legacyHashes(),
        onUnreadableHash: alertUnreadableHash,
      }),
    tokens: () =>
      new JwtIssuer({
        key: config.jwtKey ?? developmentSecret(store),
        previousKeys: config.jwtPreviousKeys,
        issuer: config.jwtIssuer,
        audience: config.jwtAudience,
        accessTokenTtl: config.accessTokenTtl,
        refreshTokenTtl: config.refreshTokenTtl,
      }),
    attempts: (part) => {
      if (!config.rateLimit) return noAttempts;
      const counts = part('counts');
      const { attempts } = counts ? knexRepositories(counts) : part('repositories');
      return store.kind === 'memory' ? attempts : withSpare(attempts);
    },
    clock: () => systemClock,
    ids: () => randomIds,
    policy: () => ({
      refreshRotation: config.refreshRotation,
      passwordMinLength: config.passwordMinLength,
      isCommonPassword,
    }),
    auth: (part) =>
      createAuth(
        {
          users: part('users'),
          sessions: part('sessions'),
          hasher: part('hasher'),
          tokens: part('tokens'),
          attempts: part('attempts'),
          clock: part('clock'),
          ids: part('ids'),
        },
        part('policy'),
      ),
    app: (part) =>
      expressApp(part('auth'), {
        usersAccess: config.usersAccess,
        trustProxy: config.trustProxy,
        publicKeys: part('tokens').publicKeys ?? [],
        corsOrigins: config.corsOrigins,
        pages: config.pages ? pages() : [],
        insecureCookies: config.profile === 'development',
        report: reportFault,
      }),
  };
  return new Composition(container.createChildContainer(), recipes, overrides);
}

type Part = <Name extends keyof Parts>(name: Name) => Parts[Name];
type Recipes = { readonly [Name in keyof Parts]: (part: Part) => Parts[Name] };

/** The parts, each made when first asked for. */
export class Composition {
  readonly #container: DependencyContainer;

  constructor(child: DependencyContainer, recipes: Recipes, overrides: Partial<Parts>) {
    this.#container = child;
    for (const [name, make] of Object.entries(recipes)) {
      child.register(name, { useFactory: instanceCachingFactory(() => make(this.part)) });
    }
    for (const [name, part] of Object.entries(overrides)) child.register(name, { useValue: part });
  }

  readonly part: Part = (name) => this.#container.resolve(name);

  /** Closes what the parts hold open. */
  async close(): Promise<void> {
    await Promise.all([this.part('knex')?.destroy(), this.part('counts')?.destroy()]);
  }
}

export interface Service {
  readonly url: string;
  readonly part: Part;
  /**
   * Lets requests under way finish, within the grace of the settings, then closes everything. For
   * `lastCall` milliseconds, none unless given, it still answers what comes on its connections.
   */
  readonly stop: (lastCall?: number) => Promise<void>;
}

/** Brings the database up to date and serves. */
export async function serve(config: Config, overrides: Partial<Parts> = {}): Promise<Service> {
  const { store, host, port, shutdownGrace, workers } = config;
  const composition = await compose(config, overrides);
  if (store.kind !== 'memory') {
    await migrateStore(store).catch((cause: unknown) => {
      throw new ConfigError([`DATABASE_URL cannot be used: ${nameFault(cause)}`]);
    });
  }
  const maxConnections = affordableConnections(Math.ceil(config.maxConnections / workers));
  const app = composition.part('app');
  const server = httpServer(app, { maxConnections, ...messageClasses(app) });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  }).catch((cause: unknown) => {
    throw new ConfigError([`HOST ${host}, PORT ${port} cannot be used: ${nameFault(cause)}`]);
  });
  const stopPruning = pruneRegularly(composition.part);
  const knex = composition.part('knex');
  const stopAttending = knex && attend(knex);
  return {
    url: urlOf(server.address()),
    part: composition.part,
    async stop(lastCall = 0) {
      stopPruning();
      stopAttending?.();
      await drain(server, lastCall, shutdownGrace * 1000);
      await composition.close();
    },
  };
}

const PRUNE_INTERVAL = 60 * 60 * 1000;
const PRUNE_BATCH = 1_000;
/** At most so many batches at a time: the next hour, or another process, takes the rest. */
const PRUNE_BATCHES = 1_000;
/** Seconds by which the clocks here and of the database may differ. */
const CLOCKS_APART = 60;

/** Removes sessions and counts of attempts that have passed, now and every hour; returns how to stop it. */
function pruneRegularly(part: Part): () => void {
  const auth = part('auth');
  let stopped = false;
  const prune = async () => {
    const knex = part('knex');
    const ahead = knex ? await clockAhead(knex, () => part('clock').now()) : 0;
    if (Math.abs(ahead) > CLOCKS_APART) {
      // By a clock that is wrong here, sessions that stand would be gone for good.
      print(
        `alert the database's clock is ${ahead.toFixed(0)} s ahead of this one: nothing is pruned`,
      );
      return;
    }
    for (let batch = 0; batch < PRUNE_BATCHES && !stopped; batch += 1) {
      if ((await auth.pruneExpired({ limit: PRUNE_BATCH })) < PRUNE_BATCH) break;
    }
  };
  const run = () => void prune().catch(reportFault);
  const timer = setInterval(run, PRUNE_INTERVAL).unref();
  run();
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}

/** On a pool of its own, since a migration may take longer than any request. */
async function migrateStore(store: Exclude<Config['store'], { kind: 'memory' }>): Promise<void> {
  const knex = openForMigration(store);
  try {
    await migrate(knex);
  } finally {
    await knex.destroy();
  }
}

/** Beside the database, or in `data/` where that is a server; with memory, good for this run only. */
function developmentSecret(store: Config['store']): string {
  if (store.kind === 'memory') return randomUUID() + randomUUID();
  return keptSecret(developmentSecretPath(store));
}

function urlOf(address: string | AddressInfo | null): string {
  if (address === null || typeof address === 'string') return String(address);
  const { address: host, family, port } = address;
  if (host === '127.0.0.1') return `http://localhost:${port}`;
  return `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`;
}

/** Milliseconds in which requests that clients have sent already are on their way. */
const LAST_CALL = 300;

/** Run directly: serves until SIGTERM or SIGINT; a second one ends at once. */
async function main(): Promise<void> {
  // As many frames as the line of a fault shows. A refusal is an error too, and each frame costs.
  Error.stackTraceLimit = 3;
  // A reader of the output that went away must not take the service with it.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => {});
  // What nobody caught: Node would print all of it, as it is.
  process.on('uncaughtException', (fault) => {
    reportFault(fault);
    process.exit(1);
  });
  const config = readConfig(process.env);
  const serving = config.workers > 1 && !isWorker() ? superviseWorkers(config) : serve(config);
  let stopping = false;
  const stop = () => {
    if (stopping) process.exit(1);
    stopping = true;
    if (!isWorker()) console.log('Stopping');
    serving.then((service) => service.stop(LAST_CALL)).then(() => process.exit(0), fail);
  };
  if (isWorker()) {
    // Twice where all processes of the service get it: from whoever stops them, and from the first one.
    process.once('SIGTERM', stop).on('SIGTERM', () => {});
    process.on('SIGINT', () => {}); // Of a terminal, which sends it to the whole group.
    stopWhenAlone(stop); // Nobody is left to replace this one, or to stop it.
  } else {
    process.on('SIGTERM', stop).on('SIGINT', stop);
  }
  const { url } = await serving;
  lowerPoolPriority().catch(reportFault); // It serves without, too.
  if (!stopping && !isWorker()) console.log(describe(config, url));
}

/** Serves by processes that share nothing but the port and the database. */
async function superviseWorkers(config: Config): Promise<Pick<Service, 'url' | 'stop'>> {
  const { workers, host, shutdownGrace } = config;
  const { address, stop } = await startWorkers(workers, (line) => print(`alert ${line}`));
  const { port, addressType } = address;
  const family = addressType === 6 ? 'IPv6' : 'IPv4';
  return {
    url: urlOf({ address: address.address ?? host, port, family }),
    stop: () => stop(shutdownGrace),
  };
}

/** What it runs on, and what is only good for development. */
function describe(config: Config, url: string): string {
  const { store, profile, jwtKey, workers } = config;
  const lines = [`Portcullis serves ${url} (${profile})`, `  store: ${describeStore(store)}`];
  if (workers > 1) lines.push(`  workers: ${workers}`);
  for (const notice of config.notices) lines.push(`  ! ${notice}`);
  const connections = affordableConnections(config.maxConnections);
  if (connections < config.maxConnections) {
    lines.push(
      `  at most ${connections} connections: the system's limit on open files allows no more`,
    );
  }
  if (profile === 'development') {
    lines.push('For development only; NODE_ENV=production refuses or changes:');
    if (jwtKey === undefined) {
      const kept = store.kind === 'memory' ? 'for this run only' : developmentSecretPath(store);
      lines.push(`  ! JWT_SECRET is not set: signing with one made here (${kept})`);
    }
    if (config.store.kind === 'memory') lines.push('  ! every user is lost when this process ends');
    for (const warning of config.warnings) lines.push(`  ! ${warning}`);
  }
  return lines.map(printable).join('\n');
}

function describeStore(store: Config['store']): string {
  if (store.kind === 'memory') return 'memory';
  if (store.kind === 'sqlite') return `SQLite in ${store.path}`;
  const hosts = store.hosts.map(({ host, port }) => `${host}:${port}`).join(', ');
  return `MySQL/MariaDB ${store.database} at ${hosts}`;
}

function reportFault(fault: unknown): void {
  print(`error ${describeFault(fault)}`);
}

function alertUnreadableHash(): void {
  print('alert a stored password hash cannot be read: its user cannot sign in');
}

function fail(error: unknown): never {
  if (error instanceof ConfigError) {
    for (const fault of error.faults) console.error(printable(fault));
  } else if (!(error instanceof WorkerEnded)) {
    console.error(`Portcullis cannot start: ${describeFault(error)}`);
  }
  process.exit(1);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch(fail);
}
