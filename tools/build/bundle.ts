/**
 * Bundles the service into one file, and its MySQL driver into another, with source maps, in
 * `dist/service`. Otherwise Node would load some 700 modules before the first reply. `start.ts`
 * runs the bundle. The library is not bundled.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const FOLDER = resolve('dist/service');
rmSync(FOLDER, { recursive: true, force: true }); // V8 detects a stale cache by its length alone.

/**
 * Packages outside of the bundle: those with native code, and a large one that few services load.
 */
const INSTALLED = ['@node-rs/argon2', '@node-rs/bcrypt', 'libsql', '@zxcvbn-ts/language-common'];

/** Optional packages of knex and mysql2 that the service never loads. */
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

/** Keeps the MySQL driver, a third of all code, in a file that only services on MySQL load. */
const separateMysqlDriver: Plugin = {
  name: 'the driver for MySQL apart',
  setup(bundle) {
    bundle.onResolve({ filter: /^mysql2$/ }, ({ kind }) =>
      kind === 'entry-point' ? undefined : { path: './mysql2.cjs', external: true },
    );
  },
};

/**
 * Replaces modules that Express loads but the service never uses, which take a tenth of the start:
 * body parsers (`express.ts` reads bodies itself) and file types.
 */
const withoutUnusedModules: Plugin = {
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
  plugins: [separateMysqlDriver, withoutUnusedModules],
  platform: 'node',
  target: 'node20.19',
  // CommonJS, for dynamic imports too: it starts faster than ES modules.
  format: 'cjs',
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  // Fewer bytes to read. Names stay, for readable stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: 'linked',
  sourcesContent: false,
  external: [...INSTALLED, ...NEVER_LOADED],
  logLevel: 'warning',
});
// Files for browsers are served as they are.
rmSync('dist/pages', { recursive: true, force: true });
cpSync('src/adapters/pages', 'dist/pages', {
  recursive: true,
  filter: (path) => !/(?:\.ts|\.json)$/.test(path),
});
await compile(join(FOLDER, 'main.cjs'));

/** Runs the service for a moment, and stores the code that V8 has compiled. */
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
