import { randomBytes, timingSafeEqual } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import express from 'express';
import session from 'express-session';
import helmet from 'helmet';
import { AuthError, createClient, UnexpectedReplyError } from 'portcullis/client';
import { frontPage, messagePage, notesPage, signInPage } from './pages.js';

const { PORT = '3000', PORTCULLIS_URL: baseUrl = 'http://localhost:8000', NODE_ENV } = process.env;
const isProduction = NODE_ENV === 'production';
const newSecret = () => randomBytes(32).toString('base64url');

const app = express();
// TLS ends in a proxy, which says who asks, and how.
if (isProduction) app.set('trust proxy', 1);
app.use(
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
  }),
);
app.use(express.static(fileURLToPath(new URL('./public', import.meta.url))));

const COOKIE = isProduction ? '__Host-notes' : 'notes';
const cookie = { path: '/', httpOnly: true, sameSite: 'lax', secure: isProduction };
app.use(
  session({
    name: COOKIE,
    cookie: { ...cookie, maxAge: 24 * 60 * 60 * 1000 },
    secret: newSecret(), // As short-lived as the sessions, which are in the memory of this process.
    resave: false,
    saveUninitialized: false,
  }),
);

/** The service, for a sign-in; and for whoever the session is of, whose tokens are in it. */
const service = createClient({ baseUrl });
app.use((request, response, next) => {
  response.set('Cache-Control', 'no-store');
  request.auth = createClient({
    baseUrl,
    tokens: {
      get: () => request.session.tokens,
      set: (tokens) => {
        request.session.tokens = tokens;
      },
    },
  });
  next();
});

/** The token that each form of a session carries, and no page of elsewhere knows. */
function csrfTokenOf({ session }) {
  session.csrfToken ??= newSecret();
  return session.csrfToken;
}

/** Who is signed in, as far as is known here, and what their forms carry. */
function visitorOf(request) {
  const { username } = request.session;
  return username === undefined ? {} : { username, csrfToken: csrfTokenOf(request) };
}

/** Reads a form, and takes none that is not from a page of this session. */
const form = [
  express.urlencoded({ extended: false, limit: '16kb' }),
  (request, response, next) => {
    const expected = Buffer.from(request.session.csrfToken ?? '');
    const sent = Buffer.from(String(request.body?.csrf_token ?? ''));
    if (expected.length > 0 && sent.length === expected.length && timingSafeEqual(sent, expected)) {
      return next();
    }
    const text =
      'It was not sent from a page of your session. Please go back, reload and try again.';
    return response
      .status(403)
      .send(messagePage('This form is out of date', text, visitorOf(request)));
  },
];

const NOT_SIGNED_IN = new Set([
  'missing_access_token',
  'invalid_access_token',
  'invalid_refresh_token',
  'user_not_found',
]);

/** Lets users pass, as `request.user`; anybody else goes to sign in, and from there back to the page. */
async function onlyUsers(request, response, next) {
  try {
    const { user } = await request.auth.authorize();
    request.user = user;
  } catch (fault) {
    if (!(fault instanceof AuthError && NOT_SIGNED_IN.has(fault.code))) throw fault;
    delete request.session.tokens;
    delete request.session.username;
    const query = new URLSearchParams(request.method === 'GET' && { next: request.originalUrl });
    return response.redirect(303, `/sign-in?${query}`);
  }
  return next();
}

/** A path of this app and nothing else, whoever made the link. */
function ownPath(next) {
  const base = 'http://own.invalid';
  if (typeof next !== 'string' || !URL.canParse(next, base)) return '/notes';
  const { origin, pathname, search } = new URL(next, base);
  // `//elsewhere`, also as what browsers read as that: `/\elsewhere`.
  return origin === base && !pathname.startsWith('//') ? pathname + search : '/notes';
}

app.get('/', (request, response) => response.send(frontPage(visitorOf(request))));

const registration = `${baseUrl.replace(/\/+$/, '')}/account/register`;

app.get('/sign-in', (request, response) => {
  const next = ownPath(request.query.next);
  if (request.session.tokens) return response.redirect(303, next);
  const csrfToken = csrfTokenOf(request);
  return response.send(signInPage({ csrfToken, next, registration }));
});

app.post('/sign-in', form, async (request, response) => {
  const { email, password } = request.body;
  const next = ownPath(request.body.next);
  const from = { device: request.get('user-agent'), address: request.ip };
  let signedIn;
  try {
    signedIn = await service.login({ email, password, ...from });
  } catch (fault) {
    const { status, message } = answerTo(fault);
    if (status === 500) throw fault;
    const csrfToken = csrfTokenOf(request);
    const said = { csrfToken, next, registration, email, problem: message };
    return response.status(status).send(signInPage(said));
  }
  // Another id, and nothing of the old session: somebody else may know that one.
  await promisify(request.session.regenerate).call(request.session);
  const { accessToken, refreshToken, user } = signedIn;
  request.session.tokens = { accessToken, refreshToken };
  request.session.username = user.username;
  return response.redirect(303, next);
});

app.post('/sign-out', form, async (request, response) => {
  // Where the service cannot be reached the tokens are gone all the same.
  await request.auth.logout().catch((fault) => console.error(fault.message));
  await promisify(request.session.destroy).call(request.session);
  response.clearCookie(COOKIE, cookie).redirect(303, '/');
});

const notes = new Map();
const notesOf = ({ id }) => notes.get(id) ?? [];

app.get('/notes', onlyUsers, (request, response) => {
  const { user } = request;
  response.send(notesPage({ ...visitorOf(request), email: user.email, notes: notesOf(user) }));
});

app.post('/notes', form, onlyUsers, (request, response) => {
  const { user, body } = request;
  notes.set(user.id, [...notesOf(user), String(body.text ?? '').slice(0, 200)]);
  response.redirect(303, '/notes');
});

app.use((request, response) => {
  const text = 'It may have gone, or never was.';
  response.status(404).send(messagePage('There is no such page', text, visitorOf(request)));
});

app.use((fault, request, response, next) => {
  if (response.headersSent) return next(fault);
  const { status, message } = answerTo(fault);
  if (status >= 500) console.error(fault instanceof UnexpectedReplyError ? fault.message : fault);
  const page = messagePage('This page cannot be shown', message, visitorOf(request));
  return response.status(status).send(page);
});

function answerTo(fault) {
  if (fault instanceof UnexpectedReplyError) {
    return { status: 503, message: 'The service cannot be reached. Please try again in a moment.' };
  }
  if (fault instanceof AuthError) {
    switch (fault.code) {
      case 'too_many_attempts':
        return { status: 429, message: `Too many attempts. Please wait for ${fault.limit} s.` };
      case 'service_busy':
        return { status: 503, message: 'The service is busy. Please try again in a moment.' };
      default:
        return { status: 401, message: 'Invalid email or password' };
    }
  }
  // A body that cannot be read, by Express's word.
  if (fault.status < 500) return { status: fault.status, message: 'What was sent cannot be read.' };
  return { status: 500, message: 'Please try again in a moment.' };
}

const server = app.listen(Number(PORT), 'localhost', () => {
  console.log(`serves http://localhost:${server.address().port}`);
});
process.once('SIGTERM', () => server.close());
