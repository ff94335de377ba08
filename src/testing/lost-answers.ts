import * as assert from 'node:assert/strict';
import type { Session, UserId } from '../application/index.ts';
import { type Case, casesOn, type Open, outcome, withOpened } from './case.ts';
import {
  account,
  address,
  HASH,
  type OpenedStore,
  type Repositories,
  START,
  type Store,
  session,
  storeOf,
} from './store.ts';

/** A new, empty store whose connection can be lost between a commit and its reply. */
export interface OpenedLossyStore extends OpenedStore {
  /**
   * After this call, the store commits the next write of `users` or `sessions` as usual, but the
   * connection ends before the reply arrives. This happens once: later calls get their reply.
   */
  readonly loseNextAnswer: () => void | Promise<void>;
}

/** A store that can lose a reply, with one user, Ada, who has one session. */
interface LossyStore extends Store {
  readonly userId: UserId;
  readonly adas: Session;
  readonly loseNextAnswer: () => Promise<void>;
}

const NOW = new Date(START + 1000);

/**
 * The promises of every pair of repositories when the store commits a write but its reply is lost.
 * The adapter either finds out that it was committed, and resolves, or rejects with a fault. It
 * must not mistake its own write for somebody else's (`email_taken`, `reused`, or false for "not
 * done"), and must not write twice or in part.
 */
export function lostAnswerContract(open: Open<OpenedLossyStore>): readonly Case[] {
  const it = casesOn<LossyStore>((check) =>
    withOpened(open, async (opened) => {
      const store = storeOf(opened);
      const adas = session({ tokenId: 'a' });
      const { id: userId } = await store.one.users.insert(account(), adas);
      await check({
        ...store,
        userId,
        adas: { ...adas, userId },
        loseNextAnswer: async () => opened.loseNextAnswer(),
      });
    }),
  );
  const eve = account({ username: 'Eve', email: address('eve@x.co') });

  return [
    it('calls no email taken by the very account that it stored', async (store) => {
      await store.loseNextAnswer();
      const inserted = await outcome(store.one.users.insert(eve, session()));
      if (typeof inserted !== 'object') assert.equal(inserted, 'fault');
      else assert.deepEqual(await store.other.users.findById(inserted.id), inserted);
    }),
    it('stores an account and its first session, or neither', async ({ one, other, ...store }) => {
      await store.loseNextAnswer();
      const first = session();
      await outcome(one.users.insert(eve, first));
      const stored = (await other.users.findByEmail(eve.email))?.user;
      const expected = stored && { ...first, userId: stored.id };
      assert.deepEqual(await other.sessions.find(first.id), expected);
      const users = (await other.users.page({ after: 0, limit: 10 })).map(({ email }) => email);
      assert.deepEqual(users, [account().email, ...(stored ? [eve.email] : [])]);
    }),
    it('tells a retry that the email is taken exactly when it is', async ({ one, ...store }) => {
      await store.loseNextAnswer();
      await outcome(one.users.insert(eve, session()));
      const isIn = (await store.other.users.findByEmail(eve.email)) !== undefined;
      const retried = await outcome(one.users.insert(eve, session()));
      if (isIn) assert.equal(retried, 'email_taken');
      else assert.equal(typeof retried, 'object');
    }),
    it('denies no session that it stored', async ({ one, other, userId, ...store }) => {
      await store.loseNextAnswer();
      const made: Session = { ...session(), userId };
      const inserted = await outcome(one.sessions.insert(made, 0));
      const stored = await other.sessions.find(made.id);
      if (stored) assert.deepEqual(stored, made);
      assert.ok(
        isTrueOrFault(inserted, stored !== undefined),
        describe(inserted, 'stored', stored),
      );
    }),
    it('takes no rotation for a reuse of its own token', async ({ one, adas, ...store }) => {
      await store.loseNextAnswer();
      const rotated = await outcome(one.sessions.rotate(rotation(adas, 'b')));
      if (typeof rotated !== 'object') return assert.equal(rotated, 'fault');
      const { kind } = rotated;
      assert.ok(kind === 'rotated' || kind === 'repeated', `seen: ${kind}`);
      assert.deepEqual(rotated, { kind, tokenId: 'b', date: NOW });
    }),
    it('repeats a rotation to a retry, and lets its session live', async ({ one, ...store }) => {
      const { adas, other } = store;
      await store.loseNextAnswer();
      await outcome(one.sessions.rotate(rotation(adas, 'b')));
      const good = (await other.sessions.find(adas.id))?.tokenId;
      const retried = await one.sessions.rotate(rotation(adas, 'c'));
      const expected =
        good === 'a'
          ? { kind: 'rotated', tokenId: 'c', date: NOW }
          : { kind: 'repeated', tokenId: 'b', date: NOW };
      assert.deepEqual(retried, expected);
      const found = await other.sessions.find(adas.id);
      assert.deepEqual(found, { ...adas, tokenId: expected.tokenId, lastUsed: NOW });
    }),
    it('denies no change of password that it made', async ({ one, other, userId, ...store }) => {
      await store.loseNextAnswer();
      const change = { userId, version: 0, passwordHash: '$changed', keep: 'none' };
      const changed = await outcome(one.users.changePassword(change));
      const stored = (await other.users.findByEmail(account().email))?.passwordHash;
      assert.ok(isTrueOrFault(changed, stored === '$changed'), describe(changed, 'stored', stored));
    }),
    it('changes a password once, and ends the sessions with it, or neither', async (store) => {
      const { one, other, userId } = store;
      await store.loseNextAnswer();
      const change = { userId, version: 0, passwordHash: '$changed', keep: 'none' };
      await outcome(one.users.changePassword(change));
      const stored = await other.users.findByEmail(account().email);
      const sessions = (await other.sessions.list(userId, NOW)).length;
      const { passwordHash, passwordVersion } = stored ?? {};
      assert.deepEqual(
        { passwordHash, passwordVersion, sessions },
        passwordHash === HASH
          ? { passwordHash, passwordVersion: 0, sessions: 1 }
          : { passwordHash: '$changed', passwordVersion: 1, sessions: 0 },
      );
      assert.equal(await one.users.changePassword(change), passwordHash === HASH, 'a retry');
    }),
    it('denies no hash that it replaced', async ({ one, other, userId, ...store }) => {
      await store.loseNextAnswer();
      const replaced = await outcome(one.users.replacePasswordHash(userId, HASH, '$new'));
      const stored = (await other.users.findByEmail(account().email))?.passwordHash;
      assert.ok(stored === HASH || stored === '$new', `stored: ${stored}`);
      assert.ok(isTrueOrFault(replaced, stored === '$new'), describe(replaced, 'stored', stored));
    }),
    it('denies no deletion of a user that it made', async ({ one, other, userId, ...store }) => {
      await store.loseNextAnswer();
      const deleted = await outcome(one.users.delete(userId, 0));
      const stored = await other.users.findById(userId);
      assert.ok(isTrueOrFault(deleted, stored === undefined), describe(deleted, 'stored', stored));
    }),
    it('deletes a user and their sessions, or neither', async ({ one, other, ...store }) => {
      const { adas, userId } = store;
      await store.loseNextAnswer();
      await outcome(one.users.delete(userId, 0));
      const stored = await other.users.findById(userId);
      assert.deepEqual(await other.sessions.find(adas.id), stored && adas);
      assert.equal(await one.users.delete(userId, 0), stored !== undefined, 'a retry');
    }),
    it('denies no account without a session that it stored', async ({ one, other, ...store }) => {
      await store.loseNextAnswer();
      const inserted = await outcome(one.users.insert(eve));
      if (typeof inserted !== 'object') assert.equal(inserted, 'fault');
      else assert.deepEqual(await other.users.findById(inserted.id), inserted);
    }),
    it('denies no role that it gave', async ({ one, other, userId, ...store }) => {
      await store.loseNextAnswer();
      const given = await outcome(one.users.setRole(userId, 'admin'));
      const stored = (await other.users.findById(userId))?.role;
      assert.ok(isTrueOrFault(given, stored === 'admin'), describe(given, 'stored', stored));
    }),
    it('disables a user and ends their sessions, or neither', async ({ one, other, ...store }) => {
      const { adas, userId } = store;
      await store.loseNextAnswer();
      const set = await outcome(one.users.setDisabled(userId, true));
      const stored = (await other.users.findById(userId))?.disabled;
      assert.ok(isTrueOrFault(set, stored === true), describe(set, 'stored', stored));
      assert.deepEqual(await other.sessions.find(adas.id), stored ? undefined : adas);
      assert.equal(await one.users.setDisabled(userId, true), true, 'a retry');
    }),
    it('denies no password that it set, and ends the sessions with it', async (store) => {
      const { one, other, adas, userId } = store;
      await store.loseNextAnswer();
      const set = await outcome(one.users.changePassword({ userId, passwordHash: '$set' }));
      const stored = await other.users.findByEmail(account().email);
      const isSet = stored?.passwordHash === '$set';
      assert.ok(isTrueOrFault(set, isSet), describe(set, 'stored', stored?.passwordHash));
      assert.equal(stored?.passwordVersion, isSet ? 1 : 0);
      assert.deepEqual(await other.sessions.find(adas.id), isSet ? undefined : adas);
    }),
    it('denies no removal of a session that it made', async ({ one, other, adas, ...store }) => {
      await store.loseNextAnswer();
      const removed = await outcome(one.sessions.remove(adas.id, adas.userId, NOW));
      const stored = await other.sessions.find(adas.id);
      assert.ok(isTrueOrFault(removed, stored === undefined), describe(removed, 'stored', stored));
    }),
    it('notes a use or not, and changes nothing else of a session', async (store) => {
      const { one, other, adas } = store;
      await store.loseNextAnswer();
      const touched = await outcome(one.sessions.touch(adas.id, NOW));
      const found = await other.sessions.find(adas.id);
      assert.ok(touched === undefined || touched === 'fault', `seen: ${String(touched)}`);
      const isNoted = touched === undefined || found?.lastUsed.getTime() === NOW.getTime();
      assert.deepEqual(found, isNoted ? { ...adas, lastUsed: NOW } : adas);
    }),
    it('goes on serving at once, whatever was lost', async ({ one, other, ...store }) => {
      const { adas, userId } = store;
      const writes: readonly ((part: Repositories) => Promise<unknown>)[] = [
        ({ users }) => users.insert(eve, session()),
        ({ sessions }) => sessions.insert({ ...session(), userId }, 0),
        ({ sessions }) => sessions.rotate(rotation(adas, 'b')),
        ({ sessions }) => sessions.touch(adas.id, NOW),
        ({ users }) => users.replacePasswordHash(userId, HASH, '$new'),
        ({ sessions }) => sessions.remove(adas.id, userId, NOW),
        ({ users }) =>
          users.changePassword({ userId, version: 0, passwordHash: '$changed', keep: 'none' }),
        ({ users }) => users.setRole(userId, 'admin'),
        ({ users }) => users.setDisabled(userId, true),
        ({ users }) => users.delete(userId),
      ];
      for (const [i, write] of writes.entries()) {
        await store.loseNextAnswer();
        await outcome(write(one));
        for (const [j, { users, sessions }] of [one, other].entries()) {
          const first = session();
          const email = address(`${i}-${j}@x.co`);
          const { id } = await users.insert(account({ email }), first);
          assert.equal((await users.findById(id))?.email, email);
          assert.equal((await sessions.find(first.id))?.userId, id);
        }
      }
    }),
  ];
}

/** True if the caller got the actual outcome of a write, or a fault, which leaves it open. */
function isTrueOrFault(result: unknown, isDone: boolean): boolean {
  return result === 'fault' || result === isDone;
}

function describe(result: unknown, what: string, seen: unknown): string {
  return `told: ${String(result)}, ${what}: ${JSON.stringify(seen) ?? 'nothing'}`;
}

function rotation({ id: sessionId }: Session, successor: string) {
  return { sessionId, presented: 'a', successor, now: NOW, grace: 10 };
}
