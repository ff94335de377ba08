import { reading } from './connection/retry.ts';
import {
  type HasDirectClient,
  padToPowerOfTwo,
  placeholders,
  runDirectly,
} from './connection/run.ts';

interface BatchLimits {
  /** Items of one call. */
  readonly maxItems?: number;
  /** Calls that have not settled yet. */
  readonly maxCalls?: number;
}

interface WaitingItem<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (fault: unknown) => void;
}

/**
 * Collects the items that are given in one turn of the event loop, and makes one call for all of
 * them: at 32 requests at once that is a third of the work, for a single one it is no more. `run`
 * begins after its last item was given, and resolves to a result for each item, in the same order.
 */
export function batched<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  { maxItems = Infinity, maxCalls = Infinity }: BatchLimits = {},
): (item: Item) => Promise<Result> {
  let waiting: WaitingItem<Item, Result>[] = [];
  let calls = 0;
  let isScheduled = false;

  const schedule = () => {
    if (isScheduled || calls >= maxCalls || waiting.length === 0) return;
    isScheduled = true;
    // After everything that this turn reads from sockets.
    setImmediate(() => {
      isScheduled = false;
      void call();
    });
  };

  const call = async () => {
    const batch = waiting.slice(0, maxItems);
    waiting = waiting.slice(maxItems);
    calls += 1;
    try {
      const results = await run(batch.map(({ item }) => item));
      if (results.length !== batch.length)
        throw new Error('a batch must give a result for each item');
      for (const [i, result] of results.entries()) batch[i]?.resolve(result);
    } catch (fault) {
      for (const { reject } of batch) reject(fault);
    } finally {
      calls -= 1;
      schedule();
    }
  };

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      schedule();
    });
}

/** Keys of one query: connections keep a prepared statement for each power of two up to it. */
const MAX_KEYS = 128;

/** Queries under way: one that hangs must not hold up all others. */
const MAX_QUERIES = 4;

/**
 * Finds rows by their key: those of one turn of the event loop by one query. A query begins after
 * everyone asked whom it answers, so each of them sees what was committed before they asked.
 */
export class BatchLoader<Key extends string | number, Row> {
  readonly #load: (key: Key) => Promise<Row | undefined>;
  /** Rows that were asked for, but whose query has not begun. */
  readonly #waiting = new Map<Key, Promise<Row | undefined>>();

  /** `select`: a query up to and including the name of the key's column. */
  constructor(knex: HasDirectClient, select: string, keyOf: (row: Row) => Key) {
    this.#load = batched(
      async (keys: readonly Key[]) => {
        for (const key of keys) this.#waiting.delete(key);
        const values = padToPowerOfTwo(keys);
        const sql = `${select} IN (${placeholders(values.length)})`;
        const rows = await reading(knex, () => runDirectly<readonly Row[]>(knex, sql, values));
        const byKey = new Map(rows.map((row) => [keyOf(row), row]));
        return keys.map((key) => byKey.get(key));
      },
      { maxItems: MAX_KEYS, maxCalls: MAX_QUERIES },
    );
  }

  find(key: Key): Promise<Row | undefined> {
    let row = this.#waiting.get(key);
    if (row === undefined) {
      row = this.#load(key);
      this.#waiting.set(key, row);
    }
    return row;
  }
}
