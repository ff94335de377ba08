/** Runs a bounded number of tasks at once; the others wait in order of arrival, up to a bound. */
export class Semaphore {
  readonly #concurrency: number;
  readonly #maxWaiting: number;
  readonly #refusal: () => Error;
  readonly #waiting: (() => void)[] = [];
  /** Tasks that run now. */
  running = 0;

  /** @param refusal makes the error for a task that finds the queue full */
  constructor(concurrency: number, maxWaiting: number, refusal: () => Error) {
    this.#concurrency = concurrency;
    this.#maxWaiting = maxWaiting;
    this.#refusal = refusal;
  }

  /** Tasks that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether the next task has to wait. */
  get isFull(): boolean {
    return this.running >= this.#concurrency;
  }

  /** @throws the refusal where the queue is full; and whatever the task throws */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (!this.isFull) this.running += 1;
    else if (this.#waiting.length >= this.#maxWaiting) throw this.#refusal();
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      // The place goes to the next task in the queue, or is free again.
      const next = this.#waiting.shift();
      if (next) next();
      else this.running -= 1;
    }
  }
}
