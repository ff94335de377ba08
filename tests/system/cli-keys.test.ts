import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/adapters/config/config.ts';
import { generateKey, type KeyType, rotateKey } from '../../src/cli/keys.ts';
import { compose } from '../../src/composition.ts';
import { json } from '../support/cli.ts';
import { SECRET } from '../support/fakes.ts';
import { temporaryFolder } from '../support/programs.ts';

const keys = suite('The command line makes keys');

keys('that the service takes, in files of their owner, and overwrites none', async () => {
  const folder = temporaryFolder();
  try {
    for (const [type, algorithm] of [
      ['es256', 'ES256'],
      ['rs256', 'RS256'],
      ['secret', 'HS256'],
    ] as const) {
      const file = join(folder.path, type);
      const { data, lines } = await generateKey(file, type);
      assert.is(Reflect.get(Object(data), 'algorithm'), algorithm);
      assert.is(statSync(file).mode & 0o777, 0o600);
      const key = readFileSync(file, 'utf8');
      for (const part of key.trim().split('\n').slice(0, 3)) {
        assert.not.match([...lines, JSON.stringify(data)].join(), part.slice(0, 40));
      }
      const taken: unknown = await generateKey(file, type).catch((fault: unknown) => fault);
      assert.match(String(taken), 'is there already: nothing is overwritten');
      assert.is(readFileSync(file, 'utf8'), key);
    }
    const env = {
      NODE_ENV: 'production',
      DATABASE_URL: `sqlite:${join(folder.path, 'p.sqlite')}`,
      JWT_SECRET: readFileSync(join(folder.path, 'secret'), 'utf8').trim(),
    };
    assert.is(Reflect.get(Object(await json(['doctor'], env)), 'unsafe'), 0);
  } finally {
    folder.remove();
  }
});

interface Step {
  readonly step: number;
  readonly set: Readonly<Record<string, string>>;
  readonly unset: readonly string[];
}

/** What a shell makes of the settings of a step. */
async function after(env: Readonly<Record<string, string>>, { set, unset }: Step) {
  const names = [
    'JWT_SECRET',
    'JWT_PRIVATE_KEY_FILE',
    'JWT_PREVIOUS_SECRETS',
    'JWT_PREVIOUS_KEY_FILES',
  ];
  const settings = Object.entries(set).map(([name, value]) => `export ${name}=${value}`);
  const show = `${process.execPath} -p 'JSON.stringify(process.env)'`;
  const script = [...settings, ...unset.map((name) => `unset ${name}`), show].join('\n');
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', script], { env });
  const seen = JSON.parse(stdout) as Record<string, string>;
  const rest = Object.entries(env).filter(([name]) => !names.includes(name));
  const keyed = names.flatMap((name) => (seen[name] ? [[name, seen[name]] as const] : []));
  return Object.fromEntries([...rest, ...keyed]);
}

/** Settings to rotate from, and those of before them, whose tokens must hold as well. */
const STARTS: Readonly<Record<string, (folder: string) => Promise<readonly Settings[]>>> = {
  'a secret': async () => [{ JWT_SECRET: SECRET }],
  'a secret and an older one': async () => [
    { JWT_SECRET: `${SECRET}older` },
    { JWT_SECRET: SECRET, JWT_PREVIOUS_SECRETS: `${SECRET}older` },
  ],
  'a key of RSA': async (folder) => [{ JWT_PRIVATE_KEY_FILE: await rsaKey(folder, 'old key') }],
  'a key of RSA and an older one': async (folder) => {
    const [older, old] = [await rsaKey(folder, 'older'), await rsaKey(folder, 'old key')];
    return [
      { JWT_PRIVATE_KEY_FILE: older },
      { JWT_PRIVATE_KEY_FILE: old, JWT_PREVIOUS_KEY_FILES: older },
    ];
  },
  'a secret and an older key of RSA': async (folder) => {
    const older = await rsaKey(folder, 'older');
    return [{ JWT_PRIVATE_KEY_FILE: older }, { JWT_SECRET: SECRET, JWT_PREVIOUS_KEY_FILES: older }];
  },
};

type Settings = Readonly<Record<string, string>>;

async function rsaKey(folder: string, name: string): Promise<string> {
  const file = join(folder, `${name}.pem`);
  await generateKey(file, 'rs256');
  return file;
}

for (const [what, start] of Object.entries(STARTS)) {
  keys(`and rotates from ${what} in three steps, in which nobody is signed out`, async () => {
    const folder = temporaryFolder();
    try {
      const DATABASE_URL = `sqlite:${join(folder.path, 'p.sqlite')}`;
      const tokens: string[] = [];
      /** Holds the service with these settings to all tokens, and makes one with them. */
      const tryAll = async (env: Settings) => {
        const composition = await compose(readConfig({ ...env, DATABASE_URL }));
        try {
          const issuer = composition.part('tokens');
          const now = new Date();
          for (const token of tokens) assert.ok(await issuer.verifyRefreshToken(token, now));
          const claims = { userId: 1, sessionId: 'session', tokenId: `token-${tokens.length}` };
          const expires = new Date(now.getTime() + 60_000);
          tokens.push(await issuer.issueRefreshToken(claims, now, expires));
        } finally {
          await composition.close();
        }
      };
      const starts = await start(folder.path);
      for (const settings of starts) await tryAll(settings);
      let env: Record<string, string> = { ...starts.at(-1), DATABASE_URL };
      const file = join(folder.path, "the new one's.pem");
      /** Rotates to the key by this name of its file, and goes on with the settings of the step. */
      const rotate = async (name: string): Promise<number> => {
        const { data, lines } = await rotateKey(name, 'es256', env);
        assert.not.match(lines.join('\n'), SECRET);
        env = await after(env, data as Step);
        return (data as Step).step;
      };
      assert.is(await rotate(file), 1);
      await tryAll(env);
      // The same file by another name is the same key.
      assert.is(await rotate(relative(process.cwd(), file)), 2);
      await tryAll(env);
      const [header = ''] = tokens.at(-1)?.split('.') ?? [];
      assert.match(Buffer.from(header, 'base64url').toString(), 'ES256');
      assert.is(await rotate(file), 3);
      assert.equal(
        Object.keys(env).filter((name) => name.startsWith('JWT_')),
        ['JWT_PRIVATE_KEY_FILE'],
      );
      tokens.splice(0, starts.length + 1); // Of the old keys: by then their time is over.
      await tryAll(env);
    } finally {
      folder.remove();
    }
  });
}

keys('and refuses, before it makes one, what no list of the settings can hold', async () => {
  const folder = temporaryFolder();
  try {
    const refusal = async (made: Promise<unknown>) =>
      String(await made.catch((fault: unknown) => fault));
    const named = join(folder.path, 'a,b.pem');
    for (const made of [
      generateKey(named, 'es256'),
      generateKey(named, 'secret'),
      rotateKey(named, 'es256', { JWT_SECRET: SECRET }),
    ]) {
      assert.match(await refusal(made), 'FILE has a comma');
    }
    const file = join(folder.path, 'new.pem');
    for (const JWT_SECRET of [`${SECRET},more`, `${SECRET} `]) {
      const said = await refusal(rotateKey(file, 'es256', { JWT_SECRET }));
      assert.match(said, /JWT_SECRET has a comma, .* cannot be among JWT_PREVIOUS_SECRETS/);
      assert.match(said, 'whoever has one signs in again');
      assert.not.match(said, SECRET);
      assert.match(
        readConfig({ JWT_SECRET }).notices.join(),
        'cannot be among JWT_PREVIOUS_SECRETS',
      );
    }
    assert.equal(readdirSync(folder.path), []);
    await generateKey(file, 'es256');
    renameSync(file, named);
    const said = await refusal(rotateKey(file, 'es256', { JWT_PRIVATE_KEY_FILE: named }));
    assert.match(said, 'JWT_PRIVATE_KEY_FILE has a comma');
    assert.match(said, 'rename the file first');
    assert.equal(readdirSync(folder.path), ['a,b.pem']);
    // A secret that does not sign is in nobody's way.
    renameSync(named, file);
    const env = { JWT_PRIVATE_KEY_FILE: file, JWT_SECRET: `${SECRET},more` };
    const { data } = await rotateKey(join(folder.path, 'next.pem'), 'es256', env);
    assert.is((data as Step).step, 1);
  } finally {
    folder.remove();
  }
});

keys('and says for each kind how it can take over', async () => {
  const folder = temporaryFolder();
  try {
    const said = async (type: KeyType) => {
      const file = join(folder.path, type);
      const { lines } = await generateKey(file, type);
      return lines.join('\n').replaceAll(file, 'FILE');
    };
    assert.match(await said('es256'), 'portcullis keys rotate FILE');
    const secret = await said('secret');
    assert.match(secret, 'JWT_PREVIOUS_SECRETS="$(cat FILE)"');
    assert.not.match(secret, 'keys rotate');
  } finally {
    folder.remove();
  }
});

keys.run();
