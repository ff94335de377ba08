import { suite } from 'uvu';
import { rejectsWith } from '../support/expect.ts';
import { CREDENTIALS, EVE, withAda } from '../support/fakes.ts';

const end = suite('EndSession');

end('ends a session of the own, at once, and no other', async () => {
  const { auth, ada } = await withAda();
  const phone = await auth.login(CREDENTIALS);
  const { sessionId } = await auth.authorize(phone);
  await auth.endSession({ ...ada, sessionId });
  await rejectsWith(auth.refreshToken(phone), 'invalid_refresh_token');
  await auth.refreshToken(ada);
  await rejectsWith(auth.endSession({ ...ada, sessionId }), 'session_not_found');
});

end("finds no session of another's, nor one that never was", async () => {
  const { auth, ada } = await withAda();
  const eve = await auth.registerUser(EVE);
  const { sessionId: evesId } = await auth.authorize(eve);
  for (const sessionId of [evesId, 'nothing', '', undefined as never, {} as never]) {
    await rejectsWith(auth.endSession({ ...ada, sessionId }), 'session_not_found');
  }
  await auth.refreshToken(eve);
});

end.run();
