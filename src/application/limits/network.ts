/**
 * The network of an IP address: the whole of an IPv4 address, the first 64 bits of an IPv6 one, since one
 * client usually has all addresses of a /64 (RFC 6177). An IPv4 address in IPv6 form is the IPv4 one. A
 * port, which some proxies add, and a zone are left out. Values that are no address share one network.
 */
export function networkOf(address: unknown): string {
  const text = typeof address === 'string' ? address.trim() : '';
  const [, bare = text] = /^\[([^\]]*)\](?::\d+)?$/.exec(text) ?? [];
  const [host = ''] = bare.split('%');
  return networkIn(host) ?? networkIn(host.replace(/:\d+$/, '')) ?? 'no address';
}

function networkIn(host: string): string | undefined {
  if (!host.includes(':')) return isIpv4(host) ? host : undefined;
  const groups = ipv6Groups(host);
  if (groups === undefined) return undefined;
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (!isMapped) return `${groups.slice(0, 4).map(hex).join(':')}::/64`;
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.');
}

/** Four numbers as the URL parser would write them, and not its other forms, such as 127.1. */
function isIpv4(host: string): boolean {
  const url = `http://${host}/`;
  return /^[\d.]+$/.test(host) && URL.canParse(url) && new URL(url).hostname === host;
}

/** The eight numbers of an IPv6 address, by the parser that every URL goes through. */
function ipv6Groups(text: string): readonly number[] | undefined {
  const url = `http://[${text}]/`;
  if (!URL.canParse(url)) return undefined;
  const [head = '', tail] = new URL(url).hostname.slice(1, -1).split('::');
  const first = groupsOf(head);
  if (tail === undefined) return first;
  const last = groupsOf(tail);
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

function hex(group: number): string {
  return group.toString(16);
}
