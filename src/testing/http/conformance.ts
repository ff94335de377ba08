import * as assert from 'node:assert/strict';
import type { Case } from '../case.ts';
import { decidedAccountCases } from './decided-account-cases.ts';
import { decidedCases } from './decided-cases.ts';
import { documentedCases } from './documented-cases.ts';
import type { ContractCase, Exchange, ExpectedAnswer, Json, Step } from './contract.ts';
import { fits } from './json-pattern.ts';

/** The wire contract: plain data, which a program in any language can play. */
export const httpContract: readonly ContractCase[] = [
  ...documentedCases.map((each) => ({ ...each, source: 'document' as const })),
  ...[...decidedCases, ...decidedAccountCases].map((each) => ({
    ...each,
    source: 'portcullis' as const,
  })),
];

/** What is asked of a server, and what it is told to be. */
export interface ConformanceOptions {
  /** The document alone, unless given; or also what Portcullis has decided where that is silent. */
  readonly scope?: 'document' | 'everything';
  /** Who may read GET /users there; `public`, as documented, unless given. */
  readonly usersAccess?: 'public' | 'authenticated' | 'disabled';
  /** Deletes a user, not by the API. Without it the answers to those who are gone are not tried. */
  readonly deleteUser?: (email: string) => unknown;
  /** How requests leave; the global `fetch` unless given. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** Milliseconds. */
const TIMEOUT = 10_000;
const PASSWORD = 'conformance: 42 horses, stapled';

/**
 * The cases of `httpContract` against a server, of this product or any other. They need nothing of each
 * other, can be run at once, and register some sixty users, who afterwards delete themselves where there
 * is DELETE /account. Within Portcullis's own limits on attempts it can be run five times an hour.
 * @throws TypeError for a base URL that is none
 */
export function conformance(baseUrl: string, options: ConformanceOptions = {}): readonly Case[] {
  const { scope = 'document', usersAccess = 'public', deleteUser, fetch: send = fetch } = options;
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash) {
    throw new TypeError('the base URL must be like http://localhost:8000');
  }
  const base = url.origin + url.pathname.replace(/\/+$/, '');
  return httpContract
    .filter(({ source }) => source === 'document' || scope === 'everything')
    .filter((each) => each.usersAccess === undefined || each.usersAccess === usersAccess)
    .filter(({ steps }) => deleteUser || !steps.some((step) => 'deleteUser' in step))
    .map(({ name, steps }) => ({
      name,
      run: () => new Run(name, base, send, deleteUser).play(steps),
    }));
}

interface Received {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** One run of one case. */
class Run {
  readonly #name: string;
  readonly #base: string;
  readonly #send: NonNullable<ConformanceOptions['fetch']>;
  readonly #deleteUser: ConformanceOptions['deleteUser'];
  readonly #values: Map<string, string>;
  readonly #made: { readonly accessToken: string; readonly password: string }[] = [];

  constructor(
    name: string,
    base: string,
    send: NonNullable<ConformanceOptions['fetch']>,
    deleteUser: ConformanceOptions['deleteUser'],
  ) {
    this.#name = name;
    this.#base = base;
    this.#send = send;
    this.#deleteUser = deleteUser;
    const user = `conformance-${crypto.randomUUID()}`;
    this.#values = new Map([
      ['email', `${user}@example.com`],
      ['EMAIL', `${user}@example.com`.toUpperCase()],
      ['email2', `${user}-2@example.com`],
      ['password', PASSWORD],
    ]);
  }

  async play(steps: readonly Step[]): Promise<void> {
    try {
      for (const [i, step] of steps.entries()) await this.#step(step, i + 1);
    } finally {
      await this.#leave();
    }
  }

  async #step(step: Step, number: number): Promise<void> {
    if ('deleteUser' in step) await this.#deleteUser?.(this.#filled(step.deleteUser));
    else if ('outlives' in step) {
      const [longer, shorter] = step.outlives.map((token) => this.#part(token, 1));
      assert.ok(
        expiryOf(longer) > expiryOf(shorter),
        `${this.#name}\nthe refresh token expires no later than the access token`,
      );
    } else if ('token' in step) {
      this.#holds(step.header, this.#part(step.token, 0), `the header of ${step.token}`);
      this.#holds(step.payload, this.#part(step.token, 1), `the payload of ${step.token}`);
    } else await this.#exchange(step, number);
  }

  async #exchange(exchange: Exchange, number: number): Promise<void> {
    const { race = { times: 1, others: exchange.answer }, answer, keep = [] } = exchange;
    const what = `step ${number}: ${exchange.method} ${exchange.path}`;
    const all = await Promise.all(
      Array.from({ length: race.times }, () => this.#ask(exchange, what)),
    );
    const first = all.find(({ status }) => status === answer.status) ?? all[0];
    if (first === undefined) return;
    this.#check(answer, first, what);
    for (const other of all.filter((each) => each !== first)) {
      this.#check(race.others, other, `${what}, one of ${race.times} at once`);
    }
    const json: unknown = keep.length > 0 ? JSON.parse(first.text) : {};
    for (const name of keep) {
      if (typeof json === 'object' && json) this.#values.set(name, String(Reflect.get(json, name)));
    }
  }

  async #ask(exchange: Exchange, what: string): Promise<Received> {
    const { method, path, headers, json, text } = exchange;
    const sent = new Headers({ 'user-agent': 'conformance', ...this.#filledAll(headers ?? {}) });
    if (json !== undefined) sent.set('content-type', 'application/json');
    const body = json === undefined ? text : this.#filled(JSON.stringify(json));
    try {
      const response = await this.#send(this.#base + this.#filled(path), {
        method,
        headers: sent,
        body: body ?? null,
        redirect: 'manual',
        signal: AbortSignal.timeout(TIMEOUT),
      });
      const received = await response.text();
      if (response.status === 201) this.#note(exchange, body, received);
      return { status: response.status, headers: response.headers, text: received };
    } catch (cause) {
      throw new Error(`${this.#name}\n${what}: ${this.#base} does not answer`, { cause });
    }
  }

  #check(expected: ExpectedAnswer, { status, headers, text }: Received, what: string): void {
    assert.equal(
      status,
      expected.status,
      `${this.#name}\n${what}: status ${status} for ${expected.status}: ${clip(text)}`,
    );
    for (const [name, pattern] of Object.entries(expected.headers ?? {})) {
      this.#holds(pattern, headers.get(name), `the header ${name} after ${what}`);
    }
    if (expected.body === undefined) {
      assert.equal(text, '', `${this.#name}\n${what}: a body`);
      return;
    }
    const type = headers.get('content-type') ?? '';
    assert.match(type, /^application\/json\b/, `${this.#name}\n${what}: a Content-Type of ${type}`);
    this.#holds(expected.body, parse(text), `the body after ${what}`);
  }

  #holds(pattern: Json, seen: unknown, what: string): void {
    const fault = fits(pattern, seen, this.#values);
    if (fault === undefined) return;
    throw new assert.AssertionError({ message: `${this.#name}\n${what}: ${fault}` });
  }

  #part(token: string, index: 0 | 1): unknown {
    const part = this.#filled(token).split('.')[index] ?? '';
    return parse(decode(part));
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
        if (how === 'unsigned') return unsigned(value);
        return how === 'changed' ? changed(value) : value;
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

  #note({ path }: Exchange, body: string | undefined, text: string): void {
    const [sent, made] = [parse(body ?? ''), parse(text)];
    const [password, accessToken] = [memberOf(sent, 'password'), memberOf(made, 'access_token')];
    if (path === '/register' && accessToken) this.#made.push({ accessToken, password });
  }
}

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

/** A part of a token as text. */
function decode(part: string): string {
  return Buffer.from(part, 'base64url').toString();
}

function encode(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url');
}

function objectIn(part: string): object {
  const json = parse(decode(part));
  return typeof json === 'object' && json ? json : {};
}

/** The token as one that needs no key (RFC 7519 §6). */
function unsigned(token: string): string {
  const [head = '', payload = ''] = token.split('.');
  return `${encode({ ...objectIn(head), alg: 'none' })}.${payload}.`;
}

/** The token with another subject, and the signature that it had. */
function changed(token: string): string {
  const [head = '', payload = '', signature = ''] = token.split('.');
  return `${head}.${encode({ ...objectIn(payload), sub: '1', user_id: 1 })}.${signature}`;
}

function expiryOf(payload: unknown): number {
  const exp: unknown = typeof payload === 'object' && payload ? Reflect.get(payload, 'exp') : 0;
  return Number(exp);
}

/** Of an answer that nobody expected, with no token in it. */
function clip(text: string): string {
  return text.replaceAll(/eyJ[\w.-]+/g, 'eyJ…').slice(0, 200);
}
