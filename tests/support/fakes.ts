import { setImmediate as turn } from 'node:timers/promises';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import { createAuth, defaultPolicy, type Policy } from '../../src/application/index.ts';
import { FastHasher, FixedClock, SequentialIds } from '../../src/testing/index.ts';

export const ACCESS_TOKEN_TTL = 15 * 60;
export const REFRESH_TOKEN_TTL = 30 * 24 * 60 * 60;

export const SECRET = 'k7Qb0nB2Zq6pWm4tYx9sLd3fGh1jRc5vEa8uTiOo';

/** Every port, in memory and under the test's control. */
export function fakePorts() {
  const clock = new FixedClock();
  const { users, sessions, attempts } = memoryRepositories({ clock });
  return {
    users: slowly(users),
    sessions: slowly(sessions),
    hasher: new FastHasher(),
    tokens: new JwtIssuer({ key: SECRET }),
    attempts: slowly(attempts),
    clock,
    ids: new SequentialIds(),
  };
}

export const ADA = {
  username: 'Ada',
  email: 'ada@example.com',
  password: 'correct horse',
  confirmPassword: 'correct horse',
};

export const CREDENTIALS = { email: ADA.email, password: ADA.password };

export const EVE = { ...ADA, username: 'Eve', email: 'eve@example.com' };

/** From the password of `ADA` to another one. */
export const CHANGE = {
  currentPassword: ADA.password,
  password: 'battery staple',
  confirmPassword: 'battery staple',
};

/** The use cases on fake ports, and what registering Ada there gave. */
export async function withAda(policy?: Partial<Policy>) {
  const ports = fakePorts();
  const auth = createAuth(ports, { ...defaultPolicy, ...policy });
  return { ports, auth, ada: await auth.registerUser(ADA) };
}

/** Ada, and as `late` use cases under which her password changes while it is being proved. */
export async function withOvertakenAda() {
  const { auth, ports, ada } = await withAda();
  const verify = ports.hasher.verify.bind(ports.hasher);
  const changing = withMethods(ports.hasher, {
    async verify(hash, given) {
      const verdict = await verify(hash, given);
      await auth.changePassword({ ...ada, ...CHANGE });
      return verdict;
    },
  });
  return { auth, ada, late: createAuth({ ...ports, hasher: changing }) };
}

/** A part that takes its time, as a database does: what is not waited for has not happened yet. */
function slowly<Part extends object>(part: Part): Part {
  return new Proxy(part, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      // Writes take longer: one that is not waited for is overtaken by the next read.
      const turns = /^(find|list|page|read)/.test(String(name)) ? 1 : 5;
      return async (...args: unknown[]): Promise<unknown> => {
        for (let i = 0; i < turns; i += 1) await turn();
        return Reflect.apply(method, target, args);
      };
    },
  });
}

/** A part with some of its methods replaced. */
export function withMethods<Part extends object>(part: Part, methods: Partial<Part>): Part {
  return new Proxy(part, {
    get(target, name) {
      const method: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name);
      return typeof method === 'function' ? (method.bind(target) as unknown) : method;
    },
  });
}
