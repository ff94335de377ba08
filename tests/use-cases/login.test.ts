import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAuth, StoreUnwritable } from '../../src/application/index.ts';
import { outcome, rejectsWith } from '../support/expect.ts';
import { ADA as REGISTRATION, withAda, withMethods } from '../support/fakes.ts';

const ADA = { email: REGISTRATION.email, password: REGISTRATION.password };

const login = suite('Login');

login('returns the user and two tokens that work', async () => {
  const { auth, ada } = await withAda();
  const signedIn = await auth.login(ADA);
  assert.equal(signedIn.user, ada.user);
  assert.is((await auth.authorize(signedIn)).user.id, ada.user.id);
  assert.type((await auth.refreshToken(signedIn)).accessToken, 'string');
});

login('starts a session of its own each time', async () => {
  const { auth } = await withAda();
  const [one, other] = [await auth.login(ADA), await auth.login(ADA)];
  const sessionOf = async (accessToken: string) =>
    (await auth.authorize({ accessToken })).sessionId;
  assert.is.not(await sessionOf(one.accessToken), await sessionOf(other.accessToken));
});

login('takes any spelling of the address, and of the password', async () => {
  const { auth } = await withAda();
  await auth.login({ ...ADA, email: ' ADA@Example.COM ' });
  const password = 'e\u0301'.repeat(8);
  await auth.registerUser({
    username: 'Eve',
    email: 'eve@example.com',
    password,
    confirmPassword: password.normalize('NFC'),
  });
  await auth.login({ email: 'eve@example.com', password: 'é'.repeat(8) });
});

login('refuses what is missing, without asking anybody', async () => {
  const { auth, ports } = await withAda();
  for (const value of ['', undefined, null, 0, true, {}, ['x']]) {
    await rejectsWith(auth.login({ ...ADA, email: value as string }), 'missing_credentials');
    await rejectsWith(auth.login({ ...ADA, password: value as string }), 'missing_credentials');
  }
  await rejectsWith(auth.login({ ...ADA, email: ' \n' }), 'missing_credentials');
  assert.is(ports.hasher.verified, 0);
});

login('lets a right password in while the store takes no writes, and no other', async () => {
  const { ports } = await withAda();
  const refusing = (fault: Error) =>
    createAuth({
      ...ports,
      sessions: withMethods(ports.sessions, { insert: () => Promise.reject(fault) }),
    });
  const auth = refusing(new StoreUnwritable(new Error('the disk is full')));
  const signedIn = await auth.login(ADA);
  assert.is((await auth.authorize(signedIn)).user.email, ADA.email);
  assert.is(await outcome(auth.refreshToken(signedIn)), 'invalid_refresh_token');
  assert.is(await outcome(auth.login({ ...ADA, password: 'wrong horse' })), 'invalid_credentials');
  assert.is(await outcome(refusing(new Error('the store is gone')).login(ADA)), 'fault');
});

login('spends exactly one hash on every rejection, whatever was wrong', async () => {
  const { auth, ports } = await withAda();
  const wrong = [
    { ...ADA, password: 'wrong' },
    { ...ADA, email: 'nobody@example.com' },
    { ...ADA, email: 'no address' },
    { ...ADA, email: `${'a'.repeat(300)}@example.com` },
    { ...ADA, password: 'x' },
    { ...ADA, password: ' ' },
    { ...ADA, password: 'x'.repeat(1025) },
    { ...ADA, password: '\u0301\u0316'.repeat(4_000) },
    { ...ADA, email: `a${'\u0301\u0316'.repeat(700)}@example.com` },
    { ...ADA, password: `${ADA.password}\u0000` },
    { ...ADA, password: `${ADA.password}\ud800` },
  ];
  for (const [i, credentials] of wrong.entries()) {
    await rejectsWith(auth.login(credentials), 'invalid_credentials');
    assert.is(ports.hasher.verified, i + 1);
  }
  assert.is(ports.hasher.hashed, 1, 'only the registration hashed');
});

login('matches no ill-formed password with the text that UTF-8 makes of it', async () => {
  const { auth } = await withAda();
  const password = 'abcdefgh\ufffd';
  const eve = { username: 'Eve', email: 'eve@example.com' };
  await auth.registerUser({ ...eve, password, confirmPassword: password });
  const given = { email: eve.email, password: 'abcdefgh\ud800' };
  await rejectsWith(auth.login(given), 'invalid_credentials');
});

login('takes a password as long as one may be, and hashes none that is longer', async () => {
  const { auth } = await withAda();
  for (const [email, password] of [
    ['ascii@example.com', 'x'.repeat(1024)],
    ['wide@example.com', '😀'.repeat(256)],
  ] as const) {
    await auth.registerUser({ username: 'Long', email, password, confirmPassword: password });
    await auth.login({ email, password });
    await rejectsWith(auth.login({ email, password: `${password}x` }), 'invalid_credentials');
  }
});

login('does not hold a known password against a stricter policy', async () => {
  const { ports } = await withAda();
  const strict = createAuth(ports, {
    passwordMinLength: 100,
    isCommonPassword: () => true,
  });
  await strict.login(ADA);
});

login('upgrades an outdated hash, once', async () => {
  const { auth, ports, ada } = await withAda();
  ports.hasher.version = 2;
  await auth.login(ADA);
  const upgraded = (await ports.users.findByEmail(ada.user.email))?.passwordHash;
  assert.match(upgraded ?? '', /^\$fast\$v=2\$/);
  assert.is(await ports.hasher.verify(upgraded, ADA.password), 'right');
  const hashes = ports.hasher.hashed;
  await auth.login(ADA);
  assert.is(ports.hasher.hashed, hashes);
});

login('survives concurrent upgrades', async () => {
  const { auth, ports } = await withAda();
  ports.hasher.version = 2;
  await Promise.all(Array.from({ length: 10 }, () => auth.login(ADA)));
  await auth.login(ADA);
});

login('does not upgrade over a hash that has changed meanwhile', async () => {
  const { auth, ports, ada } = await withAda();
  const { users, hasher } = ports;
  const stored = async () => (await users.findByEmail(ada.user.email))?.passwordHash ?? '';
  const outdated = await stored();
  hasher.version = 2;
  const hash = hasher.hash.bind(hasher);
  hasher.hash = async (password) => {
    assert.is(await users.replacePasswordHash(ada.user.id, outdated, '$fast$changed'), true);
    return hash(password);
  };
  await auth.login(ADA);
  assert.is(await stored(), '$fast$changed');
});

login('stands although the upgrade fails', async () => {
  const { auth, ports, ada } = await withAda();
  ports.hasher.version = 2;
  ports.hasher.hash = () => Promise.reject(new Error('no memory'));
  assert.equal((await auth.login(ADA)).user, ada.user);
});

login('is refused when the account goes while its password is being checked', async () => {
  const { ports } = await withAda();
  const sessions = withMethods(ports.sessions, { insert: async () => false });
  await rejectsWith(createAuth({ ...ports, sessions }).login(ADA), 'invalid_credentials');
});

login('passes on the fault of a part', async () => {
  const { ports } = await withAda();
  const findByEmail = () => Promise.reject(new Error('no database'));
  const users = withMethods(ports.users, { findByEmail });
  assert.is(await outcome(createAuth({ ...ports, users }).login(ADA)), 'fault');
});

login.run();
