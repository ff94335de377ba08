import { unverifiedClaims } from '../contract/tokens.ts';

/** The header by which a client asks for its refresh token in a cookie, and the value for that. */
export const MODE_HEADER = 'refresh-token-mode';
export const COOKIE_MODE = 'cookie';

/** Browsers silently drop a cookie that is longer, its name included. */
const MAX_COOKIE_LENGTH = 4096;

/** What a cookie can hold unencoded (RFC 6265 §4.1.1). */
const VALUE = /^[!#-+\--:<-[\]-~]*$/;

/** The longest Cookie header that is read: twice what browsers keep in one cookie. */
const MAX_HEADER_LENGTH = 8192;

/** A text that is no token. */
const NOT_ONE_TOKEN = 'not one token';

/** The cookie of a refresh token: no script can read it, and no other site's page can use it. */
export interface RefreshCookie {
  /**
   * The token in a Cookie header: '' if there is none or the header is longer than 8 KiB, and a text that
   * is no token if there are several. One of two cookies of our name may be a neighbour's, set for all of
   * a domain (RFC 6265 §8.6).
   */
  readonly read: (header: string | undefined) => string;
  /**
   * A Set-Cookie header that keeps a token for as long as the token says that it is valid. If it does not
   * say, the cookie ends with the browser.
   * @throws RangeError if the token does not fit into a cookie
   */
  readonly keep: (token: string) => string;
  /** A Set-Cookie header that removes the token. */
  readonly removal: string;
}

/**
 * `__Host-` binds a cookie to this very host, over TLS, and keeps neighbours from setting it (RFC 6265bis
 * §4.1.3.2). Insecure ones are for development alone: Safari keeps no others of http://localhost.
 */
export function refreshCookie(isInsecure: boolean): RefreshCookie {
  const name = isInsecure ? 'portcullis_refresh_token' : '__Host-portcullis_refresh_token';
  const attributes = `Path=/; HttpOnly; SameSite=Strict${isInsecure ? '' : '; Secure'}`;
  const fits = (token: string) =>
    name.length + token.length <= MAX_COOKIE_LENGTH && VALUE.test(token);
  return {
    read(header = '') {
      if (header.length > MAX_HEADER_LENGTH) return '';
      const [token = '', ...others] = header
        .split(';')
        .map((pair) => trimBlanks(pair))
        .filter((pair) => pair.startsWith(`${name}=`))
        .map((pair) => pair.slice(name.length + 1));
      return others.length === 0 && fits(token) ? token : NOT_ONE_TOKEN;
    },
    keep(token) {
      if (!fits(token)) throw new RangeError('the refresh token cannot be kept in a cookie');
      const lifetime = lifetimeOf(token);
      const maxAge = lifetime === undefined ? '' : `; Max-Age=${lifetime}`;
      return `${name}=${token}; ${attributes}${maxAge}`;
    },
    removal: `${name}=; ${attributes}; Max-Age=0`,
  };
}

/**
 * Removes spaces and tabs at both ends. A regular expression for the end would be tried at each blank of
 * the text, and take time that grows with the square of its length.
 */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpaceOrTab(text[start])) start += 1;
  while (end > start && isSpaceOrTab(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function isSpaceOrTab(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

/**
 * How many seconds a token that has just been made is valid, by its own claims: so only the browser's
 * clock counts. Undefined if it does not say.
 */
function lifetimeOf(token: string): number | undefined {
  const claims = unverifiedClaims(token) ?? {};
  const seconds = Number(Reflect.get(claims, 'exp')) - Number(Reflect.get(claims, 'iat'));
  return Number.isSafeInteger(seconds) && seconds >= 0 ? seconds : undefined;
}
