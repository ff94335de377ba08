import * as assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../application/index.ts';
import { type Case, casesOn, type Open } from './case.ts';

/**
 * The promises of every Clock that a service runs on. `FixedClock` breaks them: it is for tests.
 */
export function clockContract(open: Open<Clock>): readonly Case[] {
  const it = casesOn<Clock>(async (check) => check(await open()));
  return [
    it('gives a time that can be read', async (clock) => {
      const now: unknown = clock.now();
      assert.ok(now instanceof Date && !Number.isNaN(now.getTime()), `seen: ${String(now)}`);
    }),
    it('tells the time of the wall clock, to the second', async (clock) => {
      const apart = clock.now().getTime() - Date.now();
      assert.ok(!(Math.abs(apart) > 1000), `it is ${apart} ms ahead`);
    }),
    it('does not stand still', async (clock) => {
      const started = clock.now().getTime();
      await sleep(50);
      // Half of the time slept. A clock that counts whole seconds would mostly not have moved at
      // all.
      const moved = clock.now().getTime() - started;
      assert.ok(!(moved < 25), `moved by ${moved} ms in 50`);
    }),
    it('is not changed through what it returned', async (clock) => {
      const now = clock.now();
      const time = now.getTime();
      now.setTime(time - 86_400_000);
      const apart = clock.now().getTime() - time;
      assert.ok(!(Math.abs(apart) > 3_600_000), `moved by ${apart} ms`);
    }),
  ];
}
