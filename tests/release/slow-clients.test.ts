import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { affordableConnections } from '../../src/adapters/http/hosts/server.ts';
import { ADA, call, type Program, registered, startProgram, TEST_ENV } from '../support/service.ts';

const WANTED = 5_000;

/** The service, which on a signal says what memory it holds that is no garbage. */
const MEASURED = [
  process.execPath,
  '--expose-gc',
  '--import',
  'tsx',
  '--input-type=module',
  '-e',
  `process.on('SIGUSR2', () => {
    gc();
    const { heapUsed, external } = process.memoryUsage();
    console.log('holds ' + (heapUsed + external));
  });
  await import('./src/main.ts');`,
  'src/main.ts',
];

const slow = suite('Slow clients');

slow('are cut off, all 5,000 of them, and keep nobody else waiting', async () => {
  // As many places again are left to everybody else.
  const count = Math.floor(affordableConnections(2 * WANTED) / 2);
  if (count < WANTED) console.log(`only ${count} slow clients: no more files may be open here`);
  const program = await startProgram({ ...TEST_ENV, DATABASE_URL: 'memory:' }, MEASURED);
  const { access_token: token } = await registered(program.url);
  for (let i = 0; i < 100; i += 1) await assertServes(program.url, token);
  const before = await usage(program);

  const clients = slowClients(program.url, count);
  assert.is(await Promise.race([clients.open, clients.ended]), 'open');
  const patient = patientLogin(program.url);
  await assertServes(program.url, token);
  await sleep(1_000); // Connected is not yet accepted.
  const during = await usage(program);
  let ended: string | undefined;
  void clients.ended.then((result) => (ended = result));
  let rounds = 0;
  while (ended === undefined) {
    await assertServes(program.url, token);
    rounds += 1;
    await sleep(50);
  }
  assert.ok(rounds > 50, `only ${rounds} rounds`);
  assert.match(await patient, /^HTTP\/1.1 200 [^]*"Login successful"/);

  let [cutOff, unsaid] = [0, 0];
  const ends = JSON.parse(ended) as Record<string, Record<string, number>>;
  for (const [kind, statuses] of Object.entries(ends)) {
    const fair = kind === 'empty lines after a request' ? ['404'] : ['408', 'none'];
    for (const [status, number] of Object.entries(statuses)) {
      assert.ok(fair.includes(status), `${number} of ${kind}: ${status}`);
      cutOff += number;
      if (status === 'none') unsaid += number;
    }
  }
  assert.is(cutOff, count);
  assert.ok(unsaid < count / 10, `${unsaid} were not told why`);

  await sleep(1_000); // What was told why gets half a second to read that.
  const after = await usage(program);
  assert.ok(after.bytes < before.bytes + 10_000_000, JSON.stringify({ before, during, after }));
  if (process.platform === 'linux') {
    assert.ok(during.files >= count, `${during.files} files: they were all there`);
    assert.ok(after.files < before.files + 10, `${after.files} files, ${before.files} before`);
  }
  await program.end('SIGTERM');
});

slow.run();

async function assertServes(url: string, token: string): Promise<void> {
  const json = { email: ADA.email, password: ADA.password };
  const [hello, login] = await Promise.all([
    call(url, 'GET /protected', { token }),
    call(url, 'POST /login', { json }),
  ]);
  assert.is(hello.text, '{"message":"Hello, Ada. This is a protected route."}');
  assert.is(login.status, 200, login.text);
}

/** Byte by byte, yet within the time that there is. */
async function patientLogin(url: string): Promise<string> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1' });
  const body = JSON.stringify({ email: ADA.email, password: ADA.password });
  const header = 'Host: x\r\nContent-Type: application/json\r\nConnection: close\r\n';
  const request = `POST /login HTTP/1.1\r\n${header}Content-Length: ${body.length}\r\n\r\n${body}`;
  const reply: string[] = [];
  socket.setEncoding('latin1').on('data', (text: string) => reply.push(text));
  const end = once(socket, 'end');
  for (const byte of request) {
    socket.write(byte);
    await sleep(40);
  }
  await end;
  return reply.join('');
}

function slowClients(url: string, count: number) {
  const args = ['--import', 'tsx', 'tests/support/slow-clients.ts', new URL(url).port, `${count}`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout);
  const open = once(lines, 'line').then(([line]) => String(line));
  const ended = open.then(() => once(lines, 'line')).then(([line]) => String(line));
  return { open, ended };
}

/** What a program holds: bytes of memory; files and sockets, 0 where the system does not tell. */
async function usage(program: Program): Promise<{ bytes: number; files: number }> {
  const { pid } = program.process;
  const said = () => program.output().match(/(?<=holds )\d+(?=\n)/g) ?? [];
  const sayings = said().length;
  program.process.kill('SIGUSR2');
  while (said().length === sayings) await sleep(10);
  const files = process.platform === 'linux' ? readdirSync(`/proc/${pid}/fd`).length : 0;
  return { bytes: Number(said().at(-1)), files };
}
