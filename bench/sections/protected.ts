/** GET /protected: the user is looked up in MariaDB at each request. */
import {
  type Findings,
  inRounds,
  ratioBar,
  rates,
  readingsTable,
  ROUNDS,
  SECONDS,
  type Section,
  WARM_UP,
} from '../findings.ts';
import { type Reading, type TokenFile, wrk } from '../load.ts';
import { NAMES, type Peopled, type ServerName, type Stage } from '../stage.ts';

/** At so many connections: what multiple of whose rate the service's is to be. */
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
/** Tokens a second that are made for a server which nobody has seen yet. */
const FRESH_RATE = 25_000;

type Visits = Map<ServerName, () => Promise<Reading>>;

export const protectedSection: Section = {
  name: 'protected',
  async run(stage) {
    const bars = [];
    const tables: Record<string, Findings['tables'][string]> = {};
    for (const connections of new Set(BARS.map(([each]) => each))) {
      const wanted = BARS.filter(([each]) => each === connections);
      const servers = await stage.servers('service', ...wanted.map(([, peer]) => peer));
      const found = await measure(servers, connections, ({ accessTokens }) => accessTokens);
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

/** Should a server be so fast that it comes to the end of its tokens, the first are long forgotten. */
async function measureFresh(stage: Stage) {
  const servers = await stage.servers('service', 'fastify');
  const tokens = new Map<Peopled, TokenFile>();
  for (const server of servers.values()) {
    tokens.set(server, stage.freshTokens(server, (ROUNDS + 1) * SECONDS * FRESH_RATE));
  }
  return measure(servers, 32, (server) => tokens.get(server) ?? server.accessTokens);
}

async function measure(
  servers: ReadonlyMap<ServerName, Peopled>,
  connections: number,
  tokensOf: (server: Peopled) => TokenFile,
) {
  const visits = (seconds: number): Visits =>
    new Map(
      [...servers].map(([name, server]) => {
        const { url, workers } = server;
        const load = { url, kind: 'protected', tokens: tokensOf(server), connections } as const;
        return [name, () => wrk({ ...load, seconds }, workers)];
      }),
    );
  await inRounds(visits(WARM_UP), 1);
  return inRounds(visits(SECONDS));
}
