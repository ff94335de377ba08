/**
 * The session of the user, and API requests in their name. The access token is only in the memory
 * of this module. The refresh token is in a cookie that no script can read: `Refresh-Token-Mode:
 * cookie` asks for it.
 */

/** @typedef {{ id: number, username: string, email: string, date_created: string }} User */

/** The service refused a request; the message is the service's. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {number | undefined} retryAfter seconds to wait, if the service names them
   */
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** No reply came, because the network or the service is down. */
export class Unreachable extends Error {}

/** There is no session; `ended` tells whether there was one before. */
export class SessionOver extends Error {
  /** @param {boolean} ended */
  constructor(ended) {
    super('no session');
    this.ended = ended;
  }
}

/** The browser did not keep the cookie of a sign-in, so its session was ended. */
export class CookieNotKept extends Error {
  /** @param {boolean} isNew whether the sign-in was a registration, whose account remains */
  constructor(isNew) {
    super('no cookie');
    this.isNew = isNew;
  }
}

const SIGN_IN_PATH = '/account/sign-in';

let accessToken = '';
/** @type {Promise<string> | undefined} */
let refreshing;

/**
 * Sends a request to the API. Resolves to the JSON of the reply; undefined if it has none.
 * @param {string} method
 * @param {string} path
 * @param {{ body?: object, token?: string }} [options]
 * @returns {Promise<unknown>}
 * @throws {Refusal | Unreachable | StaleToken}
 */
async function call(method, path, { body, token } = {}) {
  const headers = new Headers({ Accept: 'application/json', 'Refresh-Token-Mode': 'cookie' });
  if (body !== undefined) headers.set('Content-Type', 'application/json');
  if (token !== undefined) headers.set('Authorization', `Bearer ${token}`);
  const sent = body === undefined ? null : JSON.stringify(body);
  // If the user leaves the page meanwhile, the browser must still receive the new cookie.
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
  const retryAfter = Number(response.headers.get('Retry-After') ?? Number.NaN);
  throw new Refusal(
    response.status,
    typeof message === 'string' ? message : 'The service cannot be reached.',
    Number.isFinite(retryAfter) ? retryAfter : undefined,
  );
}

/** The access token has expired, or is otherwise invalid. */
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
 * Gets a new access token. Concurrent calls share one request.
 * @throws {SessionOver | Refusal | Unreachable}
 */
function refresh() {
  refreshing ??= withRefreshLock(async () => {
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
 * Runs in one tab at a time, because each refresh may replace the cookie. Without the Web Locks
 * API, runs at once.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function withRefreshLock(work) {
  return navigator.locks ? navigator.locks.request('portcullis.refresh', work) : work();
}

/**
 * Sends a request with the user's access token. If that has expired, refreshes it and tries once
 * more.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @throws {SessionOver | Refusal | Unreachable}
 */
export async function ask(method, path, body) {
  const options = body === undefined ? {} : { body };
  try {
    try {
      return await call(method, path, { ...options, token: accessToken || (await refresh()) });
    } catch (fault) {
      if (!(fault instanceof StaleToken)) throw fault;
      return await call(method, path, { ...options, token: await refresh() });
    }
  } catch (fault) {
    const isGone = fault instanceof Refusal && fault.message === 'User not found';
    if (!isGone && !(fault instanceof StaleToken)) throw fault;
    forget();
    throw new SessionOver(true);
  }
}

/**
 * Signs in by POST /login or POST /register, and checks that the browser kept the cookie.
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
    // Other errors concern only this refresh. The sign-in succeeded; the next page will show the
    // error.
  }
  setSignInMark(`${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`);
}

/**
 * Ends a session whose cookie is missing. Ignores failures: the session will expire.
 * @param {string} token an access token of the session
 */
async function endSessionOf(token) {
  try {
    const reply = await call('GET', '/account', { token });
    const { session_id: id } = /** @type {{ session_id: string }} */ (reply);
    await call('DELETE', `/sessions/${encodeURIComponent(id)}`, { token });
  } catch {}
}

/** Ends the session of this browser, even if its cookie is gone, by the access token in memory. */
export async function signOut() {
  try {
    await call('POST', '/logout');
  } catch (fault) {
    if (!(fault instanceof Refusal) || fault.status !== 400) throw fault;
    if (accessToken !== '') await endSessionOf(accessToken);
  }
  forget();
}

/** Whether the cookie has a session that can be refreshed. */
export async function isSignedIn() {
  if (signInMark() === null) return false; // Saves first-time visitors a request that must fail.
  return refresh().then(
    () => true,
    () => false,
  );
}

/** Forgets the session in this browser. */
export function forget() {
  accessToken = '';
  setSignInMark(null);
}

// Not secret, and new for each sign-in: other tabs notice sign-ins and sign-outs by its changes.
const MARK_KEY = 'portcullis.session';

/** @param {string | null} value */
function setSignInMark(value) {
  try {
    if (value === null) localStorage.removeItem(MARK_KEY);
    else localStorage.setItem(MARK_KEY, value);
  } catch {
    // Storage is blocked: other tabs notice at their next request.
  }
}

function signInMark() {
  try {
    return localStorage.getItem(MARK_KEY);
  } catch {
    return null;
  }
}

/**
 * Calls the listener after a sign-in or sign-out in another tab.
 * @param {(isSignedIn: boolean) => void} listener
 */
export function onChangeElsewhere(listener) {
  addEventListener('storage', ({ key, newValue }) => {
    if (key === MARK_KEY || key === null) listener(newValue !== null);
  });
  // A page restored by the Back button may show an earlier user.
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) location.reload();
  });
}

/**
 * Goes to the sign-in page, which returns here afterwards unless the user chose to leave.
 * @param {'ended' | 'signed-out' | 'everywhere' | 'deleted' | undefined} notice
 */
export function goToSignIn(notice) {
  const query = new URLSearchParams();
  const here = location.pathname + location.search;
  const comesBack = notice === undefined || notice === 'ended';
  if (comesBack && here !== '/account') query.set('next', here);
  goTo(`${SIGN_IN_PATH}?${query}`.replace(/\?$/, ''), notice);
}

// Not in the URL: otherwise a link could make a page claim something that never happened.
const NOTICE_KEY = 'portcullis.notice';

/**
 * Goes to another page, which shows the notice.
 * @param {string} path
 * @param {string | undefined} notice
 */
export function goTo(path, notice) {
  try {
    if (notice !== undefined) sessionStorage.setItem(NOTICE_KEY, notice);
  } catch {
    // Storage is blocked: the next page shows no notice.
  }
  location.replace(path);
}

/** Reads and removes the notice of the previous page; '' if there is none. */
export function takeNotice() {
  try {
    const notice = sessionStorage.getItem(NOTICE_KEY) ?? '';
    sessionStorage.removeItem(NOTICE_KEY);
    return notice;
  } catch {
    return '';
  }
}

/**
 * The path to open after a sign-in. Always of this origin, whoever made the link (no open
 * redirect).
 */
export function nextPath() {
  const next = new URLSearchParams(location.search).get('next') ?? '';
  const fallback = '/account';
  if (!next.startsWith('/') || !URL.canParse(next, location.origin)) return fallback;
  const { origin, pathname, search } = new URL(next, location.origin);
  // Browsers read `//elsewhere` and `/\elsewhere` as another host.
  const isOwn = origin === location.origin && !pathname.startsWith('//');
  return isOwn && pathname !== SIGN_IN_PATH ? pathname + search : fallback;
}
