/** The service on a database, under a fault, with what its clients have seen; and the verdict at the end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { check, type Evidence } from './checker.ts';
import { type Contents, proveLogins, readContents } from './contents.ts';
import { Client, type Entry, History } from './history.ts';
import { exactly, figure, type Figure } from './scenario.ts';
import { ServiceUnderTest } from './service-under-test.ts';

export interface Trial {
  readonly service: ServiceUnderTest;
  readonly history: History;
  /** As the service has it, perhaps through a proxy. */
  readonly databaseUrl: string;
}

export interface TrialOptions extends Pick<Evidence, 'mayLoseConnections'> {
  /** As the service has it. */
  readonly databaseUrl: string;
  /** To read the tables by, where the service goes through a proxy. */
  readonly directUrl?: string;
  /** Before each figure's name. */
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Accounts, by their emails, that others than the recorded clients have made, and that are not judged. */
  readonly isForeign?: (email: string) => boolean;
}

/** Starts the service, does something to it, and judges what its clients have seen when all is over. */
export async function onTrial(
  options: TrialOptions,
  run: (trial: Trial) => Promise<readonly Figure[]>,
): Promise<readonly Figure[]> {
  const { databaseUrl, directUrl = databaseUrl, name, env } = options;
  const { mayLoseConnections = false, isForeign = () => false } = options;
  const service = await ServiceUnderTest.start(databaseUrl, env);
  try {
    const history = new History();
    const figures = await run({ service, history, databaseUrl });
    // Nothing is under way any more in a service that has ended: what it left is what there is.
    const code = await service.end('SIGTERM');
    const contents = without(await readContents(directUrl), isForeign);
    await service.start();
    const { entries } = history;
    const proofs = await proveLogins(service.url, contents, entries);
    const violations = check({ entries, contents, proofs, mayLoseConnections });
    for (const { rule, what } of violations.slice(0, 10)) console.log(`${name}: ${rule}: ${what}`);
    const broken = exactly('promises to clients broken', violations.length, 0);
    if (violations.length > 0 || figures.some(({ isMet }) => !isMet)) {
      console.log(`${name}: ${summary(entries)}`);
      console.log(faultsOf(service.output));
    }
    const all = [...figures, exactly('exit code on SIGTERM', Number(code ?? NaN), 0), broken];
    return all.map((each) => ({ ...each, what: `${name}: ${each.what}` }));
  } finally {
    await service.remove();
  }
}

function without({ users, sessions }: Contents, isForeign: (email: string) => boolean): Contents {
  const foreign = new Set(users.filter(({ email }) => isForeign(email)).map(({ id }) => id));
  return {
    users: users.filter(({ id }) => !foreign.has(id)),
    sessions: sessions.filter(({ userId }) => !foreign.has(userId)),
  };
}

/** How often there was which answer. */
export function summary(entries: readonly Entry[]): string {
  const counts = new Map<string, number>();
  for (const { action, outcome } of entries) {
    const answer = 'fault' in outcome ? outcome.fault : String(outcome.status);
    const key = `${action} ${answer}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const lines = [...counts]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([key, count]) => `${key}: ${count}`);
  return lines.join(', ');
}

/** The lines on faults that a service has printed, and how often. */
function faultsOf(output: string): string {
  const counts = new Map<string, number>();
  for (const line of output.split('\n').filter((each) => each.startsWith('error '))) {
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  const often = [...counts].toSorted(([, one], [, other]) => other - one).slice(0, 5);
  return often.map(([line, count]) => `${count} × ${line}`).join('\n');
}

/** How many registrations were acknowledged: too few of them, and nothing has been tried. */
export function acknowledged({ history }: Trial, atLeast: number): Figure {
  const count = history.count(({ action }, { status }) => action === 'register' && status === 201);
  return figure('registrations acknowledged', count, '', { atLeast });
}

export function slowest({ history }: Trial): Figure {
  return figure('slowest answer', history.slowest, 'ms', { atMost: 5_000 });
}

let probes = 0;

/** Registers, until it succeeds; the milliseconds that it took. */
export async function untilWriting(
  { service, history }: Trial,
  patience = 60_000,
): Promise<number> {
  const started = performance.now();
  const client = new Client(() => service.url, history);
  try {
    for (;;) {
      const account = { email: `probe.${(probes += 1)}@example.com`, owner: -1 };
      const { tokens } = await client.register(account);
      const took = performance.now() - started;
      if (tokens !== undefined) return took;
      if (took > patience) throw new Error(`no registration succeeds for ${patience} ms`);
      await sleep(20);
    }
  } finally {
    client.close();
  }
}

/** The most of several measurements; of none, infinitely much. */
export function most(values: readonly number[]): number {
  return values.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...values);
}

export function isSuccess({ outcome }: Entry): boolean {
  return 'status' in outcome && outcome.status < 300;
}

/** How long, and since when, there was no such answer. */
export function longestWithout(isOne: (entry: Entry) => boolean, entries: readonly Entry[]) {
  const first = entries.reduce((least, { start }) => Math.min(least, start), Infinity);
  const last = entries.reduce((latest, { end }) => Math.max(latest, end), 0);
  const times = entries
    .filter(isOne)
    .map(({ end }) => end)
    .toSorted((one, other) => one - other);
  let longest = { seconds: 0, since: first };
  let since = first;
  for (const time of [...times, last]) {
    const seconds = (time - since) / 1000;
    if (seconds > longest.seconds) longest = { seconds, since };
    since = time;
  }
  return longest;
}
