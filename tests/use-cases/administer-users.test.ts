import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  createAuth,
  type Role,
  StoreUnwritable,
  type UserRecord,
} from '../../src/application/index.ts';
import { outcome, rejectsWith } from '../support/expect.ts';
import { ADA, fakePorts, withAda, withMethods } from '../support/fakes.ts';
import { isAvailable, STORE_NAMES, withRepositories } from '../support/stores.ts';

const administration = suite('Whoever runs the service');

administration('creates a user who can sign in, and signs nobody in', async () => {
  const ports = fakePorts();
  const auth = createAuth(ports);
  const given = { username: ' Root ', email: 'ROOT@example.com', password: ADA.password };
  const user = await auth.createUser({ ...given, role: 'admin' });
  assert.equal(user, {
    id: user.id,
    username: 'Root',
    email: 'root@example.com',
    dateCreated: ports.clock.now(),
    role: 'admin',
    disabled: false,
  });
  assert.equal(await ports.sessions.list(user.id, ports.clock.now()), []);
  const { accessToken } = await auth.login(given);
  assert.equal((await auth.authorize({ accessToken, role: 'admin' })).user, user);
  const plain = await auth.createUser({ ...given, email: 'eve@example.com' });
  assert.is(plain.role, 'user');
});

administration('creates nobody whom nobody could register', async () => {
  const { auth } = await withAda({ isCommonPassword: (password) => password === 'password' });
  const given = { username: 'Eve', email: 'eve@example.com', password: ADA.password };
  const refusals: readonly [object, string][] = [
    [{ username: ' ' }, 'missing_fields'],
    [{ email: undefined }, 'missing_fields'],
    [{ password: '' }, 'missing_fields'],
    [{ email: 'eve' }, 'invalid_email'],
    [{ username: 'a\u0000b' }, 'invalid_username'],
    [{ password: 'short' }, 'password_too_short'],
    [{ password: 'password' }, 'password_too_common'],
    [{ email: ' ADA@example.com' }, 'email_taken'],
    [{ role: 'root' }, 'invalid_role'],
    [{ role: null }, 'invalid_role'],
    [{ role: 'Admin' }, 'invalid_role'],
  ];
  for (const [fields, code] of refusals) {
    assert.is(
      await outcome(auth.createUser({ ...given, ...fields })),
      code,
      JSON.stringify(fields),
    );
  }
  await auth.createUser({ ...given, role: undefined });
});

administration('finds a user by id or by any spelling of the email', async () => {
  const { auth, ada } = await withAda();
  const record = { ...ada.user, role: 'user', disabled: false };
  assert.equal(await auth.findUser({ id: ada.user.id }), record);
  assert.equal(await auth.findUser({ email: ' ADA@Example.com' }), record);
  for (const none of [{ id: 7 }, { id: '1' as never }, { id: Number.NaN }, { email: 'x@x.co' }]) {
    await rejectsWith(auth.findUser(none), 'user_not_found');
  }
  await rejectsWith(auth.findUser({ email: 'x' }), 'invalid_email');
});

administration('lists users with what they are', async () => {
  const { auth, ada } = await withAda();
  await auth.setRole({ userId: ada.user.id, role: 'admin' });
  const { pages } = await auth.listUsers();
  const listed: UserRecord[] = [];
  for await (const page of pages) listed.push(...page);
  assert.equal(listed, [{ ...ada.user, role: 'admin', disabled: false }]);
});

administration(
  'gives a role, which holds at once, and one that is taken away does not',
  async () => {
    const { auth, ada } = await withAda();
    const { accessToken } = ada;
    const asAdmin = () => outcome(auth.authorize({ accessToken, role: 'admin' }));
    assert.is(await asAdmin(), 'insufficient_role');
    assert.is((await auth.authorize({ accessToken, role: 'user' })).user.role, 'user');
    await auth.setRole({ userId: ada.user.id, role: 'admin' });
    assert.type(await asAdmin(), 'object', 'with a token of before');
    const later = await auth.login(ADA);
    assert.is((await auth.authorize({ ...later, role: 'user' })).user.role, 'admin');
    await auth.setRole({ userId: ada.user.id, role: 'user' });
    assert.is(await outcome(auth.authorize({ ...later, role: 'admin' })), 'insufficient_role');
    assert.is(
      await outcome(auth.authorize({ ...later, role: 'root' as Role })),
      'insufficient_role',
    );
  },
);

administration('has a role in the access token, and tokens of users as they were', async () => {
  const { auth, ports, ada } = await withAda();
  const claim = async ({ accessToken }: { accessToken: string }) => {
    const [, payload = ''] = accessToken.split('.');
    return JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
  };
  assert.equal(Object.keys(await claim(ada)), ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp']);
  await auth.setRole({ userId: ada.user.id, role: 'admin' });
  for (const made of [await auth.login(ADA), await auth.refreshToken(ada)]) {
    assert.is(Reflect.get(await claim(made), 'role'), 'admin');
    const claims = await ports.tokens.verifyAccessToken(made.accessToken, ports.clock.now());
    assert.is(claims?.role, 'admin');
  }
  await auth.setRole({ userId: ada.user.id, role: 'user' });
  assert.not('role' in (await claim(await auth.refreshToken(ada))));
});

administration('disables a user, for whom nothing is good any more', async () => {
  const { auth, ports, ada } = await withAda();
  const userId = ada.user.id;
  const disabled = await auth.disableUser({ userId });
  assert.equal(disabled, { ...ada.user, role: 'user', disabled: true });
  assert.equal(await auth.findUser({ id: userId }), disabled);
  assert.equal(await ports.sessions.list(userId, ports.clock.now()), []);
  const { accessToken } = ada;
  const password = { currentPassword: ADA.password, password: 'x', confirmPassword: 'y' };
  assert.is(await outcome(auth.login(ADA)), 'invalid_credentials');
  assert.is(await outcome(auth.refreshToken(ada)), 'invalid_refresh_token');
  const asks: readonly (() => Promise<unknown>)[] = [
    () => auth.authorize({ accessToken }),
    () => auth.listSessions({ accessToken }),
    () => auth.endSession({ accessToken, sessionId: 'x' }),
    () => auth.logoutAll({ accessToken }),
    () => auth.changePassword({ accessToken, ...password }),
    () => auth.deleteAccount({ accessToken, password: ADA.password }),
  ];
  for (const ask of asks) assert.is(await outcome(ask()), 'invalid_access_token', String(ask));
  assert.is(await outcome(auth.registerUser(ADA)), 'email_taken');
  await auth.logout(ada);
});

administration('enables a user again, but no session of before', async () => {
  const { auth, ada } = await withAda();
  await auth.disableUser({ userId: ada.user.id });
  assert.is((await auth.enableUser({ userId: ada.user.id })).disabled, false);
  assert.is(await outcome(auth.refreshToken(ada)), 'invalid_refresh_token');
  await auth.refreshToken(await auth.login(ADA));
});

administration('ends what a disabled user has under way', async () => {
  for (const what of ['login', 'changePassword', 'deleteAccount'] as const) {
    const { ports, ada } = await withAda();
    const disable = () => createAuth(ports).disableUser({ userId: ada.user.id });
    const verify = ports.hasher.verify.bind(ports.hasher);
    // The password is right, and proved; and in that moment it is over.
    ports.hasher.verify = async (hash, password) => {
      const verdict = await verify(hash, password);
      await disable();
      return verdict;
    };
    const auth = createAuth(ports);
    const { accessToken } = ada;
    const [currentPassword, password] = [ADA.password, 'battery staple'];
    const outcomes: Readonly<Record<typeof what, () => Promise<unknown>>> = {
      login: () => auth.login(ADA),
      changePassword: () =>
        auth.changePassword({ accessToken, currentPassword, password, confirmPassword: password }),
      deleteAccount: () => auth.deleteAccount({ accessToken, password: ADA.password }),
    };
    const refused = what === 'login' ? 'invalid_credentials' : 'invalid_access_token';
    assert.is(await outcome(outcomes[what]()), refused, what);
    assert.equal(await ports.sessions.list(ada.user.id, ports.clock.now()), []);
    assert.is((await ports.users.findById(ada.user.id))?.disabled, true);
  }
});

administration('shuts out at a store that takes no writes, too', async () => {
  const { auth, ports, ada } = await withAda();
  await auth.disableUser({ userId: ada.user.id });
  const insert = () => Promise.reject(new StoreUnwritable('read-only'));
  const sessions = withMethods(ports.sessions, { insert });
  await rejectsWith(createAuth({ ...ports, sessions }).login(ADA), 'invalid_credentials');
});

administration('tells nobody that a user is disabled: not by cost, count or wait', async () => {
  const played = async (isDisabled: boolean) => {
    const { auth, ports, ada } = await withAda();
    ports.hasher.version = 2; // A hash that a right password would upgrade.
    if (isDisabled) await auth.disableUser({ userId: ada.user.id });
    const heard: unknown[] = [];
    auth.on('loginRejected', (event) => heard.push(event));
    const password = isDisabled ? ADA.password : 'wrong horse';
    const seen: unknown[] = [];
    for (let i = 0; i < 12; i += 1) {
      const { verified, hashed } = ports.hasher;
      const refused = await outcome(auth.login({ ...ADA, password, address: '192.0.2.1' }));
      seen.push([refused, ports.hasher.verified - verified, ports.hasher.hashed - hashed]);
    }
    await turn();
    return { seen, heard };
  };
  const [disabled, wrong] = [await played(true), await played(false)];
  assert.equal(disabled, wrong);
  assert.equal(wrong.seen[0], ['invalid_credentials', 1, 0]);
  assert.equal(wrong.seen[11], ['too_many_attempts', 0, 0]);
});

administration('sets a password, which ends every session', async () => {
  const { auth, ada } = await withAda();
  const userId = ada.user.id;
  const password = 'battery staple';
  assert.is(await outcome(auth.setPassword({ userId, password: 'short' })), 'password_too_short');
  assert.is(await outcome(auth.setPassword({ userId, password: '' })), 'missing_fields');
  await auth.refreshToken(ada);
  assert.is((await auth.setPassword({ userId, password })).id, userId);
  assert.is(await outcome(auth.refreshToken(ada)), 'invalid_refresh_token');
  assert.is(await outcome(auth.login(ADA)), 'invalid_credentials');
  await auth.login({ email: ADA.email, password });
});

administration('deletes a user with everything', async () => {
  const { auth, ada } = await withAda();
  await auth.deleteUser({ userId: ada.user.id });
  assert.is(await outcome(auth.authorize(ada)), 'user_not_found');
  assert.is(await outcome(auth.login(ADA)), 'invalid_credentials');
  await auth.registerUser(ADA);
});

administration('is told where there is no such user, also when they go meanwhile', async () => {
  const { ports, ada } = await withAda();
  const gone = { setRole: async () => false, setDisabled: async () => false };
  const users = withMethods(ports.users, {
    ...gone,
    changePassword: async () => false,
    delete: async () => false,
  });
  const [auth, overtaken] = [createAuth(ports), createAuth({ ...ports, users })];
  for (const [each, userId] of [
    [auth, 99],
    [auth, 'x' as never],
    [overtaken, ada.user.id],
  ] as const) {
    const asks: readonly (() => Promise<unknown>)[] = [
      () => each.setRole({ userId, role: 'admin' }),
      () => each.disableUser({ userId }),
      () => each.enableUser({ userId }),
      () => each.setPassword({ userId, password: 'battery staple' }),
      () => each.deleteUser({ userId }),
    ];
    for (const ask of asks) await rejectsWith(ask(), 'user_not_found');
  }
  await rejectsWith(auth.setRole({ userId: ada.user.id, role: 'x' as Role }), 'invalid_role');
});

administration('asks no store for what is no id', async () => {
  const { ports } = await withAda();
  const asked: unknown[] = [];
  const users = withMethods(ports.users, {
    async findById(id) {
      asked.push(id);
      return undefined;
    },
  });
  const auth = createAuth({ ...ports, users });
  for (const id of [1.5, Number.NaN, Infinity, 2 ** 53, '1' as never, undefined as never]) {
    for (const ask of [
      () => auth.findUser({ id }),
      () => auth.setRole({ userId: id, role: 'admin' }),
      () => auth.disableUser({ userId: id }),
      () => auth.setPassword({ userId: id, password: 'battery staple' }),
      () => auth.deleteUser({ userId: id }),
    ]) {
      await rejectsWith(ask(), 'user_not_found');
    }
  }
  assert.equal(asked, []);
  await rejectsWith(auth.findUser({ id: 2 ** 53 - 1 }), 'user_not_found');
  assert.equal(asked, [2 ** 53 - 1]);
});

administration.run();

// What an operator may do in SQL is to be as good: it holds from the next look at the row.
for (const name of STORE_NAMES) {
  if (name === 'memory') continue; // It has no SQL.
  const sql = suite(`An operator's plain SQL on ${name}`);
  const it = (title: string, run: (set: (row: string) => Promise<unknown>) => Promise<void>) => {
    const test = () =>
      withRepositories(name, async (one, _other, knex) => {
        const auth = createAuth({ ...fakePorts(), ...one });
        context = { auth, ada: await auth.registerUser(ADA) };
        await run(async (row) => knex?.raw(`UPDATE users SET ${row} WHERE email = '${ADA.email}'`));
      });
    if (isAvailable(name)) sql(title, test);
    else sql.skip(title, test);
  };
  let context: Pick<Awaited<ReturnType<typeof withAda>>, 'auth' | 'ada'>;

  it('disables a user at once', async (set) => {
    const { auth, ada } = context;
    await set('disabled = 1');
    assert.is(await outcome(auth.login(ADA)), 'invalid_credentials');
    assert.is(await outcome(auth.refreshToken(ada)), 'invalid_refresh_token');
    assert.is(await outcome(auth.authorize(ada)), 'invalid_access_token');
    assert.is((await auth.findUser({ id: ada.user.id })).disabled, true);
    await auth.enableUser({ userId: ada.user.id });
    assert.is(await outcome(auth.refreshToken(ada)), 'invalid_refresh_token');
    await set('disabled = 0');
    await auth.login(ADA);
  });

  it('gives and takes a role at once; one that is none is the least', async (set) => {
    const { auth, ada } = context;
    const asAdmin = () => outcome(auth.authorize({ ...ada, role: 'admin' }));
    await set("role = 'admin'");
    assert.type(await asAdmin(), 'object');
    for (const none of ['Admin', 'admin ', '', 'root']) {
      await set(`role = '${none}'`);
      assert.is(await asAdmin(), 'insufficient_role', `'${none}'`);
      assert.is((await auth.authorize(ada)).user.role, 'user');
    }
  });

  sql.run();
}
