import Database from 'libsql';
import { createConnection } from 'mysql2/promise';
import { type Account, Client, type Entry, History, isInDoubt } from './history.ts';

/** What the tables hold. Ids are as tokens have them. */
export interface Contents {
  readonly users: readonly { readonly id: string; readonly email: string }[];
  readonly sessions: readonly { readonly id: string; readonly userId: string }[];
}

interface UserRow {
  readonly id: number | string;
  readonly email: string;
}

interface SessionRow {
  readonly id: string;
  readonly user_id: number | string;
}

const USERS = 'SELECT id, email FROM users ORDER BY id';
const SESSIONS = 'SELECT id, user_id FROM sessions';

/** Reads the tables by plain SQL, past the product. */
export async function readContents(databaseUrl: string): Promise<Contents> {
  const isSqlite = databaseUrl.startsWith('sqlite:');
  const [users, sessions] = await (isSqlite ? fromSqlite(databaseUrl) : fromMysql(databaseUrl));
  return {
    users: users.map(({ id, email }) => ({ id: String(id), email })),
    sessions: sessions.map(({ id, user_id }) => ({ id, userId: String(user_id) })),
  };
}

type Rows = readonly [readonly UserRow[], readonly SessionRow[]];

async function fromSqlite(url: string): Promise<Rows> {
  const db = new Database(url.replace('sqlite:', ''), { timeout: 5_000 });
  try {
    return [db.prepare(USERS).all() as UserRow[], db.prepare(SESSIONS).all() as SessionRow[]];
  } finally {
    db.close();
  }
}

async function fromMysql(url: string): Promise<Rows> {
  const connection = await createConnection(url);
  try {
    const [users] = await connection.query(USERS);
    const [sessions] = await connection.query(SESSIONS);
    return [users as UserRow[], sessions as SessionRow[]];
  } finally {
    await connection.end();
  }
}

/** What PRAGMA integrity_check says of a SQLite file: "ok" where nothing is wrong with it. */
export function integrityOf(databaseUrl: string): string {
  const db = new Database(databaseUrl.replace('sqlite:', ''), { timeout: 5_000 });
  try {
    const rows = db.prepare('PRAGMA integrity_check').all() as { integrity_check: string }[];
    return rows.map(({ integrity_check }) => integrity_check).join('\n');
  } finally {
    db.close();
  }
}

/**
 * Signs in to every account of the table, as the owner who was told that it is theirs, or as each of
 * those who may have made it, until one succeeds. Returns what came of it.
 */
export async function proveLogins(
  url: string,
  { users }: Contents,
  entries: readonly Entry[],
): Promise<readonly Entry[]> {
  const owners = new Map<string, Set<number>>();
  const add = (key: string, owner: number) => {
    owners.set(key, (owners.get(key) ?? new Set()).add(owner));
  };
  for (const { action, email, owner, outcome } of entries) {
    if ('granted' in outcome) add(`id ${outcome.granted?.userId}`, owner);
    else if (action === 'register' && isInDoubt(outcome)) add(email, owner);
  }
  const proofs = new History();
  const queue = users.map(({ id, email }) => {
    const candidates = owners.get(`id ${id}`) ?? owners.get(email) ?? [];
    return [...candidates].map((owner): Account => ({ email, owner }));
  });
  const one = async () => {
    const client = new Client(() => url, proofs);
    for (let accounts = queue.pop(); accounts !== undefined; accounts = queue.pop()) {
      for (const account of accounts) {
        if ((await client.login(account)).tokens !== undefined) break;
      }
    }
    client.close();
  };
  await Promise.all(Array.from({ length: 4 }, one));
  return proofs.entries;
}
