import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Auth, createAuth } from '../../src/application/index.ts';
import { rejectsWith } from '../support/expect.ts';
import {
  ACCESS_TOKEN_TTL,
  CREDENTIALS,
  EVE,
  REFRESH_TOKEN_TTL,
  withAda,
  withMethods,
} from '../support/fakes.ts';

const refresh = suite('RefreshToken');

refresh('gives a new access token of the same session, again and again', async () => {
  const { auth, ports, ada } = await withAda();
  const identity = await auth.authorize(ada);
  ports.clock.advance(ACCESS_TOKEN_TTL);
  await rejectsWith(auth.authorize(ada), 'invalid_access_token');
  for (let i = 0; i < 3; i += 1) {
    const refreshed = await auth.refreshToken(ada);
    assert.equal(Object.keys(refreshed), ['accessToken']);
    assert.equal(await auth.authorize(refreshed), identity);
  }
});

refresh('works until its session expires, to the second', async () => {
  const { auth, ports, ada } = await withAda();
  ports.clock.advance(REFRESH_TOKEN_TTL - 1);
  await auth.refreshToken(ada);
  ports.clock.advance(1);
  await rejectsWith(auth.refreshToken(ada), 'invalid_refresh_token');
});

refresh('heeds the expiry of the session, even where the token would last longer', async () => {
  const { auth, ports, ada } = await withAda();
  const { sessionId } = await auth.authorize(ada);
  const find = ports.sessions.find.bind(ports.sessions);
  const at = async (expires: Date) => {
    const session = await find(sessionId);
    const found = async () => session && { ...session, expires };
    return createAuth({ ...ports, sessions: withMethods(ports.sessions, { find: found }) });
  };
  const now = ports.clock.now();
  await rejectsWith((await at(now)).refreshToken(ada), 'invalid_refresh_token');
  await (await at(new Date(now.getTime() + 1))).refreshToken(ada);
});

refresh('refuses what is missing', async () => {
  const { auth } = await withAda();
  for (const value of ['', undefined, null, 7, {}, ['x']]) {
    const refreshToken = value as string;
    await rejectsWith(auth.refreshToken({ refreshToken }), 'missing_refresh_token');
  }
});

refresh('refuses an access token, and anything else', async () => {
  const { auth, ada } = await withAda();
  for (const refreshToken of [ada.accessToken, ' ', 'nonsense', `${ada.refreshToken} `]) {
    await rejectsWith(auth.refreshToken({ refreshToken }), 'invalid_refresh_token');
  }
});

refresh("refuses a token whose session is gone, or is another user's", async () => {
  const { auth, ports, ada } = await withAda();
  const eve = await auth.registerUser(EVE);
  const now = ports.clock.now();
  const expires = new Date(now.getTime() + 60_000);
  const { sessionId } = await auth.authorize(eve);
  for (const id of ['gone', sessionId]) {
    // The very token that is good for the session: only whose it is is wrong.
    const tokenId = (await ports.sessions.find(id))?.tokenId ?? 'token';
    const claims = { userId: ada.user.id, sessionId: id, tokenId };
    const refreshToken = await ports.tokens.issueRefreshToken(claims, now, expires);
    await rejectsWith(auth.refreshToken({ refreshToken }), 'invalid_refresh_token');
  }
});

refresh('says that the user is gone before it says that the session is', async () => {
  const { auth, ports } = await withAda();
  const now = ports.clock.now();
  const claims = { userId: 999, sessionId: 'gone', tokenId: 'token' };
  const expires = new Date(now.getTime() + 60_000);
  const refreshToken = await ports.tokens.issueRefreshToken(claims, now, expires);
  await rejectsWith(auth.refreshToken({ refreshToken }), 'user_not_found');
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

rotation('leaves replaced tokens replaced when it is turned off', async () => {
  const { auth, ports, ada } = await withAda(ROTATING);
  const refreshToken = await rotate(auth, ada.refreshToken);
  const still = createAuth(ports);
  await rejectsWith(still.refreshToken(ada), 'invalid_refresh_token');
  assert.equal(Object.keys(await still.refreshToken({ refreshToken })), ['accessToken']);
});

refresh.run();
rotation.run();
