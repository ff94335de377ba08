import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import { VerifiedTokens } from '../../src/adapters/jwt/verified-tokens.ts';
import { BatchLoader, batched } from '../../src/adapters/knex/batch-loader.ts';
import { fetchHandler } from '../../src/adapters/http/hosts/fetch.ts';
import { createAuth, type Email, type PageQuery } from '../../src/application/index.ts';
import { outcome } from '../support/expect.ts';
import { ACCESS_TOKEN_TTL, fakePorts, SECRET, withAda, withMethods } from '../support/fakes.ts';
import { ADA, call, registered, withService } from '../support/service.ts';
import { isAvailable, STORE_NAMES } from '../support/stores.ts';

// What is kept or shared to be fast must not change what anybody is answered.

for (const store of STORE_NAMES) {
  const fast = suite(`The fast path on ${store}`);
  const it = (title: string, use: () => Promise<void>) =>
    isAvailable(store) ? fast(title, use) : fast.skip(title, use);

  it('answers many at once each for their own', () =>
    withService(store, {}, async ({ url }) => {
      const names = Array.from({ length: 20 }, (_, i) => `User ${i}`);
      const tokens: string[] = [];
      for (const username of names) {
        const email = `${username.replace(' ', '')}@example.com`;
        tokens.push((await registered(url, { username, email })).access_token);
      }
      // More than one look-up takes in one query, and the same ones many times among them.
      const asked = Array.from({ length: 300 }, (_, i) => i % names.length);
      const answers = await Promise.all(
        asked.map((i) => call(url, 'GET /protected', { token: tokens[i] ?? '' })),
      );
      for (const [nth, i] of asked.entries()) {
        const message = `Hello, ${names[i]}. This is a protected route.`;
        assert.equal(answers[nth]?.json, { message });
      }
    }));

  it('sees a deletion in the very next request, also among many', () =>
    withService(store, {}, async ({ url }) => {
      for (let round = 0; round < 5; round += 1) {
        const kept = await registered(url, { email: `kept${round}@example.com` });
        const gone = await registered(url, { email: `gone${round}@example.com` });
        const ask = ({ access_token: token }: typeof kept) =>
          call(url, 'GET /protected', { token });
        let stop = false;
        // Look-ups are under way all the time, so that some begin just before the deletion is done.
        const crowd = Array.from({ length: 8 }, async () => {
          while (!stop) {
            assert.is((await ask(kept)).status, 200);
            await ask(gone);
          }
        });
        await turn();
        const deletion = { json: { password: ADA.password }, token: gone.access_token };
        assert.is((await call(url, 'DELETE /account', deletion)).status, 204);
        const after = Array.from({ length: 16 }, async () => (await ask(gone)).status);
        assert.equal(new Set(await Promise.all(after)), new Set([404]));
        const refresh = { json: { refresh_token: gone.refresh_token } };
        assert.is((await call(url, 'POST /refresh', refresh)).status, 404);
        stop = true;
        await Promise.all(crowd);
      }
    }));

  it('sees a change of the name, and the end of a session, in the very next request', () =>
    withService(store, {}, async ({ url, part }) => {
      const tokens = await registered(url);
      const ask = () => call(url, 'GET /protected', { token: tokens.access_token });
      assert.is((await ask()).status, 200);
      const refresh = { json: { refresh_token: tokens.refresh_token } };
      assert.is((await call(url, 'POST /refresh', refresh)).status, 200);
      await part('knex')?.('users').update({ username: 'Lovelace' });
      const name = store === 'memory' ? 'Ada' : 'Lovelace';
      assert.equal((await ask()).json, { message: `Hello, ${name}. This is a protected route.` });
      assert.is((await call(url, 'POST /logout', refresh)).status, 204);
      assert.is((await call(url, 'POST /refresh', refresh)).status, 401);
    }));

  fast.run();
}

const verified = suite('Verified tokens');

/** The code of a refusal, or that there was none. */
async function told(work: Promise<unknown>): Promise<string> {
  const found = await outcome(work);
  return typeof found === 'string' ? found : 'good';
}

verified('expire between two uses', async () => {
  const { ports, auth, ada } = await withAda();
  const { accessToken } = ada;
  const use = () => told(auth.authorize({ accessToken }));
  assert.is(await use(), 'good');
  ports.clock.advance(ACCESS_TOKEN_TTL - 1);
  assert.is(await use(), 'good');
  ports.clock.advance(1);
  assert.is(await use(), 'invalid_access_token');
  // And are not yet good where the clock has been set back before they were made.
  ports.clock.advance(-ACCESS_TOKEN_TTL - 6);
  assert.is(await use(), 'invalid_access_token');
  ports.clock.advance(1);
  assert.is(await use(), 'good');
});

verified('end with the keys that made them', async () => {
  const { ports, ada } = await withAda();
  const { accessToken, refreshToken } = ada;
  const authWith = (tokens: JwtIssuer) => createAuth({ ...ports, tokens });
  const other = 'another secret of more than 32 bytes, for all that follows';
  const rotated = authWith(new JwtIssuer({ key: other, previousKeys: [SECRET] }));
  const replaced = authWith(new JwtIssuer({ key: other }));
  for (let i = 0; i < 2; i += 1) {
    assert.is(await told(rotated.authorize({ accessToken })), 'good');
    assert.is(await told(rotated.refreshToken({ refreshToken })), 'good');
    assert.is(await told(replaced.authorize({ accessToken })), 'invalid_access_token');
    assert.is(await told(replaced.refreshToken({ refreshToken })), 'invalid_refresh_token');
  }
});

verified('are good for nothing that they are not', async () => {
  const { auth, ada } = await withAda();
  const { accessToken, refreshToken } = ada;
  for (let i = 0; i < 2; i += 1) {
    assert.is(await told(auth.authorize({ accessToken })), 'good');
    assert.is(await told(auth.refreshToken({ refreshToken })), 'good');
    const swapped = [
      auth.authorize({ accessToken: refreshToken }),
      auth.refreshToken({ refreshToken: accessToken }),
    ].map(told);
    assert.equal(await Promise.all(swapped), ['invalid_access_token', 'invalid_refresh_token']);
    for (let at = 0; at < accessToken.length; at += 7) {
      const other = accessToken[at] === 'A' ? 'B' : 'A';
      const forged = accessToken.slice(0, at) + other + accessToken.slice(at + 1);
      assert.is(await told(auth.authorize({ accessToken: forged })), 'invalid_access_token');
    }
  }
});

verified('are still good, and no others, when more have come than are kept', async () => {
  const { tokens: issuer, clock } = fakePorts();
  const now = clock.now();
  const claims = (n: number) => ({ userId: n, sessionId: `session-${n}`, tokenId: `token-${n}` });
  const first = await issuer.issueAccessToken(claims(1), now);
  assert.equal(await issuer.verifyAccessToken(first, now), claims(1));
  for (let n = 2; n < 10_000; n += 1) {
    const token = await issuer.issueAccessToken(claims(n), now);
    assert.equal(await issuer.verifyAccessToken(token, now), claims(n));
  }
  assert.equal(await issuer.verifyAccessToken(first, now), claims(1));
  assert.is(await issuer.verifyAccessToken(`${first.slice(0, -1)}A`, now), undefined);
});

verified('take no more room than they have letters, whatever they were cut from', async () => {
  const { tokens: issuer, clock } = fakePorts();
  const now = clock.now();
  const claims = { userId: 1, sessionId: 'session', tokenId: 'token' };
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = used();
  for (let n = 0; n < 2_000; n += 1) {
    const token = await issuer.issueAccessToken({ ...claims, tokenId: `token-${n}` }, now);
    const header = `Bearer ${' '.repeat(15_000)}${token}`;
    assert.ok(await issuer.verifyAccessToken(header.slice(-token.length), now));
  }
  const each = (used() - before) / 2_000;
  assert.ok(each < 3_000, `${each} bytes each`);
  assert.ok(issuer); // Not collected before.
});

verified(
  'of one kind are never found among those of the other, though all else be alike',
  async () => {
    const issuer = new JwtIssuer({ key: SECRET, accessTokenTtl: 60, refreshTokenTtl: 60 });
    const now = new Date();
    const claims = { userId: 1, sessionId: 'session', tokenId: 'token' };
    const access = await issuer.issueAccessToken(claims, now);
    const refresh = await issuer.issueRefreshToken(claims, now, new Date(now.getTime() + 60_000));
    for (let i = 0; i < 2; i += 1) {
      assert.equal(await issuer.verifyAccessToken(access, now), claims);
      assert.equal(await issuer.verifyRefreshToken(refresh, now), claims);
      assert.is(await issuer.verifyAccessToken(refresh, now), undefined);
      assert.is(await issuer.verifyRefreshToken(access, now), undefined);
      assert.is(await issuer.identifyRefreshToken(access), undefined);
    }
  },
);

verified('are kept up to a number, the last used the longest', () => {
  const kept = new VerifiedTokens();
  const about = { claims: { userId: 1, sessionId: 's', tokenId: 't' }, iat: 0, exp: 1 };
  kept.add('used', about);
  kept.add('forgotten', about);
  for (let i = 0; i < 20_000; i += 1) {
    kept.add(`token ${i}`, about);
    if (i % 1000 === 0) assert.is(kept.get('used'), about);
  }
  assert.is(kept.get('forgotten'), undefined);
  assert.is(kept.get('token 0'), undefined);
  assert.is(kept.get('token 19999'), about);
});

verified.run();

const lists = suite('A list of users');

lists('has the dates and names that JSON.stringify would write', async () => {
  const { ports } = await withAda();
  const DAY = 86_400_000;
  const times = [
    0,
    -1,
    1,
    DAY - 1,
    DAY,
    DAY + 1,
    -DAY,
    -DAY - 1,
    8.64e15,
    -8.64e15,
    253_402_300_800_000,
  ];
  times.push(Date.parse('2024-02-29T23:59:59.999Z'), Date.parse('0000-01-01T00:00:00.000Z'));
  for (let i = 0; i < 2_000; i += 1) times.push(Math.floor(Math.random() * 4e12) - 1e12);
  const names = [
    'Ada',
    'a "quoted" \\ name',
    'ä',
    '😀',
    '\u2028',
    '</script>',
    "O'Hara",
    ' ',
    'x_@.+-',
  ];
  const users = times.map((time, i) => ({
    id: i + 1,
    username: names[i % names.length] ?? '',
    email: `${names[i % names.length]}@example.com` as Email,
    dateCreated: new Date(time),
    role: 'user' as const,
    disabled: false,
  }));
  const page = async ({ after, limit }: PageQuery) => users.slice(after, after + limit);
  const auth = createAuth({ ...ports, users: withMethods(ports.users, { page }) });
  const reply = await fetchHandler(auth)(new Request('http://x/users'));
  const REDACTED = '[REDACTED]';
  const expected = users.map(({ id, username, email, dateCreated }) => {
    const passwords = { password: REDACTED, confirm_password: REDACTED };
    return { id, username, email, ...passwords, date_created: dateCreated.toISOString() };
  });
  assert.is(await reply.text(), JSON.stringify(expected));
});

lists.run();

const lookUps = suite('Look-ups');

interface Row {
  readonly id: number;
  readonly at: number;
}

/** Look-ups in a table that is under the test's control: what is asked, and when it is answered. */
function underControl() {
  const queries: {
    keys: readonly number[];
    answer: (rows: readonly Row[]) => void;
    fail: (fault: Error) => void;
  }[] = [];
  const client = {
    driverName: 'better-sqlite3',
    acquireConnection: async () => ({}),
    releaseConnection: async () => {},
    emit: () => {},
    query: (_: object, { bindings }: { readonly bindings: readonly (string | number | null)[] }) =>
      new Promise<{ readonly response: readonly Row[] }>((resolve, reject) => {
        const answer = (response: readonly Row[]) => resolve({ response });
        queries.push({ keys: bindings.map(Number), answer, fail: reject });
      }),
  } as const;
  const found = new BatchLoader<number, Row>(
    { client },
    'SELECT id FROM t WHERE id',
    ({ id }) => id,
  );
  return { found, queries };
}

const soon = () => sleep(5);

lookUps('that are asked for in one turn share a query, each key in it once', async () => {
  const { found, queries } = underControl();
  const asked = [3, 1, 3, 2, 5].map((id) => found.find(id));
  await soon();
  assert.is(queries.length, 1);
  // Filled up to a power of two with the last of them.
  assert.equal(queries[0]?.keys, [3, 1, 2, 5]);
  queries[0]?.answer([
    { id: 1, at: 1 },
    { id: 3, at: 3 },
  ]);
  const rows = await Promise.all(asked);
  assert.equal(
    rows.map((row) => row?.id),
    [3, 1, 3, undefined, undefined],
  );
  void found.find(1);
  void found.find(2);
  void found.find(3);
  await soon();
  assert.equal(queries[1]?.keys, [1, 2, 3, 3]);
});

lookUps(
  'never join a query that has begun: it may have been answered before they asked',
  async () => {
    const { found, queries } = underControl();
    const before = found.find(1);
    await soon();
    const after = found.find(1);
    await soon();
    assert.is(queries.length, 2);
    queries[1]?.answer([]);
    queries[0]?.answer([{ id: 1, at: 0 }]);
    assert.equal(await before, { id: 1, at: 0 });
    assert.is(await after, undefined);
  },
);

lookUps('are not held up by a query that hangs, and wait where several do', async () => {
  const { found, queries } = underControl();
  for (let id = 1; id <= 6; id += 1) {
    void found.find(id);
    await soon();
  }
  assert.equal(
    queries.map(({ keys }) => keys),
    [[1], [2], [3], [4]],
  );
  queries[2]?.answer([]);
  await soon();
  assert.equal(queries[4]?.keys, [5, 6]);
});

lookUps('all fail with their query, and the next ones go on', async () => {
  const { found, queries } = underControl();
  const failed = [1, 2].map((id) => outcome(found.find(id)));
  await soon();
  queries[0]?.fail(new Error('no database'));
  assert.equal(await Promise.all(failed), ['fault', 'fault']);
  const next = found.find(1);
  await soon();
  queries[1]?.answer([{ id: 1, at: 1 }]);
  assert.is((await next)?.id, 1);
});

lookUps('are at most 128 in a query', async () => {
  const { found, queries } = underControl();
  const asked = Array.from({ length: 300 }, (_, id) => found.find(id));
  for (let i = 0; i < 3; i += 1) {
    await soon();
    const keys = queries[i]?.keys ?? [];
    queries[i]?.answer(keys.map((id) => ({ id, at: i })));
  }
  const rows = await Promise.all(asked);
  assert.equal(
    rows.map((row) => row?.id),
    Array.from({ length: 300 }, (_, id) => id),
  );
  assert.equal(
    queries.map(({ keys }) => keys.length),
    [128, 128, 64],
  );
});

lookUps('fail together where their call does not give a result for each', async () => {
  const run = batched(async (items: readonly number[]) => items.slice(1));
  assert.equal(await Promise.all([run(1), run(2)].map((each) => outcome(each))), [
    'fault',
    'fault',
  ]);
});

lookUps.run();
