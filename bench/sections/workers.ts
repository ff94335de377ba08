/** WORKERS=auto against one worker, at GET /protected with the user in memory. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import { temporaryFolder } from '../../tests/support/programs.ts';
import { startProgram } from '../../tests/support/service.ts';
import { rates, ratioBar, readingsTable, roundsOf, type Section } from '../findings.ts';
import { wrkRounds } from '../visits.ts';

const BAR = 1.7;
const CLAIMS = { userId: 1, sessionId: 'session', tokenId: 'token' };

export const workersSection: Section = {
  name: 'workers',
  async run(stage) {
    const folder = temporaryFolder();
    const start = (workers: string) =>
      startProgram(
        {
          PORT: '0',
          JWT_SECRET: stage.secret,
          WORKERS: workers,
          // Unused by GET /protected, but several workers need a shared database.
          DATABASE_URL: `sqlite:${join(folder.path, 'shared.sqlite')}`,
        },
        [process.execPath, join(import.meta.dirname, '../in-memory.mjs')],
      );
    const one = await start('1');
    const many = await start('auto');
    try {
      const servers = new Map(
        Object.entries({ one, many }).map(([name, program]) => {
          const workers = { server: program.process.pid ?? 0, database: undefined };
          return [name, { url: program.url, workers }] as const;
        }),
      );
      const token = await new JwtIssuer({ key: stage.secret }).issueAccessToken(CLAIMS, new Date());
      const tokens = stage.tokenFile([token]);
      const load = { kind: 'protected', connections: 64 } as const;
      const found = await wrkRounds(servers, load, () => tokens);
      const cores = availableParallelism();
      const costs = (name: string) => roundsOf(found, name).map(({ serverCpu }) => serverCpu);
      return {
        bars: [
          ratioBar(
            `req/s of ${cores} workers against one, the load maker on the same ${cores} cores`,
            rates(found, 'many'),
            rates(found, 'one'),
            { atLeast: BAR },
          ),
          // On few cores the load maker slows the workers down, so their CPU per request counts.
          ratioBar(
            `CPU a request with ${cores} workers against one: what they would do on cores of their own`,
            costs('many'),
            costs('one'),
            { atMost: cores / BAR },
          ),
        ],
        tables: { '64 connections, the user in memory': readingsTable(found) },
      };
    } finally {
      for (const program of [one, many]) await program.end('SIGTERM');
      folder.remove();
    }
  },
};
