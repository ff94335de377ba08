import {
  CREDENTIALS,
  type Exchange,
  type ExpectedAnswer,
  register,
  REGISTRATION,
  say,
  type UnsourcedCase,
  USER,
} from './contract.ts';

const MODE = { 'refresh-token-mode': 'cookie' };
const WITH_COOKIE = { ...MODE, cookie: 'theme=dark; {{cookie}}' };
const ATTRIBUTES = 'Path=/; HttpOnly; SameSite=Strict';
const NO_COOKIE = { 'set-cookie': null };
const KEPT = { 'set-cookie': `{{string}}_refresh_token={{string}}; ${ATTRIBUTES}{{string}}` };
const REMOVED = { 'set-cookie': `{{string}}_refresh_token=; ${ATTRIBUTES}{{string}}Max-Age=0` };

const made: Exchange = {
  method: 'POST',
  path: '/register',
  headers: MODE,
  json: REGISTRATION,
  answer: {
    status: 201,
    body: { message: 'User created successfully', access_token: '{{jwt}}' },
    headers: KEPT,
  },
  keep: ['access_token'],
  keepCookie: 'cookie',
};
const signUp: Exchange = { ...made, setUp: true };

function asked(path: string, answer: ExpectedAnswer, headers: Exchange['headers'] = WITH_COOKIE) {
  return { method: 'POST', path, headers, answer };
}

const REFRESHED: ExpectedAnswer = { status: 200, body: { access_token: '{{jwt}}' } };
const MISSING: ExpectedAnswer = { ...say(400, 'Missing refresh token'), headers: NO_COOKIE };
const INVALID = say(401, 'Invalid or expired refresh token');
const REFUSED: ExpectedAnswer = {
  ...say(403, 'Cross-origin request refused'),
  headers: { ...NO_COOKIE, 'access-control-allow-origin': null },
};

/** What Portcullis has decided on refresh tokens that browsers keep in a cookie. */
export const decidedCookieCases: readonly UnsourcedCase[] = [
  {
    name: 'A sign-in keeps the refresh token in a cookie for who asks for it, and shows it nowhere else',
    steps: [
      made,
      {
        method: 'POST',
        path: '/login',
        headers: MODE,
        json: CREDENTIALS,
        answer: {
          status: 200,
          body: { message: 'Login successful', access_token: '{{jwt}}', user: USER },
          headers: KEPT,
        },
      },
    ],
  },
  {
    name: 'POST /refresh takes the token from the cookie alone where it is kept in one',
    steps: [
      signUp,
      asked('/refresh', REFRESHED),
      asked('/refresh', MISSING, MODE),
      asked('/refresh', MISSING, { ...MODE, cookie: 'theme=dark' }),
      asked(
        '/refresh',
        { ...INVALID, headers: REMOVED },
        { ...MODE, cookie: '{{cookie}}; {{cookie}}' },
      ),
    ],
  },
  {
    name: 'No cookie is looked at unless that is asked for',
    steps: [
      signUp,
      asked('/refresh', MISSING, { cookie: '{{cookie}}' }),
      asked('/logout', MISSING, { cookie: '{{cookie}}' }),
      asked('/refresh', REFRESHED),
      { ...register, json: { ...REGISTRATION, email: '{{email2}}' } },
      { ...asked('/refresh', MISSING, MODE), json: { refresh_token: '{{refresh_token}}' } },
    ],
  },
  {
    name: 'A logout ends the session of a cookie, and removes it',
    steps: [
      signUp,
      asked('/logout', { status: 204, headers: REMOVED }),
      asked('/refresh', { ...INVALID, headers: REMOVED }),
      asked('/logout', MISSING, MODE),
    ],
  },
  {
    name: 'Leaving everywhere removes the cookie, and so does leaving for good',
    steps: [
      signUp,
      asked(
        '/logout-all',
        { status: 204, headers: REMOVED },
        { ...WITH_COOKIE, authorization: 'Bearer {{access_token}}' },
      ),
      asked('/refresh', { ...INVALID, headers: REMOVED }),
      {
        method: 'DELETE',
        path: '/account',
        headers: { ...WITH_COOKIE, authorization: 'Bearer {{access_token}}' },
        json: { password: '{{password}}' },
        answer: { status: 204, headers: REMOVED },
      },
      asked('/refresh', { ...say(404, 'User not found'), headers: REMOVED }),
    ],
  },
  {
    name: 'Pages of other origins make no use of a cookie',
    steps: [
      signUp,
      ...[
        { 'sec-fetch-site': 'cross-site', origin: 'https://conformance.invalid' },
        { 'sec-fetch-site': 'same-site' },
        { origin: 'https://conformance.invalid' },
        { origin: 'null' },
      ].flatMap((headers) =>
        ['/refresh', '/logout', '/logout-all', '/login', '/register'].map((path) =>
          asked(path, REFUSED, { ...WITH_COOKIE, ...headers }),
        ),
      ),
      asked('/refresh', REFRESHED, { ...WITH_COOKIE, 'sec-fetch-site': 'same-origin' }),
    ],
  },
  {
    name: 'The header that asks for a cookie has one value',
    steps: [
      signUp,
      ...['Cookie', 'body', 'cookie, cookie'].map((mode) =>
        asked('/refresh', say(400, 'Invalid Refresh-Token-Mode'), {
          ...WITH_COOKIE,
          'refresh-token-mode': mode,
        }),
      ),
    ],
  },
];
