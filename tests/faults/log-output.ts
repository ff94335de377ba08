/** Fault 12: nobody takes what the service prints. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, memory, type Reply, requestText } from '../../bench/measure.ts';
import { freePort, temporaryFolder } from '../support/programs.ts';
import { BUILT } from '../support/service.ts';
import { exactly, type Figure, figure, type Scenario } from './scenario.ts';
import { withSmallDisk } from './small-disk.ts';

/** Each of them is reported by a line of some 300 characters. */
const FAULTS = 20_000;
const CLIENTS = 8;

/** What may come out of a pipe at last that nobody read, in MB: what it takes itself, and little more. */
const KEPT_MB = 1;
/** The memory of two runs of the same program differs by less, in MB. */
const FLAT_MB = 30;

const OUTPUTS = [
  'read', // Before the others: they are measured against it.
  'closed by its reader',
  'on a full device',
  'a pipe that nobody reads',
] as const;

export const logOutput: Scenario = {
  number: 12,
  title: 'closed or full log output',
  run: async ({ isLong }) => {
    const figures: Figure[] = [];
    let usual = Number.NaN;
    for (const output of OUTPUTS) {
      const measured = await report(output, isLong ? 10 * FAULTS : FAULTS);
      const { answered, slowest, after, megabytes, code, lines, kept } = measured;
      const count = (what: string, found: number, wanted: number) =>
        figures.push(exactly(`${output}: ${what}`, found, wanted));
      count('faults answered as documented', answered, isLong ? 10 * FAULTS : FAULTS);
      count('status once the database is back', after, 200);
      count('exit code on SIGTERM', code, 0);
      figures.push(figure(`${output}: slowest answer`, slowest, 'ms', { atMost: 1_000 }));
      if (output === 'read') {
        usual = megabytes;
        figures.push(figure('read: lines', lines, '', { atLeast: FAULTS }));
      } else {
        const what = `${output}: more memory than where it is read`;
        figures.push(figure(what, megabytes - usual, 'MB', { atMost: FLAT_MB }));
      }
      if (output === 'a pipe that nobody reads') {
        const what = `${output}: kept of the lines, and written when it is read at last`;
        figures.push(figure(what, kept, 'MB', { atMost: KEPT_MB }));
        figures.push(figure(`${output}: the same`, kept, 'MB', { atLeast: 0.05 }));
      }
    }
    return [...figures, ...(await fullForAWhile())];
  },
};

/** What a service does whose output is so. */
async function report(output: (typeof OUTPUTS)[number], faults: number) {
  const folder = temporaryFolder();
  const log = join(folder.path, 'log');
  const file = output === 'read' ? log : '/dev/full';
  const isFile = output === 'read' || output === 'on a full device';
  const service = await Mute.start(folder.path, isFile ? file : undefined);
  try {
    if (output === 'closed by its reader') service.close();
    const broken = await service.fail(faults);
    const megabytes = memory(service.pid);
    const after = await service.ask();
    const kept = output === 'a pipe that nobody reads' ? await service.readAtLast() : Number.NaN;
    const code = await service.end();
    const lines = output === 'read' ? linesOf(log) : Number.NaN;
    return { ...broken, after: after.status, megabytes, code, lines, kept };
  } finally {
    service.kill();
    folder.remove();
  }
}

/** A log on a disk that is full for a while, and then has room again. */
async function fullForAWhile(): Promise<readonly Figure[]> {
  const folder = temporaryFolder();
  try {
    return await withSmallDisk(1, async (disk) => {
      const log = join(disk.path, 'log');
      const service = await Mute.start(folder.path, log);
      try {
        disk.fill();
        const { answered } = await service.fail(1_000);
        const before = linesOf(log);
        disk.makeRoom();
        await service.fail(10);
        const lines = linesOf(log) - before;
        return [
          exactly('on a disk that is full for a while: faults answered', answered, 1_000),
          figure('the same: of 10 later faults, reported', lines, '', { atLeast: 10 }),
        ];
      } finally {
        service.kill();
      }
    });
  } finally {
    folder.remove();
  }
}

/** Reports in it; the first one after a disk was full goes on in the line that found it full. */
function linesOf(log: string): number {
  return readFileSync(log, 'latin1').split('error Error ENOENT').length - 1;
}

/** The service as a process of whose output nothing is read, unless it goes to a file. */
class Mute {
  readonly #process: ChildProcess;
  readonly #port: number;
  readonly #database: string;
  readonly #ended: Promise<number>;

  private constructor(folder: string, port: number, log: string | undefined) {
    this.#port = port;
    this.#database = join(folder, 'p.sqlite');
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, PORT: String(port), DATABASE_URL: `sqlite:${this.#database}` };
    const output = log === undefined ? 'pipe' : openSync(log, 'a');
    const [node = '', ...main] = BUILT;
    this.#process = spawn(node, main, { env, stdio: ['ignore', output, output] });
    if (output !== 'pipe') closeSync(output);
    this.#ended = once(this.#process, 'exit').then(([code]) => Number(code ?? Number.NaN));
    process.once('exit', this.kill);
    void this.#ended.then(() => process.off('exit', this.kill));
  }

  static async start(folder: string, log: string | undefined): Promise<Mute> {
    const service = new Mute(folder, await freePort(), log);
    for (let tries = 0; ; tries += 1) {
      const status = await service.ask().then(
        (reply) => reply.status,
        () => 0,
      );
      if (status === 200) return service;
      if (tries === 500) throw new Error('it does not serve');
      await sleep(20);
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** No longer reads what it prints. */
  close(): void {
    this.#process.stdout?.destroy();
    this.#process.stderr?.destroy();
  }

  /** Reads what it has for whoever would have read it all the time; in MB. */
  async readAtLast(): Promise<number> {
    let bytes = 0;
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (chunk: Buffer) => (bytes += chunk.length));
    }
    for (let before = -1; before !== bytes; ) {
      before = bytes;
      await sleep(500);
    }
    return bytes / 1e6;
  }

  /** Has so many requests fail, each with a report. */
  async fail(requests: number): Promise<{ readonly answered: number; readonly slowest: number }> {
    renameSync(this.#database, `${this.#database}.away`);
    let [sent, answered, slowest] = [0, 0, 0];
    const one = async () => {
      const connection = await this.#open();
      while (sent < requests) {
        sent += 1;
        const { status, body, ms } = await connection.send(LIST);
        if (status === 500 && body === '{"message":"An error occurred"}') answered += 1;
        slowest = Math.max(slowest, ms);
      }
      connection.close();
    };
    const all = Promise.all(Array.from({ length: CLIENTS }, one));
    // What hangs has been answered late, to say the least.
    const patience = new AbortController();
    const late = sleep(requests * 10 + 10_000, undefined, { signal: patience.signal });
    await Promise.race([all, late.catch(() => {})]);
    patience.abort();
    renameSync(`${this.#database}.away`, this.#database);
    return { answered, slowest };
  }

  async ask(): Promise<Reply> {
    const connection = await this.#open();
    try {
      return await connection.send(LIST);
    } finally {
      connection.close();
    }
  }

  #open(): Promise<Connection> {
    return Connection.open(`http://127.0.0.1:${this.#port}`);
  }

  /** Ends it by SIGTERM; its exit code. */
  async end(): Promise<number> {
    this.#process.kill('SIGTERM');
    return Promise.race([this.#ended, sleep(15_000, Number.NaN, { ref: false })]);
  }

  readonly kill = (): void => {
    this.#process.kill('SIGKILL');
  };
}

const LIST = requestText('GET /users');
