import * as assert from 'uvu/assert';
import type { Email, FirstSession, NewAccount, Session } from '../../src/application/index.ts';
import { outcome, rejectsWith } from '../support/expect.ts';
import type { Repositories } from '../support/stores.ts';
import type { Case } from './cases.ts';

/** A new, empty store, seen by two of its users at once, for as long as `use` takes. */
export type WithStore = (use: (store: Store) => Promise<void>) => Promise<void>;

export interface Store {
  readonly one: Repositories;
  /** The same store through another pool, as another process has it. */
  readonly other: Repositories;
  /** Deletes a user as an operator would, past the adapter where there is a way past it. */
  readonly deleteUser: (id: number) => Promise<unknown>;
}

const DAY = 86_400_000;
const START = Date.parse('2026-01-02T03:04:05.678Z');
let lastId = 0;

/** Past the canonicaliser on purpose: the store must keep apart whatever it is given. */
function address(text: string): Email {
  return text as Email;
}

function account(fields: Partial<NewAccount> = {}): NewAccount {
  return {
    username: 'Ada',
    email: address('ada@example.com'),
    passwordHash: '$fake$1',
    dateCreated: new Date(START),
    ...fields,
  };
}

function session(fields: Partial<FirstSession> = {}): FirstSession {
  lastId += 1;
  return {
    id: `session-${lastId}`,
    device: 'Browser/1.0',
    dateCreated: new Date(START),
    lastUsed: new Date(START),
    expires: new Date(START + 30 * DAY),
    tokenId: `token-${lastId}`,
    ...fields,
  };
}

/** What every UserRepository promises, with the first sessions that it stores. */
export function userRepositoryContract(withStore: WithStore): Case[] {
  const it = (name: string, run: (store: Store) => Promise<void>): Case => ({
    name,
    run: () => withStore(run),
  });
  return [
    it('gives a new account an id and returns what it stored', async ({ one: { users } }) => {
      const { passwordHash: _, ...fields } = account();
      const user = await users.insert(account(), session());
      assert.ok(Number.isSafeInteger(user.id) && user.id > 0);
      assert.equal(user, { id: user.id, ...fields });
    }),
    it('finds an account by id and by email, from anywhere', async ({ one, other }) => {
      const user = await one.users.insert(account(), session());
      for (const { users } of [one, other]) {
        assert.equal(await users.findById(user.id), user);
        assert.equal(await users.findByEmail(user.email), {
          user,
          passwordHash: '$fake$1',
          passwordVersion: 0,
        });
      }
    }),
    it('finds nothing where there is nothing', async ({ one: { users } }) => {
      assert.is(await users.findById(1), undefined);
      assert.is(await users.findById(Number.MAX_SAFE_INTEGER), undefined);
      assert.is(await users.findByEmail(address('nobody@example.com')), undefined);
      assert.equal(await users.page({ after: 0, limit: 10 }), []);
    }),
    it('stores the first session with the account', async ({ one: { users }, other }) => {
      const first = session();
      const { id } = await users.insert(account(), first);
      assert.equal(await other.sessions.find(first.id), { ...first, userId: id });
    }),
    it('refuses a taken email, storing nothing of the attempt', async ({ one }) => {
      const user = await one.users.insert(account(), session());
      const second = session();
      await rejectsWith(one.users.insert(account({ username: 'Eve' }), second), 'email_taken');
      assert.equal(await one.users.page({ after: 0, limit: 10 }), [user]);
      assert.is(await one.sessions.find(second.id), undefined);
    }),
    it('lets exactly one of many concurrent inserts of an email through', async (store) => {
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, i) => {
          const { users } = i % 2 ? store.one : store.other;
          return outcome(users.insert(account({ username: `user ${i}` }), session()));
        }),
      );
      const won = outcomes.filter((result) => typeof result === 'object');
      assert.equal(
        outcomes.filter((result) => typeof result !== 'object'),
        Array(19).fill('email_taken'),
      );
      assert.equal(await store.one.users.page({ after: 0, limit: 50 }), won);
    }),
    it('stores neither account nor session when the session cannot be stored', async ({ one }) => {
      const taken = session();
      await one.users.insert(account(), taken);
      const email = address('second@example.com');
      assert.is(await outcome(one.users.insert(account({ email }), { ...taken })), 'fault');
      assert.is(await one.users.findByEmail(email), undefined);
      assert.equal((await one.users.page({ after: 0, limit: 10 })).length, 1);
    }),
    it('tells emails apart by their bytes alone', async ({ one: { users } }) => {
      const spellings = ['e@x.co', 'é@x.co', 'e\u0301@x.co', 'E@x.co', 'e@x.co ', 'ｅ@x.co'];
      const more = ['ss@x.co', 'ß@x.co', 'ſs@x.co', 'i@x.co', 'ı@x.co', 'e@x.co\u200b', '😀@x.co'];
      for (const email of [...spellings, ...more]) {
        await users.insert(account({ email: address(email) }), session());
      }
      for (const email of [...spellings, ...more]) {
        assert.is((await users.findByEmail(address(email)))?.user.email, email);
      }
    }),
    it('keeps every text as it was given', async ({ one: { users } }) => {
      const names = [
        '<script>alert(1)</script>',
        `'; DROP TABLE users; --`,
        '\\\' OR 1=1 "`%_?:x $1',
        '😀'.repeat(255),
        'é ≠ e\u0301 \u202e rtl',
      ];
      for (const [i, username] of names.entries()) {
        const email = address(`${i}@x.co`);
        await users.insert(account({ username, email }), session());
        assert.is((await users.findByEmail(email))?.user.username, username);
      }
      const email = address(`${'é'.repeat(247)}@xyz.co`);
      await users.insert(account({ email, passwordHash: '$'.repeat(255) }), session());
      assert.is((await users.findByEmail(email))?.passwordHash, '$'.repeat(255));
    }),
    it('keeps times to the millisecond', async ({ one: { users } }) => {
      for (const [i, time] of [0, 1, START, Date.parse('2037-12-31T23:59:59.999Z')].entries()) {
        const email = address(`${i}@x.co`);
        const { id } = await users.insert(
          account({ email, dateCreated: new Date(time) }),
          session(),
        );
        assert.is((await users.findById(id))?.dateCreated.getTime(), time);
      }
    }),
    it('never gives an id twice, not even that of a deleted user', async (store) => {
      const first = await store.one.users.insert(account(), session());
      await store.deleteUser(first.id);
      const email = address('second@example.com');
      const second = await store.one.users.insert(account({ email }), session());
      assert.ok(second.id > first.id);
    }),
    it('forgets a deleted user, whose email is free again', async (store) => {
      const { id, email } = await store.one.users.insert(account(), session());
      await store.deleteUser(id);
      assert.is(await store.one.users.findById(id), undefined);
      assert.is(await store.other.users.findByEmail(email), undefined);
      await store.one.users.insert(account(), session());
    }),
    it('replaces a hash only while it is the expected one', async ({ one: { users } }) => {
      const { id, email } = await users.insert(account(), session());
      assert.is(await users.replacePasswordHash(id, '$other', '$new'), false);
      assert.is((await users.findByEmail(email))?.passwordHash, '$fake$1');
      assert.is(await users.replacePasswordHash(id, '$fake$1', '$new'), true);
      assert.is((await users.findByEmail(email))?.passwordHash, '$new');
      assert.is(await users.replacePasswordHash(id + 1, '$new', '$newer'), false);
    }),
    it('lets one of many concurrent replacements of a hash through', async ({ one, other }) => {
      const { id, email } = await one.users.insert(account(), session());
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          (i % 2 ? one : other).users.replacePasswordHash(id, '$fake$1', `$new${i}`),
        ),
      );
      assert.is(outcomes.filter(Boolean).length, 1);
      const stored = (await one.users.findByEmail(email))?.passwordHash;
      assert.is(stored, `$new${outcomes.indexOf(true)}`);
    }),
    it('lists users by ascending id, a page at a time', async ({ one: { users } }) => {
      for (let i = 0; i < 5; i += 1) {
        await users.insert(account({ email: address(`${9 - i}@x.co`) }), session());
      }
      const all = await users.page({ after: 0, limit: 10 });
      const ids = all.map(({ id }) => id);
      assert.is(all.length, 5);
      assert.equal(
        ids,
        ids.toSorted((a, b) => a - b),
      );
      assert.equal(await users.page({ after: ids[1] ?? 0, limit: 2 }), all.slice(2, 4));
      assert.equal(await users.page({ after: ids[4] ?? 0, limit: 2 }), []);
      assert.equal(Object.keys(all[0] ?? {}).toSorted(), [
        'dateCreated',
        'email',
        'id',
        'username',
      ]);
    }),
    it('finds the one user of an email in a page', async ({ one: { users } }) => {
      const emails = ['a@x.co', 'b@x.co', 'B@x.co'].map(address);
      for (const email of emails) await users.insert(account({ email }), session());
      const email = address('b@x.co');
      const [found, ...others] = await users.page({ after: 0, limit: 10, email });
      assert.is(found?.email, email);
      assert.equal(others, []);
      assert.equal(await users.page({ after: found?.id ?? 0, limit: 10, email }), []);
      const nobody = address('nobody@x.co');
      assert.equal(await users.page({ after: 0, limit: 10, email: nobody }), []);
    }),
    it('changes a password and ends the other sessions with it', async ({ one, other }) => {
      const [kept, ended] = [session(), session()];
      const { id: userId, email } = await one.users.insert(account(), kept);
      await one.sessions.insert({ ...ended, userId }, 0);
      const change = { userId, version: 0, passwordHash: '$changed', keep: kept.id };
      assert.is(await other.users.changePassword(change), true);
      const changed = await one.users.findByEmail(email);
      assert.is(changed?.passwordHash, '$changed');
      assert.is(changed?.passwordVersion, 1);
      assert.is((await one.sessions.list(userId, new Date(START))).length, 1);
      assert.is((await one.sessions.find(kept.id))?.id, kept.id);
    }),
    it('changes no password that has been changed meanwhile, and ends nothing', async ({ one }) => {
      const [first, second] = [session(), session()];
      const { id: userId, email } = await one.users.insert(account(), first);
      await one.sessions.insert({ ...second, userId }, 0);
      const change = { userId, version: 1, passwordHash: '$changed', keep: first.id };
      assert.is(await one.users.changePassword(change), false);
      assert.is(await one.users.changePassword({ ...change, userId: userId + 1 }), false);
      assert.is((await one.users.findByEmail(email))?.passwordHash, '$fake$1');
      assert.is((await one.sessions.list(userId, new Date(START))).length, 2);
    }),
    it('lets one of many concurrent changes of a password through', async ({ one, other }) => {
      const { id: userId, email } = await one.users.insert(account(), session());
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, (_, i) => {
          const change = { userId, version: 0, passwordHash: `$new${i}`, keep: 'none' };
          return (i % 2 ? one : other).users.changePassword(change);
        }),
      );
      assert.is(outcomes.filter(Boolean).length, 1);
      const stored = await one.users.findByEmail(email);
      assert.is(stored?.passwordHash, `$new${outcomes.indexOf(true)}`);
      assert.is(stored?.passwordVersion, 1);
    }),
    it('does not take an upgraded hash for a changed password', async ({ one: { users } }) => {
      const { id: userId, email } = await users.insert(account(), session());
      await users.replacePasswordHash(userId, '$fake$1', '$upgraded');
      assert.is((await users.findByEmail(email))?.passwordVersion, 0);
      const change = { userId, version: 0, passwordHash: '$changed', keep: 'none' };
      assert.is(await users.changePassword(change), true);
    }),
    it('deletes a user with their sessions, once', async ({ one, other }) => {
      const [first, others] = [session(), session()];
      const { id, email } = await one.users.insert(account(), first);
      const eve = address('eve@x.co');
      const { id: eveId } = await one.users.insert(account({ email: eve }), others);
      assert.is(await one.users.delete(id, 1), false, 'on another password');
      assert.is(await other.users.delete(id, 0), true);
      assert.is(await one.users.delete(id, 0), false);
      assert.is(await one.users.findById(id), undefined);
      assert.is(await one.users.findByEmail(email), undefined);
      assert.is(await one.sessions.find(first.id), undefined);
      assert.is((await one.sessions.find(others.id))?.userId, eveId, "and nobody else's");
    }),
    it('lets a change of password or a deletion through, not both', async ({ one, other }) => {
      for (let i = 0; i < 10; i += 1) {
        const email = address(`${i}@x.co`);
        const { id: userId } = await one.users.insert(account({ email }), session());
        const change = { userId, version: 0, passwordHash: '$changed', keep: 'none' };
        const [changed, deleted] = await Promise.all([
          one.users.changePassword(change),
          other.users.delete(userId, 0),
        ]);
        assert.is(changed, !deleted);
        assert.is(
          (await one.users.findByEmail(email))?.passwordHash,
          changed ? '$changed' : undefined,
        );
      }
    }),
    it('is not changed through what it returned', async ({ one: { users } }) => {
      const user = await users.insert(account(), session());
      Object.assign(user, { username: 'Eve' });
      user.dateCreated.setTime(0);
      (await users.findById(user.id))?.dateCreated.setTime(0);
      const found = await users.findById(user.id);
      assert.is(found?.username, 'Ada');
      assert.is(found?.dateCreated.getTime(), START);
    }),
  ];
}

/** What every SessionRepository promises. */
export function sessionRepositoryContract(withStore: WithStore): Case[] {
  const it = (
    name: string,
    run: (store: Store & { readonly userId: number }) => Promise<void>,
  ): Case => ({
    name,
    run: () =>
      withStore(async (store) => {
        const { id: userId } = await store.one.users.insert(account(), session());
        await run({ ...store, userId });
      }),
  });
  return [
    it('stores a session and finds it, from anywhere', async ({ one, other, userId }) => {
      const made: Session = { ...session(), userId };
      assert.is(await one.sessions.insert(made, 0), true);
      assert.equal(await one.sessions.find(made.id), made);
      assert.equal(await other.sessions.find(made.id), made);
    }),
    it('finds nothing where there is nothing', async ({ one: { sessions } }) => {
      assert.is(await sessions.find('nothing'), undefined);
    }),
    it('stores no session of a user that does not exist', async ({ one, userId }) => {
      const made = { ...session(), userId: userId + 1 };
      assert.is(await one.sessions.insert(made, 0), false);
      assert.is(await one.sessions.find(made.id), undefined);
    }),
    it('rejects an id that is taken, and keeps what it has', async ({ one, userId }) => {
      const made: Session = { ...session(), userId };
      await one.sessions.insert(made, 0);
      const again = { ...made, expires: new Date(0) };
      assert.is(await outcome(one.sessions.insert(again, 0)), 'fault');
      assert.equal(await one.sessions.find(made.id), made);
    }),
    it('stores no session on a password that has been changed', async ({ one, userId }) => {
      const change = { userId, version: 0, passwordHash: '$changed', keep: 'none' };
      await one.users.changePassword(change);
      const made: Session = { ...session(), userId };
      assert.is(await one.sessions.insert(made, 0), false);
      assert.is(await one.sessions.find(made.id), undefined);
      assert.is(await one.sessions.insert(made, 1), true);
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
      assert.is(await changing, true);
      assert.equal(await one.sessions.list(userId, new Date(START)), []);
    }),
    it('keeps what is not known of a session unknown', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session({ device: null, tokenId: null }), userId };
      await sessions.insert(made, 0);
      assert.equal(await sessions.find(made.id), made);
    }),
    it('notes the last use', async ({ one, other, userId }) => {
      const made: Session = { ...session(), userId };
      await one.sessions.insert(made, 0);
      const lastUsed = new Date(START + 1234);
      await other.sessions.touch(made.id, lastUsed);
      assert.equal(await one.sessions.find(made.id), { ...made, lastUsed });
      await one.sessions.touch('nothing', lastUsed);
    }),
    it("lists a user's sessions, the oldest first, without those that expired", async (store) => {
      const { one, userId } = store;
      const eve = account({ email: address('eve@x.co') });
      const { id: eveId } = await one.users.insert(eve, session());
      await one.sessions.removeAll(userId);
      const at = (time: number): Session => ({
        ...session({ dateCreated: new Date(time), expires: new Date(time + DAY) }),
        userId,
      });
      const [first, second, third] = [at(START), at(START + 1), at(START + 2)];
      for (const each of [third, first, second]) await one.sessions.insert(each, 0);
      const list = (time: number) => store.other.sessions.list(userId, new Date(time));
      assert.equal(await list(START + 3), [first, second, third]);
      assert.equal(await list(START + DAY), [second, third]);
      assert.equal(await list(START + 2 * DAY), []);
      assert.is((await one.sessions.list(eveId, new Date(START))).length, 1);
    }),
    it("removes a session of its user's, once, and no other's", async ({ one, other, userId }) => {
      const made: Session = { ...session(), userId };
      await one.sessions.insert(made, 0);
      const now = new Date(START);
      assert.is(await one.sessions.remove(made.id, userId + 1, now), false);
      assert.is(await one.sessions.remove('nothing', userId, now), false);
      assert.is(await one.sessions.remove(made.id, userId, made.expires), false);
      assert.is(await other.sessions.remove(made.id, userId, now), true);
      assert.is(await one.sessions.remove(made.id, userId, now), false);
      assert.is(await one.sessions.find(made.id), undefined);
    }),
    it("removes all of a user's sessions, and no other's", async ({ one, other, userId }) => {
      const kept = session();
      await one.users.insert(account({ email: address('eve@x.co') }), kept);
      await one.sessions.insert({ ...session(), userId }, 0);
      await other.sessions.removeAll(userId);
      assert.equal(await one.sessions.list(userId, new Date(START)), []);
      assert.ok(await one.sessions.find(kept.id));
      await one.sessions.removeAll(userId);
    }),
    it('removes what has expired, up to a limit', async ({ one: { sessions }, userId }) => {
      for (let i = 0; i < 5; i += 1) {
        await sessions.insert({ ...session({ expires: new Date(START) }), userId }, 0);
      }
      assert.is(await sessions.removeExpired(new Date(START - 1), 10), 0);
      assert.is(await sessions.removeExpired(new Date(START), 3), 3);
      assert.is(await sessions.removeExpired(new Date(START), 3), 2);
      assert.is(await sessions.removeExpired(new Date(START), 3), 0);
      assert.is((await sessions.list(userId, new Date(START))).length, 1);
    }),
    it('lets many remove what has expired at once', async ({ one, other, userId }) => {
      for (let i = 0; i < 20; i += 1) {
        await one.sessions.insert({ ...session({ expires: new Date(START) }), userId }, 0);
      }
      const now = new Date(START);
      const counts = await Promise.all(
        Array.from({ length: 6 }, (_, i) => (i % 2 ? one : other).sessions.removeExpired(now, 10)),
      );
      assert.ok(counts.every((count) => count <= 10));
      while ((await one.sessions.removeExpired(now, 10)) > 0);
      assert.is((await one.sessions.list(userId, now)).length, 1);
    }),
    it('rotates a token into its successor', async ({ one, other, userId }) => {
      const made: Session = { ...session({ tokenId: 'a' }), userId };
      await one.sessions.insert(made, 0);
      const now = new Date(START + 5_000);
      const rotation = { sessionId: made.id, presented: 'a', successor: 'b', now, grace: 10 };
      const rotated = { kind: 'rotated', tokenId: 'b', date: now };
      assert.equal(await one.sessions.rotate(rotation), rotated);
      const expected = { ...made, tokenId: 'b', lastUsed: now };
      assert.equal(await other.sessions.find(made.id), expected);
    }),
    it('tells of the same successor again, for as long as the grace', async ({ one, userId }) => {
      const made: Session = { ...session({ tokenId: 'a' }), userId };
      await one.sessions.insert(made, 0);
      const at = (seconds: number, successor: string) =>
        one.sessions.rotate({
          sessionId: made.id,
          presented: 'a',
          successor,
          now: new Date(START + seconds * 1000),
          grace: 10,
        });
      await at(0, 'b');
      const repeated = { kind: 'repeated', tokenId: 'b', date: new Date(START) };
      assert.equal(await at(3, 'c'), repeated);
      assert.equal(await at(10, 'd'), repeated);
      assert.equal(await at(10.001, 'e'), { kind: 'reused' });
      assert.is(await one.sessions.find(made.id), undefined);
      assert.equal(await at(11, 'f'), { kind: 'unknown' });
    }),
    it('ends the session when a token comes that is older than the last', async (store) => {
      const { one, other, userId } = store;
      const made: Session = { ...session({ tokenId: 'a' }), userId };
      await one.sessions.insert(made, 0);
      const now = new Date(START);
      const exchange = (presented: string, successor: string) => ({
        sessionId: made.id,
        presented,
        successor,
        now,
        grace: 10,
      });
      await one.sessions.rotate(exchange('a', 'b'));
      await one.sessions.rotate(exchange('b', 'c'));
      assert.equal(await other.sessions.rotate(exchange('a', 'd')), { kind: 'reused' });
      assert.equal(await one.sessions.rotate(exchange('c', 'e')), { kind: 'unknown' });
    }),
    it('makes one successor of many concurrent rotations', async ({ one, other, userId }) => {
      const made: Session = { ...session({ tokenId: 'a' }), userId };
      await one.sessions.insert(made, 0);
      const now = new Date(START);
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, i) => {
          const exchange = { presented: 'a', successor: `b${i}`, now, grace: 10 };
          return (i % 2 ? one : other).sessions.rotate({ sessionId: made.id, ...exchange });
        }),
      );
      const rotated = outcomes.filter(({ kind }) => kind === 'rotated');
      assert.is(rotated.length, 1);
      const { tokenId } = rotated[0] as { tokenId: string };
      for (const outcomeOfOne of outcomes) {
        const { kind } = outcomeOfOne;
        const expected = { kind: kind === 'rotated' ? kind : 'repeated', tokenId, date: now };
        assert.equal(outcomeOfOne, expected);
      }
    }),
    it('rotates nothing that has expired', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session({ tokenId: 'a', expires: new Date(START) }), userId };
      await sessions.insert(made, 0);
      const rotation = { presented: 'a', successor: 'b', now: new Date(START), grace: 10 };
      const outcomeOfOne = await sessions.rotate({ sessionId: made.id, ...rotation });
      assert.equal(outcomeOfOne, { kind: 'expired' });
      assert.equal(await sessions.find(made.id), made);
    }),
    it('takes the first token that comes for a session that names none', async (store) => {
      const { one, userId } = store;
      const made: Session = { ...session({ tokenId: null }), userId };
      await one.sessions.insert(made, 0);
      const rotation = { presented: 'a', successor: 'b', now: new Date(START), grace: 10 };
      const { kind } = await one.sessions.rotate({ sessionId: made.id, ...rotation });
      assert.is(kind, 'rotated');
      assert.is((await one.sessions.find(made.id))?.tokenId, 'b');
    }),
    it('tells ids apart by case', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session({ id: 'aBc' }), userId };
      await sessions.insert(made, 0);
      assert.is(await sessions.find('abc'), undefined);
      assert.is(await sessions.find('aBc '), undefined);
      assert.equal(await sessions.find('aBc'), made);
    }),
    it('finds sessions that have expired', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session({ expires: new Date(0) }), userId };
      await sessions.insert(made, 0);
      assert.equal(await sessions.find(made.id), made);
    }),
    it('loses the sessions of a deleted user with the user', async (store) => {
      const made: Session = { ...session(), userId: store.userId };
      await store.one.sessions.insert(made, 0);
      await store.deleteUser(store.userId);
      assert.is(await store.one.sessions.find(made.id), undefined);
    }),
    it('leaves no session behind when a user is deleted meanwhile', async (store) => {
      const { deleteUser, one, other, userId } = store;
      const made = Array.from({ length: 10 }, (): Session => ({ ...session(), userId }));
      const inserts = made.map((each, i) => (i % 2 ? one : other).sessions.insert(each, 0));
      await Promise.all([...inserts, deleteUser(userId)]);
      for (const { id } of made) assert.is(await one.sessions.find(id), undefined);
    }),
    it('is not changed through what it returned', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session(), userId };
      await sessions.insert(made, 0);
      (await sessions.find(made.id))?.expires.setTime(0);
      assert.equal((await sessions.find(made.id))?.expires, new Date(START + 30 * DAY));
    }),
  ];
}
