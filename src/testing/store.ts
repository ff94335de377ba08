import type { Email, FirstSession, NewAccount, Ports, UserId } from '../application/index.ts';
import { type Closable, type Open, withOpened } from './case.ts';

/** The two repositories over one store. */
export type Repositories = Pick<Ports, 'users' | 'sessions'>;

/** A new, empty store for a case of a contract. */
export interface OpenedStore extends Repositories, Closable {
  /** The same store, through a connection pool of its own. Default: the same repositories. */
  readonly other?: Repositories;
  /** Deletes a user in the store itself, as SQL would. Default: `users.delete`. */
  readonly deleteUser?: (id: UserId) => unknown;
}

/** The store that a case tests. `one` and `other` stand for two processes. */
export interface Store {
  readonly one: Repositories;
  readonly other: Repositories;
  readonly deleteUser: (id: UserId) => Promise<void>;
}

export function storeOf(opened: OpenedStore): Store {
  const { users, sessions, other } = opened;
  return {
    one: { users, sessions },
    other: other ?? { users, sessions },
    async deleteUser(id) {
      if (opened.deleteUser) await opened.deleteUser(id);
      else await users.delete(id, 0);
    },
  };
}

/** Opens a store for one check, and closes it afterwards. */
export function onStore(open: Open<OpenedStore>) {
  return (check: (store: Store) => Promise<void>): Promise<void> =>
    withOpened(open, (opened) => check(storeOf(opened)));
}

/** Milliseconds. */
export const DAY = 86_400_000;

/** In milliseconds, and a whole second: only the cases about milliseconds depend on them. */
export const START = Date.parse('2026-01-02T03:04:05Z');
export const HASH = '$fake$1';

/** Skips the canonical form on purpose: a store must tell any two texts apart. */
export function address(text: string): Email {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return text as Email;
}

export function account(fields: Partial<NewAccount> = {}): NewAccount {
  return {
    username: 'Ada',
    email: address('ada@example.com'),
    passwordHash: HASH,
    dateCreated: new Date(START),
    ...fields,
  };
}

let lastId = 0;

/** A session with a new id, from `START` for 30 days. */
export function session(fields: Partial<FirstSession> = {}): FirstSession {
  lastId += 1;
  return {
    id: `session-${lastId}`,
    device: 'Browser/1.0',
    dateCreated: new Date(START),
    lastUsed: new Date(START),
    expires: new Date(START + 30 * DAY),
    tokenId: `token-${lastId}`,
    ...fields,
  };
}

/** Texts that collations, encodings or drivers confuse with others, or with SQL. */
export const TEXTS: readonly string[] = [
  '<script>alert(1)</script>',
  `'; DROP TABLE users; --`,
  '\\\' OR 1=1 "`%_?:x $1',
  'é ≠ e\u0301 \u202e rtl',
  ' ',
];

/** The limits of dates: 32-bit seconds end in 2038, years of four digits in 9999. */
export const TIMES: readonly string[] = [
  '1970-01-01T00:00:00.000Z',
  '1970-01-01T00:00:00.001Z',
  '2026-01-02T03:04:05.678Z',
  '2026-03-29T02:30:00.999Z', // Many time zones skip this hour.
  '2037-12-31T23:59:59.999Z',
  '2038-01-19T03:14:08.000Z',
  '9999-12-31T23:59:59.999Z',
];
