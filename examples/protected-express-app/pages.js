/** The pages as text. Whatever is put into one is escaped, unless `html` has made it. */

class Html {
  constructor(text) {
    this.text = text;
  }
}

function html(strings, ...values) {
  return new Html(String.raw({ raw: strings }, ...values.map(textOf)));
}

function textOf(value) {
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(textOf).join('');
  return String(value ?? '').replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const csrfField = (token) => html`<input type="hidden" name="csrf_token" value="${token}" />`;

/** `username` and `csrfToken` where somebody is signed in. */
function page(title, { username, csrfToken }, content) {
  const visitor = html`<a href="/sign-in">Sign in</a>`;
  const signedIn = html`<span>${username}</span>
        <form method="post" action="/sign-out">${csrfField(csrfToken)}<button class="quiet">Sign out</button></form>`;
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>${title} – Notes</title>
    <link rel="icon" href="/icon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="/style.css" />
  </head>
  <body>
    <a class="skip" href="#main">Skip to the content</a>
    <header>
      <a class="brand" href="/">Notes</a>
      <nav aria-label="Main"><a href="/notes">Your notes</a>${username === undefined ? visitor : signedIn}</nav>
    </header>
    <main id="main" tabindex="-1">
      <h1>${title}</h1>
      ${content}
    </main>
  </body>
</html>
`.text;
}

export function frontPage(visitor) {
  const content = html`<p>A notebook that leaves accounts and passwords to Portcullis.</p>
      <p><a href="/notes">Go to your notes</a>: if you are not signed in, you will be asked to, and come back.</p>`;
  return page('A notebook', visitor, content);
}

export function signInPage({ csrfToken, next, registration, email, problem }) {
  const content = html`${problem && html`<p class="problem" id="problem" role="alert">${problem}</p>`}
      <form method="post" action="/sign-in">
        ${csrfField(csrfToken)}
        <input type="hidden" name="next" value="${next}" />
        <label for="email">Email</label>
        <input id="email" name="email" value="${email}" inputmode="email" autocomplete="username" autocapitalize="none" spellcheck="false" required />
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required${problem && html` aria-describedby="problem" autofocus`} />
        <button>Sign in</button>
      </form>
      <p>No account yet? <a href="${registration}">Create one</a> at the service.</p>`;
  return page('Sign in', {}, content);
}

export function notesPage({ username, csrfToken, email, notes }) {
  const content = html`<p>Signed in as ${username}, ${email}.</p>
      <ul>${notes.map((note) => html`<li>${note}</li>`)}</ul>
      <form method="post" action="/notes">
        ${csrfField(csrfToken)}
        <label for="text">Another note</label>
        <input id="text" name="text" maxlength="200" autocomplete="off" required />
        <button>Add</button>
      </form>`;
  return page('Your notes', { username, csrfToken }, content);
}

export function messagePage(title, text, visitor) {
  return page(
    title,
    visitor,
    html`<p>${text}</p>
      <p><a href="/">Go to the front page</a></p>`,
  );
}
