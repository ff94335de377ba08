import { setTimeout as sleep } from 'node:timers/promises';
import { newDatabase, withMariadb } from './databases.ts';
import { startLoad } from './load.ts';
import { figure, type Scenario } from './scenario.ts';
import { tcpProxy } from './tcp-proxy.ts';
import { acknowledged, onTrial, slowest } from './trial.ts';

const SECONDS = 20;
const CLIENTS = 16;
/** Milliseconds. */
const DELAY = 3;

/** Resets all connections to the database, once a second, under a mixed load. */
export const resetConnections: Scenario = {
  number: 3,
  title: 'connections reset every second',
  run: ({ isLong }) =>
    withMariadb([], async (database) => {
      const directUrl = await newDatabase(database);
      const proxy = await tcpProxy(database.port);
      try {
        const databaseUrl = directUrl.replace(`:${database.port}/`, `:${proxy.port}/`);
        return await onTrial({ name: 'MariaDB', databaseUrl, directUrl }, async (trial) => {
          const { service, history } = trial;
          const load = startLoad(history, { url: () => service.url, clients: CLIENTS });
          let resets = 0;
          for (let second = 0; second < (isLong ? SECONDS * 10 : SECONDS); second += 1) {
            // Where answers take a while, more of them are under way when the connection ends.
            proxy.delay(second % 2 === 0 ? 0 : DELAY);
            await sleep(1_000);
            resets += proxy.resetAll();
          }
          await load.stop();
          const { length } = history.entries;
          const failed = history.count((_, { status }) => status === 500);
          return [
            acknowledged(trial, 500),
            figure('connections reset', resets, '', { atLeast: SECONDS }),
            figure('answers with 500', (100 * failed) / length, '%', { atMost: 1 }),
            slowest(trial),
          ];
        });
      } finally {
        await proxy.close();
      }
    }),
};
