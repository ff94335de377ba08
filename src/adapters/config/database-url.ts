/** Where users and sessions are kept. */
export type StoreTarget =
  | { readonly kind: 'memory' }
  | { readonly kind: 'sqlite'; readonly path: string }
  | {
      readonly kind: 'mysql';
      readonly hosts: readonly { readonly host: string; readonly port: number }[];
      readonly user: string;
      readonly password: string;
      readonly database: string;
    };

/** The target of a DATABASE_URL, or what is wrong with it (never the text: it holds a password). */
export function parseStore(url: string): StoreTarget | string {
  if (url === 'memory:') return { kind: 'memory' };
  if (url.startsWith('sqlite:')) {
    const path = url.slice('sqlite:'.length);
    return path === '' || path === ':memory:'
      ? 'must name a file: sqlite:PATH (or memory: for nothing that lasts)'
      : { kind: 'sqlite', path };
  }
  const parts =
    /^(?:mysql|mariadb):\/\/([^:@/\s]+)(?::([^@/\s]*))?@([^@/?#\s]+)\/([^/?#\s]+)$/.exec(url);
  if (parts === null) return MYSQL_URL;
  const [, user = '', password = '', hosts = '', database = ''] = parts;
  try {
    return {
      kind: 'mysql',
      hosts: hosts.split(',').map(parseHost),
      user: decodeURIComponent(user),
      password: decodeURIComponent(password),
      database: decodeURIComponent(database),
    };
  } catch {
    return MYSQL_URL;
  }
}

const MYSQL_URL =
  'must be memory:, sqlite:PATH or mysql://user:password@host[:port][,host2[:port2]…]/database' +
  ' (percent-encode special characters in the password)';

function parseHost(text: string): { host: string; port: number } {
  const [, bracketed, name, port = '3306'] =
    /^(?:\[([\da-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = bracketed ?? name;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) throw new Error('no host');
  return { host, port: Number(port) };
}
