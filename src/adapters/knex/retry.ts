import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds for which a locked SQLite file is tried again. */
const PATIENCE = 3_000;

/**
 * Tries again while another connection holds SQLite's write lock. SQLite's own busy timeout would
 * wait on the event loop, and with it stop the very transaction it waits for, if that is of this
 * process. `attempt` is a whole statement or transaction: between two attempts it holds no
 * connection, so that reads, which need not wait for a writer, do not.
 */
export async function whileBusy<T>(attempt: () => Promise<T>): Promise<T> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isBusy(error) || performance.now() > end) throw error;
      await sleep(1 + Math.random() * 9);
    }
  }
}

/** Whether another connection holds a lock of SQLite that this one needs. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY');
}
