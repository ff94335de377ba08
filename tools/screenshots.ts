/** Takes the screenshots in docs/screenshots, of each page in use, from a service of its own. */

import { withPage } from '../tests/support/browser.ts';
import { findChromium } from '../tests/support/programs.ts';
import { ADA, call, registered, withService } from '../tests/support/service.ts';

const DEVICES = [
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile Safari/604.1',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0',
];

/** The path of each page, by the name of its screenshot. */
const PUBLIC_PAGES = { front: '/', 'sign-in': '/account/sign-in', register: '/account/register' };
const ACCOUNT_PAGES = {
  account: '/account',
  sessions: '/account/sessions',
  password: '/account/password',
  delete: '/account/delete',
};

/** Turns animations off. */
const NO_MOTION = { reducedMotion: 'reduce' } as const;
const WIDE = { ...NO_MOTION, viewport: { width: 1120, height: 700 } };
const NARROW = { ...NO_MOTION, viewport: { width: 390, height: 700 }, deviceScaleFactor: 2 };

const browser = findChromium();
if (browser === undefined) throw new Error('there is no Chromium: TEST_CHROMIUM names one');
process.env['TEST_CHROMIUM'] = browser;
await withService('memory', {}, async ({ url }) => {
  const { refresh_token } = await registered(url, { username: 'Ada Lovelace' });
  await call(url, 'POST /logout', { json: { refresh_token } }); // Its device is no browser.
  const { email, password } = ADA;
  for (const device of DEVICES) {
    const headers = { 'User-Agent': device };
    await call(url, 'POST /login', { json: { email, password }, headers });
  }
  for (const [options, suffix, own] of [
    [WIDE, '', ACCOUNT_PAGES],
    [{ ...NARROW, colorScheme: 'dark' }, '-narrow-dark', { account: ACCOUNT_PAGES.account }],
  ] as const) {
    await withPage(url, options, async (page) => {
      const take = async (name: string, path: string) => {
        await page.goto(path);
        await page.locator('main:not([aria-busy=true])').waitFor();
        await page.screenshot({ path: `docs/screenshots/${name}${suffix}.png`, fullPage: true });
      };
      if (suffix === '')
        for (const [name, path] of Object.entries(PUBLIC_PAGES)) await take(name, path);
      await page.goto(PUBLIC_PAGES['sign-in']);
      await page.getByLabel('Email').fill(email);
      await page.getByLabel('Password', { exact: true }).fill(password);
      await page.keyboard.press('Enter');
      await page.locator('main[aria-busy=false]').waitFor();
      for (const [name, path] of Object.entries(own)) await take(name, path);
    });
  }
  for (const [size, viewport] of [
    ['wide', { width: 1280, height: 800 }],
    ['narrow', { width: 390, height: 800 }],
  ] as const) {
    for (const colorScheme of ['light', 'dark'] as const) {
      await withPage(url, { ...NO_MOTION, viewport, colorScheme }, async (page) => {
        await page.goto('/docs');
        const form = page.getByRole('form', { name: 'Try POST /login' });
        await form.getByLabel('email').fill(email);
        await form.getByLabel('password').fill(password);
        await form.getByRole('button', { name: 'Send' }).click();
        await form.getByRole('group', { name: 'Reply' }).waitFor();
        const path = `docs/screenshots/docs-${size}-${colorScheme}.png`;
        await page.screenshot({ path, ...(size === 'wide' && { fullPage: false }) });
      });
    }
  }
});
