/** Rounds of visits to servers, each with the same load. */
import { inRounds, SECONDS, WARM_UP } from './findings.ts';
import {
  closedLoop,
  type Loop,
  type Reading,
  type TokenFile,
  type WrkOptions,
  wrk,
} from './load.ts';
import type { Server } from './stage.ts';

/** By the names of the servers. */
export type Found = ReadonlyMap<string, readonly Reading[]>;
type Visitable = Pick<Server, 'url' | 'workers'>;
type Others = ReadonlyMap<string, () => Promise<Reading>>;

/** By wrk, with the tokens that `tokensOf` gives for each server. */
export function wrkRounds<Visited extends Visitable>(
  servers: ReadonlyMap<string, Visited>,
  load: Pick<WrkOptions, 'kind' | 'connections'>,
  tokensOf: (server: Visited) => TokenFile,
): Promise<Found> {
  return warmRounds(servers, (server, seconds) => {
    const { url, workers } = server;
    return wrk({ ...load, url, tokens: tokensOf(server), seconds }, workers);
  });
}

/** By the cheap client; `others` are visited along with the servers, and not warmed. */
export function loopRounds<Visited extends Visitable>(
  servers: ReadonlyMap<string, Visited>,
  load: Pick<Loop, 'inFlight' | 'status'>,
  nextOf: (server: Visited) => () => string,
  others: Others = new Map(),
): Promise<Found> {
  const visit = (server: Visited, seconds: number) =>
    closedLoop({ ...load, url: server.url, seconds, next: nextOf(server) }, server.workers);
  return warmRounds(servers, visit, others);
}

async function warmRounds<Visited extends Visitable>(
  servers: ReadonlyMap<string, Visited>,
  visit: (server: Visited, seconds: number) => Promise<Reading>,
  others: Others = new Map(),
): Promise<Found> {
  for (const server of servers.values()) await visit(server, WARM_UP);
  const visits = [...servers].map(
    ([name, server]) => [name, () => visit(server, SECONDS)] as const,
  );
  return inRounds(new Map([...visits, ...others]));
}

/** Requests made of these, again and again. */
export function inTurn<Item>(items: readonly Item[], write: (item: Item) => string): () => string {
  const texts = items.map(write);
  let turn = 0;
  return () => texts[(turn += 1) % texts.length] ?? '';
}
