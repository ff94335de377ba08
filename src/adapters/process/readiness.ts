import { withDeadline } from '../../domain/calls.ts';

/** How long the probe may take: less than most load balancers wait. */
const PROBE_TIMEOUT_MS = 800;

/** How long an answer is reused: the database is probed at most once in that time. */
const ANSWER_TTL_MS = 1_000;

/** Whether this process should get requests: the `isReady` of a host. */
export class Readiness {
  readonly #probe: () => Promise<unknown>;
  #answer: Promise<boolean> | undefined;
  #isStopping = false;

  /** `probe` rejects, or takes too long, if something that requests need is missing. */
  constructor(probe: () => Promise<unknown>) {
    this.#probe = probe;
  }

  /** Never rejects, and takes less than a second. */
  readonly isReady = async (): Promise<boolean> => {
    if (this.#isStopping) return false;
    this.#answer ??= this.#runProbe();
    return (await this.#answer) && !this.#isStopping;
  };

  /** Makes `isReady` answer false from now on. */
  stop(): void {
    this.#isStopping = true;
  }

  /** A probe that hangs is not repeated until it ends: each one holds a database connection. */
  #runProbe(): Promise<boolean> {
    const work = (async () => this.#probe())().then(
      () => true,
      () => false,
    );
    const kept = new Promise((resolve) => setTimeout(resolve, ANSWER_TTL_MS).unref());
    void Promise.all([work, kept]).then(() => (this.#answer = undefined));
    return withDeadline(work, PROBE_TIMEOUT_MS, () => false);
  }
}
