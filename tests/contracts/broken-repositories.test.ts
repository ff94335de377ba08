import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import { AuthError, type Email, type Session } from '../../src/application/index.ts';
import { withMethods } from '../support/fakes.ts';
import type { Repositories } from '../support/stores.ts';
import { failedCases } from './cases.ts';
import { sessionRepositoryContract, userRepositoryContract } from './repositories.ts';

// The contracts are worth what they catch: each fault below is one that adapters really have had,
// and must fail the cases that name it, and no other.

type Break = (sound: Repositories) => {
  readonly users?: Partial<Repositories['users']>;
  readonly sessions?: Partial<Repositories['sessions']>;
};

/** A sound adapter with some of its methods replaced by broken ones. */
function broken(fault: Break): Repositories {
  const { users, sessions } = memoryRepositories();
  const replaced = fault({ users, sessions });
  return {
    users: withMethods(users, replaced.users ?? {}),
    sessions: withMethods(sessions, replaced.sessions ?? {}),
  };
}

const FAULTS: readonly { name: string; fault: Break; fails: readonly string[] }[] = [
  {
    name: 'looks before it inserts, and waits in between',
    fault: ({ users }) => {
      // A table without a unique key, on one that has it: each address is made unique by a number.
      let made = 0;
      const plain = (email: Email) => email.replace(/#\d+$/, '') as Email;
      const find = async (email: Email) => {
        const all = await users.page({ after: 0, limit: 1000 });
        const user = all.find((each) => plain(each.email) === email);
        const account = user && (await users.findByEmail(user.email));
        return account && { ...account, user: { ...account.user, email } };
      };
      return {
        users: {
          async insert(account, session) {
            if (await find(account.email)) throw new AuthError('email_taken');
            await turn();
            made += 1;
            const email = `${account.email}#${made}` as Email;
            const user = await users.insert({ ...account, email }, session);
            return { ...user, email: account.email };
          },
          findByEmail: find,
          async findById(id) {
            const user = await users.findById(id);
            return user && { ...user, email: plain(user.email) };
          },
          async page({ email, ...query }) {
            const page = await users.page(query);
            return page
              .map((each) => ({ ...each, email: plain(each.email) }))
              .filter((each) => email === undefined || each.email === email);
          },
        },
      };
    },
    fails: ['lets exactly one of many concurrent inserts of an email through'],
  },
  {
    name: 'folds accents and case, as a collation does',
    fault: ({ users }) => {
      const fold = (email: Email) =>
        email.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase() as Email;
      return {
        users: {
          insert: async (account, session) => ({
            ...(await users.insert({ ...account, email: fold(account.email) }, session)),
            email: account.email,
          }),
          findByEmail: (email) => users.findByEmail(fold(email)),
        },
      };
    },
    fails: ['tells emails apart by their bytes alone', 'finds the one user of an email in a page'],
  },
  {
    name: 'ignores trailing spaces, as utf8mb4_bin does',
    fault: ({ users }) => ({
      users: { findByEmail: (email) => users.findByEmail(email.trimEnd() as Email) },
    }),
    fails: ['tells emails apart by their bytes alone'],
  },
  {
    name: 'stores the account although its session cannot be stored',
    fault: ({ users }) => {
      let spare = 0;
      return {
        users: {
          async insert(account, session) {
            try {
              return await users.insert(account, session);
            } catch (error) {
              if (error instanceof AuthError) throw error;
              spare += 1;
              await users.insert(account, { ...session, id: `spare-${spare}` });
              throw error;
            }
          },
        },
      };
    },
    fails: ['stores neither account nor session when the session cannot be stored'],
  },
  {
    name: 'stores the session of a refused account',
    fault: ({ users, sessions }) => {
      const strays = new Map<string, Session>();
      return {
        users: {
          insert: (account, session) =>
            users.insert(account, session).catch((error: unknown) => {
              strays.set(session.id, { ...session, userId: 1 });
              throw error;
            }),
        },
        sessions: { find: async (id) => strays.get(id) ?? sessions.find(id) },
      };
    },
    fails: ['refuses a taken email, storing nothing of the attempt'],
  },
  {
    name: 'throws where it finds nothing',
    fault: ({ users }) => ({
      users: {
        async findById(id) {
          const user = await users.findById(id);
          if (user === undefined) throw new Error('no such user');
          return user;
        },
      },
    }),
    fails: [
      'finds nothing where there is nothing',
      'forgets a deleted user, whose email is free again',
      'deletes a user with their sessions, once',
    ],
  },
  {
    name: 'reports a taken email as a fault',
    fault: ({ users }) => ({
      users: {
        insert: (account, session) =>
          users.insert(account, session).catch(() => {
            throw new Error('duplicate entry');
          }),
      },
    }),
    fails: [
      'refuses a taken email, storing nothing of the attempt',
      'lets exactly one of many concurrent inserts of an email through',
    ],
  },
  {
    name: 'replaces a hash without comparing',
    fault: ({ users }) => ({
      users: {
        async replacePasswordHash(id, _, replacement) {
          const email = (await users.findById(id))?.email;
          if (email === undefined) return false;
          for (let replaced = false; !replaced; ) {
            const current = (await users.findByEmail(email))?.passwordHash ?? '';
            replaced = await users.replacePasswordHash(id, current, replacement);
          }
          return true;
        },
      },
    }),
    fails: [
      'replaces a hash only while it is the expected one',
      'lets one of many concurrent replacements of a hash through',
    ],
  },
  {
    name: 'keeps times to the second',
    fault: ({ users }) => ({
      users: {
        async findById(id) {
          const user = await users.findById(id);
          return user && { ...user, dateCreated: wholeSeconds(user.dateCreated) };
        },
      },
    }),
    fails: [
      'finds an account by id and by email, from anywhere',
      'keeps times to the millisecond',
      'is not changed through what it returned',
    ],
  },
  {
    name: 'starts a page with the user that it should come after',
    fault: ({ users }) => ({
      users: {
        page: (query) => users.page({ ...query, after: Math.max(0, query.after - 1) }),
      },
    }),
    fails: [
      'lists users by ascending id, a page at a time',
      'finds the one user of an email in a page',
    ],
  },
  {
    name: 'lists password hashes',
    fault: ({ users }) => ({
      users: {
        async page(query) {
          const page = await users.page(query);
          return page.map((user) => ({ ...user, passwordHash: 'leak' }));
        },
      },
    }),
    fails: [
      'refuses a taken email, storing nothing of the attempt',
      'lets exactly one of many concurrent inserts of an email through',
      'lists users by ascending id, a page at a time',
    ],
  },
  {
    name: 'stores sessions of nobody',
    fault: ({ sessions }) => {
      const strays = new Map<string, Session>();
      return {
        sessions: {
          async insert(session, version) {
            if (!(await sessions.insert(session, version))) strays.set(session.id, session);
            return true;
          },
          find: async (id) => strays.get(id) ?? sessions.find(id),
        },
      };
    },
    fails: [
      'stores no session of a user that does not exist',
      'stores no session on a password that has been changed',
    ],
  },
  {
    name: 'hides sessions that have expired',
    fault: ({ sessions }) => ({
      sessions: {
        async find(id) {
          const session = await sessions.find(id);
          return session && session.expires.getTime() > 0 ? session : undefined;
        },
      },
    }),
    fails: ['finds sessions that have expired'],
  },
  {
    name: 'overwrites a session',
    fault: ({ sessions }) => {
      const overwritten = new Map<string, Session>();
      return {
        sessions: {
          insert: (session, version) =>
            sessions.insert(session, version).catch(() => {
              overwritten.set(session.id, session);
              return true;
            }),
          find: async (id) => overwritten.get(id) ?? sessions.find(id),
        },
      };
    },
    fails: ['rejects an id that is taken, and keeps what it has'],
  },
  {
    name: 'looks before it rotates, and waits in between',
    fault: ({ sessions }) => ({
      sessions: {
        async rotate(rotation) {
          const session = await sessions.find(rotation.sessionId);
          await turn();
          if (session?.tokenId !== rotation.presented) return sessions.rotate(rotation);
          const { successor: tokenId, now: date } = rotation;
          await sessions.rotate(rotation);
          return { kind: 'rotated', tokenId, date };
        },
      },
    }),
    fails: ['makes one successor of many concurrent rotations', 'rotates nothing that has expired'],
  },
  {
    name: 'knows no grace',
    fault: ({ sessions }) => ({
      sessions: { rotate: (rotation) => sessions.rotate({ ...rotation, grace: -1 }) },
    }),
    fails: [
      'tells of the same successor again, for as long as the grace',
      'makes one successor of many concurrent rotations',
    ],
  },
  {
    name: 'reports a reused token, but lets its session live',
    fault: ({ sessions }) => ({
      sessions: {
        async rotate(rotation) {
          const session = await sessions.find(rotation.sessionId);
          const outcome = await sessions.rotate(rotation);
          if (outcome.kind === 'reused' && session) await sessions.insert(session, 0);
          return outcome;
        },
      },
    }),
    fails: [
      'tells of the same successor again, for as long as the grace',
      'ends the session when a token comes that is older than the last',
    ],
  },
  {
    name: 'changes a password whatever its version',
    fault: ({ users }) => ({
      users: {
        async changePassword(change) {
          for (let version = 0; version < 20; version += 1) {
            if (await users.changePassword({ ...change, version })) return true;
          }
          return false;
        },
      },
    }),
    fails: [
      'changes no password that has been changed meanwhile, and ends nothing',
      'lets one of many concurrent changes of a password through',
    ],
  },
  {
    name: 'changes a password and leaves the other sessions',
    fault: ({ users, sessions }) => ({
      users: {
        async changePassword(change) {
          const others = await sessions.list(change.userId, new Date(0));
          const changed = await users.changePassword(change);
          if (changed) {
            for (const other of others.filter(({ id }) => id !== change.keep)) {
              await sessions.insert(other, change.version + 1);
            }
          }
          return changed;
        },
      },
    }),
    fails: [
      'changes a password and ends the other sessions with it',
      'leaves no session of the old password behind a concurrent change',
    ],
  },
  {
    name: 'stores a session whatever the version of the password',
    fault: ({ sessions }) => ({
      sessions: {
        async insert(session, version) {
          for (let each = version; each < version + 3; each += 1) {
            if (await sessions.insert(session, each)) return true;
          }
          return false;
        },
      },
    }),
    fails: [
      'stores no session on a password that has been changed',
      'leaves no session of the old password behind a concurrent change',
    ],
  },
  {
    name: "removes another user's session",
    fault: ({ sessions }) => ({
      sessions: {
        async remove(id, _, now) {
          const owner = (await sessions.find(id))?.userId ?? 0;
          return sessions.remove(id, owner, now);
        },
      },
    }),
    fails: ["removes a session of its user's, once, and no other's"],
  },
  {
    name: 'removes all that has expired, without a limit',
    fault: ({ sessions }) => ({
      sessions: { removeExpired: (now) => sessions.removeExpired(now, Infinity) },
    }),
    fails: ['removes what has expired, up to a limit', 'lets many remove what has expired at once'],
  },
];

function wholeSeconds(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}

const contract = suite('A broken adapter fails the contract');

contract('and a sound one does not', async () => {
  assert.equal(await failuresOf(() => ({})), []);
});

for (const { name, fault, fails } of FAULTS) {
  contract(`that ${name}`, async () => {
    assert.equal(await failuresOf(fault), fails);
  });
}

contract.run();

async function failuresOf(fault: Break): Promise<string[]> {
  const cases = [userRepositoryContract, sessionRepositoryContract].flatMap((contractOf) =>
    contractOf((use) => {
      const store = broken(fault);
      return use({ one: store, other: store, deleteUser: (id) => store.users.delete(id, 0) });
    }),
  );
  return failedCases(cases);
}
