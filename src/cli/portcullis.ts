import { CommanderError } from '@commander-js/extra-typings';
import { portcullis } from './commands.ts';

// A reader that has seen enough, such as `head`.
process.stdout.on('error', () => process.exit(1));
// Nobody reads how far it is: no reason to stop half-way.
process.stderr.on('error', () => {});
try {
  await portcullis().parseAsync();
} catch (fault) {
  if (!(fault instanceof CommanderError)) throw fault;
  process.exitCode = fault.exitCode === 0 ? 0 : 2;
  if (fault.exitCode !== 0 && process.argv.includes('--json')) {
    console.log(JSON.stringify({ error: fault.message.replace(/^error: /, '') }));
  }
}
