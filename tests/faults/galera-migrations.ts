/** Fault 11 on Galera: many processes migrate one empty cluster at once, through all of its nodes. */
import { galeraCluster } from '../support/galera.ts';
import { raceOn } from './migration-races.ts';
import type { Scenario } from './scenario.ts';

const ROUNDS = 10;
const KILLS = 3;

export const galeraMigrations: Scenario = {
  number: 11,
  title: 'eight processes migrate an empty Galera cluster at once',
  async run({ isLong }) {
    const times = isLong ? 10 : 1;
    const cluster = await galeraCluster();
    const { nodes } = cluster;
    const [node] = nodes;
    let databases = 0;
    const waysTo = (database: string) =>
      nodes.map(({ host, port }) => `mysql://client:client@${host}:${port}/${database}`);
    try {
      const next = async () => {
        databases += 1;
        await node.query(`CREATE DATABASE fault_${databases}`);
        return waysTo(`fault_${databases}`)[0] ?? '';
      };
      const ways = (url: string) => waysTo(url.slice(url.lastIndexOf('/') + 1));
      return await raceOn({ name: 'Galera', next, ways }, ROUNDS * times, KILLS * times);
    } finally {
      await cluster.remove();
    }
  },
};
