/** Fault 8: the clock of the service jumps, while it runs, and that of nobody else. */
import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { program, temporaryFolder } from '../support/programs.ts';
import { ADA, type Answer, call, registered } from '../support/service.ts';
import { onEach } from './databases.ts';
import { History } from './history.ts';
import { startLoad } from './load.ts';
import { exactly, type Figure, figure, type Scenario } from './scenario.ts';
import { ServiceUnderTest } from './service-under-test.ts';

const HOUR = 60 * 60;
const DAY = 24 * HOUR;
/** By how many seconds. */
const JUMPS = [HOUR, -HOUR, DAY, -DAY];

/** An access token does not last for an hour, a refresh token for no day. */
const TTLS = { ACCESS_TOKEN_TTL: '15m', REFRESH_TOKEN_TTL: '12h' };
/** Seconds of the wait after too many wrong passwords. */
const WAIT = 30;
/** More than there are free. */
const GUESSES = 12;

export const clockJumps: Scenario = {
  number: 8,
  title: 'clock jumps of an hour and a day, ahead and back',
  run: async ({ isLong }) => {
    // All stores and all jumps together, each on a service of its own: most of the time is waiting.
    const stores = (['memory', 'SQLite', 'MariaDB'] as const).map((each) =>
      onEach([each], async ({ name, next }) => {
        const findings = new Findings();
        for (let round = 0; round < (isLong ? 10 : 1); round += 1) {
          await Promise.all(JUMPS.map(async (by) => jump(await next(), by, findings)));
        }
        return findings.figures(name);
      }),
    );
    return (await Promise.all(stores)).flat();
  },
};

/** What was found wrong, by what it tells. */
class Findings {
  asked = 0;
  slowest = 0;
  inLoad = 0;
  readonly #wrong = new Map<string, number>();

  note(kind: Kind, isRight: boolean, what: string): void {
    if (isRight) return;
    console.log(`${kind}: ${what}`);
    this.#wrong.set(kind, (this.#wrong.get(kind) ?? 0) + 1);
  }

  figures(name: string): readonly Figure[] {
    return [
      figure(`${name}: answers`, this.asked, '', { atLeast: 20 * JUMPS.length }),
      ...KINDS.map((kind) => exactly(`${name}: ${kind}`, this.#wrong.get(kind) ?? 0, 0)),
      figure(`${name}: requests of a load beside it`, this.inLoad, '', { atLeast: 100 }),
      figure(`${name}: slowest answer`, this.slowest, 'ms', { atMost: 5_000 }),
    ];
  }
}

const KINDS = [
  'jumps that the service did not see',
  'tokens not judged by the wall clock',
  'waits that a jump has ended',
  'waits that a jump has made longer',
  'other answers than without a jump',
] as const;
type Kind = (typeof KINDS)[number];

/** One jump of one service, and back. */
async function jump(databaseUrl: string, seconds: number, findings: Findings): Promise<void> {
  const folder = temporaryFolder();
  const clock = new Clock(folder.path);
  const service = await ServiceUnderTest.start(databaseUrl, { ...TTLS, ...clock.env });
  const history = new History();
  const load = startLoad(history, { url: () => service.url, clients: 1, pause: 100 });
  try {
    const asked = new Asked(service.url, findings, `${databaseUrl.split(':')[0]} ${seconds} s`);
    const before = await asked.registered('before@example.com');
    await asked.registered('locked@example.com');
    const locked = await asked.lock('locked@example.com');

    clock.set(seconds);
    await asked.waits('locked@example.com', locked);
    // Expired, or of the future, which is refused as well.
    await asked.token(before.access_token, [401]);
    await asked.refresh(before.refresh_token, [seconds === HOUR ? 200 : 401]);
    await asked.everything(`during.${seconds}@example.com`, seconds);

    clock.set(0);
    await asked.waits('locked@example.com', locked);
    await asked.token(before.access_token, [200]);
    await asked.refresh(before.refresh_token, [200]);
    await asked.everything(`after.${seconds}@example.com`, 0);

    clock.set(seconds);
    await sleep(untilEnd(locked) / 2);
    await asked.waits('locked@example.com', locked);
    await sleep(untilEnd(locked) + 1_000);
    await asked.isFree('locked@example.com');
  } finally {
    await load.stop();
    const strange = history.entries.filter(
      ({ outcome }) => 'fault' in outcome || outcome.status >= 500,
    );
    for (const { action, outcome } of strange) {
      const what = `${action} ${JSON.stringify(outcome)}`;
      findings.note('other answers than without a jump', false, what);
    }
    findings.inLoad += history.entries.length;
    await service.remove();
    folder.remove();
  }
}

/** The clock of one process. */
class Clock {
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  constructor(folder: string) {
    this.#file = join(folder, 'clock');
    this.set(0);
    this.env = {
      LD_PRELOAD: libfaketime(),
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
  }

  /** From now on it is so many seconds ahead. */
  set(seconds: number): void {
    writeFileSync(`${this.#file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    renameSync(`${this.#file}.new`, this.#file); // Never half a file.
  }
}

/** In a folder that is named after the machine. */
const FIND = ['-c', 'ls /usr/lib/*/faketime/libfaketime.so.1'];

function libfaketime(): string {
  const shell = program(['sh'], FIND, 'libfaketime');
  if (shell === undefined) throw new Error('there is no libfaketime');
  return execFileSync(shell, FIND, { encoding: 'utf8' }).trim();
}

/** A wait, as it was told before any jump. */
interface Wait {
  /** As `performance.now()` has it. */
  readonly end: number;
}

function untilEnd({ end }: Wait): number {
  return Math.max(0, end - performance.now());
}

/** Seconds that a refusal says. */
function retryAfter({ headers }: Answer): number {
  return Number(headers.get('retry-after') ?? NaN);
}

/** What is asked of one service, and what is wrong with its answers. */
class Asked {
  readonly #url: string;
  readonly #findings: Findings;
  readonly #name: string;

  constructor(url: string, findings: Findings, name: string) {
    this.#url = url;
    this.#findings = findings;
    this.#name = name;
  }

  async #ask(endpoint: string, sent: Parameters<typeof call>[2] = {}): Promise<Answer> {
    const started = performance.now();
    // One address for all that is guessed, and for the owner.
    const headers = { 'X-Forwarded-For': '192.0.2.1' };
    const answer = await call(this.#url, endpoint, { ...sent, headers });
    this.#findings.asked += 1;
    this.#findings.slowest = Math.max(this.#findings.slowest, performance.now() - started);
    return answer;
  }

  #check(kind: Kind, what: string, { status, text }: Answer, wanted: readonly number[]): void {
    const told = `${this.#name}: ${what}: ${status} ${text.slice(0, 80)}, not ${wanted.join(' or ')}`;
    this.#findings.note(kind, wanted.includes(status), told);
  }

  async registered(email: string) {
    return registered(this.#url, { email });
  }

  /** Guesses until one has to wait. */
  async lock(email: string): Promise<Wait> {
    for (let guess = 0; guess < GUESSES; guess += 1) {
      const json = { email, password: `wrong ${guess}` };
      const answer = await this.#ask('POST /login', { json });
      if (answer.status === 429) {
        return { end: performance.now() + retryAfter(answer) * 1000 };
      }
    }
    throw new Error(`${GUESSES} guesses, and no wait`);
  }

  /** Whether one still has to wait, and as long as before. */
  async waits(email: string, wait: Wait): Promise<void> {
    const left = untilEnd(wait) / 1000;
    const answer = await this.#ask('POST /login', { json: { ...ADA, email } });
    if (left < 2) throw new Error('the machine is too busy to tell whether the wait is over');
    this.#check('waits that a jump has ended', 'a right password', answer, [429]);
    const told = retryAfter(answer);
    const isLonger = answer.status === 429 && !(told <= Math.min(left + 2, WAIT));
    const what = `${this.#name}: ${told} s, and ${left.toFixed(1)} s are left`;
    this.#findings.note('waits that a jump has made longer', !isLonger, what);
  }

  async isFree(email: string): Promise<void> {
    const answer = await this.#ask('POST /login', { json: { ...ADA, email } });
    const kind = 'waits that a jump has made longer';
    this.#check(kind, 'a right password after the wait', answer, [200]);
  }

  async token(token: string, wanted: readonly number[]): Promise<void> {
    const answer = await this.#ask('GET /protected', { token });
    this.#check('tokens not judged by the wall clock', 'GET /protected', answer, wanted);
  }

  async refresh(token: string, wanted: readonly number[]): Promise<void> {
    const answer = await this.#ask('POST /refresh', { json: { refresh_token: token } });
    this.#check('tokens not judged by the wall clock', 'POST /refresh', answer, wanted);
  }

  /** Whatever a new user does must work as ever; the clock that it sees is so many seconds ahead. */
  async everything(email: string, ahead: number): Promise<void> {
    const kind = 'other answers than without a jump';
    const json = { ...ADA, email };
    this.#check(kind, 'register', await this.#ask('POST /register', { json }), [201]);
    const wrong = { email, password: 'wrong' };
    this.#check(kind, 'wrong login', await this.#ask('POST /login', { json: wrong }), [401]);
    const login = await this.#ask('POST /login', { json });
    this.#check(kind, 'login', login, [200]);
    this.#check(kind, 'users', await this.#ask('GET /users'), [200]);
    if (login.status !== 200) return;
    const { access_token, refresh_token, user } = login.json as SignedIn;
    this.#check(kind, 'hello', await this.#ask('GET /protected', { token: access_token }), [200]);
    const again = await this.#ask('POST /refresh', { json: { refresh_token } });
    this.#check(kind, 'refresh', again, [200]);
    const off = Math.abs(Date.parse(user.date_created) - (Date.now() + ahead * 1000));
    const what = `${this.#name}: an account of ${user.date_created}`;
    this.#findings.note('jumps that the service did not see', off < 10_000, what);
  }
}

interface SignedIn {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly user: { readonly date_created: string };
}
