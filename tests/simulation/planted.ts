import { passwordLimits } from '../../src/application/limits/policy.ts';
import { AuthError, canonicalEmail } from '../../src/application/index.ts';
import { type PlantedBug, replacing, STORE_BUGS } from './planted-store.ts';

/** Milliseconds. */
const HOUR = 3_600_000;

/** What one use case, or its part, does wrong however right the store is. */
const USE_CASE_BUGS: readonly PlantedBug[] = [
  {
    title: 'does not hash for an account that is not there',
    ports: (ports) => {
      return replacing(ports, 'hasher', {
        verify: async (hash, password) =>
          hash === undefined ? 'wrong' : ports.hasher.verify(hash, password),
      });
    },
  },
  {
    title: 'takes any password, for want of an await',
    ports: (ports) => {
      return replacing(ports, 'hasher', {
        async verify(hash, password) {
          const verdict = ports.hasher.verify(hash, password);
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
      return replacing(ports, 'hasher', {
        admit(work) {
          if (kept >= 3) throw new AuthError('service_busy');
          return ports.hasher.admit(work).catch((error: unknown) => {
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
          const email = canonicalEmail(credentials.email) ?? credentials.email;
          const [limit] = passwordLimits(email, credentials.address).slice(-2);
          if (limit) await point('attempts.add', () => store.add(limit.key, limit.window));
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
    title: 'lets a disabled user in',
    ports: (ports) => {
      const findById = async (id: number) => {
        const user = await ports.users.findById(id);
        return user && { ...user, disabled: false };
      };
      return replacing(ports, 'users', { findById });
    },
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
      const { tokens } = ports;
      const verify = async (text: string, now: Date) =>
        (await tokens.verifyAccessToken(text, now)) ?? tokens.verifyRefreshToken(text, now);
      return { ...ports, tokens: { ...tokens, verifyAccessToken: verify } };
    },
  },
  {
    title: 'takes access tokens for an hour after they have expired',
    ports: (ports) => {
      const { tokens } = ports;
      const verify = (text: string, now: Date) =>
        tokens.verifyAccessToken(text, new Date(Math.max(0, now.getTime() - HOUR)));
      return { ...ports, tokens: { ...tokens, verifyAccessToken: verify } };
    },
  },
];

/** All of them. */
export const PLANTED: readonly PlantedBug[] = [...STORE_BUGS, ...USE_CASE_BUGS];
