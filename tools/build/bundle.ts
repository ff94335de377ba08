/**
 * Makes the service one file, and its driver for MySQL another beside it, with source maps, in
 * `dist/service`: else Node finds, reads and compiles some 700 modules before the first reply. `start.ts`
 * runs it. The library is not bundled.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const FOLDER = resolve('dist/service');
rmSync(FOLDER, { recursive: true, force: true }); // V8 tells a cache of before by its length alone.

/** Not in the files: what has native parts, and what is read by few. */
const INSTALLED = ['@node-rs/argon2', '@node-rs/bcrypt', 'libsql', '@zxcvbn-ts/language-common'];

/** What knex and mysql2 would load for other databases and never get to. */
const NEVER_LOADED = [
  'better-sqlite3',
  'cardinal',
  'mariadb',
  'mysql',
  'oracledb',
  'pg',
  'pg-query-stream',
  'sqlite3',
  'tedious',
];

/** A third of all that there is, for those alone whose database it is. */
const apart: Plugin = {
  name: 'the driver for MySQL apart',
  setup(bundle) {
    bundle.onResolve({ filter: /^mysql2$/ }, ({ kind }) =>
      kind === 'entry-point' ? undefined : { path: './mysql2.cjs', external: true },
    );
  },
};

/**
 * What Express loads at once, a tenth of the start, and the service has no use for: the parsers of bodies,
 * which `express.ts` reads itself, and the types of files.
 */
const withoutUnused: Plugin = {
  name: 'without what Express would not be asked for',
  setup(bundle) {
    bundle.onResolve({ filter: /^(?:body-parser|mime-db)$/ }, ({ path }) => {
      return { path, namespace: 'unused' };
    });
    bundle.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({
      contents: 'module.exports = {};',
    }));
  },
};

await build({
  entryPoints: { main: 'tools/build/start.ts', bundle: 'src/main.ts', mysql2: 'mysql2' },
  outdir: FOLDER,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  plugins: [apart, withoutUnused],
  platform: 'node',
  target: 'node20.19',
  // CommonJS, also for what is imported on demand: it starts sooner than modules do.
  format: 'cjs',
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  // Fewer bytes to read; names stay, for whoever reads a stack.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: 'linked',
  sourcesContent: false,
  external: [...INSTALLED, ...NEVER_LOADED],
  logLevel: 'warning',
});
// What browsers get of it is read as it is.
rmSync('dist/pages', { recursive: true, force: true });
cpSync('src/adapters/pages', 'dist/pages', {
  recursive: true,
  filter: (path) => !/(?:\.ts|\.json)$/.test(path),
});
await compile(join(FOLDER, 'main.cjs'));

/** Has the service serve for a moment, and keeps what V8 has compiled for it. */
async function compile(main: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-build-'));
  const program = `
    process.argv[1] = ${JSON.stringify(main)};
    const { script } = require(process.argv[1]);
    process.on('message', (path) => {
      require('node:fs').writeFileSync(path, script.createCachedData());
      process.exit();
    });`;
  const child = spawn(process.execPath, ['--eval', program], {
    cwd: folder,
    env: { PATH: process.env['PATH'], PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    timeout: 30_000,
  });
  const exited = once(child, 'exit');
  try {
    const url = await new Promise<string>((found, reject) => {
      child.stdout?.on('data', (text) => found(/http:\S+/.exec(String(text))?.[0] ?? ''));
      child.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
    });
    await fetch(`${url}/users`);
    await fetch(`${url}/login`, { method: 'POST', body: '{}' });
    child.send(join(FOLDER, 'bundle.cjs.cache'));
    await exited;
  } catch (fault) {
    child.kill();
    console.error('The service will start more slowly: it could not be run to be compiled', fault);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
