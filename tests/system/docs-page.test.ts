import type { Page } from 'playwright-core';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { endpoints } from '../../src/adapters/http/contract/endpoints.ts';
import { assertAccessible, inBrowser, withPage } from '../support/browser.ts';
import { registered, withService } from '../support/service.ts';

const page = suite('The reference of the API');
const test = inBrowser(page);

const formOf = (shown: Page, endpoint: string) =>
  shown.getByRole('form', { name: `Try ${endpoint}`, exact: true });

const tokenIn = (shown: Page) => shown.getByRole('textbox', { name: 'Access token' });

async function openDocs(shown: Page): Promise<void> {
  await shown.goto('/docs');
  await shown.locator('main[aria-busy=false]').waitFor();
}

/** Sends, and returns what is said of the reply. */
async function sendBy(shown: Page, endpoint: string, wanted: RegExp): Promise<string> {
  const form = formOf(shown, endpoint);
  await form.getByRole('button', { name: 'Send' }).click();
  const status = form.getByRole('status').filter({ hasText: wanted });
  await status.waitFor();
  return (await status.textContent()) ?? '';
}

test('has somebody register, sign in and call /protected, with the token filled in', () =>
  withService('memory', {}, ({ url }) =>
    withPage(url, { failures: [401] }, async (shown) => {
      await openDocs(shown);
      await sendBy(shown, 'GET /protected', /^401 Unauthorized/);
      assert.match(
        (await formOf(shown, 'GET /protected').textContent()) ?? '',
        'Token is missing!',
      );
      const token = tokenIn(shown);
      for (const [endpoint, wanted] of [
        ['POST /register', /^201 Created/],
        ['POST /login', /^200 OK/],
      ] as const) {
        await token.fill('');
        const said = await sendBy(shown, endpoint, wanted);
        assert.match(said, 'The access token is filled in');
        assert.match(await token.inputValue(), /^[\w-]+\.[\w-]+\.[\w-]+$/);
        await sendBy(shown, 'GET /protected', /^200 OK/);
        const reply = formOf(shown, 'GET /protected').getByRole('group', { name: 'Reply' });
        assert.match((await reply.textContent()) ?? '', 'Hello, Ada. This is a protected route.');
      }
      await sendBy(shown, 'POST /refresh', /^200 OK/);
      await sendBy(shown, 'POST /logout', /^204/);
      await sendBy(shown, 'POST /refresh', /^401/);
    }),
  ));

test('has every endpoint, and a way to each', () =>
  withService('memory', {}, ({ url }) =>
    withPage(url, {}, async (shown) => {
      await openDocs(shown);
      const table = endpoints({ isReady: async () => true });
      assert.ok(table.length > 10);
      for (const { method, path } of table) {
        const link = shown
          .getByRole('navigation')
          .getByRole('link', { name: `${method} ${path}`, exact: true });
        await link.click();
        const id = new URL(shown.url()).hash.slice(1);
        const heading = shown.locator(`[id="${id}"] h3`);
        assert.match((await heading.textContent()) ?? '', `${method} ${path}`);
        assert.is(await formOf(shown, `${method} ${path}`).count(), 1);
      }
      assert.is(await shown.getByRole('form', { name: /^Try/ }).count(), table.length);
    }),
  ));

test('sends what is filled in, and only that, and says how curl would', () =>
  withService('memory', {}, async ({ url }) => {
    await registered(url);
    await registered(url, { email: 'b@example.com', username: "O'Neil <b>" });
    await withPage(url, { failures: [400, 404] }, async (shown) => {
      await openDocs(shown);
      const list = formOf(shown, 'GET /users');
      await list.getByText('Options').click();
      await list.getByLabel('limit').fill('1');
      await list.getByLabel('after').fill('1');
      await sendBy(shown, 'GET /users', /^200/);
      const reply = (await list.getByRole('group', { name: 'Reply' }).textContent()) ?? '';
      assert.match(reply, "O'Neil <b>");
      assert.not.match(reply, 'ada@example.com');
      await list.getByText('The same with curl').click();
      const curl = (await list.getByRole('group', { name: 'curl' }).textContent()) ?? '';
      assert.match(curl, `curl -X GET '${url}/users?limit=1&after=1'`);
      await list.getByLabel('limit').fill('0');
      await sendBy(shown, 'GET /users', /^400 Bad Request/);
      await formOf(shown, 'POST /login').getByLabel('password').fill("it's wrong");
      await formOf(shown, 'POST /login').getByLabel('email').fill('');
      await sendBy(shown, 'POST /login', /^400/);
      await formOf(shown, 'POST /register').getByLabel('email').fill('c@example.com');
      await sendBy(shown, 'POST /register', /^201/);
      await formOf(shown, 'DELETE /sessions/{id}').getByLabel('id').fill('../account');
      await sendBy(shown, 'DELETE /sessions/{id}', /^404/);
    });
  }));

test('shows nothing as HTML that anybody has sent', () =>
  withService('memory', {}, async ({ url }) => {
    const username = '<img src=x onerror=alert(1)>';
    const { access_token: token } = await registered(url, { username });
    await withPage(url, {}, async (shown) => {
      await openDocs(shown);
      await tokenIn(shown).fill(token);
      await sendBy(shown, 'GET /protected', /^200/);
      const reply = formOf(shown, 'GET /protected').getByRole('group', { name: 'Reply' });
      assert.match((await reply.textContent()) ?? '', username);
      assert.is(await reply.locator('img').count(), 0);
    });
  }));

test('prefills no password that would change or delete an account', () =>
  withService('memory', {}, ({ url }) =>
    withPage(url, { failures: [400] }, async (shown) => {
      await openDocs(shown);
      await sendBy(shown, 'POST /register', /^201/);
      for (const endpoint of ['POST /password', 'DELETE /account']) {
        for (const field of await formOf(shown, endpoint).locator('input').all()) {
          assert.is(await field.inputValue(), '', endpoint);
        }
        await sendBy(shown, endpoint, /^400/);
      }
      await sendBy(shown, 'GET /protected', /^200/);
    }),
  ));

test('begins with what it is where there is little room, the links folded', () =>
  withService('memory', {}, ({ url }) =>
    withPage(url, { viewport: { width: 390, height: 800 } }, async (shown) => {
      await openDocs(shown);
      const link = shown.getByRole('navigation').getByRole('link', { name: 'POST /login' });
      assert.not(await link.isVisible());
      const heading = await shown.getByRole('heading', { name: 'The API' }).boundingBox();
      assert.ok((heading?.y ?? 800) < 200, `it begins at ${heading?.y}`);
      await shown.getByText('Endpoints', { exact: true }).click();
      assert.ok(await link.isVisible());
      const tops = await shown.evaluate<number[]>(`(() => {
        const groups = [...document.querySelectorAll('.lists .group')];
        const boxes = groups.map((each) => each.getBoundingClientRect());
        return [...new Set(boxes.map(({ left }) => left))].map((left) =>
          Math.min(...boxes.filter((box) => box.left === left).map(({ top }) => top)));
      })()`);
      assert.is(tops.length, 2);
      assert.is(tops[0], tops[1]);
      await shown.setViewportSize({ width: 1280, height: 800 });
      await link.waitFor();
    }),
  ));

test('can be used by the keyboard alone', () =>
  withService('memory', {}, ({ url }) =>
    withPage(url, {}, async (shown) => {
      await openDocs(shown);
      const username = formOf(shown, 'POST /register').getByLabel('username');
      await username.focus();
      await shown.keyboard.press('Enter');
      await formOf(shown, 'POST /register')
        .getByRole('status')
        .filter({ hasText: /^201/ })
        .waitFor();
      const focused = 'document.activeElement?.id';
      assert.is(await shown.evaluate(focused), 'registerUser-username', 'the focus stays');
    }),
  ));

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [320, 1280]) {
    test(`is accessible at ${width} pixels in the ${colorScheme}, and fits`, () =>
      withService('memory', {}, ({ url }) =>
        withPage(url, { colorScheme, viewport: { width, height: 800 } }, async (shown) => {
          await openDocs(shown);
          await sendBy(shown, 'POST /register', /^201/);
          await shown.evaluate(
            "document.querySelectorAll('details').forEach((d) => (d.open = true))",
          );
          await assertAccessible(shown);
          const overflow = 'document.documentElement.scrollWidth - innerWidth';
          assert.ok(Number(await shown.evaluate(overflow)) <= 0);
          await shown.evaluate('document.documentElement.style.setProperty("font-size", "200%")');
          assert.ok(Number(await shown.evaluate(overflow)) <= 0, 'with large text');
        }),
      ));
  }
}

test('says so where there is no document', () =>
  withService('memory', {}, ({ url }) =>
    withPage(url, { failures: [503] }, async (shown) => {
      await shown.route('**/openapi.json', (route) => route.fulfill({ status: 503 }));
      await openDocs(shown);
      const alert = shown.getByRole('alert');
      assert.match((await alert.textContent()) ?? '', '/openapi.json is answered with 503');
      await shown.unroute('**/openapi.json');
      await shown.getByRole('button', { name: 'Try again' }).click();
      await formOf(shown, 'POST /login').waitFor();
    }),
  ));

page.run();
