/**
 * The time from starting a process, with default settings and no database yet, to its first 200.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, temporaryFolder } from '../../tests/support/programs.ts';
import { BUILT } from '../../tests/support/service.ts';
import { digits, inRounds, ROUNDS, ratioBar, roundsOf, type Section } from '../findings.ts';
import { Connection, median, requestText } from '../measure.ts';
import { NAMES, PEERS } from '../stage.ts';

const BAR = 0.7;
const STARTS = Math.max(10, ROUNDS);
const START_TIMEOUT_MS = 20_000;

export const startSection: Section = {
  name: 'start',
  async run(stage) {
    const service = () => timeStart(BUILT);
    const naive = () =>
      timeStart([process.execPath, join(PEERS, 'express.mjs')], {
        DATABASE_URL: 'sqlite:naive.sqlite',
        JWT_SECRET: stage.secret,
      });
    const visits = new Map([
      ['service', service],
      ['express', naive],
    ]);
    await inRounds(visits, 1); // Warms the file cache.
    const found = await inRounds(visits, STARTS);
    const [ours, theirs] = [roundsOf(found, 'service'), roundsOf(found, 'express')];
    const title = `ms to the first GET /users, against ${NAMES.express}`;
    return {
      bars: [ratioBar(title, ours, theirs, { atMost: BAR })],
      tables: {
        [`${STARTS} starts, on an empty SQLite`]: [
          { server: NAMES.service, 'median ms': digits(median(ours)) },
          { server: NAMES.express, 'median ms': digits(median(theirs)) },
        ],
      },
    };
  },
};

/** Starts a command in an empty folder. Resolves to the milliseconds until its first 200. */
async function timeStart(
  command: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): Promise<number> {
  const folder = temporaryFolder();
  const port = await freePort();
  const [file = '', ...args] = command;
  const started = performance.now();
  const child = spawn(file, args, {
    cwd: folder.path,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], PORT: `${port}`, ...settings },
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  try {
    for (;;) {
      const status = await usersStatus(port);
      if (status === 200) return performance.now() - started;
      if (child.exitCode !== null || performance.now() - started > START_TIMEOUT_MS) {
        throw new Error(`no start: ${command.join(' ')} (last status: ${status ?? 'none'})`);
      }
      await sleep(1);
    }
  } finally {
    child.kill('SIGKILL');
    await exited;
    folder.remove();
  }
}

/** The status of GET /users; undefined while nothing listens on the port. */
async function usersStatus(port: number): Promise<number | undefined> {
  try {
    const connection = await Connection.open(`http://127.0.0.1:${port}`);
    const { status } = await connection.send(requestText('GET /users'));
    connection.close();
    return status;
  } catch {
    return undefined;
  }
}
