import { setTimeout as sleep } from 'node:timers/promises';
import type { BrowserContext, Page } from 'playwright-core';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import { assertAccessible, inBrowser, type PageOptions, withPage } from '../support/browser.ts';
import { withMethods } from '../support/fakes.ts';
import { ADA, call, registered, type ServiceOptions, withService } from '../support/service.ts';
import type { StoreName } from '../support/stores.ts';

// The pages as people have them: in a browser, against the service as it is.

interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly url: string;
}

interface Setting extends PageOptions, ServiceOptions {
  readonly store?: StoreName;
}

/** A browser at a service that knows Ada. */
function visit(setting: Setting, use: (visit: Visit) => Promise<void>): Promise<void> {
  const { store = 'memory', env, overrides, ...options } = setting;
  const service = { ...(env && { env }), ...(overrides && { overrides }) };
  return withService(store, service, async ({ url }) => {
    await registered(url);
    await withPage(url, options, (page, context) => use({ page, context, url }));
  });
}

const HEADING = 'h1:visible';

const ready = (page: Page) => page.locator('main[aria-busy=false]').waitFor();

async function signIn(page: Page, path = '/account/sign-in'): Promise<void> {
  await page.goto(path);
  await page.getByLabel('Email').fill(ADA.email);
  await page.getByLabel('Password', { exact: true }).fill(ADA.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await ready(page);
}

/** Another session of Ada's, from what calls itself so. */
async function signInFrom(url: string, device: string): Promise<void> {
  const { email, password } = ADA;
  const headers = { 'User-Agent': device };
  const { status } = await call(url, 'POST /login', { json: { email, password }, headers });
  assert.is(status, 200);
}

const problem = (page: Page) => page.locator('.error:visible').textContent();
const focused = (page: Page) => page.evaluate<string>('document.activeElement.id');
const pathOf = (page: Page) => new URL(page.url()).pathname + new URL(page.url()).search;

const flows = suite('The pages of an account');
const it = inBrowser(flows);

for (const store of ['memory', 'SQLite'] as const) {
  it(`take a newcomer from the front page to an account and out of it again, on ${store}`, () =>
    visit({ store }, async ({ page, context }) => {
      await page.goto('/');
      await page.getByRole('link', { name: 'Create an account' }).click();
      await page.getByLabel('Username').fill('Grace');
      await page.getByLabel('Email').fill('grace@example.com');
      await page.getByLabel('Password', { exact: true }).fill('anchors aweigh');
      await page.getByLabel('Password again').fill('anchors aweigh');
      await page.getByRole('button', { name: 'Create account' }).click();
      await ready(page);
      assert.is(await page.locator(HEADING).textContent(), 'Hello, Grace');
      assert.is(await page.locator('#email').innerText(), 'grace@example.com');
      assert.match(await page.locator('#since').innerText(), String(new Date().getFullYear()));

      // No script can read what the session hangs on.
      assert.is(await page.evaluate('document.cookie'), '');
      const [cookie, ...others] = await context.cookies();
      assert.is(others.length, 0);
      assert.is(cookie?.name, 'portcullis_refresh_token');
      assert.is(cookie?.httpOnly, true);
      assert.is(cookie?.sameSite, 'Strict');
      assert.is(cookie?.path, '/');
      assert.not.match(
        await page.evaluate('JSON.stringify({ ...localStorage, ...sessionStorage })'),
        /eyJ/,
      );

      await page.reload();
      await ready(page);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('You have signed out.').waitFor();
      assert.equal(await context.cookies(), []);
    }));
}

it('say so where the browser keeps no cookie, and leave no session behind', () =>
  visit({ failures: [400] }, async ({ page, url }) => {
    for (const path of ['**/login', '**/register']) {
      await page.route(path, async (route) => {
        const request = route.request();
        if (request.resourceType() !== 'fetch') return route.continue();
        // By a client of ours: the browser's own would keep the cookie.
        const headers = await request.allHeaders();
        const reply = await fetch(request.url(), {
          method: 'POST',
          headers: Object.fromEntries(
            Object.entries(headers).filter(
              ([name]) => !/^(?::|connection|content-length|host)/.test(name),
            ),
          ),
          body: request.postData(),
        });
        assert.ok(reply.headers.has('Set-Cookie'));
        return route.fulfill({ status: reply.status, body: await reply.text() });
      });
    }
    const sessionsOf = async (email: string, password: string) => {
      const { json } = await call(url, 'POST /login', { json: { email, password } });
      const { access_token: token } = json as { access_token: string };
      return (await call(url, 'GET /sessions', { token })).json as readonly unknown[];
    };
    const before = (await sessionsOf(ADA.email, ADA.password)).length;
    await page.goto('/account/sign-in');
    await page.getByLabel('Email').fill(ADA.email);
    await page.getByLabel('Password', { exact: true }).fill(ADA.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.locator('#problem').waitFor();
    const advice = 'Allow cookies for this site, and open it over https.';
    assert.is(await problem(page), `Your browser did not keep the sign-in. ${advice}`);
    assert.is(await page.getByLabel('Email').inputValue(), ADA.email);
    assert.is((await sessionsOf(ADA.email, ADA.password)).length, before + 1); // That of this look.
    await assertAccessible(page);

    await page.goto('/account/register');
    await page.getByLabel('Username').fill('Grace');
    await page.getByLabel('Email').fill('grace@example.com');
    await page.getByLabel('Password', { exact: true }).fill('anchors aweigh');
    await page.getByLabel('Password again').fill('anchors aweigh');
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.locator('#problem').waitFor();
    assert.is(
      await problem(page),
      `Your account was made, but your browser did not keep the sign-in. ${advice} Then sign in.`,
    );
    assert.is((await sessionsOf('grace@example.com', 'anchors aweigh')).length, 1);
  }));

it('sign out where the cookie is gone', () =>
  visit({ failures: [400] }, async ({ page, context, url }) => {
    await signIn(page);
    await context.clearCookies();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You have signed out.').waitFor();
    const { email, password } = ADA;
    const { json } = await call(url, 'POST /login', { json: { email, password } });
    const { access_token: token } = json as { access_token: string };
    const { json: sessions } = await call(url, 'GET /sessions', { token });
    assert.is((sessions as readonly unknown[]).length, 2); // Of the registration, and this one.
  }));

it('make up no notice that a link asks for', () =>
  visit({}, async ({ page }) => {
    for (const notice of ['ended', 'signed-out', 'everywhere', 'deleted']) {
      await page.goto(`/account/sign-in?notice=${notice}`);
      await page.getByRole('button', { name: 'Sign in', disabled: false }).waitFor();
      assert.is(await page.locator('.notice:visible').count(), 0, notice);
    }
    await signIn(page);
    await page.goto('/account?notice=password');
    await ready(page);
    assert.is(await page.locator('.notice:visible').count(), 0);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You have signed out.').waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Sign in', disabled: false }).waitFor();
    assert.is(await page.locator('.notice:visible').count(), 0);
  }));

it('say no more than is so: of what was typed, of passwords, of times', () =>
  visit(
    { env: { PASSWORD_MIN_LENGTH: '9' }, failures: ['net::ERR_INTERNET_DISCONNECTED'] },
    async ({ page, context }) => {
      const hint = async (path: string) => {
        await page.goto(path);
        const id = await page.locator('#password').getAttribute('aria-describedby');
        return page.locator(`#${id}`).textContent();
      };
      assert.match((await hint('/account/register')) ?? '', /^At least 9 characters\./);
      await signIn(page);
      assert.match((await hint('/account/password')) ?? '', /^At least 9 characters\./);
      await page.goto('/account/sessions');
      await ready(page);
      assert.match(
        await page.locator('.times:has(.made)').first().innerText(),
        /\d{4}, \d\d:\d\d;/,
      );
      await context.setOffline(true);
      await page.getByRole('button', { name: 'Sign out', exact: true }).click();
      await page.locator('#problem').waitFor();
      assert.is(await problem(page), 'You are offline. Try again when you are back.');
    },
  ));

it('fit their ways into one row', () =>
  visit({ viewport: { width: 320, height: 640 } }, async ({ page }) => {
    await signIn(page);
    for (const width of [320, 360, 390]) {
      await page.setViewportSize({ width, height: 640 });
      for (const path of ['/account', '/account/password']) {
        await page.goto(path);
        await ready(page);
        const rows =
          '[...new Set([...document.querySelectorAll(".side a")].map((a) => a.offsetTop))]';
        assert.is(await page.evaluate(`${rows}.length`), 1, `${path} at ${width}`);
      }
    }
  }));

it('can be used by the keyboard alone', () =>
  visit({ failures: [401] }, async ({ page }) => {
    const press = async (...keys: readonly string[]) => {
      for (const key of keys) await page.keyboard.press(key);
    };
    await page.goto('/account/sign-in');
    await press('Tab');
    assert.is(await page.evaluate('document.activeElement.textContent'), 'Skip to the content');
    await press('Enter', 'Tab');
    assert.is(await focused(page), 'email');
    await page.keyboard.type(ADA.email);
    await press('Tab');
    await page.keyboard.type('wrong horse');
    await press('Tab', 'Enter'); // Shows it.
    assert.is(await page.locator('#password').getAttribute('type'), 'text');
    await press('Tab', 'Enter');
    await page.locator('#problem').waitFor();
    assert.is(await focused(page), 'password');
    assert.is(await page.locator('#password').getAttribute('type'), 'password');
    await page.keyboard.type(ADA.password); // Over what was there, which is selected.
    await press('Enter');
    await ready(page);
    assert.is(await page.locator(HEADING).textContent(), 'Hello, Ada');
    await press('Tab', 'Enter');
    assert.is(await focused(page), 'content');
    await press('Shift+Tab', 'Shift+Tab', 'Shift+Tab', 'Enter');
    await page.waitForURL('**/account/sessions');
    await ready(page);
  }));

it('say what is wrong in the words of the API, beside the field, and lose nothing', () =>
  visit({ failures: [400] }, async ({ page }) => {
    await page.goto('/account/register');
    const send = () => page.getByRole('button', { name: 'Create account' }).click();
    const refused = async (message: string, field: string) => {
      await send();
      await page.getByText(message).waitFor();
      assert.is(await problem(page), message);
      assert.is(await focused(page), field);
      const input = page.locator(`#${field}`);
      assert.is(await input.getAttribute('aria-invalid'), 'true');
      assert.match((await input.getAttribute('aria-describedby')) ?? '', /\bproblem$/);
      assert.is(await page.locator('[aria-invalid]').count(), 1);
      await assertAccessible(page);
    };
    await refused('Missing required fields', 'username');
    await page.getByLabel('Username').fill('Ada');
    await page.getByLabel('Email').fill('nobody');
    await page.getByLabel('Password', { exact: true }).fill('short');
    await refused('Missing required fields', 'confirm_password');
    await page.getByLabel('Password again').fill('other');
    await refused('Passwords do not match', 'confirm_password');
    await page.getByLabel('Password again').fill('short');
    await refused('Invalid email address', 'email');
    await page.getByLabel('Email').fill(ADA.email);
    await refused('Password must be at least 8 characters', 'password');
    await page.getByLabel('Password', { exact: true }).fill(ADA.password);
    await page.getByLabel('Password again').fill(ADA.password);
    await refused('Email already registered. Please try with different email.', 'email');
    assert.is(await page.getByLabel('Username').inputValue(), 'Ada');
    assert.is(await page.getByLabel('Password', { exact: true }).inputValue(), ADA.password);
    await page.getByLabel('Username').fill('x'.repeat(256));
    await refused('Username must be at most 255 characters', 'username');
  }));

it('say how long to wait, and what is out of reach', () =>
  visit(
    { failures: [401, 429, 500, 503, 'net::ERR_INTERNET_DISCONNECTED'] },
    async ({ page, context }) => {
      await page.goto('/account/sign-in');
      await page.getByLabel('Email').fill(ADA.email);
      await page.getByLabel('Password', { exact: true }).fill('wrong horse');
      const send = () => page.getByRole('button', { name: 'Sign in' }).click();
      const told = async (text: string | RegExp) => {
        await send();
        await page.getByText(text).waitFor();
        await assertAccessible(page);
        assert.is(await page.getByLabel('Email').inputValue(), ADA.email);
        assert.is(await page.getByLabel('Password', { exact: true }).inputValue(), 'wrong horse');
      };
      await context.setOffline(true);
      await told(
        'You are offline. Try again when you are back. What you have typed is still here.',
      );
      await context.setOffline(false);
      await page.route('**/login', (route) =>
        route.fulfill({ status: 500, json: { message: 'An error occurred' } }),
      );
      await told('An error occurred. Please try again. What you have typed is still here.');
      await page.unrouteAll();
      await page.route('**/login', (route) =>
        route.fulfill({
          status: 503,
          headers: { 'Retry-After': '1' },
          json: { message: 'Service is busy. Please try again.' },
        }),
      );
      await told('Service is busy. Please try again in a second.');
      await page.unrouteAll();
      await told('Invalid email or password');
      for (let i = 0; i < 20 && !(await problem(page))?.startsWith('Too many'); i += 1) {
        await send();
        await page.locator('form[aria-busy=false]').waitFor();
      }
      await told(/^Too many attempts\. Please try again in \d+ seconds\.$/);
    },
  ));

it('show the sessions, end one, and end all', () =>
  visit({ failures: [400] }, async ({ page, url }) => {
    await signInFrom(url, 'curl/8.5.0');
    await signInFrom(url, 'Mozilla/5.0 (Windows NT 10.0; rv:143.0) Gecko/20100101 Firefox/143.0');
    await signIn(page);
    await page.getByRole('link', { name: 'Sessions' }).click();
    await page.waitForURL('**/sessions');
    await ready(page);
    const items = page.locator('.session');
    assert.is(await items.count(), 4); // With that of the registration.
    assert.match(await items.first().innerText(), /^Chrome on Linux\s+This device\s/);
    assert.is(await page.locator('.here:visible').count(), 1);
    assert.is(await items.first().getByRole('button').count(), 0);
    const firefox = items.filter({ hasText: 'Firefox on Windows' });
    const button = firefox.getByRole('button', { name: 'Sign out there' });
    const described = await button.getAttribute('aria-describedby');
    assert.is(await page.locator(`#${described}`).innerText(), 'Firefox on Windows');
    await button.click();
    await page.getByText('Signed out: Firefox on Windows').waitFor();
    assert.is(await focused(page), 'done');
    assert.is(await items.count(), 3);
    await assertAccessible(page);
    await page.reload();
    await ready(page);
    assert.is(await items.count(), 3);
    await page.getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.getByText('You have signed out everywhere.').waitFor();
    await page.goto('/account'); // Whose refresh is refused: there is no cookie.
    await page.waitForURL('**/account/sign-in');
  }));

it('change a password, and end the other sessions', () =>
  visit({ failures: [401] }, async ({ page }) => {
    await signIn(page, '/account/sign-in?next=/account/password');
    assert.is(pathOf(page), '/account/password');
    assert.is(await page.locator('[name=username]').inputValue(), ADA.email);
    await page.getByLabel('Current password').fill('wrong horse');
    await page.getByLabel('New password', { exact: true }).fill('battery staple');
    await page.getByLabel('New password again').fill('battery staple');
    const send = page.getByRole('button', { name: 'Change password' });
    await send.click();
    await page.getByText('Invalid password').waitFor();
    assert.is(await focused(page), 'current_password');
    await page.getByLabel('Current password').fill(ADA.password);
    await send.click();
    await page.getByText('Password changed. Every other session has ended.').waitFor();
    assert.is(pathOf(page), '/account'); // A reload does not say it again.
    await page.getByRole('link', { name: 'Sessions' }).click();
    await page.getByText('You are signed in nowhere else.').waitFor();
  }));

it('delete an account, for who knows its password and means it', () =>
  visit({ failures: [401] }, async ({ page, context }) => {
    await signIn(page, '/account/sign-in?next=/account/delete');
    const send = page.getByRole('button', { name: 'Delete the account' });
    await send.click();
    await page.getByText('Enter your password').waitFor();
    assert.is(await focused(page), 'password');
    await page.getByLabel('Password').fill('wrong horse');
    await send.click();
    await page.getByText('Tick the box to confirm').waitFor();
    assert.is(await focused(page), 'confirm');
    await assertAccessible(page);
    await page.getByLabel(`Delete ${ADA.email} for good`).check();
    await send.click();
    await page.getByText('Invalid password').waitFor();
    await page.getByLabel('Password').fill(ADA.password);
    await send.click();
    await page.getByText('Your account has been deleted.').waitFor();
    assert.equal(await context.cookies(), []);
    await page.getByLabel('Email').fill(ADA.email);
    await page.getByLabel('Password').fill(ADA.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Invalid email or password').waitFor();
  }));

it('go on in silence when the access token has expired', () =>
  visit({ env: { ACCESS_TOKEN_TTL: '3s' }, failures: [401] }, async ({ page, url }) => {
    await signInFrom(url, 'curl/8.5.0');
    await signIn(page, '/account/sign-in?next=/account/sessions');
    await page.waitForTimeout(3_500);
    const refreshed = page.waitForResponse('**/refresh');
    const curl = page.locator('.session').filter({ hasText: 'curl/8.5.0' });
    await curl.getByRole('button').click();
    assert.is((await refreshed).status(), 200);
    await page.getByText('Signed out: curl/8.5.0').waitFor();
  }));

it('lead to the sign-in, with a notice and back again, where the session was ended elsewhere', () =>
  visit({ failures: [401] }, async ({ page, context, url }) => {
    await signIn(page);
    const [cookie] = await context.cookies();
    await call(url, 'POST /logout', { json: { refresh_token: cookie?.value } });
    await page.goto('/account/sessions');
    await page.getByText('Your session has ended. Please sign in again.').waitFor();
    assert.equal(await context.cookies(), []);
    await assertAccessible(page);
    await page.getByLabel('Email').fill(ADA.email);
    await page.getByLabel('Password').fill(ADA.password);
    await page.keyboard.press('Enter');
    await page.waitForURL('**/account/sessions');
    await ready(page);
  }));

it('follow in every tab when one signs out, or in', () =>
  visit({}, async ({ page, context }) => {
    await signIn(page);
    const other = await context.newPage();
    await other.goto('/account/sessions');
    await ready(other);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await other.getByText('You have signed out.').waitFor();
    await page.getByText('You have signed out.').waitFor();
    await other.getByLabel('Email').fill(ADA.email);
    await other.getByLabel('Password').fill(ADA.password);
    await other.keyboard.press('Enter');
    await ready(other);
    await ready(page);
    assert.is(pathOf(page), '/account');
  }));

it('refresh in one tab after the other where each refresh replaces the token', () => {
  const { users, sessions, attempts } = memoryRepositories();
  let atOnce = 0;
  let most = 0;
  let rotations = 0;
  const counted = withMethods(sessions, {
    async rotate(rotation) {
      rotations += 1;
      most = Math.max(most, (atOnce += 1));
      await sleep(200); // Long enough for any other tab to come in between.
      atOnce -= 1;
      return sessions.rotate(rotation);
    },
  });
  const overrides = { repositories: { users, sessions: counted, attempts } };
  return visit({ env: { REFRESH_ROTATION: 'on' }, overrides }, async ({ page, context }) => {
    await signIn(page);
    rotations = 0;
    const tabs = await Promise.all([1, 2, 3, 4].map(() => context.newPage()));
    await Promise.all(tabs.map((tab) => tab.goto('/account')));
    for (const tab of tabs) await ready(tab);
    assert.is(rotations, tabs.length);
    assert.is(most, 1, 'no two tabs refresh at once');
    await page.reload();
    await ready(page);
  });
});

it('go nowhere else after a sign-in, whatever a link says', () =>
  visit({}, async ({ page, context, url }) => {
    for (const next of [
      'https://evil.example/',
      '//evil.example/',
      '/\\evil.example/',
      '\\\\evil.example',
      '/\t/evil.example',
      '/.//evil.example',
      'javascript:alert(1)',
      'data:text/html,x',
      '',
    ]) {
      await context.clearCookies();
      await page.goto('/');
      await page.evaluate('localStorage.clear()');
      await signIn(page, `/account/sign-in?next=${encodeURIComponent(next)}`).catch((fault) => {
        throw new Error(`${next} leads to ${page.url()}`, { cause: fault });
      });
      assert.is(page.url(), `${url}/account`, next);
    }
  }));

it('show names as text, whatever they hold, and however long they are', () =>
  withService('memory', {}, async ({ url }) => {
    const names = [
      '<img src=x onerror="document.title=1">',
      '<script>document.title=1</script>',
      'W'.repeat(255),
      'שלום עולם',
      '"><svg onload=document.title=1>',
    ];
    const [longest, rightToLeft] = [2, 3];
    for (const [i, username] of names.entries()) {
      const email = `${'a'.repeat(60)}${i}@${'b.'.repeat(90)}example.com`;
      await registered(url, { username, email });
      await withPage(url, { viewport: { width: 390, height: 800 } }, async (page) => {
        await page.goto('/account/sign-in');
        await page.getByLabel('Email').fill(email);
        await page.getByLabel('Password').fill(ADA.password);
        await page.keyboard.press('Enter');
        await ready(page);
        assert.is(await page.locator(HEADING).textContent(), `Hello, ${username}`);
        assert.is(await page.locator('main img, main svg, main script').count(), 0);
        assert.is(await page.evaluate('document.documentElement.scrollWidth'), 390);
        // The others look the same.
        if (i === longest || i === rightToLeft) await assertAccessible(page);
      });
    }
  }));

it('hold forty sessions, of whatever calls itself anything', () =>
  visit({ viewport: { width: 390, height: 800 }, colorScheme: 'dark' }, async ({ page, url }) => {
    await signInFrom(url, '<img src=x onerror=document.title=1>');
    await signInFrom(url, 'x'.repeat(300));
    for (let i = 0; i < 37; i += 1) await signInFrom(url, `device ${i}`);
    await signIn(page, '/account/sign-in?next=/account/sessions');
    assert.ok((await page.locator('.session').count()) >= 40);
    assert.is(await page.locator('main img').count(), 0);
    assert.is(await page.evaluate('document.documentElement.scrollWidth'), 390);
    await assertAccessible(page);
  }));

it('say what failed where a page cannot be shown, and try again', () =>
  visit({ failures: [500] }, async ({ page }) => {
    await signIn(page);
    await page.route('**/sessions', (route) =>
      route.request().resourceType() === 'fetch'
        ? route.fulfill({ status: 500, json: { message: 'An error occurred' } })
        : route.continue(),
    );
    await page.getByRole('link', { name: 'Sessions' }).click();
    await page.getByRole('heading', { name: 'This page cannot be shown now' }).waitFor();
    assert.is(await problem(page), 'An error occurred. Please try again.');
    await assertAccessible(page);
    await page.unrouteAll();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { name: 'Sessions' }).waitFor();
  }));

it('say what is missing without scripts, and send no password anywhere', () =>
  withService('memory', {}, ({ url }) =>
    withPage(url, { javaScriptEnabled: false }, async (page) => {
      for (const path of [
        '/account/sign-in',
        '/account/register',
        '/account',
        '/account/password',
      ]) {
        await page.goto(path);
        assert.match(await page.locator('noscript').innerText(), 'This page needs JavaScript');
        for (const form of await page.locator('form').all()) {
          assert.is(await form.getAttribute('method'), 'post');
          assert.ok(await form.locator('[type=submit]').isDisabled());
        }
      }
    }),
  ));

it('send a form once, however often it is submitted', () =>
  visit({}, async ({ page }) => {
    await page.goto('/account/sign-in');
    let sent = 0;
    await page.route('**/login', async (route) => {
      sent += 1;
      await route.continue();
    });
    await page.getByLabel('Email').fill(ADA.email);
    await page.getByLabel('Password', { exact: true }).fill(ADA.password);
    await page.getByRole('button', { name: 'Sign in', disabled: false }).waitFor();
    const submit = "document.querySelector('form').requestSubmit();";
    await page.evaluate(submit.repeat(3));
    await page.waitForURL('**/account');
    await ready(page);
    assert.is(sent, 1);
  }));

it('describe a field by its hint, and beside that by what is wrong with it', () =>
  visit({ failures: [400] }, async ({ page }) => {
    await page.goto('/account/register');
    const password = page.locator('#password');
    const hint = await password.getAttribute('aria-describedby');
    assert.match(hint ?? '', /^[\w-]+$/);
    await page.getByLabel('Username').fill('Grace');
    await page.getByLabel('Email').fill('grace@example.com');
    const send = async (text: string) => {
      await page.getByLabel('Password', { exact: true }).fill(text);
      await page.getByLabel('Password again').fill(text);
      await page.getByRole('button', { name: 'Create account' }).click();
    };
    await send('short');
    await page.locator('#problem').waitFor();
    assert.is(await password.getAttribute('aria-describedby'), `${hint} problem`);
    await page.getByLabel('Email').fill('nobody');
    await send('anchors aweigh');
    await page.getByText('Invalid email address').waitFor();
    assert.is(await password.getAttribute('aria-describedby'), hint);
  }));

it('show the own session first, and take one that was ended elsewhere for ended', () =>
  visit({ failures: [404] }, async ({ page, url }) => {
    await signIn(page);
    await signInFrom(url, 'curl/8.5.0');
    await page.goto('/account/sessions');
    await ready(page);
    const items = page.locator('.session');
    assert.is(await items.count(), 3);
    assert.is(await items.first().locator('.here:visible').count(), 1);
    const { email, password } = ADA;
    const { json } = await call(url, 'POST /login', { json: { email, password } });
    const { access_token: token } = json as { access_token: string };
    const { json: sessions } = await call(url, 'GET /sessions', { token });
    const all = sessions as readonly { readonly id: string; readonly device: string }[];
    const id = all.find(({ device }) => device === 'curl/8.5.0')?.id ?? '';
    assert.is((await call(url, `DELETE /sessions/${id}`, { token })).status, 204);
    const curl = items.filter({ hasText: 'curl/8.5.0' });
    await curl.getByRole('button', { name: 'Sign out there' }).click();
    await page.getByText('Signed out: curl/8.5.0').waitFor();
    assert.is(await page.locator('#failure:visible').count(), 0);
    assert.is(await items.count(), 2);
  }));

it('finish a refresh, and nothing else, when they are left', () =>
  visit({}, async ({ page }) => {
    await page.addInitScript(`
      window.sent = [];
      const send = window.fetch;
      window.fetch = (path, init) => {
        window.sent.push([path, init.keepalive]);
        return send(path, init);
      };`);
    await signIn(page);
    await page.reload();
    await ready(page);
    assert.equal(await page.evaluate('window.sent'), [
      ['/refresh', true],
      ['/account', false],
    ]);
  }));

it('name browsers by what they are, and tell waits in seconds or minutes', () =>
  visit({}, async ({ page }) => {
    await page.goto('/account/sign-in');
    await page.getByRole('button', { name: 'Sign in', disabled: false }).waitFor();
    const chrome = 'Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36';
    const names: Readonly<Record<string, string>> = {
      [chrome]: 'Chrome on Windows',
      [`${chrome} Edg/140.0`]: 'Edge on Windows',
      [`${chrome} OPR/120.0`]: 'Opera on Windows',
      'Mozilla/5.0 (iPhone) AppleWebKit/605 EdgiOS/140.0 Mobile Safari/604': 'Edge on iPhone',
      'Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile EdgA/140.0': 'Edge on Android',
      'Mozilla/5.0 (Macintosh; Mac OS X) Version/18 Safari/605': 'Safari on macOS',
    };
    const all = JSON.stringify(Object.keys(names));
    const named = `import('/assets/device.js').then((m) => ${all}.map((each) => m.deviceName(each)))`;
    assert.equal(await page.evaluate(named), Object.values(names));
    const waits: readonly (readonly [seconds: number, text: string])[] = [
      [1, 'a second'],
      [2, '2 seconds'],
      [59.2, '60 seconds'],
      [60, '60 seconds'],
      [89, '89 seconds'],
      [90, '2 minutes'],
      [121, '3 minutes'],
    ];
    const told = `Promise.all([import('/assets/account.js'), import('/assets/form.js')]).then(
      ([{ Refusal }, { describeFault }]) => ${JSON.stringify(waits.map(([seconds]) => seconds))}.map(
        (seconds) => describeFault(new Refusal(429, 'Too many. Please try again later.', seconds), ''),
      ))`;
    assert.equal(
      await page.evaluate(told),
      waits.map(([, text]) => `Too many. Please try again in ${text}.`),
    );
  }));

it('tell password managers what is what', () =>
  withService('memory', {}, ({ url }) =>
    withPage(url, { javaScriptEnabled: false }, async (page) => {
      const fields = async (path: string) => {
        await page.goto(path);
        const inputs = await page.locator('main form input').all();
        return Promise.all(inputs.map((input) => input.getAttribute('autocomplete')));
      };
      assert.equal(await fields('/account/sign-in'), ['username', 'current-password']);
      assert.equal(await fields('/account/register'), [
        'nickname',
        'username',
        'new-password',
        'new-password',
      ]);
      assert.equal(await fields('/account/password'), [
        'username',
        'current-password',
        'new-password',
        'new-password',
      ]);
    }),
  ));

const PATHS = [
  '/',
  '/account/sign-in',
  '/account/register',
  '/account',
  '/account/sessions',
  '/account/password',
  '/account/delete',
];

for (const [how, options] of [
  ['wide and light', { viewport: { width: 1280, height: 900 } }],
  [
    'narrow, dark and without motion',
    { viewport: { width: 320, height: 640 }, colorScheme: 'dark', reducedMotion: 'reduce' },
  ],
  [
    'at twice the size, in the colours of the system',
    { viewport: { width: 640, height: 450 }, deviceScaleFactor: 2, forcedColors: 'active' },
  ],
] as const) {
  it(`are in nobody’s way, ${how}`, () =>
    visit(options, async ({ page, context }) => {
      const titles = new Set<string>();
      const look = async (path: string) => {
        await page.goto(path);
        if (path.startsWith('/account') && !/sign-in|register/.test(path)) await ready(page);
        await assertAccessible(page);
        assert.is(await page.locator(HEADING).count(), 1, path);
        assert.is(await page.evaluate('document.documentElement.lang'), 'en');
        const { width } = page.viewportSize() ?? { width: 0 };
        const scrollWidth = 'document.documentElement.scrollWidth';
        assert.is(await page.evaluate(scrollWidth), width, path);
        await page.evaluate('document.documentElement.style.setProperty("font-size", "200%")');
        assert.is(await page.evaluate(scrollWidth), width, `${path}, large`);
        titles.add(await page.title());
      };
      for (const path of PATHS.slice(0, 3)) await look(path);
      await signIn(page);
      for (const path of PATHS.slice(3)) await look(path);
      assert.is(titles.size, PATHS.length);
      assert.is((await context.cookies()).length, 1);
    }));
}

flows.run();
