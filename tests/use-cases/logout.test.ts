import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { rejectsWith } from '../support/expect.ts';
import { CREDENTIALS, EVE, withAda } from '../support/fakes.ts';

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

logout('ends the session of a token that has been replaced', async () => {
  const { auth, ada } = await withAda({ refreshRotation: true });
  const { refreshToken = '' } = await auth.refreshToken(ada);
  await auth.logout(ada);
  await rejectsWith(auth.refreshToken({ refreshToken }), 'invalid_refresh_token');
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

logout.run();
