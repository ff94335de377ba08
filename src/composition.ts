import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import type { Express } from 'express';
import type { Knex } from 'knex';
import { container, type DependencyContainer, instanceCachingFactory } from 'tsyringe';
import { Argon2Hasher } from './adapters/argon2/argon2-hasher.ts';
import { commonPasswords } from './adapters/blocklist/common-passwords.ts';
import type { Config } from './adapters/config/config.ts';
import { developmentSecretPath, keptSecret } from './adapters/config/kept-secret.ts';
import type { EndpointOptions } from './adapters/http/contract/endpoints.ts';
import { API_VERSION } from './adapters/http/contract/version.ts';
import { expressApp } from './adapters/http/hosts/express.ts';
import { JwtIssuer } from './adapters/jwt/jwt-issuer.ts';
import { legacyHashes } from './adapters/argon2/legacy-hashes.ts';
import { openDatabase, openForCounts } from './adapters/knex/connection/open.ts';
import { clockAhead } from './adapters/knex/operator/inspection.ts';
import { knexRepositories } from './adapters/knex/repositories.ts';
import type { Metrics } from './adapters/metrics/metrics.ts';
import { pages } from './adapters/pages/pages.ts';
import { AuditTrail } from './adapters/audit/audit-trail.ts';
import { KnexAudit } from './adapters/knex/audit.ts';
import { auditInto, jsonLog, type Log, textLog } from './adapters/log/log.ts';
import {
  memoryRepositories,
  noAttempts,
  withFallback,
} from './adapters/memory/memory-repositories.ts';
import { Readiness } from './adapters/process/readiness.ts';
import {
  type AuditLog,
  createAuth,
  type EmbeddedAuth,
  intercept,
  type Policy,
  type Ports,
  PruneAll,
  randomIds,
  systemClock,
} from './application/index.ts';

/** The parts of the product, by name. */
export interface Parts extends Omit<Ports, 'events'> {
  /** The service publishes its public keys, if it has any. */
  readonly tokens: Ports['tokens'] & Pick<EndpointOptions, 'publicKeys'>;
  readonly hasher: Ports['hasher'] & Partial<Pick<Argon2Hasher, 'load' | 'measure'>>;
  /** Undefined if the store is memory. */
  readonly knex: Knex | undefined;
  /** For counting attempts on SQLite: the same file, with cheaper commits. Else undefined. */
  readonly counts: Knex | undefined;
  readonly repositories: Pick<Ports, 'users' | 'sessions' | 'attempts'>;
  readonly policy: Policy;
  readonly auth: EmbeddedAuth;
  readonly readiness: Readiness;
  readonly pruneAll: PruneAll;
  readonly log: Log;
  /** Undefined if no audit records are kept. */
  readonly auditLog: AuditLog | undefined;
  /** Undefined if there is no audit log. */
  readonly auditTrail: AuditTrail | undefined;
  /** Undefined if METRICS_PORT is not set. */
  readonly metrics: Metrics | undefined;
  readonly app: Express;
}

/**
 * Composes the product: each part is made from the settings, unless `overrides` holds one. Each
 * composition has its own container, so several can live in one process.
 */
export async function compose(
  config: Config,
  overrides: Partial<Parts> = {},
): Promise<Composition> {
  const { store, argon2, databasePool: connections } = config;
  const isCommonPassword = config.passwordBlocklist ? await commonPasswords() : () => false;
  const metrics = config.metrics && (await newMetrics());
  const tracing = hasTracing() ? await import('./adapters/tracing/tracing.ts') : undefined;
  const log = overrides.log ?? (await openLog(config));
  const recipes: Recipes = {
    log: () => log,
    auditLog: (part) => {
      if (config.audit === 'log') return auditInto(log);
      const knex = part('knex');
      return config.audit === 'table' && knex ? new KnexAudit(knex) : undefined;
    },
    auditTrail: (part) => {
      const kept = part('auditLog');
      if (kept === undefined) return undefined;
      return new AuditTrail({
        log: kept,
        now: () => part('clock').now(),
        alert: (text) => log.alert(text),
        report: (fault) => log.error(fault),
      });
    },
    metrics: () => metrics,
    knex: () => (store.kind === 'memory' ? undefined : openDatabase(store, { connections })),
    counts: () => (store.kind === 'memory' ? undefined : openForCounts(store)),
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
        onUnreadableHash: () => log.alert(UNREADABLE_HASH),
        ...(metrics && { onHash: metrics.onHash }),
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
      return store.kind === 'memory' ? attempts : withFallback(attempts);
    },
    clock: () => systemClock,
    ids: () => randomIds,
    policy: () => ({
      refreshRotation: config.refreshRotation,
      passwordMinLength: config.passwordMinLength,
      isCommonPassword,
    }),
    auth: (part) => {
      const auth = createAuth(
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
      );
      part('auditTrail')?.listen(auth);
      const measured = metrics ? intercept(auth, metrics.around) : auth;
      return tracing ? intercept(measured, tracing.around) : measured;
    },
    // The look-up that each request makes. No user has this id.
    readiness: (part) => new Readiness(() => part('users').findById(0)),
    pruneAll: (part) =>
      new PruneAll(
        {
          sessions: part('sessions'),
          attempts: part('attempts'),
          clock: part('clock'),
          auditLog: part('auditLog'),
          clockAhead: async () => {
            const knex = part('knex');
            return knex ? clockAhead(knex, () => part('clock').now()) : 0;
          },
        },
        config.auditRetention,
      ),
    app: (part) =>
      expressApp(part('auth'), {
        usersAccess: config.usersAccess,
        trustProxy: config.trustProxy,
        publicKeys: part('tokens').publicKeys ?? [],
        isReady: part('readiness').isReady,
        corsOrigins: config.corsOrigins,
        pages: config.pages ? pages(config.passwordMinLength) : [],
        insecureCookies: config.profile === 'development',
        requestIds: config.accessLog,
        around: tracing?.inTraceOf,
        report: (fault, request) =>
          log.error(fault, request && { ...request, requestId: request.id }),
      }),
  };
  return new Composition(container.createChildContainer(), recipes, overrides);
}

export type GetPart = <Name extends keyof Parts>(name: Name) => Parts[Name];
type Recipes = { readonly [Name in keyof Parts]: (part: GetPart) => Parts[Name] };

/** Makes each part when it is first asked for. */
export class Composition {
  readonly #container: DependencyContainer;

  constructor(child: DependencyContainer, recipes: Recipes, overrides: Partial<Parts>) {
    this.#container = child;
    for (const [name, make] of Object.entries(recipes)) {
      child.register(name, { useFactory: instanceCachingFactory(() => make(this.part)) });
    }
    for (const [name, part] of Object.entries(overrides)) child.register(name, { useValue: part });
  }

  readonly part: GetPart = (name) => this.#container.resolve(name);

  /** Writes the waiting audit records, then closes the database connections. */
  async close(): Promise<void> {
    await this.part('auditTrail')?.close();
    await Promise.all([this.part('knex')?.destroy(), this.part('counts')?.destroy()]);
  }
}

/** Reads or makes the secret of development. With memory it lasts for this run only. */
function developmentSecret(store: Config['store']): string {
  if (store.kind === 'memory') return randomUUID() + randomUUID();
  return keptSecret(developmentSecretPath(store));
}

async function newMetrics(): Promise<Metrics> {
  const { Metrics } = await import('./adapters/metrics/metrics.ts');
  return new Metrics(API_VERSION);
}

const UNREADABLE_HASH = 'a stored password hash cannot be read: its user cannot sign in';

/** Whether an OpenTelemetry SDK is registered, without loading `@opentelemetry/api` to find out. */
function hasTracing(): boolean {
  const registered: unknown = Reflect.get(globalThis, Symbol.for('opentelemetry.js.api.1'));
  return typeof registered === 'object' && registered !== null && 'trace' in registered;
}

/** With LOG_FORMAT=auto: JSON in production, unless the output is a terminal. */
export function openLog({ profile, logFormat, logLevel }: Config): Log | Promise<Log> {
  const isRead = process.stdout.isTTY || profile === 'development';
  const isJson = logFormat === 'json' || (logFormat === 'auto' && !isRead);
  return isJson ? jsonLog(logLevel) : textLog(logLevel);
}
