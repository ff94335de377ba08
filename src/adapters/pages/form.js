/** What the pages have in common: forms that send, say what went wrong and lose nothing that was typed. */

import {
  ask,
  CookieNotKept,
  goToSignIn,
  onChangeElsewhere,
  Refusal,
  SessionOver,
  signOut,
  takeNotice,
  Unreachable,
} from './account.js';

/** @import { User } from './account.js' */

/**
 * The one element that a selector means.
 * @template {Element} T
 * @param {string} selector
 * @param {new () => T} type
 * @param {ParentNode} [within]
 * @returns {T}
 */
export function find(selector, type, within = document) {
  const found = within.querySelector(selector);
  if (!(found instanceof type)) throw new TypeError(`no ${selector}`);
  return found;
}

/**
 * A page of an account: shows itself once its user is known, and goes to the sign-in where there is none.
 * @param {(user: User) => Promise<void> | void} show
 */
export async function openPage(show) {
  const main = find('main', HTMLElement);
  onChangeElsewhere((isSignedIn) => {
    if (isSignedIn)
      location.reload(); // As somebody else, it may be.
    else goToSignIn('signed-out');
  });
  const form = find('[data-sign-out]', HTMLFormElement);
  sendsBy(form, async () => {
    await signOut();
    goToSignIn('signed-out');
  });
  try {
    const reply = await ask('GET', '/account');
    await show(/** @type {{ user: User }} */ (reply).user);
    main.setAttribute('aria-busy', 'false');
  } catch (fault) {
    if (!leavesFor(fault)) showFailure(main, fault);
  }
}

/** @param {unknown} fault */
function leavesFor(fault) {
  if (!(fault instanceof SessionOver)) return false;
  goToSignIn(fault.ended ? 'ended' : undefined);
  return true;
}

/**
 * In the place of a page that cannot be shown.
 * @param {HTMLElement} main
 * @param {unknown} fault
 */
function showFailure(main, fault) {
  const heading = document.createElement('h1');
  heading.textContent = 'This page cannot be shown now';
  const text = document.createElement('p');
  text.className = 'error';
  text.setAttribute('role', 'alert');
  const again = document.createElement('button');
  again.type = 'button';
  again.className = 'main';
  again.textContent = 'Try again';
  again.addEventListener('click', () => location.reload());
  main.replaceChildren(heading, text, again);
  main.setAttribute('aria-busy', 'false');
  text.textContent = wordsOf(fault, '');
}

/**
 * Has a form send by a script. It stays busy after success, since another page is on its way.
 * @param {HTMLFormElement} form
 * @param {(values: Record<string, string>) => Promise<void>} work
 */
export function sendsBy(form, work) {
  const button = find('[type=submit]', HTMLButtonElement, form);
  const progress = document.createElement('p');
  progress.className = 'unseen';
  progress.setAttribute('role', 'status');
  form.append(progress);
  for (const reveal of form.querySelectorAll('[data-reveal]')) canReveal(form, reveal);
  /** @param {boolean} busy */
  const setBusy = (busy) => {
    form.setAttribute('aria-busy', String(busy));
    // Not `disabled`: that would take the focus away from it.
    button.setAttribute('aria-disabled', String(busy));
    progress.textContent = busy ? 'One moment' : '';
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (form.getAttribute('aria-busy') === 'true') return;
    clear(form);
    setBusy(true);
    work(valuesOf(form)).catch((/** @type {unknown} */ fault) => {
      if (leavesFor(fault)) return;
      setBusy(false);
      showProblem(form, fault);
    });
  });
  button.disabled = false;
}

/**
 * What was typed, by the names of the fields; "on" for a box that is ticked.
 * @param {HTMLFormElement} form
 */
function valuesOf(form) {
  /** @type {Record<string, string>} */
  const values = {};
  for (const [name, value] of new FormData(form)) {
    if (typeof value === 'string') values[name] = value;
  }
  return values;
}

/**
 * @param {HTMLFormElement} form
 * @param {Element} button
 */
function canReveal(form, button) {
  const input = find(`#${button.getAttribute('data-reveal')}`, HTMLInputElement, form);
  const word = button.firstChild;
  if (!(button instanceof HTMLButtonElement) || word === null) return;
  /** @param {boolean} shown */
  const set = (shown) => {
    input.type = shown ? 'text' : 'password';
    word.nodeValue = shown ? 'Hide' : 'Show';
  };
  button.hidden = false;
  button.addEventListener('click', () => set(input.type === 'password'));
  // What is sent as text, a browser might keep as text.
  form.addEventListener('submit', () => set(false));
}

/** Something to correct before anything is sent. */
export class Incomplete extends Error {
  /**
   * @param {string} field
   * @param {string} message
   */
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/** Whose fault it is, by what the service says. */
const FIELDS = /** @type {const} */ ([
  [/^(?:Email already|Invalid email)/, 'email'],
  [/^(?:Username |Invalid username)/, 'username'],
  [/^Passwords do not match/, 'confirm_password'],
  [/^Password /, 'password'],
  [/^Invalid password/, 'password'],
]);

/**
 * Says what went wrong, beside the field that it is about, and takes the reader there.
 * @param {HTMLFormElement} form
 * @param {unknown} fault
 */
function showProblem(form, fault) {
  const problem = document.createElement('p');
  problem.className = 'error';
  problem.id = 'problem';
  const typed = [...form.querySelectorAll('.control input')].some(
    (each) => each instanceof HTMLInputElement && each.value !== '',
  );
  problem.textContent = wordsOf(fault, typed ? ' What you have typed is still here.' : '');
  const input = fieldOf(form, fault);
  const field = input?.closest('.field');
  if (input && field) {
    field.append(problem);
    input.setAttribute('aria-invalid', 'true');
    const hint = input.getAttribute('aria-describedby');
    input.setAttribute('aria-describedby', hint ? `${hint} problem` : 'problem');
    input.focus();
    if (input.type !== 'checkbox') input.select();
  } else {
    problem.setAttribute('role', 'alert');
    problem.tabIndex = -1;
    const actions = form.querySelector('.actions');
    if (actions) actions.before(problem);
    else find('main', HTMLElement).prepend(problem); // Of the form in the head of the page.
    problem.focus();
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {unknown} fault
 */
function fieldOf(form, fault) {
  const input = (/** @type {string} */ name) => {
    const found = form.elements.namedItem(name);
    return found instanceof HTMLInputElement ? found : undefined;
  };
  if (fault instanceof Incomplete) return input(fault.field);
  if (!(fault instanceof Refusal)) return undefined;
  if (fault.message.startsWith('Missing')) {
    const inputs = [...form.elements].filter((each) => each instanceof HTMLInputElement);
    return inputs.find((each) => each.required && each.value.trim() === '');
  }
  // Of a sign-in that was refused, nobody is told which of the two it was.
  if (fault.message === 'Invalid email or password') return input('password');
  if (fault.status === 401) return input('current_password') ?? input('password');
  const [, name = ''] = FIELDS.find(([pattern]) => pattern.test(fault.message)) ?? [];
  return input(name);
}

/** @param {HTMLFormElement} form */
function clear(form) {
  document.querySelector('#problem')?.remove();
  for (const input of form.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    const hint = (input.getAttribute('aria-describedby') ?? '').replace(/ ?problem$/, '');
    if (hint) input.setAttribute('aria-describedby', hint);
    else input.removeAttribute('aria-describedby');
  }
}

/**
 * A fault in the service's words, with how long to wait where it says so.
 * @param {unknown} fault
 * @param {string} comfort what to add where the fault is not the reader's
 */
export function wordsOf(fault, comfort) {
  if (fault instanceof Unreachable) {
    if (!navigator.onLine) return `You are offline. Try again when you are back.${comfort}`;
    return `The service cannot be reached. Try again in a moment.${comfort}`;
  }
  if (fault instanceof CookieNotKept) {
    const advice = 'Allow cookies for this site, and open it over https.';
    if (!fault.isNew) return `Your browser did not keep the sign-in. ${advice}`;
    return `Your account was made, but your browser did not keep the sign-in. ${advice} Then sign in.`;
  }
  if (fault instanceof Incomplete) return fault.message;
  if (!(fault instanceof Refusal)) return `Something went wrong in this page.${comfort}`;
  const { status, message, retryAfter } = fault;
  if (retryAfter !== undefined) {
    const [said] = message.split(' Please try again');
    return `${said} Please try again in ${waitOf(retryAfter)}.`;
  }
  if (status < 500) return message;
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  const again = sentence.includes('try again') ? '' : ' Please try again.';
  return sentence + again + comfort;
}

/** @param {number} seconds */
function waitOf(seconds) {
  if (seconds <= 1) return 'a second';
  if (seconds < 90) return `${Math.ceil(seconds)} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

/**
 * Says what has been done, once: a reload says it no more.
 * @param {Readonly<Record<string, string>>} notices
 */
export function showNotice(notices) {
  const name = takeNotice();
  if (!Object.hasOwn(notices, name)) return;
  const notice = find('#notice', HTMLElement);
  notice.hidden = false;
  notice.textContent = notices[name] ?? '';
}

/** The page is in English, whatever else its reader reads; dates are as their English has them. */
const LOCALE = navigator.languages.find((language) => /^en\b/.test(language)) ?? 'en-GB';

/**
 * Fills a `time` element.
 * @param {HTMLTimeElement} element
 * @param {string} instant
 * @param {Intl.DateTimeFormatOptions} style
 */
export function setTime(element, instant, style) {
  element.dateTime = instant;
  element.textContent = new Intl.DateTimeFormat(LOCALE, style).format(new Date(instant));
}
