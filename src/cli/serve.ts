import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Serves as `npm start` does: by the built file, or in a checkout that is not built by the source. */
export async function runService(): Promise<void> {
  const built = join(import.meta.dirname, '../service/main.cjs');
  // It is what runs from here on; its workers are begun by that name.
  process.argv.splice(1, process.argv.length, built);
  if (existsSync(built)) {
    createRequire(built)(built);
    return;
  }
  process.argv[1] = join(import.meta.dirname, '../main.ts');
  await import('../main.ts');
}
