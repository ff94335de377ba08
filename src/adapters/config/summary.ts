import type { Config } from './config.ts';
import { developmentSecretPath } from './kept-secret.ts';

/** Where it can be reached, and what that allows. */
export interface Served {
  readonly url: string;
  /** Where Prometheus reads, if anywhere. */
  readonly metricsUrl: string | undefined;
  /** At once, as far as the system lets. */
  readonly connections: number;
}

/** What it runs on, and what is only good for development. */
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
