/** Load as honest clients make it: each knows what it was told, and tries again what is in doubt. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Account,
  type Action,
  Client,
  type History,
  isInDoubt,
  type Reply,
  type Tokens,
} from './history.ts';

export interface LoadOptions {
  /** Where the service is now. */
  readonly url: () => string;
  readonly clients: number;
  /** How often each action is taken, among the others; `MIXED` unless given. */
  readonly mix?: Mix;
  /** Milliseconds that each client rests after a request, half of them more or less; none unless given. */
  readonly pause?: number;
}

export type Mix = Readonly<Record<Action, number>>;

const MIXED: Mix = { register: 20, login: 15, refresh: 20, protected: 40, delete: 5 };
export const REGISTRATIONS: Mix = { register: 1, login: 0, refresh: 0, protected: 0, delete: 0 };

export interface Load {
  /** Resolves when every request has ended. */
  stop(): Promise<void>;
}

/** So many tries for what is in doubt, or was turned away. */
const TRIES = 5;
/** Milliseconds between them, and after a connection was refused. */
const REST = 50;
/** Of the registrations, how many are for an email that others try to register, too. */
const SHARED = 0.15;
/** So many owners register the same email, before they all go on to the next one. */
const RIVALS = 4;
/** Of the deleted accounts, how many nobody asks for again. */
const FORGOTTEN = 0.8;
/** How many accounts are kept for the other actions. */
const REMEMBERED = 500;

/** An account whose tokens somebody holds, be it deleted or not. */
interface Held extends Account {
  readonly tokens: Tokens;
}

/** Puts load on a service, until it is told to stop. */
export function startLoad(history: History, options: LoadOptions): Load {
  const { url, clients, mix = MIXED, pause = 0 } = options;
  const held: Held[] = [];
  const deck = Object.entries(mix).flatMap(([action, often]) =>
    Array.from({ length: often }, () => action as Action),
  );
  let isStopping = false;
  let numbers = 0;
  const one = async (owner: number) => {
    const client = new Client(url, history);
    const actor = new Actor(client, owner, held, () => (numbers += 1));
    while (!isStopping) {
      const { outcome } = await actor.act(deck[Math.floor(Math.random() * deck.length)]);
      const isRefused = 'fault' in outcome || outcome.status >= 500;
      const rest = isRefused ? REST : pause * (0.5 + Math.random());
      if (rest > 0) await sleep(rest);
    }
    client.close();
  };
  const running = Promise.all(Array.from({ length: clients }, (_, owner) => one(owner)));
  running.catch(() => {}); // Whoever stops it is told.
  return {
    async stop() {
      isStopping = true;
      await running;
    },
  };
}

/** What one client does. */
class Actor {
  readonly #client: Client;
  readonly #owner: number;
  /** Of all clients: they look at each other's accounts. */
  readonly #held: Held[];
  readonly #next: () => number;

  constructor(client: Client, owner: number, held: Held[], next: () => number) {
    this.#client = client;
    this.#owner = owner;
    this.#held = held;
    this.#next = next;
  }

  async act(action: Action = 'register'): Promise<Reply> {
    const account = this.#held[Math.floor(Math.random() * this.#held.length)];
    if (action === 'register' || account === undefined) return this.#register(this.#newEmail());
    if (action === 'login') return this.#login(account);
    if (action === 'refresh') return this.#client.refresh(account, account.tokens);
    if (action === 'protected') return this.#client.protected(account, account.tokens);
    const own = this.#held.findLast(({ owner }) => owner === this.#owner);
    return own === undefined ? this.#register(this.#newEmail()) : this.#delete(own);
  }

  #newEmail(): string {
    const number = this.#next();
    const rivals = Math.floor(number / (RIVALS / SHARED));
    return Math.random() < SHARED
      ? `shared.${rivals}@example.com`
      : `own.${this.#owner}.${number}@example.com`;
  }

  async #register(email: string): Promise<Reply> {
    const account = { email, owner: this.#owner };
    let wasInDoubt = false;
    const reply = await this.#untilSure(async () => {
      const each = await this.#client.register(account);
      wasInDoubt ||= isInDoubt(each.outcome);
      return each;
    });
    this.#hold(account, reply);
    const { outcome } = reply;
    const isTaken = 'status' in outcome && outcome.status === 400;
    // It may be by oneself: the answer before was lost.
    return wasInDoubt && isTaken ? this.#login(account) : reply;
  }

  async #login(account: Account): Promise<Reply> {
    const reply = await this.#untilSure(() => this.#client.login(account));
    this.#hold(account, reply);
    return reply;
  }

  async #delete(account: Held): Promise<Reply> {
    const reply = await this.#untilSure(() => this.#client.delete(account, account.tokens));
    const { outcome } = reply;
    if (!('status' in outcome) || (outcome.status !== 204 && outcome.status !== 404)) return reply;
    // Whether a deleted account is gone for everybody, and whether its email is free again.
    await this.#client.protected(account, account.tokens);
    if (Math.random() < 0.3) await this.#client.login(account);
    if (Math.random() < 0.3) await this.#client.refresh(account, account.tokens);
    if (Math.random() < FORGOTTEN) {
      for (const each of this.#held.filter(({ email }) => email === account.email)) {
        this.#held.splice(this.#held.indexOf(each), 1);
      }
    }
    if (Math.random() < 0.3) return this.#register(account.email);
    return reply;
  }

  async #untilSure(send: () => Promise<Reply>): Promise<Reply> {
    for (let tries = 1; ; tries += 1) {
      const reply = await send();
      const { outcome } = reply;
      const isSure = 'status' in outcome && outcome.status < 500;
      if (isSure || tries === TRIES) return reply;
      await sleep(REST * tries);
    }
  }

  #hold({ email, owner }: Account, { tokens }: Reply): void {
    if (tokens === undefined) return;
    if (this.#held.length >= REMEMBERED) {
      this.#held.splice(Math.floor(Math.random() * this.#held.length), 1);
    }
    this.#held.push({ email, owner, tokens });
  }
}
