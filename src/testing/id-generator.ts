import * as assert from 'node:assert/strict';
import type { IdGenerator } from '../application/index.ts';
import { type Case, casesOn, type Open } from './case.ts';

/**
 * What every IdGenerator promises, as far as it shows: ids that can be guessed by whoever knows how
 * they are made may pass. `open` is called again where a case needs the ids of another process.
 */
export function idGeneratorContract(open: Open<IdGenerator>): readonly Case[] {
  const it = casesOn<IdGenerator>(async (check) => check(await open()));
  return [
    it('gives ids of 1 to 64 characters of A-Z, a-z, 0-9, _ and -', async (ids) => {
      for (const id of many(ids, 1000)) assert.match(id, /^[\w-]{1,64}$/);
    }),
    it('gives no id twice', async (ids) => {
      assert.equal(new Set(many(ids, SAMPLE)).size, SAMPLE);
    }),
    it('gives no id that another process gives', async (ids) => {
      const others = new Set(many(await open(), SAMPLE));
      const shared = many(ids, SAMPLE).filter((id) => others.has(id));
      assert.deepEqual(shared, []);
    }),
    it('varies its ids by 122 bits', async (ids) => {
      const bits = entropy(many(ids, SAMPLE));
      assert.ok(bits >= 122 - 0.5, `they vary by ${bits.toFixed(1)} bits at the most`);
    }),
  ];
}

const SAMPLE = 10_000;

function many(ids: IdGenerator, count: number): string[] {
  return Array.from({ length: count }, () => ids.next());
}

/**
 * No more bits than this can be in texts: the sum over their places, as if none told of another
 * (Shannon's entropy, with Miller and Madow's correction for what a sample leaves out).
 */
function entropy(texts: readonly string[]): number {
  let bits = 0;
  for (let at = 0; texts.some((text) => text.length > at); at += 1) {
    const counts = new Map<string, number>();
    for (const text of texts) {
      const character = text[at] ?? '';
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    for (const count of counts.values()) {
      bits -= (count / texts.length) * Math.log2(count / texts.length);
    }
    bits += (counts.size - 1) / (2 * texts.length * Math.LN2);
  }
  return bits;
}
