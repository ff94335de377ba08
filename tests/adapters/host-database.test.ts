import knex, { type Knex } from 'knex';
import SqliteDialect from 'knex/lib/dialects/better-sqlite3/index.js';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase, knexRepositories, migrate } from '../../src/adapters/knex/index.ts';
import { createAuth } from '../../src/application/index.ts';
import {
  attemptCounterContract,
  type OpenedCounter,
  type OpenedStore,
  sessionRepositoryContract,
  userRepositoryContract,
} from '../../src/testing/index.ts';
import { runContract } from '../support/contracts.ts';
import { outcome } from '../support/expect.ts';
import { ADA, fakePorts } from '../support/fakes.ts';
import { temporaryFolder } from '../support/programs.ts';
import { isAvailable, withDatabaseUrl } from '../support/stores.ts';

// In a database that is somebody else's, on a knex of theirs.

const TABLES = { users: 'auth_users', sessions: 'order', attempts: 'auth_attempts' } as const;

/** knex's own dialect, and nothing of ours but the driver, since better-sqlite3 must be compiled. */
class StockSqlite extends SqliteDialect<object> {
  override _driver(): unknown {
    return Database;
  }
}

const HOSTS = ['SQLite', 'MariaDB'] as const;

interface RawConnection {
  query(sql: string, done: (error: unknown) => void): void;
}

/** A host's own pool, as its documentation says to make one. */
function hostKnex(url: string, more: object = {}, migrations: object = {}): Knex {
  if (!url.startsWith('sqlite:')) {
    return knex({ client: 'mysql2', connection: { uri: url, ...more }, migrations });
  }
  const connection = { filename: url.slice('sqlite:'.length) };
  return knex({ client: StockSqlite, connection, useNullAsDefault: true, migrations });
}

/** The host's own migrations: a table with the name that ours would have, and one that goes with it. */
const hostMigrations: Knex.MigratorConfig = {
  migrationSource: {
    getMigrations: async () => ['1_users', '2_notes'],
    getMigrationName: (name: string) => name,
    getMigration: async (name: string) => ({
      up: async (host: Knex) => {
        await host.schema.createTable(name.slice(2), (table) => {
          table.increments();
          table.string('nickname');
        });
      },
      down: async () => {},
    }),
  },
};

async function openHost(name: (typeof HOSTS)[number], more?: object) {
  const folder = temporaryFolder();
  let remove = async () => folder.remove();
  const url = await new Promise<string>((resolve, reject) => {
    if (name === 'SQLite') return resolve(`sqlite:${folder.path}/host.sqlite`);
    const held = new Promise<void>((release) => {
      remove = async () => {
        folder.remove();
        release();
        await done;
      };
    });
    const done = withDatabaseUrl(name, async (found) => {
      resolve(found);
      await held;
    });
    done.catch(reject);
  });
  const host = hostKnex(url, more);
  const close = async () => {
    await host.destroy();
    await remove();
  };
  return { host, url, close };
}

async function openStore(name: (typeof HOSTS)[number]): Promise<OpenedStore & OpenedCounter> {
  const { host, url, close } = await openHost(name);
  try {
    await host.migrate.latest(hostMigrations);
    await migrate(host, { tables: TABLES });
  } catch (error) {
    await close();
    throw error;
  }
  const ours = knexRepositories(host, { tables: TABLES });
  // One pool alone where the driver cannot bear two: see `database.ts`, which has a remedy.
  const other = name === 'SQLite' ? host : hostKnex(url);
  return {
    ...ours,
    other: knexRepositories(other, { tables: TABLES }),
    deleteUser: (id) => host(TABLES.users).where({ id }).delete(),
    async close() {
      if (other !== host) await other.destroy();
      await close();
    },
  };
}

for (const name of HOSTS) {
  const open = () => openStore(name);
  const where = `${name}, among the tables of another`;
  runContract(`UserRepository on ${where}`, userRepositoryContract(open), isAvailable(name));
  runContract(`SessionRepository on ${where}`, sessionRepositoryContract(open), isAvailable(name));
  runContract(`AttemptCounter on ${where}`, attemptCounterContract(open), isAvailable(name));

  const host = suite(`A host's own database on ${name}`);
  const it = (title: string, use: (host: Knex, url: string) => Promise<void>, more?: object) => {
    const test = async () => {
      const { host: pool, url, close } = await openHost(name, more);
      try {
        await use(pool, url);
      } finally {
        await close();
      }
    };
    if (isAvailable(name)) host(title, test);
    else host.skip(title, test);
  };

  it('keeps what is its own, its migrations among it', async (pool) => {
    await pool.migrate.latest(hostMigrations);
    await pool('users').insert({ nickname: 'ada' });
    await migrate(pool, { tables: TABLES });
    await migrate(pool, { tables: TABLES });
    assert.equal(await pool('knex_migrations').pluck('name'), ['1_users', '2_notes']);
    assert.equal((await pool.migrate.latest(hostMigrations)) as unknown, [1, []]);
    assert.equal(await pool('users').pluck('nickname'), ['ada']);
    const auth = createAuth({ ...fakePorts(), ...knexRepositories(pool, { tables: TABLES }) });
    const { user } = await auth.registerUser(ADA);
    assert.equal(await pool(TABLES.users).pluck('id'), [user.id]);
    assert.is((await pool(TABLES.sessions).pluck('user_id'))[0], user.id);
  });

  if (name === 'SQLite') {
    for (let looks = 1; looks <= 8; looks += 1) {
      it(`is migrated by another process after ${looks} looks at what is there`, async (pool) => {
        let count = 0;
        const looking = new Proxy(pool, {
          apply(target, _self, [table]: [string]) {
            const builder = target(table);
            if (table !== 'sqlite_master') return builder;
            return Object.assign(builder, {
              async first() {
                const [found] = (await builder.limit(1)) as unknown[];
                count += 1;
                if (count === looks) await migrate(pool);
                return found;
              },
            });
          },
        });
        await migrate(looking);
        assert.is((await pool('users_migrations')).length, 4);
      });
    }
  }

  it('has settings for its own migrations that are not heeded by ours', async (pool, url) => {
    const told: unknown[] = [];
    const tell = async (_: Knex, migrations: unknown) => void told.push(migrations);
    const theirs = {
      schemaName: 'elsewhere',
      tableName: 'theirs',
      directory: './nowhere',
      beforeAll: tell,
      beforeEach: tell,
      afterEach: tell,
      afterAll: tell,
    };
    const other = hostKnex(url, {}, theirs);
    try {
      await migrate(other);
      await migrate(other);
    } finally {
      await other.destroy();
    }
    assert.is((await pool('users_migrations')).length, 4);
    assert.is(await pool.schema.hasTable('theirs'), false);
    assert.equal(told, []);
  });

  it('has room for two sets of tables', async (pool) => {
    await migrate(pool);
    await migrate(pool, { tables: TABLES });
    const [ours, others] = [knexRepositories(pool), knexRepositories(pool, { tables: TABLES })];
    const [auth, other] = [ours, others].map((set) => createAuth({ ...fakePorts(), ...set }));
    assert.ok((await auth?.registerUser(ADA))?.accessToken);
    assert.ok((await other?.registerUser(ADA))?.accessToken, 'the same email, elsewhere');
    assert.is(await outcome(Promise.resolve(auth?.registerUser(ADA))), 'email_taken');
    await pool('users').delete();
    assert.equal(await pool('sessions'), [], 'sessions follow their own users');
    assert.is((await pool(TABLES.sessions)).length, 1);
    await pool(TABLES.users).delete();
    assert.equal(await pool(TABLES.sessions), []);
  });

  for (const what of ['users', 'sessions', 'attempts'] as const) {
    it(`is not touched where its ${what} are something else`, async (pool) => {
      await pool.schema.createTable(what, (table) => {
        table.increments();
        table.string('nickname');
      });
      const message = await migrate(pool).then(
        () => 'migrated',
        (error: unknown) => String(error),
      );
      assert.match(message, `the table ${what} is there already and is not Portcullis's`);
      for (const other of ['users', 'sessions', 'attempts', 'users_migrations_lease']) {
        assert.is(await pool.schema.hasTable(other), other === what, other);
      }
      assert.is(await pool.schema.hasColumn(what, 'password_version'), false);
    });
  }

  it('is not touched where a table of its own looks just like ours', async (pool) => {
    await pool.schema.createTable('sessions', (table) => {
      table.string('id');
      table.integer('user_id');
      for (const column of ['date_created', 'expires', 'cart']) table.string(column);
    });
    await pool('sessions').insert({ id: 'x', user_id: 1, cart: 'full' });
    const refused = await migrate(pool).then(String, String);
    assert.match(refused, "the table sessions is there already and is not Portcullis's");
    await migrate(pool, { tables: { ...TABLES } });
    const shared = { users: 'b_users', attempts: 'b_attempts' };
    const other = await migrate(pool, { tables: shared }).then(String, String);
    assert.match(other, 'the table sessions is there already', 'nor shared by two sets');
    assert.is(await pool.schema.hasTable('b_users'), false);
    assert.is((await pool('sessions')).length, 1);
  });

  if (name === 'SQLite') {
    it('is not touched where its names differ in case alone, or are of views', async (pool) => {
      await pool.schema.createTable('Users', (table) => table.increments());
      for (const view of [false, true]) {
        if (view) {
          await pool.schema.renameTable('Users', 'people');
          await pool.raw('CREATE VIEW Sessions AS SELECT * FROM people');
        }
        const refused = await migrate(pool).then(String, String);
        assert.match(refused, 'is there already and is not');
      }
      assert.is(await pool.schema.hasColumn('people', 'password_version'), false);
      assert.is(await pool.schema.hasTable('users_migrations_lease'), false);
    });
  }

  it('goes on where an earlier release noted its steps elsewhere', async (pool) => {
    await migrate(pool);
    const auth = createAuth({ ...fakePorts(), ...knexRepositories(pool) });
    await auth.registerUser(ADA);
    await pool.schema.renameTable('users_migrations', 'knex_migrations');
    await pool.schema.dropTable('users_migrations_lease');
    await migrate(pool);
    assert.is((await auth.login(ADA)).user.username, 'Ada');
    assert.is((await pool('users_migrations')).length, 4);
  });

  it('is refused by names that no table can have, and by those that are one', async (pool) => {
    const wrong: [Record<string, unknown>, string][] = [
      [{ users: '' }, 'tables.users must be at most 40 letters'],
      [{ users: 'auth.users' }, 'tables.users must be'],
      [{ sessions: 'a`; DROP TABLE notes; --' }, 'tables.sessions must be'],
      [{ attempts: '1st' }, 'tables.attempts must be'],
      [{ users: 'u'.repeat(41) }, 'tables.users must be'],
      [{ users: 7 }, 'tables.users must be'],
      [{ users: null }, 'tables.users must be'],
      [{ users: 'same', sessions: 'SAME' }, 'tables must all have different names'],
      [{ users: 'auth', attempts: 'auth_migrations' }, 'different names'],
      [{ users: 'auth', attempts: 'auth_migrations_lease' }, 'different names'],
      [{ users: 'auth', sessions: 'Auth_Migrations_Lock' }, 'different names'],
      [{ sessions: 's', attempts: 's_expires' }, 'different names'],
      [{ user: 'auth_users' }, 'tables.user: no such table'],
    ];
    for (const [tables, text] of wrong) {
      assert.throws(() => knexRepositories(pool, { tables }), new RegExp(text));
      const refused = await migrate(pool, { tables }).catch((error: unknown) => error);
      assert.instance(refused, RangeError);
    }
    assert.ok(knexRepositories(pool, { tables: { users: undefined } as never }));
    const misspelt = { table: { users: 'auth_users' } } as never;
    assert.throws(() => knexRepositories(pool, misspelt), /there is no option table/);
  });

  host.run();
}

const settings = suite("A host's own knex");

const TEXTS = 'may give whole numbers as texts, and dates as it likes';
const giveTexts = async () => {
  const more = { supportBigNumbers: true, bigNumberStrings: true, dateStrings: true };
  const { host, close } = await openHost('MariaDB', { ...more, multipleStatements: true });
  try {
    await migrate(host);
    const auth = createAuth({ ...fakePorts(), ...knexRepositories(host) });
    const { user, accessToken } = await auth.registerUser(ADA);
    assert.type(user.id, 'number');
    const record = { ...user, role: 'user', disabled: false };
    assert.equal((await auth.authorize({ accessToken })).user, record);
    assert.equal((await auth.login(ADA)).user, user);
    assert.is((await auth.listSessions({ accessToken })).length, 2);
  } finally {
    await close();
  }
};
if (isAvailable('MariaDB')) settings(TEXTS, giveTexts);
else settings.skip(TEXTS, giveTexts);

/** Settings of a host by which what somebody types can end a text, and the rest of it is SQL. */
const UNSAFE: readonly { what: string; charset?: string; sql: string; username: string }[] = [
  {
    what: 'a charset in which a letter becomes a quote',
    charset: 'latin1',
    sql: '',
    username: 'ħ',
  },
  {
    what: 'a server that takes a backslash for what it is',
    sql: "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
    username: "'",
  },
];
for (const { what, charset = 'utf8mb4', sql, username } of UNSAFE) {
  const test = async () => {
    const { host, url, close } = await openHost('MariaDB');
    const unsafe = knex({
      client: 'mysql2',
      connection: { uri: url, charset },
      pool: {
        min: 0,
        afterCreate: (raw: RawConnection, done: (error: unknown) => void) =>
          raw.query(sql || 'DO 0', done),
      },
    });
    try {
      await migrate(host);
      const repositories = knexRepositories(unsafe);
      const auth = createAuth({ ...fakePorts(), ...repositories });
      const row = ['2020-01-01T00:00:00.000Z', 'eve@example.com', 'hash', 'Eve'];
      const values = row.map((text) => `0x${Buffer.from(text).toString('hex')}`).join();
      const evil = auth.registerUser({ ...ADA, username: `${username}), (${values})#` });
      const registered = await outcome(evil);
      assert.equal(await host('users').pluck('email'), []);
      assert.is(registered, 'fault');
      for (const work of [repositories.sessions.removeAll(1), migrate(unsafe)]) {
        const refusal = await work.catch(String);
        assert.match(String(refusal), /charset utf8mb4, and a sql_mode without NO_BACKSLASH/);
      }
    } finally {
      await unsafe.destroy();
      await close();
    }
  };
  const title = `lets nobody write SQL by ${what}`;
  if (isAvailable('MariaDB')) settings(title, test);
  else settings.skip(title, test);
}

for (const store of HOSTS) {
  const title = `on ${store} tells its listeners of each query, and of its end`;
  if (!isAvailable(store)) {
    settings.skip(title, () => {});
    continue;
  }
  settings(title, () =>
    withDatabaseUrl(store, async (url) => {
      const host = hostKnex(url);
      try {
        await migrate(host);
        const { users, sessions, attempts } = knexRepositories(host);
        await users.findById(1); // After what is asked once of a connection.
        const begun: unknown[] = [];
        const ended: unknown[] = [];
        host.on('query', ({ __knexQueryUid }) => begun.push(__knexQueryUid));
        host.on('query-response', (_, { __knexQueryUid }) => ended.push(__knexQueryUid));
        await users.findById(1);
        await sessions.find('none');
        await users.page({ after: 0, limit: 1 });
        await attempts.add('key', 60);
        assert.is(new Set(begun).size, 4);
        assert.equal(ended, begun);
        assert.not(begun.includes(undefined));
      } finally {
        await host.destroy();
      }
    }),
  );
}

settings('is refused where it renames columns, or has another driver', async () => {
  const renaming = {
    wrapIdentifier: (name: string) => name,
    postProcessResponse: (x: unknown) => x,
  };
  for (const [name, value] of Object.entries(renaming)) {
    const pool = knex({ client: 'mysql2', [name]: value });
    assert.throws(() => knexRepositories(pool), /wrapIdentifier or postProcessResponse/);
    assert.instance(await migrate(pool).catch((error: unknown) => error), RangeError);
  }
  for (const client of ['pg', 'mssql', 'sqlite3']) {
    const pool = knex({ client });
    assert.throws(() => knexRepositories(pool), /must have mysql2 or better-sqlite3 as its client/);
  }
});

settings('can be one of ours, with limits on everything that waits', async () => {
  const folder = temporaryFolder();
  const pool = openDatabase({ kind: 'sqlite', path: `${folder.path}/own.sqlite` });
  try {
    await migrate(pool);
    const auth = createAuth({ ...fakePorts(), ...knexRepositories(pool) });
    assert.ok((await auth.registerUser(ADA)).accessToken);
  } finally {
    await pool.destroy();
    folder.remove();
  }
});

settings.run();
