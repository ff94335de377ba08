import * as assert from 'uvu/assert';
import type { PasswordHasher } from '../../src/application/index.ts';
import type { Case } from './cases.ts';

/** What every PasswordHasher promises. */
export function passwordHasherContract(open: () => PasswordHasher): Case[] {
  const it = (name: string, run: (hasher: PasswordHasher) => Promise<void>): Case => ({
    name,
    run: () => run(open()),
  });
  return [
    it('runs the work that it admits, and passes on what becomes of it', async (hasher) => {
      assert.is(await hasher.admit(async () => 'done'), 'done');
      const fault = new Error('the work failed');
      const failing = hasher.admit(() => Promise.reject(fault));
      assert.is(await failing.catch((error: unknown) => error), fault);
      const hash = await hasher.admit(() => hasher.hash('correct horse'));
      assert.is(await hasher.admit(() => hasher.verify(hash, 'correct horse')), 'right');
    }),
    it('tells the right password from every other', async (hasher) => {
      const hash = await hasher.hash('correct horse');
      assert.is(await hasher.verify(hash, 'correct horse'), 'right');
      for (const other of ['correct hors', 'correct horse ', 'Correct horse', '', 'x']) {
        assert.is(await hasher.verify(hash, other), 'wrong', other);
      }
    }),
    it('says wrong where there is no hash', async (hasher) => {
      assert.is(await hasher.verify(undefined, 'anything'), 'wrong');
      assert.is(await hasher.verify(undefined, ''), 'wrong');
    }),
    it('uses the whole of a long password, in any script', async (hasher) => {
      const long = 'пароль😀'.repeat(64);
      const hash = await hasher.hash(long);
      assert.is(await hasher.verify(hash, long), 'right');
      assert.is(await hasher.verify(hash, `${long.slice(0, -2)}😁`), 'wrong');
      assert.is(await hasher.verify(hash, `${long}x`), 'wrong');
    }),
    it('does not give the password away, nor the same hash twice', async (hasher) => {
      const [one, other] = await Promise.all([hasher.hash('canary'), hasher.hash('canary')]);
      assert.is.not(one, other);
      assert.not.match(one, 'canary');
      assert.match(one, /^\$[\w,=+/$-]{20,254}$/);
    }),
    it('says wrong, and does not reject, where a hash cannot be read', async (hasher) => {
      const sound = await hasher.hash('password');
      const unreadable = ['', 'x', '$argon2id$', sound.slice(0, -30), '$2b$10$abcdefghijklmnop'];
      for (const hash of unreadable) {
        assert.is(await hasher.verify(hash, 'password'), 'wrong', hash);
      }
    }),
  ];
}
