import { existsSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { deserialize, serialize } from 'node:v8';
import { memoryRepositories } from 'portcullis/memory';

/** The repositories in memory, with every change in a journal: on the disk before it is made. */
export async function journaledRepositories(path) {
  const parts = memoryRepositories();
  const text = existsSync(path) ? readFileSync(path, 'latin1') : '';
  const whole = text.slice(0, text.lastIndexOf('\n') + 1); // A crash may have torn the last line.
  for (const line of whole.split('\n').slice(0, -1)) {
    const [part, method, args] = deserialize(Buffer.from(line, 'base64'));
    await parts[part][method](...args).catch(() => {}); // What was refused then is refused now.
  }
  const file = await open(path, 'a', 0o600); // It holds password hashes.
  let { length } = whole;
  const make = async (part, method, args) => {
    const line = `${serialize([part, method, args]).toString('base64')}\n`;
    await file.truncate(length); // Away with what a crash or a full disk has left of a line.
    await file.appendFile(line);
    await file.datasync();
    length += line.length;
    return parts[part][method](...args);
  };
  let last = Promise.resolve(); // One change after the other: their order is that of the lines.
  const change = (...call) => (last = last.catch(() => {}).then(() => make(...call)));
  const call = (part, method, ...args) =>
    /^(find|page|list)/.test(method) ? parts[part][method](...args) : change(part, method, args);
  const get = (part) => (_, method) => call.bind(undefined, part, method);
  const journaled = (part) => new Proxy(parts[part], { get: get(part) });
  const close = () => file.close();
  return { ...parts, users: journaled('users'), sessions: journaled('sessions'), close };
}
