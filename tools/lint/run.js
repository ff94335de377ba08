// Runs one of the linters of this folder: `node tools/lint/run.js redocly lint …`. They consist of
// some 400 packages that nothing else needs, so they have a lock file of their own and are
// installed at their first use.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = import.meta.dirname;
const MODULES = join(FOLDER, 'node_modules');

if (!isInstalled()) install();
const [, , name = '', ...args] = process.argv;
const { status, error } = spawnSync(join(MODULES, '.bin', name), args, { stdio: 'inherit' });
if (error) console.error(`${name} cannot be run: ${error.message}`);
process.exit(status ?? 1);

function isInstalled() {
  const changed = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return changed(join(MODULES, '.package-lock.json')) >= changed(join(FOLDER, 'package-lock.json'));
}

/** Installs into a temporary folder and renames that, because two processes may install at once. */
function install() {
  const place = mkdtempSync(join(FOLDER, '.install-'));
  try {
    for (const file of ['package.json', 'package-lock.json', '.npmrc']) {
      cpSync(join(FOLDER, file), join(place, file));
    }
    const options = { cwd: place, stdio: ['ignore', 2, 2] };
    const { status: code } = spawnSync('npm', ['ci', '--silent', '--prefer-offline'], options);
    if (code !== 0) process.exit(1);
    if (isInstalled()) return;
    rmSync(MODULES, { recursive: true, force: true });
    renameSync(join(place, 'node_modules'), MODULES);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
