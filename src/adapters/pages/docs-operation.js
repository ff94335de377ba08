/** The section of one endpoint: its description, a form to try it, and all its replies. */

import { make, memberOf, withCode } from './docs-elements.js';
import { curlOf, send, textOf } from './docs-request.js';

/**
 * @typedef {{ description?: string, enum?: readonly unknown[], format?: string,
 *   properties?: Readonly<Record<string, Schema>>, required?: readonly string[],
 *   maxLength?: number, type?: string | readonly string[] }} Schema
 * @typedef {{ name: string, in: 'path' | 'query' | 'header', required?: boolean,
 *   description?: string, schema: Schema }} Parameter
 * @typedef {{ schema: Schema, example?: unknown,
 *   examples?: Readonly<Record<string, { value: unknown }>> }} Content
 * @typedef {{ description: string, content?: Readonly<Record<string, Content>> }} ApiReply
 * @typedef {{ operationId: string, tags: readonly string[], summary: string, description: string,
 *   security: readonly Readonly<Record<string, unknown>>[], parameters?: readonly Parameter[],
 *   requestBody?: { required?: boolean, content: Readonly<Record<string, Content>> },
 *   responses: Readonly<Record<string, ApiReply>> }} Operation
 * @typedef {{ info: { description: string },
 *   tags: readonly { name: string, description: string }[],
 *   paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> }} Api
 * @typedef {{ accessToken: () => string, take: (reply: unknown) => string }} TokenFields
 */

const JSON_TYPE = 'application/json';

/**
 * @param {string} method
 * @param {string} path
 * @param {Operation} operation
 * @param {TokenFields} tokens
 */
export function createSection(method, path, operation, tokens) {
  const { operationId: id, summary, description } = operation;
  const heading = make(
    'h3',
    { id: `${id}-title` },
    make('code', { class: 'route' }, make('span', { class: 'method' }, method), ' ', path),
    make('span', { class: 'summary' }, summary),
  );
  const section = make('section', { class: 'operation', id, 'aria-labelledby': `${id}-title` });
  section.append(heading, make('p', {}, ...withCode(description)));
  if (needsToken(operation)) section.append(make('p', { class: 'here' }, 'Wants an access token'));
  section.append(createForm(method, path, operation, tokens), repliesList(operation));
  return section;
}

/** @param {Operation} operation */
function needsToken({ security }) {
  return security.some((way) => 'bearer' in way);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Operation} operation
 * @param {TokenFields} tokens
 */
function createForm(method, path, operation, tokens) {
  const { operationId: id, parameters = [], requestBody } = operation;
  const content = requestBody?.content[JSON_TYPE];
  const members = Object.entries(content?.schema.properties ?? {});
  const form = make('form', {
    class: 'try',
    autocomplete: 'off',
    'aria-label': `Try ${method} ${path}`,
  });
  for (const [name, schema] of members) {
    const example = memberOf(content?.example, name);
    // The example token is invalid. An operation that a password confirms must take more than one
    // click.
    const isLeftOut =
      name === 'refresh_token' || (schema.format === 'password' && needsToken(operation));
    const value = typeof example === 'string' && !isLeftOut ? example : '';
    form.append(field(`${id}-${name}`, { name, schema, value, required: false }));
  }
  const options = parameters.map(({ name, description, required = false, schema }) =>
    field(`${id}-${name}`, {
      name,
      schema: { ...schema, ...(description !== undefined && { description }) },
      value: '',
      required,
    }),
  );
  const optional = parameters.every(({ required }) => required !== true);
  if (options.length > 0 && optional) {
    form.append(make('details', { class: 'options' }, make('summary', {}, 'Options'), ...options));
  } else form.append(...options);
  const button = make('button', { type: 'submit', class: 'main' }, 'Send');
  const outcome = make('div', { class: 'outcome' });
  const status = make('p', { class: 'status', role: 'status' });
  form.append(make('div', { class: 'actions' }, button), status, outcome);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (button.ariaDisabled === 'true') return;
    button.ariaDisabled = 'true';
    status.textContent = 'One moment';
    const request = requestOf(form, method, path, operation, tokens);
    const attempt = async () => {
      const reply = await send(request);
      button.ariaDisabled = 'false';
      const notice = reply.ok ? tokens.take(reply.json) : '';
      status.textContent = [reply.line, notice].filter(Boolean).join('. ');
      status.className = reply.ok ? 'status' : 'status error';
      outcome.replaceChildren(
        ...(reply.text === '' ? [] : [block('Reply', textOf(reply))]),
        make(
          'details',
          {},
          make('summary', {}, 'The same with curl'),
          block('curl', curlOf(request)),
        ),
      );
    };
    void attempt();
  });
  return form;
}

/**
 * @param {string} label
 * @param {string} text
 */
function block(label, text) {
  return make('pre', { 'aria-label': label, role: 'group' }, text);
}

/**
 * @param {string} id
 * @param {{ name: string, schema: Schema, value: string, required: boolean }} what
 */
function field(id, { name, schema, value, required }) {
  const hint = schema.description;
  /** @type {Record<string, string>} */
  const attributes = { id, name, ...(hint !== undefined && { 'aria-describedby': `${id}-hint` }) };
  if (required) attributes['required'] = '';
  const input =
    schema.enum === undefined
      ? make('input', {
          ...attributes,
          type: 'text',
          spellcheck: 'false',
          autocapitalize: 'none',
          autocomplete: 'off',
        })
      : make(
          'select',
          attributes,
          make('option', { value: '' }, '–'),
          ...schema.enum.map((each) => make('option', {}, String(each))),
        );
  input.value = value;
  const made = make('div', { class: 'field' }, make('label', { for: id }, make('code', {}, name)));
  made.append(make('div', { class: 'control' }, input));
  if (hint !== undefined)
    made.append(make('p', { class: 'hint', id: `${id}-hint` }, ...withCode(hint)));
  return made;
}

/**
 * @param {HTMLFormElement} form
 * @param {string} method
 * @param {string} path
 * @param {Operation} operation
 * @param {TokenFields} tokens
 */
function requestOf(form, method, path, operation, tokens) {
  const formData = new FormData(form);
  /** @param {string} name */
  const valueOf = (name) => {
    const value = formData.get(name);
    return typeof value === 'string' ? value : '';
  };
  /** @type {Record<string, string>} */
  const headers = { Accept: JSON_TYPE };
  const query = new URLSearchParams();
  let target = path;
  for (const { name, in: place } of operation.parameters ?? []) {
    const value = valueOf(name);
    if (place === 'path') target = target.replace(`{${name}}`, encodeURIComponent(value));
    else if (value === '') continue;
    else if (place === 'query') query.set(name, value);
    else headers[name] = value;
  }
  if (needsToken(operation) && tokens.accessToken() !== '') {
    headers['Authorization'] = `Bearer ${tokens.accessToken()}`;
  }
  const schema = operation.requestBody?.content[JSON_TYPE]?.schema;
  if (schema !== undefined) headers['Content-Type'] = JSON_TYPE;
  const members = Object.keys(schema?.properties ?? {});
  const body =
    schema && JSON.stringify(Object.fromEntries(members.map((name) => [name, valueOf(name)])));
  const search = query.size > 0 ? `?${query.toString()}` : '';
  return { method, url: new URL(target + search, location.origin).href, headers, body };
}

/** @param {Operation} operation */
function repliesList({ responses }) {
  const list = make('dl', { class: 'answers' });
  for (const [status, { description, content }] of Object.entries(responses)) {
    const json = content?.[JSON_TYPE];
    const shown = make('dd', {}, make('p', {}, ...withCode(description)));
    if (json?.examples !== undefined) {
      const sentences = Object.values(json.examples).map(({ value }) => {
        const sentence = String(memberOf(value, 'message'));
        return make('li', {}, make('code', {}, sentence));
      });
      shown.append(make('ul', { class: 'sentences' }, ...sentences));
    } else if (json?.example !== undefined) {
      shown.append(block(`An example of ${status}`, JSON.stringify(json.example, undefined, 2)));
    }
    list.append(make('div', {}, make('dt', {}, status), shown));
  }
  return make('details', { class: 'replies' }, make('summary', {}, 'All replies'), list);
}
