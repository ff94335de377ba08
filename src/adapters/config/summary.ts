import type { Config } from './config.ts';
import { developmentSecretPath } from './kept-secret.ts';

/** How the service can be reached. */
export interface Served {
  readonly url: string;
  /** Undefined if no metrics are served. */
  readonly metricsUrl: string | undefined;
  /** The most connections that the limits of the system allow. */
  readonly connections: number;
}

/** The lines printed at the start: address, store, and warnings. */
export function summaryOf(config: Config, served: Served): readonly string[] {
  const { url, metricsUrl, connections } = served;
  const { store, profile, jwtKey, workers } = config;
  const lines = [`Portcullis serves ${url} (${profile})`, `  store: ${describeStore(store)}`];
  if (metricsUrl !== undefined) lines.push(`  metrics: ${metricsUrl}`);
  if (workers > 1) lines.push(`  workers: ${workers}`);
  for (const notice of config.notices) lines.push(`  ! ${notice}`);
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
  return lines;
}

function describeStore(store: Config['store']): string {
  if (store.kind === 'memory') return 'memory';
  if (store.kind === 'sqlite') return `SQLite in ${store.path}`;
  const hosts = store.hosts.map(({ host, port }) => `${host}:${port}`).join(', ');
  return `MySQL/MariaDB ${store.database} at ${hosts}`;
}
