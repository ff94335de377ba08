import * as assert from 'node:assert/strict';
import { administrationCases } from './administration.ts';
import { atOnce, type Case, casesOn, type Open, outcome } from './case.ts';
import {
  account,
  address,
  HASH,
  type OpenedStore,
  onStore,
  START,
  session,
  TEXTS,
  TIMES,
} from './store.ts';
import { passwordCases } from './stored-passwords.ts';

/**
 * The promises of every UserRepository, about the first sessions that it stores too. `open` returns
 * a new, empty store for each case: `userRepositoryContract(() => memoryRepositories())`.
 */
export function userRepositoryContract(open: Open<OpenedStore>): readonly Case[] {
  const it = casesOn(onStore(open));
  return [
    it('gives a new account an id and returns what it stored', async ({ one: { users } }) => {
      const { passwordHash: _, ...fields } = account();
      const user = await users.insert(account(), session());
      assert.ok(Number.isSafeInteger(user.id) && user.id > 0, `the id ${user.id}`);
      assert.deepEqual(user, { id: user.id, ...fields, role: 'user', disabled: false });
    }),
    it('finds an account by id and by email, from anywhere', async ({ one, other }) => {
      const user = await one.users.insert(account(), session());
      for (const { users } of [one, other]) {
        assert.deepEqual(await users.findById(user.id), user);
        assert.deepEqual(await users.findByEmail(user.email), {
          user,
          passwordHash: HASH,
          passwordVersion: 0,
        });
      }
    }),
    it('finds nothing where there is nothing', async ({ one: { users } }) => {
      assert.equal(await users.findById(1), undefined);
      assert.equal(await users.findByEmail(address('nobody@example.com')), undefined);
      assert.deepEqual(await users.page({ after: 0, limit: 10 }), []);
    }),
    it('takes any number for an id, and finds nobody of it', async ({ one: { users } }) => {
      await users.insert(account(), session());
      for (const none of [0, -1, 2 ** 31, 2 ** 32 + 1, 2 ** 53 - 1, 2 ** 53, 2 ** 63]) {
        const change = { userId: none, version: 0, passwordHash: '$changed', keep: 'none' };
        assert.deepEqual(
          {
            found: await users.findById(none),
            replaced: await users.replacePasswordHash(none, HASH, '$changed'),
            changed: await users.changePassword(change),
            deleted: await users.delete(none, 0),
          },
          { found: undefined, replaced: false, changed: false, deleted: false },
          `the id ${none}`,
        );
        assert.deepEqual(
          {
            promoted: await users.setRole(none, 'admin'),
            disabled: await users.setDisabled(none, true),
            set: await users.changePassword({ userId: none, passwordHash: '$set' }),
            deleted: await users.delete(none),
          },
          { promoted: false, disabled: false, set: false, deleted: false },
          `the id ${none}`,
        );
      }
      const { user, passwordHash } = (await users.findByEmail(account().email)) ?? {};
      const { role, disabled } = user ?? {};
      assert.deepEqual([passwordHash, role, disabled], [HASH, 'user', false]);
    }),
    it('stores the first session with the account', async ({ one: { users }, other }) => {
      const first = session();
      const { id } = await users.insert(account(), first);
      assert.deepEqual(await other.sessions.find(first.id), { ...first, userId: id });
    }),
    it('refuses a taken email, storing nothing of the attempt', async ({ one }) => {
      const { id } = await one.users.insert(account(), session());
      const second = session();
      const refused = await outcome(one.users.insert(account({ username: 'Eve' }), second));
      assert.equal(refused, 'email_taken');
      const ids = (await one.users.page({ after: 0, limit: 10 })).map((user) => user.id);
      assert.deepEqual(ids, [id]);
      assert.equal((await one.users.findById(id))?.username, 'Ada');
      assert.equal(await one.sessions.find(second.id), undefined);
    }),
    it('lets exactly one of many concurrent inserts of an email through', async (store) => {
      const outcomes = await atOnce(20, [store.one, store.other], ({ users }, i) =>
        outcome(users.insert(account({ username: `user ${i}` }), session())),
      );
      const won = outcomes.filter((result) => typeof result === 'object');
      assert.deepEqual(
        outcomes.filter((result) => typeof result !== 'object'),
        Array(19).fill('email_taken'),
      );
      const page = await store.one.users.page({ after: 0, limit: 50 });
      assert.deepEqual(
        page.map(({ id, username }) => ({ id, username })),
        won.map(({ id, username }) => ({ id, username })),
      );
    }),
    it('lets all of many concurrent inserts of different emails through', async (store) => {
      const users = await atOnce(20, [store.one, store.other], (part, i) =>
        part.users.insert(account({ email: address(`${i}@x.co`) }), session()),
      );
      assert.equal(new Set(users.map(({ id }) => id)).size, 20, 'ids that differ');
      for (const { id, email } of users) {
        assert.equal((await store.one.users.findByEmail(email))?.user.id, id, email);
      }
    }),
    it('stores neither account nor session when the session cannot be stored', async ({ one }) => {
      const taken = session();
      await one.users.insert(account(), taken);
      const email = address('second@example.com');
      await outcome(one.users.insert(account({ email }), { ...taken }));
      assert.equal(await one.users.findByEmail(email), undefined);
      assert.equal((await one.users.page({ after: 0, limit: 10 })).length, 1);
    }),
    it('takes no taken session id for a taken email', async ({ one }) => {
      const taken = session();
      await one.users.insert(account(), taken);
      const second = account({ email: address('second@example.com') });
      const refused = await outcome(one.users.insert(second, { ...taken }));
      assert.equal(refused, 'fault', 'an error that is no AuthError');
    }),
    it('tells emails apart by their bytes alone', async ({ one: { users } }) => {
      const spellings = ['e@x.co', 'é@x.co', 'e\u0301@x.co', 'E@x.co', 'e@x.co ', 'ｅ@x.co'];
      const more = ['ss@x.co', 'ß@x.co', 'ſs@x.co', 'i@x.co', 'ı@x.co', 'e@x.co\u200b', '😀@x.co'];
      for (const text of [...spellings, ...more]) {
        const stored = await outcome(users.insert(account({ email: address(text) }), session()));
        assert.equal(typeof stored, 'object', `'${text}' is taken for another`);
      }
      for (const text of [...spellings, ...more]) {
        const email = address(text);
        assert.equal((await users.findByEmail(email))?.user.email, text);
        const page = await users.page({ after: 0, limit: 50, email });
        assert.deepEqual(
          page.map((user) => user.email),
          [text],
        );
      }
    }),
    it('keeps every text as it was given, up to the longest', async ({ one: { users } }) => {
      for (const [i, username] of [...TEXTS, 'x'.repeat(255), '😀'.repeat(255)].entries()) {
        const email = address(`${i}@x.co`);
        await users.insert(account({ username, email }), session());
        assert.equal((await users.findByEmail(email))?.user.username, username);
      }
      const email = address(`${'😀'.repeat(247)}@xyz.co`);
      await users.insert(account({ email, passwordHash: '$'.repeat(255) }), session());
      const found = await users.findByEmail(email);
      assert.equal(found?.user.email, email);
      assert.equal(found.passwordHash, '$'.repeat(255));
    }),
    it('keeps times to the millisecond, from 1970 to 9999', async ({ one: { users } }) => {
      for (const [i, time] of TIMES.entries()) {
        const email = address(`${i}@x.co`);
        const { id } = await users.insert(
          account({ email, dateCreated: new Date(time) }),
          session(),
        );
        assert.equal((await users.findById(id))?.dateCreated.toISOString(), time);
      }
    }),
    it('never gives an id twice, not even that of a deleted user', async (store) => {
      const ids: number[] = [];
      for (let i = 0; i < 4; i += 1) {
        const { id } = await store.one.users.insert(account(), session());
        ids.push(id);
        await store.deleteUser(id);
      }
      assert.equal(new Set(ids).size, 4, `the ids ${ids.join()}`);
    }),
    it('forgets a deleted user, whose email is free again', async (store) => {
      const { id, email } = await store.one.users.insert(account(), session());
      await store.deleteUser(id);
      assert.equal(await store.one.users.findById(id), undefined);
      assert.equal(await store.other.users.findByEmail(email), undefined);
      await store.one.users.insert(account(), session());
    }),
    ...passwordCases(open),
    ...administrationCases(open),
    it('lists users by ascending id, a page at a time', async ({ one: { users } }) => {
      for (let i = 0; i < 5; i += 1) {
        await users.insert(account({ email: address(`${9 - i}@x.co`) }), session());
      }
      const idsOf = async (after: number, limit: number) =>
        (await users.page({ after, limit })).map(({ id }) => id);
      const ids = await idsOf(0, 10);
      assert.equal(ids.length, 5);
      assert.deepEqual(
        ids,
        ids.toSorted((a, b) => a - b),
      );
      for (let limit = 1; limit <= 6; limit += 1) {
        assert.deepEqual(await idsOf(0, limit), ids.slice(0, limit));
      }
      assert.deepEqual(await idsOf(ids[1] ?? 0, 2), ids.slice(2, 4));
      assert.deepEqual(await idsOf(ids[4] ?? 0, 2), []);
      assert.deepEqual(await idsOf(0, 0), []);
      assert.deepEqual(await idsOf(2 ** 53, 2), []);
    }),
    it('lists of a user all but what proves who they are', async ({ one: { users } }) => {
      const user = await users.insert(account(), session());
      assert.deepEqual(await users.page({ after: 0, limit: 10 }), [user]);
    }),
    it('finds the one user of an email in a page', async ({ one: { users } }) => {
      const emails = ['a@x.co', 'b@x.co', 'c@x.co'].map(address);
      for (const email of emails) await users.insert(account({ email }), session());
      const email = address('b@x.co');
      const [found, ...others] = await users.page({ after: 0, limit: 10, email });
      assert.equal(found?.email, email);
      assert.deepEqual(others, []);
      assert.deepEqual(await users.page({ after: found.id, limit: 10, email }), []);
      const nobody = address('nobody@x.co');
      assert.deepEqual(await users.page({ after: 0, limit: 10, email: nobody }), []);
    }),
    it('is not changed through what it returned', async ({ one: { users } }) => {
      const user = await users.insert(account(), session());
      Object.assign(user, { username: 'Eve' });
      user.dateCreated.setTime(0);
      (await users.findById(user.id))?.dateCreated.setTime(0);
      const found = await users.findById(user.id);
      assert.equal(found?.username, 'Ada');
      assert.equal(found.dateCreated.getTime(), START);
    }),
  ];
}
