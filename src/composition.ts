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
import { openDatabase, openWithoutSync } from './adapters/knex/connection/open.ts';
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
import { Pruner } from './adapters/process/pruning.ts';
import { Readiness } from './adapters/process/readiness.ts';
import {
  type AuditLog,
  createAuth,
  type EmbeddedAuth,
  intercept,
  type Policy,
  type Ports,
  randomIds,
  systemClock,
} from './application/index.ts';

/** What a composition holds, by name. */
export interface Parts extends Omit<Ports, 'events'> {
  /** Its public keys, if it has any, are those that the service shows. */
  readonly tokens: Ports['tokens'] & Pick<EndpointOptions, 'publicKeys'>;
  readonly hasher: Ports['hasher'] & Partial<Pick<Argon2Hasher, 'load' | 'measure'>>;
  /** Undefined where the store is memory. */
  readonly knex: Knex | undefined;
  /** Where attempts are counted, if not by `knex`: the same database, by commits that cost less. */
  readonly counts: Knex | undefined;
  readonly repositories: Pick<Ports, 'users' | 'sessions' | 'attempts'>;
  readonly policy: Policy;
  readonly auth: EmbeddedAuth;
  readonly readiness: Readiness;
  readonly pruning: Pruner;
  readonly log: Log;
  /** Undefined where no audit records are kept. */
  readonly auditLog: AuditLog | undefined;
  /** Undefined where there is no such log. */
  readonly auditTrail: AuditTrail | undefined;
  /** Undefined where nothing is measured. */
  readonly metrics: Metrics | undefined;
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
    // A look-up like that of each request; no user has this id.
    readiness: (part) => new Readiness(() => part('users').findById(0)),
    pruning: (part) =>
      new Pruner({
        sessions: part('sessions'),
        attempts: part('attempts'),
        clock: part('clock'),
        auditLog: part('auditLog'),
        auditRetention: config.auditRetention,
        clockAhead: async () => {
          const knex = part('knex');
          return knex ? clockAhead(knex, () => part('clock').now()) : 0;
        },
        alert: (text) => log.alert(text),
        report: (fault) => log.error(fault),
      }),
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

export type Part = <Name extends keyof Parts>(name: Name) => Parts[Name];
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
    await this.part('auditTrail')?.close();
    await Promise.all([this.part('knex')?.destroy(), this.part('counts')?.destroy()]);
  }
}

/** Beside the database, or in `data/` where that is a server; with memory, good for this run only. */
function developmentSecret(store: Config['store']): string {
  if (store.kind === 'memory') return randomUUID() + randomUUID();
  return keptSecret(developmentSecretPath(store));
}

async function newMetrics(): Promise<Metrics> {
  const { Metrics } = await import('./adapters/metrics/metrics.ts');
  return new Metrics(API_VERSION);
}

const UNREADABLE_HASH = 'a stored password hash cannot be read: its user cannot sign in';

/**
 * Whether an SDK of OpenTelemetry is there, as `node --require` of one brings it. The package through which it
 * is reached need not be loaded to find that out.
 */
function hasTracing(): boolean {
  const registered: unknown = Reflect.get(globalThis, Symbol.for('opentelemetry.js.api.1'));
  return typeof registered === 'object' && registered !== null && 'trace' in registered;
}

/** Where LOG_FORMAT does not say: JSON in production, unless a person reads. */
export function openLog({ profile, logFormat, logLevel }: Config): Log | Promise<Log> {
  const isRead = process.stdout.isTTY || profile === 'development';
  const isJson = logFormat === 'json' || (logFormat === 'auto' && !isRead);
  return isJson ? jsonLog(logLevel) : textLog(logLevel);
}
