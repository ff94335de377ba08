import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AuditTrail } from '../../src/adapters/audit/audit-trail.ts';
import { type ConfigError, readConfig } from '../../src/adapters/config/config.ts';
import { KnexAudit } from '../../src/adapters/knex/audit.ts';
import {
  type AuditLog,
  type AuditRecord,
  canonicalEmail,
  createAuth,
  Listeners,
} from '../../src/application/index.ts';
import { fakePorts } from '../support/fakes.ts';
import { ADA, call, registered, startProgram, TEST_ENV, withService } from '../support/service.ts';
import { isAvailable, withDatabases } from '../support/stores.ts';

const DATABASES = ['SQLite', 'MariaDB'] as const;

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries === 200) assert.unreachable(`never: ${what}`);
    await sleep(50);
  }
}

const table = suite('The table of audit records');

for (const store of DATABASES) {
  const onStore = (name: string, test: () => Promise<void>) => {
    if (isAvailable(store)) table(`on ${store} ${name}`, test);
    else table.skip(`on ${store} ${name}`, test);
  };

  onStore('has who did what, when, from where and how it ended, and no email', () =>
    withService(store, { env: { AUDIT: 'table' } }, async ({ url, part }) => {
      const { access_token: token, refresh_token } = await registered(url);
      await call(url, 'POST /login', { json: ADA });
      await call(url, 'POST /login', { json: { ...ADA, password: 'wrong horse' } });
      await call(url, 'POST /login', { json: { ...ADA, email: 'correct horse' } });
      await call(url, 'POST /refresh', { json: { refresh_token } });
      const change = { current_password: ADA.password, password: 'battery staple' };
      const json = { ...change, confirm_password: 'battery staple' };
      const wrongly = { ...json, current_password: 'wrong horse' };
      await call(url, 'POST /password', { token, json: wrongly });
      await call(url, 'POST /password', { token, json });
      await call(url, 'POST /logout', { json: { refresh_token } });
      await call(url, 'DELETE /account', { token, json: { password: 'wrong horse' } });
      await call(url, 'DELETE /account', { token, json: { password: 'battery staple' } });
      const knex = part('knex');
      if (knex === undefined) return assert.unreachable();
      await until('nine records', async () => {
        return (await knex('audit_events').pluck('id')).length === 9;
      });
      const rows = await knex('audit_events').orderBy('date_created').select();
      const told = rows.map(
        ({ event, outcome, reason, user_id, account, address }) =>
          [event, outcome, reason, user_id && Number(user_id), account, address] as const,
      );
      const from = '127.0.0.1';
      const wrong = ['loginRejected', 'failure', 'invalid_credentials', null] as const;
      const expected = [
        ['registered', 'success', null, 1, null, from],
        ['loggedIn', 'success', null, 1, null, from],
        [...wrong, sha256(ADA.email), from],
        [...wrong, null, from],
        ['passwordChangeRejected', 'failure', 'wrong_password', 1, null, from],
        ['passwordChanged', 'success', null, 1, null, from],
        ['loggedOut', 'success', null, 1, null, null],
        ['accountDeletionRejected', 'failure', 'wrong_password', 1, null, from],
        ['accountDeleted', 'success', null, 1, null, from],
      ];
      const sorted = (all: readonly unknown[]) => all.map((one) => JSON.stringify(one)).toSorted();
      assert.equal(sorted(told), sorted(expected));
      assert.not.match(JSON.stringify(rows), /example\.com|horse|staple|argon2|eyJ/);
    }),
  );

  onStore('keeps a record once, all of a batch or none, and removes what is old', () =>
    withDatabases(store, async (one, other) => {
      if (one === undefined || other === undefined) return;
      const [audit, again] = [new KnexAudit(one), new KnexAudit(other)];
      await Promise.all([audit.makeTable(), again.makeTable()]);
      await audit.makeTable();
      const count = async () => (await one('audit_events').pluck('id')).length;
      const records = Array.from({ length: 13 }, (_, i) => record(i));
      await audit.append([]);
      await audit.append(records);
      await again.append([...records, record(13)]);
      assert.is(await count(), 14);
      const broken = { ...record(15), event: null } as unknown as AuditRecord;
      if (store === 'SQLite') {
        // Of MySQL, IGNORE makes a warning of it.
        const ended = await audit.append([record(14), broken]).catch(() => 'refused');
        assert.is(ended, 'refused');
        assert.is(await count(), 14);
      }
      const before = record(10).date;
      assert.is(await audit.prune(before, 4), 4);
      assert.is(await audit.prune(before, 100), 6);
      assert.is(await audit.prune(before, 100), 0);
      const left = await one('audit_events').orderBy('date_created').pluck<string[]>('id');
      assert.equal(left, ['10', '11', '12', '13']);
    }),
  );
}

function record(i: number): AuditRecord {
  return {
    id: String(i),
    date: new Date(Date.UTC(2026, 0, 1, 0, i)),
    event: 'loggedIn',
    outcome: 'success',
    reason: null,
    userId: 1,
    account: null,
    sessionId: `s${i}`,
    address: 'x'.repeat(300),
  };
}

table('cannot be had with memory', () => {
  try {
    readConfig({ DATABASE_URL: 'memory:', AUDIT: 'table' });
    assert.unreachable();
  } catch (error) {
    assert.equal((error as ConfigError).faults, [
      'AUDIT cannot be table with memory: there are no tables',
    ]);
  }
});

table.run();

const trail = suite('The audit trail');

function trailTo(log: AuditLog) {
  const alerts: string[] = [];
  const faults: unknown[] = [];
  const auth = createAuth(fakePorts());
  const made = new AuditTrail({
    log,
    now: () => new Date(),
    alert: (text) => void alerts.push(text),
    report: (fault) => void faults.push(fault),
  });
  made.listen(auth);
  return { alerts, faults, auth, trail: made };
}

const WRONG = { email: 'nobody@example.com', password: 'wrong horse' };

trail('holds up no request, and loses nothing while its log is away', async () => {
  let isAway = true;
  const kept: AuditRecord[] = [];
  const {
    auth,
    alerts,
    faults,
    trail: made,
  } = trailTo({
    async append(records) {
      if (isAway) throw new Error('away');
      kept.push(...records);
    },
    prune: async () => 0,
  });
  for (let i = 0; i < 5; i += 1) await auth.login(WRONG).catch(() => {});
  await until('it has been tried', () => faults.length > 0);
  assert.equal(kept, []);
  isAway = false;
  await auth.login(WRONG).catch(() => {});
  await until('all are kept', () => kept.length === 6);
  await made.close();
  assert.is(new Set(kept.map(({ id }) => id)).size, 6);
  assert.equal(alerts, []);
});

trail('keeps so many and no more while its log is away, and says how many it lost', async () => {
  const {
    auth,
    alerts,
    trail: made,
  } = trailTo({
    append: () => Promise.reject(new Error('away')),
    prune: async () => 0,
  });
  const emails = Array.from({ length: 10_050 }, (_, i) => `${i}@example.com`);
  for (let i = 0; i < emails.length; i += 500) {
    await Promise.all(
      emails.slice(i, i + 500).map((email) => auth.login({ ...WRONG, email }).catch(() => {})),
    );
  }
  await sleep(0);
  await made.close();
  assert.equal(alerts, ['10050 audit records are lost']);
});

/** An event of nobody in particular, as often as is asked. */
function publish(made: AuditTrail, count: number): void {
  const events = new Listeners();
  made.listen(events);
  const email = canonicalEmail(WRONG.email);
  const event = { email, code: 'invalid_credentials', address: undefined } as const;
  for (let i = 0; i < count; i += 1) events.publish('loginRejected', event);
}

trail('holds ten thousand records at most while its log is away', async () => {
  let isAway = true;
  const kept: AuditRecord[] = [];
  const { alerts, trail: made } = trailTo({
    async append(records) {
      if (isAway) throw new Error('away');
      kept.push(...records);
    },
    prune: async () => 0,
  });
  publish(made, 10_050);
  await sleep(0);
  isAway = false;
  await made.close();
  assert.is(kept.length, 10_000);
  assert.equal(alerts, ['50 audit records are lost']);
});

trail('tries again by itself what its log would not take', async () => {
  let tries = 0;
  const kept: AuditRecord[] = [];
  const { faults, trail: made } = trailTo({
    async append(records) {
      tries += 1;
      if (tries === 1) throw new Error('away');
      kept.push(...records);
    },
    prune: async () => 0,
  });
  try {
    publish(made, 1);
    await until('it is kept, with no other event and no end of the trail', () => kept.length === 1);
    assert.is(faults.length, 1);
  } finally {
    await made.close();
  }
});

trail(
  'gives records ids that rise, within a millisecond and when the clock is set back',
  async () => {
    const kept: AuditRecord[] = [];
    let time = Date.now();
    const made = new AuditTrail({
      log: { append: async (records) => void kept.push(...records), prune: async () => 0 },
      now: () => new Date(time),
      alert: () => {},
      report: () => {},
    });
    publish(made, 5_000); // More than a millisecond has numbers for.
    await sleep(0);
    time -= 60_000;
    publish(made, 10);
    await sleep(0);
    await made.close();
    const ids = kept.map(({ id }) => id);
    assert.ok(ids.length >= 5_010);
    assert.is(new Set(ids).size, ids.length);
    assert.equal(ids.toSorted(), ids);
  },
);

trail('writes what is left when the service stops', async () => {
  const kept: AuditRecord[] = [];
  const log: AuditLog = {
    async append(records) {
      await sleep(5);
      kept.push(...records);
    },
    prune: async () => 0,
  };
  const { auth, trail: made } = trailTo(log);
  for (let i = 0; i < 3; i += 1) await auth.login(WRONG).catch(() => {});
  await made.close();
  assert.is(kept.length, 3);
});

trail('goes into the log, whatever its level', async () => {
  const env = { ...TEST_ENV, DATABASE_URL: 'memory:', AUDIT: 'log', LOG_FORMAT: 'json' };
  const program = await startProgram(env);
  const { access_token: token } = await registered(program.url);
  await call(program.url, 'POST /login', { json: { ...ADA, password: 'wrong horse' } });
  await call(program.url, 'DELETE /account', { token, json: { password: 'wrong horse' } });
  await program.end('SIGTERM');
  const records = program
    .output()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => msg === 'audit');
  assert.equal(
    records.map((one) => [
      one['event'],
      one['outcome'],
      one['user_id'],
      one['account'],
      one['client_address'],
    ]),
    [
      ['registered', 'success', 1, undefined, '127.0.0.1'],
      ['loginRejected', 'failure', undefined, sha256(ADA.email), '127.0.0.1'],
      ['accountDeletionRejected', 'failure', 1, undefined, '127.0.0.1'],
    ],
  );
  assert.not.match(program.output(), /example\.com|horse/);
});

trail.run();
