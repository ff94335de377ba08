import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Auth, createAuth, isExpired, isWithin } from '../../src/application/index.ts';
import { rejectsWith } from '../support/expect.ts';
import { ADA, fakePorts, REFRESH_TOKEN_TTL, withAda, withMethods } from '../support/fakes.ts';

const CREDENTIALS = { email: ADA.email, password: ADA.password };
const EVE = { ...ADA, username: 'Eve', email: 'eve@example.com' };

async function devices(auth: Auth, bearer: { accessToken: string }) {
  return (await auth.listSessions(bearer)).map(({ device }) => device);
}

const list = suite('ListSessions');

list('shows the own sessions, the oldest first, and which one asks', async () => {
  const { auth, ports, ada } = await withAda();
  await auth.registerUser(EVE);
  const first = ports.clock.now();
  ports.clock.advance(100);
  const phone = await auth.login({ ...CREDENTIALS, device: 'Phone\u0000/1.0' });
  const { sessionId: firstId } = await auth.authorize(ada);
  const { sessionId: secondId } = await auth.authorize(phone);
  const second = ports.clock.now();
  const month = REFRESH_TOKEN_TTL * 1000;
  const expires = (start: Date) => new Date(start.getTime() + month);
  const of = (id: string, device: string | null, dateCreated: Date, current: boolean) => ({
    id,
    device,
    dateCreated,
    lastUsed: dateCreated,
    expires: expires(dateCreated),
    current,
  });
  assert.equal(await auth.listSessions(phone), [
    of(firstId, null, first, false),
    of(secondId, 'Phone /1.0', second, true),
  ]);
});

list('notes the last use of a refresh token, once a minute', async () => {
  const { auth, ports, ada } = await withAda();
  const lastUsed = async () => (await auth.listSessions(ada))[0]?.lastUsed;
  const start = ports.clock.now();
  ports.clock.advance(59);
  await auth.refreshToken(ada);
  assert.equal(await lastUsed(), start);
  ports.clock.advance(1);
  await auth.refreshToken(ada);
  assert.equal(await lastUsed(), ports.clock.now());
});

list('labels a session with at most 255 characters, of anything', async () => {
  const auth = createAuth(fakePorts());
  const ada = await auth.registerUser({ ...ADA, device: 'x'.repeat(1000) });
  for (const device of ['', ' ', 7 as never, null as never, undefined as never]) {
    await auth.login({ ...CREDENTIALS, device });
  }
  assert.equal(await devices(auth, ada), ['x'.repeat(255), null, null, null, null, null]);
});

list('wants an access token', async () => {
  const { auth, ada } = await withAda();
  await rejectsWith(auth.listSessions({ accessToken: '' }), 'missing_access_token');
  const { refreshToken } = ada;
  await rejectsWith(auth.listSessions({ accessToken: refreshToken }), 'invalid_access_token');
});

const end = suite('EndSession');

end('ends a session of the own, at once, and no other', async () => {
  const { auth, ada } = await withAda();
  const phone = await auth.login(CREDENTIALS);
  const { sessionId } = await auth.authorize(phone);
  await auth.endSession({ ...ada, sessionId });
  await rejectsWith(auth.refreshToken(phone), 'invalid_refresh_token');
  await auth.refreshToken(ada);
  await rejectsWith(auth.endSession({ ...ada, sessionId }), 'session_not_found');
});

end("finds no session of another's, nor one that never was", async () => {
  const { auth, ada } = await withAda();
  const eve = await auth.registerUser(EVE);
  const { sessionId: evesId } = await auth.authorize(eve);
  for (const sessionId of [evesId, 'nothing', '', undefined as never, {} as never]) {
    await rejectsWith(auth.endSession({ ...ada, sessionId }), 'session_not_found');
  }
  await auth.refreshToken(eve);
});

const logout = suite('Logout');

logout('ends the session of its refresh token, as often as one likes', async () => {
  const { auth, ada } = await withAda();
  const phone = await auth.login(CREDENTIALS);
  await auth.logout(phone);
  await rejectsWith(auth.refreshToken(phone), 'invalid_refresh_token');
  await auth.logout(phone);
  await auth.refreshToken(ada);
});

logout('minds no token that never was, and wants one', async () => {
  const { auth, ada } = await withAda();
  await auth.logout({ refreshToken: 'nonsense' });
  await auth.logout({ refreshToken: ada.accessToken });
  await auth.refreshToken(ada);
  await rejectsWith(auth.logout({ refreshToken: '' }), 'missing_refresh_token');
  await rejectsWith(auth.logout({ refreshToken: 7 as never }), 'missing_refresh_token');
});

logout('ends a session although the clock was set back to before it', async () => {
  const { auth, ports, ada } = await withAda();
  ports.clock.advance(-3600);
  await auth.logout(ada);
  ports.clock.advance(3600);
  await rejectsWith(auth.refreshToken(ada), 'invalid_refresh_token');
});

logout('everywhere ends every session of the bearer, and nobody else’s', async () => {
  const { auth, ada } = await withAda();
  const eve = await auth.registerUser(EVE);
  const phone = await auth.login(CREDENTIALS);
  await auth.logoutAll(phone);
  for (const tokens of [ada, phone]) {
    await rejectsWith(auth.refreshToken(tokens), 'invalid_refresh_token');
  }
  await auth.refreshToken(eve);
  assert.equal(await auth.listSessions(ada), [], 'the access token is good until it expires');
});

const rotation = suite('RefreshToken with rotation');
const ROTATING = { refreshRotation: true } as const;

async function rotate(auth: Auth, refreshToken: string): Promise<string> {
  const refreshed = await auth.refreshToken({ refreshToken });
  assert.equal(Object.keys(refreshed).toSorted(), ['accessToken', 'refreshToken']);
  return refreshed.refreshToken ?? '';
}

rotation('replaces the refresh token each time, but not the end of the session', async () => {
  const { auth, ports, ada } = await withAda(ROTATING);
  let token = ada.refreshToken;
  for (let i = 0; i < 3; i += 1) {
    ports.clock.advance(60);
    const next = await rotate(auth, token);
    assert.is.not(next, token);
    token = next;
  }
  ports.clock.advance(REFRESH_TOKEN_TTL - 180);
  await rejectsWith(auth.refreshToken({ refreshToken: token }), 'invalid_refresh_token');
});

rotation('gives a retry the very same successor for ten seconds', async () => {
  const { auth, ports, ada } = await withAda(ROTATING);
  const successor = await rotate(auth, ada.refreshToken);
  ports.clock.advance(10);
  assert.is(await rotate(auth, ada.refreshToken), successor);
  await rotate(auth, successor);
});

rotation('ends the session when a replaced token comes later, successor and all', async () => {
  const { auth, ports, ada } = await withAda(ROTATING);
  const phone = await auth.login(CREDENTIALS);
  const refreshToken = await rotate(auth, ada.refreshToken);
  ports.clock.advance(11);
  await rejectsWith(auth.refreshToken(ada), 'invalid_refresh_token');
  await rejectsWith(auth.refreshToken({ refreshToken }), 'invalid_refresh_token');
  await auth.refreshToken(phone);
});

rotation('makes one successor of fifty parallel refreshes', async () => {
  const { auth, ada } = await withAda(ROTATING);
  const successors = await Promise.all(
    Array.from({ length: 50 }, () => rotate(auth, ada.refreshToken)),
  );
  assert.is(new Set(successors).size, 1);
  await rotate(auth, successors[0] ?? '');
});

rotation('goes on although the clock was set back', async () => {
  const { auth, ports, ada } = await withAda(ROTATING);
  ports.clock.advance(-4); // As another machine's may be.
  const successor = await rotate(auth, ada.refreshToken);
  await rotate(auth, successor);
});

rotation('logs out by a replaced token too', async () => {
  const { auth, ada } = await withAda(ROTATING);
  const refreshToken = await rotate(auth, ada.refreshToken);
  await auth.logout(ada);
  await rejectsWith(auth.refreshToken({ refreshToken }), 'invalid_refresh_token');
});

rotation('leaves replaced tokens replaced when it is turned off', async () => {
  const { auth, ports, ada } = await withAda(ROTATING);
  const refreshToken = await rotate(auth, ada.refreshToken);
  const still = createAuth(ports);
  await rejectsWith(still.refreshToken(ada), 'invalid_refresh_token');
  assert.equal(Object.keys(await still.refreshToken({ refreshToken })), ['accessToken']);
});

const time = suite('A session');

time('is over at the instant of its expiry, and graces end after theirs', async () => {
  const { ports, ada } = await withAda();
  const [session] = await ports.sessions.list(ada.user.id, ports.clock.now());
  if (session === undefined) throw new Error('no session');
  const { expires, dateCreated } = session;
  assert.is(isExpired(session, new Date(expires.getTime() - 1)), false);
  assert.is(isExpired(session, expires), true);
  const after = (ms: number) => new Date(dateCreated.getTime() + ms);
  assert.is(isWithin(10, dateCreated, after(10_000)), true);
  assert.is(isWithin(10, dateCreated, after(10_001)), false);
});

time.run();

const prune = suite('PruneExpired');

prune('removes what has expired, a bounded part at a time', async () => {
  const { auth, ports } = await withAda();
  for (let i = 0; i < 4; i += 1) await auth.login(CREDENTIALS);
  assert.is(await auth.pruneExpired(), 0);
  ports.clock.advance(REFRESH_TOKEN_TTL);
  assert.is(await auth.pruneExpired({ limit: 3 }), 3);
  assert.is(await auth.pruneExpired({ limit: 3 }), 2);
});

const password = suite('ChangePassword');
const CHANGE = {
  currentPassword: ADA.password,
  password: 'battery staple',
  confirmPassword: 'battery staple',
};

password('changes it, keeps this session and ends every other', async () => {
  const { auth, ada } = await withAda();
  const phone = await auth.login(CREDENTIALS);
  await auth.changePassword({ ...phone, ...CHANGE });
  await auth.refreshToken(phone);
  await rejectsWith(auth.refreshToken(ada), 'invalid_refresh_token');
  await rejectsWith(auth.login(CREDENTIALS), 'invalid_credentials');
  await auth.login({ ...CREDENTIALS, password: CHANGE.password });
});

password('wants the current one, and changes nothing without', async () => {
  const { auth, ports, ada } = await withAda();
  for (const currentPassword of ['wrong password', 'x', ' ', 'x'.repeat(2000), '\ud800', '\0']) {
    const spent = ports.hasher.verified;
    await rejectsWith(
      auth.changePassword({ ...ada, ...CHANGE, currentPassword }),
      'wrong_password',
    );
    assert.is(ports.hasher.verified, spent + 1);
  }
  await auth.login(CREDENTIALS);
});

password('holds the new one to the rules of a registration, in their order', async () => {
  const { auth, ada } = await withAda();
  const refused = (fields: Partial<typeof CHANGE>) =>
    auth.changePassword({ ...ada, ...CHANGE, currentPassword: 'wrong', ...fields });
  for (const field of ['currentPassword', 'password', 'confirmPassword'] as const) {
    for (const value of ['', undefined, 7, null, {}]) {
      await rejectsWith(refused({ [field]: value }), 'missing_fields');
    }
  }
  await rejectsWith(refused({ confirmPassword: 'other' }), 'passwords_differ');
  await rejectsWith(refused({ password: 'x', confirmPassword: 'x' }), 'password_too_short');
  const { accessToken } = { accessToken: '' };
  await rejectsWith(auth.changePassword({ ...CHANGE, accessToken }), 'missing_access_token');
});

password('lets one of two concurrent changes through', async () => {
  const { auth, ada } = await withAda();
  const change = (next: string) =>
    auth.changePassword({ ...ada, ...CHANGE, password: next, confirmPassword: next }).then(
      () => next,
      () => undefined,
    );
  const done = await Promise.all([change('password one'), change('password two')]);
  const [winner, ...others] = done.filter((each) => each !== undefined);
  assert.equal(others, []);
  await auth.login({ ...CREDENTIALS, password: winner ?? '' });
});

/** Ada, and use cases under which her password is changed while it is being proved. */
async function withOvertakenAda() {
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

password('stops a sign-in with the old one that is under way', async () => {
  const { auth, ada, late } = await withOvertakenAda();
  await rejectsWith(late.login(CREDENTIALS), 'invalid_credentials');
  assert.is((await auth.listSessions(ada)).length, 1);
});

const account = suite('DeleteAccount');

account('erases the user, whose tokens then say so, and frees the address', async () => {
  const { auth, ada } = await withAda();
  const phone = await auth.login(CREDENTIALS);
  await auth.deleteAccount({ ...ada, password: ADA.password });
  for (const tokens of [ada, phone]) {
    await rejectsWith(auth.authorize(tokens), 'user_not_found');
    await rejectsWith(auth.refreshToken(tokens), 'user_not_found');
  }
  await rejectsWith(auth.login(CREDENTIALS), 'invalid_credentials');
  await rejectsWith(auth.deleteAccount({ ...ada, password: ADA.password }), 'user_not_found');
  const again = await auth.registerUser(ADA);
  assert.is.not(again.user.id, ada.user.id);
  await rejectsWith(auth.authorize(ada), 'user_not_found');
});

account('stays when its password is changed while it is being proved', async () => {
  const { auth, ada, late } = await withOvertakenAda();
  await rejectsWith(late.deleteAccount({ ...ada, password: ADA.password }), 'wrong_password');
  await auth.login({ ...CREDENTIALS, password: CHANGE.password });
});

account('wants the password, and spends one hash to say so', async () => {
  const { auth, ports, ada } = await withAda();
  await rejectsWith(auth.deleteAccount({ ...ada, password: 'wrong' }), 'wrong_password');
  assert.is(ports.hasher.verified, 1);
  for (const missing of ['', undefined, 7, null, {}]) {
    const given = { ...ada, password: missing as string };
    await rejectsWith(auth.deleteAccount(given), 'missing_fields');
  }
  await auth.authorize(ada);
});

account('is not proved by that of another who has registered its address meanwhile', async () => {
  const { ports, auth, ada } = await withAda();
  const users = withMethods(ports.users, {
    async findByEmail(email) {
      if (await ports.users.delete(ada.user.id)) {
        await auth.registerUser({ ...ADA, username: 'Eve' });
        ports.hasher.verified = 0;
      }
      return ports.users.findByEmail(email);
    },
  });
  const late = createAuth({ ...ports, users });
  const given = { ...ada, password: 'wrong' };
  await rejectsWith(late.deleteAccount(given), 'user_not_found');
  assert.is(ports.hasher.verified, 0, 'nothing is told of a password that is another’s');
  await auth.login(CREDENTIALS);
});

list.run();
end.run();
logout.run();
rotation.run();
prune.run();
password.run();
account.run();
