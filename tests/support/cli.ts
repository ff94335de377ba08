import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import * as assert from 'uvu/assert';
import { portcullis } from '../../src/cli/commands.ts';
import { CLI } from './service.ts';

/** What a command printed, and how it ended. */
export interface Output {
  /** The exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Arguments = readonly [
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
  input?: string | Buffer,
];

interface Running {
  readonly output: Promise<Output>;
  /** Everything on standard error so far. */
  readonly progress: () => string;
  /** As `head` does when it has seen enough. */
  readonly closeStderr: () => void;
  readonly kill: (signal: NodeJS.Signals) => void;
}

/**
 * Starts `portcullis …` as a process of its own, with these variables alone: for tests of exit
 * codes, signals, pipes and of two processes at once.
 */
export function start(...[args, env = {}, input = '']: Arguments): Running {
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
  const output = once(child, 'close').then(() => ({
    code: child.exitCode ?? child.signalCode,
    stdout: stdout.join(''),
    stderr: stderr.join(''),
  }));
  return {
    output,
    progress: () => stderr.join(''),
    closeStderr: () => child.stderr.destroy(),
    kill: (signal) => child.kill(signal),
  };
}

/** One command at a time: each has the variables and the output of this process to itself. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Runs `portcullis …` in this process, with these variables alone: what it says, without the start
 * of a process. Rejects where the command was asked for wrongly, whose exit code is the program's.
 */
export function cli(...given: Arguments): Promise<Output> {
  const output = last.then(() => runInProcess(...given));
  last = output.catch(() => {});
  return output;
}

const STREAMS = ['stdout', 'stderr'] as const;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function runInProcess(...[args, env = {}, input = '']: Arguments): Promise<Output> {
  const { env: ownEnv, exitCode: ownExitCode } = process;
  const { PATH, HOME } = ownEnv;
  const stdin = Object.getOwnPropertyDescriptor(process, 'stdin') ?? {};
  const ownStreams = STREAMS.map((name) => Object.getOwnPropertyDescriptor(process[name], 'write'));
  const handlers = SIGNALS.map((name) => new Set(process.listeners(name)));
  const printed = { stdout: '', stderr: '' };
  try {
    process.env = { PATH, HOME, ...env };
    process.exitCode = 0;
    const value = Readable.from(input.length > 0 ? [Buffer.from(input)] : []);
    Object.defineProperty(process, 'stdin', { value, configurable: true });
    for (const name of STREAMS) {
      process[name].write = (text: string | Uint8Array): boolean => {
        printed[name] += typeof text === 'string' ? text : Buffer.from(text).toString();
        return true;
      };
    }
    await portcullis().parseAsync([...args], { from: 'user' });
    return { code: process.exitCode, ...printed };
  } finally {
    process.env = ownEnv;
    process.exitCode = ownExitCode;
    Object.defineProperty(process, 'stdin', stdin);
    for (const [i, name] of STREAMS.entries()) {
      const own = ownStreams[i];
      if (own) Object.defineProperty(process[name], 'write', own);
      else Reflect.deleteProperty(process[name], 'write');
    }
    for (const [i, name] of SIGNALS.entries()) {
      for (const handler of process.listeners(name)) {
        if (!handlers[i]?.has(handler)) process.off(name, handler);
      }
    }
  }
}

/** Runs it, and gives what it printed where the exit code is 0. */
export async function done(...given: Arguments): Promise<string> {
  const { code, stdout, stderr } = await cli(...given);
  assert.is(code, 0, `${given[0].join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** Runs it, and gives the one JSON value that it printed. */
export async function json(...[args, ...rest]: Arguments): Promise<unknown> {
  const { stdout } = await cli([...args, '--json'], ...rest);
  return JSON.parse(stdout);
}
