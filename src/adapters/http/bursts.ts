/**
 * Writes at the end of this turn of the event loop, together with whatever else is ready in it. A write
 * that finds its reader asleep wakes it, which costs as much as the rest of a small request: so only the
 * first of them does. (0.54 of node:http before, 0.75 since, with 32 connections; alone, 1 µs is lost.)
 */
export function writeTogether(write: () => void): void {
  if (ready.push(write) === 1) setImmediate(writeAll);
}

let ready: (() => void)[] = [];

function writeAll(): void {
  const writes = ready;
  ready = [];
  for (const write of writes) write();
}
