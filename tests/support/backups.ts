import { execFile, execFileSync } from 'node:child_process';
import { createConnection } from 'mysql2/promise';
import * as assert from 'uvu/assert';
import { SECRET } from './fakes.ts';
import { ADA, call, CLI, type Program, startProgram, TEST_ENV } from './service.ts';

interface Ended {
  readonly code: number | null;
  readonly text: string;
}

/** `backup` or `restore`, as a process of its own. */
export function run(
  databaseUrl: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const { PATH, HOME, NODE_V8_COVERAGE } = process.env;
  const coverage = NODE_V8_COVERAGE && { NODE_V8_COVERAGE };
  const env = { PATH, HOME, ...coverage, DATABASE_URL: databaseUrl, ...more };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [CLI, ...args],
      { env, timeout: 60_000 },
      (_, stdout, stderr) => {
        resolve({ code: child.exitCode, text: `${stdout}${stderr}` });
      },
    );
  });
}

/** What it prints when it is done. */
export async function done(databaseUrl: string, args: readonly string[]): Promise<string> {
  const { code, text } = await run(databaseUrl, args);
  assert.is(code, 0, text);
  return text;
}

export async function refused(databaseUrl: string, args: readonly string[], why: string | RegExp) {
  const { code, text } = await run(databaseUrl, args);
  assert.is(code, 1, text);
  assert.match(text, why);
}

/** Of a service that signs with one key and counts no attempts. */
export const ENV = { ...TEST_ENV, JWT_SECRET: SECRET, RATE_LIMIT: 'off' };

export async function withProgram(
  databaseUrl: string,
  use: (program: Program) => Promise<void>,
): Promise<void> {
  const program = await startProgram({ ...ENV, DATABASE_URL: databaseUrl });
  try {
    await use(program);
  } finally {
    await program.end('SIGTERM');
  }
}

/**
 * What a statement gives, by a process of its own where it is SQLite: a connection of this one would stay
 * open until it is collected, and restoring refuses a file that somebody has open.
 */
export async function ask(databaseUrl: string, sql: string): Promise<readonly Row[]> {
  if (!databaseUrl.startsWith('sqlite:')) {
    const connection = await createConnection(databaseUrl);
    try {
      const [rows] = await connection.query(sql);
      return rows as Row[];
    } finally {
      await connection.end();
    }
  }
  const visit = `const [file, sql] = process.argv.slice(1);
    const statement = new (require('libsql'))(file, { timeout: 2000 }).prepare(sql);
    console.log(JSON.stringify(statement.reader ? statement.all() : (statement.run(), [])));`;
  const args = ['-e', visit, databaseUrl.replace('sqlite:', ''), sql];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Row[];
}

type Row = Readonly<Record<string, unknown>>;

export function insertUser(email: string, id = 'NULL'): string {
  return `INSERT INTO users (id, username, email, password_hash, date_created)
    VALUES (${id}, 'Ada', '${email}', '$argon2id$', '2030-01-01T00:00:00.000Z')`;
}

export async function login(url: string, email: string): Promise<number> {
  const json = { email, password: ADA.password };
  return (await call(url, 'POST /login', { json })).status;
}

/** So many users more, whose rows do not compress to nothing. */
export async function fill(databaseUrl: string, count: number): Promise<void> {
  const columns = 'username, email, password_hash, date_created';
  const [text, numbers] = databaseUrl.startsWith('sqlite:')
    ? [
        'hex(randomblob(100))',
        `(WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n LIMIT ${count}) SELECT seq FROM n)`,
      ]
    : ['SHA2(CONCAT(seq, RAND()), 512)', `seq_1_to_${count}`];
  await ask(
    databaseUrl,
    `INSERT INTO users (${columns}) SELECT ${text}, ${text}, password_hash, date_created
      FROM ${numbers} AS numbers, (SELECT * FROM users LIMIT 1) AS one`,
  );
}

export async function lastIdOf(databaseUrl: string): Promise<number> {
  return Number((await ask(databaseUrl, 'SELECT MAX(id) AS id FROM users'))[0]?.['id']);
}

export async function countOf(databaseUrl: string, table: string): Promise<number> {
  return Number((await ask(databaseUrl, `SELECT COUNT(*) AS count FROM ${table}`))[0]?.['count']);
}
