import { execFile } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { trendOf } from '../../bench/trend.ts';
import { isAvailable } from '../support/stores.ts';

// That `npm run bench -- soak` can be trusted when somebody has half an hour for it.

const soak = suite('The soak');

for (const store of ['sqlite', 'mariadb'] as const) {
  const title = `runs for a moment on ${store}, and nothing strange comes`;
  const test = async () => {
    const { code, text } = await run({ MINUTES: '0.2', STORES: store, FROM: 'source' });
    assert.is(code, 0, text);
    assert.match(text, /^0 of 600 replies are strange$/m);
    for (const figure of ['memory MB', 'p50 ms', 'p99 ms', 'handles', 'of these sockets']) {
      assert.match(
        text,
        new RegExp(`'${figure}' +│ '\\d+\\.\\d' +│ '\\d+\\.\\d' +│ '-?\\d+\\.\\d\\d'`),
      );
    }
    for (const kind of ['register', 'delete', 'login', 'wrong password', 'refresh', '/protected']) {
      assert.match(text, `'${kind}'`);
    }
  };
  if (store === 'sqlite' || isAvailable('MariaDB')) soak(title, test);
  else soak.skip(title, test);
}

soak('finds a slope, and how sure it is of it', () => {
  const line = [0, 1, 2, 3].map((at) => ({ at, value: 5 + 2 * at }));
  assert.equal(trendOf(line), { slope: 2, error: 0 });
  const bent = trendOf([0, 1, 2].map((at) => ({ at, value: at === 1 ? 3 : 0 })));
  assert.is(bent.slope, 0);
  assert.ok(Math.abs(bent.error - Math.sqrt(3)) < 1e-9);
  assert.ok(Number.isNaN(trendOf(line.slice(0, 2)).error));
});

soak.run();

function run(
  more: Readonly<Record<string, string>>,
): Promise<{ code: number | null; text: string }> {
  const { PATH, HOME } = process.env;
  const options = { env: { PATH, HOME, ...more }, timeout: 120_000 };
  const args = ['--import', 'tsx', 'bench/soak.ts'];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, options, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, text: `${stdout}${stderr}` });
    });
  });
}
