import { execFile, execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, KeyObject } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ConfigError,
  readAdministrationConfig,
  readConfig,
} from '../../src/adapters/config/config.ts';
import { keptSecret } from '../../src/adapters/config/kept-secret.ts';
import { SECRET } from '../support/fakes.ts';
import { ecKey, rsaKey } from '../support/keys.ts';
import { temporaryFolder } from '../support/programs.ts';

const PRODUCTION = {
  NODE_ENV: 'production',
  DATABASE_URL: 'mysql://auth:pw@db/auth',
  JWT_SECRET: SECRET,
};

/** The faults that the settings are refused for; none: they are taken. */
function faultsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

/** The variables that the settings are refused for. */
function blamed(env: NodeJS.ProcessEnv): string[] {
  return faultsOf(env).map((line) => line.split(' ', 1).join(''));
}

function storeOf(url: string) {
  return readConfig({ DATABASE_URL: url }).store;
}

const profiles = suite('Profiles');

profiles('need no setting at all in development', () => {
  const { warnings, ...config } = readConfig({});
  assert.equal(config, {
    profile: 'development',
    host: '127.0.0.1',
    port: 8000,
    maxConnections: 10_000,
    databasePool: 10,
    workers: 1,
    store: { kind: 'sqlite', path: 'data/portcullis.sqlite' },
    jwtKey: undefined,
    jwtPreviousKeys: [],
    jwtIssuer: 'portcullis',
    jwtAudience: 'portcullis',
    accessTokenTtl: 15 * 60,
    refreshTokenTtl: 30 * 24 * 60 * 60,
    usersAccess: 'public',
    corsOrigins: [],
    passwordMinLength: 8,
    passwordBlocklist: false,
    argon2: {
      memoryKib: 19_456,
      passes: 2,
      parallelism: 1,
      concurrency: availableParallelism(),
      queue: 64,
    },
    refreshRotation: false,
    pages: true,
    rateLimit: true,
    trustProxy: 0,
    metrics: undefined,
    logFormat: 'auto',
    logLevel: 'info',
    accessLog: false,
    audit: 'off',
    auditRetention: 365 * 24 * 60 * 60,
    shutdownDelay: 0,
    shutdownGrace: 10,
    notices: [],
  });
  assert.match(warnings.join('\n'), 'USERS_ACCESS');
});

profiles('differ in what production makes stricter, and in nothing else', () => {
  const { DATABASE_URL, JWT_SECRET } = PRODUCTION;
  const development = readConfig({ DATABASE_URL, JWT_SECRET });
  assert.equal(readConfig(PRODUCTION), {
    ...development,
    profile: 'production',
    usersAccess: 'authenticated',
    passwordBlocklist: true,
    warnings: [],
  });
});

profiles('let production open the list of users and drop the list of passwords, if asked', () => {
  const asked = { ...PRODUCTION, USERS_ACCESS: 'public', PASSWORD_BLOCKLIST: 'off' };
  const { usersAccess, passwordBlocklist } = readConfig(asked);
  assert.is(usersAccess, 'public');
  assert.is(passwordBlocklist, false);
});

profiles('take test for development', () => {
  assert.equal(readConfig({ NODE_ENV: 'test' }), readConfig({}));
});

profiles('are not guessed at', () => {
  for (const name of ['prod', 'Production', 'production ', 'staging']) {
    assert.equal(blamed({ NODE_ENV: name }), ['NODE_ENV']);
  }
});

profiles('warn in development of a secret that production refuses', () => {
  const { warnings, jwtKey } = readConfig({ JWT_SECRET: 'hunter2' });
  assert.is(jwtKey, 'hunter2');
  assert.match(warnings.join('\n'), /^JWT_SECRET /m);
  assert.not.match(warnings.join('\n'), 'hunter2');
  assert.not.match(readConfig({ JWT_SECRET: SECRET }).warnings.join('\n'), 'JWT_SECRET');
});

profiles('believe the proxies that are named, by number or by address', () => {
  const trusted = (value: string) => readConfig({ TRUST_PROXY: value }).trustProxy;
  assert.is(trusted(''), 0);
  assert.is(trusted('0'), 0);
  assert.is(trusted('2'), 2);
  const list = ['10.0.0.1', '10.1.0.0/16', '2001:db8::/32', '::1'];
  assert.equal(trusted(list.join(', ')), list);
});

profiles('say what is less safe than it could be', () => {
  for (const env of [{}, PRODUCTION]) {
    const { notices, rateLimit } = readConfig({ ...env, RATE_LIMIT: 'off' });
    assert.is(rateLimit, false);
    assert.match(notices.join('\n'), 'RATE_LIMIT=off');
    assert.equal(readConfig(env).notices, []);
  }
  const { notices } = readConfig({ ...PRODUCTION, USERS_ACCESS: 'public' });
  assert.match(notices.join('\n'), 'USERS_ACCESS=public');
  const { warnings } = readConfig({ ARGON2_MEMORY_KIB: '64' });
  assert.match(warnings.join('\n'), "below OWASP's floor");
});

profiles.run();

const refusals = suite('Production refuses');

const UNSAFE: readonly (readonly [what: string, env: NodeJS.ProcessEnv])[] = [
  ['no database', { DATABASE_URL: undefined }],
  ['an empty database', { DATABASE_URL: '' }],
  ['a database in memory', { DATABASE_URL: 'memory:' }],
  ['no secret', { JWT_SECRET: undefined }],
  ['an empty secret', { JWT_SECRET: '' }],
  ['a secret of 31 bytes', { JWT_SECRET: SECRET.slice(0, 31) }],
  ['a secret of one character', { JWT_SECRET: 'a'.repeat(64) }],
  ['a secret of white space', { JWT_SECRET: ' '.repeat(64) }],
  ['the secret of jwt.io', { JWT_SECRET: 'a-string-secret-at-least-256-bits-long' }],
  ['the older secret of jwt.io', { JWT_SECRET: 'your-256-bit-secret-your-256-bit-secret' }],
  ['a secret that says to change it', { JWT_SECRET: 'change-me-change-me-change-me-change-me' }],
  ['a secret of a tutorial', { JWT_SECRET: 'My_Super_Secret_Key_For_Signing_Tokens_1' }],
  ['argon2 with little memory', { ARGON2_MEMORY_KIB: '19455' }],
  ['argon2 with one pass', { ARGON2_PASSES: '1' }],
  ['argon2 with one pass and little', { ARGON2_PASSES: '1', ARGON2_MEMORY_KIB: '47103' }],
  ['argon2 with three passes and little', { ARGON2_PASSES: '3', ARGON2_MEMORY_KIB: '12287' }],
  ['argon2 with four passes and little', { ARGON2_PASSES: '4', ARGON2_MEMORY_KIB: '9215' }],
  ['argon2 with many passes and little', { ARGON2_PASSES: '9', ARGON2_MEMORY_KIB: '7167' }],
  ['passwords of seven characters', { PASSWORD_MIN_LENGTH: '7' }],
];

for (const [what, env] of UNSAFE) {
  refusals(what, () => {
    const [name = ''] = Object.keys(env);
    const guilty = name.startsWith('ARGON2') ? 'ARGON2_MEMORY_KIB' : name;
    assert.equal(blamed({ ...PRODUCTION, ...env }), [guilty]);
    const { NODE_ENV: _, ...development } = { ...PRODUCTION, ...env };
    assert.equal(blamed(development), []);
  });
}

refusals('nothing that is at the bounds', () => {
  const bounds: readonly NodeJS.ProcessEnv[] = [
    { JWT_SECRET: SECRET.slice(0, 32) },
    { JWT_SECRET: 'ü7Qb0nB2Zq6pWm4tYx9sLd3fGh1jRc5' },
    { ARGON2_PASSES: '1', ARGON2_MEMORY_KIB: '47104' },
    { ARGON2_PASSES: '2', ARGON2_MEMORY_KIB: '19456' },
    { ARGON2_PASSES: '3', ARGON2_MEMORY_KIB: '12288' },
    { ARGON2_PASSES: '4', ARGON2_MEMORY_KIB: '9216' },
    { ARGON2_PASSES: '5', ARGON2_MEMORY_KIB: '7168' },
    { PASSWORD_MIN_LENGTH: '8' },
    { DATABASE_URL: 'sqlite:/var/lib/portcullis/db.sqlite' },
  ];
  for (const env of bounds) assert.equal(faultsOf({ ...PRODUCTION, ...env }), []);
});

refusals.run();

const faults = suite('Bad settings');

const WHOLE_NUMBERS = ['-1', '+1', '1.5', '1e3', '0x10', ' 8', '8 ', 'eight', '1_000', '٣'];
const TIMES = ['0s', '15', '15M', '1.5h', '-1s', '1 h', 's', '1h30m', '3651d', '9999999999s', '1w'];
const SWITCHES = ['yes', 'true', '1', 'On', 'on ', 'on,off'];
const KEY_FILE = 'no/such/key.pem';
const NO_KEY_FILES = [
  KEY_FILE,
  '.',
  'src',
  '/dev/zero',
  '/dev/stdin',
  'README.md',
  'package.json/x',
  'x'.repeat(5_000),
  'x\u0000',
  '-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n',
  '-----BEGIN PRIVATE KEY-----\\nCANARY',
];
const LISTS = [',', ' ', 'a,', ',a', 'a,,b', 'a, b', 'a ,b', ' a', 'a\n'];
const BAD_VALUES: Readonly<Record<string, readonly string[]>> = {
  NODE_ENV: ['prod', 'PRODUCTION', 'development ', 'constructor'],
  PORT: [...WHOLE_NUMBERS, '65536', '1'.repeat(400)],
  WORKERS: [...WHOLE_NUMBERS, '0', '1025', 'Auto', 'all'],
  MAX_CONNECTIONS: [...WHOLE_NUMBERS, '0', '1000001'],
  DATABASE_POOL: [...WHOLE_NUMBERS, '0', '1001'],
  ACCESS_TOKEN_TTL: TIMES,
  REFRESH_TOKEN_TTL: [...TIMES, '14m'],
  SHUTDOWN_GRACE: TIMES,
  SHUTDOWN_DELAY: TIMES.filter((time) => time !== '0s'),
  AUDIT_RETENTION: TIMES,
  METRICS_PORT: [...WHOLE_NUMBERS, '65536'],
  USERS_ACCESS: ['Public', 'none', 'public,disabled', 'toString'],
  CORS_ORIGINS: [
    '*',
    'null',
    'https://*.example.com',
    'https://app.example.com/',
    'https://app.example.com/path',
    'https://app.example.com?',
    'https://app.example.com#',
    'https://APP.example.com',
    'HTTPS://app.example.com',
    'https://app.example.com:443',
    'http://app.example.com:80',
    'https://user@app.example.com',
    'https:app.example.com',
    'https:\\\\app.example.com',
    'https://bücher.example',
    'https://',
    'app.example.com',
    'ftp://app.example.com',
    'file://',
    'blob:https://app.example.com',
    ' https://app.example.com',
    'https://a.example, https://b.example',
    'https://a.example,',
    ',https://a.example',
    'https://a.example,*',
    'https://a.example;https://b.example',
    'https://a.example https://b.example',
  ],
  PASSWORD_MIN_LENGTH: [...WHOLE_NUMBERS, '0', '257'],
  PASSWORD_BLOCKLIST: SWITCHES,
  REFRESH_ROTATION: SWITCHES,
  RATE_LIMIT: SWITCHES,
  TRUST_PROXY: [
    'true',
    'loopback',
    '-1',
    '1.5',
    '100',
    'proxy.example.com',
    '10.0.0.1,',
    '10.0.0.1;10.0.0.2',
    '10.0.0.0/33',
    '10.0.0.0/7',
    'fc00::/6',
    '::ffff:10.0.0.0/103',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '0.0.0.0/0',
    '0.0.0.0/1,128.0.0.0/1',
    '::/1,8000::/1',
    '::ffff:0:0/96',
    '2000::/3',
    '10',
    '::/0',
    '10.0.0.1,::/0',
    '::1/129',
    '10.0.0.256',
    '*',
  ],
  ARGON2_MEMORY_KIB: [...WHOLE_NUMBERS, '7', '4194305'],
  ARGON2_PASSES: [...WHOLE_NUMBERS, '0', '1001'],
  ARGON2_PARALLELISM: [...WHOLE_NUMBERS, '0', '256'],
  HASH_CONCURRENCY: [...WHOLE_NUMBERS, '0', '1025'],
  HASH_QUEUE: [...WHOLE_NUMBERS, '1000001'],
  JWT_PRIVATE_KEY_FILE: [...NO_KEY_FILES, ' ', `${KEY_FILE},${KEY_FILE}`],
  JWT_PREVIOUS_KEY_FILES: [...NO_KEY_FILES, ...LISTS],
  JWT_PREVIOUS_SECRETS: [...LISTS, '-----BEGIN PUBLIC KEY-----', 'x,-----BEGIN PRIVATE KEY-----'],
  DATABASE_URL: [
    'sqlite:',
    'sqlite::memory:',
    'sqlite',
    'memory',
    ' memory:',
    'postgres://u:p@db/auth',
    'http://u:p@db/auth',
    'data/portcullis.sqlite',
    'mysql://db/auth',
    'mysql://u:p@db',
    'mysql://u:p@db/',
    'mysql://u:p@/auth',
    'mysql://u:p@db/auth/more',
    'mysql://u:p@db/auth?ssl=true',
    'mysql://u:p@ss@db/auth',
    'mysql://u:p/q@db/auth',
    'mysql://u:100%@db/auth',
    'mysql://u:%ff@db/auth',
    'mysql://u:p@db:0/auth',
    'mysql://u:p@db:65536/auth',
    'mysql://u:p@db:port/auth',
    'mysql://u:p@db:/auth',
    'mysql://u:p@db,/auth',
    'mysql://u:p@,db/auth',
    'mysql://u:p@::1/auth',
    'mysql://u:p@[::1/auth',
    'mysql://u:p@[]/auth',
    'mysql://u:p@db/auth?',
    'mysql://u:p@db/auth?ssl-mode=',
    'mysql://u:p@db/auth?ssl-mode=PREFERRED',
    'mysql://u:p@db/auth?ssl-mode=constructor',
    'mysql://u:p@db/auth?ssl-mode=REQUIRED&ssl-mode=DISABLED',
    'mysql://u:p@db/auth?ssl-mode=REQUIRED&ssl-key=key.pem',
    'mysql://u:p@db/auth?ssl-mode=REQUIRED&',
    'mysql://u:p@db/auth?SSL-MODE=REQUIRED',
    'mysql://u:p@db/auth?ssl-mode=REQUIRED#x',
    'mysql://u:p@db/auth?ssl-ca=package.json',
    'mysql://u:p@db/auth?ssl-mode=REQUIRED&ssl-ca=package.json',
    'mysql://u:p@db/auth?ssl-mode=DISABLED&ssl-ca=package.json',
    'mysql://u:p@db/auth?ssl-mode=VERIFY_CA&ssl-ca=',
    'mysql://u:p@db/auth?ssl-mode=VERIFY_CA&ssl-ca=no/such/file.pem',
    'mysql://u:p@db/auth?ssl-mode=VERIFY_CA&ssl-ca=%ff',
    'mysql://u:p@db/auth?ssl-mode=VERIFY_CA&ssl-ca=src',
    'mysql://u:p@db/auth?ssl-mode=VERIFY_CA&ssl-ca=package.json',
  ],
};

for (const [name, values] of Object.entries(BAD_VALUES)) {
  faults(`of ${name} are refused by its name`, () => {
    for (const value of values) {
      assert.equal(blamed({ [name]: value }), [name], `${name}=${value}`);
    }
  });
}

faults('are all told at once, one line each', () => {
  const env = {
    NODE_ENV: 'production',
    PORT: 'http',
    JWT_SECRET: 'short',
    ACCESS_TOKEN_TTL: 'soon',
    USERS_ACCESS: 'friends',
    PASSWORD_MIN_LENGTH: '4',
    ARGON2_PASSES: '1',
  };
  assert.equal(blamed(env).toSorted(), [
    'ACCESS_TOKEN_TTL',
    'ARGON2_MEMORY_KIB',
    'DATABASE_URL',
    'JWT_SECRET',
    'PASSWORD_MIN_LENGTH',
    'PORT',
    'USERS_ACCESS',
  ]);
  for (const line of faultsOf(env)) assert.match(line, /^[A-Z][A-Z\d_]+ [^\n]+$/);
});

faults('are told in the message of the error, too', () => {
  const lines = faultsOf({ PORT: 'http', HASH_QUEUE: 'long' });
  assert.is(lines.length, 2);
  assert.is(new ConfigError(lines).message, lines.join('\n'));
});

faults('never show what was given', () => {
  const given = Object.fromEntries(Object.keys(BAD_VALUES).map((name) => [name, 'CANARY']));
  given['JWT_PREVIOUS_SECRETS'] = 'CANARY, CANARY';
  const urls = [
    'CANARY',
    'mysql://root:CANARY@db/auth?x',
    'mysql://root:CANARY%@db/auth',
    'mysql://root:CANARY@db:0/auth',
    'mysql://root:CANARY@db/auth?ssl-mode=CANARY',
    'mysql://root:CANARY@db/auth?CANARY=CANARY',
    'mysql://root:CANARY@db/auth?ssl-mode=VERIFY_CA&ssl-ca=CANARY',
    'mysql://root:CANARY@db/auth?ssl-mode=REQUIRED&ssl-ca=CANARY',
    'postgres://CANARY:CANARY@db/auth',
    'mysql://root:pass/CANARY@db/auth',
  ];
  for (const NODE_ENV of ['development', 'production']) {
    for (const DATABASE_URL of urls) {
      const secrets = [
        'CANARY',
        `CANARY\n${SECRET}`,
        'CANARY your-256-bit-secret your-256-bit-secret',
        '-----BEGIN PRIVATE KEY-----CANARY',
      ];
      for (const JWT_SECRET of secrets) {
        const lines = faultsOf({ ...given, NODE_ENV, DATABASE_URL, JWT_SECRET });
        assert.ok(lines.length >= Object.keys(given).length - 1);
        for (const line of lines) assert.not.match(line, /CANARY|\n/);
      }
    }
  }
});

faults('of two variables that do not go together are refused', () => {
  assert.equal(blamed({ ARGON2_MEMORY_KIB: '31', ARGON2_PARALLELISM: '4' }), ['ARGON2_MEMORY_KIB']);
  assert.equal(blamed({ ARGON2_MEMORY_KIB: '32', ARGON2_PARALLELISM: '4' }), []);
  const pair = { ACCESS_TOKEN_TTL: '2h', REFRESH_TOKEN_TTL: '119m' };
  assert.equal(blamed(pair), ['REFRESH_TOKEN_TTL']);
  assert.equal(blamed({ ...pair, REFRESH_TOKEN_TTL: '120m' }), []);
});

faults.run();

const keys = suite('Key settings');

/** Files in a folder of their own, by their content. */
function withFiles<Name extends string>(
  contents: Readonly<Record<Name, string>>,
  use: (paths: Readonly<Record<Name, string>>) => void,
): void {
  const folder = temporaryFolder();
  try {
    const paths: Record<Name, string> = { ...contents };
    for (const name of Object.keys(contents) as Name[]) {
      paths[name] = join(folder.path, `${name}.pem`);
      writeFileSync(paths[name], contents[name]);
    }
    use(paths);
  } finally {
    folder.remove();
  }
}

const KEYLESS = { ...PRODUCTION, JWT_SECRET: undefined };

function exported(key: KeyObject, type: 'pkcs1' | 'sec1' | 'pkcs8' | 'spki'): string {
  const exportAs = key.export.bind(key) as (options: object) => string;
  return exportAs({ type, format: 'pem' });
}

keys('take a private key in each of its forms, and in the place of a secret', () => {
  const [rsa, ec] = [rsaKey(), ecKey()];
  const parameters =
    '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
  const forms = {
    rsa8: exported(rsa, 'pkcs8'),
    rsa1: exported(rsa, 'pkcs1'),
    ec8: exported(ec, 'pkcs8'),
    ec1: exported(ec, 'sec1'),
    'a, b': exported(ec, 'sec1'),
    openssl: parameters + exported(ec, 'sec1'),
    crlf: `A note\r\n${exported(ec, 'pkcs8').replaceAll('\n', '\r\n')}`,
  };
  withFiles(forms, (paths) => {
    for (const [name, path] of Object.entries(paths)) {
      for (const env of [KEYLESS, {}]) {
        const { jwtKey, notices } = readConfig({ ...env, JWT_PRIVATE_KEY_FILE: path });
        const expected = name.startsWith('rsa') ? rsa : ec;
        assert.ok(jwtKey instanceof KeyObject && jwtKey.equals(expected), name);
        assert.equal(notices, []);
      }
    }
  });
});

keys('of before are public, whatever their files hold, and secrets as they are', () => {
  const [rsa, ec, other] = [rsaKey(), ecKey(), ecKey()];
  const forms = {
    rsa: exported(createPublicKey(rsa), 'spki'),
    rsa1: exported(createPublicKey(rsa), 'pkcs1'),
    ec: exported(createPublicKey(ec), 'spki'),
    both: exported(other, 'pkcs8'),
  };
  withFiles(forms, (paths) => {
    const { jwtKey, jwtPreviousKeys } = readConfig({
      ...PRODUCTION,
      JWT_PREVIOUS_SECRETS: `${SECRET}1,${SECRET} 2`,
      JWT_PREVIOUS_KEY_FILES: Object.values(paths).join(','),
    });
    assert.is(jwtKey, SECRET);
    assert.equal(jwtPreviousKeys.slice(0, 2), [`${SECRET}1`, `${SECRET} 2`]);
    const read = jwtPreviousKeys.slice(2);
    const expected = [rsa, rsa, ec, other].map((key) => createPublicKey(key));
    assert.is(read.length, expected.length);
    for (const [i, key] of read.entries()) {
      assert.ok(key instanceof KeyObject && expected[i]?.equals(key), `key ${i}`);
    }
  });
});

keys('that are not fit are refused, by the names of variable and file and what is wrong', () => {
  const encrypted = { cipher: 'aes-256-cbc', passphrase: 'CANARY' };
  const rsa = rsaKey();
  const bad: Readonly<Record<string, readonly [pem: string, problem: RegExp]>> = {
    short: [exported(rsaKey(1024), 'pkcs8'), /RSA key of 1024 bits: .* 2048/],
    almost: [exported(rsaKey(2047), 'pkcs8'), /RSA key of 2047 bits: .* 2048/],
    curve: [exported(ecKey('P-384'), 'sec1'), /curve secp384r1: .* P-256/],
    bitcoin: [exported(ecKey('secp256k1'), 'pkcs8'), /curve secp256k1: .* P-256/],
    edwards: [exported(generateKeyPairSync('ed25519').privateKey, 'pkcs8'), /type ed25519/],
    pss: [
      exported(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey, 'pkcs8'),
      /type rsa-pss/,
    ],
    encrypted8: [
      rsa.export({ type: 'pkcs8', format: 'pem', ...encrypted }).toString(),
      /encrypted: .* passphrase/,
    ],
    encrypted1: [
      rsa.export({ type: 'pkcs1', format: 'pem', ...encrypted }).toString(),
      /encrypted: .* passphrase/,
    ],
    empty: ['', /no PEM key/],
    text: ['CANARY', /no PEM key/],
    half: [exported(rsa, 'pkcs8').slice(0, 500), /no PEM key/],
    jwk: [JSON.stringify(rsa.export({ format: 'jwk' })), /no PEM key/],
    large: [`${'CANARY\n'.repeat(10_000)}${exported(rsa, 'pkcs8')}`, /cannot be read.*64 KiB/],
  };
  const contents = Object.fromEntries(Object.entries(bad).map(([name, [pem]]) => [name, pem]));
  withFiles(contents, (paths) => {
    for (const [name, [pem, problem]] of Object.entries(bad)) {
      const path = paths[name] ?? '';
      const [signing, ...rest] = faultsOf({ JWT_PRIVATE_KEY_FILE: path });
      assert.ok(signing?.startsWith(`JWT_PRIVATE_KEY_FILE ${path} `), signing);
      assert.match(signing ?? '', problem);
      assert.equal(rest, []);
      const [verifying, ...others] = faultsOf({ JWT_PREVIOUS_KEY_FILES: path });
      assert.ok(verifying?.startsWith(`JWT_PREVIOUS_KEY_FILES (1) ${path} `), verifying);
      assert.match(verifying ?? '', problem);
      assert.equal(others, []);
      for (const line of [signing ?? '', verifying ?? '']) {
        assert.not.match(line, /CANARY|\n/);
        for (const part of pem.match(/[\w+/]{20,}/g) ?? []) assert.not.match(line, part);
      }
    }
    const all = Object.values(paths).join(',');
    assert.is(faultsOf({ JWT_PREVIOUS_KEY_FILES: all }).length, Object.keys(bad).length);
  });
});

keys('that are public do not sign', () => {
  const forms = {
    rsa: exported(createPublicKey(rsaKey()), 'spki'),
    ec: exported(createPublicKey(ecKey()), 'spki'),
  };
  withFiles(forms, (paths) => {
    for (const path of Object.values(paths)) {
      const [line, ...rest] = faultsOf({ ...PRODUCTION, JWT_PRIVATE_KEY_FILE: path });
      assert.ok(line?.startsWith(`JWT_PRIVATE_KEY_FILE ${path} holds a public key`), line);
      assert.equal(rest, []);
    }
  });
});

keys('say where they looked for a file that is not there, but not for what', () => {
  const [line = ''] = faultsOf({ JWT_PREVIOUS_KEY_FILES: 'README.md,CANARY' }).slice(1);
  assert.match(line, /^JWT_PREVIOUS_KEY_FILES \(2\) [^\n]+ not there/);
  assert.match(line, process.cwd());
  assert.not.match(line, 'CANARY');
});

keys('leave a secret unused beside a private key, and say so in either profile', () => {
  withFiles({ ec: exported(ecKey(), 'sec1') }, ({ ec }) => {
    for (const env of [PRODUCTION, {}]) {
      for (const JWT_SECRET of [SECRET, 'weak']) {
        const config = readConfig({ ...env, JWT_SECRET, JWT_PRIVATE_KEY_FILE: ec });
        assert.ok(config.jwtKey instanceof KeyObject);
        assert.equal(config.jwtPreviousKeys, []);
        assert.match(config.notices.join('\n'), /^JWT_SECRET is not used.* JWT_PREVIOUS_SECRETS/);
        assert.not.match(config.warnings.join('\n'), 'JWT_SECRET');
      }
      const pem = { ...env, JWT_SECRET: '-----BEGIN', JWT_PRIVATE_KEY_FILE: ec };
      assert.equal(blamed(pem), ['JWT_SECRET'], 'a key where a secret should be, even unused');
    }
  });
});

keys('without a private key or a secret are refused in production', () => {
  const old = { JWT_PREVIOUS_SECRETS: SECRET };
  assert.equal(blamed({ ...KEYLESS, ...old }), ['JWT_SECRET']);
  assert.match(faultsOf(KEYLESS).join('\n'), 'JWT_PRIVATE_KEY_FILE');
  const missing = { ...KEYLESS, JWT_PRIVATE_KEY_FILE: KEY_FILE };
  assert.equal(blamed(missing), ['JWT_PRIVATE_KEY_FILE'], 'and only one of them is needed');
});

keys('that hold a key where a secret should be are told where it belongs', () => {
  for (const env of [PRODUCTION, {}]) {
    for (const name of ['JWT_SECRET', 'JWT_PREVIOUS_SECRETS']) {
      const lines = faultsOf({ ...env, [name]: `-----BEGIN PRIVATE KEY-----${SECRET}` });
      assert.is(lines.length, 1);
      assert.match(lines.join('\n'), 'JWT_PRIVATE_KEY_FILE');
    }
  }
});

keys('of before are no weaker than those of today', () => {
  const weak = ['short', 'a'.repeat(64), 'change-me-change-me-change-me-change-me'];
  for (const secret of weak) {
    const env = { JWT_SECRET: SECRET, JWT_PREVIOUS_SECRETS: `${SECRET},${secret}` };
    const lines = faultsOf({ ...PRODUCTION, ...env });
    assert.is(lines.length, 1);
    assert.match(lines.join('\n'), /^JWT_PREVIOUS_SECRETS \(2\) /);
    const warnings = readConfig(env).warnings.join('\n');
    assert.match(warnings, /^JWT_PREVIOUS_SECRETS \(2\) /m);
    for (const text of [lines.join(), warnings]) assert.not.match(text, secret);
  }
});

keys.run();

const values = suite('Settings');

values('that are empty are not set', () => {
  const names = [...Object.keys(BAD_VALUES), 'HOST', 'JWT_SECRET', 'JWT_ISSUER', 'JWT_AUDIENCE'];
  assert.equal(readConfig(Object.fromEntries(names.map((name) => [name, '']))), readConfig({}));
});

values('are read as they are', () => {
  const config = readConfig({
    HOST: '::',
    PORT: '0',
    MAX_CONNECTIONS: '1',
    DATABASE_POOL: '2',
    JWT_SECRET: ' spaces stay ',
    JWT_ISSUER: 'https://issuer.example',
    JWT_AUDIENCE: 'api',
    USERS_ACCESS: 'disabled',
    PASSWORD_MIN_LENGTH: '1',
    PASSWORD_BLOCKLIST: 'on',
    ARGON2_MEMORY_KIB: '64',
    ARGON2_PASSES: '1',
    ARGON2_PARALLELISM: '2',
    HASH_CONCURRENCY: '3',
    HASH_QUEUE: '0',
    PATH: 'what is not a setting is left alone',
  });
  assert.is(config.host, '::');
  assert.is(config.port, 0);
  assert.is(config.maxConnections, 1);
  assert.is(config.databasePool, 2);
  assert.is(config.jwtKey, ' spaces stay ');
  assert.is(config.jwtIssuer, 'https://issuer.example');
  assert.is(config.jwtAudience, 'api');
  assert.is(config.usersAccess, 'disabled');
  assert.is(config.passwordMinLength, 1);
  assert.is(config.passwordBlocklist, true);
  const argon2 = { memoryKib: 64, passes: 1, parallelism: 2, concurrency: 3, queue: 0 };
  assert.equal(config.argon2, argon2);
});

values('of origins are exact, one or more', () => {
  const origins = [
    'https://app.example.com',
    'http://localhost:5173',
    'https://xn--bcher-kva.example',
  ];
  for (const list of [origins, origins.slice(0, 1), ['http://[::1]:8080', 'http://10.0.0.1']]) {
    assert.equal(readConfig({ CORS_ORIGINS: list.join() }).corsOrigins, list);
  }
});

values('of time are in seconds, minutes, hours or days', () => {
  const times: readonly (readonly [string, number])[] = [
    ['1s', 1],
    ['90s', 90],
    ['15m', 900],
    ['12h', 43_200],
    ['30d', 2_592_000],
    ['3650d', 315_360_000],
  ];
  for (const [text, seconds] of times) {
    const env = { ACCESS_TOKEN_TTL: text, REFRESH_TOKEN_TTL: text, SHUTDOWN_GRACE: text };
    const { accessTokenTtl, refreshTokenTtl, shutdownGrace } = readConfig(env);
    assert.equal([accessTokenTtl, refreshTokenTtl, shutdownGrace], Array(3).fill(seconds));
  }
});

values('of the database name memory or a file', () => {
  assert.equal(storeOf('memory:'), { kind: 'memory' });
  for (const path of ['a.sqlite', '/var/lib/a b.sqlite', '../ü?#%.sqlite', 'C:\\a.sqlite']) {
    assert.equal(storeOf(`sqlite:${path}`), { kind: 'sqlite', path });
  }
});

values('of the database name a server, its port 3306 unless given', () => {
  const auth = { kind: 'mysql', user: 'u', password: 'p', database: 'auth' };
  const [db, other] = [
    { host: 'db', port: 3306 },
    { host: 'db2.example', port: 3307 },
  ];
  assert.equal(storeOf('mysql://u:p@db/auth'), { ...auth, hosts: [db] });
  assert.equal(storeOf('mariadb://u:p@db/auth'), { ...auth, hosts: [db] });
  assert.equal(storeOf('mysql://u:p@db,db2.example:3307/auth'), { ...auth, hosts: [db, other] });
  const hosts = [
    { host: '::1', port: 3306 },
    { host: 'fe80::1', port: 65_535 },
    { host: '10.0.0.1', port: 1 },
  ];
  assert.equal(storeOf('mysql://u:p@[::1],[fe80::1]:65535,10.0.0.1:1/auth'), { ...auth, hosts });
});

values('of the database can have any character, percent-encoded', () => {
  const [user, password, database] = ['ad:a@', 'p@ss/w:ö%r?d# \n,[', 'au/th?'];
  const [u, p, d] = [user, password, database].map(encodeURIComponent);
  const hosts = [{ host: 'db', port: 3306 }];
  const store = { kind: 'mysql', user, password, database, hosts };
  assert.equal(storeOf(`mysql://${u}:${p}@db/${d}`), store);
  assert.equal(storeOf(`mysql://${u}@db/${d}`), { ...store, password: '' });
  assert.equal(storeOf(`mysql://${u}:@db/${d}`), { ...store, password: '' });
});

values('of the database are no pipe, which would keep the start waiting', () => {
  const folder = temporaryFolder();
  try {
    const pipe = join(folder.path, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const url of [`sqlite:${pipe}`, `mysql://u:p@db/auth?ssl-mode=VERIFY_CA&ssl-ca=${pipe}`]) {
      assert.equal(blamed({ DATABASE_URL: url }), ['DATABASE_URL']);
    }
    assert.equal(blamed({ JWT_PRIVATE_KEY_FILE: pipe }), ['JWT_PRIVATE_KEY_FILE']);
  } finally {
    folder.remove();
  }
});

values('of the database say what TLS to it must show', () => {
  const folder = temporaryFolder();
  try {
    const path = join(folder.path, 'c a+.pem');
    const [ca = ''] = rootCertificates;
    writeFileSync(path, ca);
    const tlsOf = (options: string) => {
      const store = storeOf(`mysql://u:p@db/auth${options}`);
      return store.kind === 'mysql' && store.tls;
    };
    assert.is(tlsOf(''), undefined);
    assert.is(tlsOf('?ssl-mode=DISABLED'), undefined);
    for (const mode of ['REQUIRED', 'required', 'Required']) {
      assert.equal(tlsOf(`?ssl-mode=${mode}`), { verify: 'nothing' });
    }
    assert.equal(tlsOf('?ssl-mode=VERIFY_CA'), { verify: 'authority' });
    assert.equal(tlsOf('?ssl-mode=verify_identity'), { verify: 'identity' });
    const file = path.replace(' ', '%20');
    assert.equal(tlsOf(`?ssl-ca=${file}&ssl-mode=VERIFY_CA`), { verify: 'authority', ca });
    const both = `?ssl-mode=VERIFY_IDENTITY&ssl-ca=${encodeURIComponent(path)}`;
    assert.equal(tlsOf(both), { verify: 'identity', ca });
    for (const unchecked of ['', 'ssl-mode=REQUIRED&', 'ssl-mode=DISABLED&']) {
      const url = `mysql://u:p@db/auth?${unchecked}ssl-ca=${file}`;
      assert.equal(blamed({ DATABASE_URL: url }), ['DATABASE_URL'], 'a file that nobody reads');
    }
  } finally {
    folder.remove();
  }
});

values('at their bounds are taken', () => {
  const bounds: Readonly<Record<string, readonly [text: string, ...more: string[]]>> = {
    PORT: ['0', '65535'],
    WORKERS: ['1', '1024', 'auto'],
    MAX_CONNECTIONS: ['1', '1000000'],
    DATABASE_POOL: ['1', '1000'],
    METRICS_PORT: ['0', '65535'],
    ACCESS_TOKEN_TTL: ['1s', '30d'],
    REFRESH_TOKEN_TTL: ['15m', '3650d'],
    AUDIT_RETENTION: ['1s', '3650d'],
    SHUTDOWN_DELAY: ['0s', '3650d'],
    SHUTDOWN_GRACE: ['1s', '3650d'],
    PASSWORD_MIN_LENGTH: ['1', '256'],
    ARGON2_MEMORY_KIB: ['8', '4194304'],
    ARGON2_PASSES: ['1', '1000'],
    ARGON2_PARALLELISM: ['1', '255'],
    HASH_CONCURRENCY: ['1', '1024'],
    HASH_QUEUE: ['0', '1000000'],
    TRUST_PROXY: ['0', '9', '10.0.0.0/8', '10.0.0.1/32', 'fc00::/7', '::1/128', '::ffff:0:0/104'],
  };
  for (const [name, texts] of Object.entries(bounds)) {
    for (const text of texts) assert.equal(faultsOf({ [name]: text }), [], `${name}=${text}`);
  }
  const { metrics, auditRetention, shutdownDelay } = readConfig({
    METRICS_PORT: '65535',
    AUDIT_RETENTION: '364d',
    SHUTDOWN_DELAY: '5s',
  });
  assert.equal(metrics, { host: '127.0.0.1', port: 65_535 });
  assert.equal([auditRetention, shutdownDelay], [364 * 86_400, 5]);
});

values('of several workers need a database that all of them can read', () => {
  const memory = { DATABASE_URL: 'memory:' };
  for (const WORKERS of ['2', '1024']) {
    assert.equal(blamed({ ...memory, WORKERS }), ['WORKERS']);
    assert.equal(blamed({ WORKERS }), []);
  }
  assert.equal(blamed({ ...memory, WORKERS: '1' }), []);
});

values('of hashing are shared among the workers, unless given for each', () => {
  const concurrency = (env: NodeJS.ProcessEnv) => readConfig(env).argon2.concurrency;
  const cores = availableParallelism();
  assert.is(concurrency({ WORKERS: '2' }), Math.max(1, Math.floor(cores / 2)));
  assert.is(concurrency({ WORKERS: String(cores) }), 1);
  assert.is(concurrency({ WORKERS: '1024' }), 1);
  assert.is(concurrency({ WORKERS: '2', HASH_CONCURRENCY: '3' }), 3);
});

values('for the command line are those of users, passwords and the database', () => {
  const config = readAdministrationConfig({
    DATABASE_URL: 'memory:',
    DATABASE_POOL: '3',
    PASSWORD_MIN_LENGTH: '9',
    ARGON2_PASSES: '4',
    HASH_CONCURRENCY: '5',
    HASH_QUEUE: '6',
    AUDIT: 'log',
    AUDIT_RETENTION: '7d',
    RATE_LIMIT: 'off',
    LOG_LEVEL: 'error',
    JWT_SECRET: ',',
    PORT: 'not read',
  });
  assert.equal(config.store, { kind: 'memory' });
  assert.is(config.databasePool, 3);
  assert.is(config.passwordMinLength, 9);
  assert.equal(config.argon2, {
    memoryKib: 19_456,
    passes: 4,
    parallelism: 1,
    concurrency: 5,
    queue: 6,
  });
  assert.is(config.audit, 'log');
  assert.is(config.auditRetention, 7 * 86_400);
  assert.is(config.rateLimit, false);
  assert.is(config.logLevel, 'error');
  assert.is(config.jwtKey, undefined);
  assert.is(config.port, 8000);
});

values.run();

const program = suite('The program');

program('stops at once on bad settings, with a line for each', async () => {
  const { code, stdout, stderr } = await node(['src/main.ts'], {
    NODE_ENV: 'production',
    DATABASE_URL: 'mysql://root:CANARY/1@db/auth',
    JWT_SECRET: 'CANARY',
    PORT: 'CANARY',
  });
  assert.is(code, 1);
  assert.is(stdout, '');
  const lines = stderr.trimEnd().split('\n');
  const names = lines.map((line) => line.split(' ', 1).join(''));
  assert.equal(names.toSorted(), ['DATABASE_URL', 'JWT_SECRET', 'PORT']);
  assert.not.match(stderr, 'CANARY');
});

program('does not start in production without being told the database and the secret', async () => {
  const { code, stdout, stderr } = await node(['src/main.ts'], { NODE_ENV: 'production' });
  assert.is(code, 1);
  assert.is(stdout, '');
  assert.match(stderr, /^DATABASE_URL [^\n]+\nJWT_SECRET [^\n]+\n$/);
});

program.run();

const secret = suite('The kept secret');

secret('is made once, long, random and for nobody else to read', () => {
  const folder = temporaryFolder();
  try {
    const path = join(folder.path, 'new', 'secret');
    const made = keptSecret(path);
    assert.match(made, /^[\w-]{43,}$/);
    assert.is(keptSecret(path), made);
    assert.is(statSync(path).mode & 0o777, 0o600);
    assert.is(statSync(join(folder.path, 'new')).mode & 0o077, 0);
    assert.equal(readdirSync(join(folder.path, 'new')), ['secret']);
    assert.is.not(keptSecret(join(folder.path, 'other')), made);
  } finally {
    folder.remove();
  }
});

secret('that somebody put there is used, and from then on for nobody else to read', () => {
  const folder = temporaryFolder();
  try {
    const path = join(folder.path, 'secret');
    writeFileSync(path, SECRET, { mode: 0o644 });
    assert.is(keptSecret(path), SECRET);
    assert.is(statSync(path).mode & 0o777, 0o600);
  } finally {
    folder.remove();
  }
});

secret('is never an empty or a short one', () => {
  const folder = temporaryFolder();
  try {
    const path = join(folder.path, 'secret');
    for (const text of ['', SECRET.slice(0, 31)]) {
      writeFileSync(path, text);
      assert.throws(
        () => keptSecret(path),
        (error: Error) => error.message.includes(path),
      );
      assert.is(readFileSync(path, 'utf8'), text);
    }
  } finally {
    folder.remove();
  }
});

secret('is the same for processes that start at once', async () => {
  const folder = temporaryFolder();
  try {
    const path = join(folder.path, 'secret');
    const script = `
      import { keptSecret } from './src/adapters/config/kept-secret.ts';
      // All of them have to wait for the same moment, or the first would be done too early.
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, ${Date.now() + 4_000} - Date.now())));
      process.stdout.write(keptSecret(process.env.SECRET_PATH));
    `;
    const args = ['--input-type=module', '-e', script];
    const ended = await Promise.all(
      Array.from({ length: 8 }, () => node(args, { SECRET_PATH: path })),
    );
    const kept = keptSecret(path);
    for (const each of ended) assert.equal(each, { code: 0, stdout: kept, stderr: '' });
    assert.equal(readdirSync(folder.path), ['secret']);
  } finally {
    folder.remove();
  }
});

secret.run();

interface Ended {
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Node on TypeScript, with these variables alone. */
function node(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const { NODE_V8_COVERAGE } = process.env;
  const options = { env: { NODE_V8_COVERAGE, ...env }, timeout: 30_000 };
  return new Promise((resolve) => {
    const all = ['--import', 'tsx', ...args];
    const child = execFile(process.execPath, all, options, (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? child.signalCode, stdout, stderr });
    });
  });
}
