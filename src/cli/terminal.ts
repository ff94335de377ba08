import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { ConfigError } from '../adapters/config/config.ts';
import { mapError } from '../adapters/http/contract/messages.ts';
import { nameFault, printable } from '../adapters/log/faults.ts';
import { AuthError } from '../application/index.ts';

/** What a command prints on standard output: `lines`, or with `--json` `data`. */
export interface Report {
  readonly lines: readonly string[];
  /** Undefined if the command has printed its output itself. */
  readonly data: unknown;
  /** True if the command ran but found something wrong: exit code 1. */
  readonly failed?: boolean;
}

/** The command cannot or must not be done. The message says why, and what to do. */
export class Refused extends Error {
  override readonly name = 'Refused';
  /** 2 for wrong usage. */
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Names the setting, never its value, which holds a password. */
export function refuseDatabase(fault: unknown): never {
  throw new Refused(`DATABASE_URL cannot be used: ${nameFault(fault)}`);
}

/** Runs a command, prints its report or why it failed, and sets the exit code. */
export async function runCommand(
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

/** Describes a failure. A refusal has the same words as over HTTP. */
function reasonsOf(fault: unknown): readonly string[] {
  if (fault instanceof Refused) return [fault.message];
  if (fault instanceof ConfigError) return fault.faults;
  if (fault instanceof AuthError) return [mapError(fault).message];
  // An error of the file system: its path is an argument of the command, and no secret.
  const path = fault instanceof Error && 'path' in fault ? `${String(fault.path)}: ` : '';
  return [`${path}${nameFault(fault)}`];
}

/** Prints, and waits for a slow reader. */
export async function write(text: string): Promise<void> {
  await new Promise<void>((resolve) => {
    if (process.stdout.write(text)) resolve();
    else process.stdout.once('drain', resolve);
  });
}

/** Aborted by the signals that end a process, so that a command can clean up first. */
export function untilSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => controller.abort());
  }
  return controller.signal;
}

/** More than any password with its line break. */
const MAX_PASSWORD_BYTES = 4_096;

/**
 * Reads a new password: from standard input, or typed twice without being shown. Never from an
 * argument, which every user of the machine can see.
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
    if (length > MAX_PASSWORD_BYTES) throw new Refused('standard input holds more than a password');
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

/** Asks before something that cannot be undone. Without a terminal, `--yes` is needed. */
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

/** Where progress is shown: standard error, so that standard output holds the report alone. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR_COLUMNS = 24;
/** How often the bar is redrawn on a terminal, and a line printed elsewhere. */
const REDRAW_MS = 100;
const LINE_MS = 5_000;

/** Shows a bar on a terminal; elsewhere prints a line every five seconds and at each tenth. */
export class Progress {
  readonly #screen: Screen;
  #shownAt = Number.NEGATIVE_INFINITY;
  #tenth = -1;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** @param share from 0 to 1 */
  show(share: number, text: string): void {
    const now = performance.now();
    const tenth = Math.floor(share * 10);
    if (!this.#screen.isTTY) {
      if (tenth === this.#tenth && now - this.#shownAt < LINE_MS) return;
      this.#screen.write(printable(`${Math.floor(share * 100)} %, ${text}`) + '\n');
    } else {
      if (share < 1 && now - this.#shownAt < REDRAW_MS) return;
      const filled = Math.round(share * BAR_COLUMNS);
      const bar = '█'.repeat(filled) + '░'.repeat(BAR_COLUMNS - filled);
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
