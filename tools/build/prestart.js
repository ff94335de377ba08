// Builds `dist` if it is older than its sources. Runs before `npm start`, `portcullis` and the
// tests.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
/** The last output of a build. */
const LAST_OUTPUT = join(ROOT, 'dist/pages');

if (!existsSync(join(ROOT, 'node_modules/.bin/tsc'))) {
  if (!existsSync(LAST_OUTPUT)) {
    console.error('TypeScript is missing, to build with: npm ci --include=dev');
    process.exit(1);
  }
} else if (!isUpToDate()) {
  // On stderr: stdout belongs to the command that runs next.
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
  // npm touches this file when it changes the packages, which are bundled.
  files.push('node_modules/.package-lock.json');
  const changed = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  const built = changed(LAST_OUTPUT) ?? 0;
  return files.every((path) => (changed(join(ROOT, path)) ?? 0) <= built);
}
