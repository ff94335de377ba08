import { setTimeout as sleep } from 'node:timers/promises';
import { newDatabase, withMariadb } from './databases.ts';
import { askEveryEndpoint, ENDPOINTS, isForeign, type Waiting } from './endpoints.ts';
import { startLoad } from './load.ts';
import { exactly, figure, type Figure, type Scenario } from './scenario.ts';
import { tcpProxy } from './tcp-proxy.ts';
import { acknowledged, most, onTrial, slowest, type Trial, untilWriting } from './trial.ts';

const ROUNDS = 3;
const CLIENTS = 8;
/** Milliseconds of silence: longer than any request is to take. */
const SILENCE = 6_000;
/** Connections that the service keeps to its database. */
const POOL = 10;

/** What falls silent, without anybody being told. */
interface Silence {
  readonly begin: () => void;
  readonly end: () => Promise<void> | void;
  /** Of the database, or of what is in front of it. */
  readonly port: number;
}

/** A database that says nothing any more: frozen, and then beyond a network that swallows all. */
export const silentDatabase: Scenario = {
  number: 4,
  title: 'a frozen or black-holed database',
  run: ({ isLong }) =>
    withMariadb([], async (database) => {
      const rounds = isLong ? ROUNDS * 10 : ROUNDS;
      const frozen = await newDatabase(database);
      const freeze: Silence = {
        begin: () => database.signal('SIGSTOP'),
        end: () => database.signal('SIGCONT'),
        port: database.port,
      };
      const ofFreeze = await onTrial({ name: 'frozen', databaseUrl: frozen, isForeign }, (trial) =>
        inRounds(trial, freeze, rounds),
      );
      const proxy = await tcpProxy(database.port);
      try {
        const directUrl = await newDatabase(database);
        const databaseUrl = directUrl.replace(`:${database.port}/`, `:${proxy.port}/`);
        const { port } = proxy;
        const hole: Silence = { begin: () => proxy.blackHole(), end: () => proxy.pass(), port };
        const options = { name: 'black hole', databaseUrl, directUrl, isForeign };
        const ofHole = await onTrial(options, (trial) => inRounds(trial, hole, rounds));
        return [...ofFreeze, ...ofHole];
      } finally {
        await proxy.close();
      }
    }),
};

async function inRounds(
  trial: Trial,
  silence: Silence,
  rounds: number,
): Promise<readonly Figure[]> {
  // Once without any silence: the pool is full afterwards.
  const nothing: Silence = { begin: () => {}, end: () => {}, port: silence.port };
  const before = await oneRound(trial, nothing, 1_000);
  const found: Round[] = [];
  while (found.length < rounds) found.push(await oneRound(trial, silence, SILENCE));
  const waiting = found.flatMap((round) => round.waiting);
  const worst = waiting.toSorted((one, other) => other.slowest - one.slowest)[0];
  const felt = new Set(waiting.filter(({ failed }) => failed > 0).map(({ endpoint }) => endpoint));
  const wrong = waiting.flatMap((each) => each.wrong.map((text) => `${each.endpoint}: ${text}`));
  if (wrong.length > 0) console.log(wrong.slice(0, 5).join('\n'));
  const last = found.at(-1);
  const growth = (last?.sockets ?? Number.NaN) - before.sockets;
  return [
    acknowledged(trial, 10 * rounds),
    exactly('endpoints that failed for want of it', felt.size, ENDPOINTS.length),
    figure(`slowest answer of any endpoint (${worst?.endpoint})`, worst?.slowest ?? NaN, 'ms', {
      atMost: 5_000,
    }),
    slowest(trial),
    exactly('answers beyond the contract', wrong.length, 0),
    figure(
      'most connections to it at once',
      most(found.map(({ connections }) => connections)),
      '',
      {
        atMost: 2 * POOL,
      },
    ),
    figure('sockets more than before, after all rounds', growth, '', { atMost: 0 }),
    figure('longest until it serves again', most(found.map(({ back }) => back)), 'ms', {
      atMost: 5_000,
    }),
  ];
}

interface Round {
  readonly waiting: readonly Waiting[];
  /** Most connections to the database that there were at once. */
  readonly connections: number;
  /** Of the service, when all clients had gone. */
  readonly sockets: number;
  /** Milliseconds from the end of the silence until a registration succeeded. */
  readonly back: number;
}

async function oneRound(trial: Trial, silence: Silence, length: number): Promise<Round> {
  const { service, history } = trial;
  const load = startLoad(history, { url: () => service.url, clients: CLIENTS });
  let connections = 0;
  const sampling = setInterval(() => {
    connections = Math.max(connections, service.connectionsTo(silence.port));
  }, 50);
  let back: Promise<number> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const begin = () => {
    silence.begin();
    timer = setTimeout(() => {
      back = Promise.resolve(silence.end()).then(() => untilWriting(trial));
      back.catch(() => {}); // It is waited for below.
    }, length);
  };
  try {
    const waiting = await askEveryEndpoint(service.url, begin, length);
    await load.stop();
    const returned = (await back) ?? Number.NaN;
    await sleep(1_500); // Connections that are left may take a second to end.
    return { waiting, connections, sockets: service.sockets(), back: returned };
  } finally {
    clearInterval(sampling);
    clearTimeout(timer);
    await silence.end();
  }
}
