import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  canonicalEmail,
  createAuth,
  type ListUsersInput,
  type PageQuery,
  type User,
  type UserList,
} from '../../src/application/index.ts';
import { startSession } from '../../src/domain/session.ts';
import { outcome, rejectsWith } from '../support/expect.ts';
import { fakePorts, withMethods } from '../support/fakes.ts';

async function withUsers(count: number) {
  const ports = fakePorts();
  for (let i = 1; i <= count; i += 1) {
    const email = canonicalEmail(`user${i}@example.com`);
    if (email === undefined) throw new Error('no email');
    const dateCreated = ports.clock.now();
    const account = { username: `User ${i}`, email, dateCreated, passwordHash: 'x' };
    const ids = { id: `s${i}`, tokenId: `t${i}` };
    await ports.users.insert(account, startSession(ids, null, dateCreated, 60));
  }
  return { ports, auth: createAuth(ports) };
}

async function all({ pages }: UserList): Promise<User[]> {
  const users: User[] = [];
  for await (const page of pages) users.push(...page);
  return users;
}

const list = suite('ListUsers');

list('gives every user once, by ascending id, whatever their number', async () => {
  for (const count of [0, 1, 499, 500, 501, 1000, 1250]) {
    const { auth } = await withUsers(count);
    const ids = (await all(await auth.listUsers())).map(({ id }) => id);
    assert.equal(
      ids,
      Array.from({ length: count }, (_, i) => i + 1),
    );
  }
});

list('gives of a user what whoever runs the service may see, and no hash', async () => {
  const { auth } = await withUsers(1);
  const [user] = await all(await auth.listUsers());
  const keys = ['dateCreated', 'disabled', 'email', 'id', 'role', 'username'];
  assert.equal(Object.keys(user ?? {}).toSorted(), keys);
});

list('goes on after an id, up to a limit, and says where the next part starts', async () => {
  const { auth } = await withUsers(5);
  const ids = async (query: ListUsersInput) => {
    const part = await auth.listUsers(query);
    return { ids: (await all(part)).map(({ id }) => id), next: part.next };
  };
  assert.equal(await ids({ limit: 2 }), { ids: [1, 2], next: 2 });
  assert.equal(await ids({ limit: 2, after: 2 }), { ids: [3, 4], next: 4 });
  assert.equal(await ids({ limit: 2, after: 4 }), { ids: [5], next: undefined });
  assert.equal(await ids({ limit: 5 }), { ids: [1, 2, 3, 4, 5], next: undefined });
  assert.equal(await ids({ after: 3 }), { ids: [4, 5], next: undefined });
  assert.equal(await ids({ after: 99, limit: 1 }), { ids: [], next: undefined });
});

list('refuses bounds that are none', async () => {
  const { auth } = await withUsers(1);
  for (const after of [-1, 1.5, Number.NaN, Infinity, 2 ** 53, '1' as never]) {
    await rejectsWith(auth.listUsers({ after }), 'invalid_after');
  }
  for (const limit of [0, -1, 1.5, Number.NaN, 10_001, '1' as never]) {
    await rejectsWith(auth.listUsers({ limit }), 'invalid_limit');
  }
});

list('reads one page ahead of its reader, and no further', async () => {
  const { ports } = await withUsers(1750);
  let asked = 0;
  const users = withMethods(ports.users, {
    page: (query: PageQuery) => {
      asked += 1;
      return ports.users.page(query);
    },
  });
  const { pages } = await createAuth({ ...ports, users }).listUsers();
  assert.is(asked, 1);
  for await (const page of pages) {
    assert.is(page.length, 512);
    assert.is(asked, 2);
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.is(asked, 2, 'and none for a reader that has stopped');
});

list('minds no page that fails for a reader that has stopped', async () => {
  const { ports } = await withUsers(750);
  const page = (query: PageQuery) =>
    query.after === 0 ? ports.users.page(query) : Promise.reject(new Error('no database'));
  const { pages } = await createAuth({
    ...ports,
    users: withMethods(ports.users, { page }),
  }).listUsers();
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  for await (const _ of pages) break;
  await new Promise((resolve) => setTimeout(resolve, 10));
  process.off('unhandledRejection', note);
  assert.equal(unhandled, []);
});

list('rejects before the first page when the store fails, and between pages later', async () => {
  const { ports } = await withUsers(1250);
  const failingFrom = (page: number) => {
    let asked = 0;
    const users = withMethods(ports.users, {
      page: (query: PageQuery) => {
        asked += 1;
        if (asked >= page) return Promise.reject(new Error('no database'));
        return ports.users.page(query);
      },
    });
    return createAuth({ ...ports, users });
  };
  assert.is(await outcome(failingFrom(1).listUsers()), 'fault');
  assert.is(await outcome(all(await failingFrom(2).listUsers())), 'fault');
});

list.run();
