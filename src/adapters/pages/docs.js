/** The API reference, from /openapi.json: describes every endpoint, with a form to try it. */

import { make, memberOf, prose } from './docs-elements.js';
import { createSection } from './docs-operation.js';
import { find } from './form.js';

/** @import { Api, TokenFields, Operation } from './docs-operation.js' */

/**
 * The document with each `$ref` replaced by its target.
 * @param {unknown} part
 * @param {unknown} root
 * @returns {unknown}
 */
function inlineReferences(part, root) {
  if (Array.isArray(part))
    return part.map((/** @type {unknown} */ each) => inlineReferences(each, root));
  if (typeof part !== 'object' || part === null) return part;
  /** @type {Record<string, unknown>} */
  const own = { ...part };
  const reference = own['$ref'];
  if (typeof reference === 'string') {
    const target = reference.slice(2).split('/').reduce(memberOf, root);
    const { $ref: _, ...beside } = own;
    const found = typeof target === 'object' ? target : {};
    return inlineReferences({ ...found, ...beside }, root);
  }
  return Object.fromEntries(
    Object.entries(own).map(([key, value]) => [key, inlineReferences(value, root)]),
  );
}

/** @returns {Promise<Api>} */
async function readApi() {
  const reply = await fetch('/openapi.json', { headers: { Accept: 'application/json' } });
  if (!reply.ok) throw new Error(`/openapi.json is answered with ${reply.status}`);
  /** @type {unknown} */
  const api = await reply.json();
  return /** @type {Api} */ (inlineReferences(api, api));
}

/** The token fields of the page. Tokens in replies are filled in for the requests that follow. */
function tokenFields() {
  const input = find('#access-token', HTMLInputElement);
  const filled = find('#filled', HTMLElement);
  input.addEventListener('input', () => (filled.textContent = ''));
  /** @type {TokenFields} */
  const tokens = {
    accessToken: () => input.value.trim(),
    take(reply) {
      const access = memberOf(reply, 'access_token');
      const refresh = memberOf(reply, 'refresh_token');
      /** @type {string[]} */
      const sentences = [];
      if (typeof access === 'string') {
        input.value = access;
        sentences.push(
          'The access token is filled in: it is sent from now on wherever one is wanted.',
        );
      }
      if (typeof refresh === 'string') {
        for (const field of document.querySelectorAll('input[name="refresh_token"]')) {
          if (field instanceof HTMLInputElement) field.value = refresh;
        }
        sentences.push('So is the refresh token, at the endpoints that take it.');
      }
      if (sentences.length > 0) filled.textContent = sentences.join(' ');
      return sentences.join(' ');
    },
  };
  find('#token', HTMLFormElement).addEventListener('submit', (event) => event.preventDefault());
  return tokens;
}

/** @param {Api} api */
function operationsByTag(api) {
  /** @type {Map<string, { method: string, path: string, operation: Operation }[]>} */
  const byTag = new Map(api.tags.map(({ name }) => [name, []]));
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      byTag.get(operation.tags[0] ?? '')?.push({ method: method.toUpperCase(), path, operation });
    }
  }
  return byTag;
}

/** @param {Api} api */
function show(api) {
  const tokens = tokenFields();
  const navigation = find('nav', HTMLElement);
  const lists = make('div', { class: 'lists' });
  const fold = make('details', {}, make('summary', {}, 'Endpoints'), lists);
  const wide = matchMedia('(min-width: 52rem)'); // As in docs.css.
  const unfold = () => (fold.open = wide.matches);
  wide.addEventListener('change', unfold);
  unfold();
  const reference = find('#reference', HTMLElement);
  find('#about', HTMLElement).append(...prose(api.info.description));
  const byTag = operationsByTag(api);
  for (const { name, description } of api.tags) {
    const operations = byTag.get(name) ?? [];
    const id = name.toLowerCase().replaceAll(' ', '-');
    const links = operations.map(({ method, path, operation }) =>
      make(
        'li',
        {},
        make(
          'a',
          { href: `#${operation.operationId}` },
          make('span', { class: 'method' }, method),
          ' ',
          path,
        ),
      ),
    );
    lists.append(
      make('p', { class: 'group', id: `${id}-links` }, name),
      make('ul', { 'aria-labelledby': `${id}-links` }, ...links),
    );
    const sections = operations.map(({ method, path, operation }) =>
      createSection(method, path, operation, tokens),
    );
    const heading = make('h2', { id }, name);
    const about = make('p', { class: 'aside' }, description);
    reference.append(make('section', { 'aria-labelledby': id }, heading, about, ...sections));
  }
  navigation.append(fold);
  navigation.hidden = false;
}

/** @param {unknown} fault */
function showFailure(fault) {
  const why = fault instanceof Error ? fault.message : String(fault);
  const again = make('button', { type: 'button', class: 'main' }, 'Try again');
  again.addEventListener('click', () => location.reload());
  const text = make(
    'p',
    { class: 'error', role: 'alert' },
    `The reference cannot be shown: ${why}`,
  );
  find('#reference', HTMLElement).replaceChildren(text, again);
}

try {
  show(await readApi());
} catch (fault) {
  showFailure(fault);
}
find('main', HTMLElement).setAttribute('aria-busy', 'false');
// The target of the fragment did not exist when the page loaded, so scroll to it now.
if (location.hash !== '') document.getElementById(location.hash.slice(1))?.scrollIntoView();
