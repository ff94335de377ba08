import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Serves as `npm start` does. Runs the built file, or the source if there is no build. */
export async function runService(): Promise<void> {
  const built = join(import.meta.dirname, '../service/main.cjs');
  // Workers are started by this name.
  process.argv.splice(1, process.argv.length, built);
  if (existsSync(built)) {
    createRequire(built)(built);
    return;
  }
  process.argv[1] = join(import.meta.dirname, '../main.ts');
  await import('../main.ts');
}
