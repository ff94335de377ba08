import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Endpoint, EndpointReply } from '../http/contract/endpoint.ts';

interface PageReply extends EndpointReply {
  readonly body: string;
}

/** What a path leads to: a file of this folder by its name, or another path. */
interface Target {
  readonly file?: string;
  /** Paths that a browser is to go on to. */
  readonly location?: string;
}

/** All that can be asked for: whatever a path holds, nothing else of the disk is read. */
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
  // Where a password manager sends whoever is to change a password (W3C, change-password-url).
  '/.well-known/change-password': { location: '/account/password' },
};

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Nothing runs that is not a file of the service, and no other site shows a page in a frame. */
const POLICY = [
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

/** Beside this file; of the bundle in `dist/service`, in `dist/pages`. */
const FOLDER = new URL('../pages/', import.meta.url);

/** What a page says of the least length of a password, where none is set. */
const DEFAULT_LENGTH = 'At least 8 characters';

/**
 * The pages and what they are made of, each read when it is first asked for, and then kept.
 * @param passwordMinLength in code points; what the forms for a new password say beforehand
 */
export function pages(passwordMinLength = 8): readonly Endpoint[] {
  const length = DEFAULT_LENGTH.replace('8', String(passwordMinLength));
  return Object.entries(TARGETS).map(([path, { file, location }]) => ({
    method: 'GET',
    path,
    failure: 'An error occurred',
    handle:
      location === undefined ? fileAnswers(file ?? '', length) : async () => redirect(location),
  }));
}

function redirect(location: string): PageReply {
  return {
    status: 302,
    headers: { ...HEADERS, Location: location, 'Content-Length': '0' },
    body: '',
  };
}

function fileAnswers(file: string, length: string): Endpoint['handle'] {
  let kept: Promise<PageReply> | undefined;
  return async (_auth, input) => {
    kept ??= readPage(file, length);
    const page = await kept.catch((fault: unknown) => {
      kept = undefined; // It may be read the next time.
      throw fault;
    });
    const { ETag: tag = '' } = page.headers;
    const isKnown = namesTag(input.header('if-none-match') ?? '', tag);
    return isKnown ? { ...page, status: 304, body: '' } : page;
  };
}

async function readPage(file: string, length: string): Promise<PageReply> {
  const text = await readFile(new URL(file, FOLDER), 'utf8');
  const body = text.replace(DEFAULT_LENGTH, length);
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 22);
  const headers = {
    ...HEADERS,
    'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream',
    'Content-Security-Policy': POLICY,
    ETag: `"${hash}"`,
  };
  return { status: 200, headers, body };
}

/** Whether a list of tags has this one; weak ones count too (RFC 9110 §13.1.2). */
function namesTag(list: string, tag: string): boolean {
  return list
    .split(',')
    .some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === tag);
}
