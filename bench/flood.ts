/**
 * Floods the service with logins and checks its promises, for the benchmark and the fault suite.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exactly, type Figure, figure } from '../tests/faults/scenario.ts';
import { temporaryFolder } from '../tests/support/programs.ts';
import { BUILT, registered, startProgram } from '../tests/support/service.ts';
import { offer, p99 } from './load.ts';
import {
  busySeconds,
  Connection,
  cpuSeconds,
  median,
  memory,
  type Reply,
  requestText,
} from './measure.ts';

export const CORES = availableParallelism();
/** Hashes at the same time. */
const HASH_CONCURRENCY = Number(process.env['HASH_CONCURRENCY'] ?? CORES);
const HASH_MB = 19_456 / 1024;
const ACCOUNTS = 20;
/** Requests of GET /protected per second, beside the other load. */
const PROBES_PER_SECOND = 100;
/** Settings that the service gets from this process's environment. */
const PASSED_SETTINGS = ['HASH_CONCURRENCY', 'HASH_QUEUE', 'UV_THREADPOOL_SIZE'];

/** The measurements of one slice of time. */
export interface Slice {
  readonly replies: readonly Reply[];
  readonly probes: readonly Reply[];
  readonly seconds: number;
  /** Busy cores on average, by process: the service, the load maker (this one) and all others. */
  readonly service: number;
  readonly maker: number;
  readonly others: number;
  /** The peak memory of the service, in MB. */
  readonly memory: number;
}

/** How many slices, and how long. */
export interface Extent {
  /** Slices of flood. They alternate with slices of the peak, so that other load affects both. */
  readonly slices: number;
  /** The duration of each slice. */
  readonly seconds: number;
}

/** Floods a new service. Its database is in `TMPDIR`. */
export async function flood({ slices, seconds }: Extent): Promise<Flood> {
  const folder = temporaryFolder();
  const passedOn = PASSED_SETTINGS.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const program = await startProgram(
    {
      PORT: '0',
      RATE_LIMIT: 'off',
      DATABASE_URL: `sqlite:${join(folder.path, 'bench.sqlite')}`,
      ...Object.fromEntries(passedOn),
    },
    BUILT,
  );
  try {
    const logins: string[] = [];
    let token = '';
    for (let i = 0; i < ACCOUNTS; i += 1) {
      const email = `user${i}@example.com`;
      ({ access_token: token } = await registered(program.url, { email }));
      logins.push(requestText('POST /login', { json: { email, password: 'correct horse' } }));
    }
    let turn = 0;
    const login = () => logins[(turn += 1) % ACCOUNTS] ?? '';
    const protectedRoute = requestText('GET /protected', { token });
    const watch = (work: (until: number) => Promise<readonly Reply[]>) =>
      observe(program.process.pid ?? 0, seconds, work, (until) =>
        openLoop(program.url, PROBES_PER_SECOND, until, () => protectedRoute),
      );

    await watch((until) => repeat(program.url, 1, until, login)); // Warms up the code.
    const idle = await watch(async (until) => {
      await sleep(until - performance.now());
      return [];
    });
    const single = await watch((until) => repeat(program.url, 1, until, login));
    const peaks = [await watch((until) => repeat(program.url, HASH_CONCURRENCY + 2, until, login))];
    const light = await watch((until) =>
      openLoop(program.url, 10 * median(peaks.map(admitted)), until, () => protectedRoute),
    );
    const floods: Slice[] = [];
    for (let i = 0; i < slices; i += 1) {
      const rate = 10 * median(peaks.map(admitted));
      floods.push(await watch((until) => openLoop(program.url, rate, until, login)));
      await sleep(500);
      peaks.push(await watch((until) => repeat(program.url, HASH_CONCURRENCY + 2, until, login)));
    }
    return { idle, single, light, peaks, floods };
  } finally {
    await program.end('SIGTERM');
    folder.remove();
  }
}

/** Runs a load with probes beside it for one slice of `length` seconds. */
async function observe(
  pid: number,
  length: number,
  load: (until: number) => Promise<readonly Reply[]>,
  probe: (until: number) => Promise<readonly Reply[]>,
): Promise<Slice> {
  const readings = () => ({
    now: performance.now(),
    service: cpuSeconds(pid),
    maker: process.cpuUsage(),
    busy: busySeconds(),
  });
  let most = memory(pid);
  const timer = setInterval(() => (most = Math.max(most, memory(pid))), 50);
  const before = readings();
  const until = before.now + length * 1000;
  const work = Promise.all([load(until), probe(until)]);
  await sleep(length * 1000);
  const after = readings();
  const [replies, probes] = await work;
  clearInterval(timer);
  const seconds = (after.now - before.now) / 1000;
  const { user, system } = process.cpuUsage(before.maker);
  const service = (after.service - before.service) / seconds;
  const maker = (user + system) / 1e6 / seconds;
  const others = (after.busy - before.busy) / seconds - service - maker;
  return { replies, probes, seconds, service, maker, others, memory: most };
}

/** A closed loop: each connection sends its next request as soon as it has a reply. */
async function repeat(
  url: string,
  connections: number,
  until: number,
  next: () => string,
): Promise<readonly Reply[]> {
  const replies: Reply[] = [];
  const one = async () => {
    const connection = await Connection.open(url);
    while (performance.now() < until) {
      const reply = await connection.send(next());
      if (performance.now() < until) replies.push(reply);
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: connections }, one));
  return replies;
}

/** An open loop: sends at `rate` a second, whether replies come or not. */
async function openLoop(
  url: string,
  rate: number,
  until: number,
  next: () => string,
): Promise<readonly Reply[]> {
  const replies: Reply[] = [];
  await offer({ url, rate, until, next }, (reply) => {
    // A 200 after the end does not count as throughput; any other reply counts for its latency.
    if (performance.now() < until || reply.status !== 200) replies.push(reply);
  });
  return replies;
}

/** Successful logins per second. */
export function admitted({ replies, seconds }: Slice): number {
  return replies.filter(({ status }) => status === 200).length / seconds;
}

/** Successful logins per second and core, without the cores that the load maker used. */
function admittedPerCore(slice: Slice): number {
  return admitted(slice) / (CORES - slice.maker);
}

/** All slices of a run. */
export interface Flood {
  /** Only the probes. */
  readonly idle: Slice;
  /** One login at a time. */
  readonly single: Slice;
  /** As many requests as in a flood, none of which needs a hash. */
  readonly light: Slice;
  readonly peaks: readonly Slice[];
  readonly floods: readonly Slice[];
}

/** The promises of the service under flood, with what was measured. */
export function figuresOf({ idle, peaks, floods }: Flood): readonly Figure[] {
  const replies = floods.flatMap((slice) => slice.replies);
  const shed = replies.filter(({ status }) => status === 503);
  const unexpected = replies.filter(({ status }) => status !== 200 && status !== 503);
  const unhelpful = shed.filter(({ head }) => !/\r\nretry-after: \d+/i.test(head));
  // Compares each flood with the peaks before and after it, to cancel slow changes of the machine.
  const shareOf = (measure: (slice: Slice) => number) =>
    100 *
    median(
      floods.map((slice, i) => {
        const around = peaks.slice(i, i + 2).map(measure);
        return measure(slice) / (around.reduce((a, b) => a + b, 0) / around.length);
      }),
    );
  const most = Math.max(...floods.map((slice) => slice.memory));
  const probes = floods.flatMap((slice) => slice.probes);
  const failed = [...idle.probes, ...probes].filter(({ status }) => status !== 200);
  const record = { isForTheRecord: true };
  const limit = Math.round((idle.memory + HASH_CONCURRENCY * HASH_MB) * 1.2);
  return [
    { ...figure('admitted, of the peak', shareOf(admitted), '%', { atLeast: 85 }), ...record },
    {
      ...figure('the same, per core that the load maker left', shareOf(admittedPerCore), '%', {
        atLeast: 95,
      }),
      ...record,
    },
    figure('503: p99', p99(shed), 'ms', { atMost: 50 }),
    exactly('503 without Retry-After', unhelpful.length, 0),
    exactly('neither 200 nor 503', unexpected.length, 0),
    figure('/protected, idle: p99', p99(idle.probes), 'ms', { atMost: 50 }),
    figure('/protected, in the flood: p99', p99(probes), 'ms', { atMost: 50 }),
    exactly('/protected: not 200', failed.length, 0),
    figure('memory', most, 'MB', { atMost: Math.round(150 + HASH_CONCURRENCY * HASH_MB) }),
    { ...figure('memory, against idle', most, 'MB', { atMost: limit }), ...record },
  ];
}
