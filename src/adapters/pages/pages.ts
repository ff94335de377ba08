import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Endpoint, EndpointReply } from '../http/contract/endpoint.ts';

interface PageReply extends EndpointReply {
  readonly body: string;
}

/** What a path serves: a file of this folder, or a redirect. */
interface Target {
  readonly file?: string;
  /** The path to redirect to. */
  readonly location?: string;
}

/** All paths. A request can never name another file, whatever its path contains. */
const TARGETS: Readonly<Record<string, Target>> = {
  '/': { file: 'front.html' },
  '/account': { file: 'account.html' },
  '/account/sign-in': { file: 'sign-in.html' },
  '/account/register': { file: 'register.html' },
  '/account/sessions': { file: 'sessions.html' },
  '/account/password': { file: 'password.html' },
  '/account/delete': { file: 'delete.html' },
  '/docs': { file: 'docs.html' },
  '/assets/docs.css': { file: 'docs.css' },
  '/assets/docs.js': { file: 'docs.js' },
  '/assets/docs-elements.js': { file: 'docs-elements.js' },
  '/assets/docs-operation.js': { file: 'docs-operation.js' },
  '/assets/docs-request.js': { file: 'docs-request.js' },
  '/assets/mark.svg': { file: 'mark.svg' },
  '/assets/style.css': { file: 'style.css' },
  '/assets/account.js': { file: 'account.js' },
  '/assets/delete.js': { file: 'delete.js' },
  '/assets/device.js': { file: 'device.js' },
  '/assets/form.js': { file: 'form.js' },
  '/assets/home.js': { file: 'home.js' },
  '/assets/password.js': { file: 'password.js' },
  '/assets/register.js': { file: 'register.js' },
  '/assets/sessions.js': { file: 'sessions.js' },
  '/assets/sign-in.js': { file: 'sign-in.js' },
  // Password managers open this path to change a password (W3C, change-password-url).
  '/.well-known/change-password': { location: '/account/password' },
};

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Only scripts of the service run, and no other site can show a page in a frame. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'Cache-Control': 'no-cache',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** The folder of this file, or `dist/pages` for the bundle in `dist/service`. */
const FOLDER = new URL('../pages/', import.meta.url);

/** The hint in the HTML files, which `readPage` changes to the configured minimum. */
const LENGTH_HINT = 'At least 8 characters';

/**
 * The pages and their files. Each file is read at its first request, and then kept in memory.
 * @param passwordMinLength in code points; shown in the forms for a new password
 */
export function pages(passwordMinLength = 8): readonly Endpoint[] {
  const lengthHint = LENGTH_HINT.replace('8', String(passwordMinLength));
  return Object.entries(TARGETS).map(([path, { file, location }]) => ({
    method: 'GET',
    path,
    failure: 'An error occurred',
    handle:
      location === undefined ? serveFile(file ?? '', lengthHint) : async () => redirect(location),
  }));
}

function redirect(location: string): PageReply {
  return {
    status: 302,
    headers: { ...HEADERS, Location: location, 'Content-Length': '0' },
    body: '',
  };
}

function serveFile(file: string, lengthHint: string): Endpoint['handle'] {
  let cached: Promise<PageReply> | undefined;
  return async (_auth, request) => {
    cached ??= readPage(file, lengthHint);
    const page = await cached.catch((fault: unknown) => {
      cached = undefined; // The next request tries again.
      throw fault;
    });
    const { ETag: tag = '' } = page.headers;
    const isKnown = includesTag(request.header('if-none-match') ?? '', tag);
    return isKnown ? { ...page, status: 304, body: '' } : page;
  };
}

async function readPage(file: string, lengthHint: string): Promise<PageReply> {
  const text = await readFile(new URL(file, FOLDER), 'utf8');
  const body = text.replace(LENGTH_HINT, lengthHint);
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 22);
  const headers = {
    ...HEADERS,
    'Content-Type': CONTENT_TYPES[extname(file)] ?? 'application/octet-stream',
    'Content-Security-Policy': CONTENT_SECURITY_POLICY,
    ETag: `"${hash}"`,
  };
  return { status: 200, headers, body };
}

/** Whether If-None-Match lists this tag; a weak tag counts as equal (RFC 9110 §13.1.2). */
function includesTag(list: string, tag: string): boolean {
  return list
    .split(',')
    .some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === tag);
}
