#!/usr/bin/env node
// The command line of a checkout. As `npm start` does it builds first, but only what has changed.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ROOT = join(import.meta.dirname, '..');
const PROGRAM = join(ROOT, 'dist/cli/portcullis.js');

if (!isBuilt()) {
  const command = ['run', '--silent', 'prestart'];
  // What the build prints is not what the command says.
  const { status } = spawnSync('npm', command, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(1);
}
process.setSourceMapsEnabled(true);
await import(pathToFileURL(PROGRAM).href);

function isBuilt() {
  if (!existsSync(PROGRAM)) return false;
  const { mtimeMs } = statSync(PROGRAM);
  return ['src', 'service'].every((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => !path.includes('node_modules'))
      .every((path) => statSync(join(ROOT, folder, path)).mtimeMs <= mtimeMs),
  );
}
