import { endpoint } from './endpoint.ts';
import { HASHING_ERRORS, NEW_PASSWORD_ERRORS } from './messages.ts';
import {
  CONFIRM_PASSWORD_FIELD,
  CURRENT_PASSWORD_FIELD,
  PASSWORD_FIELD,
  SESSION_EXAMPLE,
  SESSION_ID,
} from './schemas.ts';
import { OWN_USER, OWN_USER_EXAMPLE, shownOwnUser } from './shown-user.ts';

const tag = { name: 'Account', description: 'What belongs to the user of the access token.' };

export const account = {
  'POST /password': endpoint({
    id: 'changePassword',
    tag,
    summary: 'Change the password',
    description: 'Every other session of the user ends.',
    bearer: 'user',
    fields: {
      current_password: CURRENT_PASSWORD_FIELD,
      password: PASSWORD_FIELD,
      confirm_password: CONFIRM_PASSWORD_FIELD,
    },
    success: {
      status: 200,
      description: 'It is changed.',
      message: 'Password changed',
      body: { name: 'PasswordChanged', members: {}, example: {} },
    },
    refusals: ['missing_fields', ...NEW_PASSWORD_ERRORS, 'wrong_password', ...HASHING_ERRORS],
    async handle(auth, { accessToken, address, fields }, { reply }) {
      const {
        current_password: currentPassword,
        password,
        confirm_password: confirmPassword,
      } = fields;
      const change = { currentPassword, password, confirmPassword };
      await auth.changePassword({ accessToken, ...change, address });
      return reply.json({});
    },
  }),

  'GET /account': endpoint({
    id: 'getAccount',
    tag,
    summary: 'Show whose access token it is',
    description: 'Whoever the token names, as the user stands now.',
    bearer: 'user',
    success: {
      status: 200,
      description: 'The user, and the session.',
      body: {
        name: 'Identity',
        members: { user: OWN_USER, session_id: SESSION_ID },
        example: { user: OWN_USER_EXAMPLE, session_id: SESSION_EXAMPLE },
      },
    },
    refusals: [],
    async handle(auth, { accessToken }, { reply }) {
      const { user, sessionId } = await auth.authorize({ accessToken });
      return reply.json({ user: shownOwnUser(user), session_id: sessionId });
    },
  }),

  'DELETE /account': endpoint({
    id: 'deleteAccount',
    tag,
    summary: 'Delete the user',
    description: 'Tokens of a deleted user are good for nothing.',
    bearer: 'user',
    fields: { password: PASSWORD_FIELD },
    refreshCookie: 'ended',
    success: { status: 204, description: 'The user and their sessions are gone.' },
    refusals: ['missing_fields', 'wrong_password', ...HASHING_ERRORS],
    async handle(auth, { accessToken, address, fields }, { reply }) {
      await auth.deleteAccount({ accessToken, password: fields.password, address });
      return reply.empty();
    },
  }),
};
