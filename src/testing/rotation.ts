import * as assert from 'node:assert/strict';
import type { Session } from '../application/index.ts';
import { atOnce, type Case, casesOn } from './case.ts';
import { type Repositories, START, type Store, session } from './store.ts';

type OnUser = (
  check: (store: Store & { readonly userId: number }) => Promise<void>,
) => Promise<void>;

/** The promises of a SessionRepository about refresh token rotation and reuse detection. */
export function rotationCases(onUser: OnUser): readonly Case[] {
  const it = casesOn(onUser);
  return [
    it('rotates a token into its successor', async ({ one, other, userId }) => {
      const made: Session = { ...session({ tokenId: 'a' }), userId };
      await one.sessions.insert(made, 0);
      const now = new Date(START + 5_000);
      const rotation = { sessionId: made.id, presented: 'a', successor: 'b', now, grace: 10 };
      const rotated = { kind: 'rotated', tokenId: 'b', date: now };
      assert.deepEqual(await one.sessions.rotate(rotation), rotated);
      const expected = { ...made, tokenId: 'b', lastUsed: now };
      assert.deepEqual(await other.sessions.find(made.id), expected);
    }),
    it('knows no session of an unknown id', async ({ one: { sessions } }) => {
      const rotation = { presented: 'a', successor: 'b', now: new Date(START), grace: 10 };
      const found = await sessions.rotate({ sessionId: 'nothing', ...rotation });
      assert.deepEqual(found, { kind: 'unknown' });
    }),
    it('tells of the same successor again, for as long as the grace', async ({ one, userId }) => {
      const { reuse } = await rotateOnce(one, userId);
      const repeated = { kind: 'repeated', tokenId: 'b', date: new Date(START) };
      assert.deepEqual(await reuse(3, 'c'), repeated);
      assert.deepEqual(await reuse(10, 'd'), repeated);
    }),
    it('takes a token for reused when the grace is over', async ({ one, userId }) => {
      const { id, reuse } = await rotateOnce(one, userId);
      assert.deepEqual(await reuse(11, 'c'), { kind: 'reused' });
      assert.equal(await one.sessions.find(id), undefined, 'and ends the session');
      assert.deepEqual(await reuse(11, 'd'), { kind: 'unknown' });
    }),
    it('ends the grace to the millisecond', async ({ one, userId }) => {
      const { reuse } = await rotateOnce(one, userId);
      assert.equal((await reuse(10.001, 'c')).kind, 'reused');
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
      assert.deepEqual(await other.sessions.rotate(exchange('a', 'd')), { kind: 'reused' });
      assert.deepEqual(await one.sessions.rotate(exchange('c', 'e')), { kind: 'unknown' });
    }),
    it('tells tokens apart by their bytes', async ({ one: { sessions }, userId }) => {
      for (const presented of ['ABC', 'abc ', 'ábc']) {
        const made: Session = { ...session({ tokenId: 'abc' }), userId };
        await sessions.insert(made, 0);
        const rotation = { presented, successor: 'd', now: new Date(START), grace: 10 };
        const { kind } = await sessions.rotate({ sessionId: made.id, ...rotation });
        assert.equal(kind, 'reused', `'${presented}' for 'abc'`);
      }
    }),
    it('makes one successor of many concurrent rotations', async ({ one, other, userId }) => {
      const made: Session = { ...session({ tokenId: 'a' }), userId };
      await one.sessions.insert(made, 0);
      const now = new Date(START);
      const outcomes = await atOnce(50, [one, other], ({ sessions }, i) => {
        const exchange = { presented: 'a', successor: `b${i}`, now, grace: 10 };
        return sessions.rotate({ sessionId: made.id, ...exchange });
      });
      const kinds = outcomes.map(({ kind }) => kind);
      assert.equal(kinds.filter((kind) => kind === 'rotated').length, 1, `of ${kinds.join()}`);
      const tokenId = (await one.sessions.find(made.id))?.tokenId;
      for (const each of outcomes) {
        const kind = each.kind === 'rotated' ? 'rotated' : 'repeated';
        assert.deepEqual(each, { kind, tokenId, date: now });
      }
    }),
    it('rotates nothing that has expired', async ({ one: { sessions }, userId }) => {
      const made: Session = { ...session({ tokenId: 'a', expires: new Date(START) }), userId };
      await sessions.insert(made, 0);
      const rotation = { presented: 'a', successor: 'b', now: new Date(START), grace: 10 };
      const found = await sessions.rotate({ sessionId: made.id, ...rotation });
      assert.deepEqual(found, { kind: 'expired' });
      assert.deepEqual(await sessions.find(made.id), made);
    }),
    it('takes the first token that comes for a session that names none', async (store) => {
      const { one, userId } = store;
      const made: Session = { ...session({ tokenId: null }), userId };
      await one.sessions.insert(made, 0);
      const rotation = { presented: 'a', successor: 'b', now: new Date(START), grace: 10 };
      const { kind } = await one.sessions.rotate({ sessionId: made.id, ...rotation });
      assert.equal(kind, 'rotated');
      assert.equal((await one.sessions.find(made.id))?.tokenId, 'b');
    }),
  ];
}

/** Rotates a session's token 'a' to 'b'. `reuse` presents 'a' again, that many seconds later. */
async function rotateOnce({ sessions }: Repositories, userId: number) {
  const made: Session = { ...session({ tokenId: 'a' }), userId };
  await sessions.insert(made, 0);
  const reuse = (seconds: number, successor: string) =>
    sessions.rotate({
      sessionId: made.id,
      presented: 'a',
      successor,
      now: new Date(START + seconds * 1000),
      grace: 10,
    });
  await reuse(0, 'b');
  return { id: made.id, reuse };
}
