import * as assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttemptCounter, Ports } from '../application/index.ts';
import { atOnce, type Case, type Closable, casesOn, type Open, withOpened } from './case.ts';

/** A new, empty counter for a case of a contract. */
export interface OpenedCounter extends Pick<Ports, 'attempts'>, Closable {
  /** The same counts, as another process would open them. Default: the same counter. */
  readonly other?: Pick<Ports, 'attempts'>;
}

/** Two views of the same counts: `one` and `other` stand for two processes. */
interface Counters {
  readonly one: AttemptCounter;
  readonly other: AttemptCounter;
}

/** The promises of every AttemptCounter. `open` returns a new, empty counter for each case. */
export function attemptCounterContract(open: Open<OpenedCounter>): readonly Case[] {
  const it = casesOn<Counters>((check) =>
    withOpened(open, ({ attempts, other }) =>
      check({ one: attempts, other: other?.attempts ?? attempts }),
    ),
  );
  return [
    it('counts each key for itself, wherever it is asked', async ({ one, other }) => {
      assert.equal((await one.add('a', 60)).count, 1);
      assert.equal((await other.add('a', 60)).count, 2);
      assert.equal((await one.add('b', 60)).count, 1);
      const counts = await other.read(['b', 'none', 'a']);
      assert.deepEqual(
        counts.map((found) => found?.count),
        [1, undefined, 2],
      );
      assert.deepEqual(await one.read([]), []);
    }),
    it('gives no two of many at once the same count', async ({ one, other }) => {
      const counts = await atOnce(60, [one, other], (counter) => counter.add('a', 60));
      assert.deepEqual(
        counts.map(({ count }) => count).toSorted((a, b) => a - b),
        Array.from({ length: 60 }, (_, i) => i + 1),
      );
    }),
    it('loses a count when its time is over', async ({ one, other }) => {
      const { secondsLeft } = await one.add('a', 1);
      assert.ok(secondsLeft > 0.5 && secondsLeft <= 1, `${secondsLeft} s left of 1`);
      await sleep(1100);
      assert.deepEqual(await one.read(['a']), [undefined]);
      const next = await other.add('a', 60);
      assert.equal(next.count, 1);
      assert.ok(
        next.secondsLeft > 30 && next.secondsLeft <= 60,
        `${next.secondsLeft} s left of 60`,
      );
    }),
    it('gives a count no more time for what is added to it', async ({ one, other }) => {
      await one.add('a', 20);
      const { count, secondsLeft } = await other.add('a', 60);
      assert.equal(count, 2);
      assert.ok(secondsLeft <= 20, `${secondsLeft} s left of 20`);
      const [read] = await one.read(['a']);
      assert.ok(read && read.secondsLeft <= 20, `${read?.secondsLeft} s left of 20, read`);
    }),
    it('takes back, from all keys that are named', async ({ one, other }) => {
      for (let i = 0; i < 3; i += 1) await one.add('a', 60);
      for (const key of ['b', 'c']) await one.add(key, 60);
      await other.subtract(['a', 'b', 'none']);
      const counts = await one.read(['a', 'b', 'c']);
      assert.deepEqual(
        counts.map((found) => found?.count ?? 0),
        [2, 0, 1],
      );
      assert.equal((await one.add('a', 60)).count, 3);
      await one.subtract([]);
    }),
    it('loses none of many that are taken back at once', async ({ one, other }) => {
      for (let i = 0; i < 30; i += 1) await one.add('a', 60);
      await atOnce(20, [one, other], (counter) => counter.subtract(['a', 'b']));
      assert.equal((await one.add('a', 60)).count, 11);
    }),
    it('takes nothing from a key that has no count', async ({ one, other }) => {
      await one.subtract(['a']);
      assert.equal((await other.add('a', 60)).count, 1);
      for (let i = 0; i < 3; i += 1) await one.subtract(['a']);
      assert.equal((await other.add('a', 60)).count, 1);
      await one.clear(['a']);
      await one.subtract(['a']);
      assert.equal((await other.add('a', 60)).count, 1);
    }),
    it('clears what it is told to, and nothing else', async ({ one, other }) => {
      for (const key of ['a', 'b', 'c']) await one.add(key, 60);
      await other.clear(['a', 'c', 'none']);
      const counts = await one.read(['a', 'b', 'c']);
      assert.deepEqual(
        counts.map((found) => found?.count),
        [undefined, 1, undefined],
      );
      assert.equal((await one.add('a', 60)).count, 1);
      await one.clear([]);
    }),
    it('removes what has passed, up to a limit, and nothing else', async ({ one, other }) => {
      for (const key of ['a', 'b', 'c']) await one.add(key, 1);
      await one.add('lasting', 60);
      assert.equal(await one.removeExpired(10), 0);
      await sleep(1100);
      assert.equal(await other.removeExpired(2), 2);
      assert.equal(await one.removeExpired(2), 1);
      assert.equal(await one.removeExpired(2), 0);
      assert.equal((await one.read(['lasting']))[0]?.count, 1);
    }),
    it('removes no count that has passed and begun anew', async ({ one, other }) => {
      const keys = Array.from({ length: 40 }, (_, i) => `key ${i}`);
      await Promise.all(keys.map((key) => one.add(key, 1)));
      await sleep(1100);
      const removed = keys.map(() => one.removeExpired(4));
      const added = await Promise.all(keys.map((key) => other.add(key, 60)));
      assert.ok(added.every(({ count }) => count === 1));
      await Promise.all(removed);
      const counts = await one.read(keys);
      assert.deepEqual(
        counts.map((found) => found?.count),
        keys.map(() => 1),
      );
    }),
    it('takes any text for a key, and keeps all apart', async ({ one }) => {
      const keys = ['', ' ', 'a', 'A', 'a ', 'ä', 'a\u0308', 'ß', 'ss', '\0', '\ud800', "'", '%'];
      keys.push('x'.repeat(100_000), 'x'.repeat(100_001), '__proto__', 'constructor');
      for (const key of keys) {
        const shown = JSON.stringify(key.slice(0, 20));
        assert.equal((await one.add(key, 60)).count, 1, `the key ${shown}`);
      }
      const counts = await one.read(keys);
      assert.deepEqual(
        counts.map((found) => found?.count),
        keys.map(() => 1),
      );
    }),
  ];
}
