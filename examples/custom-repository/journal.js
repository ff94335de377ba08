import { closeSync, openSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { deserialize, serialize } from 'node:v8';
import { memoryRepositories } from 'portcullis/memory';

/** The repositories in memory, with every change in a journal: on the disk before it is made. */
export async function journaledRepositories(path) {
  const parts = memoryRepositories();
  closeSync(openSync(path, 'a', 0o600)); // It holds password hashes.
  for (const line of readFileSync(path, 'latin1').split('\n').slice(0, -1)) {
    const [part, method, args] = deserialize(Buffer.from(line, 'base64'));
    await parts[part][method](...args).catch(() => {}); // What was refused then is refused now.
  }
  const file = await open(path, 'a');
  let last = Promise.resolve(); // One change after the other: their order is that of the lines.
  const journaled = (part) =>
    new Proxy(parts[part], {
      get:
        (target, method) =>
        async (...args) => {
          if (/^(find|page|list)/.test(method)) return target[method](...args);
          const line = `${serialize([part, method, args]).toString('base64')}\n`;
          const change = last.then(async () => {
            await file.appendFile(line, { flush: true });
            return target[method](...args);
          });
          last = change.catch(() => {});
          return change;
        },
    });
  return {
    ...parts,
    users: journaled('users'),
    sessions: journaled('sessions'),
    close: () => file.close(),
  };
}
