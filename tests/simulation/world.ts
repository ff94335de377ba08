import {
  AuthError,
  type AuthEventName,
  type AuthEvents,
  createAuth,
  type EmbeddedAuth,
  type GivenPorts,
} from '../../src/application/index.ts';
import { checkOutcome } from './answers.ts';
import { ask, Knowledge, NOTHING } from './clients.ts';
import { checkCommit, hold, SKEW, Violation } from './commits.ts';
import { History, type Operation, type Outcome, type Request } from './history.ts';
import { checkGuess } from './limits.ts';
import { simulatedHasher, simulatedTokens } from './parts.ts';
import { CALM, InjectedFault, type Process, Random, Scheduler, type Step } from './scheduler.ts';
import { type Item, type RequestKind, type Script } from './script.ts';
import { type Point, repositories, Store } from './store.ts';

/** What has come of one schedule. */
export interface Report {
  /** What must not be and was. */
  readonly violation: string | undefined;
  readonly steps: number;
  readonly crashes: number;
  readonly faults: number;
  /** What came of each request, as its kind and a code. */
  readonly outcomes: readonly string[];
  /** A line for each step and each answer: the same for the same seeds, byte for byte. */
  readonly trace: readonly string[];
}

/** What a planted bug has to work with. */
export interface Site {
  readonly store: Store;
  readonly point: Point;
  /** Milliseconds of the time that only passes. */
  readonly passed: () => number;
  readonly task: () => Operation | undefined;
}

export type SimulatedPorts = GivenPorts & Required<Pick<GivenPorts, 'clock' | 'ids'>>;

/** Changes the parts of each process, or the use cases on them. */
export interface Plant {
  readonly ports?: (ports: SimulatedPorts, site: Site) => SimulatedPorts;
  readonly auth?: (auth: EmbeddedAuth, ports: SimulatedPorts, site: Site) => EmbeddedAuth;
}

/** Runs a script in the order that a seed decides, until something is wrong or all has been done. */
export async function simulate(script: Script, seed: number, plant: Plant = {}): Promise<Report> {
  const world = new World(script, new Random(seed), plant);
  let violation: string | undefined;
  try {
    await world.run();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error.message;
    world.trace.push(violation);
  }
  const { steps, crashes, faults, trace, history } = world;
  const outcomes = history.operations.map(
    ({ request, outcome }) =>
      `${request.kind} ${outcome.kind === 'refused' ? outcome.code : outcome.kind}`,
  );
  return { violation, steps, crashes, faults, outcomes, trace };
}

/** Milliseconds that each step takes. */
const STEP = 5;
/** No schedule has nearly as many. */
const MOST_STEPS = 20_000;
const GUESSES = 12;
const PROBES = 8;
const DAY = 24 * 60 * 60;

/** A place where one process after the other runs: a new one as soon as one has died. */
interface Slot {
  readonly number: number;
  readonly rotation: boolean;
  /** Milliseconds by which its clock is off. */
  readonly skew: number;
  process: Process;
  auth: EmbeddedAuth;
}

class World {
  steps = 0;
  crashes = 0;
  faults = 0;
  readonly trace: string[] = [];
  readonly history = new History();
  readonly #script: Script;
  readonly #plant: Plant;
  readonly #scheduler: Scheduler<Operation>;
  readonly #store: Store;
  readonly #slots: readonly Slot[];
  readonly #knowledge: Knowledge;
  /** Of operations under way: how their clients learn that they are over. */
  readonly #waiting = new Map<Operation, () => void>();
  /** What this step has brought to its end, and what was told by events. */
  #ended: Operation[] = [];
  #told: (() => void)[] = [];
  #wall = Date.UTC(2026, 0, 2, 3, 4, 5);
  #passed = 0;
  #ids = 0;

  constructor(script: Script, random: Random, plant: Plant) {
    this.#script = script;
    this.#plant = plant;
    this.#knowledge = new Knowledge(script.addresses);
    this.#scheduler = new Scheduler(random);
    this.#store = new Store(() => this.#passed);
    this.#slots = Array.from({ length: script.processes }, (_, number) => {
      const rotation = script.rotation === 'mixed' ? number % 2 === 0 : script.rotation === 'on';
      const settings = { number, rotation, skew: random.below(2 * SKEW) - SKEW };
      return { ...settings, ...this.#start(settings, 1) };
    });
  }

  /** @throws Violation */
  async run(): Promise<void> {
    this.#scheduler.weather = this.#script.weather;
    const clients = this.#script.clients.map((items, i) => this.#client(`client ${i + 1}`, items));
    await this.#until(Promise.all(clients));
    this.#scheduler.weather = CALM;
    // What dead processes have sent comes before the end, too.
    while (await this.#step());
    for (const operation of this.history.operations) checkGuess(this.history, operation);
    await this.#until(this.#probe('the end'));
  }

  #start({ number, rotation, skew }: Omit<Slot, 'process' | 'auth'>, life: number) {
    const process = { name: `process ${number + 1}.${life}`, isAlive: true };
    const point: Point = (label, effect) => this.#scheduler.point(process, label, effect);
    const task = () => this.#scheduler.task;
    const site = { store: this.#store, point, task, passed: () => this.#passed };
    const given = {
      ...repositories(this.#store, point),
      // The hashes of some are dearer, as in an update one process at a time: others' are outdated.
      hasher: simulatedHasher(point, task, {
        places: this.#script.places,
        version: number + life,
      }),
      tokens: simulatedTokens(point),
      clock: { now: () => new Date(this.#wall + skew) },
      ids: { next: () => `id-${(this.#ids += 1)}` },
    };
    const ports = this.#plant.ports?.(given, site) ?? given;
    const sound = createAuth(ports, { refreshRotation: rotation });
    const auth = this.#plant.auth?.(sound, ports, site) ?? sound;
    this.#listen(auth);
    return { process, auth };
  }

  /** Events are told once the store has committed what they tell of. */
  #listen(auth: EmbeddedAuth): void {
    const { accounts, sessions } = this.history;
    const on = <Name extends AuthEventName>(
      name: Name,
      isSo: (event: AuthEvents[Name]) => boolean,
    ) =>
      auth.on(name, (event) => {
        this.#told.push(() => hold(isSo(event), `${name} was told, and it is not so`));
      });
    on('registered', ({ user }) => accounts.has(user.id));
    on('loggedIn', ({ sessionId }) => sessions.has(sessionId));
    on('loggedOut', ({ sessionId }) => sessions.get(sessionId)?.now === undefined);
    on('refreshTokenReused', ({ sessionId }) => sessions.get(sessionId)?.now === undefined);
    on('passwordChanged', ({ user }) => (accounts.get(user.id)?.rows.length ?? 0) > 1);
    on('userDisabled', ({ user }) => accounts.get(user.id)?.rows.some(isDisabled) === true);
    on('accountDeleted', ({ user }) => accounts.get(user.id)?.now === undefined);
  }

  async #client(name: string, items: readonly Item[]): Promise<void> {
    for (const item of items) {
      const { kind, where } = item;
      if (kind === 'pass' || kind === 'jump') await this.#move(name, kind, item.seconds);
      else {
        const isMany = kind === 'guesses';
        const perform = (i: number) =>
          this.#perform(name, where + i, (id) => {
            const one = { ...item, kind: isMany ? 'guess' : kind, where: where + i };
            return this.#knowledge.request(one, id);
          });
        await Promise.all(Array.from({ length: isMany ? GUESSES : 1 }, (_, i) => perform(i)));
      }
    }
  }

  /** When all is over and nothing fails any more, what is known is tried once more, one by one. */
  async #probe(name: string): Promise<void> {
    const { access, refresh, passwords } = this.#knowledge;
    const perform = (kind: RequestKind, request: Partial<Request> = {}) =>
      this.#perform(name, 0, () => ({ ...NOTHING, kind, ...request }));
    const refreshing = refresh.slice(-PROBES);
    await perform('listUsers');
    for (const { text } of access.slice(-PROBES)) await perform('listSessions', { token: text });
    for (const { text } of refreshing) await perform('refresh', { token: text });
    await this.#move(name, 'pass', DAY);
    for (const { text, email } of passwords.slice(-PROBES)) {
      await perform('login', { email, password: text });
    }
    for (const { text } of refreshing) await perform('refresh', { token: text });
    await perform('prune');
  }

  async #move(name: string, kind: 'pass' | 'jump', seconds: number): Promise<void> {
    await this.#scheduler.point(undefined, `${name}: ${kind} ${seconds} s`, () => {
      this.#wall += seconds * 1000;
      if (kind === 'pass') this.#passed += seconds * 1000;
    });
  }

  /** One request, from the moment at which its client comes to it. */
  async #perform(client: string, where: number, make: (id: number) => Request): Promise<void> {
    const slot = this.#slots[where % this.#slots.length];
    if (slot === undefined) throw new Error('there is no process');
    const operation = await this.#scheduler.point(undefined, `${client} asks`, () => {
      const id = this.history.operations.length + 1;
      const began: Operation = {
        id,
        client,
        process: slot.process.name,
        rotation: slot.rotation,
        request: make(id),
        began: this.history.step,
        ended: Infinity,
        touched: 0,
        outcome: { kind: 'pending' },
        hashed: 0,
        verified: 0,
        faults: [],
      };
      this.history.operations.push(began);
      const { kind, email, password, token } = began.request;
      this.trace.push(`  op-${id} at ${began.process}: ${kind} ${email} ${password} ${token}`);
      return began;
    });
    await new Promise<void>((resolve) => {
      this.#waiting.set(operation, resolve);
      const { request, id } = operation;
      const work = this.#scheduler.run(operation, () => ask(slot.auth, request, id));
      void work.then(
        (answer) => this.#end(operation, { kind: 'answered', answer }),
        (error: unknown) => this.#end(operation, outcomeOf(error)),
      );
    });
    this.#knowledge.learn(operation);
  }

  #end(operation: Operation, outcome: Outcome): void {
    const resolve = this.#waiting.get(operation);
    if (!this.#waiting.delete(operation)) return;
    operation.ended = this.history.step;
    operation.outcome = outcome;
    this.#ended.push(operation);
    this.trace.push(`  op-${operation.id} ${shown(outcome)}`);
    resolve?.();
  }

  async #until(work: Promise<unknown>): Promise<void> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    work.then(over, over);
    while (!isOver) {
      if (await this.#step()) continue;
      hold(isOver, 'somebody waits for an answer, and nothing is under way');
    }
    await work;
  }

  async #step(): Promise<boolean> {
    this.#passed += STEP;
    this.#wall += STEP;
    this.history.tick(this.#wall, this.#passed);
    const step = await this.#scheduler.step();
    if (step === undefined) return false;
    this.steps += 1;
    hold(this.steps < MOST_STEPS, 'the schedule does not come to its end');
    this.#note(step);
    checkCommit(this.history, step.task, this.history.look(this.#store));
    const [ended, told] = [this.#ended, this.#told];
    [this.#ended, this.#told] = [[], []];
    for (const operation of ended) checkOutcome(this.history, operation, this.#script.places);
    for (const check of told) check();
    return true;
  }

  #note({ process, task, label, fate }: Step<Operation>): void {
    const name = task === undefined ? '' : ` op-${task.id}`;
    const what = fate === 'done' ? '' : `: ${fate}`;
    this.trace.push(`${this.history.step} ${process?.name ?? ''}${name} ${label}${what}`);
    if (task) task.touched = this.history.step;
    if (fate === 'fails' || fate === 'answer lost') {
      this.faults += 1;
      task?.faults.push(label);
    }
    if (fate.startsWith('dies') && process) this.#replace(process);
  }

  #replace(dead: Process): void {
    this.crashes += 1;
    for (const operation of this.#waiting.keys()) {
      if (operation.process === dead.name) this.#end(operation, { kind: 'lost' });
    }
    const slot = this.#slots.find(({ process }) => process === dead);
    if (slot) Object.assign(slot, this.#start(slot, Number(dead.name.split('.')[1]) + 1));
  }
}

function isDisabled({ disabled }: { readonly disabled: boolean }): boolean {
  return disabled;
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof AuthError) return { kind: 'refused', code: error.code };
  const isInjected = error instanceof InjectedFault;
  return { kind: 'failed', error: isInjected ? error.message : `not injected: ${String(error)}` };
}

function shown(outcome: Outcome): string {
  if (outcome.kind === 'refused') return outcome.code;
  if (outcome.kind === 'failed') return `failed: ${outcome.error}`;
  if (outcome.kind !== 'answered') return outcome.kind;
  const { signedIn, refreshed, users, sessions } = outcome.answer;
  return `answered ${(signedIn ?? refreshed)?.refreshToken ?? users?.length ?? sessions?.length ?? ''}`;
}
