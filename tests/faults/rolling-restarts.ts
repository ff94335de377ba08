/** Fault 9: processes are told to stop under load, and started again. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, requestText } from '../../bench/measure.ts';
import { check } from './checker.ts';
import { proveLogins, readContents } from './contents.ts';
import { onEach, type Store } from './databases.ts';
import { type Entry, History } from './history.ts';
import { startLoad } from './load.ts';
import { exactly, type Figure, figure, type Scenario } from './scenario.ts';
import { ServiceUnderTest } from './service-under-test.ts';
import { most, summary } from './trial.ts';

const RESTARTS = 20;
const CLIENTS = 12;
/** Of those who make a connection for each request. */
const NEWCOMERS = 4;
/** Some milliseconds of hashing, so that requests are under way at any time. */
const HASHING = { ARGON2_MEMORY_KIB: '8192', ARGON2_PASSES: '1' };
/** Half a second of it. */
const SLOW_HASHING = { ARGON2_MEMORY_KIB: '65536', ARGON2_PASSES: '8' };
/** Seconds, as is usual. */
const GRACE = 10;

export const rollingRestarts: Scenario = {
  number: 9,
  title: 'SIGTERM under load, rolling restarts',
  run: async ({ isLong }) => {
    const restarts = isLong ? 10 * RESTARTS : RESTARTS;
    const inTurn = await onEach(['SQLite', 'MariaDB'], (store) => roll(store, 2, 1, restarts));
    // One port, on which nobody listens for a while.
    const inPlace = await onEach(['SQLite'], (store) => roll(store, 1, 2, restarts / 2));
    return [...inTurn, ...inPlace, ...(await onEach(['SQLite'], wayDown))];
  },
};

/** Restarts so many services on one database in turn. */
async function roll(
  store: Store,
  count: number,
  workers: number,
  restarts: number,
): Promise<readonly Figure[]> {
  const databaseUrl = await store.next();
  const env = { ...HASHING, WORKERS: String(workers) };
  const services: ServiceUnderTest[] = [];
  try {
    for (let i = 0; i < count; i += 1) {
      services.push(await ServiceUnderTest.start(databaseUrl, env));
    }
    // Balances as the simplest of balancers do: whoever is refused tries the next one.
    let turn = 0;
    const url = () => services[(turn += 1) % count]?.url ?? '';
    const history = new History();
    const load = startLoad(history, { url, clients: CLIENTS });
    const newcomers = new Newcomers(url, NEWCOMERS);
    const stops: number[] = [];
    const codes: unknown[] = [];
    for (let i = 0; i < restarts; i += 1) {
      await sleep(100 + Math.random() * 200);
      const started = performance.now();
      codes.push(await services[i % count]?.end('SIGTERM'));
      stops.push(performance.now() - started);
      await services[i % count]?.start();
    }
    await Promise.all([load.stop(), newcomers.stop()]);
    const name = `${store.name}, ${count} × ${workers} processes`;
    const verdict = await judge(databaseUrl, services, history.entries);
    const lost = history.count((_, { fault }) => fault !== undefined && fault !== REFUSED);
    if (lost > 0) console.log(`${name}: ${summary(history.entries)}`);
    for (const [fault, times] of newcomers.lost) console.log(`${name}: ${times} × ${fault}`);
    const answered = history.count((_, { status = 500 }) => status < 500);
    const good = codes.filter((code) => code === 0).length;
    return [
      exactly(`${name}: of ${restarts} stops, exits with 0`, good, restarts),
      figure(`${name}: longest stop`, most(stops) / 1000, 's', { atMost: GRACE }),
      figure(`${name}: answers on connections that are kept`, answered, '', { atLeast: 500 }),
      exactly(`${name}: requests lost on them`, lost, 0),
      exactly(
        `${name}: answers with 5xx`,
        history.count((_, { status = 0 }) => status >= 500),
        0,
      ),
      figure(`${name}: answers on new connections`, newcomers.answered, '', { atLeast: 500 }),
      exactly(`${name}: requests lost on them, too`, newcomers.count, 0),
      exactly(`${name}: promises to clients broken`, verdict, 0),
    ];
  } finally {
    for (const service of services) await service.remove();
  }
}

const REFUSED = 'ECONNREFUSED';

/** How many promises were broken. */
async function judge(
  databaseUrl: string,
  services: readonly ServiceUnderTest[],
  all: readonly Entry[],
): Promise<number> {
  for (const service of services) await service.end('SIGTERM');
  const contents = await readContents(databaseUrl);
  const [service] = services;
  if (service === undefined) throw new Error('no service');
  await service.start();
  // What was lost is counted apart, and who was refused was told so.
  const entries = all.filter(({ outcome }) => !('fault' in outcome && outcome.fault === REFUSED));
  const proofs = await proveLogins(service.url, contents, entries);
  const violations = check({ entries, contents, proofs, mayLoseConnections: true });
  for (const { rule, what } of violations.slice(0, 5)) console.log(`${rule}: ${what}`);
  return violations.length;
}

/** Clients that make a new connection for each request. */
class Newcomers {
  answered = 0;
  readonly lost = new Map<string, number>();
  readonly #running: Promise<unknown>;
  #isStopping = false;

  constructor(url: () => string, count: number) {
    this.#running = Promise.all(Array.from({ length: count }, () => this.#ask(url)));
    this.#running.catch(() => {}); // Whoever stops them is told.
  }

  get count(): number {
    return [...this.lost.values()].reduce((sum, times) => sum + times, 0);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #ask(url: () => string): Promise<void> {
    // As useless as cheap, but for the limits on what one address may guess.
    const request = requestText('POST /login', { json: { email: 'x@example.com' } });
    while (!this.#isStopping) {
      try {
        const connection = await Connection.open(url());
        const { status } = await connection.send(request);
        connection.close();
        if (status === 400) this.answered += 1;
        else this.#lose(`status ${status}`);
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
        if (code === REFUSED) await sleep(20);
        else this.#lose(code);
      }
      await sleep(2);
    }
  }

  #lose(why: string): void {
    this.lost.set(why, (this.lost.get(why) ?? 0) + 1);
  }
}

/** What is promised of the time between the signal and the end. */
async function wayDown({ next }: Store): Promise<readonly Figure[]> {
  return [
    ...(await drain(await next(), '1')),
    ...(await drain(await next(), '2')),
    ...(await endAtOnce(await next(), '1')),
    ...(await endAtOnce(await next(), '2')),
    ...(await graceOver(await next())),
  ];
}

async function drain(databaseUrl: string, workers: string): Promise<readonly Figure[]> {
  const env = { ...SLOW_HASHING, WORKERS: workers };
  return withService(databaseUrl, env, async (service) => {
    const email = 'ada@example.com';
    const json = { username: 'Ada', email, password: PASSWORD, confirm_password: PASSWORD };
    const connection = await Connection.open(service.url);
    const kept = await Promise.all([1, 2, 3, 4].map(() => Connection.open(service.url)));
    // Alive, and idle when the signal comes.
    for (const each of kept) await each.send(requestText('GET /users'));
    const answer = connection.send(requestText('POST /register', { json }));
    await sleep(100);
    const ended = service.end('SIGTERM');
    await sleep(150);
    const late = await Promise.all([1, 2, 3, 4].map(() => isRefused(service.url)));
    const { status, head } = await answer;
    const code = await ended;
    const name = `${workers} workers: `;
    return [
      exactly(`${name}status of a registration under way`, status, 201),
      exactly(`${name}its answer says Connection: close`, Number(saysClose(head)), 1),
      exactly(`${name}of 4 new connections meanwhile, refused`, late.filter(Boolean).length, 4),
      exactly(`${name}exit code`, Number(code), 0),
    ];
  });
}

const PASSWORD = 'correct horse';

function saysClose(head: string): boolean {
  return /\r\nconnection: close/i.test(head);
}

async function isRefused(url: string): Promise<boolean> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === REFUSED;
  } finally {
    socket.destroy();
  }
}

async function endAtOnce(databaseUrl: string, workers: string): Promise<readonly Figure[]> {
  return withService(databaseUrl, { WORKERS: workers }, async (service) => {
    const held = holdUp(service.url);
    await sleep(200);
    const first = service.end('SIGTERM');
    await sleep(300);
    const wasStopping = Number(service.isRunning);
    const started = performance.now();
    const code = await service.end('SIGTERM');
    const took = performance.now() - started;
    await first;
    held.destroy();
    return [
      exactly(`${workers} workers: waits for a request that does not end`, wasStopping, 1),
      figure(`${workers} workers: ends by a second SIGTERM after`, took, 'ms', { atMost: 500 }),
      exactly(`${workers} workers: exit code of that`, Number(code), 1),
    ];
  });
}

async function graceOver(databaseUrl: string): Promise<readonly Figure[]> {
  return withService(databaseUrl, { SHUTDOWN_GRACE: '1s' }, async (service) => {
    const held = holdUp(service.url);
    await sleep(200);
    const started = performance.now();
    const code = await service.end('SIGTERM');
    const took = performance.now() - started;
    held.destroy();
    return [
      figure('a request that does not end, and 1 s of grace: ends after', took, 'ms', {
        atMost: 1_500,
      }),
      figure('the same', took, 'ms', { atLeast: 900 }),
      exactly('exit code of that', Number(code), 0),
    ];
  });
}

/** Begins with a request, and does not end it. */
function holdUp(url: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
  socket.write('POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{');
  return socket;
}

async function withService(
  databaseUrl: string,
  env: Readonly<Record<string, string>>,
  use: (service: ServiceUnderTest) => Promise<readonly Figure[]>,
): Promise<readonly Figure[]> {
  const service = await ServiceUnderTest.start(databaseUrl, env);
  try {
    return await use(service);
  } finally {
    await service.remove();
  }
}
