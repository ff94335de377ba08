import type { Refreshed, TokenPair } from '../../application/index.ts';
import { AuthError } from '../../domain/errors.ts';
import { memberOf } from './exchange.ts';

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
interface Snapshot {
  readonly pair: TokenPair | undefined;
  readonly generation: number;
}

/**
 * The tokens of whoever uses a client, refreshed when need be: once, however many calls need it. A call
 * is only ever repeated for the sign-in that it was made for: each begins a generation.
 */
export class KeptTokens {
  readonly #storage: TokenStorage;
  readonly #refresh: Refresh;
  #generation = 0;
  #refreshing:
    | { readonly generation: number; readonly pair: Promise<TokenPair | undefined> }
    | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(storage: TokenStorage, refresh: Refresh) {
    this.#storage = storage;
    this.#refresh = refresh;
  }

  snapshot(): Promise<Snapshot> {
    return this.#alone(async () => ({ pair: await this.#get(), generation: this.#generation }));
  }

  /** Keeps other tokens: of a sign-in. */
  keep({ accessToken, refreshToken }: TokenPair): Promise<void> {
    return this.#alone(async () => {
      this.#generation += 1;
      await this.#storage.set({ accessToken, refreshToken });
    });
  }

  /** Keeps the successor of a refresh token, if that is the one which is kept. */
  replace(refreshToken: string, successor: TokenPair): Promise<void> {
    return this.#alone(async () => {
      if ((await this.#get())?.refreshToken === refreshToken) await this.#storage.set(successor);
    });
  }

  /** Keeps nothing any more, if what is kept is what is meant. */
  drop(isMeant: (kept: TokenPair, generation: number) => boolean): Promise<void> {
    return this.#alone(async () => {
      const kept = await this.#get();
      if (kept === undefined || !isMeant(kept, this.#generation)) return;
      this.#generation += 1;
      await this.#storage.set(undefined);
    });
  }

  /**
   * Calls with the kept access token; if that is refused, once more with a fresh one of the same sign-in.
   * @throws AuthError `missing_access_token` where none is kept; what the refresh and the call throw
   */
  async use<T>(call: (accessToken: string) => Promise<T>): Promise<T> {
    const before = await this.snapshot();
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

  async #fresh({ pair: stale, generation }: Snapshot): Promise<TokenPair | undefined> {
    const now = await this.snapshot();
    if (now.generation !== generation || !now.pair || !stale) return undefined;
    if (now.pair.accessToken === stale.accessToken) return this.refresh(now);
    return isOfSameUser(now.pair, stale) ? now.pair : undefined; // Another was faster.
  }

  /**
   * A younger pair; all who ask for it meanwhile get the same. Undefined where somebody has signed in or
   * out since. A refusal that ends the session takes away what is kept; any other failure leaves it.
   */
  refresh({ pair, generation }: Snapshot): Promise<TokenPair | undefined> {
    if (pair === undefined) return Promise.resolve(undefined);
    if (this.#refreshing?.generation !== generation) {
      const refreshing = {
        generation,
        pair: this.#exchange(pair, generation).finally(() => {
          if (this.#refreshing === refreshing) this.#refreshing = undefined;
        }),
      };
      this.#refreshing = refreshing;
    }
    return this.#refreshing.pair;
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
      // Whoever has signed in or out meanwhile knows better.
      if (this.#generation !== generation) return undefined;
      const now = await this.#get();
      if (now?.refreshToken !== kept.refreshToken) {
        return now && isOfSameUser(now, kept) ? now : undefined;
      }
      await this.#storage.set(pair);
      return pair;
    });
  }

  async #get(): Promise<TokenPair | undefined> {
    return (await this.#storage.get()) ?? undefined;
  }

  /** One after the other: what has been looked at is still so when it is changed. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}

/** Where others write to the same storage: whether two pairs are of one user, if they say so at all. */
function isOfSameUser(one: TokenPair, other: TokenPair): boolean {
  return subjectOf(one) === subjectOf(other);
}

function subjectOf({ accessToken }: TokenPair): unknown {
  try {
    const [, payload = ''] = accessToken.split('.');
    const json: unknown = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    return memberOf(json, 'sub');
  } catch {
    return undefined;
  }
}

/** The refusals after which a refresh token is good for nothing. */
const ENDS: ReadonlySet<string> = new Set(['invalid_refresh_token', 'user_not_found']);
