import { AsyncLocalStorage } from 'node:async_hooks';

/** Random numbers that a seed gives again: xorshift, 32 bits. */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Seeds that follow on must not begin alike; zero would stay zero.
    this.#state = Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) >>> 0 || 1;
    for (let i = 0; i < 8; i += 1) this.next();
  }

  /** From 0 on, below 1. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state / 2 ** 32;
  }

  /** A whole number from 0 on, below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** @throws RangeError for an empty list */
  pick<T>(list: readonly T[]): T {
    const picked = list[this.below(list.length)];
    if (picked === undefined) throw new RangeError('there is nothing to pick from');
    return picked;
  }
}

/** What may become of a call: the two deaths are the process's, before and after the effect. */
export type Fate = 'done' | 'fails' | 'answer lost' | 'dies before' | 'dies after';

/** How often something goes wrong, and how far apart concurrent calls may drift: 0 to 1. */
export interface Weather {
  readonly crashes: number;
  readonly faults: number;
  /** The part of all calls that take about fifty times as long as the others. */
  readonly slowness: number;
}

export const CALM: Weather = { crashes: 0, faults: 0, slowness: 0 };

/** One process of the service, until it dies. */
export interface Process {
  readonly name: string;
  isAlive: boolean;
}

/** A call of a port that has been made and has not had its effect yet. */
interface Call<Task> {
  readonly process: Process | undefined;
  readonly task: Task | undefined;
  readonly label: string;
  readonly weight: number;
  /** Lets it have its effect; returns how to hand its answer over. */
  readonly take: () => () => void;
  readonly fail: (error: Error) => void;
}

/** A step, as it is told to whoever watches: what was called for which task, and what became of it. */
export interface Step<Task> {
  readonly process: Process | undefined;
  readonly task: Task | undefined;
  readonly label: string;
  readonly fate: Fate;
}

/** What a part throws that cannot answer. */
export class InjectedFault extends Error {}

/** One for all schedulers: each more would cost every promise something. */
const current = new AsyncLocalStorage<unknown>();

/**
 * Decides which of the calls under way has its effect next, one at a time, and what becomes of it.
 * Between two steps everything that follows from the first has run: nothing else decides an order.
 */
export class Scheduler<Task> {
  weather = CALM;
  readonly #random: Random;
  #calls: Call<Task>[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Runs work of which each call is known to be this task's. */
  run<T>(task: Task, work: () => T): T {
    return current.run(task, work);
  }

  /** The task that asks. */
  get task(): Task | undefined {
    return current.getStore() as Task | undefined;
  }

  /** A call of a port by a process, or by a client, which never dies. */
  point<T>(process: Process | undefined, label: string, effect: () => T): Promise<T> {
    // What a dead process still tries goes nowhere.
    if (process?.isAlive === false) return new Promise<T>(() => {});
    const task = this.task;
    const weight = this.#random.chance(this.weather.slowness) ? 1 : 50;
    return new Promise<T>((resolve, reject) => {
      const take = () => {
        try {
          const answer = effect();
          return () => resolve(answer);
        } catch (refusal) {
          return () => reject(refusal);
        }
      };
      this.#calls.push({ process, task, label, weight, take, fail: reject });
    });
  }

  /** One step. Resolves when all that follows from it has run: to nothing if no call is under way. */
  async step(): Promise<Step<Task> | undefined> {
    await settled();
    const call = this.#next();
    if (call === undefined) return undefined;
    const { process, task, label } = call;
    const fate = this.#fate(process);
    if (fate === 'fails') call.fail(new InjectedFault(label));
    else if (fate !== 'dies before') {
      const answer = call.take();
      if (fate === 'done' && process?.isAlive !== false) answer();
      if (fate === 'answer lost') call.fail(new InjectedFault(label));
    }
    if (process !== undefined && fate.startsWith('dies')) this.#kill(process);
    await settled();
    return { process, task, label, fate };
  }

  #next(): Call<Task> | undefined {
    const all = this.#calls.reduce((sum, { weight }) => sum + weight, 0);
    let left = this.#random.next() * all;
    const i = this.#calls.findIndex(({ weight }) => {
      left -= weight;
      return left < 0;
    });
    return this.#calls.splice(i, i < 0 ? 0 : 1)[0];
  }

  #fate(process: Process | undefined): Fate {
    const { crashes, faults } = this.weather;
    // An orphan has its effect, and nobody hears of it.
    if (!process?.isAlive || crashes + faults === 0) return 'done';
    const drawn = this.#random.next();
    const isLate = this.#random.chance(0.5);
    if (drawn < crashes) return isLate ? 'dies after' : 'dies before';
    if (drawn < crashes + faults) return isLate ? 'answer lost' : 'fails';
    return 'done';
  }

  /** What a dead process had on its way to the store may get there nevertheless, at any time. */
  #kill(process: Process): void {
    process.isAlive = false;
    this.#calls = this.#calls.filter(
      (call) =>
        call.process !== process ||
        (/^(?:users|sessions|attempts)\./.test(call.label) && this.#random.chance(0.5)),
    );
  }
}

/** When all microtasks have run. No time passes by it, and nothing real is waited for. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
