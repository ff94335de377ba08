import {
  asSetUp,
  CREATED,
  CREDENTIALS,
  type Exchange,
  type ExpectedAnswer,
  get,
  type Json,
  LISTED_PASSWORDS,
  messageReply,
  post,
  register,
  registerWith,
  type UnsourcedCase,
  USER,
} from './contract.ts';

const NO_CONTENT: ExpectedAnswer = { status: 204 };
const BEARER = { authorization: 'Bearer {{access_token}}' };
const MISSING_TOKEN = messageReply(401, 'Token is missing!');
const INVALID_TOKEN = messageReply(401, 'Token is invalid or expired!');

const INSUFFICIENT_ROLE = messageReply(403, 'Insufficient role', {
  'www-authenticate': 'Bearer error="insufficient_scope"',
});

/** A request with the access token of the registered user. */
function authorized(method: string, path: string, answer: ExpectedAnswer, json?: Json): Exchange {
  return { method, path, headers: BEARER, answer, ...(json !== undefined && { json }) };
}

/** The decisions of Portcullis about lists of users, sessions and accounts. */
export const decidedAccountCases: readonly UnsourcedCase[] = [
  {
    name: 'GET /users shows no password',
    usersAccess: 'public',
    steps: [
      register,
      get('/users?email={{email}}', {
        status: 200,
        body: [{ ...USER, password: '[REDACTED]', confirm_password: '[REDACTED]' }],
      }),
    ],
  },
  {
    name: 'HEAD /users is answered as GET is, without the body',
    usersAccess: 'public',
    steps: [
      register,
      get('/users?email={{email}}', { status: 200, body: [{ ...USER, ...LISTED_PASSWORDS }] }),
      { method: 'HEAD', path: '/users?email={{email}}', answer: { status: 200 }, asBefore: true },
    ],
  },
  {
    name: 'GET /users lists a part, and says where the rest is',
    usersAccess: 'public',
    steps: [
      register,
      asSetUp(registerWith({ email: '{{email2}}' }, CREATED)),
      get('/users?limit=1', {
        status: 200,
        body: [{ ...USER, username: '{{string}}', email: '{{string}}', ...LISTED_PASSWORDS }],
        headers: { link: '<{{base}}/users?limit=1&after={{digits}}>; rel="next"' },
      }),
      ...['0', 'x', '', '-1', '1.5', '10001'].map((limit) =>
        get(`/users?limit=${limit}`, messageReply(400, 'Limit must be between 1 and 10000')),
      ),
      get('/users?after=x', messageReply(400, 'Invalid after')),
    ],
  },
  {
    name: 'GET /users needs a token where it is for users',
    usersAccess: 'authenticated',
    steps: [
      register,
      get('/users', MISSING_TOKEN),
      get('/users', INVALID_TOKEN, 'Bearer {{refresh_token}}'),
      get(
        '/users?email={{email}}',
        { status: 200, body: [{ ...USER, ...LISTED_PASSWORDS }] },
        'Bearer {{access_token}}',
      ),
    ],
  },
  {
    name: 'GET /users needs an administrator where it is for them',
    usersAccess: 'admin',
    steps: [
      register,
      get('/users', MISSING_TOKEN),
      get('/users', INVALID_TOKEN, 'Bearer {{refresh_token}}'),
      get('/users', INSUFFICIENT_ROLE, 'Bearer {{access_token}}'),
    ],
  },
  {
    name: 'GET /users is not there where it is for nobody',
    usersAccess: 'disabled',
    steps: [register, get('/users', messageReply(404, 'Not found'), 'Bearer {{access_token}}')],
  },
  {
    name: 'A logout ends the session, and can be said twice',
    steps: [
      register,
      post('/logout', { refresh_token: '{{refresh_token}}' }, NO_CONTENT),
      post('/logout', { refresh_token: '{{refresh_token}}' }, NO_CONTENT),
      post(
        '/refresh',
        { refresh_token: '{{refresh_token}}' },
        messageReply(401, 'Invalid or expired refresh token'),
      ),
    ],
  },
  {
    name: 'A user sees and ends their sessions',
    steps: [
      register,
      authorized('GET', '/account', {
        status: 200,
        body: { user: { ...USER, role: 'user' }, session_id: '{{string}}' },
      }),
      authorized('GET', '/sessions', {
        status: 200,
        body: [
          {
            id: '{{string}}',
            device: '{{string}}',
            date_created: '{{date}}',
            last_used: '{{date}}',
            expires: '{{date}}',
            current: true,
          },
        ],
      }),
      authorized('DELETE', '/sessions/nothing', messageReply(404, 'Session not found')),
      authorized('POST', '/logout-all', NO_CONTENT),
      authorized('GET', '/sessions', { status: 200, body: [] }),
    ],
  },
  {
    name: 'A user changes their password, and leaves',
    steps: [
      register,
      authorized('POST', '/password', messageReply(401, 'Invalid password'), {
        current_password: 'wrong {{password}}',
        password: 'new {{password}}',
        confirm_password: 'new {{password}}',
      }),
      authorized('POST', '/password', messageReply(200, 'Password changed'), {
        current_password: '{{password}}',
        password: 'new {{password}}',
        confirm_password: 'new {{password}}',
      }),
      post('/login', CREDENTIALS, messageReply(401, 'Invalid email or password')),
      authorized('DELETE', '/account', NO_CONTENT, { password: 'new {{password}}' }),
      get('/protected', messageReply(404, 'User not found'), 'Bearer {{access_token}}'),
    ],
  },
];
