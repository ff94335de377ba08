/** Milliseconds in which what is asked must answer: less than what most probes wait. */
const PATIENCE = 800;

/** Milliseconds for which an answer is kept: however many ask, the database is asked once in that time. */
const KEPT_FOR = 1_000;

/** Whether requests should come here, as `isReady` of a host wants it. */
export class Readiness {
  readonly #probe: () => Promise<unknown>;
  #answer: Promise<boolean> | undefined;
  #isStopping = false;

  /** `probe` rejects, or takes too long, where what requests need is not there. */
  constructor(probe: () => Promise<unknown>) {
    this.#probe = probe;
  }

  /** Never rejects, and takes less than a second. */
  readonly isReady = async (): Promise<boolean> => {
    if (this.#isStopping) return false;
    this.#answer ??= this.#ask();
    return (await this.#answer) && !this.#isStopping;
  };

  /** From now on it is not ready. */
  stop(): void {
    this.#isStopping = true;
  }

  /** One that hangs is not asked again before it has come to an end: it would hold one more connection. */
  #ask(): Promise<boolean> {
    const work = (async () => this.#probe())().then(
      () => true,
      () => false,
    );
    const kept = new Promise((resolve) => setTimeout(resolve, KEPT_FOR).unref());
    void Promise.all([work, kept]).then(() => (this.#answer = undefined));
    let late: NodeJS.Timeout | undefined;
    const isLate = new Promise<false>((resolve) => {
      late = setTimeout(() => resolve(false), PATIENCE);
    });
    return Promise.race([work, isLate]).finally(() => clearTimeout(late));
  }
}
