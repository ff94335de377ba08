import * as assert from 'node:assert/strict';
import { atOnce, type Case, casesOn, type Open } from './case.ts';
import { account, address, HASH, type OpenedStore, onStore, START, session } from './store.ts';

/** The promises of a UserRepository about new hashes, changed passwords and deleted accounts. */
export function passwordCases(open: Open<OpenedStore>): readonly Case[] {
  const it = casesOn(onStore(open));
  return [
    it('replaces a hash only while it is the expected one', async ({ one: { users } }) => {
      const { id, email } = await users.insert(account(), session());
      const stored = async () => (await users.findByEmail(email))?.passwordHash;
      for (const other of ['$other', '', HASH.toUpperCase(), `${HASH} `]) {
        assert.equal(await users.replacePasswordHash(id, other, '$new'), false, `for '${other}'`);
      }
      assert.equal(await stored(), HASH);
      assert.equal(await users.replacePasswordHash(id, HASH, '$new'), true);
      assert.equal(await stored(), '$new');
      assert.equal(await users.replacePasswordHash(id, HASH, '$newer'), false);
      assert.equal(await stored(), '$new');
    }),
    it('lets one of many concurrent replacements of a hash through', async ({ one, other }) => {
      const { id, email } = await one.users.insert(account(), session());
      const outcomes = await atOnce(10, [one, other], ({ users }, i) =>
        users.replacePasswordHash(id, HASH, `$new${i}`),
      );
      assert.equal(outcomes.filter(Boolean).length, 1);
      const stored = (await one.users.findByEmail(email))?.passwordHash;
      assert.equal(stored, `$new${outcomes.indexOf(true)}`);
    }),
    it('changes a password, once for each version', async ({ one, other }) => {
      const { id: userId, email } = await one.users.insert(account(), session());
      const change = { userId, version: 0, passwordHash: '$changed', keep: 'none' };
      assert.equal(await other.users.changePassword(change), true);
      const changed = await one.users.findByEmail(email);
      assert.equal(changed?.passwordHash, '$changed');
      assert.equal(changed.passwordVersion, 1);
      const next = { ...change, version: 1, passwordHash: '$next' };
      assert.equal(await one.users.changePassword(next), true);
      assert.equal((await other.users.findByEmail(email))?.passwordVersion, 2);
    }),
    it("ends a user's other sessions with a change, and nobody else's", async ({ one, other }) => {
      const [kept, ended, eves] = [session(), session(), session()];
      const { id: userId } = await one.users.insert(account(), kept);
      await one.sessions.insert({ ...ended, userId }, 0);
      await one.users.insert(account({ email: address('eve@x.co') }), eves);
      const change = { userId, version: 0, passwordHash: '$changed', keep: kept.id };
      assert.equal(await other.users.changePassword(change), true);
      assert.equal(await other.sessions.find(ended.id), undefined);
      assert.deepEqual(await other.sessions.find(kept.id), { ...kept, userId });
      assert.equal((await other.sessions.find(eves.id))?.id, eves.id);
    }),
    it('changes no password that has been changed meanwhile, and ends nothing', async ({ one }) => {
      const [first, second] = [session(), session()];
      const { id: userId, email } = await one.users.insert(account(), first);
      await one.sessions.insert({ ...second, userId }, 0);
      const change = { userId, version: 1, passwordHash: '$changed', keep: first.id };
      assert.equal(await one.users.changePassword(change), false);
      assert.equal(await one.users.changePassword({ ...change, userId: userId + 1 }), false);
      assert.equal((await one.users.findByEmail(email))?.passwordHash, HASH);
      assert.equal((await one.sessions.list(userId, new Date(START))).length, 2);
    }),
    it('lets one of many concurrent changes of a password through', async ({ one, other }) => {
      const { id: userId, email } = await one.users.insert(account(), session());
      const outcomes = await atOnce(10, [one, other], ({ users }, i) =>
        users.changePassword({ userId, version: 0, passwordHash: `$new${i}`, keep: 'none' }),
      );
      assert.equal(outcomes.filter(Boolean).length, 1);
      const stored = await one.users.findByEmail(email);
      assert.equal(stored?.passwordHash, `$new${outcomes.indexOf(true)}`);
      assert.equal(stored.passwordVersion, 1);
    }),
    it('does not take an upgraded hash for a changed password', async ({ one: { users } }) => {
      const { id: userId, email } = await users.insert(account(), session());
      await users.replacePasswordHash(userId, HASH, '$upgraded');
      assert.equal((await users.findByEmail(email))?.passwordVersion, 0);
      const change = { userId, version: 0, passwordHash: '$changed', keep: 'none' };
      assert.equal(await users.changePassword(change), true);
    }),
    it('deletes a user with their sessions, once', async ({ one, other }) => {
      const [first, second] = [session(), session()];
      const { id: userId, email } = await one.users.insert(account(), first);
      await one.sessions.insert({ ...second, userId }, 0);
      assert.equal(await one.users.delete(userId, 1), false, 'on another password');
      assert.equal(await other.users.delete(userId, 0), true);
      assert.equal(await one.users.delete(userId, 0), false);
      assert.equal(await one.users.findByEmail(email), undefined);
      for (const { id } of [first, second]) {
        assert.equal(await one.sessions.find(id), undefined);
      }
    }),
    it('deletes nothing of any other user', async ({ one, other }) => {
      const { id } = await one.users.insert(account(), session());
      const eves = session();
      const eve = await one.users.insert(account({ email: address('eve@x.co') }), eves);
      await other.users.delete(id, 0);
      assert.equal((await one.users.findByEmail(eve.email))?.user.id, eve.id);
      assert.equal((await one.sessions.find(eves.id))?.userId, eve.id);
    }),
    it('lets one of many concurrent deletions of a user through', async ({ one, other }) => {
      const { id } = await one.users.insert(account(), session());
      const outcomes = await atOnce(10, [one, other], ({ users }) => users.delete(id, 0));
      assert.equal(outcomes.filter(Boolean).length, 1);
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
        assert.equal(changed, !deleted);
        const stored = (await one.users.findByEmail(email))?.passwordHash;
        assert.equal(stored, changed ? '$changed' : undefined);
      }
    }),
  ];
}
