/** The peak memory of the service in each section that ran before this one. */
import { availableParallelism } from 'node:os';
import { barOf, digits, type Section } from '../findings.ts';

const OWN_MB = 150;
/** For each concurrent hash, of which there are as many as cores. */
const HASH_MB = 19_456 / 1024;

export const memorySection: Section = {
  name: 'memory',
  async run(stage) {
    const atMost = OWN_MB + HASH_MB * availableParallelism();
    return {
      bars: [...stage.peaks].map(([section, most]) =>
        barOf(`peak of memory in "${section}"`, [most], 'MB', { atMost }),
      ),
      tables: {
        [`resident, ${digits(atMost)} MB with ${availableParallelism()} hashes under way`]: [
          ...stage.peaks,
        ].map(([section, most]) => ({ section, 'peak MB': digits(most) })),
      },
    };
  },
};
