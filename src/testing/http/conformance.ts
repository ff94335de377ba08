import { AssertionError } from 'node:assert/strict';
import { ask, partsOf, reacher, readText, type Received, type Send } from './asking.ts';
import type { Case } from '../case.ts';
import type { ContractCase, Exchange, ExpectedAnswer, Json, Step } from './contract.ts';
import { decidedAccountCases } from './decided-account-cases.ts';
import { decidedCases } from './decided-cases.ts';
import { decidedCookieCases } from './decided-cookie-cases.ts';
import { documentedCases } from './documented-cases.ts';
import { changed, expiryOf, partOf, unsigned } from './forgeries.ts';
import { elementsOf } from './json-list.ts';
import { fits, fitsList, listPatternIn } from './json-pattern.ts';
import { Secrets } from './secrets.ts';

/** The wire contract: plain data, which a program in any language can play. */
export const httpContract: readonly ContractCase[] = [
  ...documentedCases.map((each) => ({ ...each, source: 'document' as const })),
  ...[...decidedCases, ...decidedAccountCases, ...decidedCookieCases].map((each) => ({
    ...each,
    source: 'portcullis' as const,
  })),
];

/** What is asked of a server, and what it is told to be. */
export interface ConformanceOptions {
  /** The document alone, unless given; or also what Portcullis has decided where that is silent. */
  readonly scope?: 'document' | 'everything';
  /** Who may read GET /users there; `public`, as documented, unless given. */
  readonly usersAccess?: 'public' | 'authenticated' | 'admin' | 'disabled';
  /** Deletes a user, not by the API. Without it the answers to those who are gone are not tried. */
  readonly deleteUser?: (email: string) => unknown;
  /** How requests leave; the global `fetch` unless given. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** What each option can be, for those whom no compiler tells. */
const OPTIONS: Readonly<Record<keyof ConformanceOptions, (value: unknown) => boolean>> = {
  scope: (value) => value === 'document' || value === 'everything',
  usersAccess: (value) => ['public', 'authenticated', 'admin', 'disabled'].includes(String(value)),
  deleteUser: (value) => typeof value === 'function',
  fetch: (value) => typeof value === 'function',
};

/** Milliseconds for a list that may be of any length. */
const LIST_TIMEOUT = 60_000;

/**
 * The cases of `httpContract` against a server, of this product or any other. They need nothing of each
 * other, can be run at once, and register some forty users, who afterwards delete themselves where there
 * is DELETE /account. Elsewhere they remain: under addresses at example.com and a random password that
 * is forgotten, but for the one of the document's example, whose password is `password`. Within
 * Portcullis's own limits on attempts it can be run five times an hour. No message shows a password or a
 * token. Where nobody answers at all, the first case says so, and no other is tried.
 * @throws TypeError for a base URL that is none, RangeError for an option that is none
 */
export function conformance(baseUrl: string, options: ConformanceOptions = {}): readonly Case[] {
  const base = parseBaseUrl(baseUrl);
  checkOptions(options);
  const { scope = 'document', usersAccess = 'public', deleteUser, fetch: send = fetch } = options;
  const password = `Portcullis 7: ${crypto.randomUUID()}`;
  const secrets = new Secrets();
  secrets.add(password);
  const server = { base, send, deleteUser, reach: reacher(base, send), password, secrets };
  return httpContract
    .filter(({ source }) => source === 'document' || scope === 'everything')
    .filter((each) => each.usersAccess === undefined || each.usersAccess === usersAccess)
    .filter(({ steps }) => deleteUser || !steps.some((step) => 'deleteUser' in step))
    .map(({ name, steps }) => ({
      name,
      run: () => new Run(name, server).play(steps),
    }));
}

/** @throws TypeError, which does not show what is no address: it may hold a password */
function parseBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url && !url.username && !url.password && !/[?#]/.test(text);
  if (!isPlain || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(
      'the base URL must be like http://localhost:8000, without credentials, query and fragment',
    );
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/** @throws RangeError */
function checkOptions(options: ConformanceOptions): void {
  const checks = new Map(Object.entries(OPTIONS));
  for (const [name, value] of Object.entries(options)) {
    const check = checks.get(name);
    if (check === undefined) throw new RangeError(`there is no option ${name}`);
    if (value !== undefined && !check(value)) {
      throw new RangeError(`the option ${name} cannot be ${String(value)}`);
    }
  }
}

/** What all cases of a run share. */
interface Server {
  readonly base: string;
  readonly send: Send;
  readonly deleteUser: ConformanceOptions['deleteUser'];
  /** Rejects where nobody answers. */
  readonly reach: () => Promise<void>;
  readonly password: string;
  /** Of all cases: a server may tell one what it was told by another. */
  readonly secrets: Secrets;
}

/** One run of one case. */
class Run {
  readonly #name: string;
  readonly #server: Server;
  readonly #values: Map<string, string>;
  readonly #secrets: Secrets;
  readonly #made: { readonly accessToken: string; readonly password: string }[] = [];
  #before: Received | undefined;

  constructor(name: string, server: Server) {
    this.#name = name;
    this.#server = server;
    this.#secrets = server.secrets;
    const user = `conformance-${crypto.randomUUID()}`;
    this.#values = new Map([
      ['email', `${user}@example.com`],
      ['EMAIL', `${user}@example.com`.toUpperCase()],
      ['email2', `${user}-2@example.com`],
      ['password', server.password],
      ['base', new URL(server.base).pathname.replace(/\/$/, '')],
    ]);
  }

  async play(steps: readonly Step[]): Promise<void> {
    await this.#server.reach();
    try {
      for (const [i, step] of steps.entries()) await this.#step(step, i + 1);
    } finally {
      await this.#leave();
    }
  }

  async #step(step: Step, number: number): Promise<void> {
    if ('deleteUser' in step) await this.#server.deleteUser?.(this.#filled(step.deleteUser));
    else if ('outlives' in step) {
      const [longer, shorter] = step.outlives.map((token) => expiryOf(this.#filled(token)));
      if (!(Number(longer) > Number(shorter))) {
        this.#fail('the refresh token expires no later than the access token');
      }
    } else if ('token' in step) {
      const token = this.#filled(step.token);
      this.#holds(step.header, partOf(token, 0), `the header of ${step.token}`);
      this.#holds(step.payload, partOf(token, 1), `the payload of ${step.token}`);
    } else await this.#exchange(step, `step ${number}: ${step.method} ${step.path}`);
  }

  async #exchange(exchange: Exchange, what: string): Promise<void> {
    const { race = { times: 1, others: exchange.answer }, keep = [], keepCookie } = exchange;
    const all = await Promise.all(
      Array.from({ length: race.times }, () => this.#ask(exchange, what)),
    );
    const first = all.find((each) => isWanted(exchange, each)) ?? all[0];
    if (first === undefined) return;
    if (!exchange.setUp) this.#check(exchange.answer, first, what);
    else if (!isWanted(exchange, first)) this.#fail(`${what}: ${this.#statusOf(first, '2xx')}`);
    for (const other of all.filter((each) => each !== first)) {
      this.#check(race.others, other, `${what}, one of ${race.times} at once`);
    }
    if (exchange.asBefore) this.#checkAsBefore(exchange, first, what);
    this.#before = first;
    const json = keep.length > 0 ? parse(first.text) : {};
    for (const name of keep) {
      const text = memberOf(json, name);
      if (text === '') this.#fail(`${what}: the body has no text ${name}`);
      this.#values.set(name, text);
      this.#secrets.add(text);
    }
    if (keepCookie === undefined) return;
    const [pair = '', ...others] = cookiesIn(first);
    if (pair === '' || others.length > 0) this.#fail(`${what}: not one cookie`);
    this.#values.set(keepCookie, pair);
  }

  async #ask(exchange: Exchange, what: string): Promise<Received & { readonly fault?: string }> {
    const { method, path, headers, json, text, answer } = exchange;
    const body = json === undefined ? text : this.#filled(JSON.stringify(json));
    const pattern = listPatternIn(answer.body);
    let fault: string | undefined;
    const read = async (response: Response): Promise<string> => {
      const isList = pattern !== undefined && response.status === answer.status;
      if (!isList || !isJson(response.headers)) return readText(response);
      const terms = { values: this.#values, secrets: this.#secrets };
      fault = await fitsList(pattern, elementsOf(partsOf(response.body)), terms);
      return '';
    };
    try {
      const sent = new Headers({ 'user-agent': 'conformance', ...this.#filledAll(headers ?? {}) });
      if (json !== undefined) sent.set('content-type', 'application/json');
      const url = this.#server.base + this.#filled(path);
      const init = { method, headers: sent, body: body ?? null };
      const bounds = { read, ...(pattern && { timeout: LIST_TIMEOUT }) };
      const received = await ask(this.#server.send, url, init, bounds);
      this.#note(exchange, body, received);
      return { ...received, ...(fault !== undefined && { fault }) };
    } catch (error) {
      const why = this.#secrets.shown(error instanceof Error ? error.message : '');
      return this.#fail(`${what}: no answer that can be read: ${why}`);
    }
  }

  #check(expected: ExpectedAnswer, received: Received & { fault?: string }, what: string): void {
    const { status, headers, text, fault } = received;
    if (status !== expected.status) {
      this.#fail(`${what}: ${this.#statusOf(received, String(expected.status))}`);
    }
    for (const [name, pattern] of Object.entries(expected.headers ?? {})) {
      this.#holds(pattern, headers.get(name), `the header ${name} after ${what}`);
    }
    if (expected.body === undefined) {
      if (text !== '') this.#fail(`${what}: a body`);
      return;
    }
    if (!isJson(headers)) {
      const type = this.#secrets.shown(headers.get('content-type') ?? '');
      this.#fail(`${what}: a Content-Type of ${type}`);
    }
    if (listPatternIn(expected.body) === undefined) {
      this.#holds(expected.body, parse(text), `the body after ${what}`);
    } else if (fault !== undefined) this.#fail(`the body after ${what}: ${fault}`);
  }

  /** Where two answers differ, but not in what: that may be long, and secret. */
  #checkAsBefore({ method }: Exchange, { status, headers, text }: Received, what: string): void {
    const before = this.#before;
    if (before === undefined) return;
    const names = new Set([...before.headers.keys(), ...headers.keys()]);
    // Of no content, what depends on its making need not be said (RFC 9110 §9.3.2).
    const isHead = method === 'HEAD';
    const isMoot = (name: string) =>
      NOT_OF_AN_ANSWER.has(name) ||
      (isHead && name === 'transfer-encoding') ||
      (isHead && name === 'content-length' && !headers.has(name));
    const differing = [...names].filter(
      (name) => !isMoot(name) && headers.get(name) !== before.headers.get(name),
    );
    const faults = [
      ...(status === before.status ? [] : ['the status']),
      ...differing.map((name) => `the header ${name}`),
      ...(isHead || text === before.text ? [] : ['the body']),
    ];
    if (faults.length === 0) return;
    this.#fail(`${what}: differs from the answer before in ${faults.join(', ')}`);
  }

  #holds(pattern: Json, seen: unknown, what: string): void {
    const fault = fits(pattern, seen, { values: this.#values, secrets: this.#secrets });
    if (fault !== undefined) this.#fail(`${what}: ${fault}`);
  }

  #statusOf({ status, text }: Received, wanted: string): string {
    return `status ${status} for ${wanted}: ${this.#secrets.shown(text)}`;
  }

  /** With nothing but a text: what a test runner would print of an assertion holds what was seen. */
  #fail(what: string): never {
    throw new AssertionError({ message: `${this.#name}\n${what}` });
  }

  #filledAll(texts: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, this.#filled(text)]),
    );
  }

  /** The text with values in the place of their names. */
  #filled(text: string): string {
    return text.replaceAll(
      /\{\{(?:(unsigned|changed) )?(\w+)\}\}/g,
      (whole, how?: string, name = '') => {
        const value = this.#values.get(String(name));
        if (value === undefined) return whole;
        if (how === undefined) return value;
        return how === 'unsigned' ? unsigned(value) : changed(value);
      },
    );
  }

  /** Deletes what was registered, where there is a way to: best effort. */
  async #leave(): Promise<void> {
    for (const { accessToken, password } of this.#made) {
      const answer: ExpectedAnswer = { status: 204 };
      const headers = { authorization: `Bearer ${accessToken}` };
      const leave = { method: 'DELETE', path: '/account', headers, json: { password }, answer };
      await this.#ask(leave, 'the end').catch(() => {});
    }
  }

  #note({ path }: Exchange, body: string | undefined, received: Received): void {
    const { status, text } = received;
    for (const pair of cookiesIn(received)) this.#secrets.add(pair.replace(/^[^=]*=/, ''));
    const made = parse(text);
    this.#secrets.note(made);
    const isMade = path === '/register' && status >= 200 && status < 300;
    const accessToken = memberOf(made, 'access_token');
    const password = memberOf(parse(body ?? ''), 'password');
    if (isMade && accessToken) this.#made.push({ accessToken, password });
  }
}

/** The time, and what the two ends make of their connection (RFC 9110 §7.6.1). */
const NOT_OF_AN_ANSWER: ReadonlySet<string> = new Set(['date', 'connection', 'keep-alive']);

function isWanted({ setUp, answer }: Exchange, { status }: Received): boolean {
  return setUp ? status >= 200 && status < 300 : status === answer.status;
}

/** The cookies that an answer sets, as they are sent back. */
function cookiesIn({ headers }: Received): string[] {
  return headers.getSetCookie().map((cookie) => cookie.replace(/;.*$/s, ''));
}

function isJson(headers: Headers): boolean {
  return /^application\/json\b/.test(headers.get('content-type') ?? '');
}

/** A member that is a text; empty where there is none. */
function memberOf(json: unknown, name: string): string {
  const member: unknown = typeof json === 'object' && json ? Reflect.get(json, name) : undefined;
  return typeof member === 'string' ? member : '';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
