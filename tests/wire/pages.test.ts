import { readdirSync, readFileSync } from 'node:fs';
import fileSystem from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pages } from '../../src/adapters/pages/pages.ts';
import { assertReply, call, rawRequest, registered, withService } from '../support/service.ts';

// What the pages are to a client of HTTP; tests/system/account-pages.test.ts has them in a browser.

const HTML = { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };
const FOLDER = 'src/adapters/pages';
const NOT_SHOWN = ['pages.ts', 'tsconfig.json'];

const http = suite('The pages over HTTP');

http('are each what they say they are, and nobody else’s to frame or to change', () =>
  withService('memory', {}, async ({ url }) => {
    const types: Record<string, string> = {
      js: 'text/javascript; charset=utf-8',
      css: 'text/css; charset=utf-8',
      svg: 'image/svg+xml',
    };
    let seen = 0;
    for (const { path } of pages()) {
      const { status, headers, text } = await call(url, `GET ${path}`, { headers: HTML });
      if (path.startsWith('/.well-known/')) continue;
      seen += 1;
      assert.is(status, 200, path);
      const extension = /\.(\w+)$/.exec(path)?.[1] ?? '';
      assert.is(headers.get('content-type'), types[extension] ?? 'text/html; charset=utf-8', path);
      assert.is(headers.get('cache-control'), 'no-cache');
      assert.is(headers.get('x-content-type-options'), 'nosniff');
      assert.is(headers.get('referrer-policy'), 'no-referrer');
      const policy = headers.get('content-security-policy') ?? '';
      assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/);
      assert.match(policy, "frame-ancestors 'none'");
      assert.match(policy, "base-uri 'none'");
      assert.is(Number(headers.get('content-length')), Buffer.byteLength(text));
    }
    assert.ok(seen > 15, `${seen} pages`);
  }),
);

http('are all that is in their folder, and lead to nothing that is not there', () =>
  withService('memory', {}, async ({ url }) => {
    const served = new Set<string>();
    const links = new Set<string>();
    for (const { path } of pages()) {
      const { text } = await call(url, `GET ${path}`, { headers: HTML });
      served.add(text);
      for (const [, link = ''] of text.matchAll(
        /(?:href|src|action|from)[= ]["'](\.?\/[^"']*)["']/g,
      )) {
        links.add(new URL(link, `${url}${path}`).pathname);
      }
    }
    const files = readdirSync(FOLDER).filter((file) => !NOT_SHOWN.includes(file));
    assert.ok(files.length > 15);
    for (const file of files)
      assert.ok(served.has(readFileSync(`${FOLDER}/${file}`, 'utf8')), file);
    assert.ok(links.size > 15, `${links.size} links`);
    for (const link of links) {
      assert.is((await call(url, `GET ${link}`, { headers: HTML })).status, 200, link);
    }
  }),
);

http('are sent again only where they have changed', () =>
  withService('memory', {}, async ({ url }) => {
    const first = await call(url, 'GET /account/sign-in');
    const tag = first.headers.get('etag') ?? '';
    assert.match(tag, /^"[\w-]{22}"$/);
    for (const list of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
      const headers = { 'If-None-Match': list };
      const again = await call(url, 'GET /account/sign-in', { headers });
      assert.is(again.status, 304, list);
      assert.is(again.text, '');
      assert.is(again.headers.get('etag'), tag);
    }
    const headers = { 'If-None-Match': '"x"' };
    assert.is((await call(url, 'GET /account/sign-in', { headers })).status, 200);
    assert.is.not((await call(url, 'GET /account/register')).headers.get('etag'), tag);
  }),
);

http('are read again where they could not be read before', () => {
  const nothing = () => {};
  const log = { info: nothing, alert: nothing, audit: nothing, error: nothing };
  return withService('memory', { overrides: { log } }, async ({ url }) => {
    const { readFile } = fileSystem;
    const fail = () => Promise.reject(new Error('too many files are open'));
    Object.assign(fileSystem, { readFile: fail });
    syncBuiltinESMExports();
    try {
      assert.is((await call(url, 'GET /account/sign-in')).status, 500);
    } finally {
      fileSystem.readFile = readFile;
      syncBuiltinESMExports();
    }
    assert.is((await call(url, 'GET /account/sign-in')).status, 200);
  });
});

http('are for GET and HEAD alone', () =>
  withService('memory', {}, async ({ url }) => {
    const head = await call(url, 'HEAD /');
    assert.is(head.status, 200);
    assert.is(head.text, '');
    const whole = (await call(url, 'GET /')).headers.get('content-length');
    assert.is(head.headers.get('content-length'), whole);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await call(url, `${method} /account/sign-in`);
      assertReply(answer, 405, { message: 'Method not allowed' });
      assert.is(answer.headers.get('allow'), 'GET, HEAD');
    }
  }),
);

http('have no way to any other file', () =>
  withService('memory', {}, async ({ url }) => {
    for (const path of [
      '/assets/',
      '/assets/pages.ts',
      '/assets/../package.json',
      '/assets/..%2fpages.ts',
      '/assets/%2e%2e/pages.ts',
      '/assets/....//pages.ts',
      '/assets/form.js/',
      '/assets/form.js%00',
      '/assets/constructor',
      '/assets//etc/passwd',
      '//account',
      '/account/',
      '/Account/sign-in',
      '/constructor',
      '/__proto__',
    ]) {
      // As it stands: fetch would tidy the path up.
      const request = `GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n`;
      const reply = await rawRequest(url, request);
      assert.match(reply, /^HTTP\/1\.1 404 /, path);
      assert.match(reply, '{"message":"Not found"}', path);
    }
  }),
);

http('take GET /account from nobody who does not ask for text/html by name', () =>
  withService('memory', {}, async ({ url }) => {
    const { access_token: token } = await registered(url);
    const asked = async (accept: string) => {
      const { status, headers } = await call(url, 'GET /account', {
        token,
        headers: { Accept: accept },
      });
      assert.is(status, 200);
      assert.match(headers.get('vary') ?? '', /\bAccept\b/);
      return headers.get('content-type')?.split(';')[0];
    };
    for (const accept of ['', '*/*', 'application/json', 'text/*', 'text/html;q=0, */*']) {
      assert.is(await asked(accept), 'application/json', accept);
    }
    for (const accept of [
      'text/html',
      'TEXT/HTML;q=0.5',
      HTML.Accept,
      'application/json, text/html',
    ]) {
      assert.is(await asked(accept), 'text/html', accept);
    }
    const none = await call(url, 'GET /account', { headers: { Accept: '*/*' } });
    assertReply(none, 401, { message: 'Token is missing!' });
  }),
);

http('keep what a host says of origins', () => {
  const origin = 'https://app.example.com';
  return withService('memory', { env: { CORS_ORIGINS: origin } }, async ({ url }) => {
    const { access_token: token } = await registered(url);
    const { headers } = await call(url, 'GET /account', { token, headers: { Origin: origin } });
    assert.is(headers.get('access-control-allow-origin'), origin);
    assert.match(headers.get('vary') ?? '', /\bOrigin\b/);
  });
});

http('tell password managers where a password is changed', () =>
  withService('memory', {}, async ({ url }) => {
    const reply = await fetch(`${url}/.well-known/change-password`, { redirect: 'manual' });
    assert.is(reply.status, 302);
    assert.is(reply.headers.get('location'), '/account/password');
  }),
);

http('are not there with PAGES=off, nor is anything else changed', () =>
  withService('memory', { env: { PAGES: 'off' } }, async ({ url }) => {
    const told = async (endpoint: string) => {
      const { status, headers, text } = await call(url, endpoint, { headers: HTML });
      return { status, headers: [...headers].filter(([name]) => name !== 'date'), text };
    };
    const rows = pages();
    assert.ok(rows.length > 15);
    for (const { path } of rows.filter((row) => row.path !== '/account')) {
      for (const method of ['GET', 'HEAD', 'POST']) {
        assert.equal(await told(`${method} ${path}`), await told(`${method} /nowhere`), path);
      }
    }
    const { access_token: token } = await registered(url);
    const account = await call(url, 'GET /account', { token, headers: HTML });
    assert.is(account.headers.get('content-type'), 'application/json; charset=utf-8');
    assert.is(account.headers.get('vary'), null);
    const none = await call(url, 'GET /account', { headers: HTML });
    assertReply(none, 401, { message: 'Token is missing!' });
  }),
);

http.run();
