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
  /** Deletes a user as an operator would. Undefined where nothing can. */
  readonly deleteUser: ((id: number) => Promise<void>) | undefined;
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
  const [dateCreated, expires] = [new Date(START), new Date(START + 30 * DAY)];
  return { id: `session-${lastId}`, dateCreated, expires, ...fields };
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
        assert.equal(await users.findByEmail(user.email), { user, passwordHash: '$fake$1' });
      }
    }),
    it('finds nothing where there is nothing', async ({ one: { users } }) => {
      assert.is(await users.findById(1), undefined);
      assert.is(await users.findById(Number.MAX_SAFE_INTEGER), undefined);
      assert.is(await users.findByEmail(address('nobody@example.com')), undefined);
      assert.equal(await users.page(0, 10), []);
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
      assert.equal(await one.users.page(0, 10), [user]);
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
      assert.equal(await store.one.users.page(0, 50), won);
    }),
    it('stores neither account nor session when the session cannot be stored', async ({ one }) => {
      const taken = session();
      await one.users.insert(account(), taken);
      const email = address('second@example.com');
      assert.is(await outcome(one.users.insert(account({ email }), { ...taken })), 'fault');
      assert.is(await one.users.findByEmail(email), undefined);
      assert.equal((await one.users.page(0, 10)).length, 1);
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
      await store.deleteUser?.(first.id);
      const email = address('second@example.com');
      const second = await store.one.users.insert(account({ email }), session());
      assert.ok(second.id > first.id);
    }),
    it('forgets a deleted user, whose email is free again', async (store) => {
      if (store.deleteUser === undefined) return;
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
      const all = await users.page(0, 10);
      const ids = all.map(({ id }) => id);
      assert.is(all.length, 5);
      assert.equal(
        ids,
        ids.toSorted((a, b) => a - b),
      );
      assert.equal(await users.page(ids[1] ?? 0, 2), all.slice(2, 4));
      assert.equal(await users.page(ids[4] ?? 0, 2), []);
      assert.equal(Object.keys(all[0] ?? {}).toSorted(), [
        'dateCreated',
        'email',
        'id',
        'username',
      ]);
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
      assert.is(await one.sessions.insert(made), true);
      assert.equal(await one.sessions.find(made.id), made);
      assert.equal(await other.sessions.find(made.id), made);
    }),
    it('finds nothing where there is nothing', async ({ one: { sessions } }) => {
      assert.is(await sessions.find('nothing'), undefined);
    }),
    it('stores no session of a user that does not exist', async ({ one, userId }) => {
      const made = { ...session(), userId: userId + 1 };
      assert.is(await one.sessions.insert(made), false);
      assert.is(await one.sessions.find(made.id), undefined);
    }),
    it('rejects an id that is taken, and keeps what it has', async ({ one, userId }) => {
      const made: Session = { ...session(), userId };
      await one.sessions.insert(made);
      const again = { ...made, expires: new Date(0) };
      assert.is(await outcome(one.sessions.insert(again)), 'fault');
      assert.equal(await one.sessions.find(made.id), made);
    }),
    it('tells ids apart by case', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session({ id: 'aBc' }), userId };
      await sessions.insert(made);
      assert.is(await sessions.find('abc'), undefined);
      assert.is(await sessions.find('aBc '), undefined);
      assert.equal(await sessions.find('aBc'), made);
    }),
    it('finds sessions that have expired', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session({ expires: new Date(0) }), userId };
      await sessions.insert(made);
      assert.equal(await sessions.find(made.id), made);
    }),
    it('loses the sessions of a deleted user with the user', async (store) => {
      if (store.deleteUser === undefined) return;
      const made: Session = { ...session(), userId: store.userId };
      await store.one.sessions.insert(made);
      await store.deleteUser(store.userId);
      assert.is(await store.one.sessions.find(made.id), undefined);
    }),
    it('leaves no session behind when a user is deleted meanwhile', async (store) => {
      if (store.deleteUser === undefined) return;
      const { deleteUser, one, other, userId } = store;
      const made = Array.from({ length: 10 }, (): Session => ({ ...session(), userId }));
      const inserts = made.map((each, i) => (i % 2 ? one : other).sessions.insert(each));
      await Promise.all([...inserts, deleteUser(userId)]);
      for (const { id } of made) assert.is(await one.sessions.find(id), undefined);
    }),
    it('is not changed through what it returned', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session(), userId };
      await sessions.insert(made);
      (await sessions.find(made.id))?.expires.setTime(0);
      assert.equal((await sessions.find(made.id))?.expires, new Date(START + 30 * DAY));
    }),
  ];
}
