/**
 * Sends ten times the logins that the service can handle. Measures how many it admits, how fast it
 * refuses the rest, whether other requests stay fast, and its memory. Says whether each figure is
 * within its bound, but asserts nothing.
 *
 * Runs `ROUNDS` (3) rounds, each on a new service: `SLICES` (4) slices of flood alternate with
 * slices of the peak, of `SECONDS` (6) each, so that other load affects both. Busy cores are CPU
 * time divided by wall time: of the service from /proc/PID/stat, of the load maker (this process)
 * from process.cpuUsage, of all others the rest of /proc/stat. The database is in `TMPDIR`.
 *
 *   npm run bench -- overload
 */
import { admitted, CORES, type Extent, type Flood, figuresOf, flood, type Slice } from './flood.ts';
import { p99 } from './load.ts';
import { median, type Reply } from './measure.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 3);
const EXTENT: Extent = {
  slices: Number(process.env['SLICES'] ?? 4),
  seconds: Number(process.env['SECONDS'] ?? 6),
};

const bounds: Record<string, string>[] = [];
for (let round = 1; round <= ROUNDS; round += 1) {
  const measured = await flood(EXTENT);
  report(round, measured);
  for (const { what, bound, measured: found, isMet } of figuresOf(measured)) {
    const is = isMet ? 'within' : 'BEYOND';
    bounds.push({ round: `${round}`, what, measured: found, bound, is });
  }
}
console.table(bounds);

/** Prints the measurements behind the figures. */
function report(round: number, { idle, single, light, peaks, floods }: Flood): void {
  const shed = floods.flatMap(({ replies }) => replies.filter(({ status }) => status === 503));
  const cores = (slices: readonly Slice[]) => {
    const each = (['service', 'maker', 'others'] as const).map(
      (who) => `${who} ${median(slices.map((slice) => slice[who])).toFixed(2)}`,
    );
    const perSecond = median(slices.map((slice) => admitted(slice) / slice.service));
    return `${each.join(', ')}; ${perSecond.toFixed(1)} logins a CPU second of the service`;
  };
  console.log(
    `Round ${round}: ${EXTENT.slices} slices of ${EXTENT.seconds} s; cores busy, of ${CORES}:`,
  );
  console.log(`  peak: ${peaks.map((peak) => admitted(peak).toFixed(1)).join(' ')} logins/s`);
  console.log(`        cores: ${cores(peaks)}`);
  console.log(`  flood: ${floods.map((slice) => admitted(slice).toFixed(1)).join(' ')} logins/s`);
  console.log(`        cores: ${cores(floods)}`);
  const offered = median(floods.map((slice) => slice.replies.length / slice.seconds));
  console.log(`        answered ${offered.toFixed(0)}/s, ${shed.length} of them 503`);
  console.log(`  /protected p99: ${milliseconds(single.probes)} with one login at a time`);
  console.log(`        ${milliseconds(peaks.flatMap(({ probes }) => probes))} at the peak`);
  const readings = [idle, light, single].map(({ memory }) => memory.toFixed(0)).join(', ');
  console.log(`  memory idle, without hashes, with one login: ${readings} MB`);
}

function milliseconds(replies: readonly Reply[]): string {
  return `${p99(replies).toFixed(1)} ms`;
}
