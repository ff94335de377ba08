import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { isOrigin } from '../../application/options.ts';
import { readStore, type StoreTarget } from './database-url.ts';
import { readKeyFile } from './keys.ts';

/** Reads variables one by one and gathers what is wrong with them. */
export class Reader {
  readonly faults: string[] = [];
  readonly #env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** Whether a variable whose name starts so has a fault: then there is no sense in comparing it. */
  hasFault(...names: readonly string[]): boolean {
    return this.faults.some((fault) => names.some((name) => fault.startsWith(name)));
  }

  fault(name: string, problem: string): void {
    this.faults.push(`${name} ${problem}`);
  }

  optional(name: string): string | undefined {
    return this.#env[name] === '' ? undefined : this.#env[name];
  }

  text(name: string, otherwise: string): string {
    return this.optional(name) ?? otherwise;
  }

  /** The items of a list, which commas alone part: white space could as well be of an item. */
  list(name: string): readonly string[] {
    const items = this.optional(name)?.split(',') ?? [];
    if (items.every(isListable)) return items;
    this.fault(name, 'must be a list parted by commas alone: nothing empty, no white space');
    return [];
  }

  /** The key in the file that is named. */
  privateKey(name: string): KeyObject | undefined {
    const path = this.optional(name);
    return path === undefined ? undefined : this.#key(name, path, 'private');
  }

  /** The keys in a list of files, of private ones their public half. */
  publicKeys(name: string): readonly KeyObject[] {
    const paths = this.list(name);
    return paths.flatMap((path, i) => this.#key(`${name} (${i + 1})`, path, 'public') ?? []);
  }

  #key(name: string, path: string, type: 'private' | 'public'): KeyObject | undefined {
    const key = readKeyFile(path, type);
    if (typeof key !== 'string') return key;
    this.fault(name, key);
    return undefined;
  }

  one<T extends string>(name: string, choices: readonly T[], otherwise: T): T {
    const value = this.optional(name);
    if (value === undefined) return otherwise;
    const choice = choices.find((known) => known === value);
    if (choice === undefined) this.fault(name, `must be one of ${choices.join(', ')}`);
    return choice ?? otherwise;
  }

  integer(name: string, otherwise: number, min: number, max: number, or = ''): number {
    const value = this.optional(name);
    if (value === undefined) return otherwise;
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    this.fault(name, `must be a whole number from ${min} to ${max}${or}`);
    return otherwise;
  }

  workers(name: string): number {
    if (this.optional(name) === 'auto') return availableParallelism();
    return this.integer(name, 1, 1, 1_024, " or 'auto', one for each core");
  }

  /** Seconds, from a number with a unit: 90s, 15m, 12h, 30d. */
  duration(name: string, otherwise: number, min: 0 | 1 = 1): number {
    const value = this.optional(name);
    if (value === undefined) return otherwise;
    const [, digits, unit] = /^(\d{1,9})([smhd])$/.exec(value) ?? [];
    const seconds = Number(digits) * (SECONDS[unit ?? ''] ?? 0);
    if (seconds >= min && seconds <= MAX_DURATION) return seconds;
    this.fault(name, `must be a time from ${min}s to 3650d, such as 90s, 15m, 12h or 30d`);
    return otherwise;
  }

  /** A number of proxies, or a list of addresses and networks. */
  proxies(name: string): number | readonly string[] {
    const value = this.optional(name);
    if (value === undefined) return 0;
    if (/^\d$/.test(value)) return Number(value);
    const proxies = value.split(',').map((proxy) => proxy.trim());
    if (proxies.every(isNetwork)) return proxies;
    this.fault(
      name,
      'must be the number of proxies in front (0 to 9), or their addresses or networks with commas' +
        ' between (10.0.0.1, 10.1.0.0/16), none larger than one can own (/8, or /7 of IPv6)',
    );
    return 0;
  }

  /** Names separated by commas, each written as a browser writes the origin of a page. */
  origins(name: string): readonly string[] {
    const origins = this.optional(name)?.split(',') ?? [];
    const wrong = origins.findIndex((origin) => !isOrigin(origin)) + 1;
    if (wrong === 0) return origins;
    this.fault(
      name,
      `(${wrong}) is no origin such as https://app.example.com: no path, no slash at its end, no *;` +
        ' commas alone between several',
    );
    return [];
  }

  store(name: string): StoreTarget | undefined {
    const store = readStore(this.#env);
    if (typeof store !== 'string') return store;
    this.fault(name, store);
    return undefined;
  }
}

/** Whether a list of the settings can hold it as one item. */
export function isListable(item: string): boolean {
  return item !== '' && item === item.trim() && !item.includes(',');
}

/**
 * An IP address, or a network of them that can be somebody's own: no larger than 10.0.0.0/8 or
 * fc00::/7, and nowhere near all of IPv4 in its IPv6 form.
 */
function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  const [least, most] = version === 4 ? [8, 32] : address.startsWith('::') ? [104, 128] : [7, 128];
  return /^[1-9]\d{0,2}$/.test(bits) && Number(bits) >= least && Number(bits) <= most;
}

/** Neither `null`, which any page can be, nor anything with `*`: who may use the API is said by name. */
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const MAX_DURATION = 3_650 * 86_400;
