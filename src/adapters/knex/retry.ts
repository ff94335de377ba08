import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds for which it is tried again; with those of the attempts before it, in time for a request. */
const PATIENCE = 2_500;

/**
 * Tries again while another connection holds SQLite's write lock, and when MySQL has undone a
 * transaction to resolve a deadlock. SQLite's own busy timeout would
 * wait on the event loop, and with it stop the very transaction it waits for, if that is of this
 * process. `attempt` is a whole statement or transaction: between two attempts it holds no
 * connection, so that reads, which need not wait for a writer, do not.
 */
export async function whileBusy<T>(attempt: () => Promise<T>, patience = PATIENCE): Promise<T> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(isBusy(error) || isDeadlock(error)) || performance.now() > end) throw error;
      await sleep(1 + Math.random() * 9);
    }
  }
}

/** Whether another connection holds a lock of SQLite that this one needs. */
export function isBusy(error: unknown): boolean {
  return codeOf(error).startsWith('SQLITE_BUSY');
}

function isDeadlock(error: unknown): boolean {
  return codeOf(error) === 'ER_LOCK_DEADLOCK';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
