import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import type { AttemptCounter } from '../../src/application/index.ts';
import type { Case } from './cases.ts';

/** Runs a check on two counters over one new store: as two processes would have them. */
export type WithCounters = (
  use: (one: AttemptCounter, other: AttemptCounter) => Promise<void>,
) => Promise<void>;

/** What every AttemptCounter promises. */
export function attemptCounterContract(withCounters: WithCounters): Case[] {
  const it = (name: string, run: Parameters<WithCounters>[0]): Case => ({
    name,
    run: () => withCounters(run),
  });
  return [
    it('counts each key for itself, wherever it is asked', async (one, other) => {
      assert.is((await one.add('a', 1, 60)).count, 1);
      assert.is((await other.add('a', 1, 60)).count, 2);
      assert.is((await one.add('b', 1, 60)).count, 1);
      const counts = await other.read(['b', 'none', 'a']);
      assert.equal(
        counts.map((found) => found?.count),
        [1, undefined, 2],
      );
      assert.equal(await one.read([]), []);
    }),
    it('gives no two of many at once the same count', async (one, other) => {
      const counts = await Promise.all(
        Array.from({ length: 60 }, (_, i) => (i % 2 ? one : other).add('a', 1, 60)),
      );
      assert.equal(
        counts.map(({ count }) => count).toSorted((a, b) => a - b),
        Array.from({ length: 60 }, (_, i) => i + 1),
      );
    }),
    it('loses a count when its time is over, whatever was added meanwhile', async (one, other) => {
      const first = await one.add('a', 1, 1);
      assert.ok(first.secondsLeft > 0.5 && first.secondsLeft <= 1);
      const second = await other.add('a', 1, 60);
      assert.is(second.count, 2);
      assert.ok(second.secondsLeft <= 1, 'no more time than it had');
      await sleep(1100);
      assert.equal(await one.read(['a']), [undefined]);
      const third = await other.add('a', 1, 60);
      assert.is(third.count, 1);
      assert.ok(third.secondsLeft > 30);
    }),
    it('takes back', async (one, other) => {
      for (let i = 0; i < 3; i += 1) await one.add('a', 1, 60);
      assert.is((await other.add('a', -1, 60)).count, 2);
      assert.is((await one.add('a', 1, 60)).count, 3);
    }),
    it('takes nothing from a key that has no count', async (one, other) => {
      await one.add('a', -1, 60);
      assert.is((await other.add('a', 1, 60)).count, 1);
      await one.clear(['a']);
      await one.add('a', -1, 60);
      assert.is((await other.add('a', 1, 60)).count, 1);
    }),
    it('clears what it is told to, and nothing else', async (one, other) => {
      for (const key of ['a', 'b', 'c']) await one.add(key, 1, 60);
      await other.clear(['a', 'c', 'none']);
      const counts = await one.read(['a', 'b', 'c']);
      assert.equal(
        counts.map((found) => found?.count),
        [undefined, 1, undefined],
      );
      assert.is((await one.add('a', 1, 60)).count, 1);
    }),
    it('takes any text for a key, and keeps all apart', async (one) => {
      const keys = ['', ' ', 'a', 'A', 'a ', 'ä', 'a\u0308', 'ß', 'ss', '\0', '\ud800', "'", '%'];
      keys.push('x'.repeat(100_000), 'x'.repeat(100_001), '__proto__', 'constructor');
      for (const key of keys) assert.is((await one.add(key, 1, 60)).count, 1, key.slice(0, 20));
      assert.ok((await one.read(keys)).every((found) => found?.count === 1));
    }),
  ];
}
