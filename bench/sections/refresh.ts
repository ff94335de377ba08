/** POST /refresh: the service looks up a session in the database; its peers have no sessions. */
import { rates, ratioBar, readingsTable, type Section } from '../findings.ts';
import { NAMES } from '../stage.ts';
import { wrkRounds } from '../visits.ts';

const BAR = 1.5;

export const refreshSection: Section = {
  name: 'refresh',
  async run(stage) {
    const servers = await stage.servers('service', 'bare', 'fastify', 'express', 'nest');
    const load = { kind: 'refresh', connections: 32 } as const;
    const found = await wrkRounds(servers, load, ({ refreshTokens }) => refreshTokens);
    const title = `req/s, against ${NAMES.bare} without sessions`;
    const bar = ratioBar(title, rates(found, 'service'), rates(found, 'bare'), { atLeast: BAR });
    return { bars: [bar], tables: { '32 connections': readingsTable(found) } };
  },
};
