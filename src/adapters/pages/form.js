/** Shared by the pages: forms that send by script, show errors, and keep what was typed. */

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
 * Finds the element of a selector. Throws a TypeError if there is none of this type.
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
 * Opens a page of the account: loads the user and shows the page, or goes to the sign-in page.
 * @param {(user: User) => Promise<void> | void} show
 */
export async function openPage(show) {
  const main = find('main', HTMLElement);
  onChangeElsewhere((isSignedIn) => {
    if (isSignedIn)
      location.reload(); // It may be another user.
    else goToSignIn('signed-out');
  });
  const form = find('[data-sign-out]', HTMLFormElement);
  handleSubmit(form, async () => {
    await signOut();
    goToSignIn('signed-out');
  });
  try {
    const reply = await ask('GET', '/account');
    await show(/** @type {{ user: User }} */ (reply).user);
    main.setAttribute('aria-busy', 'false');
  } catch (fault) {
    if (!goToSignInIfOver(fault)) showFailure(main, fault);
  }
}

/**
 * Goes to the sign-in page if the session is over. Returns whether it does.
 * @param {unknown} fault
 */
function goToSignInIfOver(fault) {
  if (!(fault instanceof SessionOver)) return false;
  goToSignIn(fault.ended ? 'ended' : undefined);
  return true;
}

/**
 * Replaces the content of the page by an error message.
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
  text.textContent = describeFault(fault, '');
}

/**
 * Submits a form by script. After success the form stays busy, since `work` opens another page.
 * @param {HTMLFormElement} form
 * @param {(values: Record<string, string>) => Promise<void>} work
 */
export function handleSubmit(form, work) {
  const button = find('[type=submit]', HTMLButtonElement, form);
  const progress = document.createElement('p');
  progress.className = 'unseen';
  progress.setAttribute('role', 'status');
  form.append(progress);
  for (const reveal of form.querySelectorAll('[data-reveal]')) enableReveal(form, reveal);
  /** @param {boolean} busy */
  const setBusy = (busy) => {
    form.setAttribute('aria-busy', String(busy));
    // Not `disabled`: a disabled button loses the focus.
    button.setAttribute('aria-disabled', String(busy));
    progress.textContent = busy ? 'One moment' : '';
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (form.getAttribute('aria-busy') === 'true') return;
    clearProblem(form);
    setBusy(true);
    work(valuesOf(form)).catch((/** @type {unknown} */ fault) => {
      if (goToSignInIfOver(fault)) return;
      setBusy(false);
      showProblem(form, fault);
    });
  });
  button.disabled = false;
}

/**
 * The values of the fields by name; "on" for a ticked checkbox.
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
 * Lets a button show and hide the password in its field.
 * @param {HTMLFormElement} form
 * @param {Element} button
 */
function enableReveal(form, button) {
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
  // Browsers may remember the value of a text field that is submitted, so hide it first.
  form.addEventListener('submit', () => set(false));
}

/** A field to correct before the form is sent. */
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

/** The field that a message of the service is about. */
const FIELD_PATTERNS = /** @type {const} */ ([
  [/^(?:Email already|Invalid email)/, 'email'],
  [/^(?:Username |Invalid username)/, 'username'],
  [/^Passwords do not match/, 'confirm_password'],
  [/^Password /, 'password'],
  [/^Invalid password/, 'password'],
]);

/**
 * Shows an error beside the field that it is about, or above the buttons, and moves the focus
 * there.
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
  problem.textContent = describeFault(fault, typed ? ' What you have typed is still here.' : '');
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
    else find('main', HTMLElement).prepend(problem); // The sign-out form has no actions.
    problem.focus();
  }
}

/**
 * The field that an error is about; undefined if it is about none.
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
  // A refused sign-in does not say whether the email or the password was wrong.
  if (fault.message === 'Invalid email or password') return input('password');
  if (fault.status === 401) return input('current_password') ?? input('password');
  const [, name = ''] = FIELD_PATTERNS.find(([pattern]) => pattern.test(fault.message)) ?? [];
  return input(name);
}

/** @param {HTMLFormElement} form */
function clearProblem(form) {
  document.querySelector('#problem')?.remove();
  for (const input of form.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    const hint = (input.getAttribute('aria-describedby') ?? '').replace(/ ?problem$/, '');
    if (hint) input.setAttribute('aria-describedby', hint);
    else input.removeAttribute('aria-describedby');
  }
}

/**
 * The message to show for an error, with the time to wait if the service names it.
 * @param {unknown} fault
 * @param {string} comfort added if the user did nothing wrong
 */
export function describeFault(fault, comfort) {
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
    const [reason] = message.split(' Please try again');
    return `${reason} Please try again in ${formatWait(retryAfter)}.`;
  }
  if (status < 500) return message;
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  const again = sentence.includes('try again') ? '' : ' Please try again.';
  return sentence + again + comfort;
}

/** @param {number} seconds */
function formatWait(seconds) {
  if (seconds <= 1) return 'a second';
  if (seconds < 90) return `${Math.ceil(seconds)} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

/**
 * Shows the notice of the previous page, once: not again after a reload.
 * @param {Readonly<Record<string, string>>} notices the texts by the names of notices
 */
export function showNotice(notices) {
  const name = takeNotice();
  if (!Object.hasOwn(notices, name)) return;
  const notice = find('#notice', HTMLElement);
  notice.hidden = false;
  notice.textContent = notices[name] ?? '';
}

/** For dates. The pages are in English, so this is the user's variety of English, or British. */
const LOCALE = navigator.languages.find((language) => /^en\b/.test(language)) ?? 'en-GB';

/**
 * Shows an instant (ISO 8601) in a `time` element.
 * @param {HTMLTimeElement} element
 * @param {string} instant
 * @param {Intl.DateTimeFormatOptions} style
 */
export function setTime(element, instant, style) {
  element.dateTime = instant;
  element.textContent = new Intl.DateTimeFormat(LOCALE, style).format(new Date(instant));
}
