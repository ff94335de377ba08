import {
  CREATED,
  CREDENTIALS,
  type Exchange,
  type ExpectedAnswer,
  get,
  type Json,
  LISTED,
  post,
  register,
  registering,
  say,
  settingUp,
  type UnsourcedCase,
  USER,
} from './contract.ts';

const NOTHING: ExpectedAnswer = { status: 204 };
const bearer = { authorization: 'Bearer {{access_token}}' };
const MISSING_TOKEN = say(401, 'Token is missing!');
const INVALID_TOKEN = say(401, 'Token is invalid or expired!');

const INSUFFICIENT_ROLE = say(403, 'Insufficient role', {
  'www-authenticate': 'Bearer error="insufficient_scope"',
});

function signedIn(method: string, path: string, answer: ExpectedAnswer, json?: Json): Exchange {
  return { method, path, headers: bearer, answer, ...(json !== undefined && { json }) };
}

/** What Portcullis has decided on lists of users, sessions and accounts. */
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
      get('/users?email={{email}}', { status: 200, body: [{ ...USER, ...LISTED }] }),
      { method: 'HEAD', path: '/users?email={{email}}', answer: { status: 200 }, asBefore: true },
    ],
  },
  {
    name: 'GET /users lists a part, and says where the rest is',
    usersAccess: 'public',
    steps: [
      register,
      settingUp(registering({ email: '{{email2}}' }, CREATED)),
      get('/users?limit=1', {
        status: 200,
        body: [{ ...USER, username: '{{string}}', email: '{{string}}', ...LISTED }],
        headers: { link: '<{{base}}/users?limit=1&after={{digits}}>; rel="next"' },
      }),
      ...['0', 'x', '', '-1', '1.5', '10001'].map((limit) =>
        get(`/users?limit=${limit}`, say(400, 'Limit must be between 1 and 10000')),
      ),
      get('/users?after=x', say(400, 'Invalid after')),
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
        { status: 200, body: [{ ...USER, ...LISTED }] },
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
    steps: [register, get('/users', say(404, 'Not found'), 'Bearer {{access_token}}')],
  },
  {
    name: 'A logout ends the session, and can be said twice',
    steps: [
      register,
      post('/logout', { refresh_token: '{{refresh_token}}' }, NOTHING),
      post('/logout', { refresh_token: '{{refresh_token}}' }, NOTHING),
      post(
        '/refresh',
        { refresh_token: '{{refresh_token}}' },
        say(401, 'Invalid or expired refresh token'),
      ),
    ],
  },
  {
    name: 'A user sees and ends their sessions',
    steps: [
      register,
      signedIn('GET', '/account', {
        status: 200,
        body: { user: { ...USER, role: 'user' }, session_id: '{{string}}' },
      }),
      signedIn('GET', '/sessions', {
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
      signedIn('DELETE', '/sessions/nothing', say(404, 'Session not found')),
      signedIn('POST', '/logout-all', NOTHING),
      signedIn('GET', '/sessions', { status: 200, body: [] }),
    ],
  },
  {
    name: 'A user changes their password, and leaves',
    steps: [
      register,
      signedIn('POST', '/password', say(401, 'Invalid password'), {
        current_password: 'wrong {{password}}',
        password: 'new {{password}}',
        confirm_password: 'new {{password}}',
      }),
      signedIn('POST', '/password', say(200, 'Password changed'), {
        current_password: '{{password}}',
        password: 'new {{password}}',
        confirm_password: 'new {{password}}',
      }),
      post('/login', CREDENTIALS, say(401, 'Invalid email or password')),
      signedIn('DELETE', '/account', NOTHING, { password: 'new {{password}}' }),
      get('/protected', say(404, 'User not found'), 'Bearer {{access_token}}'),
    ],
  },
];
