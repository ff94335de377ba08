import { request } from 'node:http';
import { text as readAll } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AuthError, createAuth, Listeners, Login } from '../../src/application/index.ts';
import { AttemptLimiter } from '../../src/application/limits/attempts.ts';
import { networkOf } from '../../src/application/limits/network.ts';
import { outcome } from '../support/expect.ts';
import { ADA, fakePorts, withAda, withMethods } from '../support/fakes.ts';
import {
  ADA as ADA_JSON,
  type Answer,
  assertMessage,
  call,
  registered,
  withService,
} from '../support/service.ts';
import { isAvailable, STORE_NAMES, type StoreName } from '../support/stores.ts';

const HOME = '192.0.2.1';
const AWAY = '198.51.100.7';
const WRONG = { email: ADA.email, password: 'wrong horse' };

async function refusal(promise: Promise<unknown>): Promise<AuthError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AuthError) return error;
  }
  throw new Error('was not refused');
}

/** Holds up whoever waits for it until it is opened. */
function newGate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

const limits = suite('Attempts');

limits('are seven at an account from one address, and ten from all', async () => {
  const { auth } = await withAda();
  const from = (address: string) => outcome(auth.login({ ...WRONG, address }));
  for (let i = 0; i < 7; i += 1) assert.is(await from(HOME), 'invalid_credentials');
  assert.is(await from(HOME), 'too_many_attempts');
  for (let i = 0; i < 3; i += 1) assert.is(await from(`192.0.2.${10 + i}`), 'invalid_credentials');
  for (let i = 0; i < 3; i += 1) assert.is(await from(`192.0.2.${20 + i}`), 'too_many_attempts');
});

limits('leave the owner a way in while one address is shut out', async () => {
  const { auth } = await withAda();
  for (let i = 0; i < 20; i += 1) await outcome(auth.login({ ...WRONG, address: AWAY }));
  assert.is(await outcome(auth.login({ ...ADA, address: AWAY })), 'too_many_attempts');
  assert.is((await auth.login({ ...ADA, address: HOME })).user.username, 'Ada');
});

limits('never keep the owner out, however patient one address is', async () => {
  for (const hours of [1, 4, 9, 20]) {
    const { auth, ports } = await withAda();
    let guesses = 0;
    for (let minute = 0; minute < hours * 60; minute += 1) {
      const guess = await outcome(auth.login({ ...WRONG, address: AWAY }));
      if (guess === 'invalid_credentials') guesses += 1;
      ports.clock.advance(60);
    }
    assert.ok(guesses <= 10 + hours * 4, `${guesses} guesses in ${hours} hours`);
    assert.is(await outcome(auth.login({ ...WRONG, address: HOME })), 'invalid_credentials');
    assert.is((await auth.login({ ...ADA, address: HOME })).user.username, 'Ada');
  }
});

limits('of one account cannot be reached by what is typed for another', async () => {
  const { auth } = await withAda();
  const [email, network] = [ADA.email, HOME];
  const key = JSON.stringify(['account', email]);
  const typed = [`${email}: gate`, `${email}: waits`, `${email} ${network}`, key];
  typed.push(`gate ${key}`, `waits ${key}`, `count ${key}`, JSON.stringify([email, network]));
  for (const [i, text] of typed.entries()) {
    for (let guess = 0; guess < 12; guess += 1) {
      const address = `198.51.${100 + i}.${guess}`;
      await outcome(auth.login({ email: text, password: 'x', address }));
    }
  }
  for (let i = 0; i < 7; i += 1) {
    const guess = auth.login({ ...WRONG, address: HOME });
    assert.is(await outcome(guess), 'invalid_credentials');
  }
  assert.is((await refusal(auth.login({ ...ADA, address: HOME }))).limit, 30);
});

limits('cost next to nothing when thousands come at once', async () => {
  for (const guess of [WRONG, ADA]) {
    const ports = fakePorts();
    await createAuth(ports).registerUser(ADA);
    let asked = 0;
    const { attempts } = ports;
    const auth = createAuth({
      ...ports,
      attempts: {
        add: (...args) => attempts.add(...((asked += 1), args)),
        subtract: (...args) => attempts.subtract(...((asked += 1), args)),
        read: (...args) => attempts.read(...((asked += 1), args)),
        clear: (...args) => attempts.clear(...((asked += 1), args)),
        removeExpired: (...args) => attempts.removeExpired(...((asked += 1), args)),
      },
    });
    const outcomes = await Promise.all(
      Array.from({ length: 3000 }, () => outcome(auth.login({ ...guess, address: HOME }))),
    );
    // A hundred wait for the ten that go on.
    assert.is(outcomes.filter((each) => each === 'too_many_attempts').length >= 2890, true);
    assert.ok(asked < 110 * 15, `${asked} questions to the store`);
  }
});

limits('let right sign-ins and changes of password wait for each other', async () => {
  const { auth, ada } = await withAda();
  const change = { currentPassword: ADA.password, password: ADA.password };
  const { accessToken } = ada;
  const outcomes = await Promise.all([
    ...Array.from({ length: 10 }, () => outcome(auth.login({ ...ADA, address: HOME }))),
    ...Array.from({ length: 3 }, () =>
      outcome(
        auth.changePassword({
          ...change,
          accessToken,
          confirmPassword: ADA.password,
          address: HOME,
        }),
      ),
    ),
  ]);
  assert.is(outcomes.includes('too_many_attempts'), false);
});

limits('are ten at an account for a program that tells no address', async () => {
  const { auth, ports } = await withAda();
  for (let i = 0; i < 10; i += 1) {
    assert.is(await outcome(auth.login(WRONG)), 'invalid_credentials');
  }
  assert.is(await outcome(auth.login(WRONG)), 'too_many_attempts');
  assert.is(ports.hasher.verified, 10, 'and what is refused costs no hash');
});

limits('stay within ten, however many come at once and from wherever', async () => {
  const { auth, ports } = await withAda();
  const guesses = Array.from({ length: 200 }, (_, i) =>
    outcome(auth.login({ ...WRONG, password: `guess ${i}`, address: `192.0.2.${i}` })),
  );
  const outcomes = await Promise.all(guesses);
  assert.is(outcomes.filter((each) => each === 'invalid_credentials').length, 10);
  assert.is(outcomes.filter((each) => each === 'too_many_attempts').length, 190);
  assert.is(ports.hasher.verified, 10);
});

limits('do not stand in the way of many right sign-ins at once', async () => {
  const { auth } = await withAda();
  const signIns = Array.from({ length: 60 }, () => auth.login({ ...ADA, address: HOME }));
  assert.is((await Promise.all(signIns)).length, 60);
});

limits('are not told apart: right or wrong, with an account or without', async () => {
  const { auth } = await withAda();
  for (const email of [ADA.email, 'nobody@example.com', 'no address at all']) {
    for (let i = 0; i < 10; i += 1) {
      const guess = auth.login({ email, password: 'wrong horse' });
      assert.is(await outcome(guess), 'invalid_credentials');
    }
    for (const password of ['wrong horse', ADA.password]) {
      const refused = await refusal(auth.login({ email, password }));
      assert.is(refused.code, 'too_many_attempts');
      assert.is(refused.limit, 30);
    }
  }
});

limits('are shared by all spellings of an email', async () => {
  const { auth } = await withAda();
  const spellings = ['ada@example.com', ' ADA@example.com', 'Ada@Example.COM\t', 'ada@EXAMPLE.com'];
  for (let i = 0; i < 10; i += 1) {
    const email = spellings[i % spellings.length] ?? '';
    assert.is(await outcome(auth.login({ email, password: 'x' })), 'invalid_credentials');
  }
  for (const email of spellings) {
    assert.is(await outcome(auth.login({ email, password: 'x' })), 'too_many_attempts');
  }
});

limits('back off, to a quarter of an hour and no further', async () => {
  const { auth, ports } = await withAda();
  for (let i = 0; i < 10; i += 1) await outcome(auth.login(WRONG));
  for (const wait of [30, 60, 120, 240, 480, 900, 900, 900]) {
    const refused = await refusal(auth.login(WRONG));
    assert.is(refused.limit, wait);
    ports.clock.advance(wait - 1);
    assert.is(await outcome(auth.login(ADA)), 'too_many_attempts', `after ${wait - 1} s`);
    ports.clock.advance(1);
    const many = await Promise.all(Array.from({ length: 5 }, () => outcome(auth.login(WRONG))));
    assert.is(many.filter((each) => each === 'invalid_credentials').length, 1, 'one after a wait');
  }
  ports.clock.advance(900);
  assert.is((await auth.login(ADA)).user.username, 'Ada', 'and are no lock');
});

limits('start anew after a right password', async () => {
  const { auth } = await withAda();
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 6; i += 1) {
      const guess = auth.login({ ...WRONG, address: HOME });
      assert.is(await outcome(guess), 'invalid_credentials');
    }
    await auth.login({ ...ADA, address: HOME });
  }
});

limits('start anew after a day', async () => {
  const { auth, ports } = await withAda();
  for (let i = 0; i < 10; i += 1) await outcome(auth.login(WRONG));
  ports.clock.advance(86_400);
  for (let i = 0; i < 10; i += 1) {
    assert.is(await outcome(auth.login(WRONG)), 'invalid_credentials');
  }
});

limits('hold at the change of a password and the deletion of an account, together', async () => {
  const { auth, ada, ports } = await withAda();
  const { accessToken } = ada;
  const change = { accessToken, password: 'battery staple', confirmPassword: 'battery staple' };
  for (let i = 0; i < 5; i += 1) {
    const changing = auth.changePassword({ ...change, currentPassword: 'wrong' });
    assert.is(await outcome(changing), 'wrong_password');
    assert.is(
      await outcome(auth.deleteAccount({ accessToken, password: 'wrong' })),
      'wrong_password',
    );
  }
  const right = { accessToken, password: ADA.password };
  assert.is(await outcome(auth.deleteAccount(right)), 'too_many_attempts');
  const changing = auth.changePassword({ ...change, currentPassword: ADA.password });
  assert.is(await outcome(changing), 'too_many_attempts');
  assert.is(await outcome(auth.login(ADA)), 'too_many_attempts');
  ports.clock.advance(30);
  const { refreshToken } = await auth.login(ADA);
  assert.ok(refreshToken, 'and a right one clears them for all');
  await auth.changePassword({ ...change, currentPassword: ADA.password });
});

limits('count nothing that is no guess: busy hashers, faults, what is missing', async () => {
  const ports = fakePorts();
  const auth = createAuth(ports);
  await auth.registerUser(ADA);
  let fault: unknown;
  const verify: typeof ports.hasher.verify = (hash, password) =>
    fault ? Promise.reject(fault) : ports.hasher.verify(hash, password);
  const failing = createAuth({ ...ports, hasher: withMethods(ports.hasher, { verify }) });
  for (let i = 0; i < 9; i += 1) await outcome(auth.login({ ...WRONG, address: `192.0.2.${i}` }));
  fault = new Error('no memory');
  for (let i = 0; i < 20; i += 1) {
    assert.is(await outcome(failing.login({ ...ADA, address: HOME })), 'fault');
    assert.is(await outcome(auth.login({ email: ADA.email, password: '' })), 'missing_credentials');
  }
  fault = undefined;
  assert.is(await outcome(failing.login({ ...WRONG, address: HOME })), 'invalid_credentials');
  assert.is(await outcome(failing.login({ ...WRONG, address: HOME })), 'too_many_attempts');
});

limits('count, look up and hash nothing while the hasher is busy', async () => {
  const ports = fakePorts();
  const { accessToken } = await createAuth(ports).registerUser(ADA);
  const asked: string[] = [];
  const noting = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name) {
        asked.push(String(name));
        const method: unknown = Reflect.get(target, name);
        return typeof method === 'function' ? (method.bind(target) as unknown) : method;
      },
    });
  const { users, sessions, attempts, hasher } = ports;
  const auth = createAuth({
    ...ports,
    users: noting(users),
    sessions: noting(sessions),
    attempts: noting(attempts),
    hasher: noting(hasher),
  });
  hasher.busy = true;
  const change = { password: 'battery staple', confirmPassword: 'battery staple' };
  const requests: [() => Promise<unknown>, ...string[]][] = [
    [() => auth.login({ ...ADA, address: HOME })],
    [() => auth.login({ ...WRONG, address: HOME })],
    [() => auth.login({ email: 'nobody@example.com', password: 'x', address: HOME })],
    [() => auth.registerUser({ ...ADA, address: HOME })],
    [
      () => auth.changePassword({ accessToken, currentPassword: ADA.password, ...change }),
      'findById',
    ],
    [() => auth.deleteAccount({ accessToken, password: ADA.password }), 'findById'],
  ];
  for (const [run, ...authorizing] of requests) {
    asked.length = 0;
    assert.is(await outcome(run()), 'service_busy');
    assert.equal(asked, [...authorizing, 'admit']);
  }
  assert.is(await outcome(auth.login({ email: ADA.email, password: '' })), 'missing_credentials');
  hasher.busy = false;
  await auth.login({ ...ADA, address: HOME });
});

limits(
  'are refused and not queued where the hasher has no place, at the busiest account too',
  async () => {
    const ports = fakePorts();
    await createAuth(ports).registerUser(ADA);
    const gate = newGate();
    const verify: typeof ports.hasher.verify = async (...args) => {
      await gate.opened;
      return ports.hasher.verify(...args);
    };
    const auth = createAuth({ ...ports, hasher: withMethods(ports.hasher, { verify }) });
    const running = Array.from({ length: 10 }, () =>
      outcome(auth.login({ ...ADA, address: HOME })),
    );
    ports.hasher.busy = true;
    assert.is(await outcome(auth.login({ ...ADA, address: HOME })), 'service_busy');
    ports.hasher.busy = false;
    gate.open();
    const users = (await Promise.all(running)).filter((each) => typeof each === 'object');
    assert.is(users.length, 10);
  },
);

limits('take no memory for accounts that nobody is signing in to any more', async () => {
  const ports = { ...fakePorts(), events: new Listeners() };
  const limiter = new AttemptLimiter(ports);
  const login = new Login({ ...ports, limiter });
  const guesses = Array.from({ length: 50 }, (_, i) =>
    outcome(login.execute({ email: `user${i}@example.com`, password: 'x', address: HOME })),
  );
  assert.is(limiter.accounts, 50);
  await Promise.all(guesses);
  assert.is(limiter.accounts, 0);
});

limits('have no wait that is longer than any can be, as a clock put back would make', async () => {
  const ports = fakePorts();
  await createAuth(ports).registerUser(ADA);
  const read =
    (secondsLeft: number): typeof ports.attempts.read =>
    async (keys) =>
      keys.map((key) => (key.startsWith('gate') ? { count: 1, secondsLeft } : undefined));
  const waiting = (secondsLeft: number) =>
    createAuth({ ...ports, attempts: withMethods(ports.attempts, { read: read(secondsLeft) }) });
  assert.is((await refusal(waiting(900).login(ADA))).limit, 900);
  assert.is((await waiting(1_800).login(ADA)).user.username, 'Ada');
});

limits('hold up no reply until counts are cleared or taken back', async () => {
  const ports = fakePorts();
  await createAuth(ports).registerUser(ADA);
  const gate = newGate();
  let waiting = 0;
  const held = async () => {
    waiting += 1;
    await gate.opened;
  };
  const attempts = withMethods(ports.attempts, {
    clear: async (keys) => held().then(() => ports.attempts.clear(keys)),
    subtract: async (keys) => held().then(() => ports.attempts.subtract(keys)),
  });
  const fail = () => Promise.reject(new Error('no memory'));
  const auth = createAuth({ ...ports, attempts });
  const failing = createAuth({
    ...ports,
    attempts,
    hasher: withMethods(ports.hasher, { verify: fail }),
  });
  await auth.login({ ...ADA, address: HOME });
  assert.is(await outcome(failing.login({ ...ADA, address: AWAY })), 'fault');
  while (waiting < 3) await turn();
  gate.open();
});

limits('are settled together for sign-ins that come while the store is busy', async () => {
  const ports = fakePorts();
  const cleared: number[] = [];
  const attempts = withMethods(ports.attempts, {
    clear: async (keys) => {
      cleared.push(keys.length);
      await ports.attempts.clear(keys);
    },
  });
  const auth = createAuth({ ...ports, attempts });
  const emails = Array.from({ length: 40 }, (_, i) => `user${i}@example.com`);
  for (const email of emails) await auth.registerUser({ ...ADA, email });
  await Promise.all(emails.map((email) => auth.login({ ...ADA, email, address: HOME })));
  for (let i = 0; i < 100; i += 1) await turn();
  const keys = cleared.reduce((sum, count) => sum + count, 0);
  assert.is(keys, 40 * 2 * 3, 'three keys of two limits each');
  assert.ok(cleared.length <= 10, `${cleared.length} times`);
});

limits('are settled before the next attempt at the same account', async () => {
  const { auth } = await withAda();
  for (let i = 0; i < 30; i += 1) {
    if (i % 3 < 2) await outcome(auth.login({ ...WRONG, address: HOME }));
    else await auth.login({ ...ADA, address: HOME });
  }
});

limits('are 300 at all accounts from one address in an hour', async () => {
  const { auth, ports } = await withAda();
  const spray = (from: number, count: number, address: string) =>
    Promise.all(
      Array.from({ length: count }, (_, i) =>
        outcome(auth.login({ email: `user${from + i}@example.com`, password: 'x', address })),
      ),
    );
  const first = await spray(0, 350, '2001:db8:1:2::1');
  assert.is(first.filter((each) => each === 'invalid_credentials').length, 300);
  assert.is(first.filter((each) => each === 'too_many_attempts').length, 50);
  const neighbours = ['2001:db8:1:2:ffff::1', '2001:0DB8:1:2::9'];
  for (const address of neighbours) {
    assert.equal(await spray(500, 1, address), ['too_many_attempts'], 'one network, one client');
  }
  assert.equal(await spray(500, 1, '2001:db8:1:3::1'), ['invalid_credentials']);
  ports.clock.advance(3600);
  assert.equal(await spray(500, 1, '2001:db8:1:2::1'), ['invalid_credentials']);
});

limits('from one address are not given back by signing in to an account of its own', async () => {
  const { auth } = await withAda();
  for (let i = 0; i < 300; i += 1) {
    await outcome(auth.login({ email: `user${i}@example.com`, password: 'x', address: HOME }));
    if (i % 50 === 0) await auth.login({ ...ADA, address: HOME });
  }
  assert.is(await outcome(auth.login({ ...ADA, address: HOME })), 'too_many_attempts');
  assert.is((await auth.login({ ...ADA, address: AWAY })).user.username, 'Ada');
});

limits('hold at registration from one address, whatever comes of it', async () => {
  const { auth } = await withAda();
  const register = (i: number) =>
    outcome(
      auth.registerUser({ ...ADA, email: i % 2 ? ADA.email : `u${i}@example.com`, address: HOME }),
    );
  for (let i = 0; i < 1000; i += 1) assert.is.not(await register(i), 'too_many_attempts');
  for (const i of [1000, 1001]) assert.is(await register(i), 'too_many_attempts');
  const elsewhere = auth.registerUser({ ...ADA, address: AWAY });
  assert.is(await outcome(elsewhere), 'email_taken');
});

limits('refuse bad refresh tokens from one address, and never a good one', async () => {
  const { auth, ada } = await withAda();
  const refreshToken = `${ada.refreshToken.slice(0, -2)}xx`;
  const bad = () => outcome(auth.refreshToken({ refreshToken, address: HOME }));
  for (let i = 0; i < 1000; i += 1) assert.is(await bad(), 'invalid_refresh_token');
  assert.is(await bad(), 'too_many_attempts');
  const good = await auth.refreshToken({ refreshToken: ada.refreshToken, address: HOME });
  assert.ok(good.accessToken);
});

limits.run();

const networks = suite('Networks');

networks('are all of an IPv4 address, and half of an IPv6 one', () => {
  const cases: Readonly<Record<string, string>> = {
    '192.0.2.1': '192.0.2.1',
    ' 192.0.2.1 ': '192.0.2.1',
    '192.0.2.1:4711': '192.0.2.1',
    '::ffff:192.0.2.1': '192.0.2.1',
    '::FFFF:c000:201': '192.0.2.1',
    '[::ffff:192.0.2.1]:80': '192.0.2.1',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '2001:0DB8:0001:0002::': '2001:db8:1:2::/64',
    '[2001:db8:1:2::7]:443': '2001:db8:1:2::/64',
    '2001:db8::1': '2001:db8:0:0::/64',
    '::1': '0:0:0:0::/64',
    '::': '0:0:0:0::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
    '2001:db8:1:2:3:4:5:6:51234': '2001:db8:1:2::/64',
    '::ffff:192.0.2.1:80': '192.0.2.1',
    '192.0.2.256': 'no address',
    '192.0.513': 'no address',
    unknown: 'no address',
    'a:b': 'no address',
    '': 'no address',
  };
  for (const [address, network] of Object.entries(cases)) {
    assert.is(networkOf(address), network, address);
  }
});

networks.run();

const TOO_MANY = 'Too many attempts. Please try again later.';

function assertTooMany(answer: Answer): void {
  assertMessage(answer, 429, TOO_MANY);
  assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]\d{0,2}$/);
}

for (const name of STORE_NAMES) {
  const http = suite(`Attempts over HTTP on ${name}`);
  const it = (title: string, use: () => Promise<void>) => {
    if (isAvailable(name)) http(title, use);
    else http.skip(title, use);
  };

  it('are at most ten, of 200 at once', async () => {
    await withService(name, {}, async ({ url }) => {
      await registered(url);
      const json = { email: ADA.email, password: 'wrong horse' };
      const answers = await Promise.all(
        Array.from({ length: 200 }, () => call(url, 'POST /login', { json })),
      );
      const judged = answers.filter(({ status }) => status === 401);
      assert.is(judged.length, 7, 'from one address');
      for (const answer of judged) assertMessage(answer, 401, 'Invalid email or password');
      for (const answer of answers.filter(({ status }) => status !== 401)) assertTooMany(answer);
      assertTooMany(await call(url, 'POST /login', { json: ADA_JSON }));
      assert.is((await call(url, 'GET /users')).status, 200);
    });
  });

  it('are ten of 200 at once where each comes from another address', async () => {
    await withService(name, { env: { TRUST_PROXY: '1' } }, async ({ url }) => {
      await registered(url);
      const json = { email: ADA.email, password: 'wrong horse' };
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          call(url, 'POST /login', { json, headers: { 'X-Forwarded-For': `192.0.2.${i}` } }),
        ),
      );
      assert.is(answers.filter(({ status }) => status === 401).length, 10);
      assert.is(answers.filter(({ status }) => status === 429).length, 190);
    });
  });

  it('are no limit on right sign-ins, 50 at once', async () => {
    await withService(name, {}, async ({ url }) => {
      await registered(url);
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => call(url, 'POST /login', { json: ADA_JSON })),
      );
      assert.equal([...new Set(answers.map(({ status }) => status))], [200]);
    });
  });

  it('leave nothing of an account that is deleted', async () => {
    await withService(name, {}, async ({ url, part }) => {
      const { access_token: token } = await registered(url);
      await call(url, 'POST /login', { json: { ...ADA_JSON, password: 'wrong horse' } });
      const json = { password: ADA_JSON.password };
      assert.is((await call(url, 'DELETE /account', { token, json })).status, 204);
      const left = (await part('knex')?.('attempts').where('count', '>', 0)) ?? [];
      // What is known of the address: one registration, one wrong password.
      if (name !== 'memory') assert.is(left.length, 2);
    });
  });

  http.run();
}

const shared = suite('Attempts of two processes');
const SHARED: readonly StoreName[] = ['SQLite', 'MariaDB'];
for (const name of SHARED) {
  const test = () =>
    withService(name, {}, async ({ url, databaseUrl }) => {
      await registered(url);
      await withService('memory', { env: { DATABASE_URL: databaseUrl } }, async (other) => {
        const json = { email: ADA.email, password: 'wrong horse' };
        const answers = await Promise.all(
          Array.from({ length: 60 }, (_, i) =>
            call(i % 2 ? url : other.url, 'POST /login', { json }),
          ),
        );
        assert.is(answers.filter(({ status }) => status === 401).length, 7);
        for (const each of [url, other.url]) {
          assertTooMany(await call(each, 'POST /login', { json: ADA_JSON }));
        }
      });
    });
  if (isAvailable(name)) shared(`are counted together on ${name}`, test);
  else shared.skip(`are counted together on ${name}`, test);
}
shared.run();

const edge = suite('Attempts at the edge');

/** Sends a wrong password from one of the machine's own addresses. */
async function guessFrom(url: string, localAddress: string, forwarded: string): Promise<number> {
  const headers = { 'Content-Type': 'application/json', 'X-Forwarded-For': forwarded };
  return new Promise((resolve, reject) => {
    const sent = request(`${url.replace('localhost', '127.0.0.1')}/login`, {
      method: 'POST',
      localAddress,
      headers,
    });
    sent.on('error', reject).on('response', (response) => {
      readAll(response).then(() => resolve(response.statusCode ?? 0), reject);
    });
    sent.end(JSON.stringify(WRONG));
  });
}

/** How many of 30 guesses are judged, each with another X-Forwarded-For. */
async function judgedOf30(url: string, from: string, forwarded: (i: number) => string) {
  let count = 0;
  for (let i = 0; i < 30; i += 1) {
    if ((await guessFrom(url, from, forwarded(i))) === 401) count += 1;
  }
  return count;
}

edge('take nobody at their word on where they are, unless told to', async () => {
  await withService('memory', {}, async ({ url }) => {
    assert.is(await judgedOf30(url, '127.0.0.1', (i) => `192.0.2.${i}`), 7);
    assert.is(await judgedOf30(url, '127.0.0.2', (i) => `192.0.2.${i}, 127.0.0.1`), 3);
  });
});

edge('take the word of a proxy that is named, and of nobody behind it', async () => {
  await withService('memory', { env: { TRUST_PROXY: '127.0.0.9' } }, async ({ url }) => {
    assert.is(await judgedOf30(url, '127.0.0.9', (i) => `192.0.2.${i}, 198.51.100.1`), 7);
    assert.is(await judgedOf30(url, '127.0.0.2', (i) => `203.0.113.${i}`), 3);
  });
});

edge('take the word of as many proxies as are named', async () => {
  await withService('memory', { env: { TRUST_PROXY: '2' } }, async ({ url }) => {
    const chain = (i: number) => `192.0.2.${i}, 198.51.100.1, 10.0.0.1`;
    assert.is(await judgedOf30(url, '127.0.0.9', chain), 7);
    const others = (i: number) => `198.51.100.${100 + i}, 10.0.0.1`;
    assert.is(await judgedOf30(url, '127.0.0.9', others), 3);
  });
});

edge('are limited at the change of a password too', async () => {
  await withService('memory', {}, async ({ url }) => {
    const { access_token: token } = await registered(url);
    const change = { password: 'battery staple', confirm_password: 'battery staple' };
    const json = { ...change, current_password: 'wrong' };
    for (let i = 0; i < 7; i += 1) {
      assertMessage(await call(url, 'POST /password', { json, token }), 401, 'Invalid password');
    }
    const right = { ...change, current_password: ADA_JSON.password };
    assertTooMany(await call(url, 'POST /password', { json: right, token }));
    const deletion = { json: { password: ADA_JSON.password }, token };
    assertTooMany(await call(url, 'DELETE /account', deletion));
  });
});

edge('are limited at /register and /refresh, long after any honest use', async () => {
  await withService('memory', {}, async ({ url }) => {
    const { refresh_token } = await registered(url);
    const until429 = async (send: () => Promise<Answer>) => {
      for (let sent = 0; sent < 2000; sent += 50) {
        const answers = await Promise.all(Array.from({ length: 50 }, send));
        if (answers.some(({ status }) => status === 429)) return sent;
      }
      return Infinity;
    };
    assert.is(await until429(() => call(url, 'POST /register', { json: ADA_JSON })), 950);
    assertTooMany(await call(url, 'POST /register', { json: ADA_JSON }));
    const json = { refresh_token: `${refresh_token}x` };
    assert.is(await until429(() => call(url, 'POST /refresh', { json })), 1000);
    assertTooMany(await call(url, 'POST /refresh', { json }));
    assert.is((await call(url, 'POST /refresh', { json: { refresh_token } })).status, 200);
  });
});

edge('do not wait for the disk on SQLite, where all else does', async () => {
  await withService('SQLite', {}, async ({ part }) => {
    const waits = (name: 'knex' | 'counts') => part(name)?.raw('PRAGMA synchronous');
    assert.equal(await waits('knex'), [{ synchronous: 2 }]);
    assert.equal(await waits('counts'), [{ synchronous: 1 }]);
  });
});

edge('are not counted with RATE_LIMIT=off', async () => {
  await withService('SQLite', { env: { RATE_LIMIT: 'off' } }, async ({ url, part }) => {
    await registered(url);
    const json = { email: ADA.email, password: 'wrong horse' };
    for (let i = 0; i < 40; i += 1) {
      assert.is((await call(url, 'POST /login', { json })).status, 401);
    }
    assert.equal(await part('knex')?.('attempts'), []);
  });
});

edge.run();
