import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Argon2Hasher } from '../../src/adapters/argon2/argon2-hasher.ts';
import { legacyHashes } from '../../src/adapters/argon2/legacy-hashes.ts';
import { JwtIssuer } from '../../src/adapters/jwt/jwt-issuer.ts';
import {
  AuthError,
  type Clock,
  type IdGenerator,
  type PasswordHasher,
  randomIds,
  systemClock,
  type TokenIssuer,
} from '../../src/application/index.ts';
import {
  clockContract,
  FastHasher,
  FixedClock,
  idGeneratorContract,
  passwordHasherContract,
  type PasswordHasherFacts,
  SequentialIds,
  tokenIssuerContract,
} from '../../src/testing/index.ts';
import { failedCases, runContract } from '../support/contracts.ts';
import { LEGACY_HASHES, ofLegacyPassword } from '../support/legacy-hashes.ts';
import { withMethods } from '../support/fakes.ts';

// As with the repositories: each fault is one that such parts really have had, and must fail the cases
// that name it, and no other.

interface Fault<Part> {
  readonly name: string;
  readonly open: () => Part;
  readonly fails: readonly string[];
}

const system = (): Clock => systemClock;
const uuids = (): IdGenerator => randomIds;
const issuer = () => new JwtIssuer({ key: randomBytes(32).toString('hex') });

runContract(
  'PasswordHasher without work',
  passwordHasherContract(() => new FastHasher()),
);
runContract('Clock of the system', clockContract(system));
runContract('IdGenerator on randomUUID', idGeneratorContract(uuids));
runContract(
  'TokenIssuer of other lifetimes',
  tokenIssuerContract(
    () =>
      new JwtIssuer({
        key: randomBytes(32).toString('hex'),
        accessTokenTtl: 60,
        refreshTokenTtl: 3600,
      }),
    { accessTokenTtl: 60 },
  ),
);

/** A fast hasher with some of its methods replaced. */
function hasher(
  fault: (sound: PasswordHasher) => Partial<PasswordHasher>,
  sound: PasswordHasher = new FastHasher(),
) {
  return withMethods(sound, fault(sound));
}

const others = legacyHashes();
const { 'PBKDF2, Django': cheap, 'bcrypt, dearer': dear } = LEGACY_HASHES;
const legacy = { outdated: [cheap, dear].map(ofLegacyPassword) };
const isLegacy = (hash: string | undefined): hash is string =>
  hash !== undefined && others.kindOf(hash) !== undefined;

interface HasherFault extends Fault<PasswordHasher> {
  readonly facts?: PasswordHasherFacts;
}

const HASHERS: readonly HasherFault[] = [
  {
    name: 'never finds a hash of others outdated',
    open: () =>
      hasher(
        (sound) => ({
          verify: async (hash, password) => {
            const verdict = await sound.verify(hash, password);
            return verdict === 'outdated' ? 'right' : verdict;
          },
        }),
        new Argon2Hasher({ memoryKib: 64, passes: 1, legacyHashes: others }),
      ),
    facts: legacy,
    fails: ['finds the right password of a hash of before outdated, and takes no other'],
  },
  {
    name: 'looks at the first letters of a hash of others alone',
    open: () =>
      hasher(
        (sound) => ({
          verify: async (hash, password) =>
            hash && [cheap, dear].some((known) => known.slice(0, 40) === hash.slice(0, 40))
              ? await sound.verify(hash.startsWith('$') ? dear : cheap, password)
              : sound.verify(hash, password),
        }),
        new Argon2Hasher({ memoryKib: 64, passes: 1, legacyHashes: others }),
      ),
    facts: legacy,
    fails: ['takes no password for a hash of before that was changed or cut'],
  },
  {
    name: 'spends on a hash of others what that takes, be it less or more',
    open: () =>
      hasher(
        (sound) => ({
          verify: (hash, password) =>
            isLegacy(hash) ? others.verify(hash, password) : sound.verify(hash, password),
        }),
        new Argon2Hasher(),
      ),
    facts: legacy,
    fails: ['spends on a hash of before, whatever it takes, as much as on any other'],
  },
  {
    name: 'cuts passwords at 72 bytes, as bcrypt does',
    open: () =>
      hasher((sound) => {
        const cut = (password: string) => Buffer.from(password).subarray(0, 72).toString('latin1');
        return {
          hash: (password) => sound.hash(cut(password)),
          verify: (hash, password) => sound.verify(hash, cut(password)),
        };
      }),
    fails: ['uses the whole of a long password, in any script'],
  },
  {
    name: 'reads all that is beyond ASCII as the same',
    open: () =>
      hasher((sound) => {
        const ascii = (password: string) => password.replaceAll(/[^ -~]/gu, '?');
        return {
          hash: (password) => sound.hash(ascii(password)),
          verify: (hash, password) => sound.verify(hash, ascii(password)),
        };
      }),
    fails: ['uses the whole of a long password, in any script'],
  },
  {
    name: 'trims passwords',
    open: () =>
      hasher((sound) => ({
        hash: (password) => sound.hash(password.trim()),
        verify: (hash, password) => sound.verify(hash, password.trim()),
      })),
    fails: ['tells the right password from every other'],
  },
  {
    name: 'keeps the password in the hash',
    open: () =>
      hasher((sound) => {
        const readable = (password: string) =>
          `$${Buffer.from(password).toString('base64url').slice(0, 60)}`;
        return {
          hash: async (password) => (await sound.hash(password)) + readable(password),
          verify(hash = '', password) {
            const suffix = readable(password);
            const digest = hash.endsWith(suffix) ? hash.slice(0, -suffix.length) : undefined;
            return sound.verify(digest, password);
          },
        };
      }),
    fails: ['keeps nothing of a password in its hash that can be read'],
  },
  {
    name: 'salts every hash alike',
    open: () => {
      const digest = (password: string) =>
        `$sha256$${createHash('sha256').update(password).digest('base64url')}`;
      return hasher(() => ({
        async hash(password) {
          await turn();
          return digest(password);
        },
        verify: async (hash, password) => (hash === digest(password) ? 'right' : 'wrong'),
      }));
    },
    fails: ['gives no hash twice'],
  },
  {
    name: 'writes hashes that are no PHC strings',
    open: () =>
      hasher((sound) => ({
        hash: async (password) => `{fast}${await sound.hash(password)}`,
        verify: (hash, password) => sound.verify(hash?.replace('{fast}', ''), password),
      })),
    fails: [
      'writes a hash as a PHC string of at most 255 characters',
      'turns hashes away as service_busy, or makes them',
    ],
  },
  {
    name: 'rejects a hash that it cannot read',
    open: () =>
      hasher((sound) => ({
        verify: async (hash, password) => {
          if (hash !== undefined && !/^\$fast\$v=1\$[\w-]{16}\$[\w-]{43}$/.test(hash)) {
            throw new Error('no hash');
          }
          return sound.verify(hash, password);
        },
      })),
    fails: ['says wrong, and does not reject, where a hash cannot be read'],
  },
  {
    name: 'takes a hash that it cannot read for a password in plain text',
    open: () =>
      hasher((sound) => ({
        verify: async (hash, password) =>
          hash === password && hash !== '' ? 'right' : sound.verify(hash, password),
      })),
    fails: ['says wrong, and does not reject, where a hash cannot be read'],
  },
  {
    name: 'says right where there is no hash',
    open: () =>
      hasher((sound) => ({
        verify: async (hash, password) =>
          hash === undefined ? 'right' : sound.verify(hash, password),
      })),
    fails: ['says wrong where there is no hash'],
  },
  {
    name: 'answers at once where there is no hash',
    open: () =>
      hasher(
        (sound) => ({
          verify: async (hash, password) => (hash ? sound.verify(hash, password) : 'wrong'),
        }),
        new Argon2Hasher(),
      ),
    fails: ['spends on what has no hash, or none that it can read, as much as on a password'],
  },
  {
    name: 'reports what is too much as a fault',
    open: () => {
      let running = 0;
      return hasher((sound) => ({
        async hash(password) {
          if (running === 20) throw new Error('the queue is full');
          running += 1;
          return sound.hash(password).finally(() => (running -= 1));
        },
      }));
    },
    fails: ['turns hashes away as service_busy, or makes them'],
  },
  {
    name: 'never gives a place up',
    open: () => {
      let places = 300;
      return hasher(() => ({
        async admit(work) {
          if (places === 0) throw new AuthError('service_busy');
          places -= 1;
          return work();
        },
      }));
    },
    fails: ['turns work away as service_busy, before it begins, or does it'],
  },
  {
    name: 'begins the work before it turns it away',
    open: () => {
      let running = 0;
      return hasher(() => ({
        async admit(work) {
          running += 1;
          try {
            const begun = work();
            if (running > 20) throw new AuthError('service_busy');
            return await begun;
          } finally {
            running -= 1;
          }
        },
      }));
    },
    fails: ['turns work away as service_busy, before it begins, or does it'],
  },
  {
    name: 'tries work again that fails',
    open: () => hasher(() => ({ admit: (work) => work().catch(() => work()) })),
    fails: ['runs the work that it admits once, and passes on what becomes of it'],
  },
  {
    name: 'wraps what goes wrong in the work that it admits',
    open: () =>
      hasher(() => ({
        admit: (work) =>
          work().catch((cause: unknown) => {
            throw new Error('the work failed', { cause });
          }),
      })),
    fails: ['runs the work that it admits once, and passes on what becomes of it'],
  },
];

/** An issuer with some of its methods replaced. */
function issuerWith(fault: (sound: TokenIssuer) => Partial<TokenIssuer>): TokenIssuer {
  const sound = issuer();
  return withMethods<TokenIssuer>(sound, fault(sound));
}

function moved(time: Date, seconds: number): Date {
  return new Date(time.getTime() + seconds * 1000);
}

/** Those whose keys one of the faults accepts. */
const opened: TokenIssuer[] = [];

const ISSUERS: readonly Fault<TokenIssuer>[] = [
  {
    name: 'takes refresh tokens for access tokens',
    open: () =>
      issuerWith((sound) => ({
        verifyAccessToken: async (token, now) =>
          (await sound.verifyAccessToken(token, now)) ?? sound.verifyRefreshToken(token, now),
      })),
    fails: ['takes neither kind in the place of the other'],
  },
  {
    name: 'says nothing of roles',
    open: () =>
      issuerWith((sound) => ({
        issueAccessToken: ({ role: _role, ...claims }, now) => sound.issueAccessToken(claims, now),
      })),
    fails: [
      'says in an access token that a user is more than that',
      'carries the largest ids whole',
    ],
  },
  {
    name: 'takes access tokens for refresh tokens',
    open: () =>
      issuerWith((sound) => ({
        verifyRefreshToken: async (token, now) =>
          (await sound.verifyRefreshToken(token, now)) ?? sound.verifyAccessToken(token, now),
      })),
    fails: ['takes neither kind in the place of the other'],
  },
  {
    name: 'lets access tokens last a second longer',
    open: () =>
      issuerWith((sound) => ({
        verifyAccessToken: async (token, now) =>
          (await sound.verifyAccessToken(token, now)) ??
          sound.verifyAccessToken(token, moved(now, -1)),
      })),
    fails: ['ends an access token when its time is over, to the second'],
  },
  {
    name: 'ends refresh tokens a second early',
    open: () =>
      issuerWith((sound) => ({
        issueRefreshToken: (claims, now, expires) =>
          sound.issueRefreshToken(claims, now, moved(expires, -1)),
      })),
    fails: ['ends a refresh token when it was told, to the second'],
  },
  {
    name: 'makes refresh tokens that last as long as they are told',
    open: () => {
      const key = randomBytes(32).toString('hex');
      const longer = new JwtIssuer({ key, refreshTokenTtl: 60 * 86_400 });
      return withMethods<TokenIssuer>(longer, { refreshTokenTtl: 30 * 86_400 });
    },
    fails: ['lets no refresh token last longer than any may'],
  },
  {
    name: 'allows a minute for clocks that differ',
    open: () =>
      issuerWith((sound) => ({
        verifyAccessToken: async (token, now) =>
          (await sound.verifyAccessToken(token, now)) ??
          sound.verifyAccessToken(token, moved(now, 60)),
      })),
    fails: ['allows for a clock that is five seconds behind, and no more'],
  },
  {
    name: 'allows nothing for clocks that differ',
    open: () =>
      issuerWith((sound) => ({
        verifyRefreshToken: async (token, now) =>
          (await sound.verifyRefreshToken(token, moved(now, -5))) &&
          sound.verifyRefreshToken(token, now),
      })),
    fails: ['allows for a clock that is five seconds behind, and no more'],
  },
  {
    name: 'accepts tokens of foreign keys',
    open: () => {
      const sound = issuer();
      opened.push(sound);
      return withMethods<TokenIssuer>(sound, {
        async verifyAccessToken(token, now) {
          for (const each of opened) {
            const claims = await each.verifyAccessToken(token, now);
            if (claims) return claims;
          }
          return undefined;
        },
      });
    },
    fails: ['refuses tokens of another key'],
  },
  {
    name: 'rejects what is no token with an exception',
    open: () =>
      issuerWith((sound) => ({
        async verifyAccessToken(token, now) {
          const [, payload = ''] = token.split('.');
          const claims = await sound.verifyAccessToken(token, now);
          if (!claims && payload.length < 10) throw new SyntaxError('Unexpected end of JSON input');
          return claims;
        },
      })),
    fails: ['refuses, and does not reject, what is no token'],
  },
  {
    name: 'reads base64 leniently',
    open: () =>
      issuerWith((sound) => ({
        verifyAccessToken: (token, now) => sound.verifyAccessToken(token.replaceAll('=', ''), now),
      })),
    fails: ['refuses a token of which any character was changed'],
  },
  {
    name: 'trims tokens',
    open: () =>
      issuerWith((sound) => ({
        verifyRefreshToken: (token, now) => sound.verifyRefreshToken(token.trim(), now),
      })),
    fails: ['refuses a token of which any character was changed'],
  },
  {
    name: 'holds what it identifies to the time',
    open: () =>
      issuerWith((sound) => ({
        identifyRefreshToken: (token) =>
          sound.verifyRefreshToken(token, new Date('2026-01-02T03:04:06Z')),
      })),
    fails: ['identifies a refresh token whatever the time, and nothing else'],
  },
  {
    name: 'keeps user ids in 32 bits',
    open: () =>
      issuerWith((sound) => ({
        issueAccessToken: (claims, now) =>
          sound.issueAccessToken({ ...claims, userId: claims.userId >>> 0 }, now),
      })),
    fails: ['carries the largest ids whole'],
  },
];

const CLOCKS: readonly Fault<Clock>[] = [
  {
    name: 'stands',
    open: () => {
      const now = new Date();
      return { now: () => new Date(now) };
    },
    fails: ['does not stand still'],
  },
  {
    name: 'takes seconds for milliseconds',
    open: () => ({ now: () => new Date(Date.now() / 1000) }),
    fails: ['tells the time of the wall clock, to the second', 'does not stand still'],
  },
  {
    name: 'counts from the start of the process',
    open: () => ({ now: () => new Date(performance.now()) }),
    fails: ['tells the time of the wall clock, to the second'],
  },
  {
    name: 'is an hour ahead for half of the year',
    open: () => ({ now: () => new Date(Date.now() + 3_600_000) }),
    fails: ['tells the time of the wall clock, to the second'],
  },
  {
    name: 'gives the same object each time',
    open: () => {
      const shared = new Date();
      let last = Date.now();
      return {
        now() {
          const now = Date.now();
          shared.setTime(shared.getTime() + now - last);
          last = now;
          return shared;
        },
      };
    },
    fails: ['is not changed through what it returned'],
  },
  {
    name: 'gives a date that is none',
    open: () => ({ now: () => new Date('now') }),
    fails: ['gives a time that can be read'],
  },
  {
    name: 'is fixed, for tests',
    open: () => new FixedClock(),
    fails: ['tells the time of the wall clock, to the second', 'does not stand still'],
  },
];

const IDS: readonly Fault<IdGenerator>[] = [
  {
    name: 'counts',
    open: () => new SequentialIds(),
    fails: ['gives no id that another process gives', 'varies its ids by 122 bits'],
  },
  {
    name: 'has 64 random bits',
    open: () => ({ next: () => randomBytes(8).toString('hex') }),
    fails: ['varies its ids by 122 bits'],
  },
  {
    name: 'begins its ids with the time, as UUIDs of version 7 do',
    open: () => ({
      next: () => `${Date.now().toString(16).padStart(12, '0')}${randomBytes(9).toString('hex')}`,
    }),
    fails: ['varies its ids by 122 bits'],
  },
  {
    name: 'draws from Math.random',
    open: () => ({ next: () => Math.random().toString(36).slice(2) }),
    fails: ['varies its ids by 122 bits'],
  },
  {
    name: 'writes ids in plain base64',
    open: () => ({ next: () => randomBytes(24).toString('base64') }),
    fails: ['gives ids of 1 to 64 characters of A-Z, a-z, 0-9, _ and -'],
  },
  {
    name: 'writes ids that are too long',
    open: () => ({ next: () => randomBytes(33).toString('hex') }),
    fails: ['gives ids of 1 to 64 characters of A-Z, a-z, 0-9, _ and -'],
  },
  {
    name: 'gives an id again now and then',
    open: () => {
      const pool = Array.from({ length: 100_000 }, () => randomUUID());
      return { next: () => pool[Math.floor(Math.random() * pool.length)] ?? '' };
    },
    fails: ['gives no id twice'],
  },
  {
    name: 'begins with the same seed in each process',
    open: () => {
      let last = 0;
      const digest = () =>
        createHash('sha256')
          .update(`seed ${(last += 1)}`)
          .digest('base64url');
      return { next: digest };
    },
    fails: ['gives no id that another process gives'],
  },
];

const contracts = suite('A broken part fails its contract');

contracts('that is a token issuer, and a sound one does not', async () => {
  assert.equal(await failedCases(tokenIssuerContract(issuer)), []);
});

for (const { name, open, fails, facts } of HASHERS) {
  contracts(`that is a hasher and ${name}`, async () => {
    assert.equal(await failedCases(passwordHasherContract(open, facts)), fails);
  });
}

for (const { name, open, fails } of ISSUERS) {
  contracts(`that is a token issuer and ${name}`, async () => {
    assert.equal(await failedCases(tokenIssuerContract(open)), fails);
  });
}

for (const { name, open, fails } of CLOCKS) {
  contracts(`that is a clock and ${name}`, async () => {
    assert.equal(await failedCases(clockContract(open)), fails);
  });
}

for (const { name, open, fails } of IDS) {
  contracts(`that is a source of ids and ${name}`, async () => {
    assert.equal(await failedCases(idGeneratorContract(open)), fails);
  });
}

contracts.run();
