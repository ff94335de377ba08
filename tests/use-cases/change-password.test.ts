import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { rejectsWith } from '../support/expect.ts';
import { CHANGE, CREDENTIALS, withAda, withOvertakenAda } from '../support/fakes.ts';

const password = suite('ChangePassword');

password('changes it, keeps this session and ends every other', async () => {
  const { auth, ada } = await withAda();
  const phone = await auth.login(CREDENTIALS);
  await auth.changePassword({ ...phone, ...CHANGE });
  await auth.refreshToken(phone);
  await rejectsWith(auth.refreshToken(ada), 'invalid_refresh_token');
  await rejectsWith(auth.login(CREDENTIALS), 'invalid_credentials');
  await auth.login({ ...CREDENTIALS, password: CHANGE.password });
});

password('wants the current one, and changes nothing without', async () => {
  const { auth, ports, ada } = await withAda();
  for (const currentPassword of ['wrong password', 'x', ' ', 'x'.repeat(2000), '\ud800', '\0']) {
    const spent = ports.hasher.verified;
    await rejectsWith(
      auth.changePassword({ ...ada, ...CHANGE, currentPassword }),
      'wrong_password',
    );
    assert.is(ports.hasher.verified, spent + 1);
  }
  await auth.login(CREDENTIALS);
});

password('holds the new one to the rules of a registration, in their order', async () => {
  const { auth, ada } = await withAda();
  const refused = (fields: Partial<typeof CHANGE>) =>
    auth.changePassword({ ...ada, ...CHANGE, currentPassword: 'wrong', ...fields });
  for (const field of ['currentPassword', 'password', 'confirmPassword'] as const) {
    for (const value of ['', undefined, 7, null, {}]) {
      await rejectsWith(refused({ [field]: value }), 'missing_fields');
    }
  }
  await rejectsWith(refused({ confirmPassword: 'other' }), 'passwords_differ');
  await rejectsWith(refused({ password: 'x', confirmPassword: 'x' }), 'password_too_short');
  const { accessToken } = { accessToken: '' };
  await rejectsWith(auth.changePassword({ ...CHANGE, accessToken }), 'missing_access_token');
});

password('lets one of two concurrent changes through', async () => {
  const { auth, ada } = await withAda();
  const change = (next: string) =>
    auth.changePassword({ ...ada, ...CHANGE, password: next, confirmPassword: next }).then(
      () => next,
      () => undefined,
    );
  const done = await Promise.all([change('password one'), change('password two')]);
  const [winner, ...others] = done.filter((each) => each !== undefined);
  assert.equal(others, []);
  await auth.login({ ...CREDENTIALS, password: winner ?? '' });
});

password('stops a sign-in with the old one that is under way', async () => {
  const { auth, ada, late } = await withOvertakenAda();
  await rejectsWith(late.login(CREDENTIALS), 'invalid_credentials');
  assert.is((await auth.listSessions(ada)).length, 1);
});

password.run();
