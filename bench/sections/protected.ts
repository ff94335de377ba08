/** GET /protected: the user is looked up in MariaDB at each request. */
import {
  type Bar,
  ROUNDS,
  rates,
  ratioBar,
  readingsTable,
  SECONDS,
  type Section,
  type Table,
  WARM_UP_SECONDS,
} from '../findings.ts';
import type { TokenFile } from '../load.ts';
import { NAMES, type Peopled, type ServerName, type Stage } from '../stage.ts';
import { wrkRounds } from '../visits.ts';

/** The service's rate must be at least this multiple of the peer's, at this many connections. */
const BARS: readonly (readonly [connections: number, peer: ServerName, atLeast: number])[] = [
  [32, 'fastify', 2.3],
  [32, 'bare', 2.2],
  [32, 'express', 15],
  [32, 'passport', 15],
  [32, 'nest', 15],
  [32, 'better-auth', 15],
  [8, 'fastify', 1.4],
  [1, 'fastify', 1],
];
const FRESH_BAR = 1.3;
/** New tokens per second of load. */
const FRESH_RATE = 25_000;

export const protectedSection: Section = {
  name: 'protected',
  async run(stage) {
    const bars: Bar[] = [];
    const tables: Record<string, Table> = {};
    for (const connections of new Set(BARS.map(([each]) => each))) {
      const wanted = BARS.filter(([each]) => each === connections);
      const servers = await stage.servers('service', ...wanted.map(([, peer]) => peer));
      const load = { kind: 'protected', connections } as const;
      const found = await wrkRounds(servers, load, ({ accessTokens }) => accessTokens);
      for (const [, peer, atLeast] of wanted) {
        const title = `req/s at ${connections} connections, against ${NAMES[peer]}`;
        bars.push(ratioBar(title, rates(found, 'service'), rates(found, peer), { atLeast }));
      }
      tables[`${connections} connections`] = readingsTable(found);
    }
    const found = await measureFresh(stage);
    const [ours, theirs] = [rates(found, 'service'), rates(found, 'fastify')];
    const title = `req/s with tokens never seen before, against ${NAMES.fastify}`;
    bars.push(ratioBar(title, ours, theirs, { atLeast: FRESH_BAR }));
    tables['32 connections, tokens never seen before'] = readingsTable(found);
    return { bars, tables };
  },
};

/**
 * A server so fast that it uses up its tokens starts again: caches have dropped the first by then.
 */
async function measureFresh(stage: Stage) {
  const servers = await stage.servers('service', 'fastify');
  const tokens = new Map<Peopled, TokenFile>();
  for (const server of servers.values()) {
    tokens.set(
      server,
      stage.freshTokens(server, (ROUNDS * SECONDS + WARM_UP_SECONDS) * FRESH_RATE),
    );
  }
  const load = { kind: 'protected', connections: 32 } as const;
  return wrkRounds(servers, load, (server) => tokens.get(server) ?? server.accessTokens);
}
