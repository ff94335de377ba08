/**
 * Recordings of each release: databases, tokens, and SQL statements. `tests/system/golden.test.ts`
 * tests that later releases still work with them. `npx tsx tools/golden.ts` records the current
 * version, in a folder of its name.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Knex } from 'knex';
import { readConfig } from '../src/adapters/config/config.ts';
import { backUp } from '../src/adapters/knex/operator/backup.ts';
import { type Service, serve } from '../src/serve.ts';
import { mariadbServer } from '../tests/support/programs.ts';
import { call, registered, TEST_ENV } from '../tests/support/service.ts';
import { withDatabaseUrl } from '../tests/support/stores.ts';

export const FOLDER = 'tests/golden';
/** Used by these recordings only. */
const SECRET = 'golden golden golden golden golden golden';

export type GoldenStore = 'SQLite' | 'MariaDB';
export const GOLDEN_STORES: readonly GoldenStore[] = ['SQLite', 'MariaDB'];

/** What must hold for a recorded database. Stored beside `SQLite.gz` or `MariaDB.gz`. */
export interface Golden {
  /** The time of the recording (ISO 8601). */
  readonly taken: string;
  readonly secret: string;
  readonly accounts: readonly {
    readonly email: string;
    readonly password: string;
    /** The status of a sign-in, at the time of the recording. */
    readonly login: number;
  }[];
  readonly tokens: readonly {
    readonly token: string;
    /** The statuses of GET /protected and POST /refresh with it, at the time of the recording. */
    readonly protected: number;
    readonly refresh: number;
  }[];
  /** The statements that were sent to an empty database, in order. */
  readonly statements: readonly {
    readonly sql: string;
    readonly bindings: readonly (string | number | null)[];
    /** True if a unique key refused the statement, as it must again. */
    readonly refused?: true;
  }[];
  /** The number of rows afterwards. */
  readonly rows: Readonly<Record<'users' | 'sessions', number>>;
}

export function settingsOf(databaseUrl: string, secret: string, rotation: 'on' | 'off') {
  return readConfig({
    ...TEST_ENV,
    DATABASE_URL: databaseUrl,
    JWT_SECRET: secret,
    REFRESH_ROTATION: rotation,
  });
}

const PASSWORD = 'correct horse battery';
const OTHER_PASSWORD = 'staple, correct horse';

const ACCOUNTS: Golden['accounts'] = [
  { email: 'ada@example.com', password: PASSWORD, login: 200 },
  { email: 'élise@exämple.com', password: 'pässwörd mit Ümlaut', login: 200 },
  { email: 'changed@example.com', password: OTHER_PASSWORD, login: 200 },
  { email: 'changed@example.com', password: PASSWORD, login: 401 },
  { email: 'rotated@example.com', password: PASSWORD, login: 200 },
  { email: 'admin@example.com', password: PASSWORD, login: 200 },
  { email: 'disabled@example.com', password: PASSWORD, login: 401 },
  { email: 'deleted@example.com', password: PASSWORD, login: 401 },
  // A backup has no counts of attempts, so this account is not locked.
  { email: 'guessed@example.com', password: PASSWORD, login: 200 },
];

/** Uses every feature on a new database, and returns what must hold for that. */
async function record(databaseUrl: string): Promise<Golden> {
  const statements: { sql: string; bindings: (string | number | null)[]; refused?: true }[] = [];
  const recordStatements = (knex: Knex | undefined) => {
    knex?.on('query', ({ sql, bindings }: { sql: string; bindings?: (string | number)[] }) => {
      if (/^\s*(?:select|insert|update|delete|with|replace)\b/i.test(sql)) {
        statements.push({ sql, bindings: [...(bindings ?? [])] });
      }
    });
    knex?.on('query-error', (_, { sql }: { sql: string }) => {
      const failed = statements.findLast((each) => each.sql === sql);
      if (failed) failed.refused = true;
    });
  };
  const services: Service[] = [];
  for (const rotation of ['off', 'on'] as const) {
    services.push(await serve(settingsOf(databaseUrl, SECRET, rotation)));
  }
  const [plain, rotating] = services;
  if (!plain || !rotating) throw new Error('no service');
  try {
    for (const { part } of services)
      for (const name of ['knex', 'counts'] as const) recordStatements(part(name));
    const { url } = plain;
    const tokens: Golden['tokens'][number][] = [];
    const add = (kind: 'access' | 'refresh', token: string, status: number) => {
      const isAccess = kind === 'access';
      // Each endpoint refuses tokens of the other kind.
      const refresh = isAccess ? 401 : status;
      tokens.push({ token, protected: isAccess ? status : 401, refresh });
    };
    const emails = new Set(ACCOUNTS.map(({ email }) => email));
    const first = new Map<string, { access_token: string; refresh_token: string }>();
    for (const email of emails) {
      const known = ACCOUNTS.find((each) => each.email === email);
      const password = email.startsWith('changed') ? PASSWORD : (known?.password ?? PASSWORD);
      const fields = { username: `Of ${email}`, email, password, confirm_password: password };
      first.set(email, await registered(url, fields));
    }
    const of = (email: string) => {
      const found = first.get(email);
      if (found === undefined) throw new Error(email);
      return found;
    };
    const post = (path: string, json: object, token?: string, at = url) =>
      call(at, `POST ${path}`, token === undefined ? { json } : { json, token });

    const ada = of('ada@example.com');
    await post('/register', {
      username: 'Eve',
      email: 'ADA@example.com',
      password: PASSWORD,
      confirm_password: PASSWORD,
    });
    const again = await post('/login', { email: 'ada@example.com', password: PASSWORD });
    const second = again.json as typeof ada;
    await post('/refresh', { refresh_token: ada.refresh_token });
    for (const path of [
      '/protected',
      '/users',
      '/users?limit=2',
      '/users?limit=2&after=2',
      '/users?email=ada@example.com',
      '/sessions',
      '/account',
    ]) {
      await call(url, `GET ${path}`, { token: ada.access_token });
    }
    await post('/logout', { refresh_token: second.refresh_token });
    add('access', ada.access_token, 200);
    add('refresh', ada.refresh_token, 200);
    add('refresh', second.refresh_token, 401);

    const élise = of('élise@exämple.com');
    await post('/logout-all', {}, élise.access_token);
    add('access', élise.access_token, 200);
    add('refresh', élise.refresh_token, 401);

    const changed = of('changed@example.com');
    const change = {
      current_password: PASSWORD,
      password: OTHER_PASSWORD,
      confirm_password: OTHER_PASSWORD,
    };
    await post('/password', change, changed.access_token);
    add('refresh', changed.refresh_token, 200);

    const rotated = of('rotated@example.com');
    const next = await post(
      '/refresh',
      { refresh_token: rotated.refresh_token },
      undefined,
      rotating.url,
    );
    add('refresh', (next.json as typeof ada).refresh_token, 200);

    const auth = plain.part('auth');
    const id = async (email: string) => (await auth.findUser({ email })).id;
    await auth.setRole({ userId: await id('admin@example.com'), role: 'admin' });
    await auth.disableUser({ userId: await id('disabled@example.com') });
    add('access', of('disabled@example.com').access_token, 401);
    add('refresh', of('disabled@example.com').refresh_token, 401);
    await call(url, 'DELETE /account', {
      token: of('deleted@example.com').access_token,
      json: { password: PASSWORD },
    });
    add('access', of('deleted@example.com').access_token, 404);
    add('refresh', of('deleted@example.com').refresh_token, 404);
    for (let i = 0; i < 8; i += 1)
      await post('/login', { email: 'guessed@example.com', password: 'no' });
    await auth.pruneExpired({ limit: 10 });

    const knex = plain.part('knex');
    const count = async (table: string) =>
      Number((await knex?.(table).count({ count: '*' }))?.[0]?.['count']);
    const sent = [...statements];
    const rows = { users: await count('users'), sessions: await count('sessions') };
    const taken = new Date().toISOString();
    return { taken, secret: SECRET, accounts: ACCOUNTS, tokens, statements: sent, rows };
  } finally {
    for (const service of services) await service.stop();
  }
}

async function main(): Promise<void> {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const folder = join(FOLDER, version);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const server = await mariadbServer('mariadbd');
  await server.start();
  process.env['TEST_MYSQL_URL'] = server.url;
  try {
    for (const store of GOLDEN_STORES) {
      await withDatabaseUrl(store, async (databaseUrl) => {
        const golden = await record(databaseUrl);
        const { store: target } = settingsOf(databaseUrl, SECRET, 'off');
        if (target.kind === 'memory') throw new Error('memory is not kept');
        await backUp(target, join(folder, `${store}.gz`));
        writeFileSync(join(folder, `${store}.json`), `${JSON.stringify(golden, undefined, 2)}\n`);
        console.log(`${folder}: ${store}, ${golden.statements.length} statements`);
      });
    }
  } finally {
    await server.remove();
  }
}

if (pathToFileURL(process.argv[1] ?? '').href === import.meta.url) await main();
