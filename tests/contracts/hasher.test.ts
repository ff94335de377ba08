import { setTimeout as sleep } from 'node:timers/promises';
import { hash as bcryptHash } from '@node-rs/bcrypt';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Argon2Options, Argon2Hasher } from '../../src/adapters/argon2/argon2-hasher.ts';
import { memoryForMissingTime, SlowestKind } from '../../src/adapters/argon2/timing-equaliser.ts';
import { legacyHashes } from '../../src/adapters/argon2/legacy-hashes.ts';
import type { Verdict } from '../../src/application/index.ts';
import { passwordHasherContract } from '../../src/testing/index.ts';
import { runContract } from '../support/contracts.ts';
import { outcome } from '../support/expect.ts';
import { LEGACY_HASHES, LEGACY_PASSWORD, ofLegacyPassword } from '../support/legacy-hashes.ts';

const FAST = { memoryKib: 64, passes: 1 } as const;

runContract(
  'PasswordHasher on argon2id',
  passwordHasherContract(() => new Argon2Hasher(FAST)),
);

const allOutdated = Object.values(LEGACY_HASHES).map(ofLegacyPassword);
runContract(
  'PasswordHasher on argon2id and legacy hashes',
  passwordHasherContract(() => new Argon2Hasher({ ...FAST, legacyHashes: legacyHashes() }), {
    outdated: allOutdated,
  }),
);

const { 'PBKDF2, Django': cheap, 'bcrypt, dearer': dear } = LEGACY_HASHES;
runContract(
  'PasswordHasher on argon2id at its usual cost, and legacy hashes',
  passwordHasherContract(() => new Argon2Hasher({ legacyHashes: legacyHashes() }), {
    outdated: [cheap, dear].map(ofLegacyPassword),
  }),
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
  const most = ['$argon2id$v=19$m=4194304,t=100,p=1$', '$argon2d$m=5000000,t=1,p=1$'];
  for (const parameters of [...most, '$argon2i$v=19$m=64,t=4294967295,p=1$']) {
    const stored = parameters + sound.split('$').slice(-2).join('$');
    assert.is(await hasher.verify(stored, 'password'), 'wrong');
  }
  assert.is(alerts, 3);
});

argon2('makes up for the time that a weaker hash saves, in proportion to it', () => {
  const today = { memoryCost: 19_456, parallelism: 1 };
  assert.is(memoryForMissingTime(today, 5, 20), 19_456 * 0.75);
  assert.is(memoryForMissingTime(today, 10, 20), 19_456 / 2);
  assert.is(memoryForMissingTime(today, 19, 20), 972);
  assert.is(memoryForMissingTime(today, 19.9, 20), undefined, 'next to nothing is missing');
  assert.is(memoryForMissingTime(today, 20, 20), undefined);
  assert.is(memoryForMissingTime(today, 1_000, 20), undefined, 'stronger, or held up');
  assert.is(memoryForMissingTime(today, -1, 20), 19_456, 'never more than a whole hash');
  assert.is(memoryForMissingTime({ memoryCost: 64, parallelism: 4 }, 10, 20), 32);
  assert.is(
    memoryForMissingTime({ memoryCost: 64, parallelism: 4 }, 11, 20),
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

argon2(
  'lets no refusal be quicker than the slowest kind of legacy hash, once there was one',
  async () => {
    const others = {
      kindOf: (hash: string) => (hash.startsWith('slow') ? hash : undefined),
      verify: async (hash: string): Promise<Verdict> => {
        await sleep(Number(hash.slice(4)));
        return 'wrong';
      },
    };
    const hasher = new Argon2Hasher({ ...FAST, concurrency: 1, queue: 2, legacyHashes: others });
    const today = await hasher.hash('password');
    const timeOf = async (hash: string | undefined, password = 'wrong') => {
      const started = performance.now();
      await hasher.verify(hash, password);
      return performance.now() - started;
    };
    await timeOf('slow60');
    await timeOf('slow120');
    for (const each of [undefined, today, 'nonsense', 'slow60', 'slow120']) {
      assert.ok((await timeOf(each)) > 115, each);
    }
    assert.ok((await timeOf(today, 'password')) < 60, 'who is right does not wait');
    // Nor does anybody else: it holds no place at the hasher.
    const started = performance.now();
    await Promise.all([timeOf(undefined), timeOf(undefined), timeOf(undefined)]);
    assert.ok(performance.now() - started < 240);
  },
);

argon2('lets no refusal be quicker than kinds that it has measured, before the first', async () => {
  const tried: string[] = [];
  const others = {
    kindOf: (hash: string) => /^slow\d+/.exec(hash)?.[0],
    verify: async (hash: string): Promise<Verdict> => {
      tried.push(hash);
      if (hash === 'slow0') throw new Error('its package is not installed');
      await sleep(Number(hash.slice(4)));
      return 'wrong';
    },
  };
  const hasher = new Argon2Hasher({ ...FAST, legacyHashes: others });
  const measured = hasher.measure(['slow0', 'slow80', 'slow40', 'slow40', 'nonsense']);
  const fault: unknown = await measured.catch((error: unknown) => error);
  assert.instance(fault, AggregateError);
  assert.equal(new Set(tried), new Set(['slow0', 'slow80', 'slow40']));
  const before = tried.length;
  await hasher.measure(['slow80']);
  assert.is(tried.length, before, 'what is known is not measured again');
  const started = performance.now();
  assert.is(await hasher.verify(undefined, 'password'), 'wrong');
  assert.ok(performance.now() - started > 75);
});

argon2('lets no refusal be quicker than a dearer hash of argon2, which it keeps', async () => {
  const large = await new Argon2Hasher({ memoryKib: 16_384, passes: 4 }).hash('password');
  const mixed = await new Argon2Hasher({ memoryKib: 32, passes: 1_000 }).hash('password');
  const timeOf = async (work: () => Promise<unknown>) => {
    const started = performance.now();
    await work();
    return performance.now() - started;
  };
  const refuse = (hasher: Argon2Hasher, hash: string | undefined) =>
    timeOf(async () => assert.is(await hasher.verify(hash, 'wrong'), 'wrong'));
  for (const stored of [large, mixed]) {
    const measuring = new Argon2Hasher(FAST);
    const own = await measuring.hash('password');
    // The least of some before and after the hasher has timed it, as the machine was then: what
    // comes in between makes times longer only. It is far from a second, which nobody waits for.
    const whole: number[] = [];
    const sample = async () => {
      const other = new Argon2Hasher(FAST);
      for (let i = 0; i < 3; i += 1) whole.push(await refuse(other, stored));
    };
    await sample();
    await measuring.measure([stored]);
    await sample();
    const least = Math.min(...whole);
    assert.ok((await refuse(measuring, undefined)) > least / 2);
    assert.ok((await refuse(measuring, own)) > least / 2);
    const meeting = new Argon2Hasher(FAST);
    const met = await refuse(meeting, stored); // The very time that it then has others wait for.
    assert.ok((await refuse(meeting, undefined)) > met / 2, 'once it was met');
  }
  assert.is(await new Argon2Hasher(FAST).verify(large, 'password'), 'right');
});

argon2('has nobody wait for more than a second, nor for kinds without number', () => {
  const slowest = new SlowestKind();
  assert.is(slowest.delayMs(), 0);
  slowest.add('a', 20);
  slowest.add('b', 30);
  for (let i = 0; i < 3; i += 1) slowest.add('b', 40);
  assert.is(slowest.delayMs(), 40);
  for (let i = 0; i < 1_000; i += 1) slowest.add(`kind ${i}`, i === 999 ? 50 : 1);
  assert.is(slowest.delayMs(), 50, 'of kinds without number the slowest are remembered');
  slowest.add('a', 9_000);
  slowest.add('a', 9_000);
  assert.is(slowest.delayMs(), 1_000);
});

argon2('says which hashes it could check a password against', async () => {
  const hasher = new Argon2Hasher({ ...FAST, legacyHashes: legacyHashes() });
  const sound = await hasher.hash('password');
  for (const hash of [sound, ...Object.values(LEGACY_HASHES), sound.replace('2id', '2d')]) {
    assert.ok(hasher.reads(hash), hash);
  }
  const none = [
    '',
    'password',
    '$argon2id$',
    sound.slice(0, -30),
    '5f4dcc3b5aa765d61d8327deb882cf99',
  ];
  const parameters = ['m=90000000,t=1', 'm=4980736,t=1', 'm=0,t=1', 'm=64,t=0', 'm=7,t=1'];
  const unsound = parameters.map((each) => sound.replace('m=64,t=1', each));
  const ofManyLanes = sound.replace('p=1', 'p=99999999');
  for (const hash of [...none, ...TOO_MUCH, ...unsound, ofManyLanes]) {
    assert.not(hasher.reads(hash), hash);
  }
  const withoutLegacy = new Argon2Hasher(FAST);
  assert.not(withoutLegacy.reads(LEGACY_HASHES.bcrypt));
  assert.ok(withoutLegacy.reads(sound));
});

/** Hashes that would keep a core busy for long, fill the memory, or be met by chance. */
const TOO_MUCH = [
  LEGACY_HASHES.bcrypt.replace('$04$', '$16$'),
  LEGACY_HASHES.bcrypt.replace('$04$', '$31$'),
  LEGACY_HASHES.bcrypt.replace('$04$', '$03$'),
  LEGACY_HASHES.bcrypt.replace('$2b$', '$2x$'),
  LEGACY_HASHES['scrypt, PHC'].replace('ln=10', 'ln=21'),
  LEGACY_HASHES['scrypt, PHC'].replace('ln=10', 'ln=99'),
  LEGACY_HASHES['scrypt, PHC'].replace('p=1', 'p=2000'),
  LEGACY_HASHES['scrypt, PHC'].replace('r=8', 'r=0'),
  LEGACY_HASHES['scrypt, Werkzeug'].replace('1024', '1000'),
  LEGACY_HASHES['scrypt, Werkzeug'].replace('1024', '1'),
  LEGACY_HASHES['PBKDF2, PHC'].replace('i=1000', 'i=10000001'),
  LEGACY_HASHES['PBKDF2, PHC'].replace('i=1000', 'i=0'),
  `pbkdf2:sha1:5000001$salt$${'7b'.repeat(21)}`, // Two blocks, each as dear as one.
  `pbkdf2:sha256:5000001$salt$${'7b'.repeat(64)}`,
  LEGACY_HASHES['PBKDF2, Django'].replace('1000', '4294967295'),
  LEGACY_HASHES['PBKDF2, Werkzeug'].replace('sha256', 'md5'),
  'pbkdf2:sha256:1000$salt$7b021432e555d743',
  `pbkdf2:sha256:1000$salt$${'7b'.repeat(130)}`,
];

argon2('begins on no legacy hash that is beyond all measure', async () => {
  let alerts = 0;
  const hasher = new Argon2Hasher({
    ...FAST,
    legacyHashes: legacyHashes(),
    onUnreadableHash: () => (alerts += 1),
  });
  const started = performance.now();
  for (const hash of TOO_MUCH) assert.is(await hasher.verify(hash, LEGACY_PASSWORD), 'wrong');
  assert.is(alerts, TOO_MUCH.length);
  assert.ok(performance.now() - started < 2_000);
});

argon2(
  'can check every legacy hash that it reads, at the bounds of their parameters too',
  async () => {
    const legacy = legacyHashes();
    let read = 0;
    const check = async (hash: string) => {
      if (legacy.kindOf(hash) === undefined) return;
      read += 1;
      assert.is(await legacy.verify(hash, 'wrong'), 'wrong', hash);
    };
    const key = '6b'.repeat(64);
    for (const r of [1, 2, 8]) {
      for (let ln = 0; ln <= 17; ln += 1) await check(`scrypt:${2 ** ln}:${r}:1$salt$${key}`);
    }
    assert.is(read, 15 + 17 + 17);
    for (const length of [31, 32, 200]) await check(`pbkdf2:sha1:1$s$${'6'.repeat(length)}`);
    for (const letter of './AZaz09') await check(`$2b$04$${letter.repeat(53)}`);
    assert.is(read, 49 + 2 + 8);
  },
);

argon2('reads a hash of PBKDF2 whose blocks together are as dear as one may be', () => {
  const legacy = legacyHashes();
  for (const [digest, iterations, bytes] of [
    ['sha1', 10_000_000, 20],
    ['sha1', 5_000_000, 21],
    ['sha256', 5_000_000, 64],
    ['sha512', 10_000_000, 64],
  ] as const) {
    const kind = legacy.kindOf(`pbkdf2:${digest}:${iterations}$salt$${'7b'.repeat(bytes)}`);
    assert.is(kind, `pbkdf2-${digest} 10000000`);
  }
});

argon2('keeps a hash of bcrypt where it has not seen the whole password', async () => {
  const hasher = new Argon2Hasher({ ...FAST, legacyHashes: legacyHashes() });
  const long = 'ö'.repeat(40);
  const stored = await bcryptHash(long, 4);
  assert.is(await hasher.verify(stored, `${long}, and a slip`), 'right');
  assert.is(await hasher.verify(stored, 'ö'.repeat(35)), 'wrong');
  assert.is(await hasher.verify(stored, 'ö'.repeat(36)), 'outdated');
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
  // More passes than argon2 takes.
  const hasher = new Argon2Hasher({ memoryKib: 8, passes: 2 ** 33, concurrency: 1, queue: 0 });
  for (let i = 0; i < 3; i += 1) assert.is(await outcome(hasher.hash('password')), 'fault');
});

argon2('takes no option that would not hold', () => {
  const refused: readonly [object, RegExp][] = [
    [{ memoryKiB: 65_536 }, /no option memoryKiB/],
    [{ iterations: 3 }, /no option iterations/],
    [{ memoryKib: 7 }, /memoryKib must be a whole number from 8 on, not 7/],
    [{ memoryKib: 8, parallelism: 2 }, /memoryKib must be a whole number from 16 on, not 8/],
    [{ passes: 1.5 }, /passes must be a whole number from 1 on, not 1.5/],
    [{ queue: -1 }, /queue must be a whole number from 0 on, not -1/],
  ];
  for (const [options, reason] of refused) {
    assert.throws(() => new Argon2Hasher(options), reason);
  }
});

argon2.run();
