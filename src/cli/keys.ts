import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { readConfig } from '../adapters/config/config.ts';
import { developmentSecretPath } from '../adapters/config/kept-secret.ts';
import { readKeyFile } from '../adapters/config/key-files.ts';
import { isListable } from '../adapters/config/reader.ts';
import { keyObject, verifyKey } from '../adapters/jwt/verify-key.ts';
import { Refused, type Report } from './terminal.ts';

export type KeyType = 'es256' | 'rs256' | 'secret';

/** Makes a key and writes it to a file. */
export async function generateKey(file: string, type: KeyType): Promise<Report> {
  refuseUnlistable(file);
  const { algorithm, kid } = verifyKey(makeKey(file, type));
  const quoted = quote(file);
  const setting =
    type === 'secret' ? `JWT_SECRET="$(cat ${quoted})"` : `JWT_PRIVATE_KEY_FILE=${quoted}`;
  return {
    lines: [
      `${file}: a new key for ${algorithm}, its name (kid) is ${kid}`,
      `Where nothing has been signed yet: ${setting}`,
      type === 'secret'
        ? `Else every process first gets it as one that verifies: JWT_PREVIOUS_SECRETS="$(cat ${quoted})". The README`
        : `Else: portcullis keys rotate ${quoted}, or all who are signed in are signed out`,
      ...(type === 'secret'
        ? ['has the steps, "Rotate keys"; or all who are signed in are signed out']
        : []),
    ],
    data: { file, algorithm, kid },
  };
}

function makeKey(file: string, type: KeyType): KeyObject {
  if (type === 'secret') {
    const secret = randomBytes(48).toString('base64url');
    writePrivately(file, `${secret}\n`);
    return keyObject(secret);
  }
  const { privateKey } =
    type === 'es256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 3072 });
  writePrivately(file, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  return privateKey;
}

/** Never overwrites a file: losing a key would sign everybody out. */
function writePrivately(file: string, content: string): void {
  try {
    writeFileSync(file, content, { flag: 'wx', mode: 0o600, flush: true });
  } catch (fault) {
    if (existsSync(file)) throw new Refused(`${file} is there already: nothing is overwritten`);
    throw fault;
  }
}

const UNLISTABLE = 'a comma, or white space at its beginning or end';

/** The path becomes an item of JWT_PREVIOUS_KEY_FILES during a rotation. */
function refuseUnlistable(file: string): void {
  if (!isListable(file)) {
    throw new Refused(
      `FILE has ${UNLISTABLE}, which JWT_PREVIOUS_KEY_FILES cannot hold: name another`,
    );
  }
}

/** The current signer must go on to verify, as an item of a list. */
function refuseUnlistableSigner(env: NodeJS.ProcessEnv): void {
  const [signer, secret] = [env['JWT_PRIVATE_KEY_FILE'], env['JWT_SECRET']];
  if (signer) {
    if (isListable(signer)) return;
    throw new Refused(
      `JWT_PRIVATE_KEY_FILE has ${UNLISTABLE}, which JWT_PREVIOUS_KEY_FILES cannot hold: rename the file first`,
    );
  }
  if (!secret || isListable(secret)) return;
  throw new Refused(
    `JWT_SECRET has ${UNLISTABLE}, and cannot be among JWT_PREVIOUS_SECRETS: after a change of the key its tokens` +
      ' are good for nothing, and whoever has one signs in again. Where that may be, make a key (portcullis keys' +
      ' generate FILE), set JWT_PRIVATE_KEY_FILE to it, take JWT_SECRET away, and restart all processes',
  );
}

/** The settings that a step needs. A secret is written as the variable that holds it now. */
interface Step {
  readonly step: 1 | 2 | 3;
  readonly set: Readonly<Record<string, string>>;
  readonly unset: readonly string[];
}

/**
 * Reports the next of the three steps of a rotation to the key in `file`, which is made if it is
 * missing. The settings tell which step that is. It does not change them.
 */
export async function rotateKey(
  file: string,
  type: Exclude<KeyType, 'secret'>,
  env: NodeJS.ProcessEnv,
): Promise<Report> {
  const config = readConfig(env);
  refuseUnlistable(file);
  refuseUnlistableSigner(env);
  if (!existsSync(file)) makeKey(file, type);
  const key = readKeyFile(file, 'private');
  if (typeof key === 'string') throw new Refused(key);
  const { kid, algorithm } = verifyKey(key);
  const next = nextStep(file, env, developmentSecretPath(config.store));
  const { step, set, unset } = next;
  const settings = [
    ...Object.entries(set).map(([name, value]) => `  ${name}=${value}`),
    ...unset.map((name) => `  ${name} is not set any more`),
  ];
  const ttl = env['REFRESH_TOKEN_TTL'] || '30d';
  const lines = {
    1: [
      `Step 1 of 3: every process learns of the new key (${algorithm}, kid ${kid}), which signs nothing yet`,
      ...settings,
      'Restart every process so, one by one. Where others verify by /.well-known/jwks.json wait for five',
      'minutes. Then run this again, with the new settings.',
    ],
    2: [
      `Step 2 of 3: the new key (${algorithm}, kid ${kid}) signs, the old one goes on to verify`,
      ...settings,
      'Restart every process so, one by one. Then run this again, with the new settings.',
    ],
    3: [
      `Step 3 of 3: the new key (${algorithm}, kid ${kid}) signs. ${ttl} after the last restart of step 2 no`,
      'token of an older key is left; not before that:',
      ...(settings.length > 0 ? settings : ['  nothing is left to be taken away']),
      'Restart every process so, and destroy the old keys.',
    ],
  }[step];
  return { lines, data: { ...next, file, algorithm, kid } };
}

function nextStep(file: string, env: NodeJS.ProcessEnv, keptSecret: string): Step {
  const isIt = (path: string) => resolve(path) === resolve(file);
  const signer = env['JWT_PRIVATE_KEY_FILE'] || undefined;
  const secrets = env['JWT_PREVIOUS_SECRETS'] || undefined;
  const previous = (env['JWT_PREVIOUS_KEY_FILES'] || undefined)?.split(',') ?? [];
  const files = (paths: readonly string[]) => quote(paths.join(','));
  if (signer !== undefined && isIt(signer)) {
    const unset = ['JWT_PREVIOUS_KEY_FILES', 'JWT_PREVIOUS_SECRETS'].filter((name) => env[name]);
    return { step: 3, set: {}, unset };
  }
  if (!previous.some(isIt)) {
    return { step: 1, set: { JWT_PREVIOUS_KEY_FILES: files([...previous, file]) }, unset: [] };
  }
  const others = previous.filter((path) => !isIt(path));
  const signs = { JWT_PRIVATE_KEY_FILE: quote(file) };
  if (signer !== undefined) {
    const set = { ...signs, JWT_PREVIOUS_KEY_FILES: files([...others, signer]) };
    return { step: 2, set, unset: [] };
  }
  const old = env['JWT_SECRET'] ? '$JWT_SECRET' : `$(cat ${quote(keptSecret)})`;
  const set = {
    JWT_PREVIOUS_SECRETS: `"${old}${secrets === undefined ? '' : ',$JWT_PREVIOUS_SECRETS'}"`,
    ...signs,
    ...(others.length > 0 && { JWT_PREVIOUS_KEY_FILES: files(others) }),
  };
  const unset = ['JWT_SECRET', ...(others.length > 0 ? [] : ['JWT_PREVIOUS_KEY_FILES'])];
  return { step: 2, set, unset: unset.filter((name) => env[name]) };
}

/** Quotes a text as one word of a shell. */
function quote(text: string): string {
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
