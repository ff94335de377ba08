import type { Email, FirstSession, NewAccount, Ports, UserId } from '../application/index.ts';
import { type Closable, type Open, withOpened } from './case.ts';

/** The two repositories over one store. */
export type Repositories = Pick<Ports, 'users' | 'sessions'>;

/** A new, empty store, as a contract needs it. */
export interface OpenedStore extends Repositories, Closable {
  /** The same store as another process sees it: over a pool of its own. Unless given, the same objects. */
  readonly other?: Repositories;
  /** Deletes a user past the adapter, as an operator does in SQL. Unless given, through `users.delete`. */
  readonly deleteUser?: (id: UserId) => unknown;
}

/** A store as the cases see it. */
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

/** Runs a check on a store of its own. */
export function onStore(open: Open<OpenedStore>) {
  return (check: (store: Store) => Promise<void>): Promise<void> =>
    withOpened(open, (opened) => check(storeOf(opened)));
}

export const DAY = 86_400_000;

/** A whole second: what becomes of milliseconds is for the cases that name them. */
export const START = Date.parse('2026-01-02T03:04:05Z');
export const HASH = '$fake$1';

/** Past the canonicaliser on purpose: the store must keep apart whatever it is given. */
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

/** A session of an id of its own, from `START` for 30 days. */
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

/** Texts that collations, encodings and drivers take for the same, or for SQL. */
export const TEXTS: readonly string[] = [
  '<script>alert(1)</script>',
  `'; DROP TABLE users; --`,
  '\\\' OR 1=1 "`%_?:x $1',
  'é ≠ e\u0301 \u202e rtl',
  ' ',
];

/** The ends of what a date may be: 32 bits of seconds end in 2038, four digits of a year in 9999. */
export const TIMES: readonly string[] = [
  '1970-01-01T00:00:00.000Z',
  '1970-01-01T00:00:00.001Z',
  '2026-01-02T03:04:05.678Z',
  '2026-03-29T02:30:00.999Z', // In many a time zone there is no such hour.
  '2037-12-31T23:59:59.999Z',
  '2038-01-19T03:14:08.000Z',
  '9999-12-31T23:59:59.999Z',
];
