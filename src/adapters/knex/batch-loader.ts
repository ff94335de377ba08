import { reading } from './connection/retry.ts';
import { filled, type HasDirectClient, places, runDirectly } from './connection/run.ts';

/** Rows of one query at most: a statement is kept for each power of two up to it. */
const BATCH = 128;

/** Queries under way at once: one that hangs must not hold up all the others. */
const AT_ONCE = 4;

/**
 * Looks rows up by their key, those that are asked for in one turn of the event loop in one query: at 32
 * requests at once that is a third of the work, alone it is none more. A query begins after all that
 * it answers have asked, so each sees what was committed before it did.
 */
export class LookUps<Key extends string | number, Row> {
  readonly #run: (sql: string, keys: readonly Key[]) => Promise<readonly Row[]>;
  readonly #select: string;
  readonly #keyOf: (row: Row) => Key;
  #waiting = new Map<Key, LookUp<Row>>();
  #underWay = 0;
  #isDue = false;

  /** `select` is a query up to the names of the keys' column. */
  constructor(knex: HasDirectClient<readonly Row[]>, select: string, keyOf: (row: Row) => Key) {
    this.#run = (sql, keys) => reading(knex, () => runDirectly(knex, sql, keys));
    this.#select = select;
    this.#keyOf = keyOf;
  }

  find(key: Key): Promise<Row | undefined> {
    let lookUp = this.#waiting.get(key);
    if (lookUp === undefined) {
      lookUp = newLookUp();
      this.#waiting.set(key, lookUp);
      this.#schedule();
    }
    return lookUp.found;
  }

  #schedule(): void {
    if (this.#isDue || this.#underWay >= AT_ONCE || this.#waiting.size === 0) return;
    this.#isDue = true;
    // After all that this turn has read from sockets.
    setImmediate(() => {
      this.#isDue = false;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    const batch = this.#next();
    const keys = filled([...batch.keys()]);
    const sql = `${this.#select} IN (${places(keys.length)})`;
    this.#underWay += 1;
    try {
      const rows = await this.#run(sql, keys);
      for (const row of rows) batch.get(this.#keyOf(row))?.resolve(row);
      for (const { resolve } of batch.values()) resolve(undefined); // Where there was none.
    } catch (fault) {
      for (const { reject } of batch.values()) reject(fault);
    } finally {
      this.#underWay -= 1;
      this.#schedule();
    }
  }

  #next(): ReadonlyMap<Key, LookUp<Row>> {
    const all = this.#waiting;
    if (all.size <= BATCH) {
      this.#waiting = new Map();
      return all;
    }
    const entries = [...all];
    this.#waiting = new Map(entries.slice(BATCH));
    return new Map(entries.slice(0, BATCH));
  }
}

interface LookUp<Row> {
  readonly found: Promise<Row | undefined>;
  readonly resolve: (row: Row | undefined) => void;
  readonly reject: (fault: unknown) => void;
}

function newLookUp<Row>(): LookUp<Row> {
  let resolve: LookUp<Row>['resolve'] = () => {};
  let reject: LookUp<Row>['reject'] = () => {};
  const found = new Promise<Row | undefined>((...settle) => {
    [resolve, reject] = settle;
  });
  return { found, resolve, reject };
}
