import type { ListQuery, User, UserList } from '../../../application/index.ts';
import { canonicalEmail } from '../../../domain/credentials.ts';
import { type Answer, arrayIn, type Said, UnexpectedReplyError, userOf } from './round-trip.ts';

/** As many users are asked for at a time. */
const PAGE_SIZE = 500;
/** Bytes that a user can take in a list, and more. */
const MAX_USER_LENGTH = 8 * 1024;

/**
 * Users by way of GET /users: where no limit is given all of them, in as many requests as it takes.
 * @throws UnexpectedReplyError, here or from the pages, also where going on would lead to no end
 */
export async function listUsers(
  query: ListQuery,
  call: (said: Said) => Promise<Answer>,
): Promise<UserList> {
  const pageOf = async (bounds: ListQuery & { readonly limit: number }) => {
    const { limit, after } = bounds;
    const maxLength = MAX_USER_LENGTH * (limit > 1 && limit <= 10_000 ? limit : 1);
    const said = { method: 'GET', path: '/users', query: queryOf(bounds), maxLength };
    const answer = await call(said);
    const list = arrayIn(answer).map((each) => userOf(each, answer));
    // A list that is whole may come in any order.
    if ((after !== undefined || list.length === limit) && !isRising(list, after)) {
      const cause = new RangeError('the ids do not rise: there is no going on by them');
      throw new UnexpectedReplyError(said, answer.status, cause);
    }
    return { list, isCut: answer.headers.has('link') };
  };
  const { limit = PAGE_SIZE } = query;
  const first = await pageOf({ ...query, limit });
  const next = query.limit !== undefined && first.isCut ? first.list.at(-1)?.id : undefined;
  const goOn = async (after: User['id']) => (await pageOf({ ...query, limit, after })).list;
  return { pages: pagesFrom(first.list, query.limit === undefined ? goOn : undefined), next };
}

function isRising(list: readonly User[], after = -1): boolean {
  return list.every(({ id }, i) => id > (list[i - 1]?.id ?? after));
}

/** What the use case refuses is sent as what the service refuses: as text, '1' would be a number. */
function queryOf({ after, limit, email }: ListQuery): Record<string, string> {
  return {
    ...(limit !== undefined && { limit: typeof limit === 'number' ? String(limit) : '' }),
    ...(after !== undefined && { after: typeof after === 'number' ? String(after) : '' }),
    ...(email !== undefined && {
      email: (typeof email === 'string' && canonicalEmail(email)) || '',
    }),
  };
}

/** The pages after the first too, where there is a way to them; the next is fetched while one is read. */
async function* pagesFrom(
  first: readonly User[],
  goOn: ((after: User['id']) => Promise<readonly User[]>) | undefined,
): AsyncGenerator<readonly User[]> {
  let page = first;
  while (goOn && page.length === PAGE_SIZE) {
    const next = goOn(page.at(-1)?.id ?? 0);
    next.catch(() => {}); // Reported by the await below, if the reader comes back for it.
    yield page;
    page = await next;
  }
  if (page.length > 0) yield page;
}
