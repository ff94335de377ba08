import {
  AuthError,
  type Rotation,
  type Session,
  type UserRecord,
} from '../../src/application/index.ts';
import { repositories, Store } from './store.ts';
import type { Plant, SimulatedPorts } from './world.ts';

/** Milliseconds. */
const DAY = 86_400_000;

/** A fault that somebody might make, or has made elsewhere, and that must be found. */
export interface PlantedBug extends Plant {
  readonly title: string;
}

/** The parts of one process with some methods of one of them replaced. */
export function replacing<Name extends 'users' | 'sessions' | 'attempts' | 'hasher'>(
  ports: SimulatedPorts,
  name: Name,
  methods: Partial<SimulatedPorts[Name]>,
): SimulatedPorts {
  return { ...ports, [name]: { ...ports[name], ...methods } };
}

/** What a store does wrong that does not keep the promises of its ports. */
export const STORE_BUGS: readonly PlantedBug[] = [
  {
    title: 'looks for the email, then inserts, without a unique key',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        async insert(account, session) {
          const found = await point('users.insert: look', () => store.findByEmail(account.email));
          if (found) throw new AuthError('email_taken');
          return point('users.insert: insert', () => {
            const user = store.addUser(account);
            if (session) store.sessions.set(session.id, { ...session, userId: user.id });
            return user;
          });
        },
      }),
  },
  {
    title: 'stores the first session in another transaction',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        async insert(account, session) {
          const user = await point('users.insert: user', () => {
            if (store.findByEmail(account.email)) throw new AuthError('email_taken');
            return store.addUser(account);
          });
          await point('users.insert: session', () => {
            if (session) store.sessions.set(session.id, { ...session, userId: user.id });
          });
          return user;
        },
      }),
  },
  {
    title: 'takes its own lost insert for an email that is taken',
    ports: (ports, { point }) => {
      return replacing(ports, 'users', {
        insert: (account, session) =>
          ports.users.insert(account, session).catch(async (error: unknown) => {
            if (error instanceof AuthError) throw error;
            await point('users.insert: reconnect', () => {});
            return ports.users.insert(account, session);
          }),
      });
    },
  },
  {
    title: 'acknowledges an account before it is stored',
    ports: (ports, { store }) => {
      return replacing(ports, 'users', {
        async insert(account, session) {
          if (await ports.users.findByEmail(account.email)) throw new AuthError('email_taken');
          ports.users.insert(account, session).catch(() => {});
          const { passwordHash: _hash, ...fields } = account;
          return { role: 'user', disabled: false, ...fields, id: store.lastId + 1 };
        },
      });
    },
  },
  {
    title: 'gives the id of an erased user again',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        insert: (account, session) =>
          point('users.insert', () => {
            store.lastId = Math.max(0, ...store.accounts.keys());
            return store.insertUser(account, session);
          }),
      }),
  },
  {
    title: 'leaves the sessions of an erased user',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        delete: (id) => point('users.delete', () => store.accounts.delete(id)),
      }),
  },
  {
    title: 'erases a user without a look at the version of the password',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        delete: (id) =>
          point('users.delete', () =>
            store.deleteUser(id, store.accounts.get(id)?.passwordVersion ?? -1),
          ),
      }),
  },
  {
    title: 'leaves the sessions of a disabled user',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        setDisabled: (id, disabled) =>
          point('users.setDisabled', () => {
            const row = store.accounts.get(id);
            const passwordVersion = (row?.passwordVersion ?? 0) + Number(disabled);
            if (row) store.accounts.set(id, { ...row, disabled, passwordVersion });
            return row !== undefined;
          }),
      }),
  },
  {
    title: 'disables a user, and lets the sign-in under way go on',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        setDisabled: (id, disabled) =>
          point('users.setDisabled', () => {
            const row = store.accounts.get(id);
            if (row) store.accounts.set(id, { ...row, disabled });
            store.removeSessions(({ userId }) => userId === id);
            return row !== undefined;
          }),
      }),
  },
  {
    title: 'keeps the other sessions when a password changes',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        changePassword: (change) => point('users.changePassword', () => store.setPassword(change)),
      }),
  },
  {
    title: 'ends the other sessions in another transaction than the change of password',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        async changePassword(change) {
          const isOther = ({ id, userId }: Session) =>
            userId === change.userId && id !== change.keep;
          await point('users.changePassword: sessions', () => store.removeSessions(isOther));
          return point('users.changePassword: user', () => store.setPassword(change));
        },
      }),
  },
  {
    title: 'upgrades a hash whatever the hash is by now',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        replacePasswordHash: (id, _current, replacement) =>
          point('users.replacePasswordHash', () =>
            store.replacePasswordHash(id, undefined, replacement),
          ),
      }),
  },
  {
    title: 'stores a session without a look at the version of the password',
    ports: (ports, { store, point }) =>
      replacing(ports, 'sessions', {
        insert: (session) =>
          point('sessions.insert', () => {
            const version = store.accounts.get(session.userId)?.passwordVersion;
            return version !== undefined && store.insertSession(session, version);
          }),
      }),
  },
  {
    title: 'reads the good token, then replaces it',
    ports: (ports, { store, point }) => {
      return replacing(ports, 'sessions', {
        async rotate(rotation) {
          const { sessionId: id, presented, successor, now } = rotation;
          const row = await point('sessions.rotate: look', () => store.sessions.get(id));
          if (row?.tokenId !== presented) return ports.sessions.rotate(rotation);
          await point('sessions.rotate: put', () => {
            const token = { tokenId: successor, tokenDate: now, previousTokenId: presented };
            if (store.sessions.has(id)) store.sessions.set(id, { ...row, ...token });
          });
          return { kind: 'rotated', tokenId: successor, date: now };
        },
      });
    },
  },
  {
    title: 'gives each repeated refresh a successor of its own',
    ports: (ports, { store }) => {
      return replacing(ports, 'sessions', {
        async rotate(rotation: Rotation) {
          const outcome = await ports.sessions.rotate(rotation);
          if (outcome.kind !== 'repeated') return outcome;
          const { sessionId, successor, now } = rotation;
          const row = store.sessions.get(sessionId);
          if (row) store.sessions.set(sessionId, { ...row, tokenId: successor, tokenDate: now });
          return { kind: 'rotated', tokenId: successor, date: now };
        },
      });
    },
  },
  {
    title: 'repeats the successor for ever',
    ports: (ports) => {
      return replacing(ports, 'sessions', {
        rotate: (rotation) => ports.sessions.rotate({ ...rotation, grace: Infinity }),
      });
    },
  },
  {
    title: 'lets a session go on of which an old token has come back',
    ports: (ports, { store, point }) =>
      replacing(ports, 'sessions', {
        rotate: (rotation) =>
          point('sessions.rotate', () => {
            const { sessionId, presented, successor, now, grace } = rotation;
            if (store.replaceToken(rotation)) {
              return { kind: 'rotated', tokenId: successor, date: now };
            }
            const {
              tokenId,
              tokenDate: date,
              previousTokenId,
            } = store.sessions.get(sessionId) ?? {};
            const isPrevious = previousTokenId === presented;
            if (!tokenId || !date || !isPrevious) return { kind: 'unknown' };
            const isInGrace = now.getTime() - date.getTime() <= grace * 1000;
            return isInGrace ? { kind: 'repeated', tokenId, date } : { kind: 'unknown' };
          }),
      }),
  },
  {
    title: 'keeps sessions that it has found in the memory of the process',
    ports: (ports) => {
      const found = new Map<string, Session>();
      return replacing(ports, 'sessions', {
        async find(id) {
          const session = found.get(id) ?? (await ports.sessions.find(id));
          if (session) found.set(id, session);
          return session;
        },
      });
    },
  },
  {
    title: 'keeps users that it has found in the memory of the process',
    ports: (ports) => {
      const found = new Map<number, UserRecord>();
      return replacing(ports, 'users', {
        async findById(id) {
          const user = found.get(id) ?? (await ports.users.findById(id));
          if (user) found.set(id, user);
          return user;
        },
      });
    },
  },
  {
    title: 'removes sessions a day before they expire',
    ports: (ports) => {
      return replacing(ports, 'sessions', {
        removeExpired: (now, limit) =>
          ports.sessions.removeExpired(new Date(now.getTime() + DAY), limit),
      });
    },
  },
  {
    title: 'reads a count, then writes it',
    ports: (ports, { store, point, passed }) =>
      replacing(ports, 'attempts', {
        async add(key, seconds) {
          const [found] = await point('attempts.add: read', () => store.read([key]));
          const { count, secondsLeft } = found ?? { count: 0, secondsLeft: seconds };
          await point('attempts.add: write', () =>
            store.counts.set(key, { count: count + 1, expires: passed() + secondsLeft * 1000 }),
          );
          return { count: count + 1, secondsLeft };
        },
      }),
  },
  {
    title: 'counts the attempts of each process by themselves',
    ports: (ports, { point, passed }) => ({
      ...ports,
      attempts: repositories(new Store(passed), point).attempts,
    }),
  },
  {
    title: 'removes counts that have expired when it looked, and have begun anew since',
    ports: (ports, { store, point }) =>
      replacing(ports, 'attempts', {
        async removeExpired(limit) {
          const keys = await point('attempts.removeExpired: look', () =>
            store.expiredCounts(limit),
          );
          await point('attempts.removeExpired: delete', () => {
            for (const key of keys) store.counts.delete(key);
          });
          return keys.length;
        },
      }),
  },
];
