import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { ConfigError } from '../adapters/config/config.ts';
import { mapError } from '../adapters/http/contract/messages.ts';
import { nameFault, printable } from '../adapters/log/faults.ts';
import { AuthError } from '../application/index.ts';

/** What a command has to say on standard output: `lines` to people, or `data` to programs (`--json`). */
export interface Report {
  readonly lines: readonly string[];
  /** Undefined: it has been printed already. */
  readonly data: unknown;
  /** The command was done, and what it found is not in order: exit code 1. */
  readonly failed?: boolean;
}

/** What was asked for cannot be done, or must not; the message says why and what to do. */
export class Refused extends Error {
  override readonly name = 'Refused';
  /** 2 where it was asked for wrongly. */
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Names the setting, of which the fault itself says nothing; never its value, which holds a password. */
export function refuseDatabase(fault: unknown): never {
  throw new Refused(`DATABASE_URL cannot be used: ${nameFault(fault)}`);
}

/** Runs a command and says what came of it. The exit code is 0 where all is well. */
export async function tell(
  { json }: { readonly json?: true | undefined },
  command: () => Promise<Report>,
): Promise<void> {
  try {
    const { lines, data, failed } = await command();
    if (json) process.stdout.write(data === undefined ? '' : `${JSON.stringify(data)}\n`);
    else for (const line of lines) console.log(printable(line));
    if (failed) process.exitCode = 1;
  } catch (fault) {
    process.exitCode = fault instanceof Refused ? fault.exitCode : 1;
    const reasons = reasonsOf(fault);
    if (json) console.log(JSON.stringify({ error: reasons.join('; ') }));
    for (const reason of reasons) console.error(printable(`Not done: ${reason}`));
  }
}

/** In the words that HTTP has for it, where that is a refusal. */
function reasonsOf(fault: unknown): readonly string[] {
  if (fault instanceof Refused) return [fault.message];
  if (fault instanceof ConfigError) return fault.faults;
  if (fault instanceof AuthError) return [mapError(fault).message];
  // Of a file, whose path is what was asked for: no secret of anybody's.
  const path = fault instanceof Error && 'path' in fault ? `${String(fault.path)}: ` : '';
  return [`${path}${nameFault(fault)}`];
}

/** Prints, and waits for a reader that is slower. */
export async function write(text: string): Promise<void> {
  await new Promise<void>((resolve) => {
    if (process.stdout.write(text)) resolve();
    else process.stdout.once('drain', resolve);
  });
}

/** Aborted by the signals that end a process: what has been begun is taken away, or kept, before it ends. */
export function untilSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => controller.abort());
  }
  return controller.signal;
}

/** Bytes: no password is longer, with a line break at its end. */
const MAX_PASSWORD_INPUT = 4_096;

/**
 * A new password, which no argument may hold, since every user of a machine sees those: the first line
 * of standard input, or what is typed twice without being shown.
 */
export async function readPassword(fromStdin: boolean): Promise<string> {
  if (fromStdin) return readLine();
  const password = await askUnseen('Password: ');
  if ((await askUnseen('Once more: ')) !== password) throw new Refused('the passwords differ');
  return password;
}

async function readLine(): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of process.stdin) {
    if (!Buffer.isBuffer(part)) continue;
    length += part.length;
    if (length > MAX_PASSWORD_INPUT) throw new Refused('standard input holds more than a password');
    parts.push(part);
  }
  const text = Buffer.concat(parts)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (/[\r\n]/.test(text)) throw new Refused('standard input holds more than one line');
  return text;
}

async function askUnseen(question: string): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) {
    throw new Refused('there is no terminal to ask for the password at: give --password-stdin');
  }
  stderr.write(question);
  const unseen = new Writable({ write: (_part, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: unseen, terminal: true });
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('SIGINT', () => reject(new Refused('interrupted')));
      lines.once('close', () => reject(new Refused('there was no answer')));
      lines.once('line', resolve);
    });
  } finally {
    lines.close();
    stderr.write('\n');
  }
}

/** Asks before what cannot be undone. Where there is no terminal, `--yes` has to say it. */
export async function confirm(question: string): Promise<void> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY)
    throw new Refused('there is no terminal to ask at: --yes says that you mean it');
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    const answer = await lines.question(printable(`${question} (yes/no) `));
    if (answer.trim().toLowerCase() !== 'yes') throw new Refused('you did not say yes');
  } finally {
    lines.close();
  }
}

/** Where progress is shown: standard error, so that what a command says stays by itself. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR = 24;
/** Milliseconds between two pictures on a terminal, and two lines elsewhere. */
const REDRAW = 100;
const NEXT_LINE = 5_000;

/** A bar on a terminal; elsewhere a line now and then, and at each tenth. */
export class Progress {
  readonly #screen: Screen;
  #shownAt = Number.NEGATIVE_INFINITY;
  #tenth = -1;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** `share` of the whole, from 0 to 1. */
  show(share: number, text: string): void {
    const now = performance.now();
    const tenth = Math.floor(share * 10);
    if (!this.#screen.isTTY) {
      if (tenth === this.#tenth && now - this.#shownAt < NEXT_LINE) return;
      this.#screen.write(printable(`${Math.floor(share * 100)} %, ${text}`) + '\n');
    } else {
      if (share < 1 && now - this.#shownAt < REDRAW) return;
      const filled = Math.round(share * BAR);
      const bar = '█'.repeat(filled) + '░'.repeat(BAR - filled);
      const line = printable(`${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${text}`);
      this.#screen.write(`\r\u001B[K${line.slice(0, (this.#screen.columns || 80) - 1)}`);
    }
    this.#shownAt = now;
    this.#tenth = tenth;
  }

  /** Leaves the terminal as it was, on a new line. */
  end(): void {
    if (this.#screen.isTTY && this.#tenth >= 0) this.#screen.write('\n');
  }
}
