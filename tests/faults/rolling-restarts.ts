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
const CLIENTS = 8;
/** Of each kind of those who are not told whom to ask. */
const STRANGERS = 4;
/** Milliseconds in which whoever was sent to a process before it was left out has got there. */
const ON_THE_WAY = 100;
/** Some milliseconds of hashing, so that requests are under way at any time. */
const HASHING = { ARGON2_MEMORY_KIB: '8192', ARGON2_PASSES: '1' };
/** A second of it, or more. */
const SLOW_HASHING = { ARGON2_MEMORY_KIB: '65536', ARGON2_PASSES: '20' };
/** Seconds, as is usual. */
const GRACE = 10;

export const rollingRestarts: Scenario = {
  number: 9,
  title: 'SIGTERM under load, rolling restarts',
  run: async ({ isLong }) => {
    const restarts = isLong ? 10 * RESTARTS : RESTARTS;
    const balanced = await onEach(['SQLite', 'MariaDB'], (store) => inTurn(store, restarts));
    const alone = await onEach(['SQLite'], async (store) => [
      ...(await inPlace(store, 1, restarts / 2)),
      ...(await inPlace(store, 2, restarts / 2)),
    ]);
    return [...balanced, ...alone, ...(await onEach(['SQLite'], wayDown))];
  },
};

/** Restarts two services on one database in turn, each of which is asked nothing new any more. */
async function inTurn(store: Store, restarts: number): Promise<readonly Figure[]> {
  const databaseUrl = await store.next();
  const services: ServiceUnderTest[] = [];
  const history = new History();
  try {
    for (let i = 0; i < 2; i += 1) {
      services.push(await ServiceUnderTest.start(databaseUrl, HASHING));
    }
    let [turn, left] = [0, -1];
    const url = () => {
      do turn += 1;
      while (turn % 2 === left);
      return services[turn % 2]?.url ?? '';
    };
    const load = startLoad(history, { url, clients: CLIENTS });
    const stops = await restartAll(services, restarts, async (i) => {
      left = i;
      await sleep(i === -1 ? 0 : ON_THE_WAY);
    });
    await load.stop();
    const name = `${store.name}, two in turn`;
    const lost = history.count((_, { fault }) => fault !== undefined);
    if (lost > 0) console.log(`${name}: ${summary(history.entries)}`);
    return [
      ...stops.map((each) => ({ ...each, what: `${name}: ${each.what}` })),
      figure(`${name}: answers`, history.entries.length - lost, '', { atLeast: 500 }),
      exactly(`${name}: requests lost`, lost, 0),
      exactly(
        `${name}: answers with 5xx`,
        history.count((_, { status = 0 }) => status >= 500),
        0,
      ),
      exactly(`${name}: promises broken`, await judge(databaseUrl, services, history.entries), 0),
    ];
  } finally {
    for (const service of services) await service.remove();
  }
}

/** Restarts a service where it is, under clients who only try again what was refused. */
async function inPlace(
  store: Store,
  workers: number,
  restarts: number,
): Promise<readonly Figure[]> {
  const databaseUrl = await store.next();
  const env = { ...HASHING, WORKERS: String(workers), TRUST_PROXY: '0', RATE_LIMIT: 'off' };
  const service = await ServiceUnderTest.start(databaseUrl, env);
  try {
    const strangers = new Strangers(service.url, STRANGERS);
    const stops = await restartAll([service], restarts, async () => {});
    await strangers.stop();
    const contents = await readContents(databaseUrl);
    const emails = new Set(contents.users.map(({ email }) => email));
    const { made, lost } = strangers;
    const done = [...lost.new, ...lost.kept].filter((email) => emails.has(email)).length;
    const gone = made.filter((email) => !emails.has(email)).length;
    const name = `in place, ${workers} workers`;
    // They were in the system's queue when it was closed: no process has seen them.
    console.log(`${name}: ${lost.new.length} were reset before anybody had let them in`);
    return [
      ...stops.map((each) => ({ ...each, what: `${name}: ${each.what}` })),
      figure(`${name}: registrations acknowledged`, made.length, '', { atLeast: 100 }),
      exactly(`${name}: of them, not in the table`, gone, 0),
      exactly(`${name}: requests lost on connections that were kept`, lost.kept.length, 0),
      exactly(`${name}: requests done and not answered`, done, 0),
      exactly(`${name}: other answers`, strangers.strange, 0),
    ];
  } finally {
    await service.remove();
  }
}

/** Stops and starts them; `leave` has nobody ask one of them, or all be asked again (-1). */
async function restartAll(
  services: readonly ServiceUnderTest[],
  restarts: number,
  leave: (i: number) => Promise<void>,
): Promise<readonly Figure[]> {
  const stops: number[] = [];
  let good = 0;
  for (let round = 0; round < restarts; round += 1) {
    await sleep(100 + Math.random() * 200);
    const i = round % services.length;
    const service = services[i];
    await leave(i);
    const started = performance.now();
    if ((await service?.end('SIGTERM')) === 0) good += 1;
    stops.push((performance.now() - started) / 1000);
    await service?.start();
    await leave(-1);
  }
  return [
    exactly(`of ${restarts} stops, exits with 0`, good, restarts),
    figure('longest stop', most(stops), 's', { atMost: GRACE }),
  ];
}

const REFUSED = 'ECONNREFUSED';

/** How many promises were broken. */
async function judge(
  databaseUrl: string,
  services: readonly ServiceUnderTest[],
  entries: readonly Entry[],
): Promise<number> {
  for (const service of services) await service.end('SIGTERM');
  const contents = await readContents(databaseUrl);
  const [service] = services;
  if (service === undefined) throw new Error('no service');
  await service.start();
  const proofs = await proveLogins(service.url, contents, entries);
  const violations = check({ entries, contents, proofs });
  for (const { rule, what } of violations.slice(0, 5)) console.log(`${rule}: ${what}`);
  return violations.length;
}

/** Clients on connections of their own, new for each request or kept, who each register new users. */
class Strangers {
  /** Emails, by what became of their registrations. */
  readonly made: string[] = [];
  readonly lost = { new: new Array<string>(), kept: new Array<string>() };
  strange = 0;
  readonly #running: Promise<unknown>;
  #isStopping = false;
  #number = 0;

  constructor(url: string, count: number) {
    const kinds = Array.from({ length: 2 * count }, (_, i) => i % 2 === 0);
    this.#running = Promise.all(kinds.map((keeps) => this.#register(url, keeps)));
    this.#running.catch(() => {}); // Whoever stops them is told.
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #register(url: string, keeps: boolean): Promise<void> {
    let kept: Connection | undefined;
    while (!this.#isStopping) {
      const email = `stranger.${(this.#number += 1)}@example.com`;
      if (!kept?.isOpen) kept = undefined;
      const isKept = kept !== undefined;
      try {
        const connection = kept ?? (await Connection.open(url));
        kept = undefined;
        const { status, head } = await connection.send(
          requestText('POST /register', { json: named(email) }),
        );
        if (status === 201) this.made.push(email);
        else this.strange += 1;
        if (keeps && !saysClose(head)) kept = connection;
        else connection.close();
      } catch (error) {
        kept = undefined;
        if (codeOf(error) !== REFUSED) this.lost[isKept ? 'kept' : 'new'].push(email);
      }
      await sleep(Math.random() * 30);
    }
    kept?.close();
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function named(email: string) {
  return { username: 'Ada', email, password: PASSWORD, confirm_password: PASSWORD };
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
    const connection = await Connection.open(service.url);
    const kept = await Promise.all([1, 2, 3, 4].map(() => Connection.open(service.url)));
    // Alive, and idle when the signal comes.
    for (const each of kept) await each.send(requestText('GET /users'));
    const answer = connection.send(
      requestText('POST /register', { json: named('ada@example.com') }),
    );
    await sleep(100);
    const ended = service.end('SIGTERM');
    const started = performance.now();
    let isAnswered = false;
    const answered = answer.then(() => (isAnswered = true));
    while (!isAnswered && !(await isRefused(service.url))) await sleep(20);
    const open = isAnswered ? Number.NaN : performance.now() - started;
    await answered;
    const { status, head } = await answer;
    const code = await ended;
    const name = `${workers} workers: `;
    return [
      exactly(`${name}status of a registration under way`, status, 201),
      exactly(`${name}its answer says Connection: close`, Number(saysClose(head)), 1),
      figure(`${name}until new connections are refused, before that answer`, open, 'ms', {
        atMost: 1_000,
      }),
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
    return codeOf(error) === REFUSED;
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
