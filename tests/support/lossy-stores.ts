import type { Knex } from 'knex';
import { knexRepositories } from '../../src/adapters/knex/repositories.ts';
import { writing } from '../../src/adapters/knex/connection/retry.ts';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import type { OpenedLossyStore, Repositories } from '../../src/testing/index.ts';
import { lossyProxy } from './lossy-proxy.ts';
import { openDatabases, openUrl, type StoreName } from './stores.ts';

/** A new store whose answers can be lost. It does not close in peace if one that was to be lost was not. */
export async function openLossyStore(name: StoreName): Promise<OpenedLossyStore> {
  if (name === 'memory') return lossyMemory();
  return name === 'SQLite' ? openLossySqlite() : openLossyMariadb();
}

/** The memory adapter as if it stood behind a wire: what is lost is told to nobody but the caller. */
export function lossyMemory(): OpenedLossyStore & { readonly sound: Repositories } {
  const sound = memoryRepositories();
  const { losing, ...loss } = losses();
  const lossy = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name) {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== 'function') return method;
        return async (...args: unknown[]): Promise<unknown> => {
          const answer: unknown = await Reflect.apply(method, target, args);
          if (!/^(?:find|list|page)/.test(String(name))) losing();
          return answer;
        };
      },
    });
  const { users, sessions } = sound;
  return { users: lossy(users), sessions: lossy(sessions), other: sound, sound, ...loss };
}

async function openLossySqlite(): Promise<OpenedLossyStore> {
  const { one, other, close } = await openDatabases('SQLite');
  if (one === undefined || other === undefined) throw new Error('no database');
  const { losing, loseNextAnswer, close: checkLosses } = losses();
  await loseAtCommit(one, losing);
  return {
    ...knexRepositories(one),
    other: knexRepositories(other),
    loseNextAnswer,
    async close() {
      await close();
      checkLosses();
    },
  };
}

interface Driver {
  exec(sql: string): unknown;
  prepare(sql: string): { run(): unknown };
}

/** Lets every commit of a pool's connections be done by the driver and then, perhaps, lost. */
async function loseAtCommit(knex: Knex, losing: () => void): Promise<void> {
  // Those that it has are of before.
  await knex.destroy();
  const client = knex.client as { acquireRawConnection(): Promise<Driver> };
  const acquire = client.acquireRawConnection.bind(client);
  client.acquireRawConnection = async () => {
    const driver = await acquire();
    const [exec, prepare] = [driver.exec.bind(driver), driver.prepare.bind(driver)];
    const isCommit = (sql: string) => /^COMMIT\b/i.test(sql);
    return Object.assign(driver, {
      exec(sql: string) {
        exec(sql);
        if (isCommit(sql)) losing();
      },
      prepare(sql: string) {
        const statement = prepare(sql);
        if (!isCommit(sql)) return statement;
        const run = () => {
          const result = statement.run();
          losing();
          return result;
        };
        return { reader: false, run };
      },
    });
  };
  knex.initialize();
}

async function openLossyMariadb(): Promise<OpenedLossyStore> {
  const { one, other, url, close } = await openDatabases('MariaDB');
  if (one === undefined || other === undefined) throw new Error('no database');
  const proxy = await lossyProxy(Number(new URL(url).port));
  const way = new URL(url);
  way.port = String(proxy.port);
  const lossy = openUrl(way.href);
  if (lossy === undefined) throw new Error('no database');
  let armed = 0;
  return {
    ...knexRepositories(lossy),
    other: knexRepositories(other),
    deleteUser: (id) =>
      writing(other, async () => other('users').where({ id }).delete(), { found: null }),
    loseNextAnswer() {
      armed += 1;
      proxy.loseNextAnswer();
    },
    async close() {
      await lossy.destroy();
      await proxy.close();
      await close();
      checkLost(armed, proxy.lost);
    },
  };
}

/** Losses one by one: `losing` throws once for each call of `loseNextAnswer`. */
function losses() {
  let [armed, lost] = [0, 0];
  return {
    loseNextAnswer: () => {
      armed += 1;
    },
    losing: () => {
      if (lost === armed) return;
      lost += 1;
      const error = new Error('the connection ended before the answer');
      throw Object.assign(error, { code: 'ECONNRESET' });
    },
    close: () => checkLost(armed, lost),
  };
}

function checkLost(armed: number, lost: number): void {
  if (armed !== lost) throw new Error(`${lost} of ${armed} answers were lost`);
}
