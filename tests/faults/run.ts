/**
 * Does the faults of docs/reliability.md to real processes, one after the other, and prints what was
 * measured beside its bound. Arguments: numbers of faults; none: all. FAULTS=long: ten times as much.
 */
import { clockJumps } from './clock-jumps.ts';
import { galeraFaults } from './galera-faults.ts';
import { galeraMigrations } from './galera-migrations.ts';
import { killedDatabase } from './killed-database.ts';
import { killedService } from './killed-service.ts';
import { logOutput } from './log-output.ts';
import { loginFlood } from './login-flood.ts';
import { migrationRaces } from './migration-races.ts';
import { resetConnections } from './reset-connections.ts';
import { rollingRestarts } from './rolling-restarts.ts';
import type { Figure, Scenario } from './scenario.ts';
import { silentDatabase } from './silent-database.ts';
import { smallPool } from './small-pool.ts';
import { unwritableDatabase } from './unwritable-database.ts';

const SCENARIOS: readonly Scenario[] = [
  clockJumps,
  galeraFaults,
  galeraMigrations,
  killedDatabase,
  killedService,
  logOutput,
  loginFlood,
  migrationRaces,
  resetConnections,
  rollingRestarts,
  silentDatabase,
  smallPool,
  unwritableDatabase,
];

interface Row extends Figure {
  readonly fault: string;
}

async function main(wanted: readonly string[]): Promise<number> {
  const chosen = SCENARIOS.filter(
    ({ number }) => wanted.length === 0 || wanted.includes(String(number)),
  ).toSorted((one, other) => one.number - other.number);
  const rows: Row[] = [];
  for (const { number, title, run } of chosen) {
    const started = performance.now();
    const fault = `${number} ${title}`;
    const figures = await run({ isLong: process.env['FAULTS'] === 'long' }).catch(
      (error: unknown): readonly Figure[] => {
        console.log(error);
        return [{ what: 'could not be tried', bound: 'tried', measured: 'not', isMet: false }];
      },
    );
    // A fault of which nothing was measured has not been tried.
    const measured = figures.length > 0 ? figures : [NOTHING];
    rows.push(...measured.map((figure) => ({ fault, ...figure })));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const failed = measured.filter(isFailure).length;
    console.log(`${failed > 0 ? 'FAIL' : 'ok  '} ${fault}: ${seconds} s`);
  }
  printTable(rows);
  const failed = rows.filter(isFailure).length;
  console.log(`${rows.length - failed} passed, ${failed} failed`);
  return failed > 0 || rows.length === 0 ? 1 : 0;
}

function isFailure({ isMet, isForTheRecord = false }: Figure): boolean {
  return !isMet && !isForTheRecord;
}

const NOTHING: Figure = { what: 'nothing', bound: 'something', measured: 'nothing', isMet: false };

function printTable(rows: readonly Row[]): void {
  console.log('\n| fault | figure | bound | measured | met |\n|---|---|---|---|---|');
  for (const { fault, what, bound, measured, isMet } of rows) {
    console.log(`| ${fault} | ${what} | ${bound} | ${measured} | ${isMet ? 'yes' : 'NO'} |`);
  }
  console.log('');
}

// So that what a scenario started, mounted or locked is ended with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
process.setMaxListeners(100); // One for each process that a scenario runs at once.
// Else what was started would go on.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
process.exitCode = await main(process.argv.slice(2));
