import { readlink } from 'node:fs/promises';
import { setPriority } from 'node:os';

/** As `nice` has it: a third of the share of those at 0, where the cores are not enough for all. */
const NICE = 10;
/** Threads that libuv starts unless UV_THREADPOOL_SIZE says otherwise. */
const POOL_SIZE = 4;
/** Beside those that hash: what looks up names and reads files must not wait for them. */
const SPARE = 2;
const AT_ONCE = 64;
const TRIES = 20;

/**
 * Gives libuv's pool, which hashes passwords, a thread for each of so many at once, unless the environment
 * says otherwise. Before anything uses it: it is made at its first use, and stays as it is.
 */
export function sizeThreadPool(hashes: number): void {
  process.env['UV_THREADPOOL_SIZE'] ??= String(Math.max(POOL_SIZE, hashes + SPARE));
}

/**
 * Lets the threads of libuv's pool, which hash passwords, give way to the one that answers requests, and
 * to a database on the same machine: as one of several equals these wait for their turn some ms at each
 * step of a request. (/protected p99 while 64 log in at once: 31 ms before, 10 since, logins as many.)
 * Of the whole process, so not for the library. On Linux alone; elsewhere nothing happens.
 */
export async function lowerPoolPriority(): Promise<void> {
  const size = Number(process.env['UV_THREADPOOL_SIZE'] ?? POOL_SIZE);
  const found = new Set<number>();
  for (let tries = 0; tries < TRIES && found.size < size; tries += 1) {
    // Read by a thread of the pool, each link leads to that thread itself.
    const links = await Promise.all(
      Array.from({ length: AT_ONCE }, () => readlink('/proc/thread-self').catch(() => '')),
    );
    for (const link of links) {
      const thread = Number(/\/task\/(\d+)$/.exec(link)?.[1] ?? 0);
      if (thread === 0) return;
      if (!found.has(thread)) setPriority(thread, NICE);
      found.add(thread);
    }
  }
}
