/**
 * The part of an IP address that tells one client from another: all of an IPv4 address, the first
 * 64 bits of an IPv6 one, since whoever has one of its addresses has all of them (RFC 6177). An
 * IPv4 address in IPv6 form is the IPv4 one. A port, which some proxies add, and a zone are
 * left out. What is no address stands for itself.
 */
export function networkOf(address: string): string {
  const [, ipv4, ipv6] = /^(?:([\d.]+)(?::\d+)?|\[([^\]]*)\](?::\d+)?)$/.exec(address.trim()) ?? [];
  const [text = ''] = (ipv4 ?? ipv6 ?? address.trim()).toLowerCase().split('%');
  if (!text.includes(':')) return text;
  const groups = ipv6Groups(text);
  if (groups === undefined) return text;
  const isIpv4 = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (!isIpv4) return `${groups.slice(0, 4).map(hex).join(':')}::/64`;
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.');
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
