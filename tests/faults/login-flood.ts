/** Fault 10: ten times as many logins as there can be, at the costs that are usual. */
import { figuresOf, flood } from '../../bench/flood.ts';
import type { Scenario } from './scenario.ts';

export const loginFlood: Scenario = {
  number: 10,
  title: 'a flood of logins at ten times capacity',
  run: async ({ isLong }) => {
    const measured = await flood(isLong ? { slices: 20, seconds: 6 } : { slices: 3, seconds: 4 });
    const others = measured.floods.map((slice) => slice.others.toFixed(2)).join(', ');
    console.log(`Cores that others kept busy during the floods: ${others}`);
    return figuresOf(measured);
  },
};
