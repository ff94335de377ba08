import {
  CREDENTIALS,
  type Exchange,
  type ExpectedAnswer,
  messageReply,
  REGISTRATION,
  register,
  type UnsourcedCase,
  USER,
} from './contract.ts';

const COOKIE_MODE = { 'refresh-token-mode': 'cookie' };
const WITH_COOKIE = { ...COOKIE_MODE, cookie: 'theme=dark; {{cookie}}' };
const ATTRIBUTES = 'Path=/; HttpOnly; SameSite=Strict';
const NO_COOKIE = { 'set-cookie': null };
const SETS_COOKIE = {
  'set-cookie': `{{string}}_refresh_token={{string}}; ${ATTRIBUTES}{{string}}`,
};
const REMOVES_COOKIE = {
  'set-cookie': `{{string}}_refresh_token=; ${ATTRIBUTES}{{string}}Max-Age=0`,
};

const registerWithCookie: Exchange = {
  method: 'POST',
  path: '/register',
  headers: COOKIE_MODE,
  json: REGISTRATION,
  answer: {
    status: 201,
    body: { message: 'User created successfully', access_token: '{{jwt}}' },
    headers: SETS_COOKIE,
  },
  keep: ['access_token'],
  keepCookie: 'cookie',
};
const setUpCookie: Exchange = { ...registerWithCookie, setUp: true };

function postWithCookie(
  path: string,
  answer: ExpectedAnswer,
  headers: Exchange['headers'] = WITH_COOKIE,
) {
  return { method: 'POST', path, headers, answer };
}

const REFRESHED: ExpectedAnswer = { status: 200, body: { access_token: '{{jwt}}' } };
const MISSING_TOKEN: ExpectedAnswer = {
  ...messageReply(400, 'Missing refresh token'),
  headers: NO_COOKIE,
};
const INVALID_TOKEN = messageReply(401, 'Invalid or expired refresh token');
const CROSS_ORIGIN_REFUSED: ExpectedAnswer = {
  ...messageReply(403, 'Cross-origin request refused'),
  headers: { ...NO_COOKIE, 'access-control-allow-origin': null },
};

/** The decisions of Portcullis about refresh tokens in cookies. */
export const decidedCookieCases: readonly UnsourcedCase[] = [
  {
    name: 'A sign-in keeps the refresh token in a cookie for who asks for it, and shows it nowhere else',
    steps: [
      registerWithCookie,
      {
        method: 'POST',
        path: '/login',
        headers: COOKIE_MODE,
        json: CREDENTIALS,
        answer: {
          status: 200,
          body: { message: 'Login successful', access_token: '{{jwt}}', user: USER },
          headers: SETS_COOKIE,
        },
      },
    ],
  },
  {
    name: 'POST /refresh takes the token from the cookie alone where it is kept in one',
    steps: [
      setUpCookie,
      postWithCookie('/refresh', REFRESHED),
      postWithCookie('/refresh', MISSING_TOKEN, COOKIE_MODE),
      postWithCookie('/refresh', MISSING_TOKEN, { ...COOKIE_MODE, cookie: 'theme=dark' }),
      postWithCookie(
        '/refresh',
        { ...INVALID_TOKEN, headers: REMOVES_COOKIE },
        { ...COOKIE_MODE, cookie: '{{cookie}}; {{cookie}}' },
      ),
    ],
  },
  {
    name: 'No cookie is looked at unless that is asked for',
    steps: [
      setUpCookie,
      postWithCookie('/refresh', MISSING_TOKEN, { cookie: '{{cookie}}' }),
      postWithCookie('/logout', MISSING_TOKEN, { cookie: '{{cookie}}' }),
      postWithCookie('/refresh', REFRESHED),
      { ...register, json: { ...REGISTRATION, email: '{{email2}}' } },
      {
        ...postWithCookie('/refresh', MISSING_TOKEN, COOKIE_MODE),
        json: { refresh_token: '{{refresh_token}}' },
      },
    ],
  },
  {
    name: 'A logout ends the session of a cookie, and removes it',
    steps: [
      setUpCookie,
      postWithCookie('/logout', { status: 204, headers: REMOVES_COOKIE }),
      postWithCookie('/refresh', { ...INVALID_TOKEN, headers: REMOVES_COOKIE }),
      postWithCookie('/logout', MISSING_TOKEN, COOKIE_MODE),
    ],
  },
  {
    name: 'Leaving everywhere removes the cookie, and so does leaving for good',
    steps: [
      setUpCookie,
      postWithCookie(
        '/logout-all',
        { status: 204, headers: REMOVES_COOKIE },
        { ...WITH_COOKIE, authorization: 'Bearer {{access_token}}' },
      ),
      postWithCookie('/refresh', { ...INVALID_TOKEN, headers: REMOVES_COOKIE }),
      {
        method: 'DELETE',
        path: '/account',
        headers: { ...WITH_COOKIE, authorization: 'Bearer {{access_token}}' },
        json: { password: '{{password}}' },
        answer: { status: 204, headers: REMOVES_COOKIE },
      },
      postWithCookie('/refresh', {
        ...messageReply(404, 'User not found'),
        headers: REMOVES_COOKIE,
      }),
    ],
  },
  {
    name: 'Pages of other origins make no use of a cookie',
    steps: [
      setUpCookie,
      ...[
        { 'sec-fetch-site': 'cross-site', origin: 'https://conformance.invalid' },
        { 'sec-fetch-site': 'same-site' },
        { origin: 'https://conformance.invalid' },
        { origin: 'null' },
      ].flatMap((headers) =>
        ['/refresh', '/logout', '/logout-all', '/login', '/register'].map((path) =>
          postWithCookie(path, CROSS_ORIGIN_REFUSED, { ...WITH_COOKIE, ...headers }),
        ),
      ),
      postWithCookie('/refresh', REFRESHED, { ...WITH_COOKIE, 'sec-fetch-site': 'same-origin' }),
    ],
  },
  {
    name: 'The header that asks for a cookie has one value',
    steps: [
      setUpCookie,
      ...['Cookie', 'body', 'cookie, cookie'].map((mode) =>
        postWithCookie('/refresh', messageReply(400, 'Invalid Refresh-Token-Mode'), {
          ...WITH_COOKIE,
          'refresh-token-mode': mode,
        }),
      ),
    ],
  },
];
