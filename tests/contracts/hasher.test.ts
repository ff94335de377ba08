import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Argon2Options, Argon2Hasher } from '../../src/adapters/argon2/argon2-hasher.ts';
import { makeUpMemory } from '../../src/adapters/argon2/making-up.ts';
import { passwordHasherContract } from '../../src/testing/index.ts';
import { runContract } from '../support/contracts.ts';
import { outcome } from '../support/expect.ts';

const FAST = { memoryKib: 64, passes: 1 } as const;

runContract(
  'PasswordHasher on argon2id',
  passwordHasherContract(() => new Argon2Hasher(FAST)),
);

const argon2 = suite('Argon2Hasher');

argon2("hashes with argon2id and OWASP's parameters unless told otherwise", async () => {
  assert.match(await new Argon2Hasher().hash('password'), /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
});

argon2('hashes with the parameters that it is given', async () => {
  const hasher = new Argon2Hasher({ memoryKib: 128, passes: 3, parallelism: 2 });
  assert.match(await hasher.hash('password'), /^\$argon2id\$v=19\$m=128,t=3,p=2\$/);
});

argon2('finds right hashes of weaker parameters outdated, and no others', async () => {
  const verdict = async (stored: Argon2Options, today: Argon2Options) => {
    const hash = await new Argon2Hasher(stored).hash('password');
    return new Argon2Hasher(today).verify(hash, 'password');
  };
  const today = { memoryKib: 128, passes: 2 };
  assert.is(await verdict({ memoryKib: 64, passes: 2 }, today), 'outdated');
  assert.is(await verdict({ memoryKib: 128, passes: 1 }, today), 'outdated');
  assert.is(await verdict({ memoryKib: 128, passes: 2 }, today), 'right');
  assert.is(await verdict({ memoryKib: 256, passes: 3 }, today), 'right');
});

argon2('finds hashes of the older argon2i outdated', async () => {
  const hash =
    '$argon2i$v=19$m=64,t=3,p=1$O3w0K2EMXYcLF/MmkBan0Q$LGJmBgHgU65ZFhAVI/Il0aSCrfxAoSDdPP9tK7yh3U4';
  assert.is(await new Argon2Hasher(FAST).verify(hash, 'password'), 'outdated');
});

argon2('does not begin on a stored hash that is beyond all measure', async () => {
  let alerts = 0;
  const hasher = new Argon2Hasher({ ...FAST, onUnreadableHash: () => (alerts += 1) });
  const sound = await hasher.hash('password');
  const dear = ['$argon2id$v=19$m=4194304,t=100,p=1$', '$argon2d$m=5000000,t=1,p=1$'];
  for (const parameters of [...dear, '$argon2i$v=19$m=64,t=4294967295,p=1$']) {
    const stored = parameters + sound.split('$').slice(-2).join('$');
    assert.is(await hasher.verify(stored, 'password'), 'wrong');
  }
  assert.is(alerts, 3);
});

argon2('makes up for the time that a weaker hash saves, in proportion to it', () => {
  const today = { memoryCost: 19_456, parallelism: 1 };
  assert.is(makeUpMemory(today, 5, 20), 19_456 * 0.75);
  assert.is(makeUpMemory(today, 10, 20), 19_456 / 2);
  assert.is(makeUpMemory(today, 19, 20), 972);
  assert.is(makeUpMemory(today, 19.9, 20), undefined, 'next to nothing is missing');
  assert.is(makeUpMemory(today, 20, 20), undefined);
  assert.is(makeUpMemory(today, 1_000, 20), undefined, 'stronger, or held up');
  assert.is(makeUpMemory(today, -1, 20), 19_456, 'never more than a whole hash');
  assert.is(makeUpMemory({ memoryCost: 64, parallelism: 4 }, 10, 20), 32);
  assert.is(
    makeUpMemory({ memoryCost: 64, parallelism: 4 }, 11, 20),
    undefined,
    'argon2 wants 8 p',
  );
});

argon2('says wrong to a wrong password on a hash of any weaker kind', async () => {
  const today = new Argon2Hasher({ memoryKib: 1024, passes: 2 });
  for (const stored of [
    await new Argon2Hasher(FAST).hash('password'),
    await new Argon2Hasher({ memoryKib: 512, passes: 5 }).hash('password'),
    '$argon2i$v=19$m=64,t=3,p=1$O3w0K2EMXYcLF/MmkBan0Q$LGJmBgHgU65ZFhAVI/Il0aSCrfxAoSDdPP9tK7yh3U4',
  ]) {
    assert.is(await today.verify(stored, 'wrong'), 'wrong');
    assert.is(await today.verify(stored, 'password'), 'outdated');
  }
});

argon2('does the work of one hash for a wrong password, whatever is stored', async () => {
  const hasher = new Argon2Hasher({ memoryKib: 65_536, passes: 2 });
  const stored = {
    nothing: undefined,
    'no hash': 'letmein',
    'a weaker one': await new Argon2Hasher(FAST).hash('password'),
    'one of argon2i':
      '$argon2i$v=19$m=64,t=3,p=1$O3w0K2EMXYcLF/MmkBan0Q$LGJmBgHgU65ZFhAVI/Il0aSCrfxAoSDdPP9tK7yh3U4',
  };
  // The time of the processor, of all threads: what is left out shows as next to none of it.
  const work = async (hash: string | undefined) => {
    const before = process.cpuUsage();
    assert.is(await hasher.verify(hash, 'wrong'), 'wrong');
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const today = await hasher.hash('password');
  // The least of some: what else the process does beside a hash is none of its work.
  const whole = Math.min(await work(today), await work(today), await work(today));
  for (const [what, hash] of Object.entries(stored)) {
    assert.ok((await work(hash)) > whole / 3, what);
  }
});

argon2('reports a stored hash that it cannot read', async () => {
  let reports = 0;
  const hasher = new Argon2Hasher({ ...FAST, onUnreadableHash: () => (reports += 1) });
  await hasher.verify('nonsense', 'password');
  await hasher.verify(undefined, 'password');
  assert.is(reports, 1);
});

argon2('lets so many wait and refuses the rest at once, whatever they want', async () => {
  const hasher = new Argon2Hasher({ ...FAST, concurrency: 2, queue: 3 });
  const hash = await hasher.hash('password');
  const outcomes = await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      outcome<string>(i % 2 ? hasher.hash('password') : hasher.verify(hash, 'password')),
    ),
  );
  assert.equal(outcomes.slice(5), Array(5).fill('service_busy'));
  assert.is(outcomes.slice(0, 5).includes('service_busy'), false);
  assert.is(await hasher.verify(hash, 'password'), 'right', 'and serves again afterwards');
});

argon2('admits as much work as can run or wait, and more when some is done', async () => {
  const hasher = new Argon2Hasher({ ...FAST, concurrency: 2, queue: 3 });
  const ends: (() => void)[] = [];
  const work = () => hasher.admit(() => new Promise<void>((resolve) => ends.push(resolve)));
  const running = Array.from({ length: 5 }, work);
  assert.is(ends.length, 5);
  for (let i = 0; i < 3; i += 1) assert.is(await outcome(work()), 'service_busy');
  assert.is(ends.length, 5, 'what is turned away does not begin');
  ends[0]?.();
  await running[0];
  running.push(work());
  assert.is(await outcome(work()), 'service_busy');
  for (const end of ends) end();
  await Promise.all(running);
});

argon2('gives its place up when a hash fails', async () => {
  const hasher = new Argon2Hasher({ memoryKib: 1, passes: 1, concurrency: 1, queue: 0 });
  for (let i = 0; i < 3; i += 1) assert.is(await outcome(hasher.hash('password')), 'fault');
});

argon2.run();
