import * as assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AuditLog,
  type AuditRecord,
  type AuthEventName,
  type EmbeddedAuth,
  Listeners,
  type UserRecord,
} from '../../src/application/index.ts';
import {
  atOnce,
  type Case,
  casesOn,
  type Closable,
  type Open,
  withOpened,
} from '../../src/testing/case.ts';
import { address, START } from '../../src/testing/store.ts';

/** A new log without any records, and how to look into it. */
export interface OpenedAuditLog extends Closable {
  readonly log: AuditLog;
  /** The same log as another process writes it. Unless given, the same object. */
  readonly other?: AuditLog;
  /** What is kept, in the order in which it is shown. */
  readonly records: () => Promise<readonly AuditRecord[]>;
  /** All that is kept, as whoever gets hold of it can read it. */
  readonly text: () => Promise<string>;
}

/** What a contract has to know of a log. */
export interface AuditLogFacts {
  /** It adds what it gets to something that it never looks at again: it cannot compare nor remove. */
  readonly isAppendOnly?: boolean;
}

/** What every AuditLog promises. `open` gives a new, empty log for each case. */
export function auditLogContract(
  open: Open<OpenedAuditLog>,
  { isAppendOnly = false }: AuditLogFacts = {},
): readonly Case[] {
  const it = casesOn<OpenedAuditLog>((check) => withOpened(open, check));
  const all = [
    it('keeps all of a record, its date to the millisecond', async ({ log, records }) => {
      const full: AuditRecord = {
        ...record(1),
        event: 'accountDeletionRejected',
        outcome: 'failure',
        reason: 'too_many_attempts',
        account: 'a'.repeat(64),
        address: '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
      };
      const bare = { ...record(2), userId: null, sessionId: null, address: null };
      await log.append([]);
      await log.append([full]);
      await log.append([bare]);
      assert.deepEqual(await records(), [full, bare]);
    }),
    it('keeps records in their order, however many', async ({ log, records }) => {
      const given = Array.from({ length: 450 }, (_, i) => record(i));
      for (let i = 0; i < given.length; i += 150) await log.append(given.slice(i, i + 150));
      assert.deepEqual(idsOf(await records()), idsOf(given));
    }),
    it('keeps nothing that is not of a record', async ({ log, text }) => {
      const more = { password: CANARY, email: CANARY, user: { username: CANARY } };
      await log.append([{ ...record(1), ...more }]);
      const kept = await text();
      assert.ok(kept.includes('session-1') && !kept.includes(CANARY), kept);
    }),
  ];
  if (isAppendOnly) {
    const keeps = it('is asked to remove what is old, and keeps it', async ({ log, records }) => {
      await log.append([record(1)]);
      assert.equal(await log.prune(new Date(START + 86_400_000), 10), 0);
      assert.deepEqual(idsOf(await records()), ['1']);
    });
    return [...all, keeps];
  }
  return [
    ...all,
    it('keeps a record once, however often and by whomever it is appended', async (opened) => {
      const { log, other = log, records } = opened;
      const given = Array.from({ length: 13 }, (_, i) => record(i));
      await atOnce(6, [log, other], (one) => one.append(given));
      await other.append([...given, record(13)]);
      assert.deepEqual(idsOf(await records()), idsOf([...given, record(13)]));
    }),
    it('removes what is older than a date, and nothing of that date or later', async (opened) => {
      const { log, other = log, records } = opened;
      await log.append([1, 2, 3, 4].map(record));
      assert.equal(await log.prune(record(1).date, 10), 0);
      assert.equal(await other.prune(record(3).date, 10), 2);
      assert.equal(await log.prune(record(3).date, 10), 0);
      assert.deepEqual(idsOf(await records()), ['3', '4']);
    }),
    it('removes the oldest first, up to a limit, and the rest of their millisecond', async (opened) => {
      const { log, records } = opened;
      const twin = { ...record(1), id: '1 too' };
      await log.append([record(0), record(1), twin, ...[2, 3, 4].map(record)]);
      assert.equal(await log.prune(record(4).date, 2), 3);
      assert.deepEqual(idsOf(await records()), ['2', '3', '4']);
      assert.equal(await log.prune(record(4).date, 1), 1);
      assert.deepEqual(idsOf(await records()), ['3', '4']);
    }),
  ];
}

/** What writes of events into a log. */
export interface Trail {
  /** Writes of everything from now on. */
  listen(auth: Pick<EmbeddedAuth, 'on'>): void;
  /** Ends in an orderly way: what is left has been written when it resolves, if it can be. */
  close(): Promise<void>;
}

/** Begins a trail into a log. */
export type OpenTrail = (log: AuditLog) => Trail;

/** What is promised of everything that writes events into a log; `open` gives a sound, empty one for each case. */
export function auditTrailContract(
  openTrail: OpenTrail,
  open: Open<OpenedAuditLog>,
  { isAppendOnly = false }: AuditLogFacts = {},
): readonly Case[] {
  const it = casesOn<OpenedAuditLog>((check) => withOpened(open, check));
  const all = [
    it('loses nothing, and no order, when it ends in an orderly way', async ({ log, records }) => {
      const events = new Listeners();
      const trail = openTrail(log);
      trail.listen(events);
      const sessions = Array.from({ length: 450 }, (_, i) => `session ${i}`);
      for (const sessionId of sessions) events.publish('loggedIn', { user: USER, sessionId });
      await sleep(1); // They have been told, and are on their way.
      await trail.close();
      assert.deepEqual(
        (await records()).map(({ sessionId }) => sessionId),
        sessions,
      );
    }),
    it('fails no request, and holds none up, by a log that fails or does not answer', async () => {
      const fails = () => Promise.reject(new Error('away'));
      const hangs = () => new Promise<void>(() => {});
      await Promise.all([fails, hangs].map((append) => undisturbed(openTrail, append)));
    }),
    it('writes what its log would not take once that takes it, in order', async ({
      log,
      records,
    }) => {
      const events = new Listeners();
      let isAway = true;
      const append: AuditLog['append'] = async (given) => {
        if (isAway) throw new Error('away');
        await log.append(given);
      };
      const trail = openTrail({ append, prune: log.prune.bind(log) });
      trail.listen(events);
      const sessions = ['session 1', 'session 2', 'session 3'];
      for (const sessionId of sessions.slice(0, 2)) {
        events.publish('loggedIn', { user: USER, sessionId });
      }
      await sleep(TRIED);
      isAway = false;
      events.publish('loggedIn', { user: USER, sessionId: 'session 3' });
      await sleep(1);
      await trail.close();
      assert.deepEqual(
        (await records()).map(({ sessionId }) => sessionId),
        sessions,
      );
    }),
    it('writes of each event, and nothing of a name, an email, a password or a token', async (opened) => {
      const { log, records, text } = opened;
      const events = new Listeners();
      const trail = openTrail(log);
      trail.listen(events);
      for (const [name, code] of Object.entries(EVENTS)) {
        assert.ok(isEventName(name));
        events.publish(name, { ...SECRETIVE, ...(code && { code }) });
      }
      await sleep(1);
      await trail.close();
      const told = (await records()).map(({ event, outcome, reason }) => [event, outcome, reason]);
      const expected = Object.entries(EVENTS).map(([name, code]) => {
        const isFailure = code !== undefined || name === 'refreshTokenReused';
        return [name, isFailure ? 'failure' : 'success', code ?? null];
      });
      assert.deepEqual(told, expected);
      const kept = await text();
      assert.ok(kept.includes('session 7') && !kept.includes(CANARY), kept);
    }),
  ];
  if (isAppendOnly) return all;
  return [
    ...all,
    it('writes once what its log has taken without an answer', async ({ log, records }) => {
      const events = new Listeners();
      let isLost = true;
      const append: AuditLog['append'] = async (given) => {
        await log.append(given);
        if (isLost) throw new Error('the answer is lost');
      };
      const trail = openTrail({ append, prune: log.prune.bind(log) });
      trail.listen(events);
      events.publish('loggedIn', { user: USER, sessionId: 'session' });
      await sleep(TRIED);
      isLost = false;
      await trail.close();
      assert.equal((await records()).length, 1);
    }),
  ];
}

/** That nobody who publishes notices a log which appends in this way, nor whoever ends the trail. */
async function undisturbed(openTrail: OpenTrail, append: AuditLog['append']): Promise<void> {
  const events = new Listeners();
  const failed: unknown[] = [];
  events.on('listenerFailed', (failure) => failed.push(failure));
  const trail = openTrail({ append, prune: async () => 0 });
  trail.listen(events);
  const began = performance.now();
  events.publish('loggedIn', { user: USER, sessionId: 'session' });
  const took = performance.now() - began;
  assert.ok(took < 100, `${took} ms`);
  await sleep(TRIED);
  const late = new AbortController();
  const never = sleep(4_000, false, { signal: late.signal }).catch(() => false);
  const isOver = await Promise.race([trail.close().then(() => true), never]);
  late.abort();
  assert.ok(isOver, 'it never ends');
  assert.deepEqual(failed, []);
}

/** Milliseconds in which a trail has tried to write what it was told. */
const TRIED = 400;

/** Stands for everything that must not be kept. */
const CANARY = 'canary-8c1f';

/** Minutes apart, so that whoever mixes dates up is found out; and not at a whole second. */
function record(i: number): AuditRecord {
  return {
    id: String(i),
    date: new Date(START + i * 60_000 + 123),
    event: 'loggedIn',
    outcome: 'success',
    reason: null,
    userId: 1,
    account: null,
    sessionId: `session-${i}`,
    address: '192.0.2.1',
  };
}

function idsOf(records: readonly AuditRecord[]): readonly string[] {
  return records.map(({ id }) => id);
}

const USER: UserRecord = {
  id: 1,
  username: CANARY,
  email: address(`${CANARY}@example.com`),
  dateCreated: new Date(START),
  role: 'user',
  disabled: false,
};

/** An event of any name, and more than there should be in one. */
const SECRETIVE = {
  user: { ...USER, passwordHash: CANARY },
  userId: 1,
  sessionId: 'session 7',
  address: '192.0.2.1',
  email: USER.email,
  password: CANARY,
  accessToken: CANARY,
  refreshToken: CANARY,
};

/** What is written of, with the code of what is refused. One that is left out does not compile. */
const EVENTS: Readonly<
  Record<Exclude<AuthEventName, 'refreshed' | 'listenerFailed'>, string | undefined>
> = {
  registered: undefined,
  loggedIn: undefined,
  loginRejected: 'invalid_credentials',
  refreshTokenReused: undefined,
  loggedOut: undefined,
  loggedOutEverywhere: undefined,
  passwordChanged: undefined,
  passwordChangeRejected: 'wrong_password',
  accountDeleted: undefined,
  accountDeletionRejected: 'wrong_password',
  userCreated: undefined,
  roleChanged: undefined,
  userDisabled: undefined,
  userEnabled: undefined,
  passwordSet: undefined,
};

function isEventName(name: string): name is keyof typeof EVENTS {
  return Object.hasOwn(EVENTS, name);
}
