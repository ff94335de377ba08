import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { restore } from '../../src/adapters/knex/operator/backup.ts';
import { serve, type Service } from '../../src/serve.ts';
import {
  FOLDER,
  type Golden,
  GOLDEN_STORES,
  type GoldenStore,
  settingsOf,
} from '../../tools/golden.ts';
import { call } from '../support/service.ts';
import { isAvailable, withDatabaseUrl } from '../support/stores.ts';

// The contract of an upgrade: what each release left behind is opened by this one, as of the moment at which it was
// recorded; and the statements of each release are still taken, since its processes go on during an upgrade
// and after a downgrade.

const RELEASES = readdirSync(FOLDER);

const upgrade = suite('What earlier releases left');

upgrade('is on record for this one too', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.ok(RELEASES.includes(version), `npx tsx tools/golden.ts records ${version}`);
});

function read(release: string, store: GoldenStore): Golden {
  return JSON.parse(readFileSync(join(FOLDER, release, `${store}.json`), 'utf8')) as Golden;
}

/** This release on what was left, a second after it was recorded. */
async function serving(
  golden: Golden,
  databaseUrl: string,
  use: (service: Service) => Promise<void>,
): Promise<void> {
  const begun = performance.now();
  const recorded = Date.parse(golden.taken) + 1_000;
  const clock = { now: () => new Date(recorded + performance.now() - begun) };
  const service = await serve(settingsOf(databaseUrl, golden.secret, 'on'), { clock });
  try {
    await use(service);
  } finally {
    await service.stop();
  }
}

for (const release of RELEASES) {
  for (const store of GOLDEN_STORES) {
    const add = (title: string, test: () => Promise<void>) =>
      isAvailable(store)
        ? upgrade(`${release}, ${store}: ${title}`, test)
        : upgrade.skip(`${release}, ${store}: ${title}`, test);

    add('every account and token is good for what it was, and for nothing else', () =>
      withDatabaseUrl(store, async (databaseUrl) => {
        const golden = read(release, store);
        const { store: target } = settingsOf(databaseUrl, golden.secret, 'off');
        if (target.kind === 'memory') throw new Error('memory is not kept');
        await restore(target, join(FOLDER, release, `${store}.gz`));
        await serving(golden, databaseUrl, async ({ url }) => {
          assert.ok(golden.tokens.length > 8 && golden.accounts.length > 6);
          for (const { token, protected: shown, refresh } of golden.tokens) {
            assert.is((await call(url, 'GET /protected', { token })).status, shown, token);
            const json = { refresh_token: token };
            assert.is((await call(url, 'POST /refresh', { json })).status, refresh, token);
          }
          for (const { email, password, login } of golden.accounts) {
            const { status } = await call(url, 'POST /login', { json: { email, password } });
            assert.is(status, login, email);
          }
        });
      }),
    );

    add('its statements are taken, and do the same', () =>
      withDatabaseUrl(store, async (databaseUrl) => {
        const golden = read(release, store);
        await serving(golden, databaseUrl, async ({ part }) => {
          const knex = part('knex');
          if (!knex) throw new Error('no database');
          assert.ok(golden.statements.length > 50);
          for (const { sql, bindings, refused = false } of golden.statements) {
            const fault = await knex.raw(sql, bindings).then(
              () => '',
              (error: unknown) => String(error),
            );
            if (refused) assert.match(fault, /unique|duplicate/i, sql);
            else assert.is(fault, '', sql);
          }
          for (const [table, rows] of Object.entries(golden.rows)) {
            assert.is(await count(knex, table), rows, table);
          }
        });
      }),
    );
  }
}

async function count(knex: Knex, table: string): Promise<number> {
  const [row] = await knex(table).count({ count: '*' });
  return Number(row?.['count']);
}

upgrade.run();
