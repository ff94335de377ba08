import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Auth, createAuth } from '../../src/application/index.ts';
import { rejectsWith } from '../support/expect.ts';
import { ADA, CREDENTIALS, EVE, fakePorts, REFRESH_TOKEN_TTL, withAda } from '../support/fakes.ts';

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

list.run();
