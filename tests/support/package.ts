import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as assert from 'uvu/assert';
import { temporaryFolder } from './programs.ts';

const execute = promisify(execFile);

/** What a program printed; rejects, with all of it in the message, where it failed. */
export async function run(
  cwd: string,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { PATH, HOME } = process.env;
  const all = { PATH, HOME, npm_config_fund: 'false', npm_config_audit: 'false', ...env };
  try {
    const { stdout } = await execute(command, [...args], { cwd, env: all, timeout: 240_000 });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')} failed\n${stdout}\n${stderr}`, { cause: error });
  }
}

export interface Packed {
  /** The folder that it was packed in, with the tarball and what went into it. */
  readonly folder: string;
  readonly tarball: string;
  /** A new, empty folder beside the tarball, two levels down as the examples are. */
  readonly emptyFolder: (name: string) => string;
}

/**
 * The package as it would be published, for as long as `use` takes. It is built aside: the checkout's
 * own `dist` is what other tests run.
 */
export async function withPackage(use: (packed: Packed) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  try {
    const { path } = folder;
    const out = join(path, 'dist');
    for (const args of compilerRuns()) await run('.', 'npx', [...args, '--outDir', out]);
    for (const file of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']) {
      copyFileSync(file, join(path, file));
    }
    await run(path, 'npm', ['pack', '--ignore-scripts']);
    const tarball = readdirSync(path).find((file) => file.endsWith('.tgz')) ?? '';
    const emptyFolder = (name: string) => {
      const made = join(path, 'examples', name);
      mkdirSync(made, { recursive: true });
      return made;
    };
    await use({ folder: path, tarball: join(path, tarball), emptyFolder });
  } finally {
    folder.remove();
  }
}

/** The calls of the compiler by which `npm pack` makes the package. */
function compilerRuns(): readonly (readonly string[])[] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    scripts: { prepack: string };
  };
  const runs = scripts.prepack.split(' && ').filter((command) => command.startsWith('tsc '));
  assert.ok(runs.length > 0, scripts.prepack);
  return runs.map((command) => command.split(' '));
}

/** Copies an example to a folder, with what it needs; the tarball must be where its manifest says, if it does. */
export async function installExample(name: string, folder: string): Promise<void> {
  cpSync(join('examples', name), folder, { recursive: true });
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  assert.match(readme, /\nnpm install && .*npm start|\nnpm install && npm test/);
  await run(folder, 'npm', ['install', '--prefer-offline']);
}

/** The entries of the package, by what they are imported as. */
export function entries(): ReadonlyMap<
  string,
  { readonly types: string; readonly default: string }
> {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    exports: Record<string, { types: string; default: string } | string>;
  };
  const found = new Map<string, { types: string; default: string }>();
  for (const [name, entry] of Object.entries(exports)) {
    if (typeof entry !== 'string') found.set(name.replace(/^\./, 'portcullis'), entry);
  }
  return found;
}
