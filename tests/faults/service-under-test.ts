import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { handles, openFiles } from '../../bench/measure.ts';
import { SECRET } from '../support/fakes.ts';
import { freePort } from '../support/programs.ts';
import { BUILT, type Program, startProgram } from '../support/service.ts';

/** Of development, as production refuses weak hashes; clients come from as many addresses as they like. */
const SETTINGS = {
  JWT_SECRET: SECRET,
  ARGON2_MEMORY_KIB: '64',
  ARGON2_PASSES: '1',
  HASH_QUEUE: '1000',
  TRUST_PROXY: '1',
} as const;

/** The built service as a process, which can be killed and started again where it was. */
export class ServiceUnderTest {
  readonly url: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #command: readonly string[];
  #program: Program | undefined;
  /** Everything that processes before this one have printed. */
  #before = '';

  private constructor(
    port: number,
    env: Readonly<Record<string, string>>,
    command: readonly string[],
  ) {
    this.url = `http://127.0.0.1:${port}`;
    this.#env = { ...SETTINGS, PORT: String(port), ...env };
    this.#command = command;
  }

  /**
   * Starts it, and resolves when it is healthy. `env`: settings beside those of tests; `around`: a
   * command to run it under, such as `faketime`.
   */
  static async start(
    databaseUrl: string,
    env: Readonly<Record<string, string>> = {},
    around: readonly string[] = [],
  ): Promise<ServiceUnderTest> {
    const command = [...around, ...BUILT];
    const port = await freePort();
    const service = new ServiceUnderTest(port, { DATABASE_URL: databaseUrl, ...env }, command);
    await service.start();
    return service;
  }

  get pid(): number {
    return this.#program?.process.pid ?? 0;
  }

  /** Whether the process that was started last still runs. */
  get isRunning(): boolean {
    const { exitCode = 0, signalCode = null } = this.#program?.process ?? {};
    return exitCode === null && signalCode === null;
  }

  get output(): string {
    return this.#before + (this.#program?.output() ?? '');
  }

  /** Starts it again. Resolves to the milliseconds until it was healthy. */
  async start(): Promise<number> {
    const started = performance.now();
    this.#before = this.output;
    this.#program = await startProgram(this.#env, this.#command);
    await this.untilHealthy();
    return performance.now() - started;
  }

  /**
   * Waits until it answers from its database: GET /users with 200. Resolves to the milliseconds of it.
   * @throws Error after so many ms, or when it has ended
   */
  async untilHealthy(patience = 30_000): Promise<number> {
    const started = performance.now();
    for (;;) {
      const waited = performance.now() - started;
      if (await this.isHealthy()) return performance.now() - started;
      if (!this.isRunning) throw new Error(`the service has ended: ${this.output.slice(-2000)}`);
      if (waited > patience) throw new Error(`not healthy after ${patience} ms`);
      await sleep(20);
    }
  }

  async isHealthy(): Promise<boolean> {
    const options = { headers: { Connection: 'close' }, signal: AbortSignal.timeout(6_000) };
    try {
      const response = await fetch(`${this.url}/users?limit=1`, options);
      await response.text();
      return response.status === 200;
    } catch {
      return false;
    }
  }

  /** Ends it as `kill -9` does. */
  async kill(): Promise<void> {
    await this.#program?.end('SIGKILL');
  }

  /** Sends a signal, and resolves to the exit code, or to the signal that ended it. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string | null> {
    return (await this.#program?.end(signal)) ?? null;
  }

  /** Ends it if it runs; for the end of a test, whatever happened. */
  async remove(): Promise<void> {
    if (this.isRunning) await this.kill();
  }

  /** Open sockets, of every kind. */
  sockets(): number {
    return handles(this.pid).sockets;
  }

  /** Its established connections to a port of this machine, such as the database's. */
  connectionsTo(port: number): number {
    const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    const own = new Set(openFiles(this.pid));
    const lines = readFileSync(`/proc/${this.pid}/net/tcp`, 'utf8').trim().split('\n').slice(1);
    return lines.filter((line) => {
      const [, , to, state, , , , , , inode = ''] = line.trim().split(/\s+/);
      return to === remote && state === '01' && own.has(`socket:[${inode}]`);
    }).length;
  }
}
