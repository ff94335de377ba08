/** Fault 7: of three Galera nodes one is killed, cut off or frozen, and all three are written to at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type GaleraCluster, type GaleraNode, galeraCluster } from '../support/galera.ts';
import { check } from './checker.ts';
import { type Contents, proveLogins, readContents } from './contents.ts';
import { Client, type Entry, History } from './history.ts';
import { startLoad } from './load.ts';
import { exactly, type Figure, figure, type Scenario } from './scenario.ts';
import { ServiceUnderTest } from './service-under-test.ts';
import { isSuccess, longestWithout } from './trial.ts';

/** Milliseconds of load before a fault, during it, and after the cluster is one again. */
const BEFORE = 2_000;
const DURING = 10_000;
const AFTER = 3_000;
/** Clients of each service. */
const CLIENTS = 6;
/** Milliseconds by which a node may lag behind when there is nothing to do. */
const LAG = 1_000;
/** Seconds without a success, at most. */
const STALL = 10;
/** Seconds within which a service that reaches only the healed node serves again. */
const RECOVERY = 10;
const RACES = 500;
/** Accounts made on one node, each with three tries on another. */
const JOURNEYS = 500;

export const galeraFaults: Scenario = {
  number: 7,
  title: 'a Galera node is killed, cut off or frozen',
  async run({ isLong }) {
    const times = isLong ? 10 : 1;
    const cluster = await galeraCluster();
    console.log(`cut off by ${cluster.partitions}`);
    const services: ServiceUnderTest[] = [];
    try {
      await createDatabase(cluster);
      for (const first of [0, 1, 2]) {
        services.push(await ServiceUnderTest.start(databaseUrl(cluster.hosts(first))));
      }
      const [one, two, three] = services;
      if (one === undefined || two === undefined || three === undefined) throw new Error('none');
      const trial = new Trial(cluster, one, three);
      const figures = [
        ...(await races(cluster, services, RACES * times)),
        ...(await journeys(cluster, one, two, JOURNEYS * times)),
      ];
      for (let round = 0; round < times; round += 1) {
        figures.push(...(await trial.killed()), ...(await trial.cutOff()));
        figures.push(...(await trial.frozen()));
      }
      return figures;
    } finally {
      await Promise.all(services.map((service) => service.remove()));
      await cluster.remove();
    }
  },
};

const DATABASE = 'portcullis';

function databaseUrl(hosts: string): string {
  return `mysql://client:client@${hosts}/${DATABASE}`;
}

async function createDatabase({ nodes: [node] }: GaleraCluster): Promise<void> {
  await node.query(`CREATE DATABASE ${DATABASE}`);
}

/** One email, tried on all nodes at once, again and again. */
async function races(
  cluster: GaleraCluster,
  services: readonly ServiceUnderTest[],
  times: number,
): Promise<readonly Figure[]> {
  const history = new History();
  const clients = services.map(({ url }) => new Client(() => url, history));
  for (let round = 0; round < times; round += 1) {
    const email = `race.${round}@example.com`;
    await Promise.all(clients.map((client, owner) => client.register({ email, owner })));
  }
  for (const client of clients) client.close();
  const what = `${times} emails, each registered on three nodes at once`;
  const is = (status: number) => history.count((_, outcome) => outcome.status === status);
  return [
    exactly(`${what}: 201`, is(201), times),
    exactly(`${what}: 400`, is(400), times * 2),
    ...(await judged(what, cluster, services[0], history.entries)),
    ...(await emptied(cluster)),
  ];
}

/** Accounts are made on one node; what they were given is used on another at once. */
async function journeys(
  cluster: GaleraCluster,
  one: ServiceUnderTest,
  other: ServiceUnderTest,
  times: number,
): Promise<readonly Figure[]> {
  const history = new History();
  const travel = async (owner: number) => {
    const [here, there] = [one, other].map(({ url }) => new Client(() => url, history));
    if (here === undefined || there === undefined) return;
    for (let i = owner; i < times; i += CLIENTS) {
      const account = { email: `journey.${i}@example.com`, owner };
      const { tokens } = await here.register(account);
      if (tokens === undefined) continue;
      await there.protected(account, tokens);
      await there.refresh(account, tokens);
      await there.login(account);
    }
    here.close();
    there.close();
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, owner) => travel(owner)));
  const what = `${times} accounts made on one node`;
  const honoured = history.count(
    ({ action }, { status }) => action !== 'register' && status === 200,
  );
  return [
    exactly(`${what}: honoured on another at once, of ${3 * times} tries`, honoured, 3 * times),
    ...(await judged(what, cluster, one, history.entries)),
    ...(await emptied(cluster)),
  ];
}

/** What befalls the third node, under load on two services that know all three. */
class Trial {
  readonly #cluster: GaleraCluster;
  /** It prefers a node that stays. */
  readonly #stable: ServiceUnderTest;
  /** It prefers the one that does not. */
  readonly #moved: ServiceUnderTest;
  readonly #victim: GaleraNode;

  constructor(cluster: GaleraCluster, stable: ServiceUnderTest, moved: ServiceUnderTest) {
    this.#cluster = cluster;
    this.#stable = stable;
    this.#moved = moved;
    this.#victim = cluster.nodes[2];
  }

  killed(): Promise<readonly Figure[]> {
    return this.#during('node killed', {
      begin: () => this.#victim.kill(),
      end: () => this.#victim.start(),
    });
  }

  frozen(): Promise<readonly Figure[]> {
    return this.#during('node frozen', {
      begin: async () => this.#victim.freeze(),
      end: async () => this.#victim.thaw(),
    });
  }

  /** With a third service, which reaches nobody but the node that is cut off. */
  async cutOff(): Promise<readonly Figure[]> {
    const { host, port } = this.#victim;
    const minority = await ServiceUnderTest.start(databaseUrl(`${host}:${port}`));
    try {
      const history = new History();
      const load = startLoad(history, { url: () => minority.url, clients: 2, pause: 20 });
      let [from, to, healed] = [0, 0, 0];
      const figures = await this.#during(
        'node cut off',
        {
          begin: async () => {
            await this.#victim.isolate();
            from = performance.now();
          },
          end: async () => {
            to = performance.now();
            await this.#victim.rejoin();
          },
          healed: async () => {
            healed = await minority.untilHealthy();
            await load.stop();
          },
        },
        history,
      );
      const answers = history.count(
        ({ start, end }, { status }) => start > from && end < to && status === 500,
      );
      const created = history.count(
        ({ start, end }, { status }) => start > from && end < to && status === 201,
      );
      return [
        ...figures,
        exactly('cut off: 201 by a service that reaches that node alone', created, 0),
        figure('cut off: its 500s', answers, '', { atLeast: 5 }),
        figure('cut off: the slowest answer of it', history.slowest / 1000, 's', { atMost: 5 }),
        figure('cut off: it serves after healing, with no restart, in', healed / 1000, 's', {
          atMost: RECOVERY,
        }),
      ];
    } finally {
      await minority.remove();
    }
  }

  async #during(
    what: string,
    fault: { begin: () => Promise<void>; end: () => Promise<void>; healed?: () => Promise<void> },
    others: History = new History(),
  ): Promise<readonly Figure[]> {
    const histories = [new History(), new History()];
    const loads = [this.#stable, this.#moved].map(({ url }, i) =>
      startLoad(histories[i] ?? others, { url: () => url, clients: CLIENTS, pause: 10 }),
    );
    await sleep(BEFORE);
    await fault.begin();
    const begun = performance.now();
    await sleep(DURING);
    const logs = this.#cluster.logs();
    await fault.end();
    await this.#cluster.settled();
    await fault.healed?.();
    await sleep(AFTER);
    await Promise.all(loads.map((load) => load.stop()));
    const entries = [...histories, others].flatMap((history) => history.entries);
    const slowest = Math.max(...histories.map((history) => history.slowest)) / 1000;
    const [stable = [], moved = []] = histories.map((history) => history.entries);
    const isCreated = ({ outcome }: Entry) => 'status' in outcome && outcome.status === 201;
    const stalls = [
      { of: 'longest without a 201', ...longestWithout(isCreated, stable) },
      { of: 'where it was preferred', ...longestWithout(isCreated, moved) },
      { of: 'without a success', ...longestWithout(isSuccess, [...stable, ...moved]) },
    ];
    for (const { of, seconds, since } of stalls.filter((stall) => stall.seconds > STALL)) {
      // What is rare must tell of itself where it happens.
      console.log(`${what}: ${of}: ${seconds} s, from ${(since - begun) / 1000} s on\n${logs}`);
    }
    return [
      ...stalls.map(({ of, seconds }) => figure(`${what}: ${of}`, seconds, 's', { atMost: STALL })),
      figure(`${what}: slowest answer`, slowest, 's', { atMost: 5 }),
      ...(await judged(what, this.#cluster, this.#stable, entries)),
      ...(await emptied(this.#cluster)),
    ];
  }
}

/** What the independent checker finds, and whether all nodes hold the same rows. */
async function judged(
  what: string,
  cluster: GaleraCluster,
  service: ServiceUnderTest | undefined,
  unsorted: readonly Entry[],
): Promise<readonly Figure[]> {
  const entries = unsorted.toSorted((one, other) => one.end - other.end);
  const urls = cluster.nodes.map(({ host, port }) => databaseUrl(`${host}:${port}`));
  const [first = ''] = urls;
  const contents = await untilStill(first);
  const all = await Promise.all(urls.map((url) => readContents(url)));
  const proofs = await proveLogins(service?.url ?? '', contents, entries);
  const violations = check({ entries, contents, proofs });
  for (const { rule, what: found } of violations.slice(0, 20))
    console.log(`${what}: ${rule} ${found}`);
  const emails = new Set(contents.users.map(({ email }) => email));
  const texts = new Set(all.map((each) => JSON.stringify(inOrder(each))));
  const acknowledged = entries.filter((e) => 'status' in e.outcome && e.outcome.status === 201);
  const inDoubt = entries.filter((e) => 'status' in e.outcome && e.outcome.status === 500);
  console.log(
    `${what}: ${entries.length} requests, ${acknowledged.length} 201s, ${inDoubt.length} 500s`,
  );
  return [
    exactly(`${what}: broken promises, of ${acknowledged.length} 201s`, violations.length, 0),
    exactly(`${what}: rows beyond one for each email`, contents.users.length - emails.size, 0),
    exactly(`${what}: different contents of the three nodes`, texts.size, 1),
  ];
}

/**
 * Reads the tables once they no longer change: what is acknowledged is committed everywhere, but applied
 * a little later; and what was in doubt may be done after all.
 */
async function untilStill(url: string): Promise<Contents> {
  for (let [tries, last] = [0, '']; tries < 10; tries += 1) {
    const contents = await readContents(url);
    const text = JSON.stringify(inOrder(contents));
    if (text === last) return contents;
    last = text;
    await sleep(LAG);
  }
  throw new Error('the tables go on changing, although nobody asks for anything');
}

function inOrder({ users, sessions }: Contents) {
  return [users, sessions.map(({ id, userId }) => `${id} ${userId}`).toSorted()];
}

/** So that the next part is judged by its own rows alone. */
async function emptied({ nodes: [node] }: GaleraCluster): Promise<readonly []> {
  await node.query(`DELETE FROM ${DATABASE}.users`);
  return [];
}
