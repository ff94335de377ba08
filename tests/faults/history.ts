/** What was asked of the service and what came of it, as its clients have seen it. */
import { Agent, type IncomingMessage, request } from 'node:http';
import { text as readAll } from 'node:stream/consumers';

export type Action = 'register' | 'login' | 'refresh' | 'protected' | 'delete';

/** Who a token is of. */
export interface Identity {
  readonly userId: string;
  readonly sessionId: string;
}

/** One request. */
export interface Entry {
  readonly action: Action;
  readonly email: string;
  /** Whose password it is: accounts that different owners make of one email are different ones. */
  readonly owner: number;
  /** Of the token that was sent; register and login send none. */
  readonly presented?: Identity;
  /** In ms of one clock: before the first byte was sent, and after the last one was read. */
  readonly start: number;
  readonly end: number;
  readonly outcome: Outcome;
}

export type Outcome = Answer | Fault;

export interface Answer {
  readonly status: number;
  /** The body's `message`, empty where it has none; the whole body where it is not the JSON that it should be. */
  readonly message: string;
  /** Of the access token that the answer gives. */
  readonly granted?: Identity;
}

/** There was no answer: the code of the connection's error, or `NO_ANSWER`. */
export interface Fault {
  readonly fault: string;
}

/** Clients wait for so many ms; the contract promises an answer in half of it. */
const PATIENCE = 10_000;
const NO_ANSWER = 'no answer';

/** Whether it is not known what came of it: it may be done, or may still be done. */
export function isInDoubt(outcome: Outcome): boolean {
  // Without a connection nothing was sent.
  return 'fault' in outcome ? outcome.fault !== 'ECONNREFUSED' : outcome.status === 500;
}

/** Every request that has ended, in the order of their ends. */
export class History {
  readonly entries: Entry[] = [];

  /** How many of them ended so. */
  count(which: (entry: Entry, outcome: Partial<Answer & Fault>) => boolean): number {
    return this.entries.filter((entry) => which(entry, entry.outcome)).length;
  }

  /** Milliseconds of the slowest. */
  get slowest(): number {
    return this.entries.reduce((most, { start, end }) => Math.max(most, end - start), 0);
  }
}

/** The tokens of a sign-in, and whose they are. */
export interface Tokens {
  readonly access: string;
  readonly refresh: string;
  readonly identity: Identity;
}

/** An account as its owner knows it. */
export interface Account {
  readonly email: string;
  readonly owner: number;
}

/** The one password of an owner. */
export function passwordOf(owner: number): string {
  return `pass phrase of ${owner}`;
}

export function usernameOf(email: string): string {
  return `User of ${email}`;
}

/** One client on a connection of its own that is kept alive; every request of it is recorded. */
export class Client {
  readonly #url: () => string;
  readonly #history: History;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  /** `url`: where the service is now. */
  constructor(url: () => string, history: History) {
    this.#url = url;
    this.#history = history;
  }

  async register(account: Account): Promise<Reply> {
    const { email, owner } = account;
    const [username, password] = [usernameOf(email), passwordOf(owner)];
    const json = { username, email, password, confirm_password: password };
    return this.#send('register', account, 'POST /register', { json });
  }

  login(account: Account): Promise<Reply> {
    const { email, owner } = account;
    return this.#send('login', account, 'POST /login', {
      json: { email, password: passwordOf(owner) },
    });
  }

  refresh(account: Account, tokens: Tokens): Promise<Reply> {
    const json = { refresh_token: tokens.refresh };
    return this.#send('refresh', account, 'POST /refresh', { json }, tokens);
  }

  protected(account: Account, tokens: Tokens): Promise<Reply> {
    return this.#send('protected', account, 'GET /protected', { token: tokens.access }, tokens);
  }

  delete(account: Account, tokens: Tokens): Promise<Reply> {
    const json = { password: passwordOf(account.owner) };
    const sent = { json, token: tokens.access };
    return this.#send('delete', account, 'DELETE /account', sent, tokens);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send(
    action: Action,
    { email, owner }: Account,
    endpoint: string,
    sent: Sent,
    tokens?: Tokens,
  ): Promise<Reply> {
    const start = performance.now();
    const response = await this.#exchange(endpoint, sent).catch((error: unknown) => ({
      fault: codeOf(error),
    }));
    const end = performance.now();
    const read = 'fault' in response ? { outcome: response } : readAnswer(response);
    const presented = tokens && { presented: tokens.identity };
    this.#history.entries.push({ action, email, owner, ...presented, start, end, ...read });
    return read;
  }

  #exchange(endpoint: string, { json, token }: Sent): Promise<Response> {
    const [method = '', path = ''] = endpoint.split(' ');
    const body = json === undefined ? undefined : JSON.stringify(json);
    const headers = {
      // Of all the world, as the clients of a service are: one address is limited in what it may do.
      'X-Forwarded-For': anyAddress(),
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(body !== undefined && {
        'Content-Type': 'application/json',
        'Content-Length': String(Buffer.byteLength(body)),
      }),
    };
    return new Promise((resolve, reject) => {
      const asked = request(`${this.#url()}${path}`, { method, headers, agent: this.#agent });
      const timer = setTimeout(() => {
        asked.destroy(Object.assign(new Error('too late'), { code: NO_ANSWER }));
      }, PATIENCE);
      const read = async (response: IncomingMessage) => {
        const text = await readAll(response);
        return { status: response.statusCode ?? 0, text };
      };
      asked.once('close', () => clearTimeout(timer));
      asked.once('error', reject);
      asked.once('response', (response) => {
        read(response).then(resolve, reject);
      });
      asked.end(body);
    });
  }
}

/** What an owner does with a reply. */
export interface Reply {
  readonly outcome: Outcome;
  readonly tokens?: Tokens;
}

interface Sent {
  readonly json?: unknown;
  readonly token?: string;
}

interface Response {
  readonly status: number;
  readonly text: string;
}

function anyAddress(): string {
  const part = () => Math.floor(Math.random() * 256);
  return `10.${part()}.${part()}.${part()}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function readAnswer({ status, text }: Response): Reply {
  if (status === 204) return { outcome: { status, message: text } };
  const body = parse(text);
  if (body === undefined) return { outcome: { status, message: text } };
  const { message = '', access_token: access, refresh_token: refresh = '' } = body;
  const granted = access === undefined ? undefined : identityOf(access);
  return {
    outcome: { status, message, ...(granted && { granted }) },
    ...(access !== undefined && granted && { tokens: { access, refresh, identity: granted } }),
  };
}

type Body = Partial<Record<'message' | 'access_token' | 'refresh_token', string>>;

function parse(text: string): Body | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? body : undefined;
  } catch {
    return undefined;
  }
}

function identityOf(token: string): Identity | undefined {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  const claims: unknown = payload === '' ? undefined : JSON.parse(payload);
  if (typeof claims !== 'object' || claims === null) return undefined;
  const { sub, sid } = claims as Record<string, unknown>;
  return typeof sub === 'string' && typeof sid === 'string'
    ? { userId: sub, sessionId: sid }
    : undefined;
}
