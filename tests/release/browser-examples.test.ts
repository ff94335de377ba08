import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { assertAccessible, inBrowser, type PageOptions, withPage } from '../support/browser.ts';
import { installExample, withPackage } from '../support/package.ts';
import { freePort, temporaryFolder } from '../support/programs.ts';
import { ADA, call, registered, startProgram, withService } from '../support/service.ts';

// The examples for browsers, installed as their READMEs say and used as people use them.

interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** The service's. */
  readonly url: string;
}

type Visitor = (
  options: PageOptions & { readonly env?: Readonly<Record<string, string>> },
  use: (visit: Visit) => Promise<void>,
) => Promise<void>;

/** Visits of an installed example: each with a new service, a new app and a new browser. */
function visitor(program: string): Visitor {
  return async ({ env, ...options }, use) => {
    const port = String(await freePort());
    const CORS_ORIGINS = `http://localhost:${port}`;
    await withService('memory', { env: { CORS_ORIGINS, ...env } }, async ({ url }) => {
      const settings = { PORT: port, PORTCULLIS_URL: url };
      const app = await startProgram(settings, [process.execPath, program]);
      try {
        const allowed = { ...options, origins: [new URL(url).origin] };
        await withPage(app.url, allowed, (page, context) => use({ page, context, url }));
      } finally {
        assert.is(await app.end('SIGTERM'), 0);
      }
    });
  };
}

/** The single-page app: it takes nothing from the package. */
async function withPageApp(use: (visit: Visitor) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  try {
    await installExample('single-page-app', folder.path);
    await use(visitor(join(folder.path, 'server.js')));
  } finally {
    folder.remove();
  }
}

/** The Express app, on the packed package. */
function withExpressApp(use: (visit: Visitor) => Promise<void>): Promise<void> {
  return withPackage(async (packed) => {
    const folder = packed.emptyFolder('protected-express-app');
    await installExample('protected-express-app', folder);
    await use(visitor(join(folder, 'main.js')));
  });
}

const pathOf = (page: Page) => new URL(page.url()).pathname + new URL(page.url()).search;
const heading = (page: Page, name: string) =>
  page.getByRole('heading', { name, level: 1 }).waitFor();

async function signIn(page: Page, password = ADA.password): Promise<void> {
  await page.getByLabel('Email').fill(ADA.email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** In no place that a script of the page can read is there a token. */
async function assertNothingToSteal(page: Page): Promise<void> {
  assert.is(await page.evaluate('document.cookie'), '');
  const kept = 'JSON.stringify({ ...localStorage, ...sessionStorage })';
  assert.not.match(await page.evaluate<string>(kept), /eyJ|token/);
}

/** By anybody, in light and dark; on a narrow screen, and there with text of twice the size. */
async function assertUsable(page: Page): Promise<void> {
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme });
    await assertAccessible(page);
  }
  const wide = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 640 });
  const tooWide = 'document.documentElement.scrollWidth - innerWidth';
  assert.is(await page.evaluate(tooWide), 0, pathOf(page));
  await page.evaluate('document.documentElement.style.setProperty("font-size", "200%")');
  assert.is(await page.evaluate(tooWide), 0, `${pathOf(page)}, large`);
  await page.evaluate('document.documentElement.style.removeProperty("font-size")');
  if (wide) await page.setViewportSize(wide);
}

const examples = suite('The examples for browsers');
const it = inBrowser(examples);

const GREETING = 'Hello, Ada. This is a protected route.';

it('sign in from a single-page app of another origin', () =>
  withPageApp(async (visit) => {
    await visit({}, async ({ page, context, url }) => {
      const bodies: Promise<string>[] = [];
      context.on('response', (response) => {
        const isReply = response.url().startsWith(url) && response.status() === 200;
        if (isReply && response.request().method() === 'POST') bodies.push(response.text());
      });

      // Whoever is nobody yet is sent away from a user's page, and comes back to it as somebody.
      await page.goto('/sessions');
      await heading(page, 'Sign in');
      assert.is(pathOf(page), '/sign-in?next=%2Fsessions');
      await assertUsable(page);
      await page.getByRole('link', { name: 'Create one' }).click();
      await heading(page, 'Create an account');
      await assertUsable(page);
      await page.getByLabel('Username').fill(ADA.username);
      await page.getByLabel('Email').fill(ADA.email);
      await page.getByLabel('Password', { exact: true }).fill(ADA.password);
      await page.getByLabel('Password again').fill(ADA.password);
      await page.getByRole('button', { name: 'Create account' }).click();
      await heading(page, 'Sessions');
      assert.is(pathOf(page), '/sessions');

      await page.getByRole('link', { name: 'Account' }).click();
      await heading(page, GREETING);
      assert.is(await page.title(), `${GREETING} – Single-page app`);
      assert.is(await page.evaluate('document.activeElement.tagName'), 'H1');
      assert.match(await page.locator('dl').innerText(), ADA.email);
      await assertUsable(page);

      await assertNothingToSteal(page);
      const [cookie, ...others] = await context.cookies();
      assert.is(others.length, 0);
      assert.is(cookie?.name, 'portcullis_refresh_token');
      assert.ok(cookie?.httpOnly);
      assert.is(cookie?.sameSite, 'Strict');

      for (const path of ['/account', '/sign-in?next=/nowhere', '/register']) {
        await page.goto(path);
        await heading(page, GREETING);
        assert.is(pathOf(page), '/account');
      }
      await page.reload();
      await heading(page, GREETING);

      await call(url, 'POST /login', {
        json: { email: ADA.email, password: ADA.password },
        headers: { 'User-Agent': '<b>curl</b>' },
      });
      await page.getByRole('link', { name: 'Sessions' }).click();
      const items = page.getByRole('listitem');
      await items.nth(1).waitFor();
      await assertUsable(page);
      assert.is(await page.getByText('This browser').count(), 1);
      await page.getByRole('button', { name: 'Sign out there: <b>curl</b>' }).click();
      await page.getByText('Signed out there.').waitFor();
      assert.is(await items.count(), 1);

      // Every tab hears of it, and the session is over at the service.
      const other = await context.newPage();
      await other.goto('/account');
      await heading(other, GREETING);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('You have signed out.').waitFor();
      await heading(other, 'Sign in');
      assert.equal(await context.cookies(), []);
      const json = { refresh_token: cookie?.value };
      assert.is((await call(url, 'POST /refresh', { json })).status, 401);
      await page.goBack();
      await heading(page, 'Sign in');
      await page.goto('/account');
      await heading(page, 'Sign in');
      await signIn(other);
      await heading(other, GREETING);
      await heading(page, GREETING);

      await page.goto('/nowhere');
      await heading(page, 'There is no such page');
      await assertAccessible(page);
      const all = await Promise.all(bodies);
      assert.ok(all.length > 3);
      for (const body of all) assert.not.match(body, 'refresh_token');
    });

    // Nothing of what a link says leads elsewhere.
    await visit({}, async ({ page, url }) => {
      await registered(url);
      for (const next of [
        'https://evil.example',
        '//evil.example',
        '/\\evil.example',
        '/sign-in',
      ]) {
        await page.goto(`/sign-in?next=${encodeURIComponent(next)}`);
        await signIn(page);
        await heading(page, GREETING);
        assert.is(pathOf(page), '/account');
        await page.getByRole('button', { name: 'Sign out' }).click();
        await page.getByText('You have signed out.').waitFor();
      }
    });

    const failures = [401, 'net::ERR_FAILED'];
    await visit({ env: { ACCESS_TOKEN_TTL: '4s', REFRESH_ROTATION: 'on' }, failures }, lateOrOver);
  }));

/** Where access tokens soon expire, and each refresh replaces the cookie. */
async function lateOrOver({ page, context, url }: Visit): Promise<void> {
  await registered(url);
  await page.goto('/account');
  await signIn(page, 'wrong horse');
  await page.getByText('Invalid email or password').waitFor();
  await assertAccessible(page);
  await page.route('**/login', (route) => route.abort());
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The service cannot be reached.').waitFor();
  await page.unrouteAll();
  await signIn(page);
  await heading(page, GREETING);

  // In silence, and once for all who ask at once.
  await page.waitForTimeout(4_500);
  let refreshes = 0;
  context.on('request', (request) => {
    if (request.url().endsWith('/refresh')) refreshes += 1;
  });
  await page.getByRole('link', { name: 'Sessions' }).click();
  await heading(page, 'Sessions');
  await page.waitForTimeout(4_500);
  await page.getByRole('link', { name: 'Account' }).click();
  await heading(page, GREETING);
  assert.is(refreshes, 2);
  const tabs = await Promise.all([1, 2, 3].map(() => context.newPage()));
  await Promise.all(tabs.map((tab) => tab.goto('/account')));
  for (const tab of tabs) await heading(tab, GREETING);
  for (const tab of tabs) await tab.close();

  const [cookie] = await context.cookies();
  await call(url, 'POST /logout', { json: { refresh_token: cookie?.value } });
  await page.reload();
  await page.getByText('Your session has ended. Please sign in again.').waitFor();
  assert.is(pathOf(page), '/sign-in?next=%2Faccount');
  assert.equal(await context.cookies(), []);
  await assertAccessible(page);
}

it('sign in to pages of an Express app', () =>
  withExpressApp(async (visit) => {
    await visit({ failures: [401] }, async ({ page, context, url }) => {
      const { access_token: token } = await registered(url);
      await page.goto('/');
      await heading(page, 'A notebook');
      await assertUsable(page);
      assert.equal(await context.cookies(), []);
      await page.getByRole('link', { name: 'Your notes', exact: true }).click();
      assert.is(pathOf(page), '/sign-in?next=%2Fnotes');
      await assertUsable(page);
      const [anonymous] = await context.cookies();
      await signIn(page, 'wrong horse');
      await page.getByText('Invalid email or password').waitFor();
      assert.is(await page.getByLabel('Email').inputValue(), ADA.email);
      assert.is(await page.evaluate('document.activeElement.id'), 'password');
      await assertAccessible(page);
      await signIn(page);
      await heading(page, 'Your notes');
      assert.is(pathOf(page), '/notes');
      await page.getByText('Signed in as Ada, ada@example.com.').waitFor();
      await assertNothingToSteal(page);
      const [cookie, ...others] = await context.cookies();
      assert.is(others.length, 0);
      assert.is.not(cookie?.value, anonymous?.value);
      assert.ok(cookie?.httpOnly);
      assert.is(cookie?.sameSite, 'Lax');
      assert.not.match(cookie?.value ?? '', 'eyJ');

      const note = '<script>document.title = 1</script> & "more"';
      await page.getByLabel('Another note').fill(note);
      await page.getByRole('button', { name: 'Add' }).click();
      await page.getByText(note).waitFor();
      await page.reload();
      assert.is(await page.getByRole('listitem').innerText(), note);
      await assertUsable(page);
      assert.is(await sessionCount(url, token), 2);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await heading(page, 'A notebook');
      assert.equal(await context.cookies(), []);
      assert.is(await sessionCount(url, token), 1);
      // Neither the browser nor who has kept the cookie comes back.
      await page.goBack();
      await heading(page, 'Sign in');
      if (cookie) await context.addCookies([cookie]);
      await page.goto('/notes');
      await heading(page, 'Sign in');
    });

    const env = { ACCESS_TOKEN_TTL: '4s', REFRESH_ROTATION: 'on' };
    await visit({ env, failures: [404] }, async ({ page, context, url }) => {
      const { access_token: token } = await registered(url);
      await page.goto('/nowhere');
      await heading(page, 'There is no such page');
      await page.goto('/sign-in?next=//evil.example');
      await signIn(page);
      await heading(page, 'Your notes');
      await page.waitForTimeout(4_500); // The access token has expired.
      const tabs = await Promise.all([1, 2, 3].map(() => context.newPage()));
      await Promise.all(tabs.map((tab) => tab.goto('/notes')));
      for (const tab of tabs) await heading(tab, 'Your notes');
      await page.waitForTimeout(4_500);
      await page.reload();
      await heading(page, 'Your notes');
      const again = await call(url, 'POST /login', {
        json: { email: ADA.email, password: ADA.password },
      });
      const fresh = (again.json as { access_token: string }).access_token;
      assert.ok(token);
      await call(url, 'POST /logout-all', { token: fresh });
      await page.waitForTimeout(4_500);
      await page.reload();
      await heading(page, 'Sign in');
    });
  }));

async function sessionCount(url: string, token: string): Promise<number> {
  const { json } = await call(url, 'GET /sessions', { token });
  return (json as unknown[]).length;
}

examples.run();
