import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAuth } from '../../src/application/index.ts';
import { rejectsWith } from '../support/expect.ts';
import {
  ADA,
  CHANGE,
  CREDENTIALS,
  withAda,
  withMethods,
  withOvertakenAda,
} from '../support/fakes.ts';

const account = suite('DeleteAccount');

account('erases the user, whose tokens then say so, and frees the address', async () => {
  const { auth, ada } = await withAda();
  const phone = await auth.login(CREDENTIALS);
  await auth.deleteAccount({ ...ada, password: ADA.password });
  for (const tokens of [ada, phone]) {
    await rejectsWith(auth.authorize(tokens), 'user_not_found');
    await rejectsWith(auth.refreshToken(tokens), 'user_not_found');
  }
  await rejectsWith(auth.login(CREDENTIALS), 'invalid_credentials');
  await rejectsWith(auth.deleteAccount({ ...ada, password: ADA.password }), 'user_not_found');
  const again = await auth.registerUser(ADA);
  assert.is.not(again.user.id, ada.user.id);
  await rejectsWith(auth.authorize(ada), 'user_not_found');
});

account('stays when its password is changed while it is being proved', async () => {
  const { auth, ada, late } = await withOvertakenAda();
  await rejectsWith(late.deleteAccount({ ...ada, password: ADA.password }), 'wrong_password');
  await auth.login({ ...CREDENTIALS, password: CHANGE.password });
});

account('wants the password, and spends one hash to say so', async () => {
  const { auth, ports, ada } = await withAda();
  await rejectsWith(auth.deleteAccount({ ...ada, password: 'wrong' }), 'wrong_password');
  assert.is(ports.hasher.verified, 1);
  for (const missing of ['', undefined, 7, null, {}]) {
    const given = { ...ada, password: missing as string };
    await rejectsWith(auth.deleteAccount(given), 'missing_fields');
  }
  await auth.authorize(ada);
});

account('is refused where another has registered the address meanwhile', async () => {
  const { ports, auth, ada } = await withAda();
  const users = withMethods(ports.users, {
    async findByEmail(email) {
      if (await ports.users.delete(ada.user.id)) {
        await auth.registerUser({ ...ADA, username: 'Eve' });
        ports.hasher.verified = 0;
      }
      return ports.users.findByEmail(email);
    },
  });
  const late = createAuth({ ...ports, users });
  await rejectsWith(late.deleteAccount({ ...ada, password: 'wrong' }), 'user_not_found');
  assert.is(ports.hasher.verified, 0, 'no other account is checked');
  await auth.login(CREDENTIALS);
});

account.run();
