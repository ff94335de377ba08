import {
  asSetUp,
  CREATED,
  CREDENTIALS,
  EMAIL_TAKEN,
  get,
  HELLO,
  LISTED_PASSWORDS,
  messageReply,
  post,
  REGISTRATION,
  register,
  registerWith,
  TOKENS,
  type UnsourcedCase,
  USER,
  without,
} from './contract.ts';

/** The promises of the document. */
export const documentedCases: readonly UnsourcedCase[] = [
  {
    name: 'POST /register creates a user',
    steps: [post('/register', REGISTRATION, CREATED)],
  },
  ...Object.keys(REGISTRATION).map((name) => ({
    name: `POST /register needs ${name}`,
    steps: [
      post('/register', without(REGISTRATION, name), messageReply(400, 'Missing required fields')),
    ],
  })),
  {
    name: 'POST /register refuses an email that is registered',
    steps: [register, post('/register', { ...REGISTRATION, username: 'Eve' }, EMAIL_TAKEN)],
  },
  {
    name: 'POST /register lets one of twenty through that come at once with one email',
    steps: [{ ...register, keep: [], race: { times: 20, others: EMAIL_TAKEN } }],
  },
  {
    name: 'POST /register refuses passwords that differ',
    steps: [
      post(
        '/register',
        { ...REGISTRATION, confirm_password: '{{password}}.' },
        messageReply(400, 'Passwords do not match'),
      ),
    ],
  },
  {
    name: 'POST /register takes the password of the document’s example',
    steps: [asSetUp(registerWith({ password: 'password', confirm_password: 'password' }, CREATED))],
  },
  {
    name: 'POST /login signs a user in',
    steps: [
      register,
      post('/login', CREDENTIALS, {
        status: 200,
        body: { message: 'Login successful', ...TOKENS, user: USER },
      }),
    ],
  },
  ...Object.keys(CREDENTIALS).map((name) => ({
    name: `POST /login needs ${name}`,
    steps: [
      post('/login', without(CREDENTIALS, name), messageReply(400, 'Missing email or password')),
    ],
  })),
  {
    name: 'POST /login refuses a wrong password',
    steps: [
      register,
      post(
        '/login',
        { ...CREDENTIALS, password: 'wrong {{password}}' },
        messageReply(401, 'Invalid email or password'),
      ),
    ],
  },
  {
    name: 'POST /login refuses an email that nobody has',
    steps: [post('/login', CREDENTIALS, messageReply(401, 'Invalid email or password'))],
  },
  {
    name: 'POST /refresh gives a new access token, which is good',
    steps: [
      register,
      post(
        '/refresh',
        { refresh_token: '{{refresh_token}}' },
        { status: 200, body: { access_token: '{{jwt}}' } },
        ['access_token'],
      ),
      get('/protected', HELLO, 'Bearer {{access_token}}'),
    ],
  },
  {
    name: 'POST /refresh needs a refresh token',
    steps: [post('/refresh', {}, messageReply(400, 'Missing refresh token'))],
  },
  ...[
    'nonsense',
    '{{access_token}}',
    '{{changed refresh_token}}',
    '{{unsigned refresh_token}}',
  ].map((token) => ({
    name: `POST /refresh refuses what is no refresh token: ${token}`,
    steps: [
      register,
      post(
        '/refresh',
        { refresh_token: token },
        messageReply(401, 'Invalid or expired refresh token'),
      ),
    ],
  })),
  {
    name: 'GET /protected greets the bearer of an access token',
    steps: [register, get('/protected', HELLO, 'Bearer {{access_token}}')],
  },
  {
    name: 'GET /protected needs a token',
    steps: [get('/protected', messageReply(401, 'Token is missing!'))],
  },
  ...['nonsense', '{{refresh_token}}', '{{changed access_token}}', '{{unsigned access_token}}'].map(
    (token) => ({
      name: `GET /protected refuses what is no access token: ${token}`,
      steps: [
        register,
        get('/protected', messageReply(401, 'Token is invalid or expired!'), `Bearer ${token}`),
      ],
    }),
  ),
  {
    name: 'GET /protected and POST /refresh miss a user that has been deleted',
    steps: [
      register,
      { deleteUser: '{{email}}' },
      get('/protected', messageReply(404, 'User not found'), 'Bearer {{access_token}}'),
      post('/refresh', { refresh_token: '{{refresh_token}}' }, messageReply(404, 'User not found')),
    ],
  },
  {
    name: 'A refresh token lasts longer than an access token',
    steps: [register, { outlives: ['{{refresh_token}}', '{{access_token}}'] }],
  },
  {
    name: 'GET /users lists every user',
    usersAccess: 'public',
    steps: [
      register,
      get('/users', {
        status: 200,
        body: {
          '{{each}}': { ...USER, username: '{{string}}', email: '{{string}}', ...LISTED_PASSWORDS },
          '{{some}}': { ...USER, ...LISTED_PASSWORDS },
        },
      }),
    ],
  },
];
