import { type Email, parseEmail } from '../domain/credentials.ts';
import { AuthError } from '../domain/errors.ts';
import type { User, UserId, UserRecord } from '../domain/user.ts';
import type { Ports } from './ports.ts';

export const MAX_LIST_LIMIT = 10_000;
/** Small pages keep V8's young generation small: pages of 2,048 need twice the memory for a million users. */
const PAGE_SIZE = 512;

/** The input of `ListUsers`. */
export interface ListUsersInput {
  /** Only users with a greater id. */
  readonly after?: UserId;
  /** At most this many users, 1 to 10,000. Absent: all of them. */
  readonly limit?: number;
  /** Only the user with this address, in any spelling of it. */
  readonly email?: string;
}

/** A list of users. */
export interface UserList<Listed extends User = User> {
  /** The users by ascending id, a page at a time. */
  readonly pages: AsyncIterable<readonly Listed[]>;
  /** The `after` of the next call, when `limit` cut the list short. */
  readonly next: UserId | undefined;
}

/** Lists users, however many there are, in constant memory. */
export class ListUsers {
  readonly #ports: Pick<Ports, 'users'>;

  constructor(ports: Pick<Ports, 'users'>) {
    this.#ports = ports;
  }

  /**
   * Resolves when the first page has been read, so that a failing store rejects here.
   * @throws AuthError `invalid_after`, `invalid_limit`, `invalid_email`
   */
  async execute({ after = 0, limit, email }: ListUsersInput = {}): Promise<UserList<UserRecord>> {
    const { users } = this.#ports;
    if (!Number.isSafeInteger(after) || after < 0) throw new AuthError('invalid_after');
    const only = email === undefined ? {} : { email: parseEmail(email) };
    if (limit === undefined) {
      const first = await users.page({ after, limit: PAGE_SIZE, ...only });
      return { pages: this.#from(first, only), next: undefined };
    }
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_LIST_LIMIT) {
      throw new AuthError('invalid_limit', MAX_LIST_LIMIT);
    }
    // One more than asked for tells whether there is more.
    const found = await users.page({ after, limit: limit + 1, ...only });
    const page = found.slice(0, limit);
    return { pages: once(page), next: found.length > limit ? page.at(-1)?.id : undefined };
  }

  async *#from(
    first: readonly UserRecord[],
    only: { readonly email?: Email },
  ): AsyncGenerator<readonly UserRecord[]> {
    const { users } = this.#ports;
    let page = first;
    while (page.length === PAGE_SIZE) {
      // Read ahead: the store fetches the next page while the reader takes this one.
      const after = page.at(-1)?.id ?? 0;
      const next = users.page({ after, limit: PAGE_SIZE, ...only });
      next.catch(() => {}); // Reported by the await below, if the reader comes back for it.
      yield page;
      page = await next;
    }
    if (page.length > 0) yield page;
  }
}

async function* once(page: readonly UserRecord[]): AsyncGenerator<readonly UserRecord[]> {
  if (page.length > 0) yield page;
}
