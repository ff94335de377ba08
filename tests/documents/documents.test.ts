import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { commandIn, follow, Shell, type Step, stepsOf, withReader } from '../support/documents.ts';
import { temporaryFolder } from '../support/programs.ts';
import { isAvailable, withDatabaseUrl } from '../support/stores.ts';

// What the documents have a reader type is typed, in a copy of this checkout, and must come to what they say.

const QUICK_START = 'docs/quick-start.md';
const PAGES = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
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
    why: 'the packages are those of here; there it is typed',
    file: 'tests/release/quick-start.test.ts',
    text: "'takes a stranger from a clone to an app of theirs'",
  },
  {
    begins: 'npm run build',
    why: 'it is a step of the image, which tests/release/deploy.test.ts takes',
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
    begins: 'tools/sbom.sh',
    why: 'it installs what makes the bill',
    file: 'tests/release/deploy.test.ts',
    text: "'has a bill of materials, of what runs and nothing else'",
  },
  {
    begins: 'npx portcullis users create',
    why: 'it asks a person, at a terminal',
    file: 'tests/system/cli-terminal.test.ts',
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
  ...['useradd', 'install', 'systemctl', 'systemd-run'].map((begins) => ({
    begins,
    why: 'changes a machine that has systemd; the unit is checked',
    file: 'tests/release/deploy.test.ts',
    text: "'has a unit that systemd takes, with little that it may do'",
  })),
];

const elsewhere = ({ text }: Step) =>
  ELSEWHERE.find(({ begins }) => ` ${commandIn(text)} `.startsWith(` ${begins} `));

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
  withDatabaseUrl('MariaDB', (databaseUrl) =>
    withReader(databaseUrl, async (reader) => {
      reader.install();
      for (const page of PAGES) {
        const started = performance.now();
        let text = readFileSync(page, 'utf8');
        if (page === QUICK_START) {
          // The rest asks the registry for packages: tests/release/quick-start.test.ts follows it all.
          const [first = '', rest] = text.split('\n## In an app of yours\n');
          assert.ok(rest);
          text = first;
        }
        const steps = stepsOf(text).filter((step) => !elsewhere(step));
        if (steps.length === 0) continue;
        await reader.follow(steps).catch((fault: unknown) => {
          throw new Error(`${page}: ${String(fault)}`, { cause: fault });
        });
        console.log(`  ${page}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
      }
    }),
  );
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
