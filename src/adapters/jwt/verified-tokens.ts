import type { TokenClaims } from '../../application/index.ts';

/** The claims of a token whose signature and form are right. Its times are checked at each use. */
export interface VerifiedToken<Claims extends TokenClaims> {
  readonly claims: Claims;
  /** Seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
}

/** The cache keeps two generations of this many tokens; a token takes about 700 bytes. */
const GENERATION_SIZE = 4_096;

/**
 * A cache of verified tokens, by their whole text: a look-up takes 0.5 µs, an HMAC 13 µs.
 *
 * Only verified tokens get in, so that nobody can fill it with forgeries. When the recent
 * generation is full, it replaces the previous one; a token that is found in the previous one moves
 * to the recent one. Entries stay valid because an issuer's keys never change.
 */
export class VerifiedTokens<Claims extends TokenClaims> {
  #recent = new Map<string, VerifiedToken<Claims>>();
  #previous = new Map<string, VerifiedToken<Claims>>();

  get(token: unknown): VerifiedToken<Claims> | undefined {
    if (typeof token !== 'string') return undefined;
    const recent = this.#recent.get(token);
    if (recent !== undefined) return recent;
    const previous = this.#previous.get(token);
    if (previous !== undefined) this.add(token, previous);
    return previous;
  }

  add(token: string, verified: VerifiedToken<Claims>): void {
    if (this.#recent.size >= GENERATION_SIZE) {
      this.#previous = this.#recent;
      this.#recent = new Map();
    }
    // A copy: V8 keeps the string that a substring was cut from, here the whole request header.
    this.#recent.set(Buffer.from(token, 'latin1').toString('latin1'), verified);
  }
}
