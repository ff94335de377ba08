/** The mixed load of the soak: users who register, use every endpoint, and delete their account. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, type Reply, requestText } from './measure.ts';

const PASSWORD = 'fourteen grey herons';

/** How long an idle connection is reused. The service closes it after 5 s. */
const MAX_IDLE_MS = 3_000;

interface Account {
  readonly email: string;
  accessToken: string;
  refreshToken: string;
}

/** A request, its expected replies, and what to do with a successful one. */
interface Step {
  readonly text: string;
  /** The expected statuses. A reply with any other counts as unexpected. */
  readonly statuses: readonly number[];
  readonly take?: (reply: Reply) => void;
}

export type Kind =
  | 'register'
  | 'delete'
  | 'login'
  | 'wrong password'
  | 'refresh'
  | '/protected'
  | 'page of /users';

/**
 * The percentage of each kind. As many users register as leave, so that the database does not grow.
 */
const PERCENTAGES: readonly (readonly [kind: Kind, share: number])[] = [
  ['register', 5],
  ['delete', 5],
  ['login', 10],
  ['wrong password', 5],
  ['refresh', 25],
  ['/protected', 40],
  ['page of /users', 10],
];

/** The outcome of a request. */
export interface Outcome {
  readonly kind: Kind;
  /** 0 if no reply came. */
  readonly status: number;
  readonly ms: number;
  /** The body of an unexpected reply, or why none came. */
  readonly unexpected?: string;
}

export class Crowd {
  readonly #url: string;
  readonly #accounts: Account[] = [];
  readonly #idle: { readonly connection: Connection; readonly since: number }[] = [];
  #count = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** Registers this many accounts, four at a time. */
  async gather(accounts: number): Promise<void> {
    while (this.#accounts.length < accounts) {
      const replies = await Promise.all(Array.from({ length: 4 }, () => this.#send('register')));
      const wrong = replies.find(({ unexpected }) => unexpected !== undefined);
      if (wrong) throw new Error(`registration: ${wrong.status}`);
    }
  }

  /**
   * An open loop: sends at `rate` a second whether replies come or not, then waits for the last.
   */
  async act(rate: number, seconds: number, take: (outcome: Outcome) => void): Promise<void> {
    const pending = new Set<Promise<void>>();
    const started = performance.now();
    for (let sent = 0; sent < rate * seconds; ) {
      const due = Math.min(((performance.now() - started) / 1000) * rate, rate * seconds);
      for (; sent < due; sent += 1) {
        const sending = this.#send(pick())
          .then(take)
          .finally(() => pending.delete(sending));
        pending.add(sending);
      }
      await sleep(5);
    }
    await Promise.all(pending);
  }

  leave(): void {
    for (const { connection } of this.#idle.splice(0)) connection.close();
  }

  async #connect(): Promise<Connection> {
    for (let found = this.#idle.pop(); found; found = this.#idle.pop()) {
      if (performance.now() - found.since < MAX_IDLE_MS) return found.connection;
      found.connection.close();
    }
    return Connection.open(this.#url);
  }

  /** Never rejects: a lost connection is an unexpected outcome. */
  async #send(kind: Kind): Promise<Outcome> {
    const { text, statuses, take } = this.#step(kind);
    const started = performance.now();
    try {
      const connection = await this.#connect();
      const reply = await connection.send(text);
      this.#idle.push({ connection, since: performance.now() });
      const { status, ms, body } = reply;
      if (!statuses.includes(status)) return { kind, status, ms, unexpected: body };
      if (status < 300) take?.(reply);
      return { kind, status, ms };
    } catch (fault) {
      return { kind, status: 0, ms: performance.now() - started, unexpected: String(fault) };
    }
  }

  #step(kind: Kind): Step {
    const account = this.#accounts[Math.floor(Math.random() * this.#accounts.length)];
    if (kind === 'register' || account === undefined) return this.#register();
    const { email, accessToken: token, refreshToken: refresh_token } = account;
    switch (kind) {
      case 'delete':
        this.#accounts.splice(this.#accounts.indexOf(account), 1);
        return {
          text: fromUniqueAddress('DELETE /account', { json: { password: PASSWORD }, token }),
          statuses: [204, 429],
        };
      case 'login':
        return {
          text: fromUniqueAddress('POST /login', { json: { email, password: PASSWORD } }),
          statuses: [200, ...AFTER_OTHERS],
          take: ({ body }) => Object.assign(account, tokensOf(body)),
        };
      case 'wrong password':
        return {
          text: fromUniqueAddress('POST /login', {
            json: { email, password: 'fourteen wrong ones' },
          }),
          statuses: [401, 429],
        };
      case 'refresh':
        return {
          text: requestText('POST /refresh', { json: { refresh_token } }),
          statuses: [200, ...AFTER_DELETION],
        };
      case '/protected':
        return {
          text: requestText('GET /protected', { token }),
          statuses: [200, ...AFTER_DELETION],
        };
      default:
        return {
          text: requestText(`GET /users?limit=20&after=${Math.floor(Math.random() * this.#count)}`),
          statuses: [200],
        };
    }
  }

  #register(): Step {
    const email = `user${(this.#count += 1)}@example.com`;
    const username = `User ${this.#count}`;
    const json = { username, email, password: PASSWORD, confirm_password: PASSWORD };
    return {
      text: fromUniqueAddress('POST /register', { json }),
      statuses: [201],
      take: ({ body }) => this.#accounts.push({ email, ...tokensOf(body) }),
    };
  }
}

/** For a request that overlaps with the deletion of its user. */
const AFTER_DELETION = [404] as const;
/** The same, or ten wrong passwords of others for the account locked it. */
const AFTER_OTHERS = [401, 429] as const;

function pick(): Kind {
  let rest = Math.random() * 100;
  const [kind] = PERCENTAGES.find(([, share]) => (rest -= share) < 0) ?? ['/protected' as const];
  return kind;
}

/** A request from a unique address, so that limits per address do not count. */
function fromUniqueAddress(endpoint: string, sent: { json: unknown; token?: string }): string {
  const address = `X-Forwarded-For: 10.${randomBytes(3).join('.')}`;
  return requestText(endpoint, sent).replace('\r\n', `\r\n${address}\r\n`);
}

function tokensOf(body: string): Pick<Account, 'accessToken' | 'refreshToken'> {
  const [accessToken = '', refreshToken = ''] = ['access_token', 'refresh_token'].map(
    (name) => new RegExp(`"${name}":"([^"]+)"`).exec(body)?.[1],
  );
  return { accessToken, refreshToken };
}
