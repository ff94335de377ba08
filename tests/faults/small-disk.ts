/** What can be wrong with the disk under a file. Needs root, or a sudo that asks for nothing. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../support/programs.ts';

export interface SmallDisk {
  readonly path: string;
  /** Takes all the room that is left. */
  fill(): void;
  makeRoom(): void;
}

/** A disk of its own, of so many MiB, for as long as it is used. */
export async function withSmallDisk<T>(
  mebibytes: number,
  use: (disk: SmallDisk) => Promise<T>,
): Promise<T> {
  const folder = temporaryFolder();
  const path = join(folder.path, 'disk');
  mkdirSync(path);
  asRoot('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=1777`, 'tmpfs', path]);
  // Lazily: whatever still has a file open there must not keep the disk.
  const unmount = () => asRoot('umount', ['--lazy', path]);
  process.once('exit', unmount);
  const ballast = join(path, 'ballast');
  try {
    return await use({
      path,
      fill: () => fillWith(ballast),
      makeRoom: () => rmSync(ballast, { force: true }),
    });
  } finally {
    process.off('exit', unmount);
    unmount();
    folder.remove();
  }
}

function fillWith(path: string): void {
  const file = openSync(path, 'a');
  try {
    // The last bytes of the last page, too.
    for (let size = 1 << 20; size >= 1; size >>= 1) writeWhileItFits(file, Buffer.alloc(size));
  } finally {
    closeSync(file);
  }
}

function writeWhileItFits(file: number, block: Buffer): void {
  try {
    while (writeSync(file, block) === block.length);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  }
}

/** Has nobody write to these files, not even root, and not by descriptors that are open already. */
export function forbidWrites(files: readonly string[]): void {
  asRoot('chattr', ['+i', ...files]);
}

export function allowWrites(files: readonly string[]): void {
  asRoot('chattr', ['-i', ...files]);
}

function asRoot(program: string, args: readonly string[]): void {
  const [file, ...rest] = process.getuid?.() === 0 ? [program] : ['sudo', '-n', program];
  execFileSync(file, [...rest, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}
