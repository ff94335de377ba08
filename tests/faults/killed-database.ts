import { setTimeout as sleep } from 'node:timers/promises';
import { newDatabase, withMariadb } from './databases.ts';
import { startLoad } from './load.ts';
import { exactly, figure, type Scenario } from './scenario.ts';
import { acknowledged, most, onTrial, slowest, untilWriting } from './trial.ts';

const KILLS = 20;
const CLIENTS = 16;

/** Kills the database under a mixed load, again and again. */
export const killedDatabase: Scenario = {
  number: 2,
  title: 'kill -9 of the database',
  run: ({ isLong }) =>
    withMariadb([], async (database) => {
      const databaseUrl = await newDatabase(database);
      const kills = isLong ? KILLS * 10 : KILLS;
      return onTrial({ name: 'MariaDB', databaseUrl }, async (trial) => {
        const { service, history } = trial;
        const { pid } = service;
        const load = startLoad(history, { url: () => service.url, clients: CLIENTS });
        const returns: number[] = [];
        let failed = 0;
        while (returns.length < kills) {
          await sleep(300 + Math.random() * 700);
          const before = history.entries.length;
          await database.kill();
          // Longer than retries go on for, at times.
          await sleep(Math.random() * 4_000 * Number(returns.length % 4 === 0));
          await database.start();
          returns.push(await untilWriting(trial));
          const during = history.entries.slice(before);
          if (during.some(({ outcome }) => 'status' in outcome && outcome.status === 500)) {
            failed += 1;
          }
        }
        await load.stop();
        const isSame = service.isRunning && service.pid === pid;
        return [
          acknowledged(trial, 10 * kills),
          figure('kills that were felt', failed, '', { atLeast: kills / 5 }),
          figure('longest until it serves again', most(returns), 'ms', { atMost: 5_000 }),
          exactly('restarts of the service', Number(!isSame), 0),
          slowest(trial),
        ];
      });
    }),
};
