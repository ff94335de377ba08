/**
 * Profiles the service under load at one path, on MariaDB: the ten hottest functions, and the
 * shares of Node, of packages and of our own folders. Lasts `SECONDS` (5), after a warm-up.
 *
 *   npm run bench -- profile /protected       or /refresh, /login, /register, /users
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../tests/support/programs.ts';
import { framesOf, type Profile, readProfile, sharesOf } from './hot-frames.ts';
import { closedLoop, readToEnd, requireWrk, wrk } from './load.ts';
import { login, type Peopled, registration, type Server, Stage } from './stage.ts';
import { inTurn } from './visits.ts';

const SECONDS = Number(process.env['SECONDS'] ?? 5);
const WARM_UP_SECONDS = 4;
const SHOWN_FUNCTIONS = 10;
const USERS = 100_000;

type Load = (service: Peopled, seconds: number) => Promise<unknown>;

const LOADS: ReadonlyMap<string, Load> = new Map(
  Object.entries<Load>({
    '/protected': ({ url, workers, accessTokens: tokens }, seconds) =>
      wrk({ url, kind: 'protected', tokens, connections: 32, seconds }, workers),
    '/refresh': ({ url, workers, refreshTokens: tokens }, seconds) =>
      wrk({ url, kind: 'refresh', tokens, connections: 32, seconds }, workers),
    '/login': ({ url, workers, accounts }, seconds) => {
      const next = inTurn(accounts, ({ email }) => login(email));
      return closedLoop({ url, inFlight: 8, seconds, next, status: 200 }, workers);
    },
    '/register': ({ url, workers }, seconds) => {
      const next = () => registration('New', `new${Math.random()}@example.com`);
      return closedLoop({ url, inFlight: 8, seconds, next, status: 201 }, workers);
    },
  }),
);

const [path = ''] = process.argv.slice(2);
const load = LOADS.get(path);
if (load === undefined && path !== '/users') {
  console.error(`which path? ${[...LOADS.keys(), '/users'].join(', ')}`);
  process.exit(2);
}
requireWrk();
const folder = temporaryFolder();
const file = join(folder.path, 'service.cpuprofile');
const profiler = join(import.meta.dirname, 'profiler.mjs');
const stage = await Stage.open({ NODE_OPTIONS: `--import=${profiler}`, PROFILE_FILE: file });
try {
  if (load) {
    const service = await stage.server('service');
    await profile(service, (seconds) => load(service, seconds));
  } else {
    const service = await stage.guest(await stage.crowd(USERS));
    await profile(service, (seconds) => readAgain(`${service.url}/users`, seconds));
  }
} finally {
  await stage.close();
  folder.remove();
}

async function profile({ program }: Server, work: (seconds: number) => Promise<unknown>) {
  await work(WARM_UP_SECONDS);
  program.process.kill('SIGUSR2');
  await work(SECONDS);
  program.process.kill('SIGUSR2');
  while (!existsSync(file)) await sleep(50);
  report(readProfile(readFileSync(file, 'utf8')));
}

async function readAgain(url: string, seconds: number): Promise<void> {
  for (const until = performance.now() + seconds * 1000; performance.now() < until; ) {
    await readToEnd(url);
  }
}

function report(found: Profile): void {
  const frames = framesOf(found, process.cwd());
  const all = frames.reduce((sum, { microseconds }) => sum + microseconds, 0);
  const idle = sharesOf(frames).find(([group]) => group === 'idle')?.[1] ?? 0;
  const percent = (microseconds: number) => `${((microseconds / (all - idle)) * 100).toFixed(1)} %`;
  console.log(`\n${path}: idle for ${((idle / all) * 100).toFixed(1)} % of the time; of the rest`);
  console.table(
    frames
      .filter(({ group }) => group !== 'idle')
      .slice(0, SHOWN_FUNCTIONS)
      .map(({ name, file: where, line, microseconds }) => ({
        self: percent(microseconds),
        function: name,
        at: where && `${where}:${line}`,
      })),
  );
  console.table(
    sharesOf(frames)
      .filter(([group, microseconds]) => group !== 'idle' && microseconds / (all - idle) > 0.001)
      .map(([from, microseconds]) => ({ from, share: percent(microseconds) })),
  );
}
