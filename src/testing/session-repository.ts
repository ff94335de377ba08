import * as assert from 'node:assert/strict';
import type { Session } from '../application/index.ts';
import { atOnce, type Case, casesOn, type Open, outcome } from './case.ts';
import { rotationCases } from './rotation.ts';
import {
  account,
  address,
  DAY,
  type OpenedStore,
  onStore,
  START,
  type Store,
  session,
  TEXTS,
  TIMES,
} from './store.ts';

/** The promises of every SessionRepository. `open` returns a new, empty store for each case. */
export function sessionRepositoryContract(open: Open<OpenedStore>): readonly Case[] {
  const it = casesOn(onAda(open));
  return [
    it('stores a session and finds it, from anywhere', async ({ one, other, userId }) => {
      const made: Session = { ...session(), userId };
      assert.equal(await one.sessions.insert(made, 0), true);
      assert.deepEqual(await one.sessions.find(made.id), made);
      assert.deepEqual(await other.sessions.find(made.id), made);
    }),
    it('finds nothing where there is nothing', async ({ one: { sessions } }) => {
      assert.equal(await sessions.find('nothing'), undefined);
      assert.equal(await sessions.find(''), undefined);
    }),
    it('stores no session of a user that does not exist', async ({ one, userId }) => {
      for (const nobody of [userId + 1, 0, 2 ** 53]) {
        const made = { ...session(), userId: nobody };
        assert.equal(await one.sessions.insert(made, 0), false, `of user ${nobody}`);
        assert.equal(await one.sessions.find(made.id), undefined);
      }
    }),
    it('rejects an id that is taken, and keeps what it has', async ({ one, userId }) => {
      const made: Session = { ...session(), userId };
      await one.sessions.insert(made, 0);
      const again = { ...made, expires: new Date(0) };
      assert.equal(await outcome(one.sessions.insert(again, 0)), 'fault');
      assert.deepEqual(await one.sessions.find(made.id), made);
    }),
    it('stores no session on a password that has been changed', async ({ one, userId }) => {
      const change = { userId, version: 0, passwordHash: '$changed', keep: 'none' };
      await one.users.changePassword(change);
      const made: Session = { ...session(), userId };
      assert.equal(await one.sessions.insert(made, 0), false);
      assert.equal(await one.sessions.find(made.id), undefined);
      assert.equal(await one.sessions.insert(made, 1), true);
    }),
    it('leaves no session of the old password behind a concurrent change', async (store) => {
      const { one, other, userId } = store;
      const signIn = (_: unknown, i: number) =>
        (i % 2 ? one : other).sessions.insert({ ...session(), userId }, 0);
      const before = Array.from({ length: 10 }, signIn);
      const change = { userId, version: 0, passwordHash: '$changed', keep: 'none' };
      const changing = other.users.changePassword(change);
      const after = Array.from({ length: 10 }, signIn);
      await Promise.all([...before, ...after]);
      assert.equal(await changing, true);
      assert.deepEqual(await one.sessions.list(userId, new Date(START)), []);
    }),
    it('keeps what is not known of a session unknown', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session({ device: null, tokenId: null }), userId };
      await sessions.insert(made, 0);
      assert.deepEqual(await sessions.find(made.id), made);
    }),
    it('keeps every text of a session as it was given, up to the longest', async ({
      one,
      userId,
    }) => {
      const id = 'x'.repeat(64);
      const longest: Session = { ...session({ id, tokenId: 'y'.repeat(64) }), userId };
      await one.sessions.insert(longest, 0);
      assert.deepEqual(await one.sessions.find(id), longest);
      for (const device of [...TEXTS, 'x'.repeat(255), `${'😀'.repeat(127)}x`]) {
        const made: Session = { ...session({ device }), userId };
        await one.sessions.insert(made, 0);
        assert.equal((await one.sessions.find(made.id))?.device, device);
      }
    }),
    it('keeps the times of a session to the millisecond, from 1970 to 9999', async (store) => {
      const { one, userId } = store;
      for (const text of TIMES) {
        const time = new Date(text);
        const expires = new Date(Math.max(START, time.getTime()));
        const made: Session = {
          ...session({ dateCreated: time, lastUsed: time, expires }),
          userId,
        };
        await one.sessions.insert(made, 0);
        assert.deepEqual(await one.sessions.find(made.id), made);
      }
    }),
    it('notes the last use', async ({ one, other, userId }) => {
      const made: Session = { ...session(), userId };
      await one.sessions.insert(made, 0);
      const lastUsed = new Date(START + 1000);
      await other.sessions.touch(made.id, lastUsed);
      assert.deepEqual(await one.sessions.find(made.id), { ...made, lastUsed });
    }),
    it('notes no use where there is no session, and does not reject', async ({ one }) => {
      await one.sessions.touch('nothing', new Date(START));
      assert.equal(await one.sessions.find('nothing'), undefined);
    }),
    it("lists a user's sessions, the oldest first, without those that expired", async (store) => {
      const { one, userId } = store;
      await one.sessions.removeAll(userId);
      const eve = account({ email: address('eve@x.co') });
      const { id: eveId } = await one.users.insert(eve, session());
      const at = (time: number): Session => ({
        ...session({ dateCreated: new Date(time), expires: new Date(time + DAY) }),
        userId,
      });
      const [first, second, third] = [at(START), at(START + 1000), at(START + 2000)];
      for (const each of [third, first, second]) await one.sessions.insert(each, 0);
      const list = (time: number) => store.other.sessions.list(userId, new Date(time));
      assert.deepEqual(await list(START + 3000), [first, second, third]);
      assert.deepEqual(await list(START + DAY), [second, third]);
      assert.deepEqual(await list(START + DAY + 2000), []);
      assert.equal((await one.sessions.list(eveId, new Date(START))).length, 1);
    }),
    it("removes a session of its user's, once, and no other's", async ({ one, other, userId }) => {
      const made: Session = { ...session(), userId };
      await one.sessions.insert(made, 0);
      const now = new Date(START);
      assert.equal(await one.sessions.remove(made.id, userId + 1, now), false);
      assert.equal(await one.sessions.remove('nothing', userId, now), false);
      assert.equal(await other.sessions.remove(made.id, userId, now), true);
      assert.equal(await one.sessions.remove(made.id, userId, now), false);
      assert.equal(await one.sessions.find(made.id), undefined);
    }),
    it('says of no session that has expired that it removed it', async ({ one, userId }) => {
      const made: Session = { ...session(), userId };
      await one.sessions.insert(made, 0);
      const before = new Date(made.expires.getTime() - 1000);
      assert.equal(await one.sessions.remove(made.id, userId, made.expires), false);
      await one.sessions.insert({ ...made, id: `${made.id}-2` }, 0);
      assert.equal(await one.sessions.remove(`${made.id}-2`, userId, before), true);
    }),
    it('removes a session that has expired, too', async ({ one, other, userId }) => {
      const made: Session = { ...session(), userId };
      await one.sessions.insert(made, 0);
      await one.sessions.remove(made.id, userId + 1, made.expires);
      assert.deepEqual(await other.sessions.find(made.id), made);
      await one.sessions.remove(made.id, userId, made.expires);
      assert.equal(await other.sessions.find(made.id), undefined);
    }),
    it('lets one of many concurrent removals of a session through', async (store) => {
      const { one, other, userId } = store;
      const made: Session = { ...session(), userId };
      await one.sessions.insert(made, 0);
      const outcomes = await atOnce(10, [one, other], ({ sessions }) =>
        sessions.remove(made.id, userId, new Date(START)),
      );
      assert.equal(outcomes.filter(Boolean).length, 1);
    }),
    it("removes all of a user's sessions, and no other's", async ({ one, other, userId }) => {
      const kept = session();
      await one.users.insert(account({ email: address('eve@x.co') }), kept);
      await one.sessions.insert({ ...session(), userId }, 0);
      await other.sessions.removeAll(userId);
      assert.deepEqual(await one.sessions.list(userId, new Date(START)), []);
      assert.ok(await one.sessions.find(kept.id), "another user's is gone");
      await one.sessions.removeAll(userId);
    }),
    it('removes what has expired, up to a limit', async ({ one: { sessions }, userId }) => {
      for (let i = 0; i < 5; i += 1) {
        await sessions.insert({ ...session({ expires: new Date(START) }), userId }, 0);
      }
      assert.equal(await sessions.removeExpired(new Date(START - 1000), 10), 0);
      assert.equal(await sessions.removeExpired(new Date(START), 0), 0);
      assert.equal(await sessions.removeExpired(new Date(START), 3), 3);
      assert.equal(await sessions.removeExpired(new Date(START), 3), 2);
      assert.equal(await sessions.removeExpired(new Date(START), 3), 0);
      assert.equal((await sessions.list(userId, new Date(START))).length, 1);
    }),
    it('lets many remove what has expired at once, and counts each once', async (store) => {
      const { one, other, userId } = store;
      for (let i = 0; i < 20; i += 1) {
        await one.sessions.insert({ ...session({ expires: new Date(START) }), userId }, 0);
      }
      const now = new Date(START);
      const counts = await atOnce(6, [one, other], ({ sessions }) =>
        sessions.removeExpired(now, 10),
      );
      for (let more = 1; more > 0; )
        counts.push((more = await one.sessions.removeExpired(now, 10)));
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        20,
        `the counts ${counts.join()}`,
      );
      assert.equal((await one.sessions.list(userId, now)).length, 1);
    }),
    ...rotationCases(onAda(open)),
    it('tells ids apart by case', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session({ id: 'aBc' }), userId };
      await sessions.insert(made, 0);
      for (const other of ['abc', 'aBc ', 'áBc']) {
        assert.equal(await sessions.find(other), undefined, `by '${other}'`);
        const removed = await sessions.remove(other, userId, new Date(START));
        assert.equal(removed, false, `by '${other}'`);
      }
      assert.deepEqual(await sessions.find('aBc'), made);
    }),
    it('finds sessions that have expired', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session({ expires: new Date(0) }), userId };
      await sessions.insert(made, 0);
      assert.deepEqual(await sessions.find(made.id), made);
    }),
    it('loses the sessions of a deleted user with the user', async (store) => {
      const made: Session = { ...session(), userId: store.userId };
      await store.one.sessions.insert(made, 0);
      await store.deleteUser(store.userId);
      assert.equal(await store.one.sessions.find(made.id), undefined);
    }),
    it('leaves no session behind when a user is deleted meanwhile', async (store) => {
      const { deleteUser, one, other, userId } = store;
      const made = Array.from({ length: 10 }, (): Session => ({ ...session(), userId }));
      const inserts = made.map((each, i) => (i % 2 ? one : other).sessions.insert(each, 0));
      await Promise.all([...inserts, deleteUser(userId)]);
      for (const { id } of made) assert.equal(await one.sessions.find(id), undefined);
    }),
    it('is not changed through what it returned', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session(), userId };
      await sessions.insert(made, 0);
      (await sessions.find(made.id))?.expires.setTime(0);
      assert.deepEqual((await sessions.find(made.id))?.expires, new Date(START + 30 * DAY));
    }),
  ];
}

/** Opens a store in which Ada has an account and one session; the cases ignore that session. */
function onAda(open: Open<OpenedStore>) {
  return (check: (store: Store & { readonly userId: number }) => Promise<void>): Promise<void> =>
    onStore(open)(async (store) => {
      const { id: userId } = await store.one.users.insert(account(), session());
      await check({ ...store, userId });
    });
}
