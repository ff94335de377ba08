import { passwordLimits } from '../../src/application/attempts.ts';
import { AuthError, type Rotation, type Session, type User } from '../../src/application/index.ts';
import { repositories, Store } from './store.ts';
import type { Plant, SimulatedPorts } from './world.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A fault that somebody might make, or has made elsewhere, and that must be found. */
export interface PlantedBug extends Plant {
  readonly title: string;
}

/** The parts of one process with some methods of one of them replaced. */
function replacing<Name extends 'users' | 'sessions' | 'attempts' | 'hasher'>(
  ports: SimulatedPorts,
  name: Name,
  methods: Partial<SimulatedPorts[Name]>,
): SimulatedPorts {
  return { ...ports, [name]: { ...ports[name], ...methods } };
}

/** What a store does wrong that does not keep the promises of its ports. */
const STORE_BUGS: readonly PlantedBug[] = [
  {
    title: 'looks for the email, then inserts, without a unique key',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        async insert(account, session) {
          const found = await point('users.insert: look', () => store.findByEmail(account.email));
          if (found) throw new AuthError('email_taken');
          return point('users.insert: insert', () => {
            const user = store.addUser(account);
            store.sessions.set(session.id, { ...session, userId: user.id });
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
          await point('users.insert: session', () =>
            store.sessions.set(session.id, { ...session, userId: user.id }),
          );
          return user;
        },
      }),
  },
  {
    title: 'takes its own lost insert for an email that is taken',
    ports: (ports, { point }) => {
      const { insert } = ports.users;
      return replacing(ports, 'users', {
        insert: (account, session) =>
          insert(account, session).catch(async (error: unknown) => {
            if (error instanceof AuthError) throw error;
            await point('users.insert: reconnect', () => {});
            return insert(account, session);
          }),
      });
    },
  },
  {
    title: 'acknowledges an account before it is stored',
    ports: (ports, { store }) => {
      const { insert } = ports.users;
      return replacing(ports, 'users', {
        async insert(account, session) {
          if (await ports.users.findByEmail(account.email)) throw new AuthError('email_taken');
          insert(account, session).catch(() => {});
          const { passwordHash: _hash, ...fields } = account;
          return { id: store.lastId + 1, ...fields };
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
    title: 'keeps the other sessions when a password changes',
    ports: (ports, { store, point }) =>
      replacing(ports, 'users', {
        changePassword: (change) =>
          point('users.changePassword', () => store.setPassword(change)),
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
      const { rotate } = ports.sessions;
      return replacing(ports, 'sessions', {
        async rotate(rotation) {
          const { sessionId: id, presented, successor, now } = rotation;
          const row = await point('sessions.rotate: look', () => store.sessions.get(id));
          if (row?.tokenId !== presented) return rotate(rotation);
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
      const { rotate } = ports.sessions;
      return replacing(ports, 'sessions', {
        async rotate(rotation: Rotation) {
          const outcome = await rotate(rotation);
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
      const { rotate } = ports.sessions;
      return replacing(ports, 'sessions', {
        rotate: (rotation) => rotate({ ...rotation, grace: Infinity }),
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
            const { tokenId, tokenDate: date, previousTokenId } = store.sessions.get(sessionId) ?? {};
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
      const { find } = ports.sessions;
      return replacing(ports, 'sessions', {
        async find(id) {
          const session = found.get(id) ?? (await find(id));
          if (session) found.set(id, session);
          return session;
        },
      });
    },
  },
  {
    title: 'keeps users that it has found in the memory of the process',
    ports: (ports) => {
      const found = new Map<number, User>();
      const { findById } = ports.users;
      return replacing(ports, 'users', {
        async findById(id) {
          const user = found.get(id) ?? (await findById(id));
          if (user) found.set(id, user);
          return user;
        },
      });
    },
  },
  {
    title: 'removes sessions a day before they expire',
    ports: (ports) => {
      const { removeExpired } = ports.sessions;
      return replacing(ports, 'sessions', {
        removeExpired: (now, limit) => removeExpired(new Date(now.getTime() + DAY), limit),
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

/** What one use case, or its part, does wrong however right the store is. */
const USE_CASE_BUGS: readonly PlantedBug[] = [
  {
    title: 'does not hash for an account that is not there',
    ports: (ports) => {
      const { verify } = ports.hasher;
      return replacing(ports, 'hasher', {
        verify: async (hash, password) => (hash === undefined ? 'wrong' : verify(hash, password)),
      });
    },
  },
  {
    title: 'takes any password, for want of an await',
    ports: (ports) => {
      const { verify } = ports.hasher;
      return replacing(ports, 'hasher', {
        async verify(hash, password) {
          const verdict = verify(hash, password);
          await verdict;
          return (verdict as unknown) === 'wrong' ? 'wrong' : 'right';
        },
      });
    },
  },
  {
    title: 'keeps the place at the hasher when the work was refused',
    ports: (ports) => {
      let kept = 0;
      const { admit } = ports.hasher;
      return replacing(ports, 'hasher', {
        admit(work) {
          if (kept >= 3) throw new AuthError('service_busy');
          return admit(work).catch((error: unknown) => {
            kept += 1;
            throw error;
          });
        },
      });
    },
  },
  {
    title: 'counts an attempt when its password has been checked',
    ports: (ports, { store, point }) =>
      replacing(ports, 'attempts', {
        add: (key) =>
          point('attempts.add: not yet', () => ({
            count: (store.counts.get(key)?.count ?? 0) + 1,
            secondsLeft: 30,
          })),
      }),
    auth: (auth, _ports, { store, point }) => ({
      ...auth,
      login: async (credentials) => {
        try {
          return await auth.login(credentials);
        } catch (error) {
          const [limit] = passwordLimits(credentials.email, credentials.address).slice(-2);
          if (limit) await point('attempts.add', () => store.add(`count ${limit.key}`, limit.window));
          throw error;
        }
      },
    }),
  },
  {
    title: 'does not look at the session of a refresh token',
    auth: (auth, { tokens, users, clock, ids }) => ({
      ...auth,
      async refreshToken({ refreshToken }) {
        const claims = await tokens.verifyRefreshToken(refreshToken, clock.now());
        if (claims === undefined) throw new AuthError('invalid_refresh_token');
        if (!(await users.findById(claims.userId))) throw new AuthError('user_not_found');
        const access = { ...claims, tokenId: ids.next() };
        return { accessToken: await tokens.issueAccessToken(access, clock.now()) };
      },
    }),
  },
  {
    title: 'answers a logout before the session has ended',
    auth: (auth) => ({
      ...auth,
      async logout(input) {
        auth.logout(input).catch(() => {});
      },
    }),
  },
  {
    title: 'takes refresh tokens for access tokens',
    ports: (ports) => {
      const { verifyAccessToken, verifyRefreshToken } = ports.tokens;
      const verify = async (text: string, now: Date) =>
        (await verifyAccessToken(text, now)) ?? verifyRefreshToken(text, now);
      return { ...ports, tokens: { ...ports.tokens, verifyAccessToken: verify } };
    },
  },
  {
    title: 'takes access tokens for an hour after they have expired',
    ports: (ports) => {
      const { verifyAccessToken } = ports.tokens;
      const verify = (text: string, now: Date) =>
        verifyAccessToken(text, new Date(Math.max(0, now.getTime() - HOUR)));
      return { ...ports, tokens: { ...ports.tokens, verifyAccessToken: verify } };
    },
  },
];

/** All of them. */
export const PLANTED: readonly PlantedBug[] = [...STORE_BUGS, ...USE_CASE_BUGS];
