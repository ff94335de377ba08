/**
 * Clients that take their time, in a process of its own, which has its own limit on open files.
 * Arguments: the port, and how many. Says `open` when all are connected, and then, as JSON, how
 * each kind of them ended. None ever closes its own side: that is left to the service.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const GIVE_UP = 28_000;

const POST =
  'POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999\r\n';
const GET = 'GET /nothing HTTP/1.1\r\nHost: x\r\n';

/** What they send at once, and then a bit at a time. */
const KINDS: Readonly<Record<string, readonly [first: string, then: string]>> = {
  'nothing at all': ['', ''],
  'half a header': [GET, ''],
  'a header byte by byte': ['G', `${GET.slice(1)}A: ${'a'.repeat(99)}`],
  'empty lines': ['', '\r\n'.repeat(99)],
  'half a body': [`${POST}\r\n{"email":`, ''],
  'a body byte by byte': [`${POST}\r\n`, `{"email":"${'a'.repeat(99)}`],
  'empty lines after a request': [`${GET}\r\n`, '\r\n'.repeat(99)],
};

interface Ended {
  status: string;
  isOpen: boolean;
}

async function slowClient(port: number, [first, then]: readonly [string, string]): Promise<Ended> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const ended: Ended = { status: 'none', isOpen: true };
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.on('error', () => {});
  for (const event of ['end', 'close']) socket.once(event, () => (ended.isOpen = false));
  socket.setEncoding('latin1').on('data', (text: string) => {
    ended.status = text.split(' ')[1] ?? 'broken';
  });
  socket.write(first);
  let at = 0;
  const timer = setInterval(() => {
    if (ended.isOpen && at < then.length) socket.write(then.charAt(at));
    else clearInterval(timer);
    at += 1;
  }, 500);
  return ended;
}

const [port = 0, count = 0] = process.argv.slice(2).map(Number);
const kinds = Object.entries(KINDS);
const all: (readonly [kind: string, client: Ended])[] = [];
while (all.length < count) {
  const batch = Array.from({ length: Math.min(100, count - all.length) }, async (_, i) => {
    const [name, sent] = kinds[i % kinds.length] ?? ['', ['', '']];
    return [name, await slowClient(port, sent)] as const;
  });
  all.push(...(await Promise.all(batch)));
}
console.log('open');

const started = Date.now();
while (all.some(([, { isOpen }]) => isOpen) && Date.now() - started < GIVE_UP) await sleep(100);
const ends: Record<string, Record<string, number>> = {};
for (const [kind, { isOpen, status }] of all) {
  const end = isOpen ? 'still open' : status;
  ends[kind] = { ...ends[kind], [end]: (ends[kind]?.[end] ?? 0) + 1 };
}
console.log(JSON.stringify(ends));
process.exit(0);
