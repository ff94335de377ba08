import { createServer } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { assertAccessible, inBrowser, type PageOptions, withPage } from '../support/browser.ts';

// What the tests in a browser promise to notice is planted here.

const harness = suite('The tests in a browser');
const it = inBrowser(harness);

const PAGE = (content: string) =>
  `<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1>${content}</main></html>`;

/** Says what goes wrong where the page holds this, and its server answers all else with 404. */
async function problemsOf(
  content: string,
  options: PageOptions = {},
  script = '0',
): Promise<string> {
  const policy = "default-src 'none'; script-src 'unsafe-inline'; connect-src *; img-src data:";
  const server = createServer((request, response) => {
    const isPage = request.url === '/';
    const headers = { 'Content-Type': 'text/html', 'Content-Security-Policy': policy };
    response.writeHead(isPage ? 200 : 404, headers).end(isPage ? PAGE(content) : '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://localhost:${typeof address === 'object' ? address?.port : 0}`;
  try {
    await withPage(url, options, async (page) => {
      await page.goto('/');
      await page.evaluate(script);
      await assertAccessible(page);
    });
    return '';
  } catch (fault) {
    return String(fault);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

it('find nothing wrong with a good page', async () => {
  const icon = '<link rel="icon" href="data:,">';
  assert.is(await problemsOf(icon), '');
});

for (const [what, content, found, script] of [
  ['an error on the console', '<script>console.error("oh")</script>', 'console: oh'],
  ['an error of a script', '<script>setTimeout(() => { throw Error("oh") })</script>', 'script: '],
  ['a breach of the policy', '<p style="color: red">Red</p>', 'CSP: style-src'],
  ['a request that failed', '', 'status of 404', 'fetch("/x").then(() => 0)'],
  [
    'a request to elsewhere',
    '',
    'request: http://127',
    'fetch("http://127.0.0.1:9/").catch(() => 0)',
  ],
  ['what is in the way', '<img src="data:,">', 'image-alt'],
] as const) {
  it(`notice ${what}`, async () => {
    assert.match(await problemsOf(`<link rel="icon" href="data:,">${content}`, {}, script), found);
  });
}

it('let a failure be that the test brings about, and notice where it does not', async () => {
  const icon = '<link rel="icon" href="data:,">';
  const options = { failures: [404] };
  assert.is(await problemsOf(icon, options, 'fetch("/x").then(() => 0)'), '');
  assert.match(await problemsOf(icon, options), 'no request failed by 404');
});

harness.run();
