import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DIALECTS, dialectOf, hasTable } from '../../src/adapters/knex/connection/dialects.ts';
import { STORE_NAMES, withDatabases, isAvailable } from '../support/stores.ts';

const dialects = suite('The dialects of SQL');

dialects('are found by the driver of a knex', () => {
  for (const dialect of DIALECTS) {
    assert.is(dialectOf({ client: { driverName: dialect.driverName } }), dialect);
  }
});

dialects('are refused by name to a driver that has none', () => {
  assert.throws(
    () => dialectOf({ client: { driverName: 'oracledb' } }),
    /^knex must have mysql2 or better-sqlite3 as its client, not oracledb$/,
  );
});

/** By these, code would ask which engine it works on, or would work on one alone. */
const ASKS = [
  /\bis(?:Sqlite|Mysql)\b/,
  /\bdriverName\s*[!=]==?/,
  new RegExp(`\\bkind\\s*[!=]==?\\s*['"](?:${DIALECTS.map(({ kind }) => kind).join('|')})`),
  /\binstanceof\s+\w*(?:Mysql|Sqlite)\w*/,
  /\b(?:sqlite_master|information_schema|pragma_\w+|strftime|UNIX_TIMESTAMP|ON DUPLICATE KEY)\b/,
  /['"](?:SQLITE_\w+|ER_\w+)['"]/,
  /ENGINE = InnoDB|\bexcluded\.|\bVALUES\(/,
  /\b(?:FROM|INTO|UPDATE|TABLE|ON)\s+\\`/, // An identifier that is not quoted by the dialect.
];

function questionsIn(source: string): readonly string[] {
  const code = source.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '');
  return ASKS.flatMap((pattern) => pattern.exec(code)?.[0] ?? []);
}

dialects('are the only code, with the files of an engine, that knows an engine', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts') && !path.startsWith('testing/'));
  // `config` reads the URL of a database. A file that is named after an engine may know it.
  const others = files.filter(
    (path) => !path.startsWith('adapters/config/') && !/^(?:mysql|sqlite)-/.test(basename(path)),
  );
  assert.ok(others.length > 100 && others.length < files.length, String(others.length));
  const found = others.flatMap((path) =>
    questionsIn(readFileSync(`src/${path}`, 'utf8')).map((question) => `${path}: ${question}`),
  );
  assert.equal(found, []);
  const own = readFileSync('src/adapters/knex/connection/mysql-dialect.ts', 'utf8');
  assert.ok(questionsIn(own).length > 1, 'the patterns match nothing');
});

for (const question of [
  'isSqlite(knex) ? a : b',
  "if (target.kind === 'mysql') return;",
  'client.driverName !== "mysql2"',
  'driverName === driver',
  'client instanceof MysqlClient',
  "error.code === 'ER_DUP_ENTRY'",
  'knex.raw(`SELECT * FROM \\`users\\``)',
  "raw('SELECT UNIX_TIMESTAMP()')",
]) {
  dialects(`are missing where code says ${question}`, () => {
    assert.is.not(questionsIn(question).length, 0);
  });
}

for (const name of STORE_NAMES.filter((each) => each !== 'memory')) {
  const it = (title: string, use: () => Promise<void>) =>
    isAvailable(name) ? dialects(title, use) : dialects.skip(title, use);

  it(`find tables and views of ${name}`, () =>
    withDatabases(name, async (knex) => {
      if (knex === undefined) throw new Error('no database');
      await knex.raw('CREATE VIEW names AS SELECT username FROM users');
      assert.equal(
        await Promise.all(['users', 'names', 'nobody'].map((each) => hasTable(knex, each))),
        [true, true, false],
      );
    }));
}

dialects.run();
