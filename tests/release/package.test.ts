import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { entries, type Packed, run, withPackage } from '../support/package.ts';
import { withService } from '../support/service.ts';
import { isAvailable, withDatabaseUrl } from '../support/stores.ts';

// The package as a stranger gets it: all of this is looked at in the tarball, nothing in the source.

/** What each entry may load beside itself: packages, and parts of Node. */
const LOADS: Readonly<Record<string, readonly string[]>> = {
  portcullis: [],
  'portcullis/memory': ['node:crypto'],
  'portcullis/client': [],
  'portcullis/fetch': [],
  'portcullis/testing': ['node:assert', 'node:crypto', 'node:timers', 'node:util'],
  'portcullis/argon2': ['node:crypto', 'node:os', 'node:timers', '@node-rs/argon2'],
  'portcullis/legacy-hashes': ['node:crypto', 'node:util'],
  'portcullis/jwt': ['node:crypto', 'jsonwebtoken'],
  'portcullis/express': ['node:async_hooks', 'node:stream', 'node:http', 'express'],
  'portcullis/knex': ['node:crypto', 'node:fs', 'node:net', 'node:path', 'node:timers', 'knex'],
  'portcullis/blocklist': [],
};

/** Writes down every module that is asked for by one of the package's own files. */
const HOOK = `
  import { appendFileSync } from 'node:fs';
  export async function resolve(specifier, context, next) {
    const isOurs = /portcullis\\/dist\\//.test(context.parentURL ?? '');
    if (isOurs && !specifier.startsWith('.')) appendFileSync(process.env.LOG, specifier + '\\n');
    return next(specifier, context);
  }
`;

const SECRETS = /-----BEGIN [A-Z ]+-----|AKIA|eyJ[\w-]{20,}\.|k7Qb0nB2Zq6pWm4tYx9s/;

const tarball = suite('The package');

async function check({ folder, tarball: file, emptyFolder }: Packed): Promise<void> {
  const listed = await run(folder, 'tar', ['-tzf', file]);
  const files = listed
    .trim()
    .split('\n')
    .map((path) => path.replace(/^package\//, ''));

  step('is small, and holds what its entries reach, and nothing else');
  assert.ok(statSync(file).size < 200_000, `${statSync(file).size} bytes`);
  const allowed = /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|dist\/.*\.(?:js|d\.ts))$/;
  assert.equal(
    files.filter((path) => !allowed.test(path)),
    [],
  );
  const reached = reachedFrom(
    folder,
    [...entries().values()].map((entry) => entry.default),
  );
  const shipped = files.filter((path) => path.endsWith('.js')).map((path) => `./${path}`);
  assert.equal(shipped.toSorted(), reached);
  for (const path of files.filter((each) => each.startsWith('dist/'))) {
    assert.not.match(readFileSync(join(folder, path), 'utf8'), SECRETS, path);
  }

  step('is what publint and arethetypeswrong would have');
  await run('.', 'npx', ['publint', file, '--strict']);
  await run('.', 'npx', ['attw', file, '--profile', 'esm-only', '--no-emoji', '--no-color']);

  step('has no any in its types, and no type without a name');
  for (const path of files.filter((each) => each.endsWith('.d.ts'))) {
    const types = readFileSync(join(folder, path), 'utf8').replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, '');
    assert.not.match(types, /\bany\b/, path);
  }
  assert.equal(unnamedBases(folder, files), []);

  step('installs, for memory, without compiling or running anything');
  const memory = emptyFolder('memory');
  writeFileSync(join(memory, 'package.json'), '{"private":true,"type":"module"}');
  await run(memory, 'npm', ['install', '--prefer-offline', '--ignore-scripts', file]);
  const modules = join(memory, 'node_modules');
  for (const name of ['express', 'knex', 'mysql2', 'libsql', 'tsyringe', 'reflect-metadata']) {
    assert.is(existsSync(join(modules, name)), false, name);
  }
  const manifests = readdirSync(modules, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /(?:^|\/)node_modules\/[^/]+\/package\.json$|^(?:@[^/]+\/)?[^/]+\/package\.json$/.test(path),
  );
  assert.ok(manifests.length > 5);
  for (const path of manifests) {
    const { scripts = {} } = JSON.parse(readFileSync(join(modules, path), 'utf8')) as {
      scripts?: Record<string, string>;
    };
    for (const hook of ['preinstall', 'install', 'postinstall']) assert.not(scripts[hook], path);
    assert.is(existsSync(join(modules, path, '../binding.gyp')), false, path);
  }

  step('runs the README’s program with no more than that');
  const [first] = programsOf(join(folder, 'README.md'));
  await tryProgram(memory, first ?? '', {});

  step('loads no more with an entry than that needs');
  writeFileSync(join(memory, 'hook.js'), HOOK);
  writeFileSync(
    join(memory, 'measure.js'),
    `import { register } from 'node:module';
     register('./hook.js', import.meta.url);
     const started = performance.now();
     const face = await import(process.argv[2]);
     console.log(JSON.stringify([performance.now() - started, Object.keys(face)]));`,
  );
  // What is only there for those who want it: of these, nothing but knex and express itself.
  await run(memory, 'npm', ['install', '--prefer-offline', '--no-save', 'knex@3', 'express@5']);
  const faces = new Map<string, readonly string[]>();
  assert.equal([...entries().keys()].toSorted(), Object.keys(LOADS).toSorted());
  for (const name of entries().keys()) {
    const log = join(memory, 'loaded');
    writeFileSync(log, '');
    const printed = await run(memory, process.execPath, ['measure.js', name], { LOG: log });
    const [ms, face] = JSON.parse(printed) as [number, string[]];
    const loaded = [...new Set(readFileSync(log, 'utf8').trim().split('\n').map(packageOf))];
    const expected = LOADS[name] ?? [];
    assert.equal(
      loaded.filter((each) => each && !expected.includes(each)),
      [],
      name,
    );
    assert.equal(
      expected.filter((each) => !loaded.includes(each)),
      [],
      `${name} no longer loads`,
    );
    faces.set(name, face);
    console.log(`import of ${name}: ${ms.toFixed(0)} ms`);
  }

  step('has nothing public that no test and no example uses');
  const users = [...sources('tests'), ...sources('examples'), ...programsOf('docs/embedding.md')];
  for (const [name, face] of faces) {
    assert.ok(face.length > 0, name);
    for (const word of face) {
      const used = users.some((source) => new RegExp(`\\b${word}\\b`).test(source));
      assert.ok(used, `${name} exports ${word}, which nobody uses`);
    }
  }

  step('runs the programs of docs/embedding.md');
  const others = ['mysql2@3', 'hono@4', '@zxcvbn-ts/language-common@4'];
  const programs = programsOf('docs/embedding.md');
  assert.is(programs.length, 9);
  await driverless(memory);
  await run(memory, 'npm', [
    'install',
    '--prefer-offline',
    '--no-save',
    'knex@3',
    'express@5',
    ...others,
  ]);
  await withService('memory', {}, async ({ url }) => {
    for (const program of programs) {
      const env = { PORTCULLIS_URL: url };
      const needsDatabase = program.includes('DATABASE_URL');
      if (!needsDatabase) await tryProgram(memory, program, env);
      else if (isAvailable('MariaDB')) {
        await withDatabaseUrl('MariaDB', (DATABASE_URL) =>
          tryProgram(memory, program, { ...env, DATABASE_URL }),
        );
      }
    }
  });
}

/** The programs of a page: its blocks of JavaScript that import something. */
function programsOf(page: string): string[] {
  const blocks = [...readFileSync(page, 'utf8').matchAll(/```js\n(import [^]*?)```/g)];
  return blocks.map(([, program = '']) => program);
}

/** Runs a program; what it prints stands at its end, or above its functions, as comments. */
async function tryProgram(
  folder: string,
  program: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  writeFileSync(join(folder, 'program.js'), program);
  const printed = await run(folder, process.execPath, ['program.js'], env);
  const expected = [...program.matchAll(/^\/\/ (.+)$/gm)].map(([, line]) => line);
  if (program.includes('node:test')) assert.match(printed, /^(?:#|ℹ) fail 0$/m);
  else
    assert.equal(
      printed
        .trimEnd()
        .split('\n')
        .map((line) => line.trimEnd()),
      expected,
      program,
    );
}

async function driverless(memory: string): Promise<void> {
  step('says what is wrong where a driver is missing');
  const knexless = `
    import { openDatabase } from 'portcullis/knex';
    for (const target of [{ kind: 'sqlite', path: 'x.sqlite' }, { kind: 'mysql', hosts: [{ host: 'x', port: 1 }], user: '', password: '', database: '' }]) {
      const knex = openDatabase(target);
      await knex.raw('SELECT 1').catch(({ message }) => console.log(message));
      await knex.destroy();
    }`;
  writeFileSync(join(memory, 'drivers.js'), knexless);
  const told = await run(memory, process.execPath, ['drivers.js']);
  assert.match(told, 'the package libsql cannot be loaded: npm install libsql');
  assert.match(told, 'the package mysql2 cannot be loaded: npm install mysql2');
}

tarball('is what a stranger needs, and no more', () => withPackage(check));

/** Where a check was when it failed is in the output. */
function step(what: string): void {
  console.log(`  ${what}`);
}

/** `node:timers/promises` is of `node:timers`, `knex/lib/x.js` of `knex`. */
function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

/** All modules that can be reached by relative imports, of code or of types, in order. */
function reachedFrom(folder: string, starts: readonly string[]): string[] {
  const reached = new Set<string>();
  const visit = (path: string) => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const file of [path, path.replace(/js$/, 'd.ts')]) {
      const source = readFileSync(join(folder, file), 'utf8');
      for (const [, to = ''] of source.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
        visit(`./${join(path, '..', to.replace(/\.ts$/, '.js'))}`);
      }
    }
  };
  for (const start of starts) visit(start);
  return [...reached].toSorted();
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(?:ts|js|cjs)$/.test(path) && !path.includes('node_modules'))
    .map((path) => readFileSync(join(folder, path), 'utf8'));
}

/**
 * What public types extend or implement without its being public: TypeDoc finds every other type that
 * lacks a name, but not these.
 */
function unnamedBases(folder: string, files: readonly string[]): string[] {
  const read = (path: string) => readFileSync(join(folder, path), 'utf8');
  const named = new Set(['Error', 'Omit', 'Partial', 'Pick']);
  for (const { types } of entries().values()) {
    const source = read(types);
    for (const [, list = ''] of source.matchAll(/export (?:type )?\{([^}]*)\}/g)) {
      for (const each of list.split(',')) named.add(/(\w+)\s*$/.exec(each)?.[1] ?? '');
    }
    for (const [, name = ''] of source.matchAll(/^export .*?(?:interface|class|type) (\w+)/gm)) {
      named.add(name);
    }
  }
  return files
    .filter((path) => path.endsWith('.d.ts'))
    .flatMap((path) => {
      const source = read(path);
      const original = (name: string) =>
        new RegExp(`(\\w+) as ${name}\\b`).exec(source)?.[1] ?? name;
      return [...source.matchAll(/(?:interface|class) (\w+)(?:<[^>]*>)? ((?:extends|impl)[^{]+)/g)]
        .filter(([, name = '']) => named.has(name))
        .flatMap(([, name, bases = '']) =>
          (bases.replaceAll(/'[^']*'/g, '').match(/\b[A-Z]\w+/g) ?? [])
            .filter((base) => !named.has(original(base)))
            .map((base) => `${name} in ${path} is of ${base}`),
        );
    });
}

tarball('has a reference without a gap', async () => {
  await run('.', 'npm', ['run', '--silent', 'docs']);
});

tarball('is refused by its types where it is used wrongly', () =>
  withPackage(async ({ tarball: file, emptyFolder }) => {
    const folder = emptyFolder('types');
    writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}');
    const types = ['@types/express@5', '@types/node@20', 'express@5', 'knex@3'];
    await run(folder, 'npm', ['install', '--prefer-offline', '--ignore-scripts', file, ...types]);
    writeFileSync(join(folder, 'misuse.ts'), readFileSync('tests/support/misuse.ts.txt', 'utf8'));
    for (const kind of ['nodenext', 'bundler']) {
      const resolution = kind === 'bundler' ? ['--module', 'preserve'] : ['--module', 'nodenext'];
      await run('.', 'npx', [
        'tsc',
        '--noEmit',
        '--strict',
        '--exactOptionalPropertyTypes',
        '--skipLibCheck',
        'false',
        '--target',
        'es2023',
        '--types',
        'node',
        '--ignoreConfig',
        ...resolution,
        '--moduleResolution',
        kind,
        join(folder, 'misuse.ts'),
      ]);
    }
  }),
);

tarball.run();
