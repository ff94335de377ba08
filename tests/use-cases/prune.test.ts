import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type AuditLog,
  ClocksApart,
  PruneAll,
  type PruneAllPorts,
} from '../../src/application/index.ts';
import { ADA, REFRESH_TOKEN_TTL, withAda, withMethods } from '../support/fakes.ts';

const DAY_SECONDS = 24 * 60 * 60;
const YEAR_SECONDS = 365 * DAY_SECONDS;

/** A log of dates alone, which removes those before a time. */
function datesLog(dates: Date[]): AuditLog {
  return {
    append: async () => {},
    async prune(before, limit) {
      const old = dates.filter((date) => date < before).slice(0, limit);
      dates.splice(0, dates.length, ...dates.filter((date) => !old.includes(date)));
      return old.length;
    },
  };
}

async function withPorts(ports: Partial<PruneAllPorts> = {}) {
  const ada = await withAda();
  return {
    ...ada,
    prunePorts: { ...ada.ports, auditLog: undefined, clockAhead: async () => 0, ...ports },
  };
}

const prune = suite('PruneAll');

prune('removes audit records past their retention, and no younger one', async () => {
  const dates: Date[] = [];
  const { ports, prunePorts } = await withPorts({ auditLog: datesLog(dates) });
  const ago = (seconds: number) => new Date(ports.clock.now().getTime() - seconds * 1000);
  const kept = [ago(YEAR_SECONDS), ago(364 * DAY_SECONDS), ago(10 * 60 * 60), ago(0)];
  dates.push(ago(366 * DAY_SECONDS), ago(YEAR_SECONDS + 1), ...kept);
  const { auditRecords } = await new PruneAll(prunePorts, YEAR_SECONDS).execute();
  assert.is(auditRecords, 2);
  assert.equal(dates, kept);
});

prune('counts each kind that it removes', async () => {
  const { auth, ports, prunePorts } = await withPorts();
  await auth.login(ADA);
  for (const key of ['a', 'b', 'c']) await ports.attempts.add(key, 60);
  const pruneAll = new PruneAll(prunePorts, YEAR_SECONDS);
  assert.equal(await pruneAll.execute(), { sessions: 0, attempts: 0, auditRecords: 0 });
  ports.clock.advance(ports.tokens.refreshTokenTtl);
  assert.equal(await pruneAll.execute(), { sessions: 2, attempts: 3, auditRecords: 0 });
});

prune('removes batch after batch, until nothing is left or it is stopped', async () => {
  const { ports } = await withAda();
  let left = 2_500;
  const limits: number[] = [];
  const sessions = withMethods(ports.sessions, {
    async removeExpired(_now, limit) {
      limits.push(limit);
      const removed = Math.min(limit, left);
      left -= removed;
      return removed;
    },
  });
  const { prunePorts } = await withPorts({ sessions });
  const pruneAll = new PruneAll(prunePorts, YEAR_SECONDS);
  assert.is((await pruneAll.execute()).sessions, 2_500);
  assert.equal(limits, [1_000, 1_000, 1_000]);
  left = 2_500;
  assert.is((await pruneAll.execute(() => left < 2_500)).sessions, 1_000);
});

prune('removes nothing while the clocks differ by more than a minute', async () => {
  const removedAt = async (ahead: number) => {
    const { ports, prunePorts } = await withPorts({ clockAhead: async () => ahead });
    ports.clock.advance(ports.tokens.refreshTokenTtl);
    try {
      return (await new PruneAll(prunePorts, YEAR_SECONDS).execute()).sessions;
    } catch (fault) {
      if (!(fault instanceof ClocksApart)) throw fault;
      assert.is(fault.message, `the database's clock is ${ahead} s ahead of this one`);
      assert.is(await ports.sessions.removeExpired(ports.clock.now(), 10), 1, 'it is still there');
      return fault.name;
    }
  };
  assert.is(await removedAt(61), 'ClocksApart');
  assert.is(await removedAt(-61), 'ClocksApart');
  assert.is(await removedAt(60), 1);
  assert.is(await removedAt(-60), 1);
});

prune.run();

const expired = suite('PruneExpired');

expired('removes what has expired, a bounded part at a time', async () => {
  const { auth, ports } = await withAda();
  for (let i = 0; i < 4; i += 1) await auth.login(ADA);
  assert.is(await auth.pruneExpired(), 0);
  ports.clock.advance(REFRESH_TOKEN_TTL);
  assert.is(await auth.pruneExpired({ limit: 3 }), 3);
  assert.is(await auth.pruneExpired({ limit: 3 }), 2);
});

expired.run();
