import { spawn } from 'node:child_process';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SECRET } from './fakes.ts';
import { LEGACY_HASHES } from './legacy-hashes.ts';
import { freePort, temporaryFolder } from './programs.ts';

// A reader of the documents, who types what they say.

export interface Step {
  /** A command, without what is beside it as a comment; or what is in a file. */
  readonly text: string;
  /** The name of that file. */
  readonly file?: string;
  /** What comes of the command, `…` for anything; empty: it does not say. */
  output: string;
}

/** What a page has its reader do, one after the other. */
export function stepsOf(page: string): Step[] {
  const blocks = page.matchAll(/^```(\w*)\n([^]*?)^```$/gm);
  return [...blocks].flatMap(({ index, 1: language = '', 2: text = '' }) => {
    const before = page.slice(0, index).trimEnd().split('\n').at(-1) ?? '';
    const [, file] = /^This is `([\w.-]+)`/.exec(before) ?? [];
    if (file !== undefined) return [{ text, file, output: '' }];
    return language === 'sh' || language === 'console' ? commandsOf(text) : [];
  });
}

function commandsOf(block: string): Step[] {
  const lines: string[] = [];
  for (const line of block.split('\n')) {
    const goesOn = /[\\|]$/.test(lines.at(-1) ?? '');
    if (goesOn) lines.push(`${lines.pop()}\n${line}`);
    else if (line !== '') lines.push(line);
  }
  const steps: Step[] = [];
  for (const line of lines) {
    const last = steps.at(-1);
    if (line.startsWith('# ') && last) last.output = line.slice(2);
    else {
      const parts = line.replace(/ +# .*$/, '').split(' && ');
      steps.push(...parts.map((text) => ({ text, output: '' })));
    }
  }
  return steps;
}

/** Without the settings before it. */
export const commandIn = (text: string) => text.replace(/^(?:[A-Z_]+=\S* )+/, '');

/** A shell that keeps its variables and its folder from one command to the next. */
export class Shell {
  readonly #child;
  readonly #log: string;
  #output = '';
  #ended = false;
  #served = '';

  constructor(cwd: string, env: Readonly<Record<string, string | undefined>>, log: string) {
    this.#log = log;
    this.#child = spawn('sh', [], { cwd, env: { ...env }, stdio: 'pipe' });
    const read = (text: string) => (this.#output += text);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', read);
    }
    this.#child.once('close', () => (this.#ended = true));
    this.#child.stdin.on('error', () => {});
  }

  /** Types a command; gives what it printed, on both channels. Rejects where it fails. */
  async type(command: string): Promise<string> {
    const mark = '--- that was it: ';
    this.#output = '';
    this.#child.stdin.write(`{ ${command}\n} 2>&1 </dev/null\necho "${mark}$?"\n`);
    for (let waited = 0; !this.#output.includes(mark); waited += 20) {
      if (this.#ended || waited > 120_000) throw new Error(`no end of it: ${this.#output}`);
      await sleep(20);
    }
    const [output = '', code] = this.#output.split(mark);
    if (code?.trim() !== '0') throw new Error(`exit code ${code?.trim()}: ${output}`);
    return output;
  }

  /** Types a command that serves until it is ended; gives what it printed before it did. */
  async serve(command: string): Promise<string> {
    await this.endServing();
    writeFileSync(this.#log, '');
    this.#served = (await this.type(`${command} >${this.#log} 2>&1 &\necho $!`)).trim();
    const printed = () => readFileSync(this.#log, 'utf8');
    for (let waited = 0; !/serves http:.*\n/.test(printed()); waited += 20) {
      if (!isRunning(this.#served) || waited > 60_000)
        throw new Error(`it does not serve: ${printed()}`);
      await sleep(20);
    }
    return printed();
  }

  async endServing(): Promise<void> {
    if (this.#served === '') return;
    const pid = this.#served;
    this.#served = '';
    await this.type(`kill ${pid}\nwait ${pid} || true`);
  }

  async close(): Promise<void> {
    if (!this.#ended) await this.endServing();
    this.#child.kill('SIGKILL');
  }
}

/** Not even waiting to be counted out by who started it. */
function isRunning(pid: string): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** What serves until somebody ends it, and what nobody does while it serves. */
const SERVES = /^(?:npm start|node main\.mjs)$/;
const ENDS = /^npm (?:pack|run restore)\b/;

/** Does what a page says. Rejects, naming the command, where it does not come to what it should. */
export async function follow(steps: readonly Step[], shell: Shell): Promise<void> {
  for (const { text, file, output } of steps) {
    const command = commandIn(text);
    try {
      if (ENDS.test(command)) await shell.endServing();
      // Into a database that is empty, as the page has it.
      if (command.startsWith('npx portcullis restore'))
        await shell.type('rm data/portcullis.sqlite*');
      if (file !== undefined) await shell.type(`cat >${file} <<'END'\n${text}END`);
      else {
        const printed = await (SERVES.test(command) ? shell.serve(text) : shell.type(text));
        if (output !== '' && !meant(output).test(printed)) {
          throw new Error(`it is not ${output} but ${printed}`);
        }
      }
    } catch (error) {
      throw new Error(`${text}\n${String(error)}`, { cause: error });
    }
  }
}

/** A line, or the whole of what is printed. */
function meant(output: string): RegExp {
  const parts = output.split('…').map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&'));
  return new RegExp(`^${parts.join('.+')}$`, 'm');
}

/** Somebody who has a clone of this checkout, with what is not committed yet. */
export interface Reader {
  /** Gives the clone the packages that are installed here. */
  install(): void;
  /** Follows steps from the root of the clone, with no users yet. */
  follow(steps: readonly Step[]): Promise<void>;
}

/** `databaseUrl` is where the documents have a MySQL. */
export async function withReader(
  databaseUrl: string,
  use: (reader: Reader) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder();
  const { path } = folder;
  const [checkout, backups] = [join(path, 'portcullis'), join(path, 'backups')];
  const [port, other] = [await freePort(), await freePort()];
  // What is the reader's own, as the documents have it, and what it is here.
  const own: readonly (readonly [said: string, here: string])[] = [
    ['8000', String(port)],
    ['3000', String(other)],
    ['/backups/', `${backups}/`],
    ['2030-01-31', '$(date +%F)'],
    ['mysql://user:password@localhost/portcullis', databaseUrl],
    [
      'DATABASE_URL=… JWT_SECRET=…',
      `DATABASE_URL=sqlite:${path}/production.sqlite JWT_SECRET=${SECRET}`,
    ],
  ];
  const here = (text: string) =>
    own.reduce((changed, [said, meantBy]) => changed.replaceAll(said, meantBy), text);
  const { PATH, HOME, TEST_MYSQL_URL } = process.env;
  const npm = { npm_config_prefer_offline: 'true', npm_config_audit: 'false' };
  const env = { PATH, HOME, TEST_MYSQL_URL, CURL_HOME: path, PORT: String(port), ...npm };
  try {
    clone(checkout);
    mkdirSync(backups);
    // A refusal is a failure, in an answer of HTTP as anywhere.
    writeFileSync(join(path, '.curlrc'), 'fail-with-body\n');
    const users = `username,email,password_hash\nBob,bob@example.com,${LEGACY_HASHES.bcrypt}\n`;
    writeFileSync(join(checkout, 'users.csv'), users);
    await use({
      install: () => linkPackages(checkout),
      async follow(steps) {
        rmSync(join(checkout, 'data'), { recursive: true, force: true });
        const shell = new Shell(checkout, env, join(path, 'served.log'));
        const said = steps.map((step) => {
          return { ...step, text: here(step.text), output: here(step.output) };
        });
        try {
          await follow(said, shell);
        } finally {
          await shell.close();
        }
      },
    });
  } finally {
    folder.remove();
  }
}

/** Nothing that git ignores, but without asking git, which need not be there. */
function clone(to: string): void {
  const ignored = readFileSync('.gitignore', 'utf8').split('\n');
  const left = new Set([...ignored.map((line) => basename(line)), '.git']);
  const filter = (path: string) => !left.has(basename(path)) && !path.endsWith('.tgz');
  cpSync('.', to, { recursive: true, filter });
}

/** By links; but what is of the checkout itself among them is that of the clone. */
function linkPackages(checkout: string): void {
  const [from, to] = [resolve('node_modules'), join(checkout, 'node_modules')];
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    const isOwn = name === '.bin' || lstatSync(join(from, name)).isSymbolicLink();
    const [source, target] = [join(from, name), join(to, name)];
    if (isOwn) cpSync(source, target, { recursive: true, verbatimSymlinks: true });
    else symlinkSync(source, target);
  }
}
