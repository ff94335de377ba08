import type { Refreshed, TokenPair } from '../../../application/index.ts';
import { AuthError } from '../../../domain/errors.ts';
import { memberOf } from './round-trip.ts';

/** Where a client keeps its tokens: in memory, a browser's storage, a file. Guard it like a password. */
export interface TokenStorage {
  /** What was kept last; undefined or null where there is nothing. */
  get(): TokenPair | null | undefined | Promise<TokenPair | null | undefined>;
  /** Keeps the pair, or with undefined nothing. */
  set(tokens: TokenPair | undefined): void | Promise<void>;
}

/** Keeps tokens for as long as the process runs. */
export function memoryTokens(): TokenStorage {
  let kept: TokenPair | undefined;
  return {
    get: () => kept,
    set: (tokens) => {
      kept = tokens;
    },
  };
}

/** Exchanges a refresh token at the service. */
type Refresh = (refreshToken: string) => Promise<Refreshed>;

/** What is kept at a moment, and of which sign-in it is. */
export interface Snapshot {
  readonly pair: TokenPair | undefined;
  readonly generation: number;
  /** How many refreshes were over when it was asked for. */
  readonly refreshes: number;
}

/** An exchange of tokens, under way or over, and of which sign-in it is. */
interface Exchange {
  readonly generation: number;
  readonly pair: Promise<TokenPair | undefined>;
}

/**
 * The tokens of whoever uses a client, refreshed when need be: once, however many calls need it. A call
 * is only ever repeated for the sign-in that it was made for: each begins a generation, also one that
 * somebody else has written to the storage.
 */
export class KeptTokens {
  readonly #storage: TokenStorage;
  readonly #refresh: Refresh;
  /** What the storage was last known to hold. */
  #seen: TokenPair | undefined;
  #generation = 0;
  #refreshes = 0;
  #underWay: Exchange | undefined;
  #latest: Exchange | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(storage: TokenStorage, refresh: Refresh) {
    this.#storage = storage;
    this.#refresh = refresh;
  }

  snapshot(): Promise<Snapshot> {
    const refreshes = this.#refreshes;
    return this.#alone(async () => {
      const pair = await this.#get();
      return { pair, generation: this.#generation, refreshes };
    });
  }

  /** Keeps other tokens: of a sign-in. */
  keep({ accessToken, refreshToken }: TokenPair): Promise<void> {
    return this.#alone(() => {
      this.#generation += 1;
      return this.#set({ accessToken, refreshToken });
    });
  }

  /** Keeps the successor of a refresh token, if that is the one which is kept. */
  replace(refreshToken: string, successor: TokenPair): Promise<void> {
    return this.#alone(async () => {
      if ((await this.#get())?.refreshToken === refreshToken) await this.#set(successor);
    });
  }

  /** Keeps nothing any more, if what is kept is what is meant. */
  drop(isMeant: (kept: TokenPair, generation: number) => boolean): Promise<void> {
    return this.#alone(async () => {
      const kept = await this.#get();
      if (kept === undefined || !isMeant(kept, this.#generation)) return;
      this.#generation += 1;
      await this.#set(undefined);
    });
  }

  /**
   * Calls with the access token that is kept, or was a moment before; if that is refused, once more with
   * a fresh one of the same sign-in.
   * @throws AuthError `missing_access_token` where none is kept; what the refresh and the call throw
   */
  async use<T>(call: (accessToken: string) => Promise<T>, moment = this.snapshot()): Promise<T> {
    const before = await moment;
    if (before.pair === undefined) throw new AuthError('missing_access_token');
    try {
      return await call(before.pair.accessToken);
    } catch (refusal) {
      const isExpired = refusal instanceof AuthError && refusal.code === 'invalid_access_token';
      const fresh = isExpired ? await this.#fresh(before) : undefined;
      if (fresh === undefined) throw refusal;
      return call(fresh.accessToken);
    }
  }

  async #fresh(before: Snapshot): Promise<TokenPair | undefined> {
    const { pair, generation } = await this.snapshot();
    const isSame = generation === before.generation;
    // Another was faster.
    if (isSame && pair && pair.accessToken !== before.pair?.accessToken) return pair;
    return this.refresh({ ...before, pair: isSame ? pair : undefined });
  }

  /**
   * A younger pair, or no more than a failure; all who ask for it meanwhile get the same, and so does
   * whoever began before it was over: with a slow storage some only come to ask afterwards. Undefined
   * where somebody has signed in or out since. A refusal that ends the session takes away what is kept;
   * any other failure leaves it.
   */
  refresh({ pair, generation, refreshes }: Snapshot): Promise<TokenPair | undefined> {
    const isOver = this.#refreshes > refreshes && this.#latest?.generation === generation;
    if (isOver && this.#latest) return this.#latest.pair;
    if (this.#underWay?.generation === generation) return this.#underWay.pair;
    if (pair === undefined) return Promise.resolve(undefined);
    const exchange: Exchange = {
      generation,
      pair: this.#exchange(pair, generation).finally(() => {
        this.#refreshes += 1;
        this.#latest = exchange;
        if (this.#underWay === exchange) this.#underWay = undefined;
      }),
    };
    this.#underWay = exchange;
    return exchange.pair;
  }

  async #exchange(kept: TokenPair, generation: number): Promise<TokenPair | undefined> {
    let refreshed: Refreshed;
    try {
      refreshed = await this.#refresh(kept.refreshToken);
    } catch (error) {
      if (error instanceof AuthError && ENDS.has(error.code)) {
        await this.drop((now, of) => of === generation && now.refreshToken === kept.refreshToken);
      }
      throw error;
    }
    const { accessToken, refreshToken = kept.refreshToken } = refreshed;
    const pair = { accessToken, refreshToken };
    return this.#alone(async () => {
      const now = await this.#get();
      // Whoever has signed in or out meanwhile knows better.
      if (this.#generation !== generation) return undefined;
      if (now?.refreshToken !== kept.refreshToken) return now;
      await this.#set(pair);
      return pair;
    });
  }

  async #get(): Promise<TokenPair | undefined> {
    const pair = (await this.#storage.get()) ?? undefined;
    if (!isSameSignIn(pair, this.#seen)) this.#generation += 1;
    this.#seen = pair;
    return pair;
  }

  async #set(pair: TokenPair | undefined): Promise<void> {
    this.#seen = pair;
    await this.#storage.set(pair);
  }

  /** One after the other: what has been looked at is still so when it is changed. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}

/**
 * Where others write to the same storage: whether two pairs are surely of one sign-in. They are if they
 * have a refresh token in common, or access tokens that say so.
 */
function isSameSignIn(one: TokenPair | undefined, other: TokenPair | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (one.refreshToken && one.refreshToken === other.refreshToken) return true;
  const session = sessionOf(one);
  return session !== undefined && session === sessionOf(other);
}

/** The user and the session that an access token names; undefined where it names none. */
function sessionOf({ accessToken }: TokenPair): string | undefined {
  try {
    const [, payload = ''] = accessToken.split('.');
    const json: unknown = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    const [iss, sub, sid] = ['iss', 'sub', 'sid'].map((name) => memberOf(json, name));
    if (typeof sub !== 'string' || typeof sid !== 'string') return undefined;
    return JSON.stringify([iss, sub, sid]);
  } catch {
    return undefined;
  }
}

/** The refusals after which a refresh token is good for nothing. */
const ENDS: ReadonlySet<string> = new Set(['invalid_refresh_token', 'user_not_found']);
