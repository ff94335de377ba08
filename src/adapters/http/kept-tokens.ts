import type { Refreshed, TokenPair } from '../../application/index.ts';
import { AuthError } from '../../domain/errors.ts';

/** Where a client keeps its tokens: in memory, a browser's storage, a file. Guard it like a password. */
export interface TokenStorage {
  /** What was kept last; undefined where there is nothing. */
  get(): TokenPair | undefined | Promise<TokenPair | undefined>;
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

/** The tokens of whoever uses a client, refreshed when need be: once, however many calls need it. */
export class KeptTokens {
  readonly #storage: TokenStorage;
  readonly #refresh: Refresh;
  #refreshing: Promise<Refreshed & TokenPair> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(storage: TokenStorage, refresh: Refresh) {
    this.#storage = storage;
    this.#refresh = refresh;
  }

  async get(): Promise<TokenPair | undefined> {
    return this.#storage.get();
  }

  /** Keeps other tokens: of a sign-in. */
  keep({ accessToken, refreshToken }: TokenPair): Promise<void> {
    return this.#alone(async () => this.#storage.set({ accessToken, refreshToken }));
  }

  /** Keeps nothing any more, if what is kept is what is meant. */
  drop(isMeant: (kept: TokenPair) => boolean): Promise<void> {
    return this.#alone(async () => {
      const kept = await this.#storage.get();
      if (kept && isMeant(kept)) await this.#storage.set(undefined);
    });
  }

  /**
   * Calls with the kept access token; if that is refused, once more with a fresh one.
   * @throws AuthError `missing_access_token` where none is kept; what the refresh and the call throw
   */
  async use<T>(call: (accessToken: string) => Promise<T>): Promise<T> {
    const kept = await this.#storage.get();
    if (kept === undefined) throw new AuthError('missing_access_token');
    try {
      return await call(kept.accessToken);
    } catch (error) {
      if (!(error instanceof AuthError) || error.code !== 'invalid_access_token') throw error;
    }
    const { accessToken } = await this.refresh(kept);
    return call(accessToken);
  }

  /**
   * A pair that is younger than `stale`: all who ask for it meanwhile get the same. A refusal that ends
   * the session takes away what is kept; any other failure leaves it.
   */
  refresh(stale: TokenPair): Promise<Refreshed & TokenPair> {
    this.#refreshing ??= this.#exchange(stale).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #exchange(stale: TokenPair): Promise<Refreshed & TokenPair> {
    const kept = await this.#storage.get();
    if (kept === undefined) throw new AuthError('missing_access_token');
    if (kept.accessToken !== stale.accessToken) return kept; // Another was faster.
    const isSame = (now: TokenPair) => now.refreshToken === kept.refreshToken;
    let refreshed: Refreshed;
    try {
      refreshed = await this.#refresh(kept.refreshToken);
    } catch (error) {
      if (error instanceof AuthError && ENDS.has(error.code)) await this.drop(isSame);
      throw error;
    }
    const { accessToken, refreshToken = kept.refreshToken } = refreshed;
    const pair = { accessToken, refreshToken };
    return this.#alone(async () => {
      const now = await this.#storage.get();
      // Whoever has signed in or out meanwhile knows better.
      if (now === undefined) throw new AuthError('missing_access_token');
      if (!isSame(now)) return now;
      await this.#storage.set(pair);
      return pair;
    });
  }

  /** One after the other: what has been looked at is still so when it is changed. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}

/** The refusals after which a refresh token is good for nothing. */
const ENDS: ReadonlySet<string> = new Set(['invalid_refresh_token', 'user_not_found']);
