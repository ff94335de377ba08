import * as assert from 'node:assert/strict';
import type { IdGenerator } from '../application/index.ts';
import { type Case, casesOn, type Open } from './case.ts';

/**
 * The promises of every IdGenerator, as far as ids alone can show them. A generator whose next id
 * can be computed from its algorithm may still pass. A case that needs the ids of another process
 * calls `open` a second time.
 */
export function idGeneratorContract(open: Open<IdGenerator>): readonly Case[] {
  const it = casesOn<IdGenerator>(async (check) => check(await open()));
  return [
    it('gives ids of 1 to 64 characters of A-Z, a-z, 0-9, _ and -', async (ids) => {
      for (const id of generate(ids, 1000)) assert.match(id, /^[\w-]{1,64}$/);
    }),
    it('gives no id twice', async (ids) => {
      assert.equal(new Set(generate(ids, SAMPLE_SIZE)).size, SAMPLE_SIZE);
    }),
    it('gives no id that another process gives', async (ids) => {
      const others = new Set(generate(await open(), SAMPLE_SIZE));
      const shared = generate(ids, SAMPLE_SIZE).filter((id) => others.has(id));
      assert.deepEqual(shared, []);
    }),
    it('varies its ids by 122 bits', async (ids) => {
      const bits = estimateEntropy(generate(ids, SAMPLE_SIZE));
      assert.ok(bits >= 122 - 0.5, `they vary by ${bits.toFixed(1)} bits at the most`);
    }),
  ];
}

const SAMPLE_SIZE = 10_000;

function generate(ids: IdGenerator, count: number): string[] {
  return Array.from({ length: count }, () => ids.next());
}

/**
 * An upper bound of the entropy of these texts, in bits: the sum of the entropies of their
 * positions, as if these were independent (Shannon, with the Miller-Madow correction for the size
 * of the sample).
 */
function estimateEntropy(texts: readonly string[]): number {
  let bits = 0;
  for (let i = 0; texts.some((text) => text.length > i); i += 1) {
    const counts = new Map<string, number>();
    for (const text of texts) {
      const character = text[i] ?? '';
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    for (const count of counts.values()) {
      bits -= (count / texts.length) * Math.log2(count / texts.length);
    }
    bits += (counts.size - 1) / (2 * texts.length * Math.LN2);
  }
  return bits;
}
