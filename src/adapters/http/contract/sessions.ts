import { endpoint } from './endpoint.ts';
import {
  closed,
  DATE,
  PLAIN_TEXT,
  REFRESH_TOKEN_FIELD,
  SESSION_EXAMPLE,
  SESSION_ID,
} from './schemas.ts';

const tag = {
  name: 'Sessions',
  description: 'One for each sign-in. Its refresh token is good for as long as it lasts.',
};

export const sessions = {
  'POST /logout': endpoint({
    id: 'logout',
    tag,
    summary: 'End the session of a refresh token',
    description: 'A token that has ended, or never was, is answered in the same way.',
    fields: { refresh_token: REFRESH_TOKEN_FIELD },
    refreshCookie: 'ended',
    success: { status: 204, description: 'The session has ended.' },
    refusals: ['missing_refresh_token'],
    async handle(auth, { fields }, { reply }) {
      await auth.logout({ refreshToken: fields.refresh_token });
      return reply.empty();
    },
  }),

  'POST /logout-all': endpoint({
    id: 'logoutAll',
    tag,
    summary: 'End every session of the user',
    description: 'Access tokens go on until they expire.',
    bearer: 'user',
    refreshCookie: 'ended',
    success: { status: 204, description: 'Every session of the user has ended.' },
    refusals: [],
    async handle(auth, { accessToken }, { reply }) {
      await auth.logoutAll({ accessToken });
      return reply.empty();
    },
  }),

  'GET /sessions': endpoint({
    id: 'listSessions',
    tag,
    summary: 'List the sessions of the user',
    description: 'Those that have neither ended nor expired.',
    bearer: 'user',
    success: {
      status: 200,
      description: 'The sessions.',
      body: {
        name: 'SessionList',
        schema: {
          type: 'array',
          items: closed({
            id: SESSION_ID,
            device: {
              type: ['string', 'null'],
              pattern: PLAIN_TEXT,
              maxLength: 255,
              description: 'What signed in, as it calls itself.',
            },
            date_created: DATE,
            last_used: { ...DATE, description: 'To the minute.' },
            expires: { ...DATE, description: 'Use does not extend it.' },
            current: { type: 'boolean', description: 'Whether it is that of the access token.' },
          }),
        },
        example: [
          {
            id: SESSION_EXAMPLE,
            device: 'curl/8.5.0',
            date_created: '2026-01-02T03:04:05.678Z',
            last_used: '2026-01-02T03:04:05.678Z',
            expires: '2026-02-01T03:04:05.678Z',
            current: true,
          },
        ],
      },
    },
    refusals: [],
    async handle(auth, { accessToken }, { reply }) {
      const list = await auth.listSessions({ accessToken });
      return reply.json(
        list.map(({ id, device, dateCreated, lastUsed, expires, current }) => ({
          id,
          device,
          date_created: dateCreated.toISOString(),
          last_used: lastUsed.toISOString(),
          expires: expires.toISOString(),
          current,
        })),
      );
    },
  }),

  'DELETE /sessions/{id}': endpoint({
    id: 'endSession',
    tag,
    summary: 'End one session of the user',
    description:
      "Its refresh token is good for nothing from then on. Another user's session is not found.",
    bearer: 'user',
    parameters: [
      {
        name: 'id',
        part: {
          name: 'id',
          in: 'path',
          required: true,
          description: 'Of the session, as GET /sessions has it.',
          schema: SESSION_ID,
          example: SESSION_EXAMPLE,
        },
      },
    ],
    success: { status: 204, description: 'The session has ended.' },
    refusals: ['session_not_found'],
    async handle(auth, { accessToken, params: { id: sessionId = '' } }, { reply }) {
      await auth.endSession({ accessToken, sessionId });
      return reply.empty();
    },
  }),
};
