import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AuthError, createAuth, defaultPolicy, type Session } from '../../src/application/index.ts';
import { lostAnswerContract, type Repositories } from '../../src/testing/index.ts';
import { failedCases, runContract } from '../support/contracts.ts';
import { outcome } from '../support/expect.ts';
import * as made from '../../src/testing/store.ts';
import { ADA, fakePorts, withMethods } from '../support/fakes.ts';
import { lossyMemory, openLossyStore } from '../support/lossy-stores.ts';
import { isAvailable, STORE_NAMES } from '../support/stores.ts';

for (const name of STORE_NAMES) {
  const cases = lostAnswerContract(() => openLossyStore(name));
  runContract(`Answers that are lost on ${name}`, cases, isAvailable(name));
}

const NOW = new Date(made.START + 1000);

/** Writes by Ada's only session, and what each resolves to where its answer arrived. */
const WRITES: Readonly<
  Record<
    string,
    (repositories: Repositories, adas: Session) => Promise<readonly [unknown, unknown]>
  >
> = {
  async 'an account'({ users }, { userId }) {
    const fields = { username: 'Eve', email: made.address('eve@x.co'), dateCreated: NOW };
    const eve = { ...fields, passwordHash: made.HASH };
    const { id, ...inserted } = await users.insert(eve, made.session());
    return [
      { ...inserted, isNew: id > userId },
      { ...fields, role: 'user', disabled: false, isNew: true },
    ];
  },
  async 'a session'({ sessions }, { userId }) {
    return [await sessions.insert({ ...made.session(), userId }, 0), true];
  },
  async 'a rotation'({ sessions }, { id: sessionId }) {
    const rotation = { sessionId, presented: 'a', successor: 'b', now: NOW, grace: 0 };
    return [await sessions.rotate(rotation), { kind: 'rotated', tokenId: 'b', date: NOW }];
  },
  async 'a new password'({ users }, { userId }) {
    const change = { userId, version: 0, passwordHash: '$changed', keep: 'none' };
    return [await users.changePassword(change), true];
  },
  async 'a hash that replaces another'({ users }, { userId }) {
    return [await users.replacePasswordHash(userId, made.HASH, '$new'), true];
  },
  async 'an account without a session'({ users }, { userId }) {
    const fields = { username: 'Eve', email: made.address('eve@x.co'), dateCreated: NOW };
    const { id, ...inserted } = await users.insert({ ...fields, passwordHash: '$of Eve' });
    return [
      { ...inserted, isNew: id > userId },
      { ...fields, role: 'user', disabled: false, isNew: true },
    ];
  },
  async 'a role'({ users }, { userId }) {
    return [await users.setRole(userId, 'admin'), true];
  },
  async 'that a user is disabled'({ users }, { userId }) {
    return [await users.setDisabled(userId, true), true];
  },
  async 'a password that is set'({ users }, { userId }) {
    return [await users.changePassword({ userId, passwordHash: '$set' }), true];
  },
  async 'the end of an account, whatever its password'({ users }, { userId }) {
    return [await users.delete(userId), true];
  },
  async 'the end of an account'({ users }, { userId }) {
    return [await users.delete(userId, 0), true];
  },
  async 'the end of a session'({ sessions }, { id, userId }) {
    return [await sessions.remove(id, userId, NOW), true];
  },
  async 'the note of a use'({ sessions }, { id }) {
    return [await sessions.touch(id, NOW), undefined];
  },
  async 'the end of all sessions'({ sessions }, { userId }) {
    return [await sessions.removeAll(userId), undefined];
  },
};

for (const name of STORE_NAMES) {
  if (name === 'memory') continue; // It has no wire.
  const found = suite(`A write whose answer is lost on ${name}`);
  const check = (what: string, test: () => Promise<void>) =>
    isAvailable(name) ? found(what, test) : found.skip(what, test);
  for (const [what, write] of Object.entries(WRITES)) {
    check(`is looked for: ${what}`, async () => {
      const store = await openLossyStore(name);
      try {
        const adas = made.session({ tokenId: 'a' });
        const { id: userId } = await store.users.insert(made.account(), adas);
        await store.loseNextAnswer();
        const [given, expected] = await write(store, { ...adas, userId });
        assert.equal(given, expected);
      } finally {
        await store.close?.();
      }
    });
  }
  found.run();
}

interface Break {
  readonly users?: Partial<Repositories['users']>;
  readonly sessions?: Partial<Repositories['sessions']>;
}

/** What becomes of a call whose answer is lost: `again`, in the place of the fault. */
async function unlessLost<T>(call: Promise<T>, again: (fault: unknown) => Promise<T>): Promise<T> {
  return call.catch((error: unknown) => {
    if (error instanceof AuthError) throw error;
    return again(error);
  });
}

/**
 * Faults of adapters behind a connection that can end. `lossy` is a sound one, `sound` the same store
 * by a way on which nothing is lost.
 */
const FAULTS: readonly {
  readonly name: string;
  readonly fault: (lossy: Repositories, sound: Repositories) => Break;
  readonly fails: readonly string[];
}[] = [
  {
    name: 'inserts an account again, blindly',
    fault: ({ users }) => ({
      users: {
        insert: (account, session) =>
          unlessLost(users.insert(account, session), () => users.insert(account, session)),
      },
    }),
    fails: [
      'calls no email taken by the very account that it stored',
      'denies no account without a session that it stored',
    ],
  },
  {
    name: 'commits the account alone',
    fault: ({ users }, sound) => ({
      users: {
        insert: (account, session) =>
          unlessLost(users.insert(account, session), async (fault) => {
            const stored = await sound.users.findByEmail(account.email);
            if (stored) await sound.sessions.removeAll(stored.user.id);
            throw fault;
          }),
      },
    }),
    fails: ['stores an account and its first session, or neither'],
  },
  {
    name: 'takes every email for free again after a fault',
    fault: ({ users }) => {
      let wasLost = false;
      return {
        users: {
          async insert(account, session) {
            try {
              return await users.insert(account, session);
            } catch (error) {
              if (wasLost) throw new Error('cannot be', { cause: error });
              wasLost = true;
              throw error;
            }
          },
        },
      };
    },
    fails: ['tells a retry that the email is taken exactly when it is'],
  },
  {
    name: 'takes a fault for a session that was not stored',
    fault: ({ sessions }) => ({
      sessions: {
        insert: (session, version) =>
          unlessLost(sessions.insert(session, version), async () => false),
      },
    }),
    fails: ['denies no session that it stored'],
  },
  {
    name: 'takes its own rotation for the use of an old token',
    fault: ({ sessions }) => ({
      sessions: {
        rotate: (rotation) =>
          unlessLost(sessions.rotate(rotation), async () => ({ kind: 'reused' })),
      },
    }),
    fails: ['takes no rotation for a reuse of its own token'],
  },
  {
    name: 'rotates again, blindly, to another successor',
    fault: ({ sessions }) => ({
      sessions: {
        rotate: (rotation) =>
          unlessLost(sessions.rotate(rotation), () =>
            sessions.rotate({ ...rotation, presented: rotation.successor, successor: 'another' }),
          ),
      },
    }),
    fails: [
      'takes no rotation for a reuse of its own token',
      'repeats a rotation to a retry, and lets its session live',
    ],
  },
  {
    name: 'ends the session whose rotation is in doubt',
    fault: ({ sessions }) => ({
      sessions: {
        rotate: (rotation) =>
          unlessLost(sessions.rotate(rotation), async (fault) => {
            const session = await sessions.find(rotation.sessionId);
            if (session) await sessions.remove(session.id, session.userId, rotation.now);
            throw fault;
          }),
      },
    }),
    fails: ['repeats a rotation to a retry, and lets its session live'],
  },
  {
    name: 'changes a password again, blindly',
    fault: ({ users }) => ({
      users: {
        changePassword: (change) =>
          unlessLost(users.changePassword(change), () => users.changePassword(change)),
      },
    }),
    fails: [
      'denies no change of password that it made',
      'denies no password that it set, and ends the sessions with it',
    ],
  },
  {
    name: 'changes a password again, whatever its version',
    fault: ({ users }) => ({
      users: {
        changePassword: (change) =>
          unlessLost(users.changePassword(change), () =>
            users.changePassword({ ...change, version: (change.version ?? 0) + 1 }),
          ),
      },
    }),
    fails: [
      'changes a password once, and ends the sessions with it, or neither',
      'denies no password that it set, and ends the sessions with it',
    ],
  },
  {
    name: 'says that no role was given where it does not know',
    fault: ({ users }) => ({
      users: {
        setRole: (id, role) => unlessLost(users.setRole(id, role), async () => false),
      },
    }),
    fails: ['denies no role that it gave'],
  },
  {
    name: 'disables a user in two transactions',
    fault: ({ users }, sound) => ({
      users: {
        async setDisabled(id, disabled) {
          const sessions = await sound.sessions.list(id, NOW);
          try {
            return await users.setDisabled(id, disabled);
          } catch (fault) {
            const user = await sound.users.findById(id);
            const { passwordVersion = 0 } =
              (user && (await sound.users.findByEmail(user.email))) ?? {};
            for (const each of sessions) await sound.sessions.insert(each, passwordVersion);
            throw fault;
          }
        },
      },
    }),
    fails: ['disables a user and ends their sessions, or neither'],
  },
  {
    name: 'replaces a hash again, blindly',
    fault: ({ users }) => ({
      users: {
        replacePasswordHash: (...change) =>
          unlessLost(users.replacePasswordHash(...change), () =>
            users.replacePasswordHash(...change),
          ),
      },
    }),
    fails: ['denies no hash that it replaced'],
  },
  {
    name: 'deletes a user again, blindly',
    fault: ({ users }) => ({
      users: {
        delete: (...query) => unlessLost(users.delete(...query), () => users.delete(...query)),
      },
    }),
    fails: ['denies no deletion of a user that it made'],
  },
  {
    name: 'removes a session again, blindly',
    fault: ({ sessions }) => ({
      sessions: {
        remove: (...query) =>
          unlessLost(sessions.remove(...query), () => sessions.remove(...query)),
      },
    }),
    fails: ['denies no removal of a session that it made'],
  },
  {
    name: 'says that a use was noted which was not',
    fault: ({ sessions }, sound) => ({
      sessions: {
        touch: (id, now) =>
          unlessLost(sessions.touch(id, now), async () => {
            const session = await sound.sessions.find(id);
            await sound.sessions.touch(id, session?.dateCreated ?? now);
          }),
      },
    }),
    fails: ['notes a use or not, and changes nothing else of a session'],
  },
  {
    name: 'keeps the connection that ended, for one call more',
    fault: ({ users }) => {
      let isStale = false;
      return {
        users: {
          async insert(account, session) {
            if (isStale) {
              isStale = false;
              throw new Error('the connection is closed');
            }
            return users.insert(account, session);
          },
          replacePasswordHash: (...change) =>
            unlessLost(users.replacePasswordHash(...change), async (fault) => {
              isStale = true;
              throw fault;
            }),
        },
      };
    },
    fails: ['goes on serving at once, whatever was lost'],
  },
];

/** A lossy store with some of its methods replaced by broken ones. */
function broken(fault: (lossy: Repositories, sound: Repositories) => Break) {
  const lossy = lossyMemory();
  const { users = {}, sessions = {} } = fault(lossy, lossy.sound);
  return {
    ...lossy,
    users: withMethods(lossy.users, users),
    sessions: withMethods(lossy.sessions, sessions),
  };
}

const contract = suite('An adapter for which an answer is lost fails the contract');

for (const { name, fault, fails } of FAULTS) {
  contract(`that ${name}`, async () => {
    assert.equal(await failedCases(lostAnswerContract(() => broken(fault))), fails);
  });
}

contract('but not one that finds out what became of its write', async () => {
  const cases = lostAnswerContract(() =>
    broken(({ users, sessions }, sound) => ({
      users: {
        insert: (account, session) =>
          unlessLost(users.insert(account, session), async (fault) => {
            const stored = await sound.users.findByEmail(account.email);
            const first = session && (await sound.sessions.find(session.id));
            const isOurs = session
              ? first?.userId === stored?.user.id
              : stored?.passwordHash === account.passwordHash;
            if (stored === undefined || !isOurs) throw fault;
            return stored.user;
          }),
        changePassword: (change) =>
          unlessLost(users.changePassword(change), async () => {
            const user = await sound.users.findById(change.userId);
            const stored = user && (await sound.users.findByEmail(user.email));
            return stored?.passwordHash === change.passwordHash;
          }),
      },
      sessions: {
        insert: (session, version) =>
          unlessLost(sessions.insert(session, version), async () =>
            Boolean(await sound.sessions.find(session.id)),
          ),
        rotate: (rotation) =>
          unlessLost(sessions.rotate(rotation), () => sessions.rotate(rotation)),
      },
    })),
  );
  assert.equal(await failedCases(cases), []);
});

contract('nor goes one unnoticed that loses no answer', async () => {
  const cases = lostAnswerContract(() => {
    const { sound, ...lossy } = lossyMemory();
    return { ...lossy, ...sound };
  });
  assert.is((await failedCases(cases)).length, cases.length);
});

contract.run();

const useCases = suite('Use cases whose answer from the store is lost');

/** The use cases on a store that loses answers when it is told to. */
function withLossyStore(refreshRotation = false) {
  const { loseNextAnswer, sound, users, sessions } = lossyMemory();
  const ports = { ...fakePorts(), users, sessions };
  const auth = createAuth(ports, { ...defaultPolicy, refreshRotation });
  return { auth, ports, sound, loseNextAnswer };
}

useCases('register one account, to which a retry and then a login lead', async () => {
  const { auth, sound, loseNextAnswer } = withLossyStore();
  await loseNextAnswer();
  assert.is(await outcome(auth.registerUser(ADA)), 'fault');
  assert.is(await outcome(auth.registerUser(ADA)), 'email_taken');
  const users = await sound.users.page({ after: 0, limit: 10 });
  assert.is(users.length, 1);
  const signedIn = await auth.login(ADA);
  assert.is(signedIn.user.id, users[0]?.id);
  assert.equal((await auth.authorize(signedIn)).user, users[0]);
});

useCases('let a login that failed so be tried again', async () => {
  const { auth, loseNextAnswer } = withLossyStore();
  await auth.registerUser(ADA);
  await loseNextAnswer();
  assert.is(await outcome(auth.login(ADA)), 'fault');
  const signedIn = await auth.login(ADA);
  assert.type((await auth.refreshToken(signedIn)).accessToken, 'string');
});

useCases('upgrade a hash, and sign in although nobody knows whether they did', async () => {
  const { auth, ports, loseNextAnswer } = withLossyStore();
  const { user } = await auth.registerUser(ADA);
  ports.hasher.version = 2;
  const insert = ports.sessions.insert.bind(ports.sessions);
  const sessions = withMethods(ports.sessions, {
    async insert(...args) {
      const stored = await insert(...args);
      await loseNextAnswer();
      return stored;
    },
  });
  assert.equal((await createAuth({ ...ports, sessions }).login(ADA)).user, user);
  assert.match((await ports.users.findByEmail(user.email))?.passwordHash ?? '', '$v=2$');
  await auth.login(ADA);
});

useCases('give a retry of a rotation the same successor, whose session lives', async () => {
  const { auth, loseNextAnswer } = withLossyStore(true);
  const ada = await auth.registerUser(ADA);
  await loseNextAnswer();
  assert.is(await outcome(auth.refreshToken(ada)), 'fault');
  const { refreshToken = '' } = await auth.refreshToken(ada);
  assert.type((await auth.refreshToken({ refreshToken })).accessToken, 'string');
});

useCases('refresh without a note of it', async () => {
  const { auth, ports, loseNextAnswer } = withLossyStore();
  const ada = await auth.registerUser(ADA);
  ports.clock.advance(3600);
  await loseNextAnswer();
  assert.type((await auth.refreshToken(ada)).accessToken, 'string');
});

useCases('change a password, with which a login then works', async () => {
  const { auth, loseNextAnswer } = withLossyStore();
  const ada = await auth.registerUser(ADA);
  const password = 'another password';
  const change = { ...ada, currentPassword: ADA.password, password, confirmPassword: password };
  await loseNextAnswer();
  assert.is(await outcome(auth.changePassword(change)), 'fault');
  assert.is(await outcome(auth.changePassword(change)), 'wrong_password');
  await auth.login({ ...ADA, password });
  assert.is(await outcome(auth.login(ADA)), 'invalid_credentials');
});

useCases('delete an account, which is then gone', async () => {
  const { auth, loseNextAnswer } = withLossyStore();
  const ada = await auth.registerUser(ADA);
  await loseNextAnswer();
  assert.is(await outcome(auth.deleteAccount({ ...ada, password: ADA.password })), 'fault');
  assert.is(
    await outcome(auth.deleteAccount({ ...ada, password: ADA.password })),
    'user_not_found',
  );
  await auth.registerUser(ADA);
});

useCases.run();
