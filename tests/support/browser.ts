import axe, { type AxeResults } from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';

/** Milliseconds that a step in the browser may take; a busy machine is slow, not broken. */
const PATIENCE = 15_000;
/** Milliseconds after which a browser that no test uses is closed: nothing else tells a file's end. */
const IDLE = 1_000;

/** The path of the Chromium that the runner has found. */
const browserPath = () => process.env['TEST_CHROMIUM'];

/** Adds tests that need a browser to a suite; where there is none they are skipped in plain sight. */
export function inBrowser(tests: Test): (title: string, use: () => Promise<void>) => void {
  return (title, use) => (browserPath() ? tests(title, use) : tests.skip(title, use));
}

export interface PageOptions {
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: 'light' | 'dark';
  readonly reducedMotion?: 'reduce' | 'no-preference';
  readonly forcedColors?: 'active' | 'none';
  /** False: as a browser without scripts has it. */
  readonly javaScriptEnabled?: boolean;
  /** How many pixels of the screen make one of CSS. */
  readonly deviceScaleFactor?: number;
  /** Origins that may be asked besides that of the page. */
  readonly origins?: readonly string[];
  /**
   * What the test makes requests fail by, each at least once: statuses that replies have (401), and
   * errors of the network (`net::ERR_INTERNET_DISCONNECTED`). The browser calls each an error.
   */
  readonly failures?: readonly (number | string)[];
}

let opened: Promise<Browser> | undefined;
let users = 0;
let idle: NodeJS.Timeout | undefined;

/**
 * A new page, without cookies, in a context of its own, of one browser for all tests of the file. Paths that
 * it is told to go to are those of `url`. After `use` the test fails if anything went wrong unnoticed: an
 * error on the console or of a script, a breach of the Content-Security-Policy, a request to another origin.
 * (Scripts for `page.evaluate` are texts: the tests are not compiled for a browser.)
 */
export async function withPage(
  url: string,
  { origins = [], failures = [], ...options }: PageOptions,
  use: (page: Page, context: BrowserContext) => Promise<void>,
): Promise<void> {
  users += 1;
  clearTimeout(idle);
  try {
    const browser = await (opened ??= open());
    const context = await browser.newContext({ baseURL: url, locale: 'en-GB', ...options });
    try {
      const problems = watch(context, [new URL(url).origin, ...origins], failures);
      const page = await context.newPage();
      await use(page, context);
      failFor(await problems());
    } finally {
      await context.close();
    }
  } finally {
    users -= 1;
    if (users === 0) idle = setTimeout(() => void close(), IDLE);
  }
}

function open(): Promise<Browser> {
  const executablePath = browserPath();
  if (!executablePath) throw new Error('TEST_CHROMIUM names no browser: tests/run.ts finds one');
  const args = [
    // No other machine is asked for anything, by whatever part of the browser.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
    // Containers have too little shared memory for it, and pages vanish.
    '--disable-dev-shm-usage',
  ];
  const chromiumSandbox = process.getuid?.() !== 0; // It does not start as root otherwise.
  return chromium.launch({ executablePath, args, chromiumSandbox });
}

async function close(): Promise<void> {
  const browser = opened;
  opened = undefined;
  await (await browser)?.close();
}

/** Notes what goes wrong in any page of a context; the function returned says it all. */
function watch(
  context: BrowserContext,
  origins: readonly string[],
  failures: NonNullable<PageOptions['failures']>,
): () => Promise<readonly string[]> {
  context.setDefaultTimeout(PATIENCE);
  const problems: string[] = [];
  const seen = new Set<number | string>();
  context.on('console', (message) => {
    if (message.type() !== 'error') return;
    const text = message.text();
    const [, reason = ''] = /^Failed to load resource: (.*)$/.exec(text) ?? [];
    const expected = failures.find((failure) =>
      typeof failure === 'number'
        ? reason.startsWith(`the server responded with a status of ${failure} `)
        : reason === failure,
    );
    if (expected === undefined) problems.push(`console: ${text} (${message.location().url})`);
    else seen.add(expected);
  });
  context.on('weberror', (error) => problems.push(`script: ${String(error.error())}`));
  context.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol === 'data:' || protocol === 'blob:' || origins.includes(origin)) return;
    problems.push(`request: ${request.url()}`);
  });
  const ready = context.addInitScript(`addEventListener('securitypolicyviolation', (event) => {
    console.error('CSP: ' + event.violatedDirective + ' ' + event.blockedURI);
  });`);
  return async () => {
    await ready;
    const unseen = failures.filter((failure) => !seen.has(failure));
    return [...problems, ...unseen.map((failure) => `no request failed by ${failure}`)];
  };
}

/** Fails where axe finds the page, as it is now, in the way of anybody. */
export async function assertAccessible(page: Page): Promise<void> {
  // A colour on its way to another is nobody's: a button that has just been enabled is still pale.
  await page.evaluate('Promise.allSettled(document.getAnimations().map((each) => each.finished))');
  await page.evaluate(axe.source);
  const { passes, violations } = await page.evaluate<AxeResults>('axe.run(document)');
  assert.ok(passes.length > 5, `axe looked at ${passes.length} rules only`);
  const found = violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target }) => `${id}: ${help} (${target.join(' ')})`),
  );
  failFor(found);
}

function failFor(problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(problems.join('\n'));
}
