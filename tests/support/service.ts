import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { readConfig } from '../../src/adapters/config/config.ts';
import { type Parts } from '../../src/composition.ts';
import { type Service, serve } from '../../src/serve.ts';
import { assertDocumented, pathAt } from './documented.ts';
import { SECRET } from './fakes.ts';
import { type StoreName, withDatabaseUrl } from './stores.ts';

/** Settings for tests: hashes that take no time, a port of the system's choice. */
export const TEST_ENV = {
  PORT: '0',
  JWT_SECRET: SECRET,
  ARGON2_MEMORY_KIB: '64',
  ARGON2_PASSES: '1',
  HASH_QUEUE: '1000',
} as const;

export interface ServiceOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly overrides?: Partial<Parts>;
}

/** The service on a new store, in this process but behind a real socket. */
export async function withService(
  store: StoreName,
  { env, overrides }: ServiceOptions,
  use: (service: Service & { readonly databaseUrl: string }) => Promise<void>,
): Promise<void> {
  await withDatabaseUrl(store, async (databaseUrl) => {
    const config = readConfig({ ...TEST_ENV, DATABASE_URL: databaseUrl, ...env });
    const service = await serve(config, overrides);
    try {
      await use({ ...service, databaseUrl });
    } finally {
      await service.stop();
    }
  });
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined where it is no JSON. */
  readonly json: unknown;
}

export interface Call {
  readonly json?: unknown;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string;
}

/** One request, e.g. `call(url, 'POST /login', { json: … })`, whose answer must be as documented. */
export async function call(url: string, endpoint: string, sent: Call = {}): Promise<Answer> {
  const [method = '', path = ''] = endpoint.split(' ');
  const headers = new Headers(sent.headers);
  if (sent.token !== undefined) headers.set('Authorization', `Bearer ${sent.token}`);
  if (sent.json !== undefined) headers.set('Content-Type', 'application/json');
  const body = sent.json === undefined ? sent.body : JSON.stringify(sent.json);
  const response = await fetch(url + path, { method, headers, body: body ?? null });
  const text = await response.text();
  const { status, headers: received } = response;
  const said = {
    method,
    path: pathAt(url, url + path),
    sent: headers,
    status,
    headers: received,
    text,
  };
  assertDocumented(said);
  return { status, headers: received, text, json: parse(text) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const ADA = {
  username: 'Ada',
  email: 'ada@example.com',
  password: 'correct horse',
  confirm_password: 'correct horse',
};

/** Registers, and returns the two tokens. */
export async function registered(
  url: string,
  fields: Partial<typeof ADA> = {},
): Promise<{ access_token: string; refresh_token: string }> {
  const { status, text, json } = await call(url, 'POST /register', { json: { ...ADA, ...fields } });
  if (status !== 201) throw new Error(`registration: ${status} ${text}`);
  return json as { access_token: string; refresh_token: string };
}

/** Status and body, exactly; and what every reply has. */
export function assertReply(answer: Answer, status: number, body: unknown): void {
  assert.is(answer.text, JSON.stringify(body));
  assert.is(answer.status, status);
  assert.is(answer.headers.get('content-type'), 'application/json; charset=utf-8');
  assert.is(answer.headers.get('cache-control'), 'no-store');
  assert.is(answer.headers.get('x-content-type-options'), 'nosniff');
  const policy = "default-src 'none'; frame-ancestors 'none'";
  assert.is(answer.headers.get('content-security-policy'), policy);
  assert.is(answer.headers.get('referrer-policy'), 'no-referrer');
  assert.is(answer.headers.get('x-powered-by'), null);
  const challenge = answer.headers.get('www-authenticate');
  // RFC 6750 §3.1: and with 403, where it is for want of a role.
  const wantsRole = status === 403 && answer.text.includes('Insufficient role');
  assert.is(challenge?.startsWith('Bearer') ?? false, status === 401 || wantsRole);
}

export function assertMessage(answer: Answer, status: number, text: string): void {
  assertReply(answer, status, { message: text });
}

/** The built service, by the command of `npm start`. */
export const BUILT: readonly string[] = builtCommand();

function builtCommand(): readonly string[] {
  const [, command = ''] =
    /"start": "exec node ([^"]+)"/.exec(readFileSync('package.json', 'utf8')) ?? [];
  const words = command.split(' ');
  return [process.execPath, ...words.slice(0, -1), join(process.cwd(), words.at(-1) ?? '')];
}

/** Sends bytes as they are, and returns all that comes back until the server closes. */
export async function rawRequest(url: string, request: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(request);
  return readAll(socket);
}

export interface Program {
  readonly url: string;
  readonly process: ChildProcess;
  /** Everything that it has printed so far, on both channels. */
  readonly output: () => string;
  /** Sends a signal and resolves to the exit code, or the signal that ended it. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | string | null>;
}

/** The service as a process of its own, when it serves. Rejects, with its output, if it ends before. */
export async function startProgram(
  env: Readonly<Record<string, string>>,
  command: readonly string[] = BUILT,
): Promise<Program> {
  const [file = '', ...args] = command;
  const inherited = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
  const coverage = process.env['NODE_V8_COVERAGE'];
  const child = spawn(file, args, {
    env: { ...inherited, ...(coverage && { NODE_V8_COVERAGE: coverage }), ...env },
    stdio: 'pipe',
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill); // Whatever becomes of the test.
  child.once('close', () => process.off('exit', kill));
  const parts: string[] = [];
  const exited = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  const url = await new Promise<string>((resolve, reject) => {
    const read = (text: string) => {
      parts.push(text);
      const [, found] = /serves (http:\S+)/.exec(parts.join('')) ?? [];
      if (found !== undefined) resolve(found);
    };
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', read);
    void exited.then((code) => reject(new Error(`ended with ${code}: ${parts.join('')}`)));
  });
  // From here on the test waits for replies, and for `end`: if it fails before that, a program that
  // serves must not keep it from ending.
  const streams = [child.stdout, child.stderr] as (typeof child.stdout & Partial<Socket>)[];
  child.unref();
  for (const stream of streams) stream.unref?.();
  return {
    url,
    process: child,
    output: () => parts.join(''),
    async end(signal) {
      child.ref();
      child.kill(signal);
      // What does not end is a fault of its own: better named than waited for.
      const patience = new AbortController();
      const late = sleep(20_000, 'still running', { signal: patience.signal });
      const code = await Promise.race([exited, late]);
      patience.abort();
      if (code === 'still running') throw new Error(`${signal} did not end ${child.pid}`);
      return code;
    },
  };
}

export interface Verdict {
  readonly code: number | null;
  /** All that it printed. */
  readonly text: string;
  /** What of it is unsafe, a line each. */
  readonly unsafe: readonly string[];
}

/** The command line of a checkout, an argument for Node. */
export const CLI = join(process.cwd(), 'tools/build/portcullis.js');

/** Asks the doctor, with these variables alone. */
export function examine(env: Readonly<Record<string, string>>, cwd?: string): Promise<Verdict> {
  const { PATH, HOME, NODE_V8_COVERAGE } = process.env;
  const coverage = NODE_V8_COVERAGE && { NODE_V8_COVERAGE };
  const args = [CLI, 'doctor'];
  const options = { env: { PATH, HOME, ...coverage, ...env }, timeout: 60_000, cwd };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, options, (_, stdout, stderr) => {
      const text = `${stdout}${stderr}`.trim();
      const unsafe = text.split('\n').filter((line) => line.startsWith('UNSAFE'));
      resolve({ code: child.exitCode, text, unsafe });
    });
  });
}
