import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ADA,
  type Answer,
  assertMessage,
  assertReply,
  call,
  registered,
  type ServiceOptions,
  startProgram,
  TEST_ENV,
  withService,
} from '../support/service.ts';
import { isAvailable, openUrl, STORE_NAMES, withDatabaseUrl } from '../support/stores.ts';

const CREDENTIALS = { email: ADA.email, password: ADA.password };
const CHANGE = {
  current_password: ADA.password,
  password: 'battery staple',
  confirm_password: 'battery staple',
};

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
}

async function signedIn(url: string, headers: Record<string, string> = {}): Promise<Tokens> {
  const answer = await call(url, 'POST /login', { json: CREDENTIALS, headers });
  assert.is(answer.status, 200, answer.text);
  return answer.json as Tokens;
}

async function refresh(url: string, { refresh_token }: Pick<Tokens, 'refresh_token'>) {
  return call(url, 'POST /refresh', { json: { refresh_token } });
}

function assertNoContent(answer: Answer): void {
  assert.is(answer.text, '');
  assert.is(answer.status, 204);
  assert.is(answer.headers.get('content-type'), null);
  assert.is(answer.headers.get('cache-control'), 'no-store');
}

function assertEnded(answer: Answer): void {
  assertMessage(answer, 401, 'Invalid or expired refresh token');
}

for (const store of STORE_NAMES) {
  const http = suite(`Sessions and accounts over HTTP on ${store}`);
  const it = (
    title: string,
    run: (service: { url: string }) => Promise<void>,
    options: ServiceOptions = {},
  ) => {
    const test = () => withService(store, options, run);
    if (isAvailable(store)) http(title, test);
    else http.skip(title, test);
  };

  it('lists sessions with exactly their members', async ({ url }) => {
    const first = await registered(url);
    const second = await signedIn(url, { 'User-Agent': 'Phone/1.0' });
    const answer = await call(url, 'GET /sessions', { token: second.access_token });
    const listed = answer.json as Record<string, string>[];
    const [one, other] = listed;
    assertReply(
      answer,
      200,
      listed.map(({ id, device, date_created, last_used, expires, current }) => ({
        id,
        device,
        date_created,
        last_used,
        expires,
        current,
      })),
    );
    assert.equal(
      listed.map(({ device, current }) => [device, current]),
      [
        ['node', false],
        ['Phone/1.0', true],
      ],
    );
    assert.is.not(one?.['id'], other?.['id']);
    for (const time of ['date_created', 'last_used', 'expires']) {
      assert.match(other?.[time] ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
    const asked = await call(url, 'GET /sessions', { token: first.access_token });
    assert.is((asked.json as { current: boolean }[])[0]?.current, true);
  });

  it('ends another session of the own, and says so of none else', async ({ url }) => {
    const mine = await registered(url);
    const phone = await signedIn(url);
    await registered(url, { email: 'eve@example.com' });
    const evesLogin = { ...CREDENTIALS, email: 'eve@example.com' };
    const eve = (await call(url, 'POST /login', { json: evesLogin })).json as Tokens;
    const idOf = async ({ access_token }: Tokens) => {
      const { json } = await call(url, 'GET /sessions', { token: access_token });
      return (json as { id: string; current: boolean }[]).find(({ current }) => current)?.id;
    };
    const end = async (id: string | undefined) =>
      call(url, `DELETE /sessions/${id}`, { token: mine.access_token });
    const phoneId = await idOf(phone);
    for (const id of [await idOf(eve), 'nothing', '%00', '%F0%9F%98%80', 'a%2Fb']) {
      assertMessage(await end(id), 404, 'Session not found');
    }
    assertNoContent(await end(phoneId));
    assertEnded(await refresh(url, phone));
    assertMessage(await end(phoneId), 404, 'Session not found');
    assert.is((await refresh(url, mine)).status, 200);
    assert.is((await refresh(url, eve)).status, 200);
    assertMessage(await call(url, `DELETE /sessions/${phoneId}`), 401, 'Token is missing!');
    for (const id of ['', '%', '%zz', '%FF', '%E0%A4%A']) {
      assertMessage(await call(url, `DELETE /sessions/${id}`, { token: 'x' }), 404, 'Not found');
    }
    assertMessage(await call(url, 'GET /sessions/x'), 405, 'Method not allowed');
  });

  it('logs out, as often as one likes, and whatever the token', async ({ url }) => {
    const { refresh_token } = await registered(url);
    const logout = (json: object) => call(url, 'POST /logout', { json });
    assertNoContent(await logout({ refresh_token }));
    assertEnded(await refresh(url, { refresh_token }));
    assertNoContent(await logout({ refresh_token }));
    assertNoContent(await logout({ refresh_token: 'never was' }));
    for (const missing of [{}, { refresh_token: '' }, { refresh_token: 7 }]) {
      assertMessage(await logout(missing), 400, 'Missing refresh token');
    }
  });

  it('logs out everywhere', async ({ url }) => {
    const mine = await registered(url);
    const phone = await signedIn(url);
    assertMessage(await call(url, 'POST /logout-all'), 401, 'Token is missing!');
    assertNoContent(await call(url, 'POST /logout-all', { token: phone.access_token }));
    assertEnded(await refresh(url, mine));
    assertEnded(await refresh(url, phone));
  });

  it('changes the password, and ends the other sessions', async ({ url }) => {
    const mine = await registered(url);
    const phone = await signedIn(url);
    const change = (json: object, token?: string) =>
      call(url, 'POST /password', { json, ...(token && { token }) });
    const { access_token: token } = mine;
    assertMessage(await change(CHANGE), 401, 'Token is missing!');
    assertMessage(await change({ ...CHANGE, password: 7 }, token), 400, 'Missing required fields');
    const differing = { ...CHANGE, confirm_password: 'other' };
    assertMessage(await change(differing, token), 400, 'Passwords do not match');
    const short = { ...CHANGE, password: 'x', confirm_password: 'x' };
    assertMessage(await change(short, token), 400, 'Password must be at least 8 characters');
    const wrong = { ...CHANGE, current_password: 'wrong password' };
    assertMessage(await change(wrong, token), 401, 'Invalid password');
    assert.is((await refresh(url, phone)).status, 200);

    assertMessage(await change(CHANGE, token), 200, 'Password changed');
    assert.is((await refresh(url, mine)).status, 200);
    assertEnded(await refresh(url, phone));
    const login = await call(url, 'POST /login', { json: CREDENTIALS });
    assertMessage(login, 401, 'Invalid email or password');
    const json = { ...CREDENTIALS, password: CHANGE.password };
    assert.is((await call(url, 'POST /login', { json })).status, 200);
  });

  it('deletes the account, and then says the documented 404', async ({ url }) => {
    const { access_token: token, refresh_token } = await registered(url);
    const remove = (json: object) => call(url, 'DELETE /account', { json, token });
    assertMessage(await remove({}), 400, 'Missing required fields');
    assertMessage(await remove({ password: 'wrong password' }), 401, 'Invalid password');
    assertMessage(await call(url, 'DELETE /account'), 401, 'Token is missing!');
    assertNoContent(await remove({ password: ADA.password }));
    assertMessage(await call(url, 'GET /protected', { token }), 404, 'User not found');
    assertMessage(await refresh(url, { refresh_token }), 404, 'User not found');
    assertReply(await call(url, 'GET /users'), 200, []);
    await registered(url);
    assertMessage(await call(url, 'GET /protected', { token }), 404, 'User not found');
  });

  it('finds a user in the list by address, in any spelling', async ({ url }) => {
    await registered(url);
    await registered(url, { email: 'eve@example.com' });
    await registered(url, { email: 'a?b@example.com' });
    const emails = async (query: string) =>
      ((await call(url, `GET /users?${query}`)).json as { email: string }[]).map(
        ({ email }) => email,
      );
    assert.equal(await emails('email=ADA@example.com'), ['ada@example.com']);
    assert.equal(await emails('email=%20eve%40example.com&limit=1'), ['eve@example.com']);
    assert.equal(await emails('email=a?b@example.com'), ['a?b@example.com']);
    assert.equal(await emails('email=nobody@example.com'), []);
    for (const email of ['', 'ada', '%25', 'ada@example.com,eve@example.com']) {
      const answer = await call(url, `GET /users?email=${email}`);
      assertMessage(answer, 400, 'Invalid email address');
    }
  });

  const rotating = { env: { REFRESH_ROTATION: 'on' } };
  it(
    'rotates: a successor with each reply, and one for fifty at once',
    async ({ url }) => {
      const { refresh_token } = await registered(url);
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => refresh(url, { refresh_token })),
      );
      const successors = new Set<string>();
      for (const answer of answers) {
        const { access_token, refresh_token: successor } = answer.json as Tokens;
        assertReply(answer, 200, { access_token, refresh_token: successor });
        successors.add(successor);
      }
      assert.is(successors.size, 1);
      const [successor = ''] = successors;
      const third = (await refresh(url, { refresh_token: successor })).json as Tokens;
      assertEnded(await refresh(url, { refresh_token }));
      assertEnded(await refresh(url, third));
    },
    rotating,
  );

  http.run();
}

const processes = suite('Two processes');

for (const store of ['SQLite', 'MariaDB'] as const) {
  const title = `on one ${store} agree at once about every revocation and rotation`;
  const test = () =>
    withDatabaseUrl(store, async (databaseUrl) => {
      const env = { ...TEST_ENV, DATABASE_URL: databaseUrl, REFRESH_ROTATION: 'on' };
      const [{ url: one, end: endOne }, { url: other, end: endOther }] = await Promise.all([
        startProgram(env),
        startProgram(env),
      ]);
      const first = await registered(one);
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, i) => refresh(i % 2 ? one : other, first)),
      );
      const successors = answers.map(({ json }) => (json as Tokens).refresh_token);
      assert.is(new Set(successors).size, 1);
      assert.type(successors[0], 'string');

      for (let round = 0; round < 5; round += 1) {
        const [mine, phone, tablet] = [
          await signedIn(one),
          await signedIn(other),
          await signedIn(one),
        ];
        const json = { refresh_token: phone.refresh_token };
        assertNoContent(await call(one, 'POST /logout', { json }));
        assertEnded(await refresh(other, phone));
        const token = mine.access_token;
        assertNoContent(await call(other, 'POST /logout-all', { token }));
        assertEnded(await refresh(one, tablet));
        assertEnded(await refresh(one, mine));
      }
      const [mine, phone] = [await signedIn(one), await signedIn(other)];
      const change = await call(one, 'POST /password', { json: CHANGE, token: mine.access_token });
      assert.is(change.status, 200);
      assertEnded(await refresh(other, phone));
      const old = await call(other, 'POST /login', { json: CREDENTIALS });
      assertMessage(old, 401, 'Invalid email or password');
      const password = { password: CHANGE.password };
      const sent = { json: password, token: mine.access_token };
      assertNoContent(await call(other, 'DELETE /account', sent));
      const hello = await call(one, 'GET /protected', { token: mine.access_token });
      assertMessage(hello, 404, 'User not found');
      await Promise.all([endOne('SIGTERM'), endOther('SIGTERM')]);
    });
  if (isAvailable(store)) processes(title, test);
  else processes.skip(title, test);
}

processes('remove sessions that have expired, both at once', () =>
  withDatabaseUrl('SQLite', async (databaseUrl) => {
    const env = { ...TEST_ENV, DATABASE_URL: databaseUrl };
    const before = await startProgram(env);
    const { refresh_token } = await registered(before.url);
    await before.end('SIGTERM');
    const knex = openUrl(databaseUrl);
    if (knex === undefined) throw new Error('no pool');
    try {
      const [{ user_id }] = (await knex('sessions').select('user_id')) as [{ user_id: number }];
      const past = {
        date_created: '2020-01-01T00:00:00.000Z',
        expires: '2020-02-01T00:00:00.000Z',
      };
      const rows = Array.from({ length: 2_500 }, (_, i) => ({ id: `old-${i}`, user_id, ...past }));
      for (let i = 0; i < rows.length; i += 100) {
        await knex('sessions').insert(rows.slice(i, i + 100));
      }
      const both = await Promise.all([startProgram(env), startProgram(env)]);
      let left: unknown[] = rows;
      for (let tries = 0; tries < 100 && left.length > 1; tries += 1) {
        await sleep(50);
        left = await knex('sessions').select('id');
      }
      assert.is(left.length, 1);
      assert.is((await refresh(both[0].url, { refresh_token })).status, 200);
      await Promise.all(both.map(({ end }) => end('SIGTERM')));
    } finally {
      await knex.destroy();
    }
  }),
);

processes.run();
