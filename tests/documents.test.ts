import { execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SECRET } from './support/fakes.ts';
import { LEGACY_HASHES } from './support/legacy-hashes.ts';
import { freePort, temporaryFolder } from './support/programs.ts';
import { isAvailable, withDatabaseUrl } from './support/stores.ts';

// What the documents have a reader type is typed, in a copy of this checkout, and must come to what they say.

const QUICK_START = 'docs/quick-start.md';
/** The quick start comes last: the package that it makes takes the place of what is built. */
const PAGES = [
  'README.md',
  ...readdirSync('docs')
    .map((name) => `docs/${name}`)
    .filter((path) => path.endsWith('.md') && path !== QUICK_START),
  QUICK_START,
];

/** What is not typed here, by its beginning, and why; `file` has the text that shows what is done instead. */
const ELSEWHERE: readonly {
  readonly begins: string;
  readonly why: string;
  readonly file: string;
  readonly text: string;
}[] = [
  {
    begins: 'npm test',
    why: 'this is it',
    file: '.github/workflows/ci.yml',
    text: '- run: npm test\n',
  },
  {
    begins: 'npm run check',
    why: 'it comes before the tests',
    file: '.github/workflows/ci.yml',
    text: '- run: npm run check\n',
  },
  {
    begins: 'npm ci',
    why: 'it is a step of the image, which tests/release/deploy.test.ts takes one by one',
    file: 'Dockerfile',
    text: 'RUN npm ci --include=dev\n',
  },
  {
    begins: 'npm run build',
    why: 'it is a step of the image, too',
    file: 'Dockerfile',
    text: 'RUN npm run build && npm prune --omit=dev\n',
  },
  {
    begins: 'npm prune --omit=dev',
    why: 'it is a step of the image, too',
    file: 'Dockerfile',
    text: 'RUN npm run build && npm prune --omit=dev\n',
  },
  {
    begins: 'npm run --silent sbom',
    why: 'it installs what makes the bill',
    file: 'tests/release/deploy.test.ts',
    text: "'has a bill of materials, of what runs and nothing else'",
  },
  {
    begins: 'npx portcullis users create',
    why: 'it asks a person, at a terminal',
    file: 'tests/cli-terminal.test.ts',
    text: '${CLI} users create ada@example.com Ada`',
  },
  {
    begins: 'docker compose',
    why: 'needs an engine for containers; the files are read by the tools whose they are',
    file: 'tests/release/deploy.test.ts',
    text: "'has compositions that are whole, and ask for the secrets by name'",
  },
  {
    begins: 'kubectl',
    why: 'needs a cluster; the manifests are checked',
    file: 'tests/release/deploy.test.ts',
    text: "'has manifests that Kubernetes takes'",
  },
  ...['useradd', 'install', 'systemctl'].map((begins) => ({
    begins,
    why: 'changes a machine that has systemd; the unit is checked',
    file: 'tests/release/deploy.test.ts',
    text: "'has a unit that systemd takes, with little that it may do'",
  })),
];

interface Step {
  /** A command, without what is beside it as a comment; or what is in a file. */
  readonly text: string;
  /** The name of that file. */
  readonly file?: string;
  /** What comes of the command, `…` for anything; empty: it does not say. */
  output: string;
}

/** What a page has its reader do, one after the other. */
function stepsOf(page: string): Step[] {
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
const commandIn = (text: string) => text.replace(/^(?:[A-Z_]+=\S* )+/, '');

const elsewhere = ({ text }: Step) =>
  ELSEWHERE.find(({ begins }) => ` ${commandIn(text)} `.startsWith(` ${begins} `));

/** A shell that keeps its variables and its folder from one command to the next. */
class Shell {
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
async function follow(steps: readonly Step[], shell: Shell): Promise<void> {
  for (const step of steps) {
    const { text, file, output } = step;
    if (elsewhere(step)) continue;
    const command = commandIn(text);
    try {
      if (ENDS.test(command)) await shell.endServing();
      // Into a database that is empty, as the page has it.
      if (command.startsWith('npm run restore')) await shell.type('rm data/portcullis.sqlite*');
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

/** This checkout as a clone of it would be, with what is not committed yet, once it is installed. */
function clone(to: string): void {
  const ignored = readFileSync('.gitignore', 'utf8')
    .split('\n')
    .map((line) => basename(line));
  const left = new Set([...ignored, '.git']);
  cpSync('.', to, {
    recursive: true,
    filter: (path) => !left.has(basename(path)) && !path.endsWith('.tgz'),
  });
  const copy = (how: string) => execFileSync('cp', [how, 'node_modules', to], { stdio: 'ignore' });
  try {
    copy('-al'); // By links, where the temporary folder is on the same disk.
  } catch {
    copy('-a');
  }
}

const documents = suite('The documents');

documents('have no command that is not run here, or elsewhere for a reason that holds', () => {
  const all = PAGES.flatMap((page) => stepsOf(readFileSync(page, 'utf8')));
  assert.ok(all.length > 50, String(all.length));
  const used = new Set(all.map(elsewhere));
  for (const each of ELSEWHERE) {
    assert.ok(used.has(each), `no document has ${each.begins}`);
    assert.ok(readFileSync(each.file, 'utf8').includes(each.text), `${each.file}: ${each.text}`);
  }
  // None is overlooked for what its block is called.
  const known = new Set(['sh', 'console', 'js', 'ts', 'sql', 'ini', 'haproxy', '']);
  for (const page of PAGES) {
    for (const [, language = ''] of readFileSync(page, 'utf8').matchAll(/^ *```(.+)$/gm)) {
      assert.ok(known.has(language), `${page}: ${language}`);
    }
  }
});

const DONE = 'have commands that do what they say, one after the other';
const followAll = () =>
  withDatabaseUrl('MariaDB', async (databaseUrl) => {
    const folder = temporaryFolder();
    const { path } = folder;
    const [checkout, backups] = [join(path, 'portcullis'), join(path, 'backups')];
    const [port, other] = [await freePort(), await freePort()];
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
    const env = { PATH, HOME, TEST_MYSQL_URL, CURL_HOME: path, PORT: String(port) };
    try {
      clone(checkout);
      mkdirSync(backups);
      // A refusal is a failure, in an answer of HTTP as anywhere.
      writeFileSync(join(path, '.curlrc'), 'fail-with-body\n');
      writeFileSync(
        join(checkout, 'users.csv'),
        `username,email,password_hash\nBob,bob@example.com,${LEGACY_HASHES.bcrypt}\n`,
      );
      for (const page of PAGES) {
        const steps = stepsOf(readFileSync(page, 'utf8'));
        if (steps.every(elsewhere)) continue;
        const started = performance.now();
        rmSync(join(checkout, 'data'), { recursive: true, force: true });
        const settings = { ...env, npm_config_prefer_offline: 'true', npm_config_audit: 'false' };
        const shell = new Shell(checkout, settings, join(path, 'served.log'));
        try {
          await follow(
            steps.map((step) => ({ ...step, text: here(step.text), output: here(step.output) })),
            shell,
          );
        } catch (error) {
          throw new Error(`${page}: ${String(error)}`, { cause: error });
        } finally {
          await shell.close();
        }
        console.log(`  ${page}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
      }
    } finally {
      folder.remove();
    }
  });
const canFollow = process.env['TEST_CURL'] && process.env['TEST_OPENSSL'] && isAvailable('MariaDB');
if (canFollow) documents(DONE, followAll);
else documents.skip(DONE, followAll);

documents('are not followed where something comes to something else', async () => {
  const folder = temporaryFolder();
  const shell = new Shell(folder.path, { PATH: process.env['PATH'] }, join(folder.path, 'log'));
  const faultOf = (block: string) =>
    follow(stepsOf(`Text:\n\n\`\`\`sh\n${block}\n\`\`\`\n`), shell).then(
      () => '',
      (error: unknown) => String(error),
    );
  try {
    const sound = 'A=$(echo "a b" |\n  tr a c)\nB="$A \\\nd" && echo "$B" x    # shown\n# c b d …';
    assert.is(await faultOf(sound), '');
    assert.match(await faultOf('true && false'), /^Error: false\n.*exit code 1/);
    assert.match(await faultOf('echo no\n# yes'), 'it is not yes but no');
    assert.is(await faultOf('echo .\n# …'), '');
    assert.match(await faultOf('npm strat'), /npm strat\n.*exit code/);
    assert.match(await faultOf('PORT=x npm start'), 'it does not serve');
    assert.match(await faultOf('fi'), 'no end of it');
  } finally {
    await shell.close();
    folder.remove();
  }
});

documents('lead to what is there, and name scripts, files and pages that there are', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: object };
  const texts = new Map(PAGES.map((page) => [page, readFileSync(page, 'utf8')]));
  let links = 0;
  for (const [page, text] of texts) {
    for (const [, path = '', anchor = ''] of text.matchAll(/\]\(([\w./-]+)(?:#([\w-]+))?\)/g)) {
      const target = join(dirname(page), path);
      assert.ok(existsSync(target), `${page}: ${path}`);
      const headings = [...(texts.get(target) ?? '').matchAll(/^#+ (.+)$/gm)].map(
        ([, title = '']) => title.toLowerCase().replaceAll(' ', '-'),
      );
      assert.ok(anchor === '' || headings.includes(anchor), `${page}: ${path}#${anchor}`);
      links += 1;
    }
    for (const [, name = ''] of text.matchAll(/npm run (?:--silent |-- )?([a-z][\w:]*)/g)) {
      assert.ok(name in scripts, `${page}: npm run ${name}`);
    }
    for (const [, path = ''] of text.matchAll(/`((?:src|tests|docs|bench|service)\/[\w./-]+)`/g)) {
      const isMade = path === 'docs/reference';
      assert.ok(isMade || existsSync(path), `${page}: ${path}`);
    }
  }
  assert.ok(links > 25, String(links));
  const [, browser = ''] = /## In a browser\n([^]*?)\n## /.exec(texts.get(QUICK_START) ?? '') ?? [];
  const labels = [...browser.matchAll(/\*\*([^*]+)\*\*/g)].map(([, label = '']) => label);
  assert.is(labels.length, 7);
  const shown = ['front', 'register', 'account']
    .map((name) => readFileSync(`src/adapters/pages/${name}.html`, 'utf8'))
    .join('\n');
  for (const label of labels) assert.ok(shown.includes(`>${label}<`), label);
});

documents.run();
