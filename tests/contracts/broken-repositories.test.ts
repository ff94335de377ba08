import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import {
  AuthError,
  type Email,
  type FirstSession,
  type Session,
} from '../../src/application/index.ts';
import {
  type Repositories,
  sessionRepositoryContract,
  userRepositoryContract,
} from '../../src/testing/index.ts';
import { failedCases } from '../support/contracts.ts';
import { withMethods } from '../support/fakes.ts';

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

let lastSession = 0;

function firstSession(): FirstSession {
  lastSession += 1;
  const [now, expires] = [new Date(0), new Date('9999-12-31')];
  const ids = { id: `first-${lastSession}`, tokenId: `first-${lastSession}` };
  return { ...ids, device: null, dateCreated: now, lastUsed: now, expires };
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
              await users.insert(account, session && { ...session, id: `spare-${spare}` });
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
              if (session) strays.set(session.id, { ...session, userId: 1 });
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
      'takes any number for an id, and finds nobody of it',
      'forgets a deleted user, whose email is free again',
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
      'stores an account without a session',
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
    fails: ['keeps times to the millisecond, from 1970 to 9999'],
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
    fails: ['stores what a new account is', 'lists of a user all but what proves who they are'],
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
      'holds what was proved before a user was disabled for nothing',
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
      'takes a token for reused when the grace is over',
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
      'holds what was proved before a user was disabled for nothing',
    ],
  },
  {
    name: 'stores a session where none is given',
    fault: ({ users }) => ({
      users: {
        insert: (account, session = firstSession()) => users.insert(account, session),
      },
    }),
    fails: ['stores an account without a session'],
  },
  {
    name: 'makes a user of everybody',
    fault: ({ users }) => ({
      users: {
        insert: ({ role: _role, disabled: _disabled, ...account }, session) =>
          users.insert(account, session),
      },
    }),
    fails: ['stores what a new account is'],
  },
  {
    name: 'gives everybody the role',
    fault: ({ users }) => ({
      users: {
        async setRole(id, role) {
          const given = await users.setRole(id, role);
          for (const each of await users.page({ after: 0, limit: 100 })) {
            if (given) await users.setRole(each.id, role);
          }
          return given;
        },
      },
    }),
    fails: ['gives a user a role, and nobody else one'],
  },
  {
    name: 'counts no row that was so before',
    fault: ({ users }) => ({
      users: {
        async setRole(id, role) {
          const before = await users.findById(id);
          return (await users.setRole(id, role)) && before?.role !== role;
        },
        async setDisabled(id, disabled) {
          const before = await users.findById(id);
          return (await users.setDisabled(id, disabled)) && before?.disabled !== disabled;
        },
      },
    }),
    fails: [
      'gives a user a role, and nobody else one',
      'disables a user and enables them again, and nobody else',
    ],
  },
  {
    name: 'says that it has set what is of nobody',
    fault: ({ users }) => ({
      users: {
        setRole: async (id, role) => (await users.setRole(id, role)) || true,
        setDisabled: async (id, disabled) => (await users.setDisabled(id, disabled)) || true,
      },
    }),
    fails: ['takes any number for an id, and finds nobody of it'],
  },
  {
    name: 'disables everybody',
    fault: ({ users }) => ({
      users: {
        async setDisabled(id, disabled) {
          const is = await users.setDisabled(id, disabled);
          for (const each of await users.page({ after: 0, limit: 100 })) {
            if (is && each.id !== id) await users.setDisabled(each.id, disabled);
          }
          return is;
        },
      },
    }),
    fails: [
      'disables a user and enables them again, and nobody else',
      'ends the sessions of whom it disables or enables, and no other',
      'deletes a user whatever the version of the password, once',
    ],
  },
  {
    name: 'leaves the sessions of whom it enables',
    fault: ({ users, sessions }) => ({
      users: {
        async setDisabled(id, disabled) {
          const all = await sessions.list(id, new Date(0));
          const is = await users.setDisabled(id, disabled);
          const user = await users.findById(id);
          const { passwordVersion = 0 } = (user && (await users.findByEmail(user.email))) ?? {};
          for (const each of disabled ? [] : all) await sessions.insert(each, passwordVersion);
          return is;
        },
      },
    }),
    fails: ['ends the sessions of whom it disables or enables, and no other'],
  },
  {
    name: 'forgets what was proved of whom it disables',
    fault: ({ users, sessions }) => {
      const disabled = new Set<number>();
      const later = (id: number, version: number) => (disabled.has(id) ? version + 1 : version);
      return {
        users: {
          async setDisabled(id, is) {
            const set = await users.setDisabled(id, is);
            if (is) disabled.add(id);
            return set;
          },
          delete: (id, version) =>
            users.delete(id, version === undefined ? version : later(id, version)),
        },
        sessions: {
          insert: (session, version) => sessions.insert(session, later(session.userId, version)),
        },
      };
    },
    fails: ['holds what was proved before a user was disabled for nothing'],
  },
  {
    name: 'writes the whole row of a user back',
    fault: ({ users }) => ({
      users: {
        async setRole(id, role) {
          const before = await users.findById(id);
          await turn();
          if (before) await users.setDisabled(id, before.disabled);
          return users.setRole(id, role);
        },
      },
    }),
    fails: [
      'gives a user a role, and nobody else one',
      'loses nothing of what is set of one user at once',
    ],
  },
  {
    name: 'sets a password of the first version alone',
    fault: ({ users }) => ({
      users: {
        changePassword: (change) => users.changePassword({ version: 0, ...change }),
      },
    }),
    fails: [
      'loses nothing of what is set of one user at once',
      'sets a password whatever its version, and ends every session',
    ],
  },
  {
    name: 'leaves the sessions of whose password it sets',
    fault: ({ users, sessions }) => ({
      users: {
        async changePassword(change) {
          const all = await sessions.list(change.userId, new Date(0));
          const changed = await users.changePassword(change);
          for (const each of change.version === undefined ? all : []) {
            await sessions.insert(each, 1);
          }
          return changed;
        },
      },
    }),
    fails: ['sets a password whatever its version, and ends every session'],
  },
  {
    name: 'deletes a user of the first password alone',
    fault: ({ users }) => ({
      users: { delete: (id, version = 0) => users.delete(id, version) },
    }),
    fails: ['deletes a user whatever the version of the password, once'],
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
              await sessions.insert(other, (change.version ?? 0) + 1);
            }
          }
          return changed;
        },
      },
    }),
    fails: [
      "ends a user's other sessions with a change, and nobody else's",
      'sets a password whatever its version, and ends every session',
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
      'holds what was proved before a user was disabled for nothing',
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
    fails: [
      "removes a session of its user's, once, and no other's",
      'removes a session that has expired, too',
    ],
  },
  {
    name: 'removes all that has expired, without a limit',
    fault: ({ sessions }) => ({
      sessions: { removeExpired: (now) => sessions.removeExpired(now, 1_000_000) },
    }),
    fails: ['removes what has expired, up to a limit'],
  },
  {
    name: 'takes every unique violation for a taken email',
    fault: ({ users }) => ({
      users: {
        insert: (account, session) =>
          users.insert(account, session).catch(() => {
            throw new AuthError('email_taken');
          }),
      },
    }),
    fails: ['takes no taken session id for a taken email'],
  },
  {
    name: 'keeps ids in 32 bits',
    fault: ({ users }) => ({ users: { findById: (id) => users.findById(id | 0) } }),
    fails: ['takes any number for an id, and finds nobody of it'],
  },
  {
    name: 'gives the ids of deleted users again, as SQLite does without AUTOINCREMENT',
    fault: ({ users, sessions }) => {
      let current = { users, sessions };
      return {
        users: {
          ...forwarding(() => current.users),
          async delete(id, version) {
            const deleted = await current.users.delete(id, version);
            const [left] = await current.users.page({ after: 0, limit: 1 });
            if (deleted && left === undefined) current = memoryRepositories();
            return deleted;
          },
        },
        sessions: forwarding(() => current.sessions),
      };
    },
    fails: ['never gives an id twice, not even that of a deleted user'],
  },
  {
    name: 'cuts names at 255 bytes',
    fault: ({ users }) => ({
      users: {
        insert: (account, session) =>
          users.insert({ ...account, username: cut(account.username, 255) }, session),
      },
    }),
    fails: ['keeps every text as it was given, up to the longest'],
  },
  {
    name: 'compares hashes as a collation does',
    fault: ({ users }) => ({
      users: {
        replacePasswordHash: (id, current, replacement) =>
          users.replacePasswordHash(id, current.toLowerCase().trimEnd(), replacement),
      },
    }),
    fails: ['replaces a hash only while it is the expected one'],
  },
  {
    name: 'counts an upgraded hash as a changed password',
    fault: ({ users }) => ({
      users: {
        async replacePasswordHash(id, current, replacement) {
          const replaced = await users.replacePasswordHash(id, current, replacement);
          const change = { userId: id, passwordHash: replacement, keep: 'none' };
          return replaced && users.changePassword({ ...change, version: 0 });
        },
      },
    }),
    fails: ['does not take an upgraded hash for a changed password'],
  },
  {
    name: "ends everybody's sessions when a password changes",
    fault: ({ users, sessions }) => ({
      users: {
        async changePassword(change) {
          const changed = await users.changePassword(change);
          for (const { id } of await users.page({ after: 0, limit: 10 })) {
            if (changed && id !== change.userId) await sessions.removeAll(id);
          }
          return changed;
        },
      },
    }),
    fails: [
      "ends a user's other sessions with a change, and nobody else's",
      'sets a password whatever its version, and ends every session',
    ],
  },
  {
    name: 'looks before it changes a password, and waits in between',
    fault: ({ users }) => ({
      users: {
        async changePassword(change) {
          const user = await users.findById(change.userId);
          const version = user && (await users.findByEmail(user.email))?.passwordVersion;
          await turn();
          return version === change.version && ((await users.changePassword(change)) || true);
        },
      },
    }),
    fails: [
      'takes any number for an id, and finds nobody of it',
      'lets one of many concurrent changes of a password through',
      'loses nothing of what is set of one user at once',
      'sets a password whatever its version, and ends every session',
    ],
  },
  {
    name: 'looks before it deletes, and waits in between',
    fault: ({ users }) => ({
      users: {
        async delete(id, version) {
          const user = await users.findById(id);
          const found = user && (await users.findByEmail(user.email))?.passwordVersion === version;
          await turn();
          await users.delete(id, version);
          return found ?? false;
        },
      },
    }),
    fails: [
      'lets one of many concurrent deletions of a user through',
      'deletes a user whatever the version of the password, once',
    ],
  },
  {
    name: 'rejects a session of nobody, as a foreign key does',
    fault: ({ users, sessions }) => ({
      sessions: {
        async insert(session, version) {
          if (!(await users.findById(session.userId))) throw new Error('no such user');
          return sessions.insert(session, version);
        },
      },
    }),
    fails: ['stores no session of a user that does not exist'],
  },
  {
    name: 'cuts what a device calls itself',
    fault: ({ sessions }) => ({
      sessions: {
        insert: (session, version) =>
          sessions.insert(
            { ...session, device: session.device && cut(session.device, 255) },
            version,
          ),
      },
    }),
    fails: ['keeps every text of a session as it was given, up to the longest'],
  },
  {
    name: 'keeps times of sessions in 32 bits',
    fault: ({ sessions }) => ({
      sessions: {
        insert: (session, version) =>
          sessions.insert(
            { ...session, expires: new Date(((session.expires.getTime() / 1000) | 0) * 1000) },
            version,
          ),
      },
    }),
    fails: ['keeps the times of a session to the millisecond, from 1970 to 9999'],
  },
  {
    name: 'makes a session last longer when it is used',
    fault: ({ sessions }) => ({
      sessions: {
        async touch(id, now) {
          const session = await sessions.find(id);
          if (session === undefined) return;
          await sessions.remove(id, session.userId, new Date(0));
          const expires = new Date(now.getTime() + 30 * 86_400_000);
          await sessions.insert({ ...session, lastUsed: now, expires }, 0);
        },
      },
    }),
    fails: ['notes the last use'],
  },
  {
    name: 'rejects the use of a session that is not there',
    fault: ({ sessions }) => ({
      sessions: {
        async touch(id, now) {
          if (!(await sessions.find(id))) throw new Error('no such session');
          await sessions.touch(id, now);
        },
      },
    }),
    fails: ['notes no use where there is no session, and does not reject'],
  },
  {
    name: 'lists sessions that have expired',
    fault: ({ sessions }) => ({
      sessions: { list: (userId) => sessions.list(userId, new Date(0)) },
    }),
    fails: ["lists a user's sessions, the oldest first, without those that expired"],
  },
  {
    name: 'lists the newest session first',
    fault: ({ sessions }) => ({
      sessions: { list: async (...query) => (await sessions.list(...query)).toReversed() },
    }),
    fails: ["lists a user's sessions, the oldest first, without those that expired"],
  },
  {
    name: 'removes sessions that have expired as if they had not',
    fault: ({ sessions }) => ({
      sessions: { remove: (id, userId) => sessions.remove(id, userId, new Date(0)) },
    }),
    fails: ['says of no session that has expired that it removed it'],
  },
  {
    name: 'leaves sessions that have expired',
    fault: ({ sessions }) => ({
      sessions: {
        async remove(id, userId, now) {
          const found = await sessions.find(id);
          return found !== undefined && found.expires > now && sessions.remove(id, userId, now);
        },
      },
    }),
    fails: ['removes a session that has expired, too'],
  },
  {
    name: 'looks before it removes, and waits in between',
    fault: ({ sessions }) => ({
      sessions: {
        async remove(id, userId, now) {
          const found = (await sessions.list(userId, now)).some((each) => each.id === id);
          await turn();
          await sessions.remove(id, userId, now);
          return found;
        },
      },
    }),
    fails: ['lets one of many concurrent removals of a session through'],
  },
  {
    name: 'counts what it found expired, whoever removed it',
    fault: ({ sessions }) => ({
      sessions: {
        async removeExpired(now, limit) {
          const all = await sessions.list(1, new Date(0));
          const found = all.filter(({ expires }) => expires.getTime() <= now.getTime());
          await turn();
          await sessions.removeExpired(now, limit);
          return Math.min(found.length, limit);
        },
      },
    }),
    fails: ['lets many remove what has expired at once, and counts each once'],
  },
  {
    name: "removes everybody's sessions",
    fault: ({ users, sessions }) => ({
      sessions: {
        async removeAll() {
          for (const { id } of await users.page({ after: 0, limit: 10 })) {
            await sessions.removeAll(id);
          }
        },
      },
    }),
    fails: ["removes all of a user's sessions, and no other's"],
  },
  {
    name: 'folds the case of tokens',
    fault: ({ sessions }) => ({
      sessions: {
        rotate: ({ presented, ...rotation }) =>
          sessions.rotate({ ...rotation, presented: presented.toLowerCase() }),
      },
    }),
    fails: ['tells tokens apart by their bytes'],
  },
  {
    name: 'knows the time of a rotation to the second',
    fault: ({ sessions }) => ({
      sessions: {
        rotate: (rotation) => sessions.rotate({ ...rotation, now: wholeSeconds(rotation.now) }),
      },
    }),
    fails: ['ends the grace to the millisecond'],
  },
  {
    name: 'takes an unknown session for a reused one',
    fault: ({ sessions }) => ({
      sessions: {
        async rotate(rotation) {
          const found = await sessions.rotate(rotation);
          return found.kind === 'unknown' ? { kind: 'reused' } : found;
        },
      },
    }),
    fails: [
      'knows no session of an unknown id',
      'takes a token for reused when the grace is over',
      'ends the session when a token comes that is older than the last',
    ],
  },
];

/** The first of a text, up to so many bytes of it in UTF-8. */
function cut(text: string, bytes: number): string {
  return new TextDecoder().decode(new TextEncoder().encode(text).slice(0, bytes));
}

/** A part whose every method is that of whatever part is current. */
function forwarding<Part extends object>(current: () => Part): Part {
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(current()));
  return Object.fromEntries(
    methods.map((name) => [
      name,
      (...args: unknown[]): unknown =>
        Reflect.apply(Reflect.get(current(), name) as () => unknown, current(), args),
    ]),
  ) as Part;
}

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
    contractOf(() => broken(fault)),
  );
  return failedCases(cases);
}
