// Builds `dist`, if it is older than what it is made of. It runs before `npm start`, `portcullis` and the tests.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
/** What a build makes last. */
const BUILT = join(ROOT, 'dist/pages');

if (!existsSync(join(ROOT, 'node_modules/.bin/tsc'))) {
  if (!existsSync(BUILT)) {
    console.error('TypeScript is missing, to build with: npm ci --include=dev');
    process.exit(1);
  }
} else if (!isUpToDate()) {
  // What the build prints is not what a command says.
  const options = { cwd: ROOT, stdio: ['ignore', 2, 2] };
  if (spawnSync('npm', ['run', '--silent', 'build'], options).status !== 0) process.exit(1);
}

function isUpToDate() {
  const files = ['package.json', 'tsconfig.json', 'tsconfig.build.json'];
  for (const folder of ['src', 'tools/build']) {
    for (const path of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
      if (!path.includes('node_modules')) files.push(join(folder, path));
    }
  }
  // Of the packages, which are bundled, npm says when it last changed them.
  files.push('node_modules/.package-lock.json');
  const changed = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  const built = changed(BUILT) ?? 0;
  return files.every((path) => (changed(join(ROOT, path)) ?? 0) <= built);
}
