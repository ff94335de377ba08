/** Fault 5: a database that can be read, and takes no writes. */
import { type Answer, call } from '../support/service.ts';
import { newDatabase, onEach, query, withMariadb } from './databases.ts';
import { type Account, Client, passwordOf, type Tokens } from './history.ts';
import { REGISTRATIONS, startLoad } from './load.ts';
import { exactly, type Figure, figure, type Scenario } from './scenario.ts';
import { allowWrites, forbidWrites, withSmallDisk } from './small-disk.ts';
import { onTrial, type Trial, untilWriting } from './trial.ts';

/** What is tried while nothing can be written. */
const REGISTERED = 40;
const SIGNED_IN = 40;
/** Wrong passwords for one account: many more than are judged. */
const GUESSED = 40;
/** So many of them are judged, and no more before a wait: for an account, and from one address. */
const JUDGED = { 'many addresses': 10, 'one address': 7 } as const;
/** Before the fault, from one address. */
const GUESSED_BEFORE = 4;

/** MiB: enough for what MariaDB makes at first, and for little more. */
const MARIADB_DISK = 256;
const SQLITE_DISK = 8;

interface Unwritable {
  readonly name: string;
  readonly databaseUrl: string;
  /** By which the tables can be changed whatever is wrong; as the service has it unless given. */
  readonly directUrl?: string;
  readonly begin: () => Promise<unknown>;
  readonly end: () => Promise<unknown>;
}

export const unwritableDatabase: Scenario = {
  number: 5,
  title: 'read-only or full database or disk',
  run: async ({ isLong }) => {
    const figures: Figure[] = [];
    for (let round = 0; round < (isLong ? 10 : 1); round += 1) {
      for (const fault of [readOnlyServer, fullServer, fullDisk, immutableFile]) {
        figures.push(...(await fault()));
      }
    }
    return figures;
  },
};

function readOnlyServer(): Promise<readonly Figure[]> {
  return withMariadb([], async (server) => {
    const directUrl = await newDatabase(server);
    const database = new URL(directUrl).pathname.slice(1);
    // Without the privileges by which one writes to a read-only server all the same.
    await query(server.url, "CREATE USER app@'%' IDENTIFIED BY 'app'");
    await query(server.url, `GRANT ALL ON ${database}.* TO app@'%'`);
    return during({
      name: 'MariaDB read-only',
      databaseUrl: directUrl.replace('tester:tester@', 'app:app@'),
      directUrl,
      begin: () => query(server.url, 'SET GLOBAL read_only = 1'),
      end: () => query(server.url, 'SET GLOBAL read_only = 0'),
    });
  });
}

function fullServer(): Promise<readonly Figure[]> {
  return withSmallDisk(MARIADB_DISK, async (disk) => {
    // A log of its usual size takes half of the disk; what is in memory cannot be read past the cache.
    const options = ['--innodb-flush-method=fsync'];
    const use = async (server: Parameters<typeof newDatabase>[0]) =>
      during({
        name: 'MariaDB, disk full',
        databaseUrl: await newDatabase(server),
        begin: async () => disk.fill(),
        end: async () => disk.makeRoom(),
      });
    return withMariadb(options, use, disk.path);
  });
}

function fullDisk(): Promise<readonly Figure[]> {
  return withSmallDisk(SQLITE_DISK, async (disk) =>
    during({
      name: 'SQLite, disk full',
      databaseUrl: `sqlite:${disk.path}/p.sqlite`,
      begin: async () => disk.fill(),
      end: async () => disk.makeRoom(),
    }),
  );
}

function immutableFile(): Promise<readonly Figure[]> {
  return onEach(['SQLite'], async ({ next }) => {
    const databaseUrl = await next();
    const path = databaseUrl.replace('sqlite:', '');
    const files = [path, `${path}-wal`];
    let isForbidden = false;
    const allow = () => {
      if (isForbidden) allowWrites(files);
      isForbidden = false;
    };
    const begin = async () => {
      forbidWrites(files);
      isForbidden = true;
    };
    process.once('exit', allow); // Or it could not be removed.
    try {
      const end = async () => allow();
      return await during({ name: 'SQLite read-only', databaseUrl, begin, end });
    } finally {
      allow();
      process.off('exit', allow);
    }
  });
}

/** Has a service on the database before, during and after the fault. */
function during(fault: Unwritable): Promise<readonly Figure[]> {
  const { databaseUrl, directUrl = databaseUrl, name } = fault;
  return onTrial({ databaseUrl, directUrl, name }, async (trial) => {
    const { service, history } = trial;
    const { pid } = service;
    const client = new Client(() => service.url, history);
    try {
      const people = new People(service.url, client);
      const ada = await people.registered('ada@example.com');
      for (const email of GUESSED_AT) await people.registered(email);
      await people.guess(GUESSED_AT[1], 'one address', GUESSED_BEFORE);
      // A refresh notes the use of a session that was not used for a minute.
      await query(directUrl, "UPDATE sessions SET last_used = '2020-01-01T00:00:00.000Z'");

      const load = startLoad(history, {
        url: () => service.url,
        clients: 4,
        mix: REGISTRATIONS,
        pause: 20,
      });
      await fault.begin();
      await untilRefused(trial, client);
      await people.untilUnstored(ada);
      const figures = [
        ...(await registrations(client)),
        ...(await people.signIns(ada)),
        ...(await people.reads(ada)),
        ...(await people.guesses()),
        figure('slowest answer', people.slowest, 'ms', { atMost: 5_000 }),
      ];
      await fault.end();
      const resumed = await untilWriting(trial);
      await load.stop();
      return [
        ...figures,
        figure('until writes succeed again', resumed, 'ms', { atMost: 5_000 }),
        ...(await people.after(ada)),
        exactly('restarts of the service', Number(!service.isRunning || service.pid !== pid), 0),
      ];
    } finally {
      client.close();
    }
  });
}

const GUESSED_AT = ['eve@example.com', 'bob@example.com'] as const;

/** A full disk has room for some more rows, in pages that are there already. */
async function untilRefused(trial: Trial, client: Client): Promise<void> {
  for (let number = 0; number < 50_000; number += 1) {
    const { outcome } = await client.register({ email: `filler.${number}@example.com`, owner: 1 });
    if ('status' in outcome && outcome.status === 500) return;
  }
  throw new Error(`still written to: ${trial.service.output.slice(-500)}`);
}

async function registrations(client: Client): Promise<readonly Figure[]> {
  let [refused, strange] = [0, 0];
  for (let number = 0; number < REGISTERED; number += 1) {
    const { outcome } = await client.register({ email: `late.${number}@example.com`, owner: 2 });
    const { status, message } = 'status' in outcome ? outcome : { status: 0, message: '' };
    const isDocumented = message === 'Database error occurred. Please try again.';
    if (status === 500 && isDocumented) refused += 1;
    else if (status !== 201) strange += 1;
  }
  return [
    figure(`of ${REGISTERED} registrations, the documented 500`, refused, '', {
      atLeast: REGISTERED / 2,
    }),
    exactly('registrations with neither that nor 201', strange, 0),
  ];
}

/** Somebody who registered before the fault. */
interface Person extends Account {
  readonly tokens: Tokens;
}

/** What people can still do, past the recorded history: their sessions may not be kept. */
class People {
  slowest = 0;
  readonly #url: string;
  readonly #client: Client;
  #addresses = 0;

  constructor(url: string, client: Client) {
    this.#url = url;
    this.#client = client;
  }

  async registered(email: string): Promise<Person> {
    const account = { email, owner: 0 };
    const { outcome, tokens } = await this.#client.register(account);
    if (tokens === undefined) throw new Error(`${email}: ${JSON.stringify(outcome)}`);
    return { ...account, tokens };
  }

  async #ask(endpoint: string, sent: Parameters<typeof call>[2], address?: string) {
    const started = performance.now();
    this.#addresses += 1;
    const from = address ?? `198.51.${this.#addresses >> 8}.${this.#addresses & 0xff}`;
    const answer = await call(this.#url, endpoint, {
      ...sent,
      headers: { 'X-Forwarded-For': from },
    });
    this.slowest = Math.max(this.slowest, performance.now() - started);
    return answer;
  }

  #signIn({ email, owner }: Account): Promise<Answer> {
    return this.#ask('POST /login', { json: { email, password: passwordOf(owner) } });
  }

  /** The pages of sessions are full later than those of users, or sooner. */
  async untilUnstored(person: Person): Promise<void> {
    for (let number = 0; number < 1_000; number += 1) {
      const { status, json } = await this.#signIn(person);
      if (status !== 200) return; // Which is what is asked of logins next.
      const { refresh_token } = json as Record<string, string>;
      const refreshed = await this.#ask('POST /refresh', { json: { refresh_token } });
      if (refreshed.status !== 200) return;
    }
    throw new Error('sessions are stored all the same');
  }

  async signIns(person: Person): Promise<readonly Figure[]> {
    const answers: Answer[] = [];
    for (let i = 0; i < SIGNED_IN / 2; i += 1) answers.push(await this.#signIn(person));
    const atOnce = Array.from({ length: SIGNED_IN / 2 }, () => this.#signIn(person));
    answers.push(...(await Promise.all(atOnce)));
    let [hello, unstored, strange] = [0, 0, 0];
    for (const { status, json } of answers) {
      if (status !== 200) continue;
      const { access_token: token, refresh_token } = json as Record<string, string>;
      const sent = token === undefined ? {} : { token };
      hello += Number((await this.#ask('GET /protected', sent)).status === 200);
      // Its session could not be stored: where it was none the less, so much the better.
      const { status: refreshed } = await this.#ask('POST /refresh', { json: { refresh_token } });
      unstored += Number(refreshed === 401);
      strange += Number(refreshed !== 200 && refreshed !== 401);
    }
    return [
      exactly(
        `of ${SIGNED_IN} right logins, 200`,
        answers.filter(({ status }) => status === 200).length,
        SIGNED_IN,
      ),
      exactly('their access tokens that are good', hello, SIGNED_IN),
      figure('their sessions that could not be stored', unstored, '', { atLeast: SIGNED_IN / 2 }),
      exactly('their refresh tokens with neither 200 nor 401', strange, 0),
    ];
  }

  /** What needs no writes, or can do without. */
  async reads({ tokens }: Person): Promise<readonly Figure[]> {
    const statuses: number[] = [];
    for (let i = 0; i < 10; i += 1) {
      const json = { refresh_token: tokens.refresh };
      for (const [endpoint, sent] of [
        ['POST /refresh', { json }],
        ['GET /protected', { token: tokens.access }],
        ['GET /users', {}],
      ] as const) {
        statuses.push((await this.#ask(endpoint, sent)).status);
      }
    }
    const good = statuses.filter((status) => status === 200).length;
    return [exactly(`of ${statuses.length} reads and refreshes, 200`, good, statuses.length)];
  }

  async guesses(): Promise<readonly Figure[]> {
    const [eve, bob] = GUESSED_AT;
    const figures: Figure[] = [];
    for (const [email, from, before] of [
      [eve, 'many addresses', 0],
      [bob, 'one address', GUESSED_BEFORE],
    ] as const) {
      const { judged, strange } = await this.guess(email, from, GUESSED);
      const what = `of ${GUESSED} guesses from ${from}, ${before} having come before: judged`;
      figures.push(
        figure(what, judged, '', { atMost: JUDGED[from] - before }),
        figure('the same', judged, '', { atLeast: 1 }),
        exactly('with neither 401 nor 429', strange, 0),
      );
    }
    return figures;
  }

  /** Guesses at a password. */
  async guess(email: string, from: keyof typeof JUDGED, times: number) {
    let [judged, strange] = [0, 0];
    for (let number = 0; number < times; number += 1) {
      const json = { email, password: `wrong ${number}` };
      const address = from === 'one address' ? '203.0.113.1' : undefined;
      const { status } = await this.#ask('POST /login', { json }, address);
      if (status === 401) judged += 1;
      else if (status !== 429) strange += 1;
    }
    return { judged, strange };
  }

  /** When all is well again. */
  async after(person: Person): Promise<readonly Figure[]> {
    const [eve] = GUESSED_AT;
    const locked = await this.#signIn({ email: eve, owner: 0 });
    const login = await this.#signIn(person);
    const { refresh_token } = login.json as Record<string, string>;
    const refreshed = await this.#ask('POST /refresh', { json: { refresh_token } });
    return [
      exactly('status of a right login to the account that was guessed at', locked.status, 429),
      exactly('status of a login afterwards', login.status, 200),
      exactly('status of its refresh', refreshed.status, 200),
    ];
  }
}
