import * as assert from 'node:assert/strict';
import type { Session } from '../application/index.ts';
import { atOnce, type Case, casesOn, type Open, outcome } from './case.ts';
import { account, address, HASH, type OpenedStore, onStore, START, session } from './store.ts';

/** The promises of a UserRepository about what operators do: roles, disabling, set passwords. */
export function administrationCases(open: Open<OpenedStore>): readonly Case[] {
  const it = casesOn(onStore(open));
  return [
    it('stores an account without a session', async ({ one, other }) => {
      const user = await one.users.insert(account());
      assert.deepEqual(await other.users.findById(user.id), user);
      assert.deepEqual(await other.sessions.list(user.id, new Date(START)), []);
      assert.equal(await outcome(one.users.insert(account())), 'email_taken');
    }),
    it('stores what a new account is', async ({ one: { users } }) => {
      const user = await users.insert(account({ role: 'admin', disabled: true }));
      assert.equal(user.role, 'admin');
      assert.equal(user.disabled, true);
      assert.deepEqual(await users.findById(user.id), user);
      assert.deepEqual((await users.findByEmail(user.email))?.user, user);
      assert.deepEqual(await users.page({ after: 0, limit: 10 }), [user]);
    }),
    it('gives a user a role, and nobody else one', async ({ one, other }) => {
      const ada = await one.users.insert(account(), session());
      const eve = await one.users.insert(account({ email: address('eve@x.co') }));
      for (const role of ['admin', 'admin', 'user', 'user'] as const) {
        assert.equal(await one.users.setRole(ada.id, role), true);
        assert.deepEqual(await other.users.findById(ada.id), { ...ada, role });
      }
      await other.users.setRole(ada.id, 'admin');
      assert.deepEqual(await one.users.findById(eve.id), eve);
      assert.equal((await one.users.findByEmail(ada.email))?.passwordVersion, 0);
      assert.equal((await one.sessions.list(ada.id, new Date(START))).length, 1);
    }),
    it('disables a user and enables them again, and nobody else', async ({ one, other }) => {
      const ada = await one.users.insert(account({ role: 'admin' }), session());
      const eve = await one.users.insert(account({ email: address('eve@x.co') }));
      for (const disabled of [true, true, false, false]) {
        assert.equal(await one.users.setDisabled(ada.id, disabled), true);
        assert.deepEqual(await other.users.findById(ada.id), { ...ada, disabled });
        assert.deepEqual((await other.users.findByEmail(ada.email))?.user, { ...ada, disabled });
        assert.deepEqual(await other.users.findById(eve.id), eve);
      }
      assert.equal((await one.users.findByEmail(ada.email))?.passwordHash, HASH);
    }),
    it('ends the sessions of whom it disables or enables, and no other', async ({ one, other }) => {
      const eves = session();
      await one.users.insert(account({ email: address('eve@x.co') }), eves);
      for (const disabled of [true, false]) {
        const email = address(`${disabled}@x.co`);
        const { id: userId } = await one.users.insert(account({ email }), session());
        await one.sessions.insert({ ...session(), userId }, 0);
        await other.users.setDisabled(userId, disabled);
        assert.deepEqual(await one.sessions.list(userId, new Date(START)), []);
      }
      assert.equal((await one.sessions.find(eves.id))?.id, eves.id);
    }),
    it('holds what was proved before a user was disabled for nothing', async ({ one, other }) => {
      const { id: userId, email } = await one.users.insert(account(), session());
      await other.users.setDisabled(userId, true);
      const late = session();
      const change = { userId, version: 0, passwordHash: '$changed', keep: late.id };
      assert.equal(await one.sessions.insert({ ...late, userId }, 0), false, 'a session');
      assert.equal(await one.users.changePassword(change), false, 'a change of password');
      assert.equal(await one.users.delete(userId, 0), false, 'a deletion');
      assert.equal(await one.sessions.find(late.id), undefined);
      const { passwordVersion = 0 } = (await other.users.findByEmail(email)) ?? {};
      await other.users.setDisabled(userId, false);
      assert.equal(await one.sessions.insert({ ...late, userId }, 0), false, 'still');
      assert.equal(await one.sessions.insert({ ...late, userId }, passwordVersion), true);
    }),
    it('leaves no session behind when a user is disabled meanwhile', async ({ one, other }) => {
      for (let i = 0; i < 5; i += 1) {
        const email = address(`${i}@x.co`);
        const { id: userId } = await one.users.insert(account({ email }), session());
        const made = Array.from({ length: 8 }, (): Session => ({ ...session(), userId }));
        const inserts = made.map((each, j) => (j % 2 ? one : other).sessions.insert(each, 0));
        await Promise.all([...inserts, one.users.setDisabled(userId, true)]);
        assert.deepEqual(await one.sessions.list(userId, new Date(START)), []);
      }
    }),
    it('loses nothing of what is set of one user at once', async ({ one, other }) => {
      for (let i = 0; i < 5; i += 1) {
        const { id, email } = await one.users.insert(account({ email: address(`${i}@x.co`) }));
        await Promise.all([
          one.users.setRole(id, 'admin'),
          other.users.setDisabled(id, true),
          one.users.changePassword({ userId: id, passwordHash: '$set' }),
        ]);
        const stored = await other.users.findByEmail(email);
        const { role, disabled } = stored?.user ?? {};
        const { passwordHash, passwordVersion } = stored ?? {};
        assert.deepEqual(
          { role, disabled, passwordHash, passwordVersion },
          { role: 'admin', disabled: true, passwordHash: '$set', passwordVersion: 2 },
        );
      }
    }),
    it('sets a password whatever its version, and ends every session', async ({ one, other }) => {
      const { id: userId, email } = await one.users.insert(account(), session());
      const eves = session();
      await one.users.insert(account({ email: address('eve@x.co') }), eves);
      assert.equal(await one.users.changePassword({ userId, passwordHash: '$one' }), true);
      assert.deepEqual(await other.sessions.list(userId, new Date(START)), []);
      assert.equal((await other.sessions.find(eves.id))?.id, eves.id);
      const outcomes = await atOnce(10, [one, other], ({ users }, i) =>
        users.changePassword({ userId, passwordHash: `$${i}` }),
      );
      assert.ok(outcomes.every(Boolean), 'each is set');
      assert.equal((await one.users.findByEmail(email))?.passwordVersion, 11);
      assert.equal((await one.users.findByEmail(address('eve@x.co')))?.passwordHash, HASH);
    }),
    it('deletes a user whatever the version of the password, once', async ({ one, other }) => {
      const [adas, eves] = [session(), session()];
      const { id, email } = await one.users.insert(account(), adas);
      const eve = await one.users.insert(account({ email: address('eve@x.co') }), eves);
      await one.users.setDisabled(id, true);
      const outcomes = await atOnce(4, [one, other], ({ users }) => users.delete(id));
      assert.equal(outcomes.filter(Boolean).length, 1);
      assert.equal(await one.users.findByEmail(email), undefined);
      assert.deepEqual(await other.users.findById(eve.id), eve);
      assert.equal((await other.sessions.find(eves.id))?.id, eves.id);
    }),
  ];
}
