import { setTimeout as sleep } from 'node:timers/promises';
import { integrityOf } from './contents.ts';
import { onEach } from './databases.ts';
import { isInDoubt, type Outcome } from './history.ts';
import { REGISTRATIONS, startLoad } from './load.ts';
import { exactly, figure, type Scenario } from './scenario.ts';
import { acknowledged, most, onTrial, slowest } from './trial.ts';

const KILLS = 50;
const CLIENTS = 16;

/** Kills the service in a flood of registrations, again and again. */
export const killedService: Scenario = {
  number: 1,
  title: 'kill -9 of the service in a flood of registrations',
  run: ({ isLong }) =>
    onEach(['MariaDB', 'SQLite'], async ({ name, next }) => {
      const databaseUrl = await next();
      const kills = isLong ? KILLS * 10 : KILLS;
      const figures = await onTrial(
        { name, databaseUrl, mayLoseConnections: true },
        async (trial) => {
          const { service, history } = trial;
          const load = startLoad(history, {
            url: () => service.url,
            clients: CLIENTS,
            mix: REGISTRATIONS,
          });
          const starts: number[] = [];
          let interrupted = 0;
          while (starts.length < kills) {
            // Anywhere in what it does.
            await sleep(50 + Math.random() * 450);
            const before = history.entries.length;
            await service.kill();
            starts.push(await service.start());
            const cut = history.entries.slice(before).some(({ outcome }) => isCutOff(outcome));
            if (cut) interrupted += 1;
          }
          await load.stop();
          return [
            acknowledged(trial, 10 * kills),
            figure('kills that cut requests off', interrupted, '', { atLeast: kills * 0.9 }),
            figure('slowest restart until healthy', most(starts), 'ms', { atMost: 2_000 }),
            slowest(trial),
          ];
        },
      );
      if (name !== 'SQLite') return figures;
      const isWhole = integrityOf(databaseUrl) === 'ok';
      return [...figures, exactly('SQLite: integrity_check finds faults', Number(!isWhole), 0)];
    }),
};

function isCutOff(outcome: Outcome): boolean {
  return 'fault' in outcome && isInDoubt(outcome);
}
