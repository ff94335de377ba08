import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAuth } from '../../src/application/index.ts';
import { rejectsWith } from '../support/expect.ts';
import { ACCESS_TOKEN_TTL, REFRESH_TOKEN_TTL, withAda, withMethods } from '../support/fakes.ts';

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
  const eve = await auth.registerUser({
    username: 'Eve',
    email: 'eve@example.com',
    password: 'correct horse',
    confirmPassword: 'correct horse',
  });
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

refresh.run();
