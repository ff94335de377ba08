import type { Refreshed, TokenPair } from '../../../application/index.ts';
import { AuthError } from '../../../domain/errors.ts';
import { isDeadRefreshToken, unverifiedClaims } from '../contract/tokens.ts';
import { memberOf } from './round-trip.ts';

/** Keeps a client's tokens: in memory, a browser's storage, a file. Guard it like a password. */
export interface TokenStorage {
  /** The pair that was kept last. Undefined or null if there is none. */
  get(): TokenPair | null | undefined | Promise<TokenPair | null | undefined>;
  /** Keeps the pair instead of the last one. Undefined: keeps none. */
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

/** Refreshes a token at the service. */
type Refresh = (refreshToken: string) => Promise<Refreshed>;

/** The kept pair at a moment, and the sign-in that it is of. */
export interface Snapshot {
  readonly pair: TokenPair | undefined;
  readonly generation: number;
  /** How many refreshes were over at that moment. */
  readonly refreshes: number;
}

/** A refresh, under way or over, and the sign-in that it is of. */
interface PendingRefresh {
  readonly generation: number;
  readonly pair: Promise<TokenPair | undefined>;
}

/**
 * The tokens of a client's user. It refreshes them once, however many calls at once need that. A call is
 * repeated only for the sign-in that it was made for: each sign-in begins a generation, even one that
 * somebody else has written to the storage.
 */
export class KeptTokens {
  readonly #storage: TokenStorage;
  readonly #refresh: Refresh;
  /** The pair that the storage last held. */
  #seen: TokenPair | undefined;
  #generation = 0;
  #refreshes = 0;
  #underWay: PendingRefresh | undefined;
  #latest: PendingRefresh | undefined;
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

  /** Keeps the tokens of a new sign-in. */
  keep({ accessToken, refreshToken }: TokenPair): Promise<void> {
    return this.#alone(() => {
      this.#generation += 1;
      return this.#set({ accessToken, refreshToken });
    });
  }

  /** Replaces the kept pair by its successor, if that pair has this refresh token. */
  replace(refreshToken: string, successor: TokenPair): Promise<void> {
    return this.#alone(async () => {
      if ((await this.#get())?.refreshToken === refreshToken) await this.#set(successor);
    });
  }

  /** Removes the kept pair, if it is the one that is meant. */
  drop(isMeant: (kept: TokenPair, generation: number) => boolean): Promise<void> {
    return this.#alone(async () => {
      const kept = await this.#get();
      if (kept === undefined || !isMeant(kept, this.#generation)) return;
      this.#generation += 1;
      await this.#set(undefined);
    });
  }

  /**
   * Calls with the access token that is kept, or was at that moment. If that is refused as invalid, calls
   * once more with a fresh one of the same sign-in.
   * @throws AuthError `missing_access_token` if none is kept; what the refresh and the call throw
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
    // Another call has refreshed it meanwhile.
    if (isSame && pair && pair.accessToken !== before.pair?.accessToken) return pair;
    return this.refresh({ ...before, pair: isSame ? pair : undefined });
  }

  /**
   * Refreshes the pair. Calls that need it meanwhile share one refresh, and so do calls that began before
   * it was over: with a slow storage some get here only afterwards. Undefined if somebody has signed in or
   * out since. A refusal that ends the session removes the kept pair; any other failure leaves it.
   */
  refresh({ pair, generation, refreshes }: Snapshot): Promise<TokenPair | undefined> {
    const isOver = this.#refreshes > refreshes && this.#latest?.generation === generation;
    if (isOver && this.#latest) return this.#latest.pair;
    if (this.#underWay?.generation === generation) return this.#underWay.pair;
    if (pair === undefined) return Promise.resolve(undefined);
    const refresh: PendingRefresh = {
      generation,
      pair: this.#runRefresh(pair, generation).finally(() => {
        this.#refreshes += 1;
        this.#latest = refresh;
        if (this.#underWay === refresh) this.#underWay = undefined;
      }),
    };
    this.#underWay = refresh;
    return refresh.pair;
  }

  async #runRefresh(kept: TokenPair, generation: number): Promise<TokenPair | undefined> {
    let refreshed: Refreshed;
    try {
      refreshed = await this.#refresh(kept.refreshToken);
    } catch (error) {
      if (isDeadRefreshToken(error)) {
        await this.drop((now, of) => of === generation && now.refreshToken === kept.refreshToken);
      }
      throw error;
    }
    const { accessToken, refreshToken = kept.refreshToken } = refreshed;
    const pair = { accessToken, refreshToken };
    return this.#alone(async () => {
      const now = await this.#get();
      // Somebody has signed in or out meanwhile: that counts.
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

  /** Runs one piece of work after the other, so that none changes what another has just read. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}

/**
 * Whether two pairs are certainly of one sign-in, as others may write to the same storage. They are if
 * they have the same refresh token, or access tokens of the same session.
 */
function isSameSignIn(one: TokenPair | undefined, other: TokenPair | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (one.refreshToken && one.refreshToken === other.refreshToken) return true;
  const session = sessionOf(one);
  return session !== undefined && session === sessionOf(other);
}

/** The issuer, user and session that an access token names. Undefined if it names none. */
function sessionOf({ accessToken }: TokenPair): string | undefined {
  const claims = unverifiedClaims(accessToken);
  const [iss, sub, sid] = ['iss', 'sub', 'sid'].map((name) => memberOf(claims, name));
  if (typeof sub !== 'string' || typeof sid !== 'string') return undefined;
  return JSON.stringify([iss, sub, sid]);
}
