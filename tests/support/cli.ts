import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as assert from 'uvu/assert';
import { CLI } from './service.ts';

export interface Said {
  /** The exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly said: Promise<Said>;
  /** Everything on standard error so far. */
  readonly progress: () => string;
  /** As `head` does when it has seen enough. */
  readonly closeStderr: () => void;
  readonly kill: (signal: NodeJS.Signals) => void;
}

/** Starts `portcullis …` as a process of its own, with these variables alone. */
export function start(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input: string | Buffer = '',
): Running {
  const { PATH, HOME, NODE_V8_COVERAGE } = process.env;
  const coverage = NODE_V8_COVERAGE && { NODE_V8_COVERAGE };
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { PATH, HOME, ...coverage, ...env },
    stdio: 'pipe',
    timeout: 120_000,
  });
  const stdout: string[] = [];
  const stderr: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => stdout.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => stderr.push(text));
  child.stdin.on('error', () => {}).end(input);
  const said = once(child, 'close').then(() => ({
    code: child.exitCode ?? child.signalCode,
    stdout: stdout.join(''),
    stderr: stderr.join(''),
  }));
  return {
    said,
    progress: () => stderr.join(''),
    closeStderr: () => child.stderr.destroy(),
    kill: (signal) => child.kill(signal),
  };
}

/** Runs `portcullis …` to its end. */
export function cli(...given: Parameters<typeof start>): Promise<Said> {
  return start(...given).said;
}

/** Runs it, and gives what it printed where the exit code is 0. */
export async function done(...given: Parameters<typeof start>): Promise<string> {
  const { code, stdout, stderr } = await cli(...given);
  assert.is(code, 0, `${given[0].join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** Runs it, and gives the one JSON value that it printed. */
export async function json(...given: Parameters<typeof start>): Promise<unknown> {
  const [args, ...rest] = given;
  const { stdout } = await cli([...args, '--json'], ...rest);
  return JSON.parse(stdout);
}
