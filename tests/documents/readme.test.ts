import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/adapters/config/config.ts';
import { endpoints } from '../../src/adapters/http/contract/endpoints.ts';
import { inBrowser, withPage } from '../support/browser.ts';
import { EVERYTHING } from '../../tools/openapi-record.ts';
import { registered, withService } from '../support/service.ts';

// The README is the front door: what it says is tried.

const README = readFileSync('README.md', 'utf8');
const SECURITY = readFileSync('docs/security.md', 'utf8');

function block(language: string, containing: string): string {
  const blocks = [...README.matchAll(/```(\w*)\n([^]*?)```/g)];
  const found = blocks.find(
    ([, name, text = '']) => name === language && text.includes(containing),
  );
  if (found?.[2] === undefined) throw new Error(`no ${language} block with ${containing}`);
  return found[2];
}

const readme = suite('The README');

inBrowser(readme)('has a script for pages of another origin that does what it says', async () => {
  const script = block('js', 'Refresh-Token-Mode');
  const app = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end('<!doctype html><link rel="icon" href="data:,"><title>An app</title>');
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const origin = `http://localhost:${(app.address() as AddressInfo).port}`;
  try {
    await withService('memory', { env: { CORS_ORIGINS: origin } }, async ({ url }) => {
      await registered(url);
      await withPage(origin, { origins: [url], failures: [400] }, async (page, context) => {
        const run = (code: string) => {
          const here = code.replace('http://localhost:8000', url);
          return page.evaluate<string>(`(async () => { ${here}; return message; })()`);
        };
        await page.goto('/');
        const [beforeLogout = ''] = script.split("await post('/logout')");
        assert.is(await run(beforeLogout), 'Hello, Ada. This is a protected route.');
        assert.is(await page.evaluate('document.cookie'), '');
        assert.is((await context.cookies()).length, 1);
        // After a reload, without the sign-in.
        await page.reload();
        const afterReload = beforeLogout.replace(/^await post\('\/login'.*$/m, '');
        assert.is.not(afterReload, beforeLogout);
        assert.is(await run(afterReload), 'Hello, Ada. This is a protected route.');
        assert.is(await run(script), 'Hello, Ada. This is a protected route.');
        assert.equal(await context.cookies(), []);
        assert.is(
          await page.evaluate(`fetch('${url}/refresh', {
          method: 'POST', credentials: 'include', headers: { 'Refresh-Token-Mode': 'cookie' },
        }).then(({ status }) => status)`),
          400,
        );
      });
    });
  } finally {
    app.close();
    app.closeAllConnections();
  }
});

readme('lists every endpoint with its fields', () => {
  for (const { method, path, fields = [] } of endpoints(EVERYTHING)) {
    const row =
      README.split('\n').find((line) => line.startsWith(`| \`${method} ${path}\` |`)) ?? '';
    assert.ok(row, `${method} ${path}`);
    for (const field of fields) assert.match(row, `\`${field}\``);
  }
});

readme('lists every setting, with the default that it has', () => {
  const source = readFileSync('src/adapters/config/config.ts', 'utf8');
  const read = [...source.matchAll(/read\.(?!hasFault)\w+\(\s*'([A-Z][A-Z0-9_]+)'/g)].map(
    ([, name]) => name,
  );
  assert.ok(read.length > 15);
  for (const name of read) assert.match(README, `\`${name}\``);
  const config = readConfig({});
  const defaults: [string, unknown][] = [
    ['PORT', config.port],
    ['MAX_CONNECTIONS', config.maxConnections],
    ['DATABASE_URL', config.store.kind === 'sqlite' && `sqlite:${config.store.path}`],
    ['JWT_ISSUER', config.jwtIssuer],
    ['ACCESS_TOKEN_TTL', `${config.accessTokenTtl / 60}m`],
    ['USERS_ACCESS', config.usersAccess],
    ['PASSWORD_MIN_LENGTH', config.passwordMinLength],
    ['ARGON2_MEMORY_KIB', config.argon2.memoryKib],
    ['HASH_CONCURRENCY', config.argon2.queue],
    ['SHUTDOWN_DELAY', config.shutdownDelay],
    ['SHUTDOWN_GRACE', `${config.shutdownGrace}s`],
  ];
  for (const [name, value] of defaults) {
    const row = README.split('\n').find((line) => line.startsWith(`| \`${name}\``)) ?? '';
    assert.match(row, String(value));
  }
});

readme('draws the tree that is there, and nothing else', () => {
  const tree = block('', 'src/\n').split('\n');
  const drawn = new Set<string>();
  const isMade = new Set(['dist', 'node_modules', 'data', 'coverage']);
  let folder = '';
  for (const line of tree) {
    const [, indent = '', name = ''] = /^( *)([\w.-]+\/?) /.exec(`${line} `) ?? [];
    if (name === '') continue;
    if (indent === '') folder = name;
    const parent = indent.length === 4 ? 'src/adapters/' : indent.length === 2 ? 'src/' : '';
    assert.ok(existsSync(parent + name), `${folder} ${parent}${name}`);
    drawn.add(parent + name);
  }
  const folders = (path: string) =>
    readdirSync(path || '.', { withFileTypes: true })
      .filter((each) => each.isDirectory() && !isMade.has(each.name) && !each.name.startsWith('.'))
      .map(({ name }) => `${path}${name}/`);
  for (const path of ['', 'src/', 'src/adapters/'].flatMap(folders))
    assert.ok(drawn.has(path), path);
});

readme('leads to the tests of what docs/security.md promises', () => {
  const source = ['tests', 'src/testing']
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
    )
    .filter((file) => file.endsWith('.ts') && !file.endsWith('readme.test.ts'))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  const rowsOf = (title: string) => {
    const [, text = ''] = new RegExp(`^## ${title}\n([^]*?)\n## `, 'm').exec(SECURITY) ?? [];
    const [, , ...rows] = text.split('\n').filter((line) => line.startsWith('|'));
    return rows.map((row) => row.split(' | '));
  };
  const [invariants, attacks] = [rowsOf('Invariants'), rowsOf('Attacks')];
  const numbers = invariants.map(([number]) => Number(number?.slice(1)));
  assert.equal(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.ok(attacks.length >= 24);
  for (const row of [...invariants, ...attacks]) assert.match(row.at(-1) ?? '', /"[^"]+"/);
  const [, promises = ''] = /\n## Invariants\n([^]*?)\n## Limits\n/.exec(SECURITY) ?? [];
  for (const [, name = ''] of promises.matchAll(/"([^"]+)"/g)) {
    // As they are written, with what is filled in; in full or their beginning.
    const isThere = ["'", '"', '`'].some((quote) => source.includes(quote + name));
    assert.ok(isThere, name);
  }
});

readme.run();
