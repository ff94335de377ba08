import {
  type AuthErrorCode,
  type Identity,
  type ListedSession,
  type Refreshed,
  type SignedIn,
  type User,
} from '../../src/application/index.ts';
import type { RequestKind } from './script.ts';
import type { AccountRow, SessionRow, Store } from './store.ts';

/** What a client asked for. Which of the parts are there depends on the kind. */
export interface Request {
  readonly kind: RequestKind;
  readonly email: string;
  /** A new one at `register`; at `changePassword` and `deleteAccount` the one that proves it. */
  readonly password: string;
  readonly newPassword: string;
  readonly token: string;
  /** The session that is to end. */
  readonly target: string;
  readonly address: string | undefined;
}

/** What came of it, as the client sees it. */
export type Outcome =
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'refused'; readonly code: AuthErrorCode }
  | { readonly kind: 'failed'; readonly error: string }
  /** Its process died: whether it has been done is for nobody to know. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'pending' };

export interface Answer {
  readonly signedIn?: SignedIn;
  readonly refreshed?: Refreshed;
  readonly identity?: Identity;
  readonly sessions?: readonly ListedSession[];
  readonly users?: readonly User[];
}

/** One request to one process, from its beginning to what came of it. */
export interface Operation {
  readonly id: number;
  readonly client: string;
  readonly process: string;
  readonly rotation: boolean;
  readonly request: Request;
  /** The step before it. */
  readonly began: number;
  /** The last step of it; Infinity while it lasts. */
  ended: number;
  outcome: Outcome;
  /** The last step that was a call of its own: those of a dead process may come late. */
  touched: number;
  /** What the hasher has done for it. */
  hashed: number;
  verified: number;
  /** The calls that were made to fail. */
  readonly faults: string[];
}

/** What was, from a step on, until something else was. */
export class Timeline<Row> {
  readonly #changes: { readonly step: number; readonly row: Row | undefined }[] = [];

  note(step: number, row: Row | undefined): void {
    this.#changes.push({ step, row });
  }

  /** The last of all. */
  get now(): Row | undefined {
    return this.#changes.at(-1)?.row;
  }

  get rows(): readonly Row[] {
    return this.#changes.flatMap(({ row }) => (row === undefined ? [] : [row]));
  }

  /** Everything that was at some time from the end of one step to the end of another. */
  during({ began, ended }: Span): readonly (Row | undefined)[] {
    const first = this.#changes.findLast(({ step }) => step <= began);
    const later = this.#changes.filter(({ step }) => step > began && step <= ended);
    return [first, ...later].map((change) => change?.row);
  }

  /** The step at which it first was. */
  get since(): number {
    return this.#changes[0]?.step ?? Infinity;
  }
}

/** From the end of one step to the end of another. */
export interface Span {
  readonly began: number;
  readonly ended: number;
}

/** What a step has changed in the store. */
export interface Change<Row> {
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

/** Everything that happened: each operation, each state of the store, and the times. */
export class History {
  readonly operations: Operation[] = [];
  readonly accounts = new Map<number, Timeline<AccountRow>>();
  readonly sessions = new Map<string, Timeline<SessionRow>>();
  /** By step, in milliseconds. */
  readonly #wall: number[] = [];
  readonly #passed: number[] = [];
  step = 0;

  /** Notes the times after the step that comes next. */
  tick(wall: number, passed: number): void {
    this.#wall.push(wall);
    this.#passed.push(passed);
    this.step = this.#wall.length - 1;
  }

  /** Compares the store with what was known of it, and returns the differences. */
  look(store: Store) {
    return {
      accounts: this.#differences(this.accounts, store.accounts),
      sessions: this.#differences(this.sessions, store.sessions),
    };
  }

  /** The earliest and the latest that a clock can have shown meanwhile. */
  times({ began, ended }: Span): readonly [number, number] {
    const walls = this.#wall.slice(began, Math.min(ended, this.step) + 1);
    return [Math.min(...walls), Math.max(...walls)];
  }

  /** Milliseconds of the time that only passes. */
  passed(step: number): number {
    return this.#passed[Math.min(step, this.step)] ?? 0;
  }

  #differences<Key, Row>(known: Map<Key, Timeline<Row>>, rows: ReadonlyMap<Key, Row>) {
    const changes: Change<Row>[] = [];
    for (const [key, row] of rows) {
      const timeline = known.get(key) ?? new Timeline<Row>();
      known.set(key, timeline);
      const before = timeline.now;
      if (before === row) continue;
      timeline.note(this.step, row);
      changes.push({ before, after: row });
    }
    for (const [key, timeline] of known) {
      const before = timeline.now;
      if (before === undefined || rows.has(key)) continue;
      timeline.note(this.step, undefined);
      changes.push({ before, after: undefined });
    }
    return changes;
  }
}
