/** The header by which a client asks that its refresh token go into a cookie, and the word for that. */
export const MODE_HEADER = 'refresh-token-mode';
export const COOKIE_MODE = 'cookie';

/** Bytes of a cookie, its name included, beyond which browsers drop it without a word. */
const MAX_LENGTH = 4096;

/** What a cookie can hold as it is (RFC 6265 §4.1.1). */
const VALUE = /^[!#-+\--:<-[\]-~]*$/;

/** Characters of a Cookie header that are read: twice what browsers keep in one cookie. */
const MAX_HEADER_LENGTH = 8192;

/** A text that is no token. */
const NOT_ONE_TOKEN = 'not one token';

/** The cookie of a refresh token: no script can read it, and no page of another site make use of it. */
export interface RefreshCookie {
  /**
   * The token in a Cookie header: '' where there is none or the header is longer than 8 KiB, and a text that
   * is no token where it cannot be told which. Of two cookies of our name one may be a neighbour's, set for all
   * of a domain (RFC 6265 §8.6).
   */
  readonly read: (header: string | undefined) => string;
  /**
   * A Set-Cookie header that keeps a token for as long as it says that it is good, or until the
   * browser ends where it does not say.
   * @throws RangeError where no cookie can hold it
   */
  readonly keep: (token: string) => string;
  /** A Set-Cookie header that removes the token. */
  readonly removal: string;
}

/**
 * `__Host-` binds a cookie to this very host, over TLS, and keeps neighbours from setting it (RFC 6265bis
 * §4.1.3.2). Insecure ones are for development alone: Safari keeps none of http://localhost otherwise.
 */
export function refreshCookie(isInsecure: boolean): RefreshCookie {
  const name = isInsecure ? 'portcullis_refresh_token' : '__Host-portcullis_refresh_token';
  const attributes = `Path=/; HttpOnly; SameSite=Strict${isInsecure ? '' : '; Secure'}`;
  const fits = (token: string) => name.length + token.length <= MAX_LENGTH && VALUE.test(token);
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
 * The seconds that a token which has just been made is good for, by its own word alone: no clock but the
 * browser's has a part in it. Undefined where it does not say.
 */
function lifetimeOf(token: string): number | undefined {
  try {
    const [, payload = ''] = token.split('.');
    const json: unknown = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    if (typeof json !== 'object' || json === null) return undefined;
    const seconds = Number(Reflect.get(json, 'exp')) - Number(Reflect.get(json, 'iat'));
    return Number.isSafeInteger(seconds) && seconds >= 0 ? seconds : undefined;
  } catch {
    return undefined;
  }
}
