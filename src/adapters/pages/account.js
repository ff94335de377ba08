/**
 * Who is signed in, and requests in their name. The access token is in this module's memory alone; the
 * refresh token is in a cookie that no script can read, which is what the header below asks for.
 */

/** @typedef {{ id: number, username: string, email: string, date_created: string }} User */

/** What the service refused, in its own words. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {number | undefined} retryAfter seconds to wait, where it says so
   */
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** No reply came: no network, or no service. */
export class Unreachable extends Error {}

/** There is no session to act in; `ended` where there was one. */
export class SessionOver extends Error {
  /** @param {boolean} ended */
  constructor(ended) {
    super('no session');
    this.ended = ended;
  }
}

/** The browser has kept no cookie of a sign-in; that session has been ended. */
export class CookieNotKept extends Error {
  /** @param {boolean} isNew whether the account was made by it, and is there */
  constructor(isNew) {
    super('no cookie');
    this.isNew = isNew;
  }
}

const SIGN_IN = '/account/sign-in';

let accessToken = '';
/** @type {Promise<string> | undefined} */
let refreshing;

/**
 * One request to the API; the JSON of its reply, undefined where it has none.
 * @param {string} method
 * @param {string} path
 * @param {{ body?: object, token?: string }} [said]
 * @returns {Promise<unknown>}
 * @throws {Refusal | Unreachable | StaleToken}
 */
async function call(method, path, { body, token } = {}) {
  const headers = new Headers({ Accept: 'application/json', 'Refresh-Token-Mode': 'cookie' });
  if (body !== undefined) headers.set('Content-Type', 'application/json');
  if (token !== undefined) headers.set('Authorization', `Bearer ${token}`);
  const sent = body === undefined ? null : JSON.stringify(body);
  // Kept alive: a page that is left in the meantime must not lose the cookie that a reply brings.
  const keepalive = path === '/refresh';
  const response = await fetch(path, { method, headers, body: sent, keepalive }).catch(() => {
    throw new Unreachable();
  });
  const text = await response.text().catch(() => {
    throw new Unreachable();
  });
  const json = parse(text);
  if (response.ok) return json;
  const challenge = response.headers.get('WWW-Authenticate') ?? '';
  if (token !== undefined && challenge.includes('invalid_token')) throw new StaleToken();
  const { message } = /** @type {{ message?: unknown }} */ (json ?? {});
  const waits = Number(response.headers.get('Retry-After') ?? Number.NaN);
  throw new Refusal(
    response.status,
    typeof message === 'string' ? message : 'The service cannot be reached.',
    Number.isFinite(waits) ? waits : undefined,
  );
}

class StaleToken extends Error {}

/**
 * @param {string} text
 * @returns {unknown}
 */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * A new access token; all who need one at a time get the same.
 * @throws {SessionOver | Refusal | Unreachable}
 */
function refresh() {
  refreshing ??= alone(async () => {
    try {
      const reply = await call('POST', '/refresh');
      accessToken = /** @type {{ access_token: string }} */ (reply).access_token;
      return accessToken;
    } catch (fault) {
      if (!(fault instanceof Refusal) || ![400, 401, 404].includes(fault.status)) throw fault;
      const ended = fault.status !== 400;
      forget();
      throw new SessionOver(ended);
    }
  }).finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

/**
 * One tab after the other, where the browser can see to that: each may replace the cookie.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function alone(work) {
  return navigator.locks ? navigator.locks.request('portcullis.refresh', work) : work();
}

/**
 * A request in the name of who is signed in. An access token that has expired is renewed once, in silence.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @throws {SessionOver | Refusal | Unreachable}
 */
export async function ask(method, path, body) {
  const said = body === undefined ? {} : { body };
  try {
    try {
      return await call(method, path, { ...said, token: accessToken || (await refresh()) });
    } catch (fault) {
      if (!(fault instanceof StaleToken)) throw fault;
      return await call(method, path, { ...said, token: await refresh() });
    }
  } catch (fault) {
    const isGone = fault instanceof Refusal && fault.message === 'User not found';
    if (!isGone && !(fault instanceof StaleToken)) throw fault;
    forget();
    throw new SessionOver(true);
  }
}

/**
 * Signs in, by POST /login or POST /register, and sees to it that the next page will know of it.
 * @param {'/login' | '/register'} path
 * @param {object} body
 * @throws {CookieNotKept | Refusal | Unreachable}
 */
export async function enter(path, body) {
  const reply = await call('POST', path, { body });
  const { access_token: token } = /** @type {{ access_token: string }} */ (reply);
  try {
    await refresh();
  } catch (fault) {
    if (fault instanceof SessionOver) {
      await endSessionOf(token);
      throw new CookieNotKept(path === '/register');
    }
    // All else is of this refresh alone: the sign-in stands, and the next page says what is wrong.
  }
  mark(`${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`);
}

/**
 * Ends a session that has no cookie. Where that fails there is nothing to be done: it ends with its time.
 * @param {string} token an access token of it
 */
async function endSessionOf(token) {
  try {
    const reply = await call('GET', '/account', { token });
    const { session_id: id } = /** @type {{ session_id: string }} */ (reply);
    await call('DELETE', `/sessions/${encodeURIComponent(id)}`, { token });
  } catch {}
}

/** Ends the session of this browser; one whose cookie is gone too, as far as it is known here. */
export async function signOut() {
  try {
    await call('POST', '/logout');
  } catch (fault) {
    if (!(fault instanceof Refusal) || fault.status !== 400) throw fault;
    if (accessToken !== '') await endSessionOf(accessToken);
  }
  forget();
}

/** Whether a session goes on behind the cookie. */
export async function isSignedIn() {
  if (marked() === null) return false; // Not to be refused at each first visit.
  return refresh().then(
    () => true,
    () => false,
  );
}

/** What is here of a session that is over. */
export function forget() {
  accessToken = '';
  mark(null);
}

// A mark of each sign-in, which is no secret: by it tabs hear of what happens in another.
const MARK = 'portcullis.session';

/** @param {string | null} value */
function mark(value) {
  try {
    if (value === null) localStorage.removeItem(MARK);
    else localStorage.setItem(MARK, value);
  } catch {
    // A browser that keeps nothing: its tabs find out at their next request.
  }
}

function marked() {
  try {
    return localStorage.getItem(MARK);
  } catch {
    return null;
  }
}

/**
 * Tells of a sign-in or sign-out in another tab.
 * @param {(isSignedIn: boolean) => void} listener
 */
export function onChangeElsewhere(listener) {
  addEventListener('storage', ({ key, newValue }) => {
    if (key === MARK || key === null) listener(newValue !== null);
  });
  // A page that the Back button brings back as it was may show what is no longer so.
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) location.reload();
  });
}

/**
 * To the sign-in, and from there back here where that makes sense.
 * @param {'ended' | 'signed-out' | 'everywhere' | 'deleted' | undefined} notice
 */
export function goToSignIn(notice) {
  const query = new URLSearchParams();
  const here = location.pathname + location.search;
  const comesBack = notice === undefined || notice === 'ended';
  if (comesBack && here !== '/account') query.set('next', here);
  goTo(`${SIGN_IN}?${query}`.replace(/\?$/, ''), notice);
}

// Not in the address: a link must not make the service say what has not happened.
const NOTICE = 'portcullis.notice';

/**
 * To another page, which is to say that something has been done.
 * @param {string} path
 * @param {string | undefined} notice
 */
export function goTo(path, notice) {
  try {
    if (notice !== undefined) sessionStorage.setItem(NOTICE, notice);
  } catch {
    // A browser that keeps nothing: it is done all the same.
  }
  location.replace(path);
}

/** What the page before has left to be said, once; '' where there is nothing. */
export function takeNotice() {
  try {
    const notice = sessionStorage.getItem(NOTICE) ?? '';
    sessionStorage.removeItem(NOTICE);
    return notice;
  } catch {
    return '';
  }
}

/** Where to go after a sign-in: a path of this origin and nothing else, whoever made the link. */
export function nextPath() {
  const next = new URLSearchParams(location.search).get('next') ?? '';
  const fallback = '/account';
  if (!next.startsWith('/') || !URL.canParse(next, location.origin)) return fallback;
  const { origin, pathname, search } = new URL(next, location.origin);
  // `//elsewhere`, also as what browsers read as that: `/\elsewhere`.
  const isOwn = origin === location.origin && !pathname.startsWith('//');
  return isOwn && pathname !== SIGN_IN ? pathname + search : fallback;
}
