import {
  asSetUp,
  CREATED,
  CREDENTIALS,
  EMAIL_TAKEN,
  type Exchange,
  type ExpectedAnswer,
  get,
  HELLO,
  type Json,
  messageReply,
  post,
  REGISTRATION,
  register,
  registerWith,
  TOKENS,
  type UnsourcedCase,
  USER,
} from './contract.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const MISSING_FIELDS = messageReply(400, 'Missing required fields');
const MISSING_TOKEN = messageReply(401, 'Token is missing!');
const INVALID_TOKEN = messageReply(401, 'Token is invalid or expired!');
const NOT_FOUND = messageReply(404, 'Not found');

/** A POST with a raw body. */
function postText(path: string, text: string, type: string, answer: ExpectedAnswer): Exchange {
  return { method: 'POST', path, text, headers: { 'content-type': type }, answer };
}

function registerWithPassword(password: string, message: string): Exchange {
  return registerWith({ password, confirm_password: password }, messageReply(400, message));
}

const SIGNED_IN: ExpectedAnswer = {
  status: 200,
  body: { message: 'Login successful', ...TOKENS, user: USER },
};

function loginWithWrongPassword(email: string): Exchange {
  const json = { email, password: 'wrong {{password}}' };
  return post('/login', json, messageReply(401, 'Invalid email or password'));
}

const NON_STRINGS: readonly Json[] = [null, 0, 7, true, false, [], ['x'], {}, { a: 1 }, ''];
const NON_OBJECTS: readonly Json[] = [null, 7, true, 'text', [], [REGISTRATION]];
const REQUIRED_FIELDS: readonly (readonly [
  path: string,
  valid: Readonly<Record<string, string>>,
  message: string,
])[] = [
  ['/register', REGISTRATION, 'Missing required fields'],
  ['/login', CREDENTIALS, 'Missing email or password'],
  ['/refresh', { refresh_token: 'x' }, 'Missing refresh token'],
];

const ALLOWED: readonly (readonly [path: string, allow: string])[] = [
  ['/register', 'POST'],
  ['/login', 'POST'],
  ['/refresh', 'POST'],
  ['/protected', 'GET, HEAD'],
];

/** A GET, followed by the same request with HEAD. */
function withHeadRequest(exchange: Exchange): readonly Exchange[] {
  const { status } = exchange.answer;
  return [exchange, { ...exchange, method: 'HEAD', answer: { status }, asBefore: true }];
}

/** The decisions of Portcullis about input and tokens, where the document is silent. */
export const decidedCases: readonly UnsourcedCase[] = [
  ...REQUIRED_FIELDS.map(([path, valid, message]) => ({
    name: `POST ${path} takes what is no text for missing`,
    steps: [
      ...Object.keys(valid).flatMap((name) =>
        NON_STRINGS.map((value) =>
          post(path, { ...valid, [name]: value }, messageReply(400, message)),
        ),
      ),
      ...NON_OBJECTS.map((json) => post(path, json, messageReply(400, message))),
      { method: 'POST', path, answer: messageReply(400, message) },
    ],
  })),
  {
    name: 'POST /register takes white space for a missing name or address',
    steps: [
      registerWith({ username: ' \t' }, MISSING_FIELDS),
      registerWith({ email: ' ' }, MISSING_FIELDS),
    ],
  },
  {
    name: 'POST /register says first what is missing, then what differs, then what has no form',
    steps: [
      registerWith({ username: '', confirm_password: 'x', email: 'x' }, MISSING_FIELDS),
      registerWith(
        { confirm_password: 'x', email: 'x' },
        messageReply(400, 'Passwords do not match'),
      ),
      registerWith(
        { email: 'x', password: 'x', confirm_password: 'x' },
        messageReply(400, 'Invalid email address'),
      ),
    ],
  },
  {
    name: 'POST /register refuses what is not one address',
    steps: [
      'x',
      'a@b',
      '@example.com',
      'a b@example.com',
      'a@example.com,b@example.com',
      '{{email}},',
    ].map((email) => registerWith({ email }, messageReply(400, 'Invalid email address'))),
  },
  {
    name: 'POST /register refuses names with control characters, and long ones',
    steps: [
      registerWith({ username: 'a\u0000' }, messageReply(400, 'Invalid username')),
      registerWith({ username: 'a\nb' }, messageReply(400, 'Invalid username')),
      registerWith(
        { username: 'é'.repeat(256) },
        messageReply(400, 'Username must be at most 255 characters'),
      ),
    ],
  },
  {
    name: 'POST /register refuses passwords that are short, long, or no text',
    steps: [
      registerWithPassword('x', 'Password must be at least {{digits}} characters'),
      registerWithPassword('x'.repeat(1025), 'Password must be at most 1024 bytes'),
      registerWithPassword('\ud800'.repeat(99), 'Invalid password'),
    ],
  },
  {
    name: 'An address is the same in every spelling, and shown in one',
    steps: [
      asSetUp(registerWith({ email: ' {{EMAIL}} ' }, CREATED)),
      registerWith({}, EMAIL_TAKEN),
      post('/login', { ...CREDENTIALS, email: '{{EMAIL}}' }, SIGNED_IN),
    ],
  },
  {
    name: 'A password is the same in every normal form',
    steps: [
      asSetUp(
        registerWith(
          { password: '{{password}} \u00e9', confirm_password: '{{password}} e\u0301' },
          CREATED,
        ),
      ),
      asSetUp(post('/login', { ...CREDENTIALS, password: '{{password}} e\u0301' }, SIGNED_IN)),
    ],
  },
  {
    name: 'A password is taken as it is, white space and all',
    steps: [
      asSetUp(
        registerWith({ password: ' {{password}} ', confirm_password: ' {{password}} ' }, CREATED),
      ),
      post('/login', CREDENTIALS, messageReply(401, 'Invalid email or password')),
    ],
  },
  {
    name: 'A name is greeted as it is stored',
    steps: [
      asSetUp({
        ...registerWith({ username: ' <script>"é😀\\ ' }, CREATED),
        keep: ['access_token'],
      }),
      get(
        '/protected',
        messageReply(200, 'Hello, <script>"é😀\\. This is a protected route.'),
        'Bearer {{access_token}}',
      ),
    ],
  },
  {
    name: 'POST /refresh takes the same refresh token again',
    steps: [
      register,
      ...Array.from({ length: 2 }, () =>
        post(
          '/refresh',
          { refresh_token: '{{refresh_token}}' },
          { status: 200, body: { access_token: '{{jwt}}' } },
        ),
      ),
    ],
  },
  {
    name: 'Bodies that are no JSON, of another type or too large are refused',
    steps: [
      postText('/login', '{', 'application/json', messageReply(400, 'Malformed JSON')),
      postText('/login', "{'a':1}", 'application/json', messageReply(400, 'Malformed JSON')),
      postText(
        '/login',
        'a=1',
        'text/plain',
        messageReply(415, 'Content-Type must be application/json'),
      ),
      postText('/login', '{}', 'application/json; charset=latin1', {
        ...messageReply(415, 'Content-Type must be application/json'),
      }),
      postText('/login', `{"a":"${'x'.repeat(17_000)}"}`, 'application/json', {
        ...messageReply(413, 'Request body is too large'),
      }),
      {
        ...postText('/login', '{}', 'application/json', messageReply(415, 'Unsupported encoding')),
        headers: { ...JSON_TYPE, 'content-encoding': 'gzip' },
      },
    ],
  },
  {
    name: 'Other methods are refused, with those that there are',
    steps: ALLOWED.flatMap(([path, allow]) =>
      ['PUT', 'PATCH', allow === 'POST' ? 'GET' : 'POST'].map((method) => ({
        method,
        path,
        answer: { ...messageReply(405, 'Method not allowed'), headers: { allow } },
      })),
    ),
  },
  {
    name: 'Other paths are not found',
    steps: ['/nothing', '/login/', '/Login', '/login/x', '/users/1'].map((path) =>
      get(path, NOT_FOUND),
    ),
  },
  {
    name: 'Tokens are missing where there is no bearer, and invalid where there is more than one',
    steps: [
      register,
      ...['Bearer', 'Basic YTpi', '{{access_token}}', 'Token x'].map((authorization) =>
        get('/protected', MISSING_TOKEN, authorization),
      ),
      get('/protected?access_token={{access_token}}', MISSING_TOKEN),
      ...[
        'Bearer {{access_token}}, Bearer {{access_token}}',
        'Bearer {{access_token}} {{access_token}}',
        'Bearer {{access_token}}=',
        'Bearer "{{access_token}}"',
        'Basic x, Bearer {{access_token}}',
      ].map((authorization) => get('/protected', INVALID_TOKEN, authorization)),
      get('/protected', HELLO, 'bearer {{access_token}}'),
    ],
  },
  {
    name: 'POST /login tells an email that nobody has by nothing from a wrong password',
    steps: [
      register,
      loginWithWrongPassword('{{email}}'),
      { ...loginWithWrongPassword('{{email2}}'), asBefore: true },
      { ...loginWithWrongPassword('{{email}}'), asBefore: true },
    ],
  },
  {
    name: 'HEAD is answered as GET is, without the body',
    steps: [
      register,
      ...withHeadRequest(get('/protected', HELLO, 'Bearer {{access_token}}')),
      ...withHeadRequest(get('/protected', MISSING_TOKEN)),
      ...withHeadRequest(get('/protected', INVALID_TOKEN, 'Bearer x')),
      ...withHeadRequest(get('/nothing', NOT_FOUND)),
    ],
  },
  {
    name: 'A refusal of a token carries a challenge',
    steps: [
      get('/protected', { ...MISSING_TOKEN, headers: { 'www-authenticate': 'Bearer' } }),
      get(
        '/protected',
        { ...INVALID_TOKEN, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } },
        'Bearer x',
      ),
    ],
  },
  {
    name: 'Replies are JSON that nobody keeps, sniffs or frames',
    steps: [
      {
        ...registerWith({}, CREATED),
        answer: {
          ...CREATED,
          headers: {
            'content-type': 'application/json; charset=utf-8',
            'cache-control': 'no-store',
            'x-content-type-options': 'nosniff',
            'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
            'x-powered-by': null,
          },
        },
      },
      get('/nothing', { ...NOT_FOUND, headers: { 'cache-control': 'no-store' } }),
    ],
  },
  {
    name: 'Tokens say what RFC 9068 and RFC 7519 have them say',
    steps: [
      register,
      ...[
        ['access_token', 'at+jwt'],
        ['refresh_token', 'rt+jwt'],
      ].map(([name, typ = '']) => ({
        token: `{{${name}}}`,
        header: { alg: '{{string}}', typ, kid: '{{string}}' },
        payload: {
          iss: '{{string}}',
          aud: '{{string}}',
          sub: '{{digits}}',
          sid: '{{string}}',
          jti: '{{string}}',
          iat: '{{integer}}',
          exp: '{{integer}}',
        },
      })),
    ],
  },
];
