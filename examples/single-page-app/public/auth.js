/**
 * Who is signed in, and requests in their name. The access token is in the memory of this module; the
 * refresh token is in a cookie of the service that no script can read, which `Refresh-Token-Mode` asks for.
 */

import { service } from './config.js';

/** What the service refused, in its own words; `retryAfter` is in seconds, where it says so. */
export class Refusal extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Nobody is signed in, or not any more. */
export class SignedOut extends Error {}

let accessToken;
let refreshing;

async function send(method, path, { body, token } = {}) {
  const headers = new Headers({ Accept: 'application/json', 'Refresh-Token-Mode': 'cookie' });
  if (token !== undefined) headers.set('Authorization', `Bearer ${token}`);
  if (body !== undefined) headers.set('Content-Type', 'application/json');
  const response = await fetch(service + path, {
    method,
    headers,
    body: body === undefined ? null : JSON.stringify(body),
    credentials: 'include',
    // A page that is left meanwhile must not lose the cookie that this reply may replace.
    keepalive: path === '/refresh',
  });
  const text = await response.text();
  const reply = text === '' ? undefined : JSON.parse(text);
  if (response.ok) return reply;
  const wait = response.headers.get('Retry-After');
  throw new Refusal(response.status, reply.message, wait === null ? undefined : Number(wait));
}

/** What replaces the cookie goes one after the other, in all tabs. */
function alone(work) {
  return navigator.locks.request('refresh token', work);
}

/** A new access token; all who need one at a time get the same. */
function refresh() {
  refreshing ??= alone(async () => {
    try {
      const reply = await send('POST', '/refresh');
      accessToken = reply.access_token;
      return accessToken;
    } catch (fault) {
      // No cookie; a session that has ended; a user who is gone.
      const isOver = fault instanceof Refusal && [400, 401, 404].includes(fault.status);
      if (isOver) throw over();
      throw fault;
    }
  }).finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

function over() {
  forget();
  return new SignedOut();
}

function forget() {
  accessToken = undefined;
  localStorage.removeItem(MARK);
}

/**
 * A request in the name of who is signed in; resolves to the JSON of the reply. An access token that has
 * expired, or went with a reload, is renewed on the way.
 * @throws Refusal, SignedOut; TypeError where no reply comes
 */
export async function ask(method, path) {
  const attempt = async (token) => {
    try {
      return { reply: await send(method, path, { token }) };
    } catch (fault) {
      if (fault instanceof Refusal && fault.status === 401) return undefined;
      if (fault instanceof Refusal && fault.message === 'User not found') throw over();
      throw fault;
    }
  };
  const done =
    (await attempt(accessToken ?? (await refresh()))) ?? (await attempt(await refresh()));
  if (done === undefined) throw over();
  return done.reply;
}

/** @throws Refusal; TypeError where no reply comes */
export const signIn = ({ email, password }) => enter('/login', { email, password });

/** @throws Refusal; TypeError where no reply comes */
export const register = ({ username, email, password, confirm_password }) =>
  enter('/register', { username, email, password, confirm_password });

function enter(path, body) {
  return alone(async () => {
    const reply = await send('POST', path, { body });
    accessToken = reply.access_token;
    localStorage.setItem(MARK, crypto.randomUUID());
  });
}

/** Ends the session at the service, and so in every tab. */
export function signOut() {
  return alone(async () => {
    await send('POST', '/logout');
    forget();
  });
}

// A mark of each sign-in, which is no secret: after a reload it tells that a refresh is worth a try, and by
// its change tabs hear of one another.
const MARK = 'sign-in';

/** Whether somebody is signed in, as far as is known here: the service has the last word. */
export function isSignedIn() {
  return localStorage.getItem(MARK) !== null;
}

/** Calls when another tab has signed in or out, or the page comes back from where it was kept. */
export function onChangeElsewhere(listener) {
  const changed = () => {
    accessToken = undefined;
    listener();
  };
  addEventListener('storage', ({ key }) => {
    if (key === MARK || key === null) changed();
  });
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) changed();
  });
}
