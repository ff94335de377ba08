import { AssertionError } from 'node:assert/strict';
import type { Case } from '../case.ts';
import type { ContractCase, Exchange, ExpectedAnswer, Json, Step } from './contract.ts';
import { decidedAccountCases } from './decided-account-cases.ts';
import { decidedCases } from './decided-cases.ts';
import { decidedCookieCases } from './decided-cookie-cases.ts';
import { documentedCases } from './documented-cases.ts';
import { decodePart, expiryOf, withOtherUser, withoutSignature } from './forgeries.ts';
import { elementsOf } from './json-list.ts';
import { findListMismatch, findMismatch, listPatternIn, memberOf, parse } from './json-pattern.ts';
import { Secrets } from './secrets.ts';
import {
  cookiesIn,
  isJson,
  partsOf,
  type Received,
  reachabilityCheck,
  readText,
  type Send,
  sendRequest,
} from './send-request.ts';

/** The HTTP contract, as plain data: a program in any language can run it. */
export const httpContract: readonly ContractCase[] = [
  ...documentedCases.map((each) => ({ ...each, source: 'document' as const })),
  ...[...decidedCases, ...decidedAccountCases, ...decidedCookieCases].map((each) => ({
    ...each,
    source: 'portcullis' as const,
  })),
];

/** What to test of a server, and how it is configured. */
export interface ConformanceOptions {
  /**
   * `everything` adds what Portcullis decided where the document is silent. Default: `document`.
   */
  readonly scope?: 'document' | 'everything';
  /** Who may read GET /users on this server. Default: `public`, as documented. */
  readonly usersAccess?: 'public' | 'authenticated' | 'admin' | 'disabled';
  /** Deletes a user without the API. If absent, the cases about deleted users are left out. */
  readonly deleteUser?: (email: string) => unknown;
  /** Sends the requests. Default: the global `fetch`. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** Checks the value of each option, for callers without TypeScript. */
const OPTION_CHECKS: Readonly<Record<keyof ConformanceOptions, (value: unknown) => boolean>> = {
  scope: (value) => value === 'document' || value === 'everything',
  usersAccess: (value) => ['public', 'authenticated', 'admin', 'disabled'].includes(String(value)),
  deleteUser: (value) => typeof value === 'function',
  fetch: (value) => typeof value === 'function',
};

/** For a list of users, which may have any length. */
const LIST_TIMEOUT_MS = 60_000;

/**
 * The cases of `httpContract` for a server, of this product or any other. They are independent of
 * each other and can run at the same time. No message shows a password or a token. If the server
 * does not respond, the first case says so and the others are skipped.
 *
 * A run registers about forty users at example.com, and deletes them through DELETE /account. On a
 * server without that endpoint they remain, with a random password that nobody keeps. One of them
 * has the password of the document's example, `password`. Portcullis's rate limits allow five runs
 * an hour.
 * @throws TypeError for an invalid base URL, RangeError for an invalid option
 */
export function conformance(baseUrl: string, options: ConformanceOptions = {}): readonly Case[] {
  const base = parseBaseUrl(baseUrl);
  checkOptions(options);
  const { scope = 'document', usersAccess = 'public', deleteUser, fetch: send = fetch } = options;
  const password = `Portcullis 7: ${crypto.randomUUID()}`;
  const secrets = new Secrets();
  secrets.add(password);
  const reach = reachabilityCheck(base, send);
  const server = { base, send, deleteUser, reach, password, secrets };
  return httpContract
    .filter(({ source }) => source === 'document' || scope === 'everything')
    .filter((each) => each.usersAccess === undefined || each.usersAccess === usersAccess)
    .filter(({ steps }) => deleteUser || !steps.some((step) => 'deleteUser' in step))
    .map(({ name, steps }) => ({
      name,
      run: () => new Run(name, server).play(steps),
    }));
}

/** @throws TypeError, without the text itself: that may contain a password */
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
  const checks = new Map(Object.entries(OPTION_CHECKS));
  for (const [name, value] of Object.entries(options)) {
    const check = checks.get(name);
    if (check === undefined) throw new RangeError(`there is no option ${name}`);
    if (value !== undefined && !check(value)) {
      throw new RangeError(`the option ${name} cannot be ${String(value)}`);
    }
  }
}

/** What all cases share. */
interface Server {
  readonly base: string;
  readonly send: Send;
  readonly deleteUser: ConformanceOptions['deleteUser'];
  /** Rejects if the server does not respond. */
  readonly reach: () => Promise<void>;
  readonly password: string;
  /** Shared, because a server may show one case what another has sent. */
  readonly secrets: Secrets;
}

/** One run of one case. */
class Run {
  readonly #name: string;
  readonly #server: Server;
  readonly #values: Map<string, string>;
  readonly #secrets: Secrets;
  readonly #registered: { readonly accessToken: string; readonly password: string }[] = [];
  #previous: Received | undefined;

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
      await this.#deleteRegistered();
    }
  }

  async #step(step: Step, number: number): Promise<void> {
    if ('deleteUser' in step) await this.#server.deleteUser?.(this.#fillIn(step.deleteUser));
    else if ('outlives' in step) {
      const [longer, shorter] = step.outlives.map((token) => expiryOf(this.#fillIn(token)));
      if (!(Number(longer) > Number(shorter))) {
        this.#fail('the refresh token expires no later than the access token');
      }
    } else if ('token' in step) {
      const token = this.#fillIn(step.token);
      this.#checkPattern(step.header, decodePart(token, 0), `the header of ${step.token}`);
      this.#checkPattern(step.payload, decodePart(token, 1), `the payload of ${step.token}`);
    } else await this.#exchange(step, `step ${number}: ${step.method} ${step.path}`);
  }

  async #exchange(exchange: Exchange, what: string): Promise<void> {
    const { race = { times: 1, others: exchange.answer }, keep = [], keepCookie } = exchange;
    const all = await Promise.all(
      Array.from({ length: race.times }, () => this.#request(exchange, what)),
    );
    const first = all.find((each) => isExpected(exchange, each)) ?? all[0];
    if (first === undefined) return;
    if (!exchange.setUp) this.#check(exchange.answer, first, what);
    else if (!isExpected(exchange, first)) this.#fail(`${what}: ${this.#statusOf(first, '2xx')}`);
    for (const other of all.filter((each) => each !== first)) {
      this.#check(race.others, other, `${what}, one of ${race.times} at once`);
    }
    if (exchange.asBefore) this.#checkSameAsPrevious(exchange, first, what);
    this.#previous = first;
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

  async #request(
    exchange: Exchange,
    what: string,
  ): Promise<Received & { readonly fault?: string }> {
    const { method, path, headers, json, text, answer } = exchange;
    const body = json === undefined ? text : this.#fillIn(JSON.stringify(json));
    const pattern = listPatternIn(answer.body);
    let fault: string | undefined;
    const read = async (response: Response): Promise<string> => {
      const isList = pattern !== undefined && response.status === answer.status;
      if (!isList || !isJson(response.headers)) return readText(response);
      const context = { values: this.#values, secrets: this.#secrets };
      fault = await findListMismatch(pattern, elementsOf(partsOf(response.body)), context);
      return '';
    };
    try {
      const sent = new Headers({ 'user-agent': 'conformance', ...this.#fillInAll(headers ?? {}) });
      if (json !== undefined) sent.set('content-type', 'application/json');
      const url = this.#server.base + this.#fillIn(path);
      const init = { method, headers: sent, body: body ?? null };
      const options = { read, ...(pattern && { timeoutMs: LIST_TIMEOUT_MS }) };
      const received = await sendRequest(this.#server.send, url, init, options);
      this.#record(exchange, body, received);
      return { ...received, ...(fault !== undefined && { fault }) };
    } catch (error) {
      const why = this.#secrets.redact(error instanceof Error ? error.message : '');
      return this.#fail(`${what}: no answer that can be read: ${why}`);
    }
  }

  #check(expected: ExpectedAnswer, received: Received & { fault?: string }, what: string): void {
    const { status, headers, text, fault } = received;
    if (status !== expected.status) {
      this.#fail(`${what}: ${this.#statusOf(received, String(expected.status))}`);
    }
    for (const [name, pattern] of Object.entries(expected.headers ?? {})) {
      this.#checkPattern(pattern, headers.get(name), `the header ${name} after ${what}`);
    }
    if (expected.body === undefined) {
      if (text !== '') this.#fail(`${what}: a body`);
      return;
    }
    if (!isJson(headers)) {
      const type = this.#secrets.redact(headers.get('content-type') ?? '');
      this.#fail(`${what}: a Content-Type of ${type}`);
    }
    if (listPatternIn(expected.body) === undefined) {
      this.#checkPattern(expected.body, parse(text), `the body after ${what}`);
    } else if (fault !== undefined) this.#fail(`the body after ${what}: ${fault}`);
  }

  /** Names the parts that differ, but does not show them: they can be long, and secret. */
  #checkSameAsPrevious(
    { method }: Exchange,
    { status, headers, text }: Received,
    what: string,
  ): void {
    const previous = this.#previous;
    if (previous === undefined) return;
    const names = new Set([...previous.headers.keys(), ...headers.keys()]);
    // A reply to HEAD may omit headers that depend on generating the content (RFC 9110 §9.3.2).
    const isHead = method === 'HEAD';
    const isIgnored = (name: string) =>
      VOLATILE_HEADERS.has(name) ||
      (isHead && name === 'transfer-encoding') ||
      (isHead && name === 'content-length' && !headers.has(name));
    const differing = [...names].filter(
      (name) => !isIgnored(name) && headers.get(name) !== previous.headers.get(name),
    );
    const faults = [
      ...(status === previous.status ? [] : ['the status']),
      ...differing.map((name) => `the header ${name}`),
      ...(isHead || text === previous.text ? [] : ['the body']),
    ];
    if (faults.length === 0) return;
    this.#fail(`${what}: differs from the answer before in ${faults.join(', ')}`);
  }

  #checkPattern(pattern: Json, seen: unknown, what: string): void {
    const fault = findMismatch(pattern, seen, { values: this.#values, secrets: this.#secrets });
    if (fault !== undefined) this.#fail(`${what}: ${fault}`);
  }

  #statusOf({ status, text }: Received, expected: string): string {
    return `status ${status} for ${expected}: ${this.#secrets.redact(text)}`;
  }

  /** Throws an error with a message alone: test runners print `actual`, which may hold a secret. */
  #fail(what: string): never {
    throw new AssertionError({ message: `${this.#name}\n${what}` });
  }

  #fillInAll(texts: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, this.#fillIn(text)]),
    );
  }

  /** Replaces names in double braces by their values. */
  #fillIn(text: string): string {
    return text.replaceAll(
      /\{\{(?:(unsigned|changed) )?(\w+)\}\}/g,
      (whole, how?: string, name = '') => {
        const value = this.#values.get(String(name));
        if (value === undefined) return whole;
        if (how === undefined) return value;
        return how === 'unsigned' ? withoutSignature(value) : withOtherUser(value);
      },
    );
  }

  /** Deletes the users that this case registered. Ignores failures. */
  async #deleteRegistered(): Promise<void> {
    for (const { accessToken, password } of this.#registered) {
      const answer: ExpectedAnswer = { status: 204 };
      const headers = { authorization: `Bearer ${accessToken}` };
      const deletion = { method: 'DELETE', path: '/account', headers, json: { password }, answer };
      await this.#request(deletion, 'the end').catch(() => {});
    }
  }

  /**
   * Adds the secrets of a response to those that no message shows, and the user if one was
   * registered.
   */
  #record({ path }: Exchange, body: string | undefined, received: Received): void {
    const { status, text } = received;
    for (const pair of cookiesIn(received)) this.#secrets.add(pair.replace(/^[^=]*=/, ''));
    const json = parse(text);
    this.#secrets.addFrom(json);
    const isRegistered = path === '/register' && status >= 200 && status < 300;
    const accessToken = memberOf(json, 'access_token');
    const password = memberOf(parse(body ?? ''), 'password');
    if (isRegistered && accessToken) this.#registered.push({ accessToken, password });
  }
}

/**
 * Headers that differ between equal responses: the time, and those of the connection (RFC 9110
 * §7.6.1).
 */
const VOLATILE_HEADERS: ReadonlySet<string> = new Set(['date', 'connection', 'keep-alive']);

function isExpected({ setUp, answer }: Exchange, { status }: Received): boolean {
  return setUp ? status >= 200 && status < 300 : status === answer.status;
}
