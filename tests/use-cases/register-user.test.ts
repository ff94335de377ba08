import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import { createAuth, defaultPolicy, type GivenPorts } from '../../src/application/index.ts';
import { outcome, rejectsWith } from '../support/expect.ts';
import { ADA, fakePorts, SECRET, withMethods } from '../support/fakes.ts';

const register = suite('RegisterUser');

register('stores the account and signs it in', async () => {
  const ports = fakePorts();
  const auth = createAuth(ports);
  const { user, accessToken, refreshToken } = await auth.registerUser(ADA);
  assert.equal(user, {
    id: user.id,
    username: 'Ada',
    email: 'ada@example.com',
    dateCreated: ports.clock.now(),
  });
  const record = { ...user, role: 'user', disabled: false };
  assert.equal((await auth.authorize({ accessToken })).user, record);
  assert.type((await auth.refreshToken({ refreshToken })).accessToken, 'string');
});

register('stores the hash that the hasher made, and nothing of the password', async () => {
  const { users, ...ports } = fakePorts();
  await createAuth({ users, ...ports }).registerUser(ADA);
  const [user] = await users.page({ after: 0, limit: 1 });
  const account = user && (await users.findByEmail(user.email));
  const stored = account?.passwordHash;
  assert.is(await ports.hasher.verify(stored, ADA.password), 'right');
  assert.not.match(JSON.stringify(account), ADA.password);
  assert.is(ports.hasher.hashed, 1);
});

register('stores the canonical email and the trimmed name', async () => {
  const auth = createAuth(fakePorts());
  const given = { ...ADA, email: ' Ada@EXAMPLE.com\n', username: '\t Ada L. ' };
  const { user } = await auth.registerUser(given);
  assert.is(user.email, 'ada@example.com');
  assert.is(user.username, 'Ada L.');
});

register('starts a session that ends when the policy says', async () => {
  const tokens = new JwtIssuer({ key: SECRET, refreshTokenTtl: 3600 });
  const ports = { ...fakePorts(), tokens };
  const auth = createAuth(ports);
  const { accessToken, user } = await auth.registerUser({ ...ADA, device: ' A\nphone ' });
  const { sessionId } = await auth.authorize({ accessToken });
  const now = ports.clock.now();
  assert.equal(await ports.sessions.find(sessionId), {
    id: sessionId,
    userId: user.id,
    device: 'A phone',
    dateCreated: now,
    lastUsed: now,
    tokenId: 'id-2',
    expires: new Date(now.getTime() + 3_600_000),
  });
});

register('refuses what is missing, whatever else is wrong, without asking anybody', async () => {
  const auth = createAuth(untouchable());
  for (const field of ['username', 'email', 'password', 'confirmPassword'] as const) {
    for (const value of ['', undefined, null, 7, true, {}, [], { toString: () => 'x' }]) {
      const given = { ...ADA, password: 'x', [field]: value };
      await rejectsWith(auth.registerUser(given), 'missing_fields');
    }
  }
  for (const blank of [' ', '\t\n', '\u00a0\u2003\ufeff']) {
    await rejectsWith(auth.registerUser({ ...ADA, username: blank }), 'missing_fields');
    await rejectsWith(auth.registerUser({ ...ADA, email: blank }), 'missing_fields');
  }
});

register('takes white space alone as a password like any other', async () => {
  const auth = createAuth(fakePorts());
  const password = ' '.repeat(8);
  await auth.registerUser({ ...ADA, password, confirmPassword: password });
  await auth.login({ email: ADA.email, password });
  await rejectsWith(
    auth.login({ email: ADA.email, password: ' '.repeat(9) }),
    'invalid_credentials',
  );
});

register('finds passwords that differ before anything about their form', async () => {
  const auth = createAuth(untouchable());
  const given = { ...ADA, email: 'nonsense', password: 'x', confirmPassword: 'y' };
  await rejectsWith(auth.registerUser(given), 'passwords_differ');
  const cased = { ...ADA, confirmPassword: 'Correct horse' };
  await rejectsWith(auth.registerUser(cased), 'passwords_differ');
});

register('refuses what is no email address', async () => {
  const auth = createAuth(untouchable());
  const local = [
    '',
    'a b',
    'a@b',
    'a,b',
    'a;b',
    '<a>',
    '"a"',
    'a..b',
    '.a',
    'a.',
    'a\u0000',
    'a\u200b',
  ];
  const domains = [
    '',
    'b',
    '.co',
    'b.',
    'b..co',
    '-b.co',
    'b-.co',
    'b c.co',
    'b,c.co',
    'b_c.co',
    '[1.2.3.4]',
  ];
  const addresses = [
    ...local.map((part) => `${part}@b.co`),
    ...domains.map((domain) => `a@${domain}`),
    'plain',
    '@',
    'Ada <ada@example.com>',
    'ada@example.com, eve@example.com',
    'ada@example.com\r\nBcc: eve@example.com',
    '\ud800@b.co',
    `${'a'.repeat(255 - '@example.com'.length)}@example.com`,
    `a@${'b'.repeat(16_000)}.co`,
  ];
  for (const email of addresses) {
    assert.is(await outcome(auth.registerUser({ ...ADA, email })), 'invalid_email', email);
  }
});

register('takes every one address of at most 254 characters', async () => {
  const auth = createAuth(fakePorts());
  const addresses = [
    'a@b.co',
    "!#$%&'*+/=?^_`{|}~-@b.co",
    'first.last+tag@sub.example-host.co.uk',
    '用户@例子.广告',
    'ß@straße.de',
    '1@1.2',
    `${'a'.repeat(254 - '@example.com'.length)}@example.com`,
    `${'😀'.repeat(254 - '@example.com'.length)}@example.com`,
  ];
  for (const email of addresses) {
    assert.is((await auth.registerUser({ ...ADA, email })).user.email, email);
  }
});

register('refuses names with control characters, ill-formed or too long', async () => {
  const auth = createAuth(fakePorts());
  const refused = (username: string) => outcome(auth.registerUser({ ...ADA, username }));
  for (const username of ['a\u0000', 'a\r\nb', 'a\u001b[31m', 'a\u007fb', 'a\u0085b', '\ud83d']) {
    assert.is(await refused(username), 'invalid_username');
  }
  assert.is(await refused('é'.repeat(256)), 'username_too_long');
  assert.is(await refused('😀'.repeat(256)), 'username_too_long');
  await auth.registerUser({ ...ADA, username: '😀'.repeat(255) });
});

register('holds the password to its bounds, counted in code points and bytes', async () => {
  const ports = fakePorts();
  const auth = createAuth(ports);
  const tried = (password: string) =>
    outcome(auth.registerUser({ ...ADA, password, confirmPassword: password }));
  for (const password of ['a\u0000bcdefgh', 'abcdefg\ud800', '\udc00abcdefgh']) {
    assert.is(await tried(password), 'invalid_password');
  }
  assert.is(await tried('1234567'), 'password_too_short');
  assert.is(await tried('😀'.repeat(7)), 'password_too_short');
  assert.is(await tried('x'.repeat(1025)), 'password_too_long');
  assert.is(await tried('é'.repeat(513)), 'password_too_long');
  assert.is(ports.hasher.hashed, 0);
  assert.type(await tried('é'.repeat(512)), 'object');
});

register('says by how much a bound was broken', async () => {
  const auth = createAuth(fakePorts(), { ...defaultPolicy, passwordMinLength: 12 });
  const error: unknown = await auth
    .registerUser({ ...ADA, password: 'x', confirmPassword: 'x' })
    .catch((thrown: unknown) => thrown);
  assert.is((error as { limit?: number }).limit, 12);
});

register('refuses common passwords where the policy knows them', async () => {
  const isCommonPassword = (password: string) => password === 'correct horse';
  const auth = createAuth(fakePorts(), { ...defaultPolicy, isCommonPassword });
  await rejectsWith(auth.registerUser(ADA), 'password_too_common');
});

register('checks email, then name, then password', async () => {
  const auth = createAuth(untouchable());
  const short = { password: 'x', confirmPassword: 'x' };
  const all = { ...ADA, ...short, email: 'nonsense', username: 'a\u0000' };
  await rejectsWith(auth.registerUser(all), 'invalid_email');
  await rejectsWith(auth.registerUser({ ...all, email: ADA.email }), 'invalid_username');
});

register('lets one of many concurrent registrations of one address through', async () => {
  const auth = createAuth(fakePorts());
  const spellings = ['ada@example.com', 'ADA@example.com', ' ada@EXAMPLE.com '];
  const outcomes = await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      outcome(auth.registerUser({ ...ADA, email: spellings[i % 3] ?? '' })),
    ),
  );
  assert.is(outcomes.filter((each) => each === 'email_taken').length, 29);
});

register('passes on the fault of a part, having stored nothing', async () => {
  const ports = fakePorts();
  const hash = () => Promise.reject(new Error('no memory'));
  const hasher = withMethods(ports.hasher, { hash });
  assert.is(await outcome(createAuth({ ...ports, hasher }).registerUser(ADA)), 'fault');
  assert.equal(await ports.users.page({ after: 0, limit: 1 }), []);
});

register.run();

/** Ports that no refused input may reach. */
function untouchable(): GivenPorts {
  const ports = fakePorts();
  const refuse = () => {
    throw new Error('asked although the input was refused');
  };
  const wall = new Proxy({}, { get: () => refuse }) as never;
  return { ...ports, users: wall, sessions: wall, hasher: wall, attempts: wall };
}
