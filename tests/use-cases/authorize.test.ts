import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { rejectsWith } from '../support/expect.ts';
import { ACCESS_TOKEN_TTL, withAda } from '../support/fakes.ts';

const authorize = suite('Authorize');

authorize('tells the user and the session of an access token', async () => {
  const { auth, ports, ada } = await withAda();
  const { user, sessionId } = await auth.authorize(ada);
  assert.equal(user, { ...ada.user, role: 'user', disabled: false });
  assert.is((await ports.sessions.find(sessionId))?.userId, user.id);
});

authorize('ends with the token, to the second', async () => {
  const { auth, ports, ada } = await withAda();
  ports.clock.advance(ACCESS_TOKEN_TTL - 1);
  await auth.authorize(ada);
  ports.clock.advance(1);
  await rejectsWith(auth.authorize(ada), 'invalid_access_token');
});

authorize('refuses what is missing', async () => {
  const { auth } = await withAda();
  for (const value of ['', undefined, null, 7, {}, ['x']]) {
    await rejectsWith(auth.authorize({ accessToken: value as string }), 'missing_access_token');
  }
});

authorize('refuses a refresh token, and anything else', async () => {
  const { auth, ada } = await withAda();
  for (const accessToken of [ada.refreshToken, ' ', 'nonsense', `${ada.accessToken}x`]) {
    await rejectsWith(auth.authorize({ accessToken }), 'invalid_access_token');
  }
});

authorize('says that a user is not there', async () => {
  const { auth, ports } = await withAda();
  const claims = { userId: 999, sessionId: 'session', tokenId: 'token' };
  const accessToken = await ports.tokens.issueAccessToken(claims, ports.clock.now());
  await rejectsWith(auth.authorize({ accessToken }), 'user_not_found');
});

authorize.run();
