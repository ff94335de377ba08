// The highest possible rate of argon2id: two at once, with OWASP's parameters, and nothing else.
// node argon2.mjs verify|hash SECONDS; prints the operations per second, and CPU seconds of each.
import { hash, verify } from '@node-rs/argon2';

const [, , kind, seconds] = process.argv;
const options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const password = 'fourteen grey herons';
const stored = await hash(password, options);
const once = kind === 'hash' ? () => hash(password, options) : () => verify(stored, password);

async function run(milliseconds) {
  let done = 0;
  const started = performance.now();
  const loop = async () => {
    while (performance.now() - started < milliseconds) {
      await once();
      done += 1;
    }
  };
  await Promise.all([loop(), loop()]);
  return done / ((performance.now() - started) / 1000);
}

await run(300);
const before = process.cpuUsage();
const rate = await run(Number(seconds) * 1000);
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ rate, cpu: (user + system) / 1e6 / (rate * Number(seconds)) }));
