import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import { AuthError, type Email, type Session } from '../../src/application/index.ts';
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
    users: {
      insert: users.insert.bind(users),
      findById: users.findById.bind(users),
      findByEmail: users.findByEmail.bind(users),
      replacePasswordHash: users.replacePasswordHash.bind(users),
      page: users.page.bind(users),
      ...replaced.users,
    },
    sessions: {
      insert: sessions.insert.bind(sessions),
      find: sessions.find.bind(sessions),
      ...replaced.sessions,
    },
  };
}

const FAULTS: readonly { name: string; fault: Break; fails: readonly string[] }[] = [
  {
    name: 'looks before it inserts, and waits in between',
    fault: ({ users }) => {
      const taken = new Set<Email>();
      let made = 0;
      return {
        users: {
          async insert(account, session) {
            if (taken.has(account.email)) throw new AuthError('email_taken');
            await turn();
            taken.add(account.email);
            // What a table without a unique key would take.
            made += 1;
            const email = `${account.email}#${made}` as Email;
            const user = await users.insert({ ...account, email }, session);
            return { ...user, email: account.email };
          },
          async findByEmail(email) {
            const all = await users.page(0, 1000);
            const user = all.find((each) => each.email.replace(/#\d+$/, '') === email);
            const account = user && (await users.findByEmail(user.email));
            return account && { ...account, user: { ...account.user, email } };
          },
          async findById(id) {
            const user = await users.findById(id);
            return user && { ...user, email: user.email.replace(/#\d+$/, '') as Email };
          },
          async page(after, limit) {
            const page = await users.page(after, limit);
            return page.map((each) => ({
              ...each,
              email: each.email.replace(/#\d+$/, '') as Email,
            }));
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
    fails: ['tells emails apart by their bytes alone'],
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
    fails: ['finds nothing where there is nothing'],
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
      users: { page: (after, limit) => users.page(Math.max(0, after - 1), limit) },
    }),
    fails: ['lists users by ascending id, a page at a time'],
  },
  {
    name: 'lists password hashes',
    fault: ({ users }) => ({
      users: {
        async page(after, limit) {
          const page = await users.page(after, limit);
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
          async insert(session) {
            if (!(await sessions.insert(session))) strays.set(session.id, session);
            return true;
          },
          find: async (id) => strays.get(id) ?? sessions.find(id),
        },
      };
    },
    fails: ['stores no session of a user that does not exist'],
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
      const latest = new Map<string, Session>();
      return {
        sessions: {
          async insert(session) {
            const stored = await sessions.insert(session).catch(() => true);
            if (stored) latest.set(session.id, structuredClone(session));
            return stored;
          },
          find: async (id) => structuredClone(latest.get(id)) ?? sessions.find(id),
        },
      };
    },
    fails: ['rejects an id that is taken, and keeps what it has'],
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
      return use({ one: store, other: store, deleteUser: undefined });
    }),
  );
  return failedCases(cases);
}
