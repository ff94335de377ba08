import { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import type { DatabaseTarget, DatabaseTls } from '../knex/connection/target.ts';
import { readSmallFile } from './key-files.ts';

/** Where users and sessions are kept. */
export type StoreTarget = { readonly kind: 'memory' } | DatabaseTarget;

const DEVELOPMENT_DATABASE = 'sqlite:data/portcullis.sqlite';

/** Reads DATABASE_URL: returns the store, or what is wrong with the setting. */
export function readStore(env: NodeJS.ProcessEnv): StoreTarget | string {
  const url = env['DATABASE_URL'];
  if (url) return parseStore(url);
  if (env['NODE_ENV'] === 'production') return 'must be set in production';
  return parseStore(DEVELOPMENT_DATABASE);
}

/** Returns the store, or what is wrong: never the URL itself, which holds a password. */
function parseStore(url: string): StoreTarget | string {
  if (url === 'memory:') return { kind: 'memory' };
  if (url.startsWith('sqlite:')) {
    const path = url.slice('sqlite:'.length);
    if (path === '' || path === ':memory:') {
      return 'must name a file: sqlite:PATH (or memory: for nothing that lasts)';
    }
    // Opening a pipe could block for ever.
    const isOther = statSync(path, { throwIfNoEntry: false })?.isFile() === false;
    return isOther ? 'names something that is no file' : { kind: 'sqlite', path };
  }
  const parts =
    /^(?:mysql|mariadb):\/\/([^:@/\s]+)(?::([^@/\s]*))?@([^@/?#\s]+)\/([^/?#\s]+)(?:\?([^?#\s]*))?$/.exec(
      url,
    );
  if (parts === null) return MYSQL_URL;
  const [, user = '', password = '', hosts = '', database = '', query] = parts;
  try {
    const tls = query === undefined ? undefined : parseTls(query);
    if (typeof tls === 'string') return tls;
    return {
      kind: 'mysql',
      hosts: hosts.split(',').map(parseHost),
      user: decodeURIComponent(user),
      password: decodeURIComponent(password),
      database: decodeURIComponent(database),
      ...(tls && { tls }),
    };
  } catch {
    return MYSQL_URL;
  }
}

const MYSQL_URL =
  'must be memory:, sqlite:PATH or mysql://user:password@host[:port][,host2[:port2]…]/database[?ssl-mode=…]' +
  ' (percent-encode special characters in the password)';

/** The certificates of all authorities that a system knows have some 250 KB. */
const MAX_CA_BYTES = 4 * 1024 * 1024;

/** MySQL's names. PREFERRED, its default, is left out: an attacker in between can turn it off. */
const SSL_MODES = new Map<string, DatabaseTls['verify'] | undefined>([
  ['DISABLED', undefined],
  ['REQUIRED', 'nothing'],
  ['VERIFY_CA', 'authority'],
  ['VERIFY_IDENTITY', 'identity'],
]);

/** Parses the options of the URL: returns undefined for no TLS, a text for what is wrong. */
function parseTls(query: string): DatabaseTls | undefined | string {
  const options = new Map<string, string>();
  for (const option of query.split('&')) {
    const [, name = '', value = ''] = /^(ssl-mode|ssl-ca)=(.+)$/.exec(option) ?? [];
    if (name === '' || options.has(name)) {
      return 'may end with ?ssl-mode=MODE&ssl-ca=FILE, and with no other option';
    }
    options.set(name, decodeURIComponent(value));
  }
  const mode = options.get('ssl-mode')?.toUpperCase() ?? 'DISABLED';
  if (!SSL_MODES.has(mode))
    return `has an ssl-mode that is none of ${[...SSL_MODES.keys()].join(', ')}`;
  const verify = SSL_MODES.get(mode);
  const file = options.get('ssl-ca');
  if (file === undefined) return verify && { verify };
  if (verify === undefined || verify === 'nothing') {
    return 'has an ssl-ca, at which only ssl-mode=VERIFY_CA and VERIFY_IDENTITY look';
  }
  try {
    const ca = readSmallFile(file, MAX_CA_BYTES) ?? '';
    void new X509Certificate(ca); // Throws if there is none. TLS would reject every server, without a reason.
    return { verify, ca };
  } catch {
    return 'has an ssl-ca that is not there, or cannot be read as certificates in PEM';
  }
}

function parseHost(text: string): { host: string; port: number } {
  const [, bracketed, name, port = '3306'] =
    /^(?:\[([\da-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = bracketed ?? name;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) throw new Error('no host');
  return { host, port: Number(port) };
}
