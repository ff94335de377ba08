import type { ListUsersInput, User, UserList } from '../../../application/index.ts';
import { canonicalEmail } from '../../../domain/credentials.ts';
import {
  type ApiRequest,
  type ApiResponse,
  arrayIn,
  UnexpectedReplyError,
  userOf,
} from './round-trip.ts';

/** How many users one request is for. */
const PAGE_SIZE = 500;
/** More than a user can take in a list. */
const MAX_USER_BYTES = 8 * 1024;

/**
 * Lists users by GET /users: without a limit all of them, in as many requests as that takes.
 * @param call sends one such request
 * @throws UnexpectedReplyError, here or from the pages; also if the ids do not rise, as the list would
 * then never end
 */
export async function listUsers(
  query: ListUsersInput,
  call: (request: ApiRequest<'GET /users'>) => Promise<ApiResponse>,
): Promise<UserList> {
  const pageOf = async (bounds: ListUsersInput & { readonly limit: number }) => {
    const { limit, after } = bounds;
    const maxBytes = MAX_USER_BYTES * (limit > 1 && limit <= 10_000 ? limit : 1);
    const response = await call({ query: queryOf(bounds), maxBytes });
    const list = arrayIn(response).map((each) => userOf(each, response));
    // The order matters only if the list goes on.
    if ((after !== undefined || list.length === limit) && !isRising(list, after)) {
      const cause = new RangeError('the ids do not rise: there is no going on by them');
      throw new UnexpectedReplyError(response.unexpected, response.status, cause);
    }
    return { list, isCut: response.headers.has('link') };
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

/** Sends what the use case refuses as something that the service refuses: the text '1' is a number there. */
function queryOf({ after, limit, email }: ListUsersInput): Record<string, string> {
  return {
    ...(limit !== undefined && { limit: typeof limit === 'number' ? String(limit) : '' }),
    ...(after !== undefined && { after: typeof after === 'number' ? String(after) : '' }),
    ...(email !== undefined && {
      email: (typeof email === 'string' && canonicalEmail(email)) || '',
    }),
  };
}

/** The first page and those after it. Each is fetched while the reader has the one before. */
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
