import * as assert from 'node:assert/strict';
import type { PasswordHasher } from '../application/index.ts';
import { type Case, casesOn, type Open, outcome } from './case.ts';

/** What a contract has to know about a hasher. */
export interface PasswordHasherFacts {
  /** Hashes that it accepts but replaces: of other systems, or made with older parameters. */
  readonly outdated?: readonly OutdatedHash[];
}

/** A hash unlike those that the hasher makes today, and its password. */
export interface OutdatedHash {
  readonly passwordHash: string;
  readonly password: string;
}

/** The promises of every PasswordHasher. `open` returns a hasher for each case. */
export function passwordHasherContract(
  open: Open<PasswordHasher>,
  { outdated = [] }: PasswordHasherFacts = {},
): readonly Case[] {
  const it = casesOn<PasswordHasher>(async (check) => check(await open()));
  return [
    ...(outdated.length === 0 ? [] : outdatedCases(it, outdated)),
    it('tells the right password from every other', async (hasher) => {
      const hash = await hasher.hash('correct horse');
      assert.equal(await hasher.verify(hash, 'correct horse'), 'right');
      for (const other of ['correct hors', 'correct horse ', 'Correct horse', '', 'x']) {
        assert.equal(await hasher.verify(hash, other), 'wrong', `for '${other}'`);
      }
    }),
    it('uses the whole of a long password, in any script', async (hasher) => {
      const long = 'пароль😀'.repeat(64);
      const hash = await hasher.hash(long);
      assert.equal(await hasher.verify(hash, long), 'right');
      for (const other of [`${long.slice(0, -2)}😁`, `${long}x`, `п${long}`]) {
        assert.equal(await hasher.verify(hash, other), 'wrong', `for ${long.length} characters`);
      }
    }),
    it('says wrong where there is no hash', async (hasher) => {
      assert.equal(await hasher.verify(undefined, 'anything'), 'wrong');
      assert.equal(await hasher.verify(undefined, ''), 'wrong');
    }),
    it('says wrong, and does not reject, where a hash cannot be read', async (hasher) => {
      const sound = await hasher.hash('password');
      const unreadable = ['', 'x', '$argon2id$', sound.slice(0, -30), '$2b$10$abcdefghijklmnop'];
      for (const hash of [...unreadable, 'password', `${sound}$`, sound.slice(1)]) {
        assert.equal(await outcome(hasher.verify(hash, 'password')), 'wrong', `for '${hash}'`);
      }
    }),
    it('spends on what has no hash, or none that it can read, as much as on a password', async (hasher) => {
      const hash = await hasher.hash('password');
      const [wrong = 0, missing = 0, unreadable = 0] = await medians([
        () => hasher.verify(hash, 'wrong'),
        () => hasher.verify(undefined, 'wrong'),
        () => hasher.verify('$unreadable', 'wrong'),
      ]);
      // Differences of a hasher this fast cannot be measured, by us or by an attacker.
      if (wrong < 4) return;
      const seen = `${[wrong, missing, unreadable].map(Math.round).join(', ')} ms`;
      assert.ok(
        Math.min(missing, unreadable) > wrong / 3,
        `on a hash, none, an unreadable: ${seen}`,
      );
    }),
    it('gives no hash twice', async (hasher) => {
      const hashes = await Promise.all(Array.from({ length: 4 }, () => hasher.hash('password')));
      assert.equal(new Set(hashes).size, 4);
    }),
    it('keeps nothing of a password in its hash that can be read', async (hasher) => {
      const password = 'canary-of-a-password';
      const bytes = Buffer.from(password);
      const spellings = [password, password.split('').toReversed().join('')];
      for (const encoding of ['hex', 'base64', 'base64url'] as const) {
        // The last characters depend on the bytes that follow.
        spellings.push(bytes.toString(encoding).slice(0, 20));
      }
      const hash = await hasher.hash(password);
      for (const spelling of spellings) {
        assert.ok(
          !hash.toLowerCase().includes(spelling.toLowerCase()),
          `'${spelling}' in '${hash}'`,
        );
      }
    }),
    it('writes a hash as a PHC string of at most 255 characters', async (hasher) => {
      for (const password of ['password', 'x'.repeat(1024)]) {
        assert.match(await hasher.hash(password), /^\$[\w,=+/.$-]{20,254}$/);
      }
    }),
    it('runs the work that it admits once, and passes on what becomes of it', async (hasher) => {
      let runs = 0;
      assert.equal(await hasher.admit(async () => `done ${(runs += 1)}`), 'done 1');
      const fault = new Error('the work failed');
      const failing = hasher.admit(async () => {
        runs += 1;
        throw fault;
      });
      assert.equal(await failing.catch((error: unknown) => error), fault);
      assert.equal(runs, 2, 'two pieces of work, as often as they ran');
    }),
    it('hashes and verifies for the work that it admitted', async (hasher) => {
      const hash = await hasher.admit(() => hasher.hash('correct horse'));
      assert.equal(await hasher.admit(() => hasher.verify(hash, 'correct horse')), 'right');
    }),
    it('turns work away as service_busy, before it begins, or does it', async (hasher) => {
      let begun = 0;
      let end = () => {};
      const ended = new Promise<void>((resolve) => (end = resolve));
      const work = Array.from({ length: 500 }, () =>
        outcome(
          hasher.admit(async () => {
            begun += 1;
            await ended;
            return 'done';
          }),
        ),
      );
      await Promise.race([Promise.all(work), new Promise((resolve) => setTimeout(resolve, 20))]);
      end();
      const outcomes = await Promise.all(work);
      const done = outcomes.filter((each) => each === 'done').length;
      assert.equal(begun, done, 'as many begun as done');
      const refused = outcomes.filter((each) => each !== 'done');
      assert.deepEqual(new Set(refused), new Set(refused.length ? ['service_busy'] : []));
      assert.equal(await hasher.admit(async () => 'again'), 'again');
    }),
    it('turns hashes away as service_busy, or makes them', async (hasher) => {
      const hashes = Array.from({ length: 100 }, () => outcome(hasher.hash('password')));
      const refused = (await Promise.all(hashes)).filter((each) => !each.startsWith('$'));
      assert.deepEqual(new Set(refused), new Set(refused.length ? ['service_busy'] : []));
      const hash = await hasher.hash('password');
      assert.equal(await hasher.verify(hash, 'password'), 'right', 'and serves again afterwards');
    }),
  ];
}

function outdatedCases(
  it: ReturnType<typeof casesOn<PasswordHasher>>,
  outdated: readonly OutdatedHash[],
): readonly Case[] {
  return [
    it('finds the right password of a hash of before outdated, and takes no other', async (hasher) => {
      for (const { passwordHash, password } of outdated) {
        assert.equal(await hasher.verify(passwordHash, password), 'outdated', passwordHash);
        for (const other of [password.slice(1), `${password} `, password.toUpperCase(), '']) {
          const verdict = await hasher.verify(passwordHash, other);
          assert.equal(verdict, 'wrong', `'${other}' for ${passwordHash}`);
        }
      }
    }),
    it('takes no password for a hash of before that was changed or cut', async (hasher) => {
      for (const { passwordHash, password } of outdated) {
        const digit = passwordHash.at(-8) === '1' ? '2' : '1';
        const changed = passwordHash.slice(0, -8) + digit + passwordHash.slice(-7);
        for (const hash of [changed, passwordHash.replace(/[^$]+$/, ''), `${passwordHash}$`]) {
          assert.equal(await outcome(hasher.verify(hash, password)), 'wrong', hash);
        }
      }
    }),
    it('spends on a hash of before, whatever it takes, as much as on any other', async (hasher) => {
      const hash = await hasher.hash('password');
      const others = outdated.map(({ passwordHash }) => passwordHash);
      // Once each, so that the hasher learns how long the slowest of them takes.
      for (const other of others) await hasher.verify(other, 'wrong');
      const times = await medians(
        [hash, undefined, ...others].map((each) => () => hasher.verify(each, 'wrong')),
      );
      const [wrong = 0] = times;
      if (wrong < 4) return;
      const seen = `${times.map(Math.round).join(', ')} ms`;
      assert.ok(Math.min(...times) > Math.max(...times) / 3, `on a hash, none, others: ${seen}`);
    }),
  ];
}

/**
 * The median duration of each call, in milliseconds. The calls alternate, so that load hits all
 * alike.
 */
async function medians(calls: readonly (() => Promise<unknown>)[]): Promise<number[]> {
  const rounds: number[][] = [];
  for (let round = 0; round < 7; round += 1) {
    const times: number[] = [];
    for (const call of calls) {
      const started = performance.now();
      await outcome(call());
      times.push(performance.now() - started);
    }
    rounds.push(times);
  }
  return calls.map(
    (_, i) => rounds.map((times) => times[i] ?? 0).toSorted((a, b) => a - b)[3] ?? 0,
  );
}
