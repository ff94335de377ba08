import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type AuthEventName,
  Authorize,
  ChangePassword,
  createAuth,
  CreateUser,
  defaultPolicy,
  DeleteAccount,
  DeleteUser,
  DisableUser,
  type EmbeddedAuth,
  EnableUser,
  EndSession,
  FindUser,
  type GivenPorts,
  Listeners,
  ListSessions,
  ListUsers,
  Login,
  Logout,
  LogoutAll,
  PruneExpired,
  RefreshToken,
  RegisterUser,
  SetPassword,
  SetRole,
} from '../../src/application/index.ts';
import { outcome, printedErrors } from '../support/expect.ts';
import { ADA, fakePorts, withAda, withMethods } from '../support/fakes.ts';

const NAMES: readonly AuthEventName[] = [
  'registered',
  'loggedIn',
  'loginRejected',
  'refreshed',
  'refreshTokenReused',
  'loggedOut',
  'loggedOutEverywhere',
  'passwordChanged',
  'passwordChangeRejected',
  'accountDeleted',
  'accountDeletionRejected',
  'userCreated',
  'roleChanged',
  'userDisabled',
  'userEnabled',
  'passwordSet',
  'listenerFailed',
];

/** Notes every event, by its name. */
function listen(auth: EmbeddedAuth): [name: string, event: unknown][] {
  const heard: [string, unknown][] = [];
  for (const name of NAMES) auth.on(name, (event) => heard.push([name, event]));
  return heard;
}

const events = suite('Events');

events('tell of everything that a user does, in order', async () => {
  const auth = createAuth(fakePorts());
  const heard = listen(auth);
  const first = await auth.registerUser(ADA);
  const user = { ...first.user, role: 'user', disabled: false };
  const { accessToken, refreshToken } = await auth.login(ADA);
  await auth.refreshToken({ refreshToken });
  await auth.logout({ refreshToken });
  const { sessionId } = await auth.authorize({ accessToken: first.accessToken });
  const own = { accessToken: first.accessToken };
  const password = 'battery staple';
  await auth.changePassword({
    ...own,
    currentPassword: ADA.password,
    password,
    confirmPassword: password,
  });
  await auth.endSession({ ...own, sessionId });
  await auth.logoutAll(own);
  await auth.deleteAccount({ ...own, password });
  await turn();
  const { sessionId: second } = (heard[1]?.[1] ?? {}) as { sessionId?: string };
  assert.ok(second && second !== sessionId);
  assert.equal(heard, [
    ['registered', { user, sessionId }],
    ['loggedIn', { user, sessionId: second }],
    ['refreshed', { user, sessionId: second }],
    ['loggedOut', { userId: user.id, sessionId: second }],
    ['passwordChanged', { user, sessionId }],
    ['loggedOut', { userId: user.id, sessionId }],
    ['loggedOutEverywhere', { user }],
    ['accountDeleted', { user }],
  ]);
  assert.ok(accessToken);
});

events('tell of what whoever runs the service does, where it changes something', async () => {
  const auth = createAuth(fakePorts());
  const heard = listen(auth);
  const user = await auth.createUser({ ...ADA, role: 'admin' });
  const userId = user.id;
  for (const role of ['user', 'user'] as const) await auth.setRole({ userId, role });
  for (let i = 0; i < 2; i += 1) await auth.disableUser({ userId });
  for (let i = 0; i < 2; i += 1) await auth.enableUser({ userId });
  await auth.setPassword({ userId, password: 'battery staple' });
  await auth.deleteUser({ userId });
  await outcome(auth.disableUser({ userId }));
  await turn();
  const plain = { ...user, role: 'user' };
  assert.equal(heard, [
    ['userCreated', { user }],
    ['roleChanged', { user: plain }],
    ['userDisabled', { user: { ...plain, disabled: true } }],
    ['userEnabled', { user: plain }],
    ['passwordSet', { user: plain }],
    ['accountDeleted', { user: plain }],
  ]);
  assert.not.match(JSON.stringify(heard), /horse|staple|\$/);
});

events('tell of what was refused, and of nothing that is private', async () => {
  const { auth, ports } = await withAda();
  const heard = listen(auth);
  const wrong = { email: ' ADA@example.com', password: 'wrong horse', address: '192.0.2.1' };
  await outcome(auth.login(wrong));
  await outcome(auth.login({ email: 'my secret password', password: 'wrong horse' }));
  await turn();
  const code = 'invalid_credentials';
  assert.equal(heard, [
    ['loginRejected', { email: 'ada@example.com', code, address: '192.0.2.1' }],
    ['loginRejected', { email: undefined, code, address: undefined }],
  ]);
  assert.not.match(JSON.stringify(heard), /secret|horse/);
  for (let i = 0; i < 9; i += 1) await outcome(auth.login(wrong));
  await turn();
  const refused = heard.filter(([, event]) => (event as { code: string }).code !== code);
  assert.is(refused.length, 3, 'which are counted too');
  heard.length = 0;
  ports.hasher.busy = true;
  await outcome(auth.login({ ...ADA, address: '192.0.2.2' }));
  await outcome(auth.login({ email: '', password: '' }));
  await outcome(auth.registerUser(ADA));
  await outcome(auth.logout({ refreshToken: 'none' }));
  await turn();
  assert.equal(heard, [], 'nobody has guessed, and nothing has happened');
});

events(
  'tell of a wrong password of somebody who is signed in, and of what else is refused not',
  async () => {
    const { auth, ports, ada } = await withAda();
    const { accessToken } = ada;
    const { sessionId } = await auth.authorize({ accessToken });
    const heard = listen(auth);
    const about = { user: { ...ada.user, role: 'user', disabled: false }, sessionId };
    const address = '192.0.2.1';
    const next = { password: 'battery staple', confirmPassword: 'battery staple' };
    const change = { accessToken, currentPassword: 'wrong horse', ...next };
    await outcome(auth.changePassword({ ...change, address }));
    await outcome(auth.deleteAccount({ accessToken, password: 'wrong horse' }));
    await turn();
    const code = 'wrong_password';
    assert.equal(heard, [
      ['passwordChangeRejected', { ...about, address, code }],
      ['accountDeletionRejected', { ...about, code }],
    ]);
    assert.not.match(JSON.stringify(heard), /horse|staple/);

    heard.length = 0;
    await outcome(auth.changePassword({ ...change, confirmPassword: 'another staple' }));
    await outcome(auth.changePassword({ ...change, password: 'short', confirmPassword: 'short' }));
    await outcome(auth.changePassword({ ...change, accessToken: 'none' }));
    await outcome(auth.deleteAccount({ accessToken, password: '' }));
    ports.hasher.busy = true;
    await outcome(auth.deleteAccount({ accessToken, password: 'wrong horse' }));
    ports.hasher.busy = false;
    await turn();
    assert.equal(heard, [], 'no password was judged');

    for (let i = 0; i < 12; i += 1)
      await outcome(auth.deleteAccount({ accessToken, password: 'wrong horse' }));
    await turn();
    const codes = heard.map(([, event]) => (event as { code: string }).code);
    assert.equal(new Set(codes), new Set([code, 'too_many_attempts']));
    assert.is(codes.length, 12);
  },
);

events('tell of a replaced refresh token that comes again', async () => {
  const { auth, ports, ada } = await withAda({ refreshRotation: true });
  await auth.refreshToken({ refreshToken: ada.refreshToken });
  ports.clock.advance(11);
  const heard = listen(auth);
  await outcome(auth.refreshToken({ refreshToken: ada.refreshToken }));
  await turn();
  const { sessionId } = (heard[0]?.[1] ?? {}) as { sessionId?: string };
  assert.equal(heard, [
    ['refreshTokenReused', { user: { ...ada.user, role: 'user', disabled: false }, sessionId }],
  ]);
});

events('come after what they tell has been stored, and not if it was not', async () => {
  const ports = fakePorts();
  const auth = createAuth(ports);
  const found: unknown[] = [];
  auth.on('registered', async ({ user }) => found.push(await ports.users.findById(user.id)));
  const { user } = await auth.registerUser(ADA);
  for (let i = 0; i < 5; i += 1) await turn();
  assert.equal(found, [{ ...user, role: 'user', disabled: false }]);

  const insert = () => Promise.reject(new Error('no database'));
  const broken: GivenPorts = { ...ports, users: withMethods(ports.users, { insert }) };
  const other = createAuth(broken);
  const heard = listen(other);
  assert.is(await outcome(other.registerUser({ ...ADA, email: 'eve@example.com' })), 'fault');
  assert.is(await outcome(auth.registerUser(ADA)), 'email_taken');
  await turn();
  assert.equal(heard, []);
});

events('are told although what follows their commit fails', async () => {
  const ports = fakePorts();
  const issueAccessToken = () => Promise.reject(new Error('no signer'));
  const tokens = withMethods(ports.tokens, { issueAccessToken });
  const auth = createAuth({ ...ports, tokens });
  const heard = listen(auth);
  assert.is(await outcome(auth.registerUser(ADA)), 'fault');
  await turn();
  assert.is(heard[0]?.[0], 'registered', 'the account is there');
});

events('cannot break, delay or change a request by who listens', async () => {
  const auth = createAuth(fakePorts());
  auth.on('registered', () => {
    throw new TypeError('private text');
  });
  auth.on('registered', () => Promise.reject(new Error('private text')));
  auth.on('registered', () => new Promise(() => {}));
  auth.on('registered', ({ user }) => {
    Object.assign(user, { username: 'Eve' });
    user.dateCreated.setTime(0);
  });
  const last: unknown[] = [];
  auth.on('registered', ({ user }) => last.push(user));
  const lines = await printedErrors(async () => {
    const { user } = await auth.registerUser(ADA);
    assert.is(user.username, 'Ada');
    assert.is.not(user.dateCreated.getTime(), 0);
    await turn();
    const record = { ...user, role: 'user', disabled: false };
    assert.equal(last, [record], 'and none of the others is kept from listening');
  });
  assert.equal(lines, [
    'portcullis: a listener of registered failed: TypeError',
    'portcullis: a listener of registered failed: Error',
  ]);
});

events('bear whatever a listener throws', async () => {
  const auth = createAuth(fakePorts());
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const named = (name: unknown) => Object.assign(new Error('private text'), { name });
  const strange = [
    named(Symbol('x')),
    named('Error\nforged line'),
    named(7),
    proxy,
    undefined,
    null,
  ];
  strange.push(Object.defineProperty(new Error('x'), 'name', { get: () => strange.at(0) }));
  for (const thrown of strange) {
    auth.on('registered', () => {
      throw thrown;
    });
  }
  const lines = await printedErrors(async () => {
    await auth.registerUser(ADA);
    await turn();
  });
  assert.is(lines.length, strange.length);
  for (const line of lines)
    assert.match(line, /^portcullis: a listener of registered failed: \w+$/);
});

events('tell of listeners that fail, and end with those that fail at that', async () => {
  const auth = createAuth(fakePorts());
  const fault = new TypeError('private text');
  auth.on('registered', () => Promise.reject(fault));
  const heard: unknown[] = [];
  const end = auth.on('listenerFailed', (failure) => heard.push(failure));
  const quiet = await printedErrors(async () => {
    await auth.registerUser(ADA);
    await turn();
  });
  assert.equal(quiet, []);
  assert.equal(heard, [{ event: 'registered', error: fault }]);
  assert.is((heard[0] as { error: unknown }).error, fault, 'the very same');
  end();
  auth.on('listenerFailed', () => Promise.reject(fault));
  const lines = await printedErrors(async () => {
    await auth.registerUser({ ...ADA, email: 'eve@example.com' });
    await turn();
  });
  assert.equal(lines, ['portcullis: a listener of listenerFailed failed: TypeError']);
});

events('are told once for each time that somebody listens, until they end it', async () => {
  const auth = createAuth(fakePorts());
  let calls = 0;
  const listener = () => (calls += 1);
  const [end, endOther] = [auth.on('registered', listener), auth.on('registered', listener)];
  const register = async (email: string) => {
    await auth.registerUser({ ...ADA, email });
    await turn();
    return calls;
  };
  assert.is(await register('a@example.com'), 2);
  end();
  end();
  assert.is(await register('b@example.com'), 3);
  endOther();
  assert.is(await register('c@example.com'), 3);
});

events('are none of another name', () => {
  const auth = createAuth(fakePorts());
  for (const name of ['register', 'toString', '__proto__', '']) {
    assert.throws(() => auth.on(name as 'registered', () => {}), /^no event is named/);
  }
  for (const listener of [undefined, 'listener', {}]) {
    assert.throws(() => auth.on('registered', listener as never), /^a listener is a function$/);
  }
});

events('are told by each use case that stands alone, on the ports that it names', async () => {
  const listeners = new Listeners();
  const ports = { ...fakePorts(), events: listeners };
  const heard: string[] = [];
  for (const name of NAMES) listeners.on(name, () => heard.push(name));
  const { accessToken, refreshToken } = await new RegisterUser(ports, defaultPolicy).execute(ADA);
  const eve = { ...ADA, email: 'eve@example.com' };
  const other = await new RegisterUser(ports, defaultPolicy).execute(eve);
  await new Login(ports).execute(ADA);
  await new RefreshToken(ports, defaultPolicy).execute({ refreshToken });
  const { sessionId } = await new Authorize(ports).execute({ accessToken });
  assert.is((await new ListSessions(ports).execute({ accessToken })).length, 2);
  for await (const page of (await new ListUsers(ports).execute()).pages) assert.is(page.length, 2);
  const change = { password: 'battery staple', confirmPassword: 'battery staple' };
  const given = { accessToken, currentPassword: ADA.password, ...change };
  await new ChangePassword(ports, defaultPolicy).execute(given);
  await new EndSession(ports).execute({ accessToken, sessionId });
  await new Logout(ports).execute({ refreshToken: other.refreshToken });
  await new LogoutAll(ports).execute({ accessToken });
  await new DeleteAccount(ports).execute({ accessToken, password: change.password });
  assert.is(await new PruneExpired(ports).execute(), 0);
  const creation = { ...ADA, email: 'root@example.com' };
  const { id: userId } = await new CreateUser(ports, defaultPolicy).execute(creation);
  assert.is((await new FindUser(ports).execute({ id: userId })).email, creation.email);
  await new SetRole(ports).execute({ userId, role: 'admin' });
  await new DisableUser(ports).execute({ userId });
  await new EnableUser(ports).execute({ userId });
  const { password } = change;
  await new SetPassword(ports, defaultPolicy).execute({ userId, password });
  await new DeleteUser(ports).execute({ userId });
  await turn();
  assert.equal(heard, [
    'registered',
    'registered',
    'loggedIn',
    'refreshed',
    'passwordChanged',
    'loggedOut',
    'loggedOut',
    'loggedOutEverywhere',
    'accountDeleted',
    'userCreated',
    'roleChanged',
    'userDisabled',
    'userEnabled',
    'passwordSet',
    'accountDeleted',
  ]);
});

events('are each instance its own', async () => {
  const ports = fakePorts();
  const [auth, other] = [createAuth(ports), createAuth(ports)];
  const heard = listen(other);
  await auth.registerUser(ADA);
  await turn();
  assert.equal(heard, []);
});

events.run();
