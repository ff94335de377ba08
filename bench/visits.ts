/** Puts the same load on several servers in turn, in rounds. */
import { inRounds, SECONDS, WARM_UP_SECONDS } from './findings.ts';
import {
  closedLoop,
  type Loop,
  type Reading,
  type TokenFile,
  type WrkOptions,
  wrk,
} from './load.ts';
import type { Server } from './stage.ts';

/** The readings by server name. */
export type Found = ReadonlyMap<string, readonly Reading[]>;
type Visitable = Pick<Server, 'url' | 'workers'>;
type Others = ReadonlyMap<string, () => Promise<Reading>>;

/** Load by wrk, with the tokens that `tokensOf` returns for each server. */
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

/** Load by `closedLoop`. `others` run in the same rounds, without a warm-up. */
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
  for (const server of servers.values()) await visit(server, WARM_UP_SECONDS);
  const visits = [...servers].map(
    ([name, server]) => [name, () => visit(server, SECONDS)] as const,
  );
  return inRounds(new Map([...visits, ...others]));
}

/** Returns the requests for these items one after the other, again and again. */
export function inTurn<Item>(items: readonly Item[], write: (item: Item) => string): () => string {
  const texts = items.map(write);
  let turn = 0;
  return () => texts[(turn += 1) % texts.length] ?? '';
}
