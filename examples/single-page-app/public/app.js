/** Routes, some for users alone, and what they show. */

import {
  ask,
  isSignedIn,
  onChangeElsewhere,
  Refusal,
  register,
  SignedOut,
  signIn,
  signOut,
} from './auth.js';

const HOME = '/account';
const ENDED = 'Your session has ended. Please sign in again.';

/** What there is at each path: the template it is made of, who it is for, what it asks for, and how that is shown. */
const ROUTES = new Map([
  ['/', { template: 'home' }],
  ['/sign-in', { template: 'sign-in', isFor: 'guests' }],
  ['/register', { template: 'register', isFor: 'guests' }],
  ['/account', { template: 'account', isFor: 'users', load: loadAccount, show: showAccount }],
  ['/sessions', { template: 'sessions', isFor: 'users', load: loadSessions, show: showSessions }],
]);
const NOT_FOUND = { template: 'not-found' };

async function loadAccount() {
  const [{ message }, { user }] = await Promise.all([
    ask('GET', '/protected'),
    ask('GET', '/account'),
  ]);
  return { message, user };
}

function showAccount(view, { message, user }) {
  const { username, email, date_created } = user;
  fill(view, { greeting: message, username, email, since: timeOf(date_created) });
}

function loadSessions() {
  return ask('GET', '/sessions');
}

function showSessions(view, sessions) {
  const items = sessions.map(({ id, device, date_created, last_used, current }) => {
    const item = make('session');
    const name = device || 'Unknown device';
    fill(item, { device: name, since: timeOf(date_created), used: timeOf(last_used) });
    item.querySelector('[name=id]').value = id;
    item.querySelector('button').setAttribute('aria-label', `Sign out there: ${name}`);
    item.querySelector(current ? 'form' : '.here').remove();
    return item;
  });
  view.querySelector('ul').append(...items);
}

/** What the forms do, each with what was typed. */
const ACTIONS = {
  'sign-in': async (values) => {
    await signIn(values);
    go(nextPath());
  },
  register: async (values) => {
    await register(values);
    go(nextPath());
  },
  'sign-out': async () => {
    await signOut();
    go('/sign-in', 'You have signed out.');
  },
  'end-session': async ({ id }) => {
    await ask('DELETE', `/sessions/${encodeURIComponent(id)}`);
    go('/sessions', 'Signed out there.');
  },
  again: () => render(),
};

const main = document.querySelector('main');
let turn = 0;
let shown;

/** Shows what is at the path of the page, unless the reader goes elsewhere in the meantime. */
async function render(notice = '') {
  turn += 1;
  const mine = turn;
  const { pathname } = location;
  const { template, isFor, load, show } = ROUTES.get(pathname) ?? NOT_FOUND;
  if (isFor === 'users' && !isSignedIn()) return goToSignIn(pathname, notice);
  if (isFor === 'guests' && isSignedIn()) return go(nextPath(), notice);
  main.ariaBusy = 'true';
  const view = make(template);
  try {
    const data = await load?.();
    if (mine === turn) show?.(view, data);
  } catch (fault) {
    if (mine !== turn) return undefined;
    if (fault instanceof SignedOut) return goToSignIn(pathname, ENDED);
    view.replaceChildren(make('failure'));
    fill(view, { problem: wordsOf(fault) });
  }
  if (mine === turn) put(view, notice);
  return undefined;
}

function put(view, notice) {
  for (const part of document.querySelectorAll('[data-for]')) {
    part.hidden = part.dataset.for !== (isSignedIn() ? 'users' : 'guests');
  }
  for (const link of document.querySelectorAll('nav a')) {
    link.ariaCurrent = link.pathname === location.pathname ? 'page' : null;
  }
  for (const link of view.querySelectorAll('[data-keeps-next]')) link.search = location.search;
  const heading = view.querySelector('h1');
  const isFirst = shown === undefined;
  shown = location.pathname;
  document.title = `${heading.textContent} – Single-page app`;
  document.querySelector('#notice').textContent = notice;
  document.querySelector('#view').replaceChildren(view);
  main.ariaBusy = 'false';
  // A browser does so itself at each new page: whoever cannot see it hears where they are.
  heading.tabIndex = -1;
  if (!isFirst) heading.focus();
}

/** Goes to a path of this app; where it is the one that is shown, the history gets no second entry of it. */
function go(path, notice) {
  const isGuestsPage = ROUTES.get(location.pathname)?.isFor === 'guests';
  // Back is not to lead to a form that is of no use any more.
  const isReplaced = isGuestsPage || path === location.pathname + location.search;
  history[isReplaced ? 'replaceState' : 'pushState'](null, '', path);
  return render(notice);
}

function goToSignIn(from, notice) {
  history.replaceState(null, '', `/sign-in?next=${encodeURIComponent(from)}`);
  return render(notice);
}

/** Where to go after a sign-in: a path of this app and nothing else, whoever made the link. */
function nextPath() {
  const next = new URLSearchParams(location.search).get('next');
  return ROUTES.get(next)?.isFor === 'users' ? next : HOME;
}

function make(template) {
  return document.importNode(document.querySelector(`template#${template}`).content, true);
}

/** Texts into their places: as text, whatever they hold. */
function fill(view, texts) {
  for (const [name, text] of Object.entries(texts)) {
    view.querySelector(`[data-text=${name}]`).textContent = text;
  }
}

function timeOf(instant) {
  return new Date(instant).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
}

function wordsOf(fault) {
  if (!(fault instanceof Refusal)) return 'The service cannot be reached. Please try again.';
  if (fault.retryAfter === undefined) return fault.message;
  return `${fault.message} (in ${fault.retryAfter} s)`;
}

document.addEventListener('submit', (event) => {
  event.preventDefault();
  const form = event.target;
  if (form.ariaBusy === 'true') return;
  const problem = form.querySelector('.problem');
  if (problem) problem.textContent = '';
  form.ariaBusy = 'true';
  const work = async () => ACTIONS[form.dataset.action](Object.fromEntries(new FormData(form)));
  work()
    .catch((fault) => {
      if (fault instanceof SignedOut) return goToSignIn(location.pathname, ENDED);
      problem.textContent = wordsOf(fault);
      return undefined;
    })
    .finally(() => {
      form.ariaBusy = 'false';
    });
});

document.addEventListener('click', (event) => {
  const link = event.target.closest('a');
  const isOther = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link?.hash;
  if (!link || isOther || link.origin !== location.origin) return;
  event.preventDefault();
  void go(link.pathname + link.search);
});

addEventListener('popstate', () => {
  if (location.pathname !== shown) void render(); // Else it is a link within the page.
});

onChangeElsewhere(() => void render());
void render();
