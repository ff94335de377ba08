import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tcpProxy, type TcpProxy } from './tcp-proxy.ts';

const it = suite('The proxy on which the network fails');

/** A server that answers each text with itself, behind the proxy. */
async function withEcho(use: (proxy: TcpProxy, ends: () => number) => Promise<void>) {
  let ends = 0;
  const echo = createServer((socket) => {
    socket.on('error', () => {}).on('close', () => (ends += 1));
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const address = echo.address();
  const proxy = await tcpProxy(typeof address === 'object' && address ? address.port : 0);
  try {
    await use(proxy, () => ends);
  } finally {
    await proxy.close();
    echo.close();
  }
}

async function open(proxy: TcpProxy): Promise<Socket> {
  const socket = connect(proxy.port, '127.0.0.1').setEncoding('utf8');
  await once(socket, 'connect');
  return socket;
}

/** What comes back within so many ms, or the code of the error that does. */
async function ask(socket: Socket, text: string, patience = 100): Promise<string> {
  const answer = new Promise<string>((resolve) => {
    socket.once('data', resolve);
    socket.once('error', (error) => resolve('code' in error ? String(error.code) : 'error'));
  });
  socket.write(text);
  return Promise.race([answer, sleep(patience, 'nothing')]);
}

it('gives on what is sent, both ways, and tells the server of the end', () =>
  withEcho(async (proxy, ends) => {
    const socket = await open(proxy);
    assert.is(await ask(socket, 'a'), 'a');
    assert.is(proxy.connections, 1);
    socket.destroy();
    await sleep(50);
    assert.is(ends(), 1);
    assert.is(proxy.connections, 0);
  }));

it('resets every connection', () =>
  withEcho(async (proxy, ends) => {
    const socket = await open(proxy);
    assert.is(await ask(socket, 'a'), 'a');
    const failed = once(socket, 'error');
    assert.is(proxy.resetAll(), 1);
    const [error] = (await failed) as [NodeJS.ErrnoException];
    assert.is(error.code, 'ECONNRESET');
    await sleep(50);
    assert.is(ends(), 1);
    assert.is(await ask(await open(proxy), 'b'), 'b');
  }));

it('swallows what is sent, tells of ends afterwards, and forgets what has lost something', () =>
  withEcho(async (proxy, ends) => {
    const [quiet, busy, ended] = [await open(proxy), await open(proxy), await open(proxy)];
    for (const socket of [quiet, busy, ended]) assert.is(await ask(socket, 'a'), 'a');
    proxy.blackHole();
    assert.is(await ask(busy, 'b'), 'nothing');
    const late = await open(proxy);
    assert.is(await ask(late, 'b'), 'nothing');
    ended.destroy();
    await sleep(50);
    assert.is(ends(), 0);
    await proxy.pass();
    await sleep(50);
    assert.is(ends(), 1);
    assert.is(await ask(busy, 'c'), 'nothing');
    assert.is(await ask(late, 'c'), 'nothing');
    assert.is(await ask(quiet, 'c'), 'c');
    for (const socket of [quiet, busy, late]) socket.destroy();
  }));

it('refuses new connections, and takes them again on the same port', () =>
  withEcho(async (proxy) => {
    const socket = await open(proxy);
    assert.is(await ask(socket, 'a'), 'a');
    await proxy.refuse();
    const [error] = (await once(connect(proxy.port, '127.0.0.1'), 'error')) as [Error];
    assert.match(error.message, 'ECONNREFUSED');
    assert.is(await ask(socket, 'b'), 'b');
    await proxy.pass();
    assert.is(await ask(await open(proxy), 'c'), 'c');
  }));

it('holds back what is sent, and keeps its order', () =>
  withEcho(async (proxy) => {
    const socket = await open(proxy);
    proxy.delay(50);
    const started = performance.now();
    assert.is(await ask(socket, 'a', 1_000), 'a');
    const took = performance.now() - started;
    assert.ok(took >= 95, `${took} ms`);
    const parts: string[] = [];
    socket.on('data', (text: string) => parts.push(text));
    for (const [text, delay] of [
      ['b', 40],
      ['c', 5],
      ['d', 0],
    ] as const) {
      proxy.delay(delay);
      socket.write(text);
      await sleep(5);
    }
    await sleep(200);
    assert.is(parts.join(''), 'bcd');
  }));

it.run();
