/** The cost of the HTTP host alone, against a node:http server that replies with the same bytes. */
import { join } from 'node:path';
import { startProgram } from '../../tests/support/service.ts';
import { rates, ratioBar, readingsTable, type Section } from '../findings.ts';
import { wrkRounds } from '../visits.ts';

const BAR = 0.75;
const HOST = 'the HTTP host';
const BYTES = 'node:http, the same bytes';
const PLAIN = 'node:http, "hello"';
/** As long as a token of the service. */
const TOKEN = `${'h'.repeat(100)}.${'p'.repeat(280)}.${'s'.repeat(43)}`;

export const helloSection: Section = {
  name: 'hello',
  async run(stage) {
    const start = (kind: string, env = {}) =>
      startProgram(env, [process.execPath, join(import.meta.dirname, '../hello.mjs'), kind]);
    const host = await start('host');
    const bytes = await start('bytes', { TEMPLATE_URL: host.url });
    const plain = await start('plain');
    try {
      const servers = new Map(
        Object.entries({ [HOST]: host, [BYTES]: bytes, [PLAIN]: plain }).map(([name, program]) => {
          const workers = { server: program.process.pid ?? 0, database: undefined };
          return [name, { url: program.url, workers }] as const;
        }),
      );
      const tokens = stage.tokenFile([TOKEN]);
      const load = { kind: 'protected', connections: 32 } as const;
      const found = await wrkRounds(servers, load, () => tokens);
      const bound = { atLeast: BAR };
      return {
        bars: [ratioBar(`req/s, against ${BYTES}`, rates(found, HOST), rates(found, BYTES), bound)],
        tables: { '32 connections, no database': readingsTable(found) },
      };
    } finally {
      for (const program of [host, bytes, plain]) await program.end('SIGKILL');
    }
  },
};
