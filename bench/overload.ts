/**
 * The service under ten times the logins that it can do: what it still admits, how soon it turns
 * the rest away, whether other requests stay fast, and its memory. Says of each whether it is within
 * its bound; asserts nothing. `ROUNDS` (3) times, each on a new service, in which `SLICES` (4) of
 * flood lie between slices of the peak, `SECONDS` (6) each: what else the machine does hits both. Cores
 * are CPU time by wall time: of the service from /proc/PID/stat, of this process (the load maker) from
 * process.cpuUsage, of others what /proc/stat has beside them. The database is in `TMPDIR`.
 *
 *   npm run bench:overload
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../tests/support/programs.ts';
import { registered, startProgram } from '../tests/support/service.ts';
import { offer } from './load.ts';
import {
  busySeconds,
  Connection,
  cpuSeconds,
  memory,
  quantile,
  type Reply,
  requestText,
} from './measure.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 3);
const SLICES = Number(process.env['SLICES'] ?? 4);
const SECONDS = Number(process.env['SECONDS'] ?? 6);
const PRODUCTION = [process.execPath, 'dist/service/main.cjs'];
const CORES = availableParallelism();
const PERMITS = Number(process.env['HASH_CONCURRENCY'] ?? CORES);
const HASH_MB = 19_456 / 1024;
const ACCOUNTS = 20;
/** Requests of GET /protected a second, beside everything else. */
const PROBES = 100;
/** Of the service, to try others: those of the environment that it has a say in. */
const PASSED_ON = ['HASH_CONCURRENCY', 'HASH_QUEUE', 'UV_THREADPOOL_SIZE'];

/** What happened in a stretch of time. */
interface Slice {
  readonly replies: readonly Reply[];
  readonly probes: readonly Reply[];
  readonly seconds: number;
  /** Cores that were busy on average, with the service, the load maker (this process) and others. */
  readonly service: number;
  readonly maker: number;
  readonly others: number;
  /** The most that the service took, in MB. */
  readonly memory: number;
}

const bounds: Record<string, string>[] = [];
for (let round = 1; round <= ROUNDS; round += 1) await measureRound(round);
console.table(bounds);

async function measureRound(round: number): Promise<void> {
  const folder = temporaryFolder();
  const passedOn = PASSED_ON.flatMap((name) => {
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
    PRODUCTION,
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
      observe(program.process.pid ?? 0, work, (until) =>
        openLoop(program.url, PROBES, until, () => protectedRoute),
      );

    await watch((until) => repeat(program.url, 1, until, login)); // Warm, and its code compiled.
    const idle = await watch(async (until) => {
      await sleep(until - performance.now());
      return [];
    });
    const single = await watch((until) => repeat(program.url, 1, until, login));
    const peaks = [await watch((until) => repeat(program.url, PERMITS + 2, until, login))];
    const light = await watch((until) =>
      openLoop(program.url, 10 * median(peaks.map(admitted)), until, () => protectedRoute),
    );
    const floods: Slice[] = [];
    for (let i = 0; i < SLICES; i += 1) {
      const rate = 10 * median(peaks.map(admitted));
      floods.push(await watch((until) => openLoop(program.url, rate, until, login)));
      await sleep(500);
      peaks.push(await watch((until) => repeat(program.url, PERMITS + 2, until, login)));
    }
    report({ round, idle, single, light, peaks, floods });
    await program.end('SIGTERM');
  } finally {
    folder.remove();
  }
}

/** Runs a load and the probes beside it for a slice of time. */
async function observe(
  pid: number,
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
  const until = before.now + SECONDS * 1000;
  const work = Promise.all([load(until), probe(until)]);
  await sleep(SECONDS * 1000);
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

/** Closed loop: so many connections, each with the next request as soon as it has its reply. */
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

/** Open loop: so many requests a second, whether the replies come or not. */
async function openLoop(
  url: string,
  rate: number,
  until: number,
  next: () => string,
): Promise<readonly Reply[]> {
  const replies: Reply[] = [];
  await offer({ url, rate, until, next }, (reply) => {
    // Those that are waiting when the time is up are no longer part of what was done in it, but of
    // how long things take.
    if (performance.now() < until || reply.status !== 200) replies.push(reply);
  });
  return replies;
}

/** Logins a second. */
function admitted({ replies, seconds }: Slice): number {
  return replies.filter(({ status }) => status === 200).length / seconds;
}

/** Logins a second for each core that the load maker left. */
function admittedPerCore(slice: Slice): number {
  return admitted(slice) / (CORES - slice.maker);
}

interface Round {
  readonly round: number;
  /** Nothing but the probes. */
  readonly idle: Slice;
  /** One login at a time. */
  readonly single: Slice;
  /** As many requests as in a flood, none of which needs a hash. */
  readonly light: Slice;
  readonly peaks: readonly Slice[];
  readonly floods: readonly Slice[];
}

function report({ round, idle, single, light, peaks, floods }: Round): void {
  const replies = floods.flatMap((flood) => flood.replies);
  const shed = replies.filter(({ status }) => status === 503);
  const strange = replies.filter(({ status }) => status !== 200 && status !== 503);
  const unhelpful = shed.filter(({ head }) => !/\r\nretry-after: \d+/i.test(head));
  const cores = (slices: readonly Slice[]) => {
    const each = (['service', 'maker', 'others'] as const).map(
      (who) => `${who} ${median(slices.map((slice) => slice[who])).toFixed(2)}`,
    );
    const perSecond = median(slices.map((slice) => admitted(slice) / slice.service));
    return `${each.join(', ')}; ${perSecond.toFixed(1)} logins a CPU second of the service`;
  };
  console.log(`Round ${round}: ${SLICES} slices of ${SECONDS} s; cores busy, of ${CORES}:`);
  console.log(`  peak: ${peaks.map((peak) => admitted(peak).toFixed(1)).join(' ')} logins/s`);
  console.log(`        cores: ${cores(peaks)}`);
  console.log(`  flood: ${floods.map((flood) => admitted(flood).toFixed(1)).join(' ')} logins/s`);
  console.log(`        cores: ${cores(floods)}`);
  const offered = median(floods.map((flood) => flood.replies.length / flood.seconds));
  console.log(`        answered ${offered.toFixed(0)}/s, ${shed.length} of them 503`);
  console.log(`  /protected p99: ${milliseconds(single.probes)} with one login at a time`);
  console.log(`        ${milliseconds(peaks.flatMap(({ probes }) => probes))} at the peak`);

  // Each flood against the peaks on both sides of it: the machine changes slower than that.
  const shareOf = (measure: (slice: Slice) => number) =>
    median(
      floods.map((flood, i) => {
        const around = peaks.slice(i, i + 2).map(measure);
        return measure(flood) / (around.reduce((a, b) => a + b, 0) / around.length);
      }),
    );
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  const bound = (what: string, measured: string, limit: string, isWithin: boolean) =>
    bounds.push({ round: `${round}`, what, measured, bound: limit, is: within(isWithin) });

  const share = shareOf(admitted);
  bound('admitted, of the peak', percent(share), '>= 85 %', share >= 0.85);
  const fair = shareOf(admittedPerCore);
  bound('the same, per core that the load maker left', percent(fair), '>= 95 %', fair >= 0.95);
  const late = quantile(
    shed.map(({ ms }) => ms),
    0.99,
  );
  bound('503: p99', `${late.toFixed(1)} ms`, '<= 50 ms', late <= 50);
  bound('503 without Retry-After', `${unhelpful.length}`, '0', unhelpful.length === 0);
  bound('neither 200 nor 503', `${strange.length}`, '0', strange.length === 0);
  for (const [name, slices] of [
    ['idle', [idle]],
    ['in the flood', floods],
  ] as const) {
    const probes = slices.flatMap((slice) => slice.probes);
    const ok = p99(probes) <= 50 && probes.every(({ status }) => status === 200);
    bound(`/protected, ${name}: p99`, milliseconds(probes), '<= 50 ms', ok);
  }
  const most = Math.max(...floods.map((flood) => flood.memory));
  const limit = (idle.memory + PERMITS * HASH_MB) * 1.2;
  const readings = [idle.memory, light.memory, single.memory, most]
    .map((mb) => mb.toFixed(0))
    .join(', ');
  bound(
    'memory idle, without hashes, one login, flood',
    `${readings} MB`,
    `<= ${limit.toFixed(0)} MB`,
    most <= limit,
  );
}

function p99(replies: readonly Reply[]): number {
  return quantile(
    replies.map(({ ms }) => ms),
    0.99,
  );
}

function milliseconds(replies: readonly Reply[]): string {
  return `${p99(replies).toFixed(1)} ms`;
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function within(isWithin: boolean): string {
  return isWithin ? 'within' : 'BEYOND';
}
